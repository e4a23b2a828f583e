/* SPDX-License-Identifier: MIT */
#pragma once

/* SHA-256 (FIPS 180-4): hash of artifacts and executed files. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX 65 /* 64 digits and the NUL */

struct sha256 {
	uint32_t state[8];
	uint64_t length;
	uint8_t block[64];
	bool fast; /* the CPU has instructions for it; false: plain C */
};

void sha256_init(struct sha256 *ctx);
void sha256_update(struct sha256 *ctx, const void *data, size_t len);
/* Ends it: 64 lower-case digits. */
void sha256_hex(struct sha256 *ctx, char out[static SHA256_HEX]);
