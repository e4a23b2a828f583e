/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <stdio.h>
#include <string.h>

#include "util.h"

/* Bytes of a sequence. */
#define LONGEST 4
/* The longest that one input byte can become: an escape such as \u007f. */
#define GROWTH  6

/*
 * Unicode table 3-7: which second byte may follow which first one.  Narrower
 * than 80..BF where the wider range would let overlong forms, surrogates or
 * values over U+10FFFF in.
 */
static const struct lead {
	uint8_t first, last;
	uint8_t low, high; /* of the second byte */
	uint8_t length;
} leads[] = {
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

/* What has no shape, or gives one to what is around it. */
static const struct range {
	uint32_t first, last;
} hidden[] = {
	{ 0x00, 0x1f },     /* C0: ESC, newline, bell */
	{ 0x7f, 0x9f },     /* DEL, C1: U+009B is a CSI to many terminals */
	{ 0x2028, 0x2029 }, /* line ends */
	{ 0xfff9, 0xfffb }, /* interlinear annotation */

	/* Default_Ignorable_Code_Point, whole: Unicode's list of what is shown
	 * as nothing where it is not understood, places kept free for it
	 * included. */
	{ 0xad, 0xad },       /* soft hyphen */
	{ 0x34f, 0x34f },     /* combining grapheme joiner */
	{ 0x61c, 0x61c },     /* Arabic letter mark */
	{ 0x115f, 0x1160 },   /* Hangul fillers: blank, yet letters */
	{ 0x17b4, 0x17b5 },   /* Khmer inherent vowels */
	{ 0x180b, 0x180f },   /* Mongolian selectors */
	{ 0x200b, 0x200f },   /* zero width, direction marks */
	{ 0x202a, 0x202e },   /* bidi embeddings and overrides */
	{ 0x2060, 0x206f },   /* invisible operators, bidi isolates */
	{ 0x3164, 0x3164 },   /* Hangul filler */
	{ 0xfe00, 0xfe0f },   /* variation selectors */
	{ 0xfeff, 0xfeff },   /* zero width no-break space */
	{ 0xffa0, 0xffa0 },   /* half-width Hangul filler */
	{ 0xfff0, 0xfff8 },   /* free */
	{ 0x1bca0, 0x1bca3 }, /* shorthand format controls */
	{ 0x1d173, 0x1d17a }, /* musical format controls */
	{ 0xe0000, 0xe0fff }, /* tags and more selectors: text nobody sees */
};

static const struct lead *find_lead(uint8_t byte)
{
	for (size_t i = 0; i < ARRAY_SIZE(leads); i++)
		if (byte >= leads[i].first && byte <= leads[i].last)
			return &leads[i];
	return NULL;
}

size_t text_decode(const char *s, size_t len, uint32_t *cp)
{
	const unsigned char *p = (const unsigned char *)s;
	const struct lead *lead;
	uint32_t value;
	size_t i;

	*cp = p[0];
	if (p[0] < 0x80)
		return 1;

	*cp = TEXT_INVALID;
	lead = find_lead(p[0]);
	if (!lead)
		return 1;

	value = p[0] & (0x7fU >> lead->length);
	for (i = 1; i < lead->length; i++) {
		uint8_t low = i == 1 ? lead->low : 0x80;
		uint8_t high = i == 1 ? lead->high : 0xbf;

		/* What was right so far counts as one error, not as many. */
		if (i == len || p[i] < low || p[i] > high)
			return i;
		value = value << 6 | (p[i] & 0x3f);
	}
	*cp = value;
	return i;
}

size_t text_begun(const char *s, size_t len)
{
	size_t n = len < LONGEST ? len : LONGEST - 1;

	/* A lead byte is never within a sequence: there is one at most. */
	for (; n > 0; n--) {
		const struct lead *lead = find_lead((uint8_t)s[len - n]);
		uint32_t cp;

		if (lead && lead->length > n &&
		    text_decode(s + len - n, n, &cp) == n)
			return n;
	}
	return 0;
}

bool text_is_hidden(uint32_t cp)
{
	if (cp >= 0x20 && cp < 0x7f)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		if (cp >= hidden[i].first && cp <= hidden[i].last)
			return true;
	return false;
}

static char *copy(char *to, const char *from, size_t n)
{
	memcpy(to, from, n);
	return to + n;
}

char *text_shell(const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_@%+=:,./-";
	static const char quote[] = "'\\''";
	char *word, *to;

	if (*s && s[strspn(s, plain)] == '\0')
		return xstrdup(s);
	word = to = xcalloc(strlen(s) + 1, strlen(quote));
	*to++ = '\'';
	for (; *s; s++)
		to = *s == '\'' ? copy(to, quote, strlen(quote))
				: copy(to, s, 1);
	*to = '\'';
	return word;
}

char *text_utf8(const char *bytes, size_t len)
{
	char *out = xcalloc(len + 1, strlen(TEXT_REPLACEMENT));
	char *to = out;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		uint32_t cp;

		n = text_decode(bytes + i, len - i, &cp);
		/* A C string cannot hold NUL, and a reader of JSON may not. */
		if (cp == TEXT_INVALID || cp == 0)
			to = copy(to, TEXT_REPLACEMENT,
				  strlen(TEXT_REPLACEMENT));
		else
			to = copy(to, bytes + i, n);
	}
	return out;
}

/* Lines are plain ASCII nearly always: find that out fast. */
static bool is_plain(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x7f)
			return false;
	return true;
}

char *text_escape(char *to, uint32_t cp)
{
	if (cp < 0x10000)
		return to + sprintf(to, "\\u%04x", cp);
	cp -= 0x10000;
	return to + sprintf(to, "\\u%04x\\u%04x", 0xd800 + (cp >> 10),
			    0xdc00 + (cp & 0x3ff));
}

char *text_json(const char *json)
{
	size_t len = strlen(json), n;
	char *out, *to;

	if (is_plain(json))
		return xstrdup(json);
	out = to = xcalloc(len + 1, GROWTH);
	for (size_t i = 0; i < len; i += n) {
		uint32_t cp;

		n = text_decode(json + i, len - i, &cp);
		/* The printer has escaped C0; a newline here is layout. */
		if (cp == TEXT_INVALID)
			to = copy(to, TEXT_REPLACEMENT,
				  strlen(TEXT_REPLACEMENT));
		else if (cp >= 0x7f && text_is_hidden(cp))
			to = text_escape(to, cp);
		else
			to = copy(to, json + i, n);
	}
	return out;
}

static char *hex_escape(char *to, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to += sprintf(to, "\\x%02x", (unsigned char)bytes[i]);
	return to;
}

char *text_visible(const char *s, bool utf8)
{
	size_t len = strlen(s), n;
	char *out = xcalloc(len + 1, GROWTH), *to = out;

	for (size_t i = 0; i < len; i += n) {
		uint32_t cp;

		n = text_decode(s + i, len - i, &cp);
		if (cp == TEXT_INVALID || (cp < 0x80 && text_is_hidden(cp)))
			to = hex_escape(to, s + i, n);
		else if (cp >= 0x80 && (!utf8 || text_is_hidden(cp)))
			to += sprintf(to, "\\u{%x}", cp);
		else
			to = copy(to, s + i, n);
	}
	return out;
}

size_t text_width(const char *visible)
{
	size_t width = 0;

	for (; *visible; visible++)
		width += ((unsigned char)*visible & 0xc0) != 0x80;
	return width;
}
