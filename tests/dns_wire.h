/* SPDX-License-Identifier: MIT */
#pragma once

/* A question to a name service, and what of its answer the tests look at. */

#include <stdint.h>
#include <string.h>
#include <sys/types.h>

static size_t make_query(uint8_t *out, const char *name, uint16_t type)
{
	size_t n = 12;

	memcpy(out, "\xab\xcd\1\0\0\1\0\0\0\0\0\0", 12);
	for (const char *label = name; *label;) {
		size_t len = strcspn(label, ".");

		out[n++] = (uint8_t)len;
		memcpy(out + n, label, len);
		n += len;
		label += len + (label[len] == '.');
	}
	out[n++] = 0;
	out[n++] = (uint8_t)(type >> 8);
	out[n++] = (uint8_t)type;
	out[n++] = 0;
	out[n++] = 1;
	return n;
}

/* The rcode, or -1 without an answer; the address of an A record in *addr. */
static int read_answer(const uint8_t *a, ssize_t n, uint32_t *addr)
{
	*addr = 0;
	if (n < 12 || a[0] != 0xab || a[1] != 0xcd)
		return -1;
	if (a[7] == 1)
		*addr = (uint32_t)a[n - 4] << 24 | a[n - 3] << 16 |
			a[n - 2] << 8 | a[n - 1];
	return a[3] & 15;
}
