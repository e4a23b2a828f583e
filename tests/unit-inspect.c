/* SPDX-License-Identifier: MIT */
/* What a connection to good.example may say, whole and in pieces. */
#include "../inspect.h"

#include <stdlib.h>
#include <string.h>

#include "../util.h"
#include "tap.h"

#define HOST     "good.example"
#define GOOD     "Host: good.example\r\n"
#define EVIL     "Host: evil.example\r\n"
#define GET      "GET / HTTP/1.1\r\n"
#define CHUNKED  GET GOOD "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKS   CHUNKED "0\r\n"
#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

/*
 * Feeds the bytes as the relay does, `step` more of them at each turn.  Returns
 * how many passed; *denied: it ended with a refusal.
 */
static size_t feed(struct inspect *in, const uint8_t *data, size_t len,
		   size_t step, struct inspect_verdict *v, bool *denied)
{
	size_t passed = 0, there = 0;

	*denied = false;
	*v = (struct inspect_verdict){ .reason = "" };
	while (there < len) {
		there = len - there < step ? len : there + step;
		for (;;) {
			size_t n = there > passed ? there - passed : 0;
			uint8_t *copy = xcalloc(n, 1);
			int64_t pass;

			memcpy(copy, data + passed, n);
			pass = inspect_next(in, copy, n, there == len, HOST, v);
			free(copy);
			if (pass < 0) {
				*denied = true;
				return passed;
			}
			if (pass == 0)
				break;
			if (pass == INSPECT_ALL)
				return len;
			passed += (size_t)pass;
		}
	}
	return passed < len ? passed : len;
}

static const struct {
	const char *what;
	uint16_t port;
	const uint8_t *data;
	size_t len;
	const char *why; /* NULL: all of it passes */
} rows[] = {
	{ "a request", 80, BYTES(GET GOOD "\r\n"), NULL },
	{ "case and port", 8080, BYTES(GET "hOST: GOOD.example:8080\r\n\r\n"),
	  NULL },
	{ "a trailing dot", 80, BYTES(GET "Host: good.example.\r\n\r\n"),
	  NULL },
	{ "two requests", 80, BYTES(GET GOOD "\r\n" GET GOOD "\r\n"), NULL },
	{ "an absolute target", 80,
	  BYTES("GET http://good.example/x HTTP/1.1\r\n" GOOD "\r\n"), NULL },
	{ "OPTIONS *", 80, BYTES("OPTIONS * HTTP/1.1\r\n" GOOD "\r\n"), NULL },
	{ "a body", 80,
	  BYTES("POST / HTTP/1.1\r\nContent-Length: 5\r\n" GOOD
		"\r\n12345" GET GOOD "\r\n"),
	  NULL },
	{ "chunks", 80,
	  BYTES("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" GOOD
		"\r\n5\r\n12345\r\nA;x=y\r\n1234567890\r\n0\r\nX: y\r\n\r\n" GET
		    GOOD "\r\n"),
	  NULL },
	{ "a body that has a request in it", 80,
	  BYTES("POST / HTTP/1.1\r\nContent-Length: 41\r\n" GOOD
		"\r\nx\r\n" GET EVIL "\r\n" GET GOOD "\r\n"),
	  NULL },
	{ "one with a field in it", 80,
	  BYTES("POST / HTTP/1.1\r\nContent-Length: 24\r\n" GOOD
		"\r\n# A b\nhost: evil.example" GET GOOD "\r\n"),
	  NULL },
	{ "one behind blanks", 80,
	  BYTES("POST / HTTP/1.1\r\nContent-Length: 24\r\n" GOOD
		"\r\n  A: b\nhost:evil.example" GET GOOD "\r\n"),
	  NULL },
	{ "a body that begins as a request", 80,
	  BYTES("POST / HTTP/1.1\r\nContent-Length: 38\r\n" GOOD "\r\n" GET EVIL
		"\r\n"),
	  "its body" },
	{ "one without a version", 80,
	  BYTES("POST / HTTP/1.1\r\nContent-Length: 29\r\n" GOOD
		"\r\nGET x\r\n" EVIL "\r\n"),
	  "its body" },
	{ "one of the first and the last letter", 80,
	  BYTES("POST / HTTP/1.1\r\nContent-Length: 26\r\n" GOOD
		"\r\nAZ x\r\n" EVIL),
	  "its body" },
	{ "a chunk's size that does", 80,
	  BYTES("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" GOOD
		"\r\n1;x / HTTP/1.1\r\nx\r\n"),
	  "a chunk" },
	{ "an underscore in a field's name", 80,
	  BYTES("POST / HTTP/1.1\r\nTransfer_Encoding: chunked\r\n"
		"Content-Length: 1\r\n" GOOD "\r\nx"),
	  "a field's name" },

	{ "another host", 80, BYTES(GET EVIL "\r\n"), "another host" },
	{ "another host in the second request", 80,
	  BYTES(GET GOOD "\r\n" GET EVIL "\r\n"), "another host" },
	{ "another host after a body", 80,
	  BYTES("POST / HTTP/1.1\r\nContent-Length: 5\r\n" GOOD
		"\r\n12345" GET EVIL "\r\n"),
	  "another host" },
	{ "another host after chunks", 80,
	  BYTES("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" GOOD
		"\r\n1\r\nx\r\n0\r\n\r\n" GET EVIL "\r\n"),
	  "another host" },
	{ "another absolute target", 80,
	  BYTES("GET http://evil.example/ HTTP/1.1\r\n" GOOD "\r\n"),
	  "another host" },
	{ "a target of another scheme", 80,
	  BYTES("GET ftps://good.example/ HTTP/1.1\r\n" GOOD "\r\n"),
	  "neither a path" },
	{ "a name behind the target's", 80,
	  BYTES("GET http://good.example?x HTTP/1.1\r\n" GOOD "\r\n"), NULL },
	{ "one behind another", 80,
	  BYTES("GET http://evil.example?good.example HTTP/1.1\r\n" GOOD
		"\r\n"),
	  "another host" },
	{ "a user in the target", 80,
	  BYTES("GET http://good.example@evil.example/ HTTP/1.1\r\n" GOOD
		"\r\n"),
	  "another host" },
	{ "CONNECT", 80,
	  BYTES("CONNECT evil.example:443 HTTP/1.1\r\n" GOOD "\r\n"),
	  "CONNECT" },
	{ "a port that is none", 80, BYTES(GET "Host: evil.example:x\r\n\r\n"),
	  "another host" },
	{ "one that ends as none", 80,
	  BYTES(GET "Host: good.example:80@evil.example\r\n\r\n"),
	  "another host" },
	{ "no port behind the colon", 80,
	  BYTES(GET "Host: good.example:\r\n\r\n"), NULL },
	{ "all digits in it", 80, BYTES(GET "Host: good.example:9080\r\n\r\n"),
	  NULL },
	{ "tabs around a value", 80, BYTES(GET "Host:\tgood.example\t\r\n\r\n"),
	  NULL },
	{ "all letters of a field's name", 80,
	  BYTES(GET "aAzZ09!#$%&'*+-.^_`|~: x\r\n" GOOD "\r\n"), NULL },
	{ "no Host", 80, BYTES(GET "\r\n"), "no Host" },
	{ "two Hosts", 80, BYTES(GET GOOD GOOD "\r\n"), "two Host" },
	{ "a Host with a space before the colon", 80,
	  BYTES(GET GOOD "Host : evil.example\r\n\r\n"), "malformed" },
	{ "a folded line", 80,
	  BYTES(GET "X: y\r\n Host: evil.example\r\n" GOOD "\r\n"),
	  "malformed" },
	{ "a bare line feed", 80, BYTES(GET "X: y\n" GOOD "\r\n"),
	  "ends badly" },
	{ "a bare carriage return", 80, BYTES(GET "X: y\rz\r\n" GOOD "\r\n"),
	  "ends badly" },
	{ "an empty line first", 80, BYTES("\r\n" GET EVIL "\r\n"),
	  "malformed" },
	{ "a NUL in a field", 80, BYTES(GET "X: a\0b\r\n" GOOD "\r\n"),
	  "malformed" },
	{ "no name of a field", 80, BYTES(GET ": x\r\n" GOOD "\r\n"),
	  "malformed" },
	{ "no method", 80, BYTES(" / HTTP/1.1\r\n" GOOD "\r\n"), "malformed" },
	{ "a comma for a point", 80, BYTES("GET / HTTP/1,1\r\n" GOOD "\r\n"),
	  "malformed" },
	{ "two lengths", 80,
	  BYTES(GET "Content-Length: 1\r\nContent-Length: 1\r\n" GOOD "\r\nx"),
	  "Content-Length" },
	{ "a length and chunks", 80,
	  BYTES(GET "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n" GOOD
		    "\r\n0\r\n\r\n"),
	  "two lengths" },
	{ "a signed length", 80,
	  BYTES(GET "Content-Length: +1\r\n" GOOD "\r\nx"), "Content-Length" },
	{ "a body of one octet", 80,
	  BYTES(GET GOOD "Content-Length: 1\r\n\r\nx" GET GOOD "\r\n"), NULL },
	{ "the longest body", 80,
	  BYTES(GET GOOD "Content-Length: 109999999999999999\r\n\r\nx"), NULL },
	{ "a longer one", 80,
	  BYTES(GET GOOD "Content-Length: 9999999999999999999\r\n\r\nx"),
	  "Content-Length" },
	{ "a length beyond all", 80,
	  BYTES(GET "Content-Length: 99999999999999999999\r\n" GOOD "\r\n"),
	  "Content-Length" },
	{ "another encoding", 80,
	  BYTES(GET "Transfer-Encoding: gzip, chunked\r\n" GOOD "\r\n"),
	  "Transfer-Encoding" },
	{ "chunks in HTTP/1.0", 80,
	  BYTES("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" GOOD "\r\n"),
	  "two lengths" },
	{ "a chunk of no size", 80,
	  BYTES(GET "Transfer-Encoding: chunked\r\n" GOOD "\r\n\r\n"),
	  "chunk" },
	{ "a signed chunk", 80,
	  BYTES(GET "Transfer-Encoding: chunked\r\n" GOOD "\r\n-1\r\n"),
	  "chunk" },
	{ "a chunk longer than it said", 80, BYTES(CHUNKED "1\r\nxy\r\n"),
	  "does not end where" },
	{ "sizes in two digits", 80,
	  BYTES(CHUNKED "10\r\n1234567890123456\r\n0\r\n\r\n" GET GOOD "\r\n"),
	  NULL },
	{ "the largest chunk", 80, BYTES(CHUNKED "fffffffffffffff\r\nx"),
	  NULL },
	{ "a larger one", 80, BYTES(CHUNKED "0000000000000001\r\nx"),
	  "a chunk's size" },
	{ "blanks behind its size", 80,
	  BYTES(CHUNKED "1 \t;x\r\nx\r\n1 \r\nx\r\n0\r\n\r\n" GET GOOD "\r\n"),
	  NULL },
	{ "more than blanks", 80, BYTES(CHUNKED "1 1\r\nx\r\n"),
	  "a chunk's size" },
	{ "a NUL behind it", 80, BYTES(CHUNKED "1\0x\r\nx\r\n"),
	  "a chunk's size" },
	{ "one in what extends it", 80, BYTES(CHUNKED "1;x\0\r\nx\r\n"),
	  "a chunk's size" },
	{ "a bare line feed behind it", 80, BYTES(CHUNKED "1\nx\r\n"),
	  "framing" },
	{ "a bare carriage return", 80, BYTES(CHUNKED "1;\rx\r\nx\r\n"),
	  "framing" },
	{ "a length in a trailer", 80,
	  BYTES(CHUNKS "Content-Length: 1\r\n\r\n"), "trailer" },
	{ "an encoding in it", 80,
	  BYTES(CHUNKS "Transfer-Encoding: chunked\r\n\r\n"), "trailer" },
	{ "an upgrade in it", 80, BYTES(CHUNKS "Upgrade: h2c\r\n\r\n"),
	  "trailer" },
	{ "HTTP/2", 80, BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "HTTP/2" },
	{ "HTTP/0.9", 80, BYTES("GET /\r\n"), "malformed" },
	{ "a word", 80, BYTES("hello\r\n"), "malformed" },
	{ "half a head", 80, BYTES(GET GOOD), "middle" },

	{ "a hello of TLS 4.1", 443, BYTES("\x16\4\1\0\5\1\0\0\1x"),
	  "not TLS handshake" },
	{ "an alert before the hello", 443,
	  BYTES("\x15\3\3\0\2\1\x5a\x16\3\1\0\5\1\0\0\1x"),
	  "not TLS handshake" },
	{ "a hello in the form of SSL 2", 443,
	  BYTES("\x80\x2e\1\3\3\0\x15\0\0\0\x10"), "SSL 2" },
	{ "a PROXY header", 8443,
	  BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n\x16\3\1"), "PROXY" },
	{ "one in binary", 5432, BYTES("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"),
	  "PROXY" },
	{ "half of one", 5432, BYTES("\r\n\r\n\0\r"), NULL },
	{ "telnet", 23, BYTES("\xff\xfd\3\xff\xfb\x18"), NULL },
	{ "a byte", 7, BYTES("\xff"), NULL },
	{ "two upgrades", 80,
	  BYTES(GET GOOD "Upgrade: h2c\r\nUpgrade: websocket\r\n\r\n"),
	  "two Upgrade" },
	{ "two keys", 80,
	  BYTES(GET GOOD "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: b\r\n"
			 "\r\n"),
	  "two Sec-WebSocket-Key" },
	{ "a late upgrade", 80,
	  BYTES(GET GOOD "\r\n" GET GOOD "Upgrade: websocket\r\n\r\n" GET EVIL
			 "\r\n"),
	  "another host" },
	{ "binary on 80", 80, BYTES("\1\2\3"), NULL },
	{ "ssh", 22, BYTES("SSH-2.0-OpenSSH_9.2p1 Debian\r\n"), NULL },
	{ "postgres", 5432, BYTES("\0\0\0\x08\4\xd2\x16\x2f"), NULL },
	{ "redis", 6379, BYTES("*1\r\n$4\r\nPING\r\n"), NULL },
	{ "redis by hand", 6379, BYTES("GET key\r\n"), NULL },
	{ "smtp", 25, BYTES("EHLO client.example\r\n"), NULL },
	{ "a word without an end", 7, BYTES("HELLO"), NULL },
	{ "json", 9000, BYTES("{\"id\":1}"), NULL },
	{ "HTTP on another port", 3000, BYTES(GET GOOD "\r\n"), NULL },
	{ "its evil twin", 3000, BYTES(GET EVIL "\r\n"), "another host" },
	{ "and behind an empty line", 3000, BYTES("\r\n" GET EVIL "\r\n"),
	  "malformed" },
	{ "a method in small letters", 3000,
	  BYTES("get / HTTP/1.1\r\n" EVIL "\r\n"), "refused" },
	{ "one with a line", 3000, BYTES("M-SEARCH * HTTP/1.1\r\n" EVIL "\r\n"),
	  "refused" },
	{ "one of any letters", 3000,
	  BYTES("f_1.o http://evil.example/ HTTP/1.1\r\n" GOOD "\r\n"),
	  "refused" },
	{ "one that is long", 3000,
	  BYTES("ABCDEFGHIJKLMNOPQ /  HTTP/1.1\r\n" EVIL "\r\n"), "refused" },
	{ "tabs behind it", 3000, BYTES("get\t/\tHTTP/1.1\r\n" EVIL "\r\n"),
	  "refused" },
	{ "two spaces behind it", 3000,
	  BYTES("GET  / HTTP/1.1\r\n" GOOD "\r\n"), "malformed" },
	{ "another target", 3000, BYTES("GET ?x HTTP/1.1\r\n" EVIL "\r\n"),
	  "neither a path" },
	{ "a blank before it", 3000, BYTES(" " GET EVIL "\r\n"), "malformed" },
	{ "a blank of Python's", 80, BYTES("\x1c" GET EVIL "\r\n"),
	  "malformed" },
	{ "one behind it", 3000, BYTES("GET\xa0/ HTTP/1.1\r\n" EVIL "\r\n"),
	  "malformed" },
	{ "blanks of other protocols", 7, BYTES("\x1e\0\1\2"), NULL },
	{ "a word of zookeeper", 2181, BYTES("ruok"), NULL },
	{ "a line of it", 2181, BYTES("stat\n"), NULL },
	{ "a method without a version", 3000, BYTES("GET /x\r\n" EVIL "\r\n"),
	  "malformed" },
	{ "one with a line without a version", 3000,
	  BYTES("M-SEARCH /x\r\n" EVIL "\r\n"), "malformed" },
	{ "and an underscore", 3000, BYTES("GET_PARAMETER /x\r\n" EVIL "\r\n"),
	  "malformed" },
	{ "for the server itself", 3000, BYTES("PRI *\r\n" EVIL "\r\n"),
	  "malformed" },
	{ "longer than any method", 3000,
	  BYTES("ABCDEFGHIJKLMNOPQ /x\r\n" EVIL "\r\n"), "refused" },
	{ "with a whole address", 3000, BYTES("GET http://x/\r\n" EVIL "\r\n"),
	  "malformed" },
	{ "of HTTP's kin", 3000, BYTES("SOURCE x ICE/1.0\r\n" EVIL "\r\n"),
	  "malformed" },
	{ "of video", 3000, BYTES("GET x RTSP/1.0\r\n" EVIL "\r\n"),
	  "malformed" },
	{ "a NUL in a target", 3000,
	  BYTES("GET /a\0b HTTP/1.1\r\n" EVIL "\r\n"), "malformed" },
	{ "a method that begins with a digit", 3000,
	  BYTES("0GET / HTTP/1.1\r\n" EVIL "\r\n"), "refused" },
	{ "that looks like git's", 3000,
	  BYTES("0032git-upload-pack / HTTP/1.1\r\n" EVIL "\r\n"), "refused" },
	{ "for an address", 3000,
	  BYTES("0GET http://evil.example/ HTTP/1.0\r\n\r\n"), "refused" },
	{ "of a later version", 3000,
	  BYTES("0GET http://evil.example/ HTTP/1.9\r\n\r\n"), "refused" },
	{ "with a line feed alone", 3000,
	  BYTES("0GET http://evil.example/ HTTP/1.0\n\n"), "refused" },
	{ "with a version twice", 3000,
	  BYTES("0GET http://evil.example/ HTTP/1.0 HTTP/1.0\r\n\r\n"),
	  "refused" },
	{ "no blank before a version", 3000,
	  BYTES("0GET xHTTP/1.0\n.HTTP/1.0\n"), NULL },
	{ "a carriage return that may end a line", 3000,
	  BYTES("0 x\rHost: evil.example\r\n"), "refused" },
	{ "a folded line before the field", 3000, BYTES("0 x\r\n y\r\n" EVIL),
	  "refused" },
	{ "other line ends before it", 3000, BYTES("x\r\ny:\n" EVIL),
	  "refused" },
	{ "a request in a text", 514, BYTES("a b\nc\nGET / HTTP/1.1\n"), NULL },
	{ "a method of other octets", 3000,
	  BYTES("G@T / HTTP/1.1\r\n" EVIL "\r\n"), "refused" },
	{ "of binary ones", 80, BYTES("\1\xff / HTTP/1.1\r\n" EVIL "\r\n"),
	  "refused" },
	{ "a byte order mark", 8080, BYTES("\xef\xbb\xbf" GET EVIL "\r\n"),
	  "refused" },
	{ "a NUL before it", 80, BYTES("\0" GET EVIL "\r\n"), "refused" },
	{ "line feeds in a method", 3000,
	  BYTES("{\nx\nGET / HTTP/1.1\r\n" EVIL "\r\n"), "refused" },
	{ "two carriage returns at its end", 3000,
	  BYTES("{ /x y\r\r\nz\r\n" EVIL "\r\n"), "refused" },
	{ "a target of any octets without a version", 3000,
	  BYTES("GET x\r\n" EVIL "\r\n"), "refused" },
	{ "and with line feeds alone", 3000, BYTES("GET x\nhost :evil.example"),
	  "refused" },
	{ "a word alone", 3000, BYTES("x\r\n" EVIL "\r\n"), "refused" },
	{ "a second head", 3000,
	  BYTES("0 x\r\nX: y\r\n\r\nbody\r\nbody\r\nx y\r\n" EVIL), "refused" },
	{ "a proxy without a version", 3000,
	  BYTES("CONNECT evil.example:443\r\n\r\n"), "malformed" },
	{ "behind two blanks", 3000, BYTES("CONNECT  evil.example:443\r\n\r\n"),
	  "malformed" },
	{ "behind an empty line", 3000,
	  BYTES("\r\nCONNECT evil.example:443\r\n\r\n"), "malformed" },
	{ "nats", 4222, BYTES("CONNECT {\"verbose\":false}\r\nPING\r\n"),
	  NULL },
	{ "stomp", 61613,
	  BYTES("CONNECT\naccept-version:1.2\nhost:good.example\n\n\0"), NULL },
	{ "sip", 5060,
	  BYTES("REGISTER sip:a SIP/2.0\r\nVia: b\r\n\r\n"
		"REGISTER sip:a SIP/2.0\r\n"),
	  NULL },
	{ "a log", 514, BYTES("<190>a: \"GET / HTTP/1.1\" 200\n"), NULL },
	{ "a log of a program's", 514, BYTES("app: \"GET / HTTP/1.1\" 200\n"),
	  NULL },
	{ "mail", 25,
	  BYTES("EHLO x\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n" EVIL),
	  NULL },
	{ "a request in a store", 6379,
	  BYTES("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$36\r\n" GET EVIL), NULL },
	{ "one behind binary words", 5432, BYTES("\0\0\0\x08\r\n\1\n" GET EVIL),
	  NULL },
	{ "a trailer that is a request", 80,
	  BYTES(CHUNKS "X: y\r\n" GET EVIL "\r\n"), "trailer" },
	{ "one that is a field", 80,
	  BYTES(CHUNKS "X: / HTTP/1.1\r\n" EVIL "\r\n"), "trailer" },
	{ "a Host in it", 80, BYTES(CHUNKS EVIL "\r\n"), "trailer" },
	{ "git", 9418, BYTES("0032git-upload-pack /x.git\0host=x\0"), NULL },
	{ "words", 7, BYTES("hello (there) HTTP/"), NULL },
	{ "memcached", 11211, BYTES("get key\r\nget key\r\n"), NULL },
	{ "HTTP that ends badly", 3000, BYTES("GET / HTTP/1.1\n" EVIL "\n"),
	  "ends badly" },
};

static void test_rows(void)
{
	static const size_t steps[] = { 100000, 1, 7 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(steps); k++) {
			struct inspect in;
			struct inspect_verdict v;
			bool denied;
			size_t n;

			inspect_begin(&in, rows[i].port);
			n = feed(&in, rows[i].data, rows[i].len, steps[k], &v,
				 &denied);
			if (rows[i].why)
				ok(denied && strstr(v.reason, rows[i].why),
				   "%s, by %zu: refused: %s", rows[i].what,
				   steps[k], v.reason);
			else
				ok(!denied && n == rows[i].len,
				   "%s, by %zu: passes (%s)", rows[i].what,
				   steps[k], v.reason);
		}
	}
}

/* Of so many that our window holds nothing else: servers skip any number. */
static void test_empty_lines(void)
{
	static const char evil[] = GET EVIL "\r\n";
	static uint8_t data[INSPECT_WINDOW + sizeof(evil)];
	const size_t lens[] = { 100, HTTP1_HEAD_MAX, INSPECT_WINDOW };

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		struct inspect_verdict v = { .reason = "" };
		struct inspect in;
		int64_t pass;

		for (size_t k = 0; k < lens[i]; k++)
			data[k] = "\r\n"[k % 2];
		memcpy(data + lens[i], evil, sizeof(evil));
		inspect_begin(&in, 3000);
		/* As of a full window, the end is not in sight. */
		pass = inspect_next(&in, data,
				    lens[i] < INSPECT_WINDOW
					? lens[i] + sizeof(evil) - 1
					: INSPECT_WINDOW,
				    true, HOST, &v);
		ok(pass < 0, "%zu octets of empty lines: %s", lens[i],
		   v.reason);
	}
}

static bool is_denied(struct inspect *in, const void *data, size_t len)
{
	struct inspect_verdict v;
	bool denied;

	feed(in, data, len, len, &v, &denied);
	return denied;
}

/* What is read whole may be so long, and no longer. */
static void test_lengths(void)
{
	static const struct {
		const char *what, *before, *begin, *end, *behind;
		size_t most; /* from `begin` to `end` */
	} lengths[] = {
		{ "a head", "", GET GOOD "X: ", "\r\n\r\n", "",
		  HTTP1_HEAD_MAX },
		{ "a line that begins a body", CHUNKED, "1;", "\r\n", "x",
		  HTTP1_LINE_MAX },
		{ "a trailer", CHUNKS, "X: ", "\r\n", "\r\n", HTTP1_LINE_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (size_t more = 0; more < 2; more++) {
			size_t len = lengths[i].most + more;
			size_t fill = len - strlen(lengths[i].begin) -
				      strlen(lengths[i].end);
			auto_free char *pad = xcalloc(fill + 1, 1);
			auto_free char *text = NULL;
			struct inspect in;

			memset(pad, 'a', fill);
			text = xasprintf("%s%s%s%s%s", lengths[i].before,
					 lengths[i].begin, pad, lengths[i].end,
					 lengths[i].behind);
			inspect_begin(&in, 80);
			ok(is_denied(&in, text, strlen(text)) == (more > 0),
			   "%s of %zu octets", lengths[i].what, len);
		}
	}
}

/* By the request, however many there were on the connection. */
static void test_trailers(void)
{
	static const size_t counts[] = { 64, 64, 65 };
	struct inspect in;

	inspect_begin(&in, 80);
	for (size_t n = 0; n < ARRAY_SIZE(counts); n++) {
		char text[1000] = CHUNKS;

		for (size_t i = 0; i < counts[n]; i++)
			strcat(text, "X: y\r\n");
		strcat(text, "\r\n");
		ok(is_denied(&in, text, strlen(text)) == (counts[n] > 64),
		   "%zu trailers", counts[n]);
	}
}

/* What no server takes for a head any more. */
static void test_watch(void)
{
	static const uint8_t line[] = "x:aaaa\n";
	struct http1_watch watch = { .size = (8 << 20) - 14 };
	size_t n = 0;

	while (!watch.over && n < 10) {
		http1_watch(&watch, line, 7);
		n++;
	}
	ok(n == 3, "watched for 8 MiB, and %zu octets", n * 7 - 14);
}

/* A target that our window cannot hold. */
static void test_long_target(void)
{
	static uint8_t data[INSPECT_WINDOW] = "x /";
	struct inspect_verdict v = { .reason = "" };
	struct inspect in;

	memset(data + 3, 'a', sizeof(data) - 3);
	inspect_begin(&in, 3000);
	ok(inspect_next(&in, data, sizeof(data), true, HOST, &v) < 0,
	   "a target without an end: %s", v.reason);
}

/*** TLS ***/

static size_t make_hello(uint8_t *out, const char *name, bool ech)
{
	size_t len = strlen(name), n = 0;
	size_t exts = (len ? 9 + len : 0) + (ech ? 4 : 0);
	size_t body = 2 + 32 + 1 + 4 + 2 + 2 + exts;

	memcpy(out, "\x16\3\1", 3);
	out[3] = (uint8_t)((body + 4) >> 8);
	out[4] = (uint8_t)(body + 4);
	memcpy(out + 5, "\1\0", 2);
	out[7] = (uint8_t)(body >> 8);
	out[8] = (uint8_t)body;
	memset(out + 9, 3, 34);
	n = 43;
	memcpy(out + n, "\0\0\2\x13\1\1\0\0", 8);
	n += 8;
	out[n++] = (uint8_t)exts;
	if (len) {
		memcpy(out + n, "\0\0\0\0\0\0\0\0\0", 9);
		out[n + 3] = (uint8_t)(len + 5);
		out[n + 5] = (uint8_t)(len + 3);
		out[n + 8] = (uint8_t)len;
		memcpy(out + n + 9, name, len);
		n += 9 + len;
	}
	if (ech) {
		memcpy(out + n, "\xfe\x0d\0\0", 4);
		n += 4;
	}
	return n;
}

static const struct {
	const char *what, *first, *between, *second;
	size_t n_between;
	bool ech;
	const char *why;
	bool allow_ech;
} hellos[] = {
	{ "the name", HOST, "\x14\3\3\0\1\1\x17\3\3\0\1x", NULL, 12, false,
	  NULL },
	{ "another name", "evil.example", "", NULL, 0, false, "another host" },
	{ "no name", "", "", NULL, 0, false, "without a server name" },
	{ "ECH", HOST, "", NULL, 0, true, "ECH" },
	{ "ECH that may be", HOST, "", HOST, 0, true, NULL, .allow_ech = true },
	{ "ECH for another host", "evil.example", "", NULL, 0, true,
	  "another host", .allow_ech = true },
	{ "ECH for nobody", "", "", NULL, 0, true, "without a server name",
	  .allow_ech = true },
	{ "ECH, and a second hello for another", HOST, "\x14\3\3\0\1\1",
	  "evil.example", 6, true, "another host", .allow_ech = true },
	{ "a second hello", HOST, "\x14\3\3\0\1\1", HOST, 6, false, NULL },
	{ "a second hello for another", HOST, "\x14\3\3\0\1\1", "evil.example",
	  6, false, "another host" },
	{ "one behind an alert", HOST, "\x15\3\3\0\2\1\x5a", "evil.example", 7,
	  false, "another host" },
	{ "one behind an empty record", HOST, "\x16\3\3\0\0", "evil.example", 5,
	  false, "empty" },
	{ "at once", HOST, "", "evil.example", 0, false, "another host" },
	{ "a sealed end that begins as one", HOST,
	  "\x14\3\3\0\1\1\x16\3\3\0\x10\1\x04\0\0"
	  "234567890abc",
	  NULL, 27, false, NULL },
	{ "a hello in pieces behind it", HOST, "\x16\3\3\0\1\1\x16\3\3\0\1\x04",
	  NULL, 12, false, "middle" },
	{ "a key exchange, then anything", HOST, "\x16\3\3\0\2\x10x",
	  "evil.example", 7, false, NULL },
};

static void test_hellos(void)
{
	static const size_t steps[] = { 100000, 1 };

	for (size_t i = 0; i < ARRAY_SIZE(hellos); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(steps); k++) {
			struct inspect in;
			struct inspect_verdict v;
			uint8_t data[1000];
			bool denied;
			size_t n, passed;

			n = make_hello(data, hellos[i].first, hellos[i].ech);
			memcpy(data + n, hellos[i].between,
			       hellos[i].n_between);
			n += hellos[i].n_between;
			if (hellos[i].second)
				n += make_hello(data + n, hellos[i].second,
						false);
			inspect_begin(&in, 443);
			in.allow_ech = hellos[i].allow_ech;
			passed = feed(&in, data, n, steps[k], &v, &denied);
			ok(hellos[i].why
			       ? denied && strstr(v.reason, hellos[i].why)
			       : !denied && passed == n,
			   "TLS: %s, by %zu: %s", hellos[i].what, steps[k],
			   denied ? v.reason : "passes");
		}
	}
}

/*** Upgrades ***/

/* RFC 6455, section 1.3. */
#define KEY    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define ACCEPT "sec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n"
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\n"

static int upgrade(const char *to, const char *answer, struct inspect *in)
{
	struct inspect_verdict v;
	char request[300];
	bool denied;
	int n = snprintf(request, sizeof(request),
			 GET GOOD "Upgrade: %s\r\n" KEY "\r\n" GET EVIL "\r\n",
			 to);
	size_t passed;

	inspect_begin(in, 80);
	passed = feed(in, (const uint8_t *)request, (size_t)n, 1000, &v,
		      &denied);
	ok(!denied && passed < (size_t)n && inspect_awaits_answer(in),
	   "%s: what follows the request waits", to);
	ok(inspect_answer(in, (const uint8_t *)answer, 5, &v) ==
	       (memcmp(answer, "HTTP/", 5) ? 1 : 0),
	   "half an answer is none");
	return inspect_awaits_answer(in)
		   ? inspect_answer(in, (const uint8_t *)answer, strlen(answer),
				    &v)
		   : 1;
}

/* A request for a websocket, answered by ever more of this. */
static int answered(const char *fields, const char *answer)
{
	struct inspect_verdict v;
	struct inspect in;
	char request[200];
	bool denied;
	int rc = 0,
	    n = snprintf(request, sizeof(request),
			 GET GOOD "Upgrade: websocket\r\n%s\r\n", fields);

	inspect_begin(&in, 80);
	feed(&in, (const uint8_t *)request, (size_t)n, 1000, &v, &denied);
	for (size_t len = 1; rc == 0 && len <= strlen(answer); len++)
		rc = inspect_answer(&in, (const uint8_t *)answer, len, &v);
	return rc;
}

static void test_answers(void)
{
	static const struct {
		const char *what, *fields, *answer;
		int rc;
	} answers[] = {
		{ "the right one", KEY,
		  SWITCH "Upgrade: websocket\r\n" ACCEPT "X: y\r\n\r\n", 1 },
		{ "not all of it", KEY, SWITCH ACCEPT "X: y\r\n", 0 },
		{ "of a server that stays", KEY, SWITCH "X: y\r\n\r\n", -1 },
		{ "of another key", KEY,
		  SWITCH "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp="
			 "\r\n\r\n",
		  -1 },
		{ "the beginning of it", KEY,
		  SWITCH "Sec-WebSocket-Accept: s3pPLMBiTxaQ9\r\n\r\n", -1 },
		{ "an empty one", KEY, SWITCH "Sec-WebSocket-Accept:\r\n\r\n",
		  -1 },
		{ "without a question", "", SWITCH ACCEPT "\r\n", -1 },
		{ "in its body", KEY, SWITCH "\r\n" ACCEPT "\r\n", -1 },
		{ "with other line ends", KEY, SWITCH "X: y\n" ACCEPT "\r\n",
		  -1 },
	};

	char *long_one = xcalloc(HTTP1_HEAD_MAX + 2, 1);

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		ok(answered(answers[i].fields, answers[i].answer) ==
		       answers[i].rc,
		   "an answer: %s", answers[i].what);
	memset(long_one, 'a', HTTP1_HEAD_MAX + 1);
	memcpy(long_one, SWITCH, sizeof(SWITCH) - 1);
	ok(answered(KEY, long_one) == -1, "an answer: without an end");
	long_one[HTTP1_HEAD_MAX] = '\0';
	ok(answered(KEY, long_one) == 0, "an answer: as long as can be");
	free(long_one);
}

static void test_upgrades(void)
{
	struct inspect_verdict v = { .reason = "" };
	struct inspect in;

	ok(upgrade("websocket", SWITCH ACCEPT "\r\n", &in) == 1 &&
	       inspect_next(&in, BYTES("\x81\5hello"), false, HOST, &v) ==
		   INSPECT_ALL,
	   "a websocket is a websocket");
	ok(upgrade("websocket", "HTTP/1.1 200 OK\r\n", &in) == 1 &&
	       inspect_next(&in, BYTES(GET EVIL "\r\n"), false, HOST, &v) < 0,
	   "a server that will not: HTTP as before");
	ok(upgrade("h2c", "HTTP/1.1 101 Switching", &in) == -1,
	   "HTTP/2 in the clear is refused");
	ok(upgrade("h2c", "HTTP/1.1 200 OK\r\n", &in) == 1 &&
	       inspect_next(&in, BYTES(GET GOOD "\r\n"), false, HOST, &v) > 0,
	   "unless the server will not either");
}

int main(void)
{
	test_rows();
	test_empty_lines();
	test_lengths();
	test_trailers();
	test_watch();
	test_long_target();
	test_hellos();
	test_upgrades();
	test_answers();
	return done();
}
