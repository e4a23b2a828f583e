/* SPDX-License-Identifier: MIT */
#include "relay_state.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "err.h"
#include "netaddr.h"
#include "util.h"

/*
 * Theory of operation
 *
 *	client --connect()--> 127.0.0.1:HOSTPORT, a listener of the relay's
 *	relay: an inlet --connect()--> 127.0.0.1:PORT inside
 *
 * An inlet is a TCP socket that the child made in the sandbox's namespace, where
 * it connects for ever, whoever holds it.  There are so many, and no more can
 * be made from here: each is dissolved after its use and taken again, and who
 * comes while all are in use waits in the listener's queue.  What listens inside
 * may be hostile: it must not keep one that its client has no use for.
 */

#define BACKLOG     256
#define REST_MS     500
/* As long as the kernel keeps what nobody holds any more. */
#define REST_MAX_MS (2 * 60 * 1000)

struct door {
	struct watch watch;
	struct relay_state *state;
	const struct spec_publish *publish;
};

struct inlets {
	int ready[2][NETPOL_INLETS]; /* IPv4, IPv6 */
	size_t n[2];
	size_t made[2]; /* some kernels have no IPv6 */
	size_t guests;  /* let in and not gone; and inlets at rest */
	struct door **doors;
	size_t n_doors;
	bool open; /* the doors are */
};

/* What its peer has not taken yet would be lost in being dissolved. */
struct rest {
	struct timer timer;
	struct relay_state *state;
	int fd;
	uint64_t until;
};

/*** Inlets ***/

static size_t family_index(int family)
{
	return family == AF_INET6;
}

static void set_doors(struct relay_state *state, bool open)
{
	struct inlets *in = state->inlets;

	in->open = open;
	if (state->paused)
		return; /* all are shut: the end of the pause opens them */
	for (size_t i = 0; i < in->n_doors; i++)
		loop_change(&state->loop, &in->doors[i]->watch,
			    open ? EPOLLIN : 0);
}

/* For whoever comes there must be an inlet of each family: which one it takes
 * shows when it has tried. */
static bool is_full(const struct inlets *in)
{
	for (size_t i = 0; i < ARRAY_SIZE(in->made); i++)
		if (in->made[i] > 0 && in->guests >= in->made[i])
			return true;
	return false;
}

int relay_inlet_take(struct relay_state *state, int family)
{
	size_t i = family_index(family);

	if (state->inlets->n[i] == 0) {
		errno = EAGAIN;
		return -1;
	}
	return state->inlets->ready[i][--state->inlets->n[i]];
}

/* Is there something on its way that a reset would not be right for? */
static bool is_resting(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return false;
	return info.tcpi_state == TCP_LAST_ACK ||
	       info.tcpi_state == TCP_CLOSING ||
	       info.tcpi_state == TCP_FIN_WAIT1;
}

static bool dissolve(int fd)
{
	static const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	return connect(fd, &nowhere, sizeof(nowhere)) == 0;
}

static void put_back(struct relay_state *state, int fd)
{
	struct inlets *in = state->inlets;
	int family = AF_INET;
	socklen_t len = sizeof(family);
	size_t i;

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	i = family_index(family);
	if (in->n[i] < NETPOL_INLETS && dissolve(fd)) {
		in->ready[i][in->n[i]++] = fd;
		return;
	}
	close(fd);
	if (in->made[i] > 0)
		in->made[i]--;
}

void relay_inlet_give(struct relay_state *state, int fd)
{
	struct rest *rest;

	if (!is_resting(fd)) {
		put_back(state, fd);
		return;
	}
	rest = xcalloc(1, sizeof(*rest));
	rest->state = state;
	rest->fd = fd;
	rest->until = state->loop.now + REST_MAX_MS;
	state->inlets->guests++;
	timer_start(&state->loop, &state->resting, &rest->timer);
}

static void rest_expired(struct timer *timer)
{
	struct rest *rest = container_of(timer, struct rest, timer);
	struct relay_state *state = rest->state;

	if (is_resting(rest->fd) && state->loop.now < rest->until) {
		timer_start(&state->loop, &state->resting, timer);
		return;
	}
	put_back(state, rest->fd);
	free(rest);
	relay_guest_gone(state);
}

void relay_guest_gone(struct relay_state *state)
{
	struct inlets *in = state->inlets;

	in->guests--;
	if (!in->open && !is_full(in))
		set_doors(state, true);
}

/*** Doors ***/

static void door_ready(struct watch *watch, uint32_t events)
{
	struct door *door = container_of(watch, struct door, watch);
	struct relay_state *state = door->state;
	int fd;

	(void)events;
	if (!relay_has_room(state)) {
		relay_pause(state);
		return;
	}
	if (is_full(state->inlets)) {
		set_doors(state, false);
		return;
	}
	fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		state->inlets->guests++;
		conn_let_in(state, fd, door->publish);
	} else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
		relay_starve(state, errno);
	}
}

static int take_port(const struct in6_addr *addr, uint16_t port)
{
	static const int on = 1;
	struct sockaddr_storage sa;
	socklen_t len = netaddr_to_socket(addr, port, &sa);
	auto_fd int fd = socket(sa.ss_family,
				SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	/* What is left of an earlier run's connections is no listener; what is
	 * accepted inherits the other options. */
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, len) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return -1;
	return take_fd(&fd);
}

static int fail_port(const struct spec_publish *publish)
{
	int error = errno;

	fail(error, "cannot publish port %u as port %u of the host's loopback",
	     publish->port, publish->host_port);
	if (error == EADDRINUSE)
		return fail_remedy("another program listens there: choose "
				   "another, --publish HOSTPORT:%u",
				   publish->port);
	if (error == EACCES)
		return fail_remedy("ports below 1024 are root's: choose "
				   "another, --publish HOSTPORT:%u",
				   publish->port);
	return -1;
}

static void add_door(struct relay_state *state, int fd,
		     const struct spec_publish *publish)
{
	struct inlets *in = state->inlets;
	struct door *door = xcalloc(1, sizeof(*door));

	door->watch = (struct watch){ fd, door_ready };
	door->state = state;
	door->publish = publish;
	in->doors = xrealloc_array(in->doors, in->n_doors + 1,
				   sizeof(*in->doors));
	in->doors[in->n_doors++] = door;
}

/* On both addresses of "localhost"; a host may be without IPv6. */
static int open_doors(struct relay_state *state,
		      const struct spec_publish *publish)
{
	static const struct in6_addr loopback6 = IN6ADDR_LOOPBACK_INIT;
	struct in6_addr loopback = netaddr_from_v4(INADDR_LOOPBACK);
	int fd = take_port(&loopback, publish->host_port);

	if (fd < 0)
		return fail_port(publish);
	add_door(state, fd, publish);
	fd = take_port(&loopback6, publish->host_port);
	if (fd >= 0)
		add_door(state, fd, publish);
	else if (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)
		return fail_port(publish);
	return 0;
}

int relay_publish_open(struct relay_state *state)
{
	const struct net_policy *policy = state->policy;

	if (policy->n_publish == 0)
		return 0;
	timer_list_init(&state->loop, &state->resting, REST_MS, rest_expired);
	state->inlets = xcalloc(1, sizeof(*state->inlets));
	for (size_t i = 0; i < policy->n_publish; i++)
		if (open_doors(state, &policy->publish[i]) < 0)
			return -1;
	return 0;
}

int relay_publish_begin(struct relay_state *state)
{
	struct inlets *in = state->inlets;

	if (!in)
		return 0;
	in->open = true;
	for (size_t i = 0; i < ARRAY_SIZE(in->made); i++)
		in->made[i] = in->n[i];
	for (size_t i = 0; i < in->n_doors; i++)
		if (relay_listen(state, &in->doors[i]->watch) < 0)
			return -1;
	return 0;
}
