/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Strict JSON: text that somebody else may have written is checked byte by byte
 * before cJSON sees it, because cJSON alone accepts more than JSON (NUL
 * bytes, broken UTF-8, "01") and does not say where a mistake is.
 * Duplicate keys are the caller's to find: it knows the path to name.
 */

#include <cjson/cJSON.h>
#include <stddef.h>

#define JSON_MAX_DEPTH  32
/* A byte or two of text can be a value, which takes a hundred in a tree. */
#define JSON_MAX_VALUES (4 * 1024 * 1024)

struct json_fault {
	size_t line;   /* from 1 */
	size_t column; /* from 1, in characters */
	char what[96];
};

/* The tree (cJSON_Delete is due), or NULL with the place in *fault. */
cJSON *json_read(const char *text, size_t len, struct json_fault *fault);
/* The same, where 2^64 is 18446744073709551615, all bits: other numbers that are
 * the same double are refused. */
cJSON *json_read_exact(const char *text, size_t len, struct json_fault *fault);
