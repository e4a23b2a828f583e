/* SPDX-License-Identifier: MIT */
#pragma once

/* SHA-1, for the names that git gives to contents; never for a proof. */

#include <stddef.h>
#include <stdint.h>

#define SHA1_HEX 41

struct sha1 {
	uint32_t state[5];
	uint64_t length;
	uint8_t block[64];
};

void sha1_init(struct sha1 *ctx);
void sha1_update(struct sha1 *ctx, const void *data, size_t len);
/* Ends it: 40 lower-case digits. */
void sha1_hex(struct sha1 *ctx, char out[static SHA1_HEX]);
