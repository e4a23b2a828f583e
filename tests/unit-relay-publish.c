/* SPDX-License-Identifier: MIT */
/* What is let in: the sockets for it are few, and come back from every use. */
#include "netbox.h"

#include <stdint.h>

#define DOOR   7101
#define INSIDE 7102

static const char *const none[] = { NULL };

/* Of what listens inside; -1: nothing does. */
static int listener = -1;

static int bound(const char *addr, uint16_t port, int fd, bool binds)
{
	struct in6_addr ip = box_addr(addr);
	struct sockaddr_storage sa;
	socklen_t len = netaddr_to_socket(&ip, port, &sa);
	struct timeval patience = { .tv_sec = 10 };
	int rc;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	rc = binds ? bind(fd, (struct sockaddr *)&sa, len)
		   : connect(fd, (struct sockaddr *)&sa, len);
	if (rc < 0)
		box_die(addr);
	return fd;
}

static int family_of(const char *addr)
{
	return strchr(addr, ':') ? AF_INET6 : AF_INET;
}

static void listen_at(const char *addr)
{
	static const int on = 1;
	int little = 1;

	listener = box_socket(family_of(addr), SOCK_STREAM);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* What is not read soon stays with the sender. */
	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	bound(addr, INSIDE, listener, true);
	if (listen(listener, 400) < 0)
		box_die("listen");
}

static int enter(const char *addr)
{
	return bound(addr, DOOR,
		     socket(family_of(addr), SOCK_STREAM | SOCK_CLOEXEC, 0),
		     false);
}

/* The next guest's other end; -1: none came in so long. */
static int welcome(int ms)
{
	struct pollfd pfd = { .fd = listener, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1
		   ? accept4(listener, NULL, NULL, SOCK_CLOEXEC)
		   : -1;
}

static void reset(int fd)
{
	const struct linger now = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static bool says(int from, int to, const char *word)
{
	char back[100];
	size_t n = strlen(word);

	return write(from, word, n) == (ssize_t)n &&
	       recv(to, back, n, MSG_WAITALL) == (ssize_t)n &&
	       !memcmp(back, word, n);
}

/* What was told so far is of no interest. */
static void forget(void)
{
	do {
		box_n_events = 0;
		box_pump(50);
	} while (box_n_events > 0);
}

/* As many as there can be, at once, and each hears its own word first. */
static bool all_are_there(const char *door)
{
	static int clients[NETPOL_INLETS], servers[NETPOL_INLETS];
	size_t good = 0;

	for (size_t i = 0; i < NETPOL_INLETS; i++)
		clients[i] = enter(door);
	for (size_t i = 0; i < NETPOL_INLETS; i++) {
		servers[i] = welcome(10000);
		(void)!write(servers[i], "x", 1);
	}
	for (size_t i = 0; i < NETPOL_INLETS; i++) {
		char c[2];

		good += recv(clients[i], c, 2, 0) == 1 && c[0] == 'x';
		close(servers[i]);
	}
	for (size_t i = 0; i < NETPOL_INLETS; i++)
		close(clients[i]);
	forget();
	return good == NETPOL_INLETS;
}

static void test_words(const char *door, const char *inside)
{
	const struct net_event *e;
	int client = enter(door), server = welcome(10000);
	char c;

	ok(says(client, server, "hello") && says(server, client, "you"),
	   "by %s: words both ways", door);
	shutdown(client, SHUT_WR);
	ok(recv(server, &c, 1, 0) == 0 && says(server, client, "still"),
	   "half an end is one");
	shutdown(server, SHUT_WR);
	ok(recv(client, &c, 1, 0) == 0, "and then the other half");
	close(client);
	close(server);
	e = box_event_at(NET_EVENT_CONNECT, inside, INSIDE);
	ok(e && e->inbound && !strcmp(e->rule, "publish") && !e->error,
	   "it is told of");
	e = box_event_at(NET_EVENT_CLOSE, inside, INSIDE);
	ok(e && e->bytes_in == 5 && e->bytes_out == 8, "and counted");
}

static void test_full(void)
{
	enum { MORE = 10, ALL = NETPOL_INLETS + MORE };
	static int clients[ALL], servers[ALL];
	size_t n = 0, served = 0;

	for (size_t i = 0; i < ALL; i++)
		clients[i] = enter("127.0.0.1");
	while (n < ALL &&
	       (servers[n] = welcome(n < NETPOL_INLETS ? 10000 : 300)) >= 0)
		n++;
	ok(n == NETPOL_INLETS, "so many are let in: %zu", n);
	for (size_t i = 0; i < MORE; i++) {
		close(clients[i]);
		close(servers[i]);
	}
	while (n < ALL && (servers[n] = welcome(10000)) >= 0)
		n++;
	ok(n == ALL, "the others when those are gone");
	for (size_t i = MORE; i < n; i++)
		served += says(servers[i], clients[i], "x");
	ok(served == NETPOL_INLETS, "and all are served: %zu", served);
	for (size_t i = MORE; i < n; i++) {
		close(clients[i]);
		close(servers[i]);
	}
}

/* What a guest did not take is not there for the next one. */
static void test_ends(void)
{
	static char much[20000];

	memset(much, 'o', sizeof(much));
	for (size_t i = 0; i < 2 * NETPOL_INLETS; i++) {
		int client = enter("127.0.0.1"), server = welcome(10000);

		(void)!send(server, much, sizeof(much), MSG_DONTWAIT);
		(void)!send(client, much, sizeof(much), MSG_DONTWAIT);
		if (i % 2)
			reset(client);
		else
			reset(server);
		close(i % 2 ? server : client);
	}
	ok(all_are_there("127.0.0.1"), "after ends of all kinds all are there");
}

static void test_nobody(void)
{
	const struct net_event *e;
	char c;

	close(listener);
	forget();
	for (size_t i = 0; i < 2 * NETPOL_INLETS; i++) {
		int fd = enter("127.0.0.1");

		if (recv(fd, &c, 1, 0) >= 0 || errno != ECONNRESET)
			ok(false, "nobody listens: a reset");
		close(fd);
		e = box_event_at(NET_EVENT_CONNECT, "127.0.0.1", INSIDE);
		if (!e || e->error != ECONNREFUSED)
			ok(false, "and told why: %s, %d", e ? e->reason : "-",
			   e ? e->error : 0);
	}
	listen_at("127.0.0.1");
	ok(all_are_there("127.0.0.1"), "after failures all are there");
}

/* Who said its end first may read what came afterwards, and has its inlet for
 * as long. */
static void test_late_reader(void)
{
	static char much[30000], back[sizeof(much) + 1];
	int clients[NETPOL_INLETS], servers[NETPOL_INLETS], last;
	size_t n = 0;
	ssize_t got;

	for (; n < NETPOL_INLETS; n++) {
		clients[n] = enter("127.0.0.1");
		servers[n] = welcome(10000);
	}
	shutdown(servers[0], SHUT_WR);
	ok(write_all(clients[0], much, sizeof(much)) == 0, "much for later");
	close(clients[0]);
	ok(box_event_at(NET_EVENT_CLOSE, "127.0.0.1", INSIDE) != NULL,
	   "its client is done");
	clients[0] = enter("127.0.0.1");
	last = welcome(700);
	ok(last < 0, "its place is taken still");
	for (n = 0; (got = recv(servers[0], back, sizeof(back), 0)) > 0;)
		n += (size_t)got;
	ok(got == 0 && n == sizeof(much), "all of it is there: %zu", n);
	close(servers[0]);
	servers[0] = welcome(10000);
	ok(servers[0] >= 0 && says(servers[0], clients[0], "x"),
	   "then its place is another's");
	for (n = 0; n < NETPOL_INLETS; n++) {
		close(clients[n]);
		close(servers[n]);
	}
}

int main(void)
{
	struct net_policy policy;

	if (box_unshare(geteuid() != 0) < 0)
		return skipped("no network namespaces here");
	box_lo_up();
	box_policy(&policy, none, none, 0);
	policy.publish = xcalloc(1, sizeof(*policy.publish));
	policy.publish[0] = (struct spec_publish){ DOOR, INSIDE };
	policy.n_publish = 1;
	policy.mode = NET_RELAY;
	if (!ok(box_start(&policy) == 0, "the relay takes the sockets: %s",
		err_get() ? err_get()->message : ""))
		return done();
	listen_at("127.0.0.1");
	test_words("127.0.0.1", "127.0.0.1");
	test_full();
	test_ends();
	test_nobody();
	test_late_reader();
	if (box_has_v6()) {
		forget();
		test_words("::1", "127.0.0.1");
		close(listener);
		listen_at("::1");
		test_words("127.0.0.1", "::1");
		ok(all_are_there("::1"), "and over IPv6 as many");
	}
	ok(relay_stop(&box_relay) == 0, "the relay ends in order");
	relay_close(&box_relay);
	box_stop();
	box_end();
	netpol_free(&policy);
	return done();
}
