/* SPDX-License-Identifier: MIT */
#include "tls.h"

#include <string.h>

#include "util.h"

#define CLIENT_HELLO    1
#define EXT_SERVER_NAME 0
#define EXT_EARLY_DATA  42
#define EXT_SUPPORTED   43
#define EXT_ECH         0xfe0d
#define EXT_ESNI        0xffce /* ECH's predecessor */
#define EXTENSIONS_MAX  64

/* A cursor that never leaves its bytes; once it would, it is broken. */
struct cursor {
	const uint8_t *p;
	size_t left;
	bool broken;
};

static const uint8_t *take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->broken || n > c->left) {
		c->broken = true;
		return NULL;
	}
	c->p += n;
	c->left -= n;
	return p;
}

/* A number of `n` octets; 0 when broken. */
static uint32_t number(struct cursor *c, size_t n)
{
	const uint8_t *p = take(c, n);
	uint32_t value = 0;

	for (size_t i = 0; p && i < n; i++)
		value = value << 8 | p[i];
	return value;
}

/* A vector with its length in `n` octets before it. */
static struct cursor vector(struct cursor *c, size_t n)
{
	struct cursor v = { .left = number(c, n) };

	v.p = take(c, v.left);
	if (c->broken)
		v = (struct cursor){ .broken = true };
	return v;
}

/*** Extensions ***/

static const char *read_server_name(struct cursor data, struct tls_hello *hello)
{
	struct cursor list = vector(&data, 2);
	uint32_t type = number(&list, 1);
	struct cursor name = vector(&list, 2);

	/* One name of the one type there is: a second one would be for whoever
	 * reads lists from the other end. */
	if (name.broken || type != 0 || list.left > 0 || data.left > 0 ||
	    name.left == 0)
		return "its server name extension is malformed";
	hello->has_name = true;
	if (net_name_ascii((const char *)name.p, name.left, hello->name) < 0)
		hello->name[0] = '\0';
	return NULL;
}

static const char *read_versions(struct cursor data, struct tls_hello *hello)
{
	struct cursor list = vector(&data, 1);

	hello->version = 0;
	while (list.left > 0 && !list.broken) {
		uint16_t version = (uint16_t)number(&list, 2);

		/* GREASE values (RFC 8701) are no versions. */
		if ((version & 0x0f0f) != 0x0a0a && version > hello->version)
			hello->version = version;
	}
	return list.broken || data.left > 0
		   ? "its list of versions is malformed"
		   : NULL;
}

static const char *read_early_data(struct cursor data, struct tls_hello *hello)
{
	(void)data;
	hello->early_data = true;
	return NULL;
}

static const char *read_ech(struct cursor data, struct tls_hello *hello)
{
	(void)data;
	hello->ech = true;
	return NULL;
}

static const struct {
	uint16_t type;
	const char *(*read)(struct cursor data, struct tls_hello *hello);
} extensions[] = {
	{ EXT_SERVER_NAME, read_server_name },
	{ EXT_EARLY_DATA, read_early_data },
	{ EXT_SUPPORTED, read_versions },
	{ EXT_ECH, read_ech },
	{ EXT_ESNI, read_ech },
};

static const char *read_extension(uint16_t type, struct cursor data,
				  struct tls_hello *hello)
{
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++)
		if (extensions[i].type == type)
			return extensions[i].read(data, hello);
	return NULL;
}

static const char *read_extensions(struct cursor *body, struct tls_hello *hello)
{
	struct cursor all = vector(body, 2);
	uint16_t seen[EXTENSIONS_MAX];
	size_t n = 0;

	while (all.left > 0 && !all.broken) {
		uint16_t type = (uint16_t)number(&all, 2);
		struct cursor data = vector(&all, 2);
		const char *why;

		for (size_t i = 0; i < n; i++)
			if (seen[i] == type)
				return "it has an extension twice";
		if (n == EXTENSIONS_MAX)
			return "it has too many extensions";
		seen[n++] = type;
		if (data.broken)
			break;
		why = read_extension(type, data, hello);
		if (why)
			return why;
	}
	return all.broken ? "its extensions are malformed" : NULL;
}

/*** The message ***/

static const char *read_body(struct cursor body, struct tls_hello *hello)
{
	struct cursor session, ciphers, compression;

	hello->version = (uint16_t)number(&body, 2);
	take(&body, 32); /* random */
	session = vector(&body, 1);
	ciphers = vector(&body, 2);
	compression = vector(&body, 1);
	if (body.broken || session.left > 32 || ciphers.left < 2 ||
	    compression.left < 1)
		return "it is malformed";
	if (body.left > 0) {
		const char *why = read_extensions(&body, hello);

		if (why)
			return why;
	}
	return body.left > 0 ? "there is something after it" : NULL;
}

/*
 * What some server takes for TLS, not only what is: Go's takes any version
 * below 16.0 in the first record, and warning alerts before the hello.  What is
 * not right is refused when the hello is read.
 */
bool tls_begins(const uint8_t *data, size_t len)
{
	return data[0] >= TLS_CHANGE_CIPHER_SPEC &&
	       data[0] <= TLS_APPLICATION_DATA && (len < 2 || data[1] < 16);
}

bool tls_begins_old(const uint8_t *data, size_t len)
{
	static const size_t type = 2, version = 3;

	return (data[0] & 0x80) &&
	       (len <= type || data[type] == CLIENT_HELLO) &&
	       (len <= version || data[version] == 3);
}

/* Is the message whole?  Its size with the header, or 0. */
static size_t message_size(const uint8_t *message, size_t n)
{
	if (n < 4)
		return 0;
	return 4 + ((size_t)message[1] << 16 | message[2] << 8 | message[3]);
}

/* A record of the hello at `c` into message[]; 1 done, 0 incomplete, -1. */
static int read_record(struct cursor *c, uint8_t *message, size_t *n,
		       const char **why)
{
	struct cursor record, payload;
	uint32_t type, version;

	record = *c;
	if (record.left < TLS_RECORD_HEADER)
		return 0;
	type = number(&record, 1);
	version = number(&record, 2);
	if (type != TLS_HANDSHAKE || version >> 8 != 3) {
		*why = "its records are not TLS handshake records";
		return -1;
	}
	payload = vector(&record, 2);
	if (payload.broken) {
		if ((c->p[3] << 8 | c->p[4]) <= TLS_RECORD_MAX)
			return 0;
		*why = "a record is longer than TLS has it";
		return -1;
	}
	if (payload.left == 0 || payload.left > TLS_HELLO_MAX - *n) {
		*why = payload.left ? "it is too long" : "a record is empty";
		return -1;
	}
	memcpy(message + *n, payload.p, payload.left);
	*n += payload.left;
	*c = record;
	return 1;
}

long tls_client_hello(const uint8_t *data, size_t len, struct tls_hello *hello,
		      const char **why)
{
	uint8_t message[TLS_HELLO_MAX];
	struct cursor c = { data, len, false };
	size_t n = 0, size = 0;

	*hello = (struct tls_hello){ 0 };
	while (size == 0 || n < size) {
		int rc = read_record(&c, message, &n, why);

		if (rc <= 0)
			return rc;
		if (message[0] != CLIENT_HELLO) {
			*why = "the handshake begins with something else";
			return -1;
		}
		size = message_size(message, n);
		if (size > TLS_HELLO_MAX) {
			*why = "it is too long";
			return -1;
		}
	}
	if (n > size) {
		*why = "there is something after it in its record";
		return -1;
	}
	*why = read_body((struct cursor){ message + 4, size - 4, false },
			 hello);
	return *why ? -1 : (long)(len - c.left);
}

const char *tls_version_name(uint16_t version)
{
	static const char *const names[] = { "ssl3", "tls1.0", "tls1.1",
					     "tls1.2", "tls1.3" };
	unsigned int minor = version - 0x0300u;

	return minor < ARRAY_SIZE(names) ? names[minor] : "tls";
}
