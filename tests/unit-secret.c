/* SPDX-License-Identifier: MIT */
#include "secret.h"

#include <string.h>

#include "tap.h"

static struct strv secrets;
static const struct strv none = { 0 };

static void test_whole(void)
{
	static const struct {
		const char *text, *whole, *cut;
	} rows[] = {
		{ "", "", "" },
		{ "nothing", "nothing", "nothing" },
		{ "say OpenSesame!", "say ***!", "say ***!" },
		{ "abcabcab", "***", "***" },
		{ "abcabcabXY", "***", "***" },
		{ "abcabcabX", "***X", "***" },
		{ "opensesameopensesame", "******", "******" },
		{ "it is open", "it is open", "it is ***" },
		{ "it is ope", "it is ope", "it is ope" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *whole = secret_mask(&secrets, rows[i].text,
						    false);
		auto_free char *cut = secret_mask(&secrets, rows[i].text, true);

		ok(strcmp(whole, rows[i].whole) == 0, "'%s': '%s'",
		   rows[i].text, whole);
		ok(strcmp(cut, rows[i].cut) == 0, "'%s' cut: '%s'",
		   rows[i].text, cut);
	}
}

static void test_begun(void)
{
	static const struct {
		const char *text, *masked, *rest;
	} rows[] = {
		{ "", "", "" },
		{ "word ", "word ", "" },
		{ "hello", "hell", "o" },
		{ "say opensesame", "say ***", "" },
		{ "say opensesam", "say ", "opensesam" },
		{ "abcabcab", "", "abcabcab" },
		{ "abcabcabX", "", "abcabcabX" },
		{ "abcabcabZ", "***Z", "" },
		{ "xabcabc", "x", "abcabc" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *rest;
		auto_free char *masked = secret_mask_begun(&secrets,
							   rows[i].text, &rest);

		ok(strcmp(masked, rows[i].masked) == 0, "'%s' begun: '%s'",
		   rows[i].text, masked);
		ok(strcmp(rest, rows[i].rest) == 0, "'%s' waits: '%s'",
		   rows[i].text, rest);
	}
}

static void test_none(void)
{
	const char *rest;
	auto_free char *masked = secret_mask_begun(&none, "open", &rest);

	ok(strcmp(masked, "open") == 0 && !*rest, "no secret, no mask");
}

int main(void)
{
	static const char *const values[] = { "abcabcab", "abcabcabXY",
					      "opensesame" };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		strv_push(&secrets, xstrdup(values[i]));
	test_whole();
	test_begun();
	test_none();
	strv_free(&secrets);
	return done();
}
