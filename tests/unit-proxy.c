/* SPDX-License-Identifier: MIT */
/* The proxy's URL, the variables that name one, CONNECT and its answer. */
#include "../proxy.h"

#include <stdlib.h>
#include <string.h>

#include "../netaddr.h"
#include "../util.h"
#include "tap.h"

static const struct {
	const char *url;
	const char *shown; /* NULL: refused */
	const char *authorization;
} urls[] = {
	{ "http://proxy.example:3128", "proxy.example:3128", NULL },
	{ "HTTP://Proxy.Example.:3128/", "proxy.example:3128", NULL },
	{ "http://10.0.0.1:8080", "10.0.0.1:8080", NULL },
	{ "http://[2001:db8::1]:8080", "[2001:db8::1]:8080", NULL },
	{ "http://u:p@h.example:1", "h.example:1", "dTpw" },
	{ "http://u@h.example:1", "h.example:1", "dTo=" },
	{ "http://user:p%40ss%3a@h.example:1", "h.example:1",
	  "dXNlcjpwQHNzOg==" },
	{ "http://u:p@ss@h.example:1", "h.example:1", "dTpwQHNz" },
	{ "http://u:a%20b@h:1", "h:1", "dTphIGI=" },
	{ "http://u:a%0d%0aX: y@h.example:1", NULL, NULL },
	{ "http://u:%zz@h.example:1", NULL, NULL },
	{ "http://u:%4@h.example:1", NULL, NULL },
	{ "http://u:%00@h.example:1", NULL, NULL },
	{ "http://h.example", NULL, NULL },
	{ "http://h.example:1-2", NULL, NULL },
	{ "http://h.example:0", NULL, NULL },
	{ "http://h.example:1/path", NULL, NULL },
	{ "http://*.example:1", NULL, NULL },
	{ "http://10.0.0.0/8:1", NULL, NULL },
	{ "http://:1", NULL, NULL },
	{ "http://", NULL, NULL },
	{ "https://h.example:1", NULL, NULL },
	{ "socks5://h.example:1", NULL, NULL },
	{ "h.example:1", NULL, NULL },
	{ "", NULL, NULL },
};

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void test_urls(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct proxy proxy;
		char why[256] = "";
		int rc = proxy_parse(urls[i].url, &proxy, why, sizeof(why));
		char *shown = rc < 0 ? NULL : proxy_shown(&proxy);

		ok(same(shown, urls[i].shown) &&
		       same(proxy.authorization, urls[i].authorization),
		   "%s: %s %s", urls[i].url, shown ? shown : why,
		   proxy.authorization ? proxy.authorization : "");
		ok((rc < 0) == (why[0] != '\0'), "a reason when refused only");
		free(shown);
		proxy_free(&proxy);
	}
}

static void test_secrecy(void)
{
	static const char *const bad[] = {
		"http://user:hunter2@",   "http://user:hunter2@a b:1",
		"http://user:hunter2@h",  "http://user:hun%zzter2@h:1",
		"ftp://user:hunter2@h:1",
	};
	char *shown = proxy_redacted("http://user:hun@ter2@h.example:1/");

	ok(!strcmp(shown, "http://***@h.example:1/") &&
	       proxy_is_redacted(shown) &&
	       !proxy_is_redacted("http://user:***@h.example:1/"),
	   "shown: %s", shown);
	free(shown);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct proxy proxy;
		char why[256] = "";

		ok(proxy_parse(bad[i], &proxy, why, sizeof(why)) < 0 &&
		       !strstr(why, "hunter2") && !strstr(why, "user"),
		   "refused without showing it: %s", why);
	}
	shown = xcalloc(1, PROXY_AUTH_MAX + 64);
	memcpy(shown, "http://", 7);
	memset(shown + 7, 'a', PROXY_AUTH_MAX + 1);
	strcat(shown, "@h.example:1");
	{
		struct proxy proxy;
		char why[256] = "";

		ok(proxy_parse(shown, &proxy, why, sizeof(why)) < 0,
		   "credentials that are too long");
	}
	free(shown);
}

/*** The variables ***/

static const struct {
	const char *https, *upper, *http, *no_proxy;
	const char *shown; /* NULL: none */
} variables[] = {
	{ NULL, NULL, NULL, NULL, NULL },
	{ "http://a.example:1", "http://b.example:1", "http://c.example:1",
	  NULL, "a.example:1" },
	{ "", "http://b.example:1", "http://c.example:1", NULL, "b.example:1" },
	{ NULL, NULL, "c.example:1", NULL, "c.example:1" },
	{ "http://a.example:1", NULL, NULL, "*", NULL },
	{ "http://a.example:1", NULL, NULL, "x.example,*", NULL },
};

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

static void test_variables(void)
{
	unsetenv("NO_PROXY");
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		struct proxy proxy;
		char why[256] = "";
		char *shown = NULL;
		int rc;

		set("https_proxy", variables[i].https);
		set("HTTPS_PROXY", variables[i].upper);
		set("http_proxy", variables[i].http);
		set("no_proxy", variables[i].no_proxy);
		rc = proxy_from_env(&proxy, why, sizeof(why));
		if (rc > 0)
			shown = proxy_shown(&proxy);
		ok(rc == (variables[i].shown != NULL) &&
		       same(shown, variables[i].shown),
		   "variables, row %zu: %s", i, shown ? shown : "none");
		free(shown);
		proxy_free(&proxy);
	}
	{
		struct proxy proxy;
		char why[256] = "";

		set("https_proxy", "socks5://a.example:1");
		ok(proxy_from_env(&proxy, why, sizeof(why)) == -1 && why[0],
		   "one that is none of ours: %s", why);
	}
}

static const struct {
	const char *name, *addr;
	uint16_t port;
	bool direct;
} places[] = {
	{ "corp.example", NULL, 443, true },
	{ "a.b.corp.example", NULL, 443, true },
	{ "notcorp.example", NULL, 443, false },
	{ "dotted.example", NULL, 443, true },
	{ "x.dotted.example", NULL, 443, true },
	{ "x.star.example", NULL, 443, true },
	{ "star.example", NULL, 443, true },
	{ "port.example", NULL, 8443, true },
	{ "port.example", NULL, 443, false },
	{ NULL, "10.1.2.3", 443, true },
	{ NULL, "11.1.2.3", 443, false },
	{ NULL, "192.0.2.1", 443, true },
	{ NULL, "2001:db8::9", 443, true },
	{ NULL, "2001:db9::9", 443, false },
	{ "last.example", NULL, 443, true },
	{ "0.0.0.0", NULL, 443, false },
};

static void test_no_proxy(void)
{
	struct proxy proxy;
	char why[256] = "";

	set("https_proxy", "http://p.example:1");
	set("no_proxy",
	    "Corp.Example, .dotted.example,*.star.example,port.example:8443,,"
	    "10.0.0.0/8,192.0.2.1,2001:db8::/32,0.0.0.0/0,::/0,a b%%,"
	    "last.example");
	ok(proxy_from_env(&proxy, why, sizeof(why)) == 1, "a list: %s", why);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct in6_addr addr = IN6ADDR_ANY_INIT;

		if (places[i].addr)
			net_addr_parse(places[i].addr, &addr);
		ok(proxy_passes_by(&proxy, places[i].name, &addr,
				   places[i].port) == places[i].direct,
		   "%s port %u: %s",
		   places[i].name ? places[i].name : places[i].addr,
		   places[i].port, places[i].direct ? "direct" : "by proxy");
	}
	proxy_free(&proxy);
}

/*** CONNECT ***/

static void test_request(void)
{
	char out[PROXY_REQUEST_MAX], why[256];
	struct proxy proxy;
	size_t n;

	proxy_parse("http://u:p@h.example:1", &proxy, why, sizeof(why));
	n = proxy_request(&proxy, "a.example", 443, out);
	ok(n == strlen(out) &&
	       !strcmp(out, "CONNECT a.example:443 HTTP/1.1\r\n"
			    "Host: a.example:443\r\n"
			    "Proxy-Authorization: Basic dTpw\r\n\r\n"),
	   "a request: %zu", n);
	proxy_free(&proxy);
	proxy_parse("http://h.example:1", &proxy, why, sizeof(why));
	n = proxy_request(&proxy, "2001:db8::1", 22, out);
	ok(n == strlen(out) && !strcmp(out, "CONNECT [2001:db8::1]:22 HTTP/1.1"
					    "\r\nHost: [2001:db8::1]:22\r\n"
					    "\r\n"),
	   "for an IPv6 address, without credentials");
	proxy_free(&proxy);
}

static const struct {
	const char *text;
	long head; /* what it takes; 0 more is needed, -1 */
	int status;
} answers[] = {
	{ "HTTP/1.1 200 OK\r\n\r\n", 19, 200 },
	{ "HTTP/1.0 200\r\n\r\nSSH-2.0", 16, 200 },
	{ "HTTP/1.1 407 Auth\r\nA: b\r\n\r\nbody", 27, 407 },
	{ "HTTP/1.9 299\r\n\r\n", 16, 299 },
	{ "HTTP/1.1 200 OK\r\n", 0, 0 },
	{ "HTTP/1.1 200 OK\r\n\r", 0, 0 },
	{ "XTTP/1.1 200 OK\r\n\r\n", -1, 0 },
	{ "HTTP/1.1 20x OK\r\n\r\n", -1, 0 },
	{ "HTTP/1.1 20\r\n\r\n", -1, 0 },
	{ "H", 0, 0 },
	{ "HTTP/1.1 20", 0, 0 },
	{ "HTTP/1.1 2000", 0, 0 },
	{ "HTTP/2 200 OK\r\n\r\n", -1, 0 },
	{ "HTTP/1.1 2x0 OK\r\n\r\n", -1, 0 },
	{ "HTTP/1.1\r\n\r\n", -1, 0 },
	{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx", 44, 200 },
	{ "HTTP/1.1 103\r\nLink: x\r\n\r\nHTTP/1.0 199\r\n\r\n"
	  "HTTP/1.1 407\r\n\r\n",
	  57, 407 },
	{ "HTTP/1.1 100\r\n\r\n", 0, 0 },
	{ "HTTP/1.1 100\r\n\r\nHTTP/1.1 200\r\n\r", 0, 0 },
	{ "HTTP/1.1 100\r\n\r\nSSH-2.0-x\r\n", -1, 0 },
	{ "HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 200\r\n\r\n", 26, 101 },
	{ "SSH-2.0-x\r\n", -1, 0 },
	{ "\x15\x03\x01", -1, 0 },
};

static void test_answers(void)
{
	static const int known[] = { 400, 401, 403, 404, 405, 407,
				     429, 500, 502, 503, 504 };
	uint8_t *much = xcalloc(PROXY_ANSWER_MAX, 1);
	int status;

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		size_t n = strlen(answers[i].text);
		uint8_t *copy = xcalloc(n, 1); /* no NUL to run to */
		long head;

		memcpy(copy, answers[i].text, n);
		status = 0;
		head = proxy_answer(copy, n, &status);
		ok(head == answers[i].head && status == answers[i].status,
		   "answer %zu: %ld, %d", i, head, status);
		free(copy);
	}
	memset(much, 'a', PROXY_ANSWER_MAX);
	memcpy(much, "HTTP/1.1 200 ", 13);
	ok(proxy_answer(much, PROXY_ANSWER_MAX - 1, &status) == 0 &&
	       proxy_answer(much, PROXY_ANSWER_MAX, &status) == -1,
	   "a head without an end");
	for (size_t i = 0; i < PROXY_ANSWER_MAX; i += 16)
		memcpy(much + i, "HTTP/1.1 100\r\n\r\n", 16);
	ok(proxy_answer(much, PROXY_ANSWER_MAX - 16, &status) == 0 &&
	       proxy_answer(much, PROXY_ANSWER_MAX, &status) == -1,
	   "nothing but interim ones");
	memcpy(much + PROXY_ANSWER_MAX - 16, "HTTP/1.1 200", 12);
	ok(proxy_answer(much, PROXY_ANSWER_MAX, &status) == PROXY_ANSWER_MAX &&
	       status == 200,
	   "as many as there is room for");
	free(much);
	ok(!strcmp(proxy_refusal(299), "the proxy refused"), "a refusal");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		char code[8];

		snprintf(code, sizeof(code), "(%d)", known[i]);
		ok(strstr(proxy_refusal(known[i]), code), "one with words: %s",
		   proxy_refusal(known[i]));
	}
}

int main(void)
{
	test_urls();
	test_secrecy();
	test_variables();
	test_no_proxy();
	test_request();
	test_answers();
	return done();
}
