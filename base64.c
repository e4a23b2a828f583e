/* SPDX-License-Identifier: MIT */
#include "base64.h"

#include <stdint.h>
#include <string.h>

#include "util.h"

char *base64(const void *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	const uint8_t *in = data;
	char *out = xcalloc((len + 2) / 3 * 4 + 1, 1);
	char *at = out;

	while (len > 0) {
		size_t n = len < 3 ? len : 3;
		uint32_t v = (uint32_t)in[0] << 16;

		v |= n > 1 ? (uint32_t)in[1] << 8 : 0;
		v |= n > 2 ? in[2] : 0;
		for (size_t i = 0; i < 4; i++)
			*at++ = i <= n ? digits[v >> (18 - 6 * i) & 63] : '=';
		in += n;
		len -= n;
	}
	return out;
}

char *base64_of_hex(const char *hex)
{
	size_t n = strlen(hex) / 2;
	auto_free uint8_t *bytes = xcalloc(n + 1, 1);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(hex_value(hex[2 * i]) * 16 +
				     hex_value(hex[2 * i + 1]));
	return base64(bytes, n);
}
