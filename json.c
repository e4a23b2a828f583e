/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/*** Reading a tree ***/

bool json_is(const struct json *value, int types)
{
	return value && (value->type & types);
}

const char *json_text(const struct json *value)
{
	return json_is(value, JSON_STRING) ? value->text : NULL;
}

double json_number(const struct json *value)
{
	return json_is(value, JSON_NUMBER) ? value->number : NAN;
}

size_t json_count(const struct json *list)
{
	const struct json *item;
	size_t n = 0;

	json_each(item, list)
		n++;
	return n;
}

struct json *json_get(const struct json *object, const char *key)
{
	struct json *member;

	if (!json_is(object, JSON_OBJECT))
		return NULL;
	json_each(member, object)
		if (strcmp(member->key, key) == 0)
			return member;
	return NULL;
}

/*** Making one ***/

struct json *json_new(enum json_type type)
{
	struct json *value = xcalloc(1, sizeof(*value));

	value->type = type;
	return value;
}

struct json *json_new_bool(bool value)
{
	return json_new(value ? JSON_TRUE : JSON_FALSE);
}

struct json *json_new_number(double value)
{
	struct json *number = json_new(JSON_NUMBER);

	number->number = value;
	return number;
}

struct json *json_new_exact(uint64_t value)
{
	struct json *number = json_new_number((double)value);

	number->text = xasprintf("%llu", (unsigned long long)value);
	return number;
}

struct json *json_new_text(const char *text)
{
	struct json *string = json_new(JSON_STRING);

	string->text = xstrdup(text);
	return string;
}

struct json *json_new_texts(char *const *texts, size_t n)
{
	struct json *array = json_new(JSON_ARRAY);

	for (size_t i = 0; i < n; i++)
		json_add(array, NULL, json_new_text(texts[i]));
	return array;
}

void json_set_text(struct json *string, const char *text)
{
	char *old = string->text;

	string->text = xstrdup(text);
	free(old);
}

struct json *json_add(struct json *to, const char *key, struct json *value)
{
	value->key = key ? xstrdup(key) : NULL;
	value->prev = to->last;
	*(to->last ? &to->last->next : &to->child) = value;
	to->last = value;
	return value;
}

struct json *json_take(struct json *from, struct json *value)
{
	*(value->prev ? &value->prev->next : &from->child) = value->next;
	*(value->next ? &value->next->prev : &from->last) = value->prev;
	value->next = value->prev = NULL;
	return value;
}

void json_free(struct json *value)
{
	struct json *next;

	if (value == NULL)
		return;
	for (struct json *item = value->child; item; item = next) {
		next = item->next;
		json_free(item);
	}
	free(value->key);
	free(value->text);
	free(value);
}

/*** As text ***/

static void print_value(FILE *out, const struct json *value, bool pretty,
			int depth);

static void print_text(FILE *out, const char *text)
{
	static const char escaped[] = "\"\\\b\f\n\r\t";
	static const char letters[] = "\"\\bfnrt";

	fputc('"', out);
	for (const char *s = text; *s; s++) {
		const char *found = strchr(escaped, *s);

		if (found)
			fprintf(out, "\\%c", letters[found - escaped]);
		else if ((unsigned char)*s < 0x20)
			fprintf(out, "\\u%04x", (unsigned char)*s);
		else
			fputc(*s, out);
	}
	fputc('"', out);
}

/* As few digits as are read as the same number. */
static void print_number(FILE *out, const struct json *value)
{
	char digits[32];

	if (value->text) {
		fputs(value->text, out);
	} else if (!isfinite(value->number)) {
		fputs("null", out); /* JSON has no such number */
	} else {
		snprintf(digits, sizeof(digits), "%.15g", value->number);
		if (strtod(digits, NULL) != value->number)
			snprintf(digits, sizeof(digits), "%.17g",
				 value->number);
		fputs(digits, out);
	}
}

static void indent(FILE *out, int depth)
{
	fputc('\n', out);
	for (int i = 0; i < depth; i++)
		fputc('\t', out);
}

static void print_array(FILE *out, const struct json *array, bool pretty,
			int depth)
{
	const struct json *item;

	fputc('[', out);
	json_each(item, array) {
		print_value(out, item, pretty, depth + 1);
		if (item->next)
			fputs(pretty ? ", " : ",", out);
	}
	fputc(']', out);
}

static void print_object(FILE *out, const struct json *object, bool pretty,
			 int depth)
{
	const struct json *member;

	fputc('{', out);
	json_each(member, object) {
		if (pretty)
			indent(out, depth + 1);
		print_text(out, member->key);
		fputs(pretty ? ":\t" : ":", out);
		print_value(out, member, pretty, depth + 1);
		if (member->next)
			fputc(',', out);
	}
	if (pretty)
		indent(out, depth);
	fputc('}', out);
}

static void print_value(FILE *out, const struct json *value, bool pretty,
			int depth)
{
	switch (value->type) {
	case JSON_NULL:
		fputs("null", out);
		break;
	case JSON_FALSE:
		fputs("false", out);
		break;
	case JSON_TRUE:
		fputs("true", out);
		break;
	case JSON_NUMBER:
		print_number(out, value);
		break;
	case JSON_STRING:
		print_text(out, value->text);
		break;
	case JSON_ARRAY:
		print_array(out, value, pretty, depth);
		break;
	case JSON_OBJECT:
		print_object(out, value, pretty, depth);
		break;
	}
}

char *json_print(const struct json *value, bool pretty)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		abort(); /* out of memory, as in util.h */
	print_value(out, value, pretty, 0);
	if (fclose(out) != 0)
		abort();
	return text;
}
