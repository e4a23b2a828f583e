/* SPDX-License-Identifier: MIT */
#include "json_write.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "util.h"

#define ROOM_FIRST 512
/* Of one character's escape, in two halves. */
#define ESCAPE_MAX 13

/* Room for n bytes and a NUL. */
static void reserve(struct json_writer *w, size_t n)
{
	while (w->room - w->len <= n)
		w->room = w->room ? 2 * w->room : ROOM_FIRST;
	w->text = xrealloc_array(w->text, w->room, 1);
}

static void put(struct json_writer *w, const char *bytes, size_t n)
{
	if (w->mute)
		return;
	if (w->room - w->len <= n)
		reserve(w, n);
	memcpy(w->text + w->len, bytes, n);
	w->len += n;
	w->text[w->len] = '\0';
}

static void put_char(struct json_writer *w, char c)
{
	put(w, &c, 1);
}

static void begin_value(struct json_writer *w, const char *key)
{
	char last = w->len ? w->text[w->len - 1] : '{';

	/* A string that ends with a bracket has its quotation mark behind. */
	if (last != '{' && last != '[')
		put_char(w, ',');
	if (!key)
		return;
	put_char(w, '"');
	put(w, key, strlen(key));
	put(w, "\":", 2);
}

void json_write_open(struct json_writer *w, const char *key, char bracket)
{
	begin_value(w, key);
	put_char(w, bracket);
}

void json_write_close(struct json_writer *w, char bracket)
{
	put_char(w, bracket);
}

static size_t plain_length(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] >= ' ' && s[n] < 0x7f && s[n] != '"' &&
	       s[n] != '\\')
		n++;
	return n;
}

static void put_character(struct json_writer *w, uint32_t cp, const char *bytes,
			  size_t n)
{
	static const char escaped[] = "\"\\\b\f\n\r\t";
	static const char letters[] = "\"\\bfnrt";
	const char *found = cp && cp < 0x7f ? strchr(escaped, (int)cp) : NULL;

	/* A C string cannot hold NUL, and a reader of JSON may not. */
	if (cp == TEXT_INVALID || cp == 0) {
		put(w, TEXT_REPLACEMENT, strlen(TEXT_REPLACEMENT));
	} else if (found) {
		put(w, (char[]){ '\\', letters[found - escaped] }, 2);
	} else if (text_is_hidden(cp)) {
		char escape[ESCAPE_MAX];
		const char *end = text_escape(escape, cp);

		put(w, escape, (size_t)(end - escape));
	} else {
		put(w, bytes, n);
	}
}

void json_write_bytes(struct json_writer *w, const char *key, const char *bytes,
		      size_t len)
{
	size_t n;

	/* To look at each byte is what costs. */
	if (w->mute)
		return;
	begin_value(w, key);
	put_char(w, '"');
	for (size_t i = 0; i < len; i += n) {
		uint32_t cp;

		n = plain_length(bytes + i, len - i);
		put(w, bytes + i, n);
		i += n;
		if (i == len)
			break;
		n = text_decode(bytes + i, len - i, &cp);
		put_character(w, cp, bytes + i, n);
	}
	put_char(w, '"');
}

void json_write_string(struct json_writer *w, const char *key, const char *s)
{
	json_write_bytes(w, key, s, strlen(s));
}

void json_write_number(struct json_writer *w, const char *key, uint64_t value)
{
	char digits[20], *first = decimal(digits + sizeof(digits), value);

	begin_value(w, key);
	put(w, first, (size_t)(digits + sizeof(digits) - first));
}

void json_write_bool(struct json_writer *w, const char *key, bool value)
{
	begin_value(w, key);
	put(w, value ? "true" : "false", value ? 4 : 5);
}

void json_write_again(struct json_writer *w)
{
	w->len = 0;
	w->mute = false;
}

void json_write_mute(struct json_writer *w)
{
	w->len = 0;
	w->mute = true;
}

void json_write_free(struct json_writer *w)
{
	free(w->text);
	*w = JSON_WRITER_NONE;
}
