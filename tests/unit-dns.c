/* SPDX-License-Identifier: MIT */
/* DNS messages: what is read from a query, and what goes back. */
#include "../dns.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "../util.h"
#include "tap.h"

#define HEADER(flags, qd, an, ns, ar)                                          \
	"\x12\x34" flags "\0" qd "\0" an "\0" ns "\0" ar
#define QUERY     HEADER("\x01\0", "\1", "\0", "\0", "\0")
#define QUERY_EXT HEADER("\x01\0", "\1", "\0", "\0", "\1")
#define NAME      "\3aPi\7example\0"
#define A_IN      "\0\1\0\1"
#define OPT       "\0\0\x29\x04\xd0\0\0\0\0\0\0"
#define EXTRA     "\0\0\1\0\1\0\0\0\0\0\0"

/* sizeof would count the literal's own NUL. */
#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

static const struct {
	const char *what;
	const uint8_t *message;
	size_t len;
	int rc;
	const char *name; /* NULL: not looked at */
	uint16_t type;
	const char *shown; /* NULL: as `name` */
} queries[] = {
	{ "an A question", BYTES(QUERY NAME A_IN), 0, "api.example", 1,
	  "aPi.example" },
	{ "an HTTPS question", BYTES(QUERY NAME "\0\x41\0\1"), 0, "api.example",
	  65, "aPi.example" },
	{ "EDNS", BYTES(QUERY_EXT NAME A_IN OPT), 0, "api.example", 1,
	  "aPi.example" },
	{ "the root", BYTES(QUERY "\0\0\x02\0\1"), 0, "", 2, "." },
	{ "one octet", BYTES(QUERY "\1-\0" A_IN), 0, "", 1, "-" },
	{ "odd octets in a label", BYTES(QUERY "\5a\0b\n\xff\3com\0" A_IN), 0,
	  "", 1, "a?b??.com" },
	{ "all others in one", BYTES(QUERY "\x15@AMZ[`amz{/059:-_. ~\"\0" A_IN),
	  0, "", 1, "?AMZ??amz??059?-_.???" },
	{ "a dot in a label", BYTES(QUERY "\3a.b\3com\0" A_IN), 0, "", 1,
	  "a.b.com" },
	{ "a label as long as a dot's number",
	  BYTES(QUERY
		"\x2e"
		"1234567890123456789012345678901234567890123456\3com\0" A_IN),
	  0, "1234567890123456789012345678901234567890123456.com", 1 },
	{ "a signature behind it",
	  BYTES(QUERY_EXT NAME A_IN "\1k\0\0\xfa\0\xff\0\0\0\0\0\2\1\1"), 0,
	  "api.example", 1, "aPi.example" },
	{ "four records behind it",
	  BYTES(HEADER("\1\0", "\1", "\0", "\0", "\4")
		    NAME A_IN EXTRA EXTRA EXTRA EXTRA),
	  0, "api.example", 1, "aPi.example" },
	{ "five",
	  BYTES(HEADER("\1\0", "\1", "\0", "\0", "\5")
		    NAME A_IN EXTRA EXTRA EXTRA EXTRA EXTRA),
	  DNS_FORMERR, NULL, 0 },
	{ "one record less than said",
	  BYTES(HEADER("\1\0", "\1", "\0", "\0", "\2") NAME A_IN EXTRA),
	  DNS_FORMERR, NULL, 0 },
	{ "an authority in a query",
	  BYTES(HEADER("\1\0", "\1", "\0", "\1", "\0") NAME A_IN EXTRA),
	  DNS_FORMERR, NULL, 0 },
	{ "a number",
	  BYTES(QUERY "\3"
		      "127\1"
		      "1\0" A_IN),
	  0, "", 1, "127.1" },
	{ "nothing", BYTES(""), -1, NULL, 0 },
	{ "half a header", BYTES("\x12\x34\1\0\0\1"), -1, NULL, 0 },
	{ "an answer",
	  BYTES(HEADER("\x81\x80", "\1", "\0", "\0", "\0") NAME A_IN), -1, NULL,
	  0 },
	{ "an update",
	  BYTES(HEADER("\x28\0", "\1", "\0", "\0", "\0") NAME A_IN), DNS_NOTIMP,
	  NULL, 0 },
	{ "no question", BYTES(HEADER("\1\0", "\0", "\0", "\0", "\0")),
	  DNS_FORMERR, NULL, 0 },
	{ "two questions",
	  BYTES(HEADER("\1\0", "\2", "\0", "\0", "\0") NAME A_IN NAME A_IN),
	  DNS_FORMERR, NULL, 0 },
	{ "an answer in a query",
	  BYTES(HEADER("\1\0", "\1", "\1", "\0", "\0") NAME A_IN), DNS_FORMERR,
	  NULL, 0 },
	{ "a pointer to itself", BYTES(QUERY "\xc0\x0c" A_IN), DNS_FORMERR,
	  NULL, 0 },
	{ "a pointer in the middle", BYTES(QUERY "\1a\xc0\x0c" A_IN),
	  DNS_FORMERR, NULL, 0 },
	{ "a label type of old", BYTES(QUERY "\x41\1\0" A_IN), DNS_FORMERR,
	  NULL, 0 },
	{ "a label beyond the end",
	  BYTES(QUERY "\x3f"
		      "abc"),
	  DNS_FORMERR, NULL, 0 },
	{ "a name without end", BYTES(QUERY "\3abc"), DNS_FORMERR, NULL, 0 },
	{ "no type", BYTES(QUERY NAME), DNS_FORMERR, NULL, 0 },
	{ "half a class", BYTES(QUERY NAME "\0\1\0"), DNS_FORMERR, NULL, 0 },
	{ "class CHAOS", BYTES(QUERY NAME "\0\x10\0\3"), DNS_REFUSED, NULL, 0 },
	{ "EDNS version 1",
	  BYTES(QUERY_EXT NAME A_IN "\0\0\x29\x04\xd0\0\1\0\0\0\0"),
	  DNS_BADVERS, NULL, 0 },
	{ "half an OPT", BYTES(QUERY_EXT NAME A_IN "\0\0\x29\x04"), DNS_FORMERR,
	  NULL, 0 },
	{ "an OPT but for an octet",
	  BYTES(QUERY_EXT NAME A_IN "\0\0\x29\x04\xd0\0\0\0\0\0"), DNS_FORMERR,
	  NULL, 0 },
	{ "an OPT longer than the message",
	  BYTES(QUERY_EXT NAME A_IN "\0\0\x29\x04\xd0\0\0\0\0\0\4x"),
	  DNS_FORMERR, NULL, 0 },
	{ "two OPTs",
	  BYTES(HEADER("\1\0", "\1", "\0", "\0", "\2") NAME A_IN OPT OPT),
	  DNS_FORMERR, NULL, 0 },
	{ "an OPT with a name",
	  BYTES(QUERY_EXT NAME A_IN "\1x\0\0\x29\x04\xd0\0\0\0\0\0\0"),
	  DNS_FORMERR, NULL, 0 },
	{ "a crowd of extra records",
	  BYTES(HEADER("\1\0", "\1", "\0", "\0", "\x63") NAME A_IN),
	  DNS_FORMERR, NULL, 0 },
};

static void test_queries(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
		struct dns_query q;
		/* An exact copy: what reads beyond it is seen by ASan. */
		uint8_t *copy = xcalloc(queries[i].len, 1);
		const char *shown = queries[i].shown ? queries[i].shown
						     : queries[i].name;
		int rc;

		memcpy(copy, queries[i].message, queries[i].len);
		rc = dns_parse(copy, queries[i].len, &q);
		ok(rc == queries[i].rc &&
		       (!queries[i].name ||
			(!strcmp(q.name, queries[i].name) &&
			 !strcmp(q.shown, shown) && q.type == queries[i].type)),
		   "%s: %d, \"%s\" shown as \"%s\"", queries[i].what, rc,
		   q.name, q.shown);
		free(copy);
	}
}

static void test_long_names(void)
{
	uint8_t message[400] = QUERY;
	struct dns_query q;
	size_t at = 12;

	for (int i = 0; i < 4; i++) {
		message[at++] = i < 3 ? 63 : 61;
		memset(message + at, 'a', 63);
		at += i < 3 ? 63 : 61;
	}
	message[at++] = 0;
	memcpy(message + at, A_IN, 4);
	ok(dns_parse(message, at + 4, &q) == 0 && strlen(q.name) == 253 &&
	       strcmp(q.name, q.shown) == 0,
	   "a name of 255 octets is read");
	message[20] = '%';
	ok(dns_parse(message, at + 4, &q) == 0 && !q.name[0] &&
	       strlen(q.shown) == 253,
	   "and shown, when it is no host's");
	message[12 + 3 * 64] = 62;
	message[at - 1] = 'a';
	message[at] = 0;
	memcpy(message + at + 1, A_IN, 4);
	ok(dns_parse(message, at + 5, &q) == DNS_FORMERR,
	   "one of 256 is refused");
}

static void test_long_messages(void)
{
	static const uint8_t begin[] = QUERY_EXT NAME A_IN OPT;
	static uint8_t message[DNS_MESSAGE_MAX + 1];
	struct dns_query q;

	memcpy(message, begin, sizeof(begin) - 1);
	for (size_t len = DNS_MESSAGE_MAX; len <= sizeof(message); len++) {
		size_t data = len - (sizeof(begin) - 1);
		bool read;

		message[sizeof(begin) - 3] = (uint8_t)(data >> 8);
		message[sizeof(begin) - 2] = (uint8_t)data;
		read = dns_parse(message, len, &q) == 0;
		ok(read == (len == DNS_MESSAGE_MAX), "%zu octets are %s", len,
		   read ? "read" : "refused");
	}
}

static void test_answers(void)
{
	static const uint8_t edns[] = QUERY_EXT NAME A_IN OPT;
	static const uint8_t want[] =
	    "\x12\x34\x85\x80\0\1\0\1\0\0\0\1" NAME A_IN
	    "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc6\x12\1\0" OPT;
	struct in_addr addr = { htonl(0xc6120100) };
	uint8_t out[DNS_ANSWER_MAX];
	struct dns_query q;
	size_t n;

	ok(dns_parse(edns, sizeof(edns) - 1, &q) == 0, "a query with EDNS");
	n = dns_answer(edns, &q, DNS_NOERROR, &addr, out);
	ok(n == sizeof(want) - 1 && memcmp(out, want, n) == 0,
	   "is answered with A, case kept, and EDNS");
	n = dns_answer(edns, &q, DNS_REFUSED, NULL, out);
	ok(n == sizeof(edns) - 1 && (out[3] & 15) == DNS_REFUSED && !out[7],
	   "or refused");
	n = dns_answer(edns, &q, DNS_BADVERS, NULL, out);
	ok((out[3] & 15) == 0 && out[n - 6] == 1, "BADVERS is in two places");
	q.question_end = 12;
	q.edns = false;
	n = dns_answer(edns, &q, DNS_FORMERR, NULL, out);
	ok(n == 12 && out[5] == 0, "an unreadable question is not repeated");
}

static void test_types(void)
{
	char name[16];

	dns_type_name(28, name);
	ok(!strcmp(name, "AAAA"), "28 is %s", name);
	dns_type_name(65535, name);
	ok(!strcmp(name, "TYPE65535"), "65535 is %s", name);
}

int main(void)
{
	test_queries();
	test_long_names();
	test_long_messages();
	test_answers();
	test_types();
	return done();
}
