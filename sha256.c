/* SPDX-License-Identifier: MIT */
#include "sha256.h"

#include <stdbool.h>
#include <string.h>

static const uint32_t k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, unsigned int n)
{
	return x >> n | x << (32 - n);
}

static uint32_t big_endian(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static void expand(uint32_t w[64], const uint8_t *block)
{
	for (int i = 0; i < 16; i++)
		w[i] = big_endian(block + 4 * i);
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] +
		       (rotr(a, 7) ^ rotr(a, 18) ^ a >> 3) +
		       (rotr(b, 17) ^ rotr(b, 19) ^ b >> 10);
	}
}

static void compress_one(uint32_t state[8], const uint8_t *block)
{
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
	uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
	uint32_t w[64];

	expand(w, block);
	for (int i = 0; i < 64; i++) {
		uint32_t t1 = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) +
			      ((e & f) ^ (~e & g)) + k[i] + w[i];
		uint32_t t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) +
			      ((a & b) ^ (a & c) ^ (b & c));

		h = g, g = f, f = e, e = d + t1;
		d = c, c = b, b = a, a = t1 + t2;
	}
	state[0] += a, state[1] += b, state[2] += c, state[3] += d;
	state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

/* `n` blocks of 64 bytes into the state. */
static void compress_any(uint32_t *state, const uint8_t *data, size_t n)
{
	for (; n > 0; n--, data += 64)
		compress_one(state, data);
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

/*
 * An artifact is as large as the payload likes, and plain C does 200 MB/s:
 * less than zstd.  Most x86 CPUs since 2017 have these instructions (2 GB/s).
 */
__attribute__((target("sha,sse4.1"))) static void
compress_sha_ni(uint32_t *state, const uint8_t *data, size_t n)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL,
					    0x0405060700010203LL);
	__m128i lo = _mm_loadu_si128((const __m128i *)state);
	__m128i hi = _mm_loadu_si128((const __m128i *)(state + 4));
	__m128i abef, cdgh;

	/* The instructions want the state as ABEF and CDGH. */
	lo = _mm_shuffle_epi32(lo, 0xB1);
	hi = _mm_shuffle_epi32(hi, 0x1B);
	abef = _mm_alignr_epi8(lo, hi, 8);
	cdgh = _mm_blend_epi16(hi, lo, 0xF0);
	for (; n > 0; n--, data += 64) {
		const __m128i abef_was = abef, cdgh_was = cdgh;
		__m128i w[4];

		for (int i = 0; i < 4; i++)
			w[i] = _mm_shuffle_epi8(
			    _mm_loadu_si128((const __m128i *)data + i), swap);
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) {
			__m128i wk = _mm_add_epi32(
			    w[i & 3],
			    _mm_loadu_si128((const __m128i *)(k + 4 * i)));
			__m128i next;

			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
			wk = _mm_shuffle_epi32(wk, 0x0E);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, wk);
			if (i >= 12)
				continue;
			/* w[i+4] out of w[i], w[i+1], w[i+2] and w[i+3] */
			next = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);
			next = _mm_add_epi32(
			    next,
			    _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
			w[i & 3] = _mm_sha256msg2_epu32(next, w[(i + 3) & 3]);
		}
		abef = _mm_add_epi32(abef, abef_was);
		cdgh = _mm_add_epi32(cdgh, cdgh_was);
	}
	lo = _mm_shuffle_epi32(abef, 0x1B);
	hi = _mm_shuffle_epi32(cdgh, 0xB1);
	_mm_storeu_si128((__m128i *)state, _mm_blend_epi16(lo, hi, 0xF0));
	_mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(hi, lo, 8));
}

static bool ask_cpu(void)
{
	unsigned int a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1) ||
	    !(c & bit_SSSE3))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

/* Asked once: in a virtual machine each CPUID is a trap to its monitor, which
 * takes longer than the hash of a line. */
static bool has_sha_ni(void)
{
	static int known = -1;

	if (known < 0)
		known = ask_cpu();
	return known;
}
#else
#define compress_sha_ni compress_any

static bool has_sha_ni(void)
{
	return false;
}
#endif

static void compress(struct sha256 *ctx, const uint8_t *data, size_t n)
{
	if (ctx->fast)
		compress_sha_ni(ctx->state, data, n);
	else
		compress_any(ctx->state, data, n);
}

void sha256_init(struct sha256 *ctx)
{
	*ctx = (struct sha256){
		.state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 },
		.fast = has_sha_ni(),
	};
}

void sha256_update(struct sha256 *ctx, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t have = ctx->length % 64;
	size_t part = have && len > 64 - have ? 64 - have : len;

	if (len == 0)
		return;
	ctx->length += len;
	if (have || len < 64) {
		memcpy(ctx->block + have, p, part);
		if (have + part < 64)
			return;
		compress(ctx, ctx->block, 1);
		p += part;
		len -= part;
	}
	compress(ctx, p, len / 64);
	memcpy(ctx->block, p + len / 64 * 64, len % 64);
}

void sha256_hex(struct sha256 *ctx, char out[static SHA256_HEX])
{
	static const char digits[] = "0123456789abcdef";
	uint64_t bits = ctx->length * 8;
	uint8_t pad[72] = { 0x80 };
	size_t n = 1 + (119 - ctx->length % 64) % 64;

	for (int i = 0; i < 8; i++)
		pad[n + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_update(ctx, pad, n + 8);
	for (int i = 0; i < 64; i++)
		out[i] = digits[ctx->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
	out[64] = '\0';
}
