/* SPDX-License-Identifier: MIT */
#include "sha1.h"

#include <stdio.h>
#include <string.h>

static uint32_t rotate(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

/* FIPS 180-4, 6.1.2: the function and the constant of round t. */
static uint32_t mix(int t, uint32_t b, uint32_t c, uint32_t d)
{
	switch (t / 20) {
	case 0:
		return ((b & c) | (~b & d)) + 0x5a827999;
	case 1:
		return (b ^ c ^ d) + 0x6ed9eba1;
	case 2:
		return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
	default:
		return (b ^ c ^ d) + 0xca62c1d6;
	}
}

static void add_block(struct sha1 *ctx, const uint8_t *p)
{
	uint32_t w[80], s[5];

	for (int t = 0; t < 16; t++, p += 4)
		w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		       (uint32_t)p[2] << 8 | p[3];
	for (int t = 16; t < 80; t++)
		w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
	memcpy(s, ctx->state, sizeof(s));
	for (int t = 0; t < 80; t++) {
		uint32_t next = rotate(s[0], 5) + mix(t, s[1], s[2], s[3]) +
				s[4] + w[t];

		s[4] = s[3];
		s[3] = s[2];
		s[2] = rotate(s[1], 30);
		s[1] = s[0];
		s[0] = next;
	}
	for (int i = 0; i < 5; i++)
		ctx->state[i] += s[i];
}

void sha1_init(struct sha1 *ctx)
{
	*ctx = (struct sha1){ .state = { 0x67452301, 0xefcdab89, 0x98badcfe,
					 0x10325476, 0xc3d2e1f0 } };
}

void sha1_update(struct sha1 *ctx, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		size_t have = ctx->length % 64;
		size_t n = 64 - have < len ? 64 - have : len;

		memcpy(ctx->block + have, p, n);
		ctx->length += n;
		p += n;
		len -= n;
		if (have + n == 64)
			add_block(ctx, ctx->block);
	}
}

void sha1_hex(struct sha1 *ctx, char out[static SHA1_HEX])
{
	static const uint8_t pad[64] = { 0x80 };
	uint64_t bits = ctx->length * 8;
	uint8_t tail[8];

	for (int i = 0; i < 8; i++)
		tail[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha1_update(ctx, pad, 1 + (119 - ctx->length % 64) % 64);
	sha1_update(ctx, tail, sizeof(tail));
	for (int i = 0; i < 5; i++)
		snprintf(out + 8 * i, 9, "%08x", ctx->state[i]);
}
