/* SPDX-License-Identifier: MIT */
/* ClientHellos: read whole and in pieces, honest and not. */
#include "../tls.h"

#include <stdlib.h>
#include <string.h>

#include "../util.h"
#include "tap.h"

struct bytes {
	uint8_t data[40000];
	size_t n;
};

static void put(struct bytes *b, size_t value, size_t width)
{
	while (width-- > 0)
		b->data[b->n++] = (uint8_t)(value >> (8 * width));
}

static void put_text(struct bytes *b, const char *text, size_t len)
{
	memcpy(b->data + b->n, text, len);
	b->n += len;
}

static void put_bytes(struct bytes *b, const struct bytes *what, size_t width)
{
	put(b, what->n, width);
	put_text(b, (const char *)what->data, what->n);
}

static void add_extension(struct bytes *all, unsigned int type,
			  const char *data, size_t len)
{
	put(all, type, 2);
	put(all, len, 2);
	put_text(all, data, len);
}

static void add_name(struct bytes *all, const char *name, size_t len)
{
	struct bytes list = { .n = 0 };

	put(&list, len + 3, 2);
	put(&list, 0, 1);
	put(&list, len, 2);
	put_text(&list, name, len);
	add_extension(all, 0, (const char *)list.data, list.n);
}

/* A handshake message with these extensions. */
static void make_hello(struct bytes *message, const struct bytes *extensions)
{
	static struct bytes body;

	body.n = 0;
	put(&body, 0x0303, 2);
	for (int i = 0; i < 32; i++)
		put(&body, (size_t)i, 1);
	put(&body, 0, 1);
	put(&body, 4, 2);
	put(&body, 0x1a1a1301, 4); /* GREASE, and one that is real */
	put(&body, 0x0100, 2);
	put_bytes(&body, extensions, 2);
	message->n = 0;
	put(message, 1, 1);
	put_bytes(message, &body, 3);
}

/* The message in records of at most `size` octets. */
static void make_records(struct bytes *out, const struct bytes *message,
			 size_t size)
{
	out->n = 0;
	for (size_t at = 0; at < message->n; at += size) {
		size_t n = message->n - at < size ? message->n - at : size;

		put(out, 0x160301, 3);
		put(out, n, 2);
		put_text(out, (const char *)message->data + at, n);
	}
}

static long parse(const struct bytes *in, size_t n, struct tls_hello *hello,
		  const char **why)
{
	uint8_t *copy = xcalloc(n, 1);
	long rc;

	memcpy(copy, in->data, n);
	rc = tls_client_hello(copy, n, hello, why);
	free(copy);
	return rc;
}

static struct bytes extensions, message, records;

static void usual(const char *name)
{
	extensions.n = 0;
	add_extension(&extensions, 0x2a2a, "", 0); /* GREASE */
	add_name(&extensions, name, strlen(name));
	add_extension(&extensions, 43, "\6\x3a\x3a\3\4\3\3", 7);
	make_hello(&message, &extensions);
}

static void test_whole(void)
{
	static const size_t sizes[] = { 16384, 100, 7, 4, 1 };
	struct tls_hello h;
	const char *why = NULL;

	usual("API.Example.com");
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		bool early = false;
		long rc;

		make_records(&records, &message, sizes[i]);
		rc = parse(&records, records.n, &h, &why);
		ok(rc == (long)records.n && h.has_name &&
		       !strcmp(h.name, "api.example.com") &&
		       h.version == 0x0304 && !h.ech && !h.early_data,
		   "in records of %zu: %s", sizes[i], rc < 0 ? why : h.name);
		for (size_t n = 1; n < records.n; n++)
			early |= parse(&records, n, &h, &why) != 0;
		ok(!early, "any beginning of it asks for more");
	}
	put(&records, 0x170303, 3);
	ok(parse(&records, records.n, &h, &why) == (long)records.n - 3,
	   "what follows is not its");
}

static void test_flags(void)
{
	struct tls_hello h;
	const char *why;

	extensions.n = 0;
	add_name(&extensions, "a.example", 9);
	add_extension(&extensions, 0xfe0d, "\0\0\1\0\1\0\0\0\0", 9);
	add_extension(&extensions, 42, "", 0);
	make_hello(&message, &extensions);
	make_records(&records, &message, 16384);
	ok(parse(&records, records.n, &h, &why) > 0 && h.ech && h.early_data &&
	       h.version == 0x0303,
	   "ECH, early data and the version are seen");
	extensions.n = 0;
	make_hello(&message, &extensions);
	make_records(&records, &message, 16384);
	ok(parse(&records, records.n, &h, &why) > 0 && !h.has_name,
	   "no extension, no name");
	usual("10.0.0.1");
	make_records(&records, &message, 16384);
	ok(parse(&records, records.n, &h, &why) > 0 && h.has_name && !h.name[0],
	   "a name that is none is there and empty");
	extensions.n = 0;
	add_name(&extensions, "good.example\0.evil", 18);
	make_hello(&message, &extensions);
	make_records(&records, &message, 16384);
	ok(parse(&records, records.n, &h, &why) > 0 && h.has_name && !h.name[0],
	   "a NUL in it makes it none");
}

static void refused(const char *what, const char *expected)
{
	struct tls_hello h;
	const char *why = "(it was not)";
	long rc = parse(&records, records.n, &h, &why);

	ok(rc == -1 && strstr(why, expected), "%s: refused: %s", what, why);
}

static void test_bad_extensions(void)
{
	static const struct {
		const char *what, *data, *why;
		size_t len;
	} names[] = {
		{ "an empty extension", "", "malformed", 0 },
		{ "an empty list", "\0\0", "malformed", 2 },
		{ "an empty name", "\0\3\0\0\0", "malformed", 5 },
		{ "two names", "\0\x08\0\0\1a\0\0\1b", "malformed", 10 },
		{ "another type of name", "\0\4\1\0\1a", "malformed", 6 },
		{ "a name beyond its list", "\0\4\0\0\5a", "malformed", 6 },
		{ "a list beyond its extension", "\0\x40\0\0\1a", "malformed",
		  6 },
		{ "something after the list", "\0\4\0\0\1ax", "malformed", 7 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		extensions.n = 0;
		add_extension(&extensions, 0, names[i].data, names[i].len);
		make_hello(&message, &extensions);
		make_records(&records, &message, 16384);
		refused(names[i].what, names[i].why);
	}
	usual("a.example");
	add_name(&extensions, "b.example", 9);
	make_hello(&message, &extensions);
	make_records(&records, &message, 16384);
	refused("two server name extensions", "twice");
	extensions.n = 0;
	for (unsigned int i = 0; i < 100; i++)
		add_extension(&extensions, 0x5000 + i, "", 0);
	make_hello(&message, &extensions);
	make_records(&records, &message, 16384);
	refused("a hundred extensions", "too many");
}

static void test_bad_records(void)
{
	usual("a.example");
	make_records(&records, &message, 16384);
	records.data[5] = 2;
	refused("a ServerHello", "something else");
	make_records(&records, &message, 20);
	records.data[25] = 0x17;
	refused("application data in the middle", "not TLS handshake");
	make_records(&records, &message, 16384);
	records.data[3] = 0xff;
	refused("a record of 65 kB", "longer");
	make_records(&records, &message, 16384);
	memcpy(records.data, "\x16\3\1\0\0\x16\3\1\0\5", 10);
	refused("an empty record", "empty");
	make_records(&records, &message, 16384);
	records.data[6] = 0x10;
	refused("a hello of a megabyte", "too long");
	message.data[3]++;
	message.data[message.n++] = 0;
	make_records(&records, &message, 16384);
	refused("a body with something after it", "something after");
	usual("a.example");
	put(&message, 0x14000000, 4);
	make_records(&records, &message, 16384);
	refused("a second message in the record", "something after");
	usual("a.example");
	message.data[38] = 40; /* the session id's length */
	make_records(&records, &message, 16384);
	refused("a session id of 40", "malformed");
}

static void test_begins(void)
{
	ok(tls_begins((const uint8_t *)"\x16", 1), "0x16 may be TLS");
	ok(tls_begins((const uint8_t *)"\x16\3", 2), "0x16 3 is");
	ok(tls_begins((const uint8_t *)"\x16\4", 2), "0x16 4 is, to Go");
	ok(tls_begins((const uint8_t *)"\x15\3", 2), "0x15 3 is, to Go");
	ok(!tls_begins((const uint8_t *)"\x16\x10", 2), "0x16 16 is not");
	ok(!tls_begins((const uint8_t *)"\x18\3", 2), "0x18 3 is not");
	ok(!tls_begins((const uint8_t *)"GET", 3), "GET is not");
	ok(!strcmp(tls_version_name(0x0304), "tls1.3"), "0x0304 is TLS 1.3");
	ok(!strcmp(tls_version_name(0x7f1c), "tls"), "0x7f1c is some TLS");
}

int main(void)
{
	test_whole();
	test_flags();
	test_bad_extensions();
	test_bad_records();
	test_begins();
	return done();
}
