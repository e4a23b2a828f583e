/* SPDX-License-Identifier: MIT */
#include "../util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base64.h"
#include "tap.h"

#define BAD UINT64_MAX

struct number {
	const char *text;
	uint64_t value; /* BAD: refused */
};

static const struct number sizes[] = {
	{ "0", 0 },
	{ "512", 512 },
	{ "10k", 10000 },
	{ "10K", 10000 },
	{ "1.5M", 1500000 },
	{ "2Gi", 2147483648 },
	{ "1Ti", 1099511627776 },
	{ "3B", 3 },
	{ "", BAD },
	{ "-1", BAD },
	{ "+1", BAD },
	{ " 1", BAD },
	{ "1 ", BAD },
	{ "1 k", BAD },
	{ "0x10", BAD },
	{ "1e3", BAD },
	{ "inf", BAD },
	{ "1.", BAD },
	{ ".5", BAD },
	{ "1,5", BAD },
	{ "1kib", BAD },
	{ "99999999999999999999", BAD },
	{ "9999999999T", BAD },
};

static const struct number durations[] = {
	{ "90", 90000 },     { "1.5", 1500 },      { "200ms", 200 },
	{ "5m", 300000 },    { "1h30m", 5400000 }, { "1h30m5s", 5405000 },
	{ "1.5h", 5400000 }, { "0", 0 },           { "", BAD },
	{ "1h30", BAD },     { "30 s", BAD },      { "-5s", BAD },
	{ "5d", BAD },       { "s", BAD },
};

static const struct number numbers[] = {
	{ "0", 0 },    { "18446744073709551614", UINT64_MAX - 1 },
	{ "", BAD },   { "18446744073709551616", BAD },
	{ "1a", BAD }, { "-1", BAD },
	{ " 1", BAD },
};

static void test_numbers(const char *what, const struct number *rows, size_t n,
			 int (*parse)(const char *, uint64_t *))
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value = BAD;
		int rc = parse(rows[i].text, &value);

		if (rows[i].value == BAD)
			ok(rc < 0, "%s refuses \"%s\"", what, rows[i].text);
		else
			ok(rc == 0 && value == rows[i].value, "%s takes \"%s\"",
			   what, rows[i].text);
	}
}

static const char *const cleaned[][2] = {
	{ "/", "/" },           { "//a//b/", "/a/b" },
	{ "/a/./b", "/a/b" },   { "/a/../b", "/b" },
	{ "/../..", "/" },      { "/a/b/..", "/a" },
	{ "/a/..b", "/a/..b" }, { "/a/.../b", "/a/.../b" },
};

static void test_paths(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cleaned); i++) {
		auto_free char *got = path_clean(cleaned[i][0]);

		ok(strcmp(got, cleaned[i][1]) == 0, "clean %s", cleaned[i][0]);
	}
	ok(path_under("/a/b", "/a"), "/a/b is under /a");
	ok(path_under("/a", "/a"), "/a is under /a");
	ok(!path_under("/ab", "/a"), "/ab is not under /a");
	ok(path_under("/ab", "/"), "all is under /");

	auto_free char *joined = path_join("/a/", "/b");

	ok(strcmp(joined, "/a/b") == 0, "one slash between");
}

static void test_read(void)
{
	size_t len = 0;
	auto_free char *self = read_file(AT_FDCWD, "/proc/self/comm", 64, &len);
	auto_free char *zero = read_file(AT_FDCWD, "/dev/zero", 5000, NULL);

	ok(self && len > 0 && self[len] == '\0', "a file is read");
	ok(zero == NULL && errno == EFBIG, "one that is too long is not");
	ok(read_file(AT_FDCWD, "/nonexistent", 64, NULL) == NULL,
	   "a missing one is not");
}

static void test_ownership(void)
{
	auto_strv struct strv sv = { 0 };
	int fd = dup(STDOUT_FILENO);
	int taken = take_fd(&fd);

	ok(fd == -1 && taken >= 0, "take_fd moves");
	cleanup_fd(&taken);
	strv_push(&sv, xstrdup("a"));
	strv_push(&sv, xstrdup("b"));
	ok(sv.n == 2 && sv.v[2] == NULL, "a vector ends with NULL");
	ok(strv_has(&sv, "b") && !strv_has(&sv, "c"), "and finds its own");
}

/* Leap days, ends of centuries, before the epoch. */
static void test_time(void)
{
	static const time_t step = 86399 * 29;
	time_t wrong = 0;

	for (time_t when = -70000000000; when < 260000000000; when += step) {
		struct tm ours = utc_time(when), libc;

		gmtime_r(&when, &libc);
		if (ours.tm_year != libc.tm_year ||
		    ours.tm_mon != libc.tm_mon ||
		    ours.tm_mday != libc.tm_mday ||
		    ours.tm_hour != libc.tm_hour ||
		    ours.tm_min != libc.tm_min || ours.tm_sec != libc.tm_sec)
			wrong = when;
	}
	ok(wrong == 0, "utc_time is gmtime_r (%lld)", (long long)wrong);
}

static void test_timeout(void)
{
	uint64_t now = now_ms(CLOCK_MONOTONIC);
	int left = timeout_until(now + 60000);

	ok(timeout_until(0) == -1, "never");
	ok(timeout_until(now) == 0 && timeout_until(1) == 0, "it has come");
	ok(left > 0 && left <= 60000, "within a minute: %d", left);
	ok(timeout_until(now + 100 * 3600000ULL) == 3600000 &&
	       timeout_until(UINT64_MAX) == 3600000,
	   "an hour at most");
}

static void test_hex(void)
{
	static const char all[] = "0123456789abcdef0123456789ABCDEF";
	int none = 0;

	for (size_t i = 0; i < 32; i++)
		ok(hex_value(all[i]) == (int)(i % 16), "the digit %c", all[i]);
	for (int c = 0; c < 256; c++)
		none += hex_value((char)c) < 0;
	ok(none == 256 - 22, "and no other octet is one");
}

static void test_base64(void)
{
	/* RFC 4648, section 10. */
	static const char *const known[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
	};
	auto_free char *high = base64_of_hex("00fbefff0a9c");

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		auto_free char *got = base64(known[i][0], strlen(known[i][0]));

		ok(strcmp(got, known[i][1]) == 0, "base64 of \"%s\"",
		   known[i][0]);
	}
	ok(strcmp(high, "APvv/wqc") == 0, "base64 of octets told as digits");
}

int main(void)
{
	test_numbers("size", sizes, ARRAY_SIZE(sizes), parse_size);
	test_numbers("duration", durations, ARRAY_SIZE(durations),
		     parse_duration);
	test_numbers("number", numbers, ARRAY_SIZE(numbers), parse_u64);
	test_paths();
	test_read();
	test_ownership();
	test_time();
	test_timeout();
	test_hex();
	test_base64();
	return done();
}
