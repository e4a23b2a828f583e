/* SPDX-License-Identifier: MIT */
#include "sha256.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"

/* FIPS 180-4 examples and NIST CAVP lengths around the block's edges. */
static const struct {
	const char *text;
	size_t repeat;
	const char *hex;
} known[] = {
	{ "", 1,
	  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", 1,
	  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
	  "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
	  1,
	  "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
	{ "a", 1000000,
	  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
};

static void hash(const char *data, size_t len, size_t step, bool fast,
		 char out[static SHA256_HEX])
{
	struct sha256 ctx;

	sha256_init(&ctx);
	ctx.fast = ctx.fast && fast;
	for (size_t at = 0; at < len; at += step)
		sha256_update(&ctx, data + at,
			      step < len - at ? step : len - at);
	sha256_hex(&ctx, out);
}

static void test_known(bool fast)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t one = strlen(known[i].text);
		size_t len = one * known[i].repeat;
		char *data = malloc(len + 1);
		char hex[SHA256_HEX];

		for (size_t r = 0; r < known[i].repeat; r++)
			memcpy(data + r * one, known[i].text, one);
		hash(data, len, len + 1, fast, hex);
		ok(strcmp(hex, known[i].hex) == 0, "known %zu, %s: %s", i,
		   fast ? "best" : "plain", hex);
		free(data);
	}
}

/* Every length over three blocks, in pieces, by both ways: all must agree. */
static void test_pieces(void)
{
	char data[200], whole[SHA256_HEX], other[SHA256_HEX];
	size_t wrong = 0, same = 0;
	char before[SHA256_HEX] = "";

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 37 + 11);
	for (size_t len = 0; len <= sizeof(data); len++) {
		hash(data, len, sizeof(data) + 1, false, whole);
		for (size_t step = 1; step <= 130; step++) {
			hash(data, len, step, step % 2, other);
			wrong += strcmp(whole, other) != 0;
		}
		same += strcmp(whole, before) == 0;
		memcpy(before, whole, sizeof(before));
	}
	ok(wrong == 0, "pieces of 1 to 130 bytes change nothing (%zu)", wrong);
	ok(same == 0, "each length has a hash of its own (%zu)", same);
}

int main(void)
{
	test_known(true);
	test_known(false);
	test_pieces();
	return done();
}
