/* SPDX-License-Identifier: MIT */
/* Attempts that no listener takes, by the packets that are seen of them. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay_state.h"
#include "tap.h"
#include "util.h"

#define SHARE   64
#define SILENCE 5000
#define RECENT  32
#define CROWDED 1024

/* A raw socket shows an IPv4 packet from its header on: so does this one, what
 * it is sent. */
static struct relay_state state;
static int sender;

static struct watch *open_socket(bool udp)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
	    connect(sender, (struct sockaddr *)&sa, len) < 0)
		ok(false, "a socket");
	return relay_packets(&state, fd, udp);
}

static void close_socket(struct watch *watch)
{
	close(watch->fd);
	close(sender);
	free(watch);
}

/* Of a header of so many octets. */
static void send_packet(const char *to, uint16_t port, size_t header, size_t n)
{
	uint8_t packet[80] = { 0x40 };

	packet[0] |= (uint8_t)(header / 4);
	inet_pton(AF_INET, to, packet + 16);
	packet[header + 2] = (uint8_t)(port >> 8);
	packet[header + 3] = (uint8_t)port;
	(void)!send(sender, packet, n, 0);
}

/* How many attempts are told of; the last of them in *last. */
static size_t look(struct watch *watch, struct net_event *last)
{
	struct event_queue *q = &state.events;

	q->n = 0;
	watch->ready(watch, EPOLLIN);
	if (q->n)
		*last = q->ring[(q->head + q->n - 1) % q->size];
	return q->n;
}

static const struct {
	const char *what, *to;
	uint16_t port;
	size_t header, n; /* octets; n: that there are */
	bool told;
} rows[] = {
	{ "a port of no rule", "192.0.2.7", 0x1234, 20, 40, true },
	{ "options before the ports", "192.0.2.7", 22, 60, 80, true },
	{ "just the ports", "192.0.2.7", 22, 20, 24, true },
	{ "not all of them", "192.0.2.7", 22, 20, 23, false },
	{ "not all of the options", "192.0.2.7", 22, 60, 63, false },
	{ "half a header", "192.0.2.7", 22, 20, 19, false },
	{ "nothing", "192.0.2.7", 22, 20, 0, false },
	{ "loopback", "127.0.0.1", 22, 20, 40, false },
	{ "its end", "127.255.255.255", 22, 20, 40, false },
	{ "before it", "126.255.255.255", 22, 20, 40, true },
	{ "beyond it", "128.0.0.0", 22, 20, 40, true },
	{ "a port with a listener", "192.0.2.7", 443, 20, 40, false },
	{ "the other one", "192.0.2.7", 8443, 20, 40, false },
	{ "the name service's", "192.0.2.7", 53, 20, 40, false },
	{ "none of them", "192.0.2.7", 444, 20, 40, true },
};

static void test_rows(void)
{
	static const uint8_t other[40] = { 0x65 };
	struct watch *watch = open_socket(false);
	struct net_event e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t n;

		send_packet(rows[i].to, rows[i].port, rows[i].header,
			    rows[i].n);
		n = look(watch, &e);
		ok(n == rows[i].told &&
		       (!n ||
			(!strcmp(e.addr, rows[i].to) &&
			 e.port == rows[i].port && !strcmp(e.protocol, "tcp") &&
			 e.reason[0] && e.kind == NET_EVENT_DENIED)),
		   "%s: %zu", rows[i].what, n);
	}
	(void)!send(sender, other, sizeof(other), 0);
	ok(look(watch, &e) == 0, "another version of IP");
	close_socket(watch);
}

/* UDP has no first packet. */
static void test_udp(void)
{
	struct watch *watch = open_socket(true);
	struct net_event e = { 0 };
	char to[40];

	send_packet("192.0.2.7", 443, 20, 28);
	ok(look(watch, &e) == 1 && !strcmp(e.protocol, "udp") &&
	       !strcmp(e.reason, "UDP is not relayed") && !e.remedy[0],
	   "UDP is told of, at a listener's port too");
	state.loop.now += SILENCE - 1;
	send_packet("192.0.2.7", 443, 20, 28);
	ok(look(watch, &e) == 0, "once in a while");
	send_packet("192.0.2.7", 444, 20, 28);
	send_packet("192.0.2.8", 443, 20, 28);
	ok(look(watch, &e) == 2, "another port and another peer are others");
	state.loop.now += 1;
	send_packet("192.0.2.7", 443, 20, 28);
	ok(look(watch, &e) == 1, "and then again");
	for (int i = 0; i < RECENT; i++) {
		snprintf(to, sizeof(to), "198.51.100.%d", i);
		send_packet(to, 1, 20, 28);
	}
	ok(look(watch, &e) == RECENT, "many are told of");
	send_packet("198.51.100.0", 1, 20, 28);
	ok(look(watch, &e) == 0, "so many are known");
	send_packet("192.0.2.7", 443, 20, 28);
	ok(look(watch, &e) == 1, "of more the oldest is told of anew");
	close_socket(watch);
}

static void test_bounds(void)
{
	struct watch *watch = open_socket(false);
	struct net_event e = { 0 };
	uint64_t dropped = state.events.dropped;

	for (int i = 0; i < SHARE + 1; i++)
		send_packet("192.0.2.7", 22, 20, 40);
	ok(look(watch, &e) == SHARE, "so many are looked at in a turn");
	ok(look(watch, &e) == 1, "the rest in the next");
	ok(state.events.dropped == dropped, "none is lost");
	for (int i = 0; i < 5000; i++)
		send_packet("192.0.2.7", 22, 20, 40);
	look(watch, &e);
	ok(state.events.dropped > dropped &&
	       state.events.dropped - dropped < 5000,
	   "of too many some are: %llu",
	   (unsigned long long)(state.events.dropped - dropped));
	dropped = state.events.dropped;
	while (look(watch, &e) > 0)
		;
	ok(state.events.dropped == dropped, "and are counted once");
	for (size_t i = 0; i < CROWDED + 200; i++)
		relay_event_send(&state, &e);
	dropped = state.events.n;
	send_packet("192.0.2.7", 22, 20, 40);
	watch->ready(watch, EPOLLIN);
	ok(state.events.n == dropped && state.paused,
	   "in a crowd nobody is looked at");
	ok(look(watch, &e) == 1, "but waits");
	close_socket(watch);
}

int main(void)
{
	static uint16_t listen[] = { 443, 8443 };
	struct net_policy policy = { .mode = NET_RELAY,
				     .listen_ports = listen,
				     .n_listen_ports = ARRAY_SIZE(listen) };
	struct net_event event = { .kind = NET_EVENT_LIMIT };
	int fds[2];

	if (!ok(loop_init(&state.loop) == 0 &&
		    socketpair(AF_UNIX,
			       SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			       fds) == 0 &&
		    relay_event_init(&state, fds[0]) == 0,
		"a queue"))
		return done();
	/* What is told stays in the queue. */
	while (send(fds[0], &event, sizeof(event), MSG_DONTWAIT) > 0)
		;
	timer_list_init(&state.loop, &state.resuming, 20, NULL);
	names_init(&state.names);
	state.policy = &policy;
	test_rows();
	ok(state.has_packets, "it is known that they are seen");
	test_udp();
	test_bounds();
	return done();
}
