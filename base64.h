/* SPDX-License-Identifier: MIT */
#pragma once

/* Base64 (RFC 4648), as headers and policies of HTTP want it. */

#include <stddef.h>

/* The caller frees it. */
char *base64(const void *data, size_t len);
/* Of bytes that are told as pairs of lower-case digits, as our hashes are. */
char *base64_of_hex(const char *hex);
