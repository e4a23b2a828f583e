/* SPDX-License-Identifier: MIT */

/* The tree, its reader and its printer, beside those of cJSON. */

#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "tap.h"
#include "util.h"

/* As cJSON prints what it reads of the same text. */
static bool prints_same(const char *text, bool pretty)
{
	struct json_fault fault;
	struct json *tree = json_read(text, strlen(text), &fault);
	cJSON *other = cJSON_Parse(text);
	auto_free char *ours = tree ? json_print(tree, pretty) : NULL;
	auto_free char *theirs = pretty ? cJSON_Print(other)
					: cJSON_PrintUnformatted(other);
	bool same = ours && theirs && strcmp(ours, theirs) == 0;

	if (!same)
		printf("# %s\n# in place of %s\n", ours ? ours : fault.what,
		       theirs ? theirs : "nothing");
	json_free(tree);
	cJSON_Delete(other);
	return same;
}

static void test_documents(void)
{
	static const char *const texts[] = {
		"null",
		" true ",
		"[false,true,null]",
		"{}",
		"[]",
		"[[],{},[{}],{\"a\":{}}]",
		"{\"a\":[1,{\"b\":[2,3],\"c\":{\"d\":\"e\"}},4],\"a\":5}",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"\"\\u0001\\u001f\\u007f\\u0080\\u07ff\\u0800\\ud7ff\\uffff\"",
		"\"\\ud800\\udc00\\uDBFF\\uDFFF\\u00Ee\"",
		"{\"\\u0061\\n\":\"\xc3\xa4\xe2\x80\xa8\xf0\x9f\x98\x80\x7f\"}",
		"{\"\":\"\"}",
		"[0,-0,1,-1,2147483647,-2147483648,2147483648,4294967296]",
		"[0.1,1.5,-2.25,1e3,1E+3,1e-7,123456789012345678,1e400,-1e400]",
		"[900719925474099,1e15,1e21,0.30000000001]",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		ok(prints_same(texts[i], false) && prints_same(texts[i], true),
		   "read and printed as cJSON does: %s", texts[i]);
}

/* What a number is printed as is read as that number. */
static void test_numbers(void)
{
	static const double values[] = { 0.1 + 0.2, 0x1p53 - 1, M_PI,
					 1.0 / 3,   5e-324,     DBL_MAX,
					 -1e-10,    12345.678 };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct json *number = json_new_number(values[i]);
		auto_free char *text = json_print(number, false);

		ok(strtod(text, NULL) == values[i], "%.17g is printed as %s",
		   values[i], text);
		json_free(number);
	}
}

static void test_exact(void)
{
	struct json *number = json_new_exact(UINT64_MAX);
	auto_free char *text = json_print(number, false);

	ok(strcmp(text, "18446744073709551615") == 0, "64 bits: %s", text);
	json_free(number);
}

static void test_absent(void)
{
	struct json *list = json_new(JSON_ARRAY);
	const struct json *nothing = NULL, *item;
	int n = 0;

	json_each(item, nothing)
		n++;
	ok(!json_is(NULL, JSON_NULL) && !json_text(NULL) && n == 0 &&
	       isnan(json_number(NULL)) && json_count(NULL) == 0 &&
	       !json_get(NULL, "a"),
	   "of what is not there nothing is told");
	json_add(list, NULL, json_new_text("a"));
	ok(!json_get(list, "a") && isnan(json_number(list->child)),
	   "and nothing of what is something else");
	json_free(list);
}

/* "abc", of which some are taken out, and "d" put in. */
static void test_take(void)
{
	static const struct {
		const char *out, *left;
	} rows[] = {
		{ "a", "bcd" },
		{ "b", "acd" },
		{ "c", "abd" },
		{ "abc", "d" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *object = json_new(JSON_OBJECT);
		const struct json *member;
		char left[8] = "";

		for (const char *c = "abc"; *c; c++)
			json_add(object, (char[]){ *c, 0 },
				 json_new(JSON_NULL));
		for (const char *c = rows[i].out; *c; c++)
			json_free(json_take(
			    object, json_get(object, (char[]){ *c, 0 })));
		json_add(object, "d", json_new(JSON_NULL));
		json_each(member, object)
			strcat(left, member->key);
		ok(strcmp(left, rows[i].left) == 0, "without %s: %s",
		   rows[i].out, left);
		json_free(object);
	}
}

static void test_depth(void)
{
	char text[2 * JSON_MAX_DEPTH + 4] = "";
	struct json_fault fault;
	struct json *tree;

	for (size_t depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1;
	     depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		tree = json_read(text, 2 * depth, &fault);
		ok(!tree == (depth > JSON_MAX_DEPTH), "%zu levels", depth);
		json_free(tree);
	}
}

int main(void)
{
	test_documents();
	test_numbers();
	test_exact();
	test_absent();
	test_take();
	test_depth();
	return done();
}
