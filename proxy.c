/* SPDX-License-Identifier: MIT */
#include "proxy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "netaddr.h"
#include "util.h"

#define SCHEME   "http://"
#define REDACTED SCHEME "***"

static int refuse(char *why, size_t size, const char *what)
{
	snprintf(why, size, "%s", what);
	return -1;
}

/*** Credentials ***/

/* Percent-decodes in place; -1 for a bad escape or a control character. */
static int decode(char *s)
{
	char *out = s;

	while (*s) {
		int c = (unsigned char)*s++;

		if (c == '%') {
			int high = hex_value(s[0]);
			int low = high < 0 ? -1 : hex_value(s[1]);

			if (low < 0)
				return -1;
			c = high << 4 | low;
			s += 2;
		}
		/* A line end would begin a header of its own. */
		if (c < ' ' || c == 0x7f)
			return -1;
		*out++ = (char)c;
	}
	*out = '\0';
	return 0;
}

static int read_credentials(struct proxy *proxy, char *text, char *why,
			    size_t why_size)
{
	auto_free char *pair = NULL;

	if (strlen(text) > PROXY_AUTH_MAX || decode(text) < 0)
		return refuse(why, why_size,
			      "its credentials are too long, or hold a bad "
			      "escape or a control character");
	pair = strchr(text, ':') ? xstrdup(text) : xasprintf("%s:", text);
	proxy->authorization = base64(pair, strlen(pair));
	explicit_bzero(pair, strlen(pair));
	return 0;
}

/*** The URL ***/

static int read_place(struct proxy *proxy, const char *text, char *why,
		      size_t why_size)
{
	struct net_rule rule = { 0 };
	char inner[160];

	if (net_rule_parse(text, &rule, inner, sizeof(inner)) < 0) {
		snprintf(why, why_size, "its host and port: %s", inner);
		return -1;
	}
	net_rule_free(&(struct net_rule){ .text = take_ptr(&rule.text) });
	if (rule.kind == NET_RULE_WILDCARD ||
	    (rule.kind == NET_RULE_CIDR && rule.prefix != 128))
		return refuse(why, why_size, "it must be one host");
	if (rule.port_lo == 0 || rule.port_lo != rule.port_hi)
		return refuse(why, why_size,
			      "it needs one port (" SCHEME "HOST:PORT)");
	memcpy(proxy->host, rule.kind == NET_RULE_NAME ? rule.name : "",
	       rule.kind == NET_RULE_NAME ? sizeof(proxy->host) : 1);
	proxy->addr = rule.addr;
	proxy->port = rule.port_lo;
	return 0;
}

/* After the scheme; `text` is ours to change. */
static int read_rest(struct proxy *proxy, char *text, char *why,
		     size_t why_size)
{
	char *at, *slash = strchr(text, '/');

	if (slash && slash[1] != '\0')
		return refuse(why, why_size, "it can have no path");
	if (slash)
		*slash = '\0';
	/* The last one: a password may hold another. */
	at = strrchr(text, '@');
	if (at) {
		*at = '\0';
		if (read_credentials(proxy, text, why, why_size) < 0)
			return -1;
		text = at + 1;
	}
	return read_place(proxy, text, why, why_size);
}

int proxy_parse(const char *url, struct proxy *proxy, char *why,
		size_t why_size)
{
	auto_free char *copy = NULL;
	int rc;

	*proxy = (struct proxy){ .authorization = NULL };
	if (strncasecmp(url, SCHEME, strlen(SCHEME)) != 0)
		return refuse(why, why_size,
			      "a proxy is " SCHEME "[USER:PASSWORD@]HOST:PORT, "
			      "or " PROXY_ENV);
	copy = xstrdup(url + strlen(SCHEME));
	rc = read_rest(proxy, copy, why, why_size);
	explicit_bzero(copy, strlen(url + strlen(SCHEME)));
	if (rc < 0)
		proxy_free(proxy);
	return rc;
}

void proxy_free(struct proxy *proxy)
{
	if (proxy->authorization)
		explicit_bzero(proxy->authorization,
			       strlen(proxy->authorization));
	free(proxy->authorization);
	for (size_t i = 0; i < proxy->n_direct; i++)
		net_rule_free(&proxy->direct[i]);
	free(proxy->direct);
	*proxy = (struct proxy){ .authorization = NULL };
}

char *proxy_shown(const struct proxy *proxy)
{
	char addr[INET6_ADDRSTRLEN];

	if (proxy->host[0])
		return xasprintf("%s:%u", proxy->host, proxy->port);
	netaddr_format(&proxy->addr, addr);
	return netaddr_with_port(addr, proxy->port);
}

char *proxy_redacted(const char *url)
{
	const char *at = strrchr(url, '@');

	return at ? xasprintf(REDACTED "%s", at) : xstrdup(url);
}

bool proxy_is_redacted(const char *url)
{
	return strncmp(url, REDACTED "@", strlen(REDACTED "@")) == 0;
}

/*** The caller's variables ***/

static const char *first_of(const char *const *names)
{
	for (; *names; names++) {
		const char *value = getenv(*names);

		if (value && *value)
			return value;
	}
	return NULL;
}

static void add_direct(struct proxy *proxy, const char *text)
{
	struct net_rule rule;
	char why[160];

	/* What is no rule of ours goes through the proxy: that opens nothing.
	 */
	if (net_rule_parse(text, &rule, why, sizeof(why)) < 0)
		return;
	proxy->direct = xrealloc_array(proxy->direct, proxy->n_direct + 1,
				       sizeof(*proxy->direct));
	proxy->direct[proxy->n_direct++] = rule;
}

/* "example.com" there means the name and all below it, with a dot or not. */
static void add_no_proxy(struct proxy *proxy, const char *entry)
{
	auto_free char *below = NULL;
	struct in6_addr addr;

	if (strncmp(entry, "*.", 2) == 0)
		entry++;
	entry += entry[0] == '.';
	add_direct(proxy, entry);
	if (net_addr_parse(entry, &addr) == 0 || strchr(entry, '/'))
		return;
	below = xasprintf("*.%s", entry);
	add_direct(proxy, below);
}

/* False: everything is reached without a proxy. */
static bool read_no_proxy(struct proxy *proxy)
{
	static const char *const names[] = { "no_proxy", "NO_PROXY", NULL };
	const char *list = first_of(names);
	auto_free char *copy = xstrdup(list ? list : "");
	char *rest = copy, *entry;

	while ((entry = strsep(&rest, ", \t")) != NULL) {
		if (strcmp(entry, "*") == 0)
			return false;
		if (*entry)
			add_no_proxy(proxy, entry);
	}
	return true;
}

int proxy_from_env(struct proxy *proxy, char *why, size_t why_size)
{
	/* All connections are tunnels, as those of https are. */
	static const char *const names[] = { "https_proxy", "HTTPS_PROXY",
					     "http_proxy", NULL };
	const char *value = first_of(names);
	auto_free char *url = NULL;

	*proxy = (struct proxy){ .authorization = NULL };
	if (!value)
		return 0;
	/* Other programs take it without the scheme. */
	url = xasprintf("%s%s", strstr(value, "://") ? "" : SCHEME, value);
	if (proxy_parse(url, proxy, why, why_size) < 0)
		return -1;
	if (read_no_proxy(proxy))
		return 1;
	proxy_free(proxy);
	return 0;
}

bool proxy_passes_by(const struct proxy *proxy, const char *name,
		     const struct in6_addr *addr, uint16_t port)
{
	for (size_t i = 0; i < proxy->n_direct; i++) {
		const struct net_rule *rule = &proxy->direct[i];

		if (rule->port_lo != 0 &&
		    (port < rule->port_lo || port > rule->port_hi))
			continue;
		if (name ? net_rule_matches_name(rule, name)
			 : net_rule_matches_addr(rule, addr))
			return true;
	}
	return false;
}

/*** CONNECT ***/

size_t proxy_request(const struct proxy *proxy, const char *host, uint16_t port,
		     char out[static PROXY_REQUEST_MAX])
{
	bool v6 = strchr(host, ':') != NULL;
	const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";
	const char *auth = proxy->authorization;
	int n = snprintf(out, PROXY_REQUEST_MAX,
			 "CONNECT %s%s%s:%u HTTP/1.1\r\n"
			 "Host: %s%s%s:%u\r\n%s%s%s\r\n",
			 open, host, close, port, open, host, close, port,
			 auth ? "Proxy-Authorization: Basic " : "",
			 auth ? auth : "", auth ? "\r\n" : "");

	return (size_t)n;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200": what it begins with, as far as it is there. */
static bool begins_right(const uint8_t *data, size_t len)
{
	static const char form[] = "HTTP/1.d ddd";

	for (size_t i = 0; i < len && i < sizeof(form) - 1; i++)
		if (form[i] == 'd' ? !is_digit(data[i])
				   : data[i] != (uint8_t)form[i])
			return false;
	return true;
}

/* 100 and 103 say that there is more to come; 101 answers no CONNECT. */
static bool is_interim(int status)
{
	return status / 100 == 1 && status != 101;
}

long proxy_answer(const uint8_t *data, size_t len, int *status)
{
	const uint8_t *head = data, *end;
	int code;

	/* All of them together have the room of one: that bounds their number,
	 * too. */
	do {
		size_t left = len - (size_t)(head - data);

		end = memmem(head, left, "\r\n\r\n", 4);
		if (!begins_right(head, left) ||
		    (!end && len >= PROXY_ANSWER_MAX))
			return -1;
		if (!end)
			return 0;
		/* No line ends in what it begins with: the code is before
		 * `end`. */
		code = (head[9] - '0') * 100 + (head[10] - '0') * 10 +
		       head[11] - '0';
		head = end + 4;
	} while (is_interim(code));
	*status = code;
	return head - data;
}

const char *proxy_refusal(int status)
{
	static const struct {
		int status;
		const char *meaning;
	} known[] = {
		{ 400, "the proxy did not understand CONNECT (400)" },
		{ 401, "the proxy wants credentials (401)" },
		{ 403, "the proxy does not allow it (403)" },
		{ 404, "the proxy knows no such host (404)" },
		{ 405, "the proxy has no CONNECT (405)" },
		{ 407, "the proxy wants credentials, or other ones (407)" },
		{ 429, "the proxy has enough of us (429)" },
		{ 500, "the proxy failed (500)" },
		{ 502, "the proxy could not reach the server (502)" },
		{ 503, "the proxy could not reach the server (503)" },
		{ 504, "the proxy had no answer of the server (504)" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].status == status)
			return known[i].meaning;
	return "the proxy refused";
}
