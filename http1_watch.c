/* SPDX-License-Identifier: MIT */
#include "http1.h"

/*
 * What some servers take for a request is more than can be told from its first
 * octets: a method of any octets (Python, Java), a line feed in it (Java), no
 * version behind it (Waitress).  But to be for another host it has to name that
 * one: in a Host field, or in the target of a request line with a version.
 */

/* No server takes a longer head: Python's is a hundred lines of 64 KiB. */
#define WATCH_MAX  (8U << 20)
#define HOST_WHOLE 4
#define HOST_NONE  UINT8_MAX

/* Of " HTTP/1.1" and blanks behind it, as far as they came. */
enum version {
	VERSION_WORD = 6,
	VERSION_MAJOR,
	VERSION_POINT,
	VERSION_MINOR,
	VERSION_WHOLE
};

static uint8_t next_version(uint8_t at, uint8_t c)
{
	static const uint8_t word[] = " HTTP/";

	if (http1_is_blank(c))
		return at >= VERSION_MINOR ? VERSION_WHOLE : 1;
	if (c >= '0' && c <= '9' && at >= VERSION_WORD)
		return at == VERSION_WHOLE   ? 0
		       : at >= VERSION_POINT ? VERSION_MINOR
					     : VERSION_MAJOR;
	if (c == '.')
		return at == VERSION_MAJOR ? VERSION_POINT : 0;
	if (at == VERSION_WHOLE)
		at = 1;
	return at > 0 && at < VERSION_WORD && c == word[at] ? at + 1 : 0;
}

static uint8_t next_host(uint8_t at, uint8_t c)
{
	static const uint8_t name[] = "host";

	if (http1_is_blank(c))
		return at == 0 || at == HOST_WHOLE ? at : HOST_NONE;
	return at < HOST_WHOLE && (c | 0x20) == name[at] ? at + 1 : HOST_NONE;
}

/* True: a request line. */
static bool watch_line_end(struct http1_watch *w)
{
	/* Behind a head comes a body, which may be anything. */
	if (w->filled && w->crlf && !w->colon && !w->heads)
		w->over = true;
	if (w->filled && !w->spaced && w->version >= VERSION_MINOR)
		return true;
	w->over |= w->body && (w->filled ? w->lower : w->later);
	if (!w->filled && w->later)
		*w = (struct http1_watch){ .over = w->over, .heads = true };
	w->later |= w->filled;
	w->crlf |= w->filled && w->cr;
	w->spaced |= w->blank;
	w->filled = w->blank = w->colon = w->cr = false;
	w->host = w->version = 0;
	return false;
}

/* True: a request line, or a Host field behind one. */
static bool watch_octet(struct http1_watch *w, uint8_t c)
{
	bool blank = http1_is_blank(c);

	if (c == '\n')
		return watch_line_end(w);
	w->version = next_version(w->version, c);
	/* Two of them and a line feed are no end of a line to Java. */
	w->cr = c == '\r' && !w->cr;
	/* Alone, some take that for one. */
	if (c == '\r') {
		w->host = 0;
		return false;
	}
	if (c == ':' && w->host == HOST_WHOLE &&
	    (w->words || (w->crlf && !w->body)))
		return true;
	/* What begins with a blank belongs to the line before. */
	w->colon |= c == ':' || (blank && !w->filled);
	w->host = next_host(w->host, c);
	w->filled = true;
	w->blank |= blank;
	/* As long as there were blanks alone, `host` stays at its beginning. */
	w->words |= blank && w->host != 0 && !w->later;
	w->lower |= !blank && !w->words && !w->later && (c < 'A' || c > 'Z');
	return false;
}

bool http1_watch(struct http1_watch *watch, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len && !watch->over; i++)
		if (watch_octet(watch, data[i]))
			return true;
	watch->size += (uint32_t)len;
	watch->over |= watch->size > WATCH_MAX && !watch->heads;
	return false;
}
