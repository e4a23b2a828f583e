/* SPDX-License-Identifier: MIT */
/* The relay behind an HTTP proxy: a proxy of the test's own, and its moods. */
#include "netbox_dns.h"

#include <stdint.h>

#define GO "HTTP/1.1 200 Connection established\r\nX-Y: z\r\n\r\n"

static const char *const rules[] = {
	"good.test:7001",
	"good.test:443",
	"mine.test:7001",
	"*.bad.test:1-9",
	"192.0.2.7:7001",
	"[2001:db8::7]:7001",
	"near.test:7001",
	"tls.test:7002",
	"192.0.2.7:7002",
	"wait.test:7001",
	NULL,
};
static const char *const resolve[] = { "mine.test", "127.0.0.1", NULL };

/* What the proxy says to CONNECT NAME..., in pieces; NULL: nothing, ever. */
static const struct {
	const char *target;
	const char *pieces[4];
	const char *reason; /* in the event; NULL: it goes well */
} moods[] = {
	{ "good.test:7001",
	  { "HT", "TP/1.1 200 ok\r\nA: b", "\r\n\r\n" },
	  NULL },
	{ "good.test:443", { GO }, NULL },
	{ "tls.test:7002", { GO }, NULL },
	{ "192.0.2.7:7001", { GO "early" }, NULL },
	{ "192.0.2.7:7002", { GO }, NULL },
	{ "[2001:db8::7]:7001", { GO }, NULL },
	/* Interim answers, which end where they like. */
	{ "wait.test:7001",
	  { "HTTP/1.1 100 Continue\r\n\r\n",
	    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTT",
	    "P/1.1 200 ok\r\n\r", "\nearly" },
	  NULL },
	{ "auth.bad.test:1",
	  { "HTTP/1.1 407 Proxy Authentication Required\r\n"
	    "Content-Length: 4\r\n\r\nbody" },
	  "(407)" },
	{ "gate.bad.test:2", { "HTTP/1.1 502 Bad Gateway\r\n\r\n" }, "(502)" },
	{ "ssh.bad.test:3", { "SSH-2.0-x\r\n" }, "no HTTP" },
	{ "end.bad.test:4", { "" }, "hung up" },
	{ "half.bad.test:5", { "HTTP/1.1 200 OK\r\n" }, "no HTTP" },
	{ "wait.bad.test:6", { "HTTP/1.1 100 Continue\r\n\r\n" }, "no HTTP" },
	{ "switch.bad.test:7", { "HTTP/1.1 101 x\r\n\r\n" GO }, "refused" },
};

/* A server that one reaches without the proxy says so. */
static void greet(int fd)
{
	(void)!write(fd, "direct", 6);
	box_echo(fd);
}

static const char auth[] =
    "\r\nProxy-Authorization: Basic dXNlcjpodW50ZXIy\r\n";

static void answer(int fd, const char *target)
{
	for (size_t i = 0; i < ARRAY_SIZE(moods); i++) {
		if (strcmp(moods[i].target, target) != 0)
			continue;
		for (size_t k = 0; k < 4 && moods[i].pieces[k]; k++) {
			(void)!write(fd, moods[i].pieces[k],
				     strlen(moods[i].pieces[k]));
			usleep(10000);
		}
		if (!moods[i].reason)
			box_echo(fd);
	}
}

static void serve_proxy(int fd)
{
	char head[4096] = "", target[300] = "", host[300] = "";
	size_t n = 0;

	while (!strstr(head, "\r\n\r\n") && n < sizeof(head) - 1) {
		ssize_t got = read(fd, head + n, sizeof(head) - 1 - n);

		if (got <= 0)
			return;
		n += (size_t)got;
	}
	if (sscanf(head, "CONNECT %299s HTTP/1.1\r\nHost: %299s\r\n", target,
		   host) == 2 &&
	    !strcmp(target, host) && strstr(head, auth))
		answer(fd, target);
}

static int connect_to(const char *name, uint16_t port)
{
	struct in6_addr addr;

	return box_connect(net_addr_parse(name, &addr) == 0 ? name : fake(name),
			   port);
}

/* Reads till the end: 0 in order, errno otherwise. */
static int how_it_ends(int fd)
{
	char buffer[4096];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		;
	n = n < 0 ? errno : 0;
	close(fd);
	return (int)n;
}

static bool echoes(int fd, const char *before, const char *text)
{
	char back[300] = "";
	size_t skip = strlen(before), n = strlen(text);

	/* Asked for nothing, the kernel waits for something. */
	if (skip > 0 && (recv(fd, back, skip, MSG_WAITALL) != (ssize_t)skip ||
			 memcmp(back, before, skip) != 0))
		return false;
	return write(fd, text, n) == (ssize_t)n &&
	       recv(fd, back, n, MSG_WAITALL) == (ssize_t)n &&
	       !memcmp(back, text, n);
}

static void test_through(bool has_v6)
{
	static const struct {
		const char *name, *before, *addr;
	} rows[] = {
		{ "good.test", "", "" },
		{ "wait.test", "early", "" },
		{ "192.0.2.7", "early", "192.0.2.7" },
		{ "2001:db8::7", "", "2001:db8::7" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct net_event *e;
		int fd;

		if (!has_v6 && strchr(rows[i].name, ':'))
			continue;
		fd = connect_to(rows[i].name, 7001);
		ok(fd >= 0 && echoes(fd, rows[i].before, "hello"),
		   "%s through the proxy", rows[i].name);
		shutdown(fd, SHUT_WR);
		ok(how_it_ends(fd) == 0, "and its end");
		e = box_event(NET_EVENT_CONNECT, rows[i].name);
		ok(e && e->proxied && !e->error &&
		       !strcmp(e->addr, rows[i].addr),
		   "is told of, with what is known: \"%s\"", e ? e->addr : "-");
		e = box_event(NET_EVENT_CLOSE, rows[i].name);
		ok(e && e->proxied && e->bytes_out == 5 &&
		       e->bytes_in == 5 + strlen(rows[i].before),
		   "the head is not counted");
	}
}

static void test_direct(void)
{
	static const struct {
		const char *what, *name;
	} rows[] = {
		{ "a resolved name", "mine.test" },
		{ "the host's own port", "host.m9m.internal" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct net_event *e;
		int fd = connect_to(rows[i].name, 7001);

		ok(fd >= 0 && echoes(fd, "direct", "x"),
		   "%s does not go through it", rows[i].what);
		close(fd);
		e = box_event(NET_EVENT_CONNECT, rows[i].name);
		ok(e && !e->proxied && !strcmp(e->addr, "127.0.0.1"),
		   "and the event says so");
	}
}

static void test_moods(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(moods); i++) {
		const struct net_event *e;
		char name[300];
		uint16_t port;
		int fd;

		if (!moods[i].reason)
			continue;
		snprintf(name, sizeof(name), "%s", moods[i].target);
		port = (uint16_t)atoi(strchr(name, ':') + 1);
		*strchr(name, ':') = '\0';
		fd = connect_to(name, port);
		ok(how_it_ends(fd) == ECONNRESET, "%s: reset", moods[i].target);
		e = box_event(NET_EVENT_CONNECT, name);
		ok(e && e->error && strstr(e->reason, moods[i].reason),
		   "and told why: %s", e ? e->reason : "-");
	}
}

/* The rules are ours still, and so is what may be said. */
static void test_rules(void)
{
	const struct net_event *e;
	int fd = connect_to("good.test", 443);

	(void)!write(fd, "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", 35);
	ok(how_it_ends(fd) == ECONNRESET, "another Host is reset");
	e = box_event(NET_EVENT_DENIED, "good.test");
	ok(e && strstr(e->reason, "Host"), "and told of");
	fd = connect_to("192.0.2.8", 7001);
	ok(how_it_ends(fd) == ECONNRESET &&
	       box_event(NET_EVENT_DENIED, "192.0.2.8"),
	   "an address of no rule is reset");
}

static void test_tls_ports(void)
{
	static const char *const names[] = { "tls.test", "192.0.2.7" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct net_event *e;
		int fd = connect_to(names[i], 7002);

		(void)!write(fd, "SSH-2.0-me\r\n", 12);
		ok(how_it_ends(fd) == ECONNRESET, "%s: no TLS, reset",
		   names[i]);
		e = box_event(NET_EVENT_DENIED, names[i]);
		ok(e && strstr(e->reason, "requires TLS"), "and told why: %s",
		   e ? e->reason : "-");
	}
}

static void test_refused(struct net_policy *policy)
{
	const struct net_event *e;
	int fd;

	policy->proxy->port = 7999;
	if (!ok(box_start(policy) == 0, "another relay"))
		return;
	fd = connect_to("good.test", 7001);
	ok(how_it_ends(fd) == ECONNRESET, "no proxy there: reset");
	e = box_event(NET_EVENT_CONNECT, "good.test");
	ok(e && e->error == ECONNREFUSED && strstr(e->reason, "the proxy"),
	   "and told why: %s", e ? e->reason : "-");
}

static void stop(void)
{
	relay_stop(&box_relay);
	relay_close(&box_relay);
	box_stop();
}

int main(void)
{
	struct net_policy policy;
	static const uint16_t tls_port = 7002;
	char why[200];

	if (box_unshare(geteuid() != 0) < 0)
		return skipped("no network namespaces here");
	box_lo_up();
	box_server("127.0.0.1", 3128, serve_proxy);
	box_server("127.0.0.1", 7001, greet);
	box_policy(&policy, rules, resolve, 7001);
	policy.proxy = xcalloc(1, sizeof(*policy.proxy));
	proxy_parse("http://user:hunter2@127.0.0.1:3128", policy.proxy, why,
		    sizeof(why));
	policy.tls_ports = xcalloc(1, sizeof(tls_port));
	policy.tls_ports[0] = tls_port;
	policy.n_tls_ports = 1;
	if (!ok(box_start(&policy) == 0, "the relay takes the sockets: %s",
		err_get() ? err_get()->message : ""))
		return done();
	test_through(box_has_v6());
	test_direct();
	test_moods();
	test_rules();
	test_tls_ports();
	stop();
	test_refused(&policy);
	stop();
	netpol_free(&policy);
	box_end();
	return done();
}
