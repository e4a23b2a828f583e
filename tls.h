/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The start of a TLS connection, as much of it as tells for whom it is.  Pure:
 * takes buffers.  What is parsed here is hostile.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netrule.h"

#define TLS_RECORD_HEADER 5
#define TLS_OLD_HEADER    4
#define TLS_RECORD_MAX    (16384 + 256)
/* Post-quantum key shares make 2 KiB; nobody honest sends eight times that. */
#define TLS_HELLO_MAX     16384

enum tls_content {
	TLS_CHANGE_CIPHER_SPEC = 20,
	TLS_ALERT = 21,
	TLS_HANDSHAKE = 22,
	TLS_APPLICATION_DATA = 23,
};

struct tls_hello {
	char name[NET_NAME_MAX]; /* canonical server name; "" when not sane */
	bool has_name;    /* there was a server_name extension with a name */
	bool ech;         /* encrypted client hello (or its GREASE) */
	bool early_data;  /* 0-RTT records may follow */
	uint16_t version; /* highest offered: 0x0304 is TLS 1.3 */
};

/* Could these bytes (1 or more) be the start of TLS? */
bool tls_begins(const uint8_t *data, size_t len);

/*
 * Could they be a ClientHello in the form of SSL 2, which OpenSSL and Java take
 * for one of TLS to this day?  It has no room for a name.  TLS_OLD_HEADER octets
 * tell for sure.
 */
bool tls_begins_old(const uint8_t *data, size_t len);

/*
 * Reads the ClientHello that `data` begins with, over as many records as it is
 * in.  Above 0: the octets these records take.  0: more is needed.  -1: it is
 * no proper ClientHello, *why says what is wrong (a literal).
 */
long tls_client_hello(const uint8_t *data, size_t len, struct tls_hello *hello,
		      const char **why);

/* "tls1.3" */
const char *tls_version_name(uint16_t version);
