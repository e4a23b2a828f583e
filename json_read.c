/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "util.h"

/* More digits than any double needs: what is longer is no honest number. */
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

/* Each fills `value`, which is in the tree already. */
static int scan_value(struct scan *s, struct json *value);

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

static bool is_exact(double value, const char *digits)
{
	return value != 0x1p64 || strcmp(digits, "18446744073709551615") == 0;
}

static int scan_number(struct scan *s, struct json *value)
{
	const char *first = s->at;
	char digits[NUMBER_MAX + 1] = "";

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
	memcpy(digits, first, (size_t)(s->at - first));
	value->type = JSON_NUMBER;
	value->number = strtod(digits, NULL);
	if (s->exact && !is_exact(value->number, digits)) {
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

static uint32_t hex4(const char *digits)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value = value * 16 + (uint32_t)hex_value(digits[i]);
	return value;
}

static char *put_utf8(char *to, uint32_t cp)
{
	if (cp < 0x80) {
		*to++ = (char)cp;
	} else if (cp < 0x800) {
		*to++ = (char)(0xc0 | cp >> 6);
		*to++ = (char)(0x80 | (cp & 0x3f));
	} else if (cp < 0x10000) {
		*to++ = (char)(0xe0 | cp >> 12);
		*to++ = (char)(0x80 | (cp >> 6 & 0x3f));
		*to++ = (char)(0x80 | (cp & 0x3f));
	} else {
		*to++ = (char)(0xf0 | cp >> 18);
		*to++ = (char)(0x80 | (cp >> 12 & 0x3f));
		*to++ = (char)(0x80 | (cp >> 6 & 0x3f));
		*to++ = (char)(0x80 | (cp & 0x3f));
	}
	return to;
}

/* What the scanner found to be good: from a backslash on, to behind the escape. */
static const char *decode_escape(const char *from, char **to)
{
	static const char letters[] = "bfnrt";
	static const char escaped[] = "\b\f\n\r\t";
	const char *found = strchr(letters, from[1]);
	uint32_t unit;

	if (from[1] != 'u') {
		*(*to)++ = found ? escaped[found - letters] : from[1];
		return from + 2;
	}
	unit = hex4(from + 2);
	if (unit < 0xd800 || unit > 0xdfff) {
		*to = put_utf8(*to, unit);
		return from + 6;
	}
	*to = put_utf8(*to, 0x10000 + ((unit - 0xd800) << 10) +
				(hex4(from + 8) - 0xdc00));
	return from + 12;
}

/* No escape is shorter than what it stands for. */
static char *decode(const char *from, const char *end)
{
	char *text = xcalloc((size_t)(end - from) + 1, 1), *to = text;

	while (from < end)
		if (*from == '\\')
			from = decode_escape(from, &to);
		else
			*to++ = *from++;
	return text;
}

static int scan_string(struct scan *s, char **text)
{
	const char *first = s->at + 1;

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
	*text = decode(first, s->at - 1);
	return 0;
}

static int scan_text(struct scan *s, struct json *value)
{
	value->type = JSON_STRING;
	return scan_string(s, &value->text);
}

static int scan_item(struct scan *s, struct json *array)
{
	return scan_value(s, json_add(array, NULL, json_new(JSON_NULL)));
}

static int scan_member(struct scan *s, struct json *object)
{
	auto_free char *key = NULL;

	skip_space(s);
	if (scan_string(s, &key) < 0)
		return -1;
	skip_space(s);
	if (!take(s, ':'))
		return unexpected(s, "':'");
	return scan_value(s, json_add(object, key, json_new(JSON_NULL)));
}

/* An object or an array, from its opening bracket on. */
static int scan_nest(struct scan *s, struct json *value)
{
	bool object = *s->at == '{';
	char close = object ? '}' : ']';

	value->type = object ? JSON_OBJECT : JSON_ARRAY;
	if (s->depth == JSON_MAX_DEPTH)
		return stop(s, "nesting of more than %d levels",
			    JSON_MAX_DEPTH);
	s->depth++;
	s->at++;
	skip_space(s);
	if (!take(s, close)) {
		do {
			if ((object ? scan_member : scan_item)(s, value) < 0)
				return -1;
			skip_space(s);
		} while (take(s, ','));
		if (!take(s, close))
			return unexpected(s,
					  object ? "',' or '}'" : "',' or ']'");
	}
	s->depth--;
	return 0;
}

static int scan_literal(struct scan *s, struct json *value)
{
	static const struct {
		const char *word;
		enum json_type type;
	} literals[] = {
		{ "true", JSON_TRUE },
		{ "false", JSON_FALSE },
		{ "null", JSON_NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(literals); i++) {
		size_t len = strlen(literals[i].word);

		if ((size_t)(s->end - s->at) >= len &&
		    memcmp(s->at, literals[i].word, len) == 0) {
			value->type = literals[i].type;
			s->at += len;
			return 0;
		}
	}
	return unexpected(s, "a value");
}

static int scan_value(struct scan *s, struct json *value)
{
	skip_space(s);
	if (s->at == s->end)
		return unexpected(s, "a value");
	if (s->values++ == JSON_MAX_VALUES)
		return stop(s, "more than %d values", JSON_MAX_VALUES);
	switch (*s->at) {
	case '{':
	case '[':
		return scan_nest(s, value);
	case '"':
		return scan_text(s, value);
	case '-':
	case '0' ... '9':
		return scan_number(s, value);
	default:
		return scan_literal(s, value);
	}
}

static struct json *read_tree(const char *text, size_t len, bool exact,
			      struct json_fault *fault)
{
	struct scan s = { .start = text,
			  .at = text,
			  .end = text + len,
			  .exact = exact,
			  .fault = fault };
	struct json *tree = json_new(JSON_NULL);

	if (scan_value(&s, tree) == 0) {
		skip_space(&s);
		if (s.at == s.end)
			return tree;
		unexpected(&s, "the end");
	}
	json_free(tree);
	return NULL;
}

struct json *json_read(const char *text, size_t len, struct json_fault *fault)
{
	return read_tree(text, len, false, fault);
}

struct json *json_read_exact(const char *text, size_t len,
			     struct json_fault *fault)
{
	return read_tree(text, len, true, fault);
}
