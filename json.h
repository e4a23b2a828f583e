/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON as a tree.  The reader is strict: text that somebody else may have
 * written is what RFC 8259 allows, UTF-8, without NUL, or is refused with the
 * place of the mistake.  Duplicate keys are the caller's to find: it knows the
 * path to name.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_DEPTH  32
/* A byte or two of text can be a value, which takes a hundred in a tree. */
#define JSON_MAX_VALUES (4 * 1024 * 1024)

/* One bit each, so that json_is can ask for several. */
enum json_type {
	JSON_NULL = 1,
	JSON_FALSE = 2,
	JSON_TRUE = 4,
	JSON_NUMBER = 8,
	JSON_STRING = 16,
	JSON_ARRAY = 32,
	JSON_OBJECT = 64,
};

#define JSON_BOOL (JSON_FALSE | JSON_TRUE)

struct json {
	enum json_type type;
	struct json *next, *prev;
	struct json *child, *last; /* of an array or object */
	char *key;                 /* of a member of an object */
	char *text;                /* a string; a number that is told exactly */
	double number;
};

struct json_fault {
	size_t line;   /* from 1 */
	size_t column; /* from 1, in characters */
	char what[96];
};

/* The tree (json_free is due), or NULL with the place in *fault. */
struct json *json_read(const char *text, size_t len, struct json_fault *fault);
/* The same, where 2^64 is 18446744073709551615, all bits: other numbers that are
 * the same double are refused. */
struct json *json_read_exact(const char *text, size_t len,
			     struct json_fault *fault);

/* Each of these takes NULL for a value that is not there. */
bool json_is(const struct json *value, int types);
const char *json_text(const struct json *value); /* NULL: no string */
double json_number(const struct json *value);    /* NaN: no number */
size_t json_count(const struct json *list);
struct json *json_get(const struct json *object, const char *key);
#define json_each(item, list)                                                  \
	for ((item) = (list) ? (list)->child : NULL; (item);                   \
	     (item) = (item)->next)

struct json *json_new(enum json_type type);
struct json *json_new_bool(bool value);
struct json *json_new_number(double value);
/* To 64 bits: a double has 53. */
struct json *json_new_exact(uint64_t value);
struct json *json_new_text(const char *text);
struct json *json_new_texts(char *const *texts, size_t n);
void json_set_text(struct json *string, const char *text);
/* Takes `value` over, and returns it.  In an array, `key` is NULL. */
struct json *json_add(struct json *to, const char *key, struct json *value);
/* Out of where it is; json_free is due. */
struct json *json_take(struct json *from, struct json *value);
/* With all below it. */
void json_free(struct json *value);

/* As text (owned): on one line, or on many for people. */
char *json_print(const struct json *value, bool pretty);
