/* SPDX-License-Identifier: MIT */
#include "http1.h"

#include <string.h>
#include <strings.h>

#include "base64.h"
#include "netrule.h"
#include "sha1.h"
#include "util.h"

/* A piece of the client's bytes. */
struct span {
	const char *p;
	size_t len;
};

/* What a head said. */
struct head {
	size_t size;
	bool has_host, chunked, has_length, upgrade, websocket, version_1_1;
	int64_t length;
	const char *host; /* that it must be for */
	struct span key;  /* of a websocket */
};

static bool is_token_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_token_char((unsigned char)s.p[i]))
			return false;
	return s.len > 0;
}

static bool is(struct span s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.p, word, s.len) == 0;
}

static struct span trim(struct span s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* No control characters, which some servers take for the end of it. */
static bool is_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ' && s.p[i] != '\t')
			return false;
	return true;
}

/* Cuts `s` at the first `c`; false if there is none. */
static bool cut(struct span s, char c, struct span *before, struct span *after)
{
	const char *at = memchr(s.p, c, s.len);

	if (!at)
		return false;
	*before = (struct span){ s.p, (size_t)(at - s.p) };
	*after = (struct span){ at + 1, s.len - before->len - 1 };
	return true;
}

/*** Is it for the host? ***/

/* "name" or "name:port"; an IPv6 literal cannot equal a name anyway. */
static bool names_host(struct span authority, const char *host)
{
	char name[NET_NAME_MAX];
	struct span port;

	if (cut(authority, ':', &authority, &port))
		for (size_t i = 0; i < port.len; i++)
			if (port.p[i] < '0' || port.p[i] > '9')
				return false;
	return net_name_ascii(authority.p, authority.len, name) == 0 &&
	       strcmp(name, host) == 0;
}

static const char *check_target(struct span target, const char *host)
{
	static const char scheme[] = "http://";
	size_t n = sizeof(scheme) - 1;
	struct span authority;

	for (size_t i = 0; i < target.len; i++)
		if ((unsigned char)target.p[i] <= ' ' || target.p[i] == 0x7f)
			return "its request line is malformed";
	if (target.len > 0 && target.p[0] == '/')
		return NULL;
	if (is(target, "*"))
		return NULL;
	if (target.len <= n || strncasecmp(target.p, scheme, n) != 0)
		return "its target is neither a path nor an http:// address";
	authority = (struct span){ target.p + n, target.len - n };
	for (size_t i = 0; i < authority.len; i++)
		if (strchr("/?#", authority.p[i])) {
			authority.len = i;
			break;
		}
	return names_host(authority, host) ? NULL
					   : "its target is another host";
}

static const char *read_request_line(struct span line, struct head *head)
{
	struct span method, target, version;

	if (!cut(line, ' ', &method, &target) ||
	    !cut(target, ' ', &target, &version) || !is_token(method))
		return "its request line is malformed";
	if (is(version, "HTTP/2.0"))
		return "HTTP/2 without TLS cannot be checked";
	if (version.len != 8 || memcmp(version.p, "HTTP/1.", 7) != 0 ||
	    (version.p[7] != '0' && version.p[7] != '1'))
		return "its request line is malformed";
	head->version_1_1 = version.p[7] == '1';
	if (is(method, "CONNECT"))
		return "CONNECT would lead to another host";
	return check_target(target, head->host);
}

/*** Header fields ***/

static const char *read_host(struct span value, struct head *head)
{
	if (head->has_host)
		return "it has two Host fields";
	head->has_host = true;
	return names_host(value, head->host) ? NULL
					     : "its Host is another host";
}

static const char *read_length(struct span value, struct head *head)
{
	if (head->has_length || value.len == 0 || value.len > 18)
		return "its Content-Length is malformed";
	head->has_length = true;
	for (size_t i = 0; i < value.len; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return "its Content-Length is malformed";
		head->length = head->length * 10 + (value.p[i] - '0');
	}
	return NULL;
}

static const char *read_encoding(struct span value, struct head *head)
{
	if (head->chunked || !is(value, "chunked"))
		return "its Transfer-Encoding is not just chunked";
	head->chunked = true;
	return NULL;
}

static const char *read_upgrade(struct span value, struct head *head)
{
	/* Of several the server picks one, and its answer would be taken for
	 * that of the other. */
	if (head->upgrade)
		return "it has two Upgrade fields";
	head->upgrade = true;
	head->websocket = is(value, "websocket");
	return NULL;
}

static const char *read_key(struct span value, struct head *head)
{
	if (head->key.len > 0)
		return "it has two Sec-WebSocket-Key fields";
	head->key = value;
	return NULL;
}

static const char *refuse_field(struct span value, struct head *head)
{
	(void)value;
	(void)head;
	return "a field's name looks like another's";
}

static const struct {
	const char *name;
	const char *(*read)(struct span value, struct head *head);
} fields[] = {
	{ "Host", read_host },
	{ "Content-Length", read_length },
	{ "Transfer-Encoding", read_encoding },
	{ "Upgrade", read_upgrade },
	{ "Sec-WebSocket-Key", read_key },
	/* eventlet takes it for the real one. */
	{ "Transfer_Encoding", refuse_field },
	{ "Content_Length", refuse_field },
};

static const char *read_field(struct span line, struct head *head)
{
	struct span name, value;

	/* A space before the colon, or a line folded into the next, is read
	 * in two ways by two servers. */
	if (!cut(line, ':', &name, &value) || !is_token(name) ||
	    !is_text(value))
		return "a header field is malformed";
	value = trim(value);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (is(name, fields[i].name))
			return fields[i].read(value, head);
	return NULL;
}

/*** The stream ***/

/* The line at `at`, without its CRLF; *next is what follows.  1, 0: not all of
 * it is there, -1: it does not end as lines do. */
static int read_line(const uint8_t *data, size_t len, size_t at,
		     struct span *line, size_t *next)
{
	const uint8_t *end = memchr(data + at, '\n', len - at);
	size_t n;

	if (!end)
		return 0;
	n = (size_t)(end - (data + at));
	if (n == 0 || end[-1] != '\r')
		return -1;
	*line = (struct span){ (const char *)data + at, n - 1 };
	*next = at + n + 1;
	return memchr(line->p, '\r', line->len) ? -1 : 1;
}

/* 1 whole, 0 more is needed, -1 refused. */
static int read_head(const uint8_t *data, size_t len, struct head *head,
		     const char **why)
{
	bool first = true;
	size_t at = 0;

	for (;;) {
		struct span line;
		int rc = at < len ? read_line(data, len, at, &line, &at) : 0;

		if (rc < 0 || (rc == 0 ? len : at) > HTTP1_HEAD_MAX) {
			*why = rc < 0 ? "a line of its head ends badly"
				      : "its head is too long";
			return -1;
		}
		if (rc == 0)
			return 0;
		if (!first && line.len == 0)
			break;
		*why = first ? read_request_line(line, head)
			     : read_field(line, head);
		if (*why)
			return -1;
		first = false;
	}
	head->size = at;
	return 1;
}

/* RFC 6455: a server proves by it that it has understood what was asked. */
static void expect_websocket(struct http1 *http, const struct head *head)
{
	static const char known[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	auto_free char *text = NULL;
	char hex[SHA1_HEX];
	struct sha1 sha;

	if (!head->websocket || head->key.len == 0)
		return;
	sha1_init(&sha);
	sha1_update(&sha, head->key.p, head->key.len);
	sha1_update(&sha, known, sizeof(known) - 1);
	sha1_hex(&sha, hex);
	text = base64_of_hex(hex);
	memcpy(http->accept, text, sizeof(http->accept));
}

static int64_t next_head(struct http1 *http, const uint8_t *data, size_t len,
			 const char *host, const char **why)
{
	struct head head = { .host = host };
	int rc = read_head(data, len, &head, why);

	if (rc <= 0)
		return rc;
	if (!head.has_host)
		*why = "it has no Host field";
	else if (head.chunked && (head.has_length || !head.version_1_1))
		*why = "its body has two lengths";
	if (*why)
		return -1;
	http->trailers = 0;
	http->left = head.length;
	http->body = (struct http1_watch){ .body = true };
	if (head.chunked)
		http->state = HTTP1_CHUNK;
	else if (head.length > 0)
		http->state = HTTP1_BODY;
	/* On a used connection the server's next words may answer an earlier
	 * request, with a body that says "101 Switching Protocols": there an
	 * upgrade is never believed. */
	else if (head.upgrade && !http->used) {
		http->state = HTTP1_UPGRADE;
		expect_websocket(http, &head);
	}
	http->used = true;
	return (int64_t)head.size;
}

/* Some servers do not read it: Python's of a GET, gevent's of who was to wait
 * for a 100 first.  Then it is the next request. */
static int64_t next_body(struct http1 *http, const uint8_t *data, size_t len,
			 const char **why)
{
	int64_t n = (int64_t)len < http->left ? (int64_t)len : http->left;

	if (http1_watch(&http->body, data, (size_t)n)) {
		*why = "its body begins as a request";
		return -1;
	}
	if (http->body.over)
		n = http->left;
	http->left -= n;
	if (http->left == 0)
		http->state = HTTP1_HEAD;
	return n;
}

/* A line of the framing, with its CRLF. */
static bool is_request(struct span line)
{
	struct http1_watch watch = { .over = false };
	static const size_t end = 2;

	return http1_watch(&watch, (const uint8_t *)line.p, line.len + end);
}

/* What stands behind a chunk's size: nothing, or what may be ignored. */
static bool is_extension(struct span s)
{
	s = trim(s);
	return (s.len == 0 || s.p[0] == ';') && is_text(s);
}

static int64_t next_chunk(struct http1 *http, struct span line, size_t end,
			  const char **why)
{
	int64_t size = 0;
	size_t digits = 0;

	for (; digits < line.len && digits < 15; digits++) {
		int value = hex_value(line.p[digits]);

		if (value < 0)
			break;
		size = size * 16 + value;
	}
	if (digits == 0 || is_request(line) ||
	    !is_extension(
		(struct span){ line.p + digits, line.len - digits })) {
		*why = "a chunk's size is malformed";
		return -1;
	}
	http->state = size ? HTTP1_CHUNK_END : HTTP1_TRAILER;
	return (int64_t)end + size;
}

/* Some servers read the next request there: no trailer may be the beginning of
 * one, or a field that a head can have once. */
static const char *check_trailer(struct span line)
{
	struct head all = { .has_host = true,
			    .has_length = true,
			    .chunked = true,
			    .upgrade = true };

	return is_request(line) || read_field(line, &all)
		   ? "a trailer is malformed"
		   : NULL;
}

static int64_t next_trailer(struct http1 *http, struct span line, size_t end,
			    const char **why)
{
	if (line.len == 0) {
		http->state = HTTP1_HEAD;
		return (int64_t)end;
	}
	*why = ++http->trailers > 64 ? "it has too many trailers"
				     : check_trailer(line);
	return *why ? -1 : (int64_t)end;
}

int64_t http1_next(struct http1 *http, const uint8_t *data, size_t len,
		   const char *host, const char **why)
{
	struct span line;
	size_t end;
	int rc;

	*why = NULL;
	if (http->state == HTTP1_UPGRADE || len == 0)
		return 0;
	if (http->state == HTTP1_HEAD)
		return next_head(http, data, len, host, why);
	if (http->state == HTTP1_BODY)
		return next_body(http, data, len, why);
	rc = read_line(data, len, 0, &line, &end);
	if (rc < 0 || (rc == 0 ? len : end) > HTTP1_LINE_MAX) {
		*why = "a line of its body's framing is malformed";
		return -1;
	}
	if (rc == 0)
		return 0;
	if (http->state == HTTP1_CHUNK)
		return next_chunk(http, line, end, why);
	if (http->state == HTTP1_TRAILER)
		return next_trailer(http, line, end, why);
	if (line.len != 0) {
		*why = "a chunk does not end where it said";
		return -1;
	}
	http->state = HTTP1_CHUNK;
	return (int64_t)end;
}

size_t http1_word(const uint8_t *data, size_t len)
{
	size_t n = 0;

	while (n < len && is_token_char(data[n]))
		n++;
	return n;
}

bool http1_is_blank(uint8_t c)
{
	return c && strchr(" \t\v\f\r\x1c\x1d\x1e\x1f\x85\xa0", c);
}

static bool has(const uint8_t *data, size_t n, const char *text)
{
	return memmem(data, n, text, strlen(text)) != NULL;
}

/* A request without a version (HTTP/0.9), or of HTTP's kin: Node and Python
 * answer it by the Host that follows.  Redis' "GET key" is not here: see
 * http1_watch. */
static bool is_kin(const uint8_t *target, size_t n)
{
	return (n && (target[0] == '/' || target[0] == '*')) ||
	       has(target, n, "://") || has(target, n, "RTSP/") ||
	       has(target, n, "ICE/");
}

/* What stands behind the first word: of a target some servers take anything
 * ("?x"), and Python's a NUL in it. */
enum http1_guess http1_after_word(const uint8_t *data, size_t len, bool method)
{
	const uint8_t *end = memchr(data, '\n', len);
	size_t n = end ? (size_t)(end - data) : len, at = 0;

	while (at < n && http1_is_blank(data[at]))
		at++;
	if (at == 0)
		return HTTP1_NO;
	/* Too long for a head: refused as one, and not let pass. */
	if (n >= HTTP1_HEAD_MAX)
		return HTTP1_YES;
	if (!end)
		return HTTP1_UNCLEAR;
	/* However badly the line ends: servers take it all the same. */
	return has(data, n, "HTTP/") || (method && is_kin(data + at, n - at))
		   ? HTTP1_YES
		   : HTTP1_NO;
}

/* How many octets are as methods that are known: "M-SEARCH", "GET_PARAMETER". */
static size_t method_length(const uint8_t *data, size_t len)
{
	size_t n = 0;

	while (n < len && ((data[n] >= 'A' && data[n] <= 'Z') ||
			   (n > 0 && (data[n] == '-' || data[n] == '_'))))
		n++;
	return n;
}

/* "CONNECT host:443": a proxy of Node's needs no version.  NATS has an object
 * behind the word, and STOMP nothing. */
static bool asks_proxy(const uint8_t *data, size_t len)
{
	static const char word[] = "CONNECT ";
	size_t at = sizeof(word) - 1;

	if (len < at || memcmp(data, word, at) != 0)
		return false;
	while (at < len && http1_is_blank(data[at]))
		at++;
	return at < len && data[at] != '{' && data[at] != '\n';
}

enum http1_guess http1_begins(const uint8_t *data, size_t len)
{
	static const size_t method_max = 16;
	enum http1_guess guess;
	size_t at = 0, word;
	bool method;

	/* Servers skip empty lines before a request, and Python's blanks. */
	while (at < len && (data[at] == '\n' || http1_is_blank(data[at])))
		at++;
	/* As a head would be: too long. */
	if (at >= HTTP1_HEAD_MAX)
		return HTTP1_YES;
	/* As of git's own protocol: no method begins so. */
	if (at < len && data[at] >= '0' && data[at] <= '9')
		return HTTP1_NO;
	word = http1_word(data + at, len - at);
	method = word <= method_max && method_length(data + at, word) == word;
	/* Other protocols' words are not to be held back for a line end that
	 * they never send; methods as all clients write them are. */
	if (at + word == len)
		return method ? HTTP1_UNCLEAR : HTTP1_WORD;
	if (word == 0)
		return HTTP1_NO;
	guess = http1_after_word(data + at + word, len - at - word, method);
	return guess == HTTP1_NO && asks_proxy(data + at, len - at) ? HTTP1_YES
								    : guess;
}

/*** The answer to an upgrade ***/

/* One that stays in HTTP may say 101 as well, if that is what it was asked for
 * ("/status/101"). */
static enum http1_answer check_accept(const struct http1 *http,
				      const uint8_t *answer, size_t len)
{
	bool accepted = false;
	size_t at = 0;

	for (;;) {
		struct span line, name, value;
		int rc = at < len ? read_line(answer, len, at, &line, &at) : 0;

		if (rc == 0 && len <= HTTP1_HEAD_MAX)
			return HTTP1_MORE;
		if (rc <= 0)
			return HTTP1_ELSE;
		if (line.len == 0)
			return accepted ? HTTP1_WEBSOCKET : HTTP1_ELSE;
		if (!cut(line, ':', &name, &value) ||
		    !is(name, "Sec-WebSocket-Accept"))
			continue;
		value = trim(value);
		if (value.len != strlen(http->accept) ||
		    memcmp(value.p, http->accept, value.len) != 0)
			return HTTP1_ELSE;
		accepted = true;
	}
}

enum http1_answer http1_answered(const struct http1 *http,
				 const uint8_t *answer, size_t len)
{
	static const char status[] = "HTTP/1.1 101";
	size_t n = len < sizeof(status) - 1 ? len : sizeof(status) - 1;

	if (memcmp(answer, status, n) != 0)
		return HTTP1_STAYS;
	if (n < sizeof(status) - 1)
		return HTTP1_MORE;
	/* In HTTP/2 (h2c) each request could be for another host again. */
	return http->accept[0] ? check_accept(http, answer, len) : HTTP1_ELSE;
}
