/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "util.h"

/* cJSON 1.7 reads numbers through a 64-byte buffer and takes what does not fit
 * for the next token (CVE-2023-26819). */
#define NUMBER_MAX 60

struct scan {
	const char *start;
	const char *at;
	const char *end;
	unsigned depth;
	size_t values;
	bool exact;
	struct json_fault *fault;
};

static int scan_value(struct scan *s);

__attribute__((format(printf, 2, 3))) static int stop(struct scan *s,
						      const char *fmt, ...)
{
	struct json_fault *f = s->fault;
	va_list ap;

	f->line = 1;
	f->column = 1;
	for (const char *c = s->start; c < s->at; c++) {
		if (*c == '\n') {
			f->line++;
			f->column = 1;
		} else if ((*c & 0xc0) != 0x80) {
			f->column++;
		}
	}
	va_start(ap, fmt);
	vsnprintf(f->what, sizeof(f->what), fmt, ap);
	va_end(ap);
	return -1;
}

/* What stands at the scanner, where `wanted` should. */
static int unexpected(struct scan *s, const char *wanted)
{
	unsigned char c;

	if (s->at == s->end)
		return stop(s, "the text ends where %s should be", wanted);
	c = (unsigned char)*s->at;
	if (c == '\0')
		return stop(s, "NUL byte");
	if (c == 0xef && s->at == s->start)
		return stop(s, "byte order mark (save as plain UTF-8)");
	if (c < 0x20 || c >= 0x7f)
		return stop(s, "byte 0x%02x where %s should be", c, wanted);
	return stop(s, "'%c' where %s should be", c, wanted);
}

static void skip_space(struct scan *s)
{
	while (s->at < s->end && *s->at != '\0' && strchr(" \t\r\n", *s->at))
		s->at++;
}

static bool take(struct scan *s, char c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

static bool take_digits(struct scan *s)
{
	const char *first = s->at;

	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > first;
}

static bool is_exact(const char *first, const char *end)
{
	static const char all_bits[] = "18446744073709551615";
	auto_free char *number = xstrndup(first, (size_t)(end - first));
	double value = strtod(number, NULL);

	return value != 0x1p64 || strcmp(number, all_bits) == 0;
}

static int scan_number(struct scan *s)
{
	const char *first = s->at;

	take(s, '-');
	if (!take(s, '0') && !take_digits(s))
		return unexpected(s, "a digit");
	if (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		return stop(s, "number with a leading zero");
	if (take(s, '.') && !take_digits(s))
		return unexpected(s, "a digit");
	if (take(s, 'e') || take(s, 'E')) {
		if (!take(s, '+'))
			take(s, '-');
		if (!take_digits(s))
			return unexpected(s, "a digit");
	}
	if (s->at - first > NUMBER_MAX) {
		s->at = first;
		return stop(s, "number of more than %d characters", NUMBER_MAX);
	}
	if (s->exact && !is_exact(first, s->at)) {
		s->at = first;
		return stop(s, "number that would be read as "
			       "18446744073709551615, which it is not");
	}
	return 0;
}

/* The four digits after "\u"; -1 when they are not there. */
static int scan_hex(struct scan *s)
{
	int value = 0;

	for (int i = 0; i < 4; i++, s->at++) {
		int digit = s->at < s->end ? hex_value(*s->at) : -1;

		if (digit < 0)
			return unexpected(s, "a hexadecimal digit");
		value = value * 16 + digit;
	}
	return value;
}

static int scan_unicode(struct scan *s)
{
	int unit = scan_hex(s);

	if (unit < 0)
		return -1;
	if (unit == 0)
		return stop(s, "NUL character in a string");
	if (unit < 0xd800 || unit > 0xdfff)
		return 0;
	if (unit < 0xdc00 && take(s, '\\') && take(s, 'u')) {
		unit = scan_hex(s);
		if (unit >= 0xdc00 && unit <= 0xdfff)
			return 0;
	}
	return unit < 0 ? -1 : stop(s, "half of a surrogate pair");
}

static int scan_escape(struct scan *s)
{
	if (take(s, 'u'))
		return scan_unicode(s);
	if (s->at == s->end || *s->at == '\0' || !strchr("\"\\/bfnrt", *s->at))
		return unexpected(s, "an escape character");
	s->at++;
	return 0;
}

static int scan_string(struct scan *s)
{
	if (!take(s, '"'))
		return unexpected(s, "a string");
	while (!take(s, '"')) {
		uint32_t cp;
		size_t len;

		if (s->at == s->end)
			return stop(s, "the text ends inside a string");
		len = text_decode(s->at, (size_t)(s->end - s->at), &cp);
		if (cp == TEXT_INVALID)
			return stop(s, "invalid UTF-8");
		if (*s->at == '\0')
			return stop(s, "NUL byte");
		if (len == 1 && (unsigned char)*s->at < 0x20)
			return stop(s, "control character in a string");
		s->at += len;
		if (s->at[-1] == '\\' && scan_escape(s) < 0)
			return -1;
	}
	return 0;
}

static int scan_member(struct scan *s)
{
	skip_space(s);
	if (scan_string(s) < 0)
		return -1;
	skip_space(s);
	if (!take(s, ':'))
		return unexpected(s, "':'");
	return scan_value(s);
}

/* An object or an array, from its opening bracket on. */
static int scan_nest(struct scan *s, char close, int (*item)(struct scan *))
{
	if (s->depth == JSON_MAX_DEPTH)
		return stop(s, "nesting of more than %d levels",
			    JSON_MAX_DEPTH);
	s->depth++;
	s->at++;
	skip_space(s);
	if (!take(s, close)) {
		do {
			if (item(s) < 0)
				return -1;
			skip_space(s);
		} while (take(s, ','));
		if (!take(s, close))
			return unexpected(s, close == '}' ? "',' or '}'"
							  : "',' or ']'");
	}
	s->depth--;
	return 0;
}

static int scan_literal(struct scan *s)
{
	static const char *const literals[] = { "true", "false", "null" };

	for (size_t i = 0; i < ARRAY_SIZE(literals); i++) {
		size_t len = strlen(literals[i]);

		if ((size_t)(s->end - s->at) >= len &&
		    memcmp(s->at, literals[i], len) == 0) {
			s->at += len;
			return 0;
		}
	}
	return unexpected(s, "a value");
}

static int scan_value(struct scan *s)
{
	skip_space(s);
	if (s->at == s->end)
		return unexpected(s, "a value");
	if (s->values++ == JSON_MAX_VALUES)
		return stop(s, "more than %d values", JSON_MAX_VALUES);
	switch (*s->at) {
	case '{':
		return scan_nest(s, '}', scan_member);
	case '[':
		return scan_nest(s, ']', scan_value);
	case '"':
		return scan_string(s);
	case '-':
	case '0' ... '9':
		return scan_number(s);
	default:
		return scan_literal(s);
	}
}

static cJSON *read_tree(const char *text, size_t len, bool exact,
			struct json_fault *fault)
{
	struct scan s = { .start = text,
			  .at = text,
			  .end = text + len,
			  .exact = exact,
			  .fault = fault };
	cJSON *tree;

	if (scan_value(&s) < 0)
		return NULL;
	skip_space(&s);
	if (s.at != s.end) {
		unexpected(&s, "the end");
		return NULL;
	}
	tree = cJSON_ParseWithLengthOpts(text, len, NULL, 0);
	if (!tree) {
		s.at = text;
		stop(&s, "no memory for the JSON tree");
	}
	return tree;
}

cJSON *json_read(const char *text, size_t len, struct json_fault *fault)
{
	return read_tree(text, len, false, fault);
}

cJSON *json_read_exact(const char *text, size_t len, struct json_fault *fault)
{
	return read_tree(text, len, true, fault);
}
