/* SPDX-License-Identifier: MIT */
#include "inspect.h"

#include <stdio.h>
#include <string.h>

#include "tls.h"
#include "util.h"

static const struct {
	uint16_t port;
	bool plain_http;
} client_first[] = {
	{ 80, true }, { 443, false }, { 8080, true }, { 8443, false }
};

bool inspect_client_first(uint16_t port)
{
	for (size_t i = 0; i < ARRAY_SIZE(client_first); i++)
		if (client_first[i].port == port)
			return true;
	return false;
}

void inspect_begin(struct inspect *inspect, uint16_t port)
{
	*inspect = (struct inspect){ .kind = INSPECT_UNKNOWN };
	for (size_t i = 0; i < ARRAY_SIZE(client_first); i++)
		if (client_first[i].port == port)
			inspect->plain_http = client_first[i].plain_http;
}

static int64_t let_pass(struct inspect *inspect)
{
	inspect->kind = INSPECT_OPAQUE;
	return INSPECT_ALL;
}

/*** TLS ***/

static int refuse_hello(struct inspect_verdict *verdict, const char *why)
{
	snprintf(verdict->reason, sizeof(verdict->reason),
		 "TLS: the client's hello cannot be trusted: %s", why);
	return -1;
}

static int check_name(const struct tls_hello *hello, const char *host,
		      struct inspect_verdict *verdict)
{
	if (hello->has_name && strcmp(hello->name, host) == 0)
		return 0;
	if (!hello->has_name) {
		snprintf(verdict->reason, sizeof(verdict->reason),
			 "TLS without a server name (SNI)");
		return -1;
	}
	snprintf(verdict->reason, sizeof(verdict->reason),
		 "TLS is for another host (SNI): %.64s",
		 hello->name[0] ? hello->name : "not a host name");
	return -1;
}

static int64_t next_hello(struct inspect *inspect, const uint8_t *data,
			  size_t len, const char *host,
			  struct inspect_verdict *verdict)
{
	struct tls_hello hello;
	const char *why;
	long size = tls_client_hello(data, len, &hello, &why);

	if (size < 0)
		return refuse_hello(verdict, why);
	if (size == 0)
		return 0;
	if (!host) {
		inspect->tls_version = hello.version;
		return let_pass(inspect);
	}
	if (check_name(&hello, host, verdict) < 0)
		return -1;
	/* The name in the clear is not the one that counts then. */
	if (hello.ech && !inspect->allow_ech) {
		snprintf(verdict->reason, sizeof(verdict->reason),
			 "TLS with an encrypted server name (ECH), which "
			 "cannot be checked");
		verdict->remedy = "--allow-ech";
		return -1;
	}
	inspect->kind = INSPECT_TLS;
	inspect->tls_version = hello.version;
	inspect->tls_early |= hello.early_data;
	return size;
}

/*
 * Of a handshake record that begins as a hello: sealed, as the end of a resumed
 * TLS 1.2 handshake is, it can begin with any octets.  No server takes a hello
 * of 256 KiB, which is what most of them say.
 */
static bool is_sealed(const uint8_t *data, size_t size)
{
	return size > TLS_RECORD_HEADER + 1 && data[TLS_RECORD_HEADER + 1] >= 4;
}

/*
 * After the hello.  A server may ask for a second one (HelloRetryRequest), and
 * it must not be for another host: it comes before any other handshake message
 * of the client's, after its change_cipher_spec, its early data or a warning.
 */
static int64_t next_tls(struct inspect *inspect, const uint8_t *data,
			size_t len, const char *host,
			struct inspect_verdict *verdict)
{
	size_t size;

	if (len < TLS_RECORD_HEADER)
		return 0;
	size = TLS_RECORD_HEADER + ((size_t)data[3] << 8 | data[4]);
	/* Servers skip it, and read the hello behind it. */
	if (data[0] == TLS_HANDSHAKE && size == TLS_RECORD_HEADER)
		return refuse_hello(verdict, "a record is empty");
	if (len < size && len < TLS_RECORD_HEADER + 2)
		return 0;
	if (data[0] == TLS_HANDSHAKE && data[TLS_RECORD_HEADER] == 1 &&
	    !is_sealed(data, size))
		return next_hello(inspect, data, len, host, verdict);
	if (data[0] == TLS_CHANGE_CIPHER_SPEC || data[0] == TLS_ALERT ||
	    (data[0] == TLS_APPLICATION_DATA && inspect->tls_early))
		return (int64_t)size;
	return let_pass(inspect);
}

/*** HTTP/1 ***/

static int64_t next_http(struct inspect *inspect, const uint8_t *data,
			 size_t len, const char *host,
			 struct inspect_verdict *verdict)
{
	const char *why;
	int64_t pass = http1_next(&inspect->http, data, len, host, &why);

	if (pass < 0)
		snprintf(verdict->reason, sizeof(verdict->reason),
			 "HTTP request refused: %s", why);
	return pass;
}

bool inspect_awaits_answer(const struct inspect *inspect)
{
	return inspect->kind == INSPECT_HTTP1 &&
	       inspect->http.state == HTTP1_UPGRADE;
}

int inspect_answer(struct inspect *inspect, const uint8_t *data, size_t len,
		   struct inspect_verdict *verdict)
{
	switch (http1_answered(&inspect->http, data, len)) {
	case HTTP1_MORE:
		return 0;
	case HTTP1_STAYS:
		inspect->http.state = HTTP1_HEAD;
		return 1;
	case HTTP1_WEBSOCKET:
		inspect->kind = INSPECT_OPAQUE;
		return 1;
	case HTTP1_ELSE:
		break;
	}
	snprintf(verdict->reason, sizeof(verdict->reason),
		 "HTTP upgrade to something that cannot be checked");
	return -1;
}

/*** Which one is it? ***/

/*
 * The PROXY protocol's, as load balancers put it before their clients' words.
 * No client has a use for it, and a server that takes it reads on behind it.
 */
static const struct {
	const char *text;
	size_t len;
} proxy_headers[] = {
	{ "PROXY ", 6 },
	{ "\r\n\r\n\0\r\nQUIT\n", 12 },
};

/* 1 it is one, 0 no, -1: more is needed. */
static int begins_as_proxy(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(proxy_headers); i++) {
		size_t n = proxy_headers[i].len;

		if (memcmp(data, proxy_headers[i].text, len < n ? len : n) == 0)
			return len < n ? -1 : 1;
	}
	return 0;
}

static bool is_binary(uint8_t c)
{
	return (c < ' ' && c != '\r' && c != '\n' && c != '\t') || c >= 0x7f;
}

/* Another protocol, by all that can be told from its beginning. */
static int64_t next_other(struct inspect *inspect, const uint8_t *data,
			  size_t len, struct inspect_verdict *verdict)
{
	inspect->kind = INSPECT_OTHER;
	if (http1_watch(&inspect->watch, data, len)) {
		snprintf(verdict->reason, sizeof(verdict->reason),
			 "HTTP request refused: it does not begin as one");
		return -1;
	}
	return inspect->watch.over ? let_pass(inspect) : (int64_t)len;
}

/* By itself it is no request yet. */
static int64_t pass_word(struct inspect *inspect, const uint8_t *data,
			 size_t len)
{
	inspect->word = true;
	http1_watch(&inspect->watch, data, len);
	return (int64_t)len;
}

/*
 * A word that may be a method of HTTP went ahead: were it held back, a protocol
 * of words without line ends would wait for ever.  Clients of HTTP send it with
 * what follows; alone it is sent by who wants to get past us.
 */
static int64_t next_word(struct inspect *inspect, const uint8_t *data,
			 size_t len, bool last, struct inspect_verdict *verdict)
{
	size_t word = http1_word(data, len);
	enum http1_guess guess;

	if (word == len)
		return pass_word(inspect, data, len);
	/* One written as methods are would not have gone ahead. */
	guess = http1_after_word(data + word, len - word, false);
	if (guess == HTTP1_UNCLEAR && !last)
		return 0;
	if (guess != HTTP1_YES)
		return next_other(inspect, data, len, verdict);
	snprintf(verdict->reason, sizeof(verdict->reason),
		 "HTTP request refused: its first word came by itself");
	return -1;
}

static int64_t recognise(struct inspect *inspect, const uint8_t *data,
			 size_t len, bool last, const char *host,
			 struct inspect_verdict *verdict)
{
	enum http1_guess guess;
	int proxy;

	if (inspect->word)
		return next_word(inspect, data, len, last, verdict);
	if (tls_begins(data, len))
		return len < 2 ? 0
			       : next_hello(inspect, data, len, host, verdict);
	if (tls_begins_old(data, len) && len >= TLS_OLD_HEADER)
		return refuse_hello(verdict, "it has the form of SSL 2");
	if (tls_begins_old(data, len) && !last)
		return 0;
	if (inspect->tls_only) {
		snprintf(verdict->reason, sizeof(verdict->reason),
			 "this port requires TLS, and the client speaks "
			 "something else");
		return -1;
	}
	proxy = begins_as_proxy(data, len);
	if (proxy > 0) {
		snprintf(verdict->reason, sizeof(verdict->reason),
			 "a PROXY header, behind which anything could be said");
		return -1;
	}
	if (proxy < 0 && !last)
		return 0;
	/* No client of HTTP begins so. */
	if (is_binary(data[0]) && !http1_is_blank(data[0]))
		return next_other(inspect, data, len, verdict);
	guess = inspect->plain_http ? HTTP1_YES : http1_begins(data, len);
	if (guess == HTTP1_UNCLEAR && !last)
		return 0;
	if (guess == HTTP1_WORD)
		return pass_word(inspect, data, len);
	if (guess != HTTP1_YES)
		return next_other(inspect, data, len, verdict);
	inspect->kind = INSPECT_HTTP1;
	return next_http(inspect, data, len, host, verdict);
}

static int64_t next(struct inspect *inspect, const uint8_t *data, size_t len,
		    bool last, const char *host,
		    struct inspect_verdict *verdict)
{
	switch (inspect->kind) {
	case INSPECT_UNKNOWN:
		return recognise(inspect, data, len, last, host, verdict);
	case INSPECT_TLS:
		return next_tls(inspect, data, len, host, verdict);
	case INSPECT_HTTP1:
		return next_http(inspect, data, len, host, verdict);
	case INSPECT_OTHER:
		return next_other(inspect, data, len, verdict);
	case INSPECT_OPAQUE:
		break;
	}
	return INSPECT_ALL;
}

int64_t inspect_next(struct inspect *inspect, const uint8_t *data, size_t len,
		     bool last, const char *host,
		     struct inspect_verdict *verdict)
{
	int64_t pass;

	if (len == 0)
		return 0;
	pass = next(inspect, data, len, last, host, verdict);
	if (pass != 0 || !last || inspect_awaits_answer(inspect))
		return pass;
	snprintf(verdict->reason, sizeof(verdict->reason),
		 "the client ended in the middle of what must be read whole");
	return -1;
}
