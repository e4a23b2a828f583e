/* SPDX-License-Identifier: MIT */
#include "conn.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netaddr.h"
#include "util.h"

/* RFC 8305: the next address has its chance after so long, or at a failure. */
#define NEXT_ATTEMPT_MS 250
/*
 * For the connections that come together: not a cache that outlives its TTL.  A
 * failure is kept as well: who connects to a dead name over and over would have
 * thousands of questions a second asked in the world, and tell things by their
 * order.
 */
#define FRESH_MS        2000

/* A name's addresses, as the host's resolver gave them. */
struct lookup {
	struct resolver_job job;
	bool busy;
	uint64_t fresh_until;
	struct conn *waiting;
};

struct attempt {
	struct watch watch;
	struct dial *dial;
	struct in6_addr addr;
};

struct dial {
	struct conn *conn;
	struct timer timer;
	size_t n, next; /* attempts in all; the next one to start */
	size_t pending;
	uint16_t port;
	int error; /* of the first that failed */
	struct attempt attempts[];
};

/*** Through the proxy ***/

/* What follows the head is the server's already: it stays where it is. */
static void read_answer(struct conn *c)
{
	uint8_t *window = c->state->window;
	ssize_t n = recv(c->server.watch.fd, window, PROXY_ANSWER_MAX,
			 MSG_PEEK | MSG_DONTWAIT);
	int status = 0;
	long head;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_failed(c, n < 0 ? errno : ECONNRESET, "the proxy hung up");
		return;
	}
	head = proxy_answer(window, (size_t)n, &status);
	if (head == 0 && !c->server.hup)
		return;
	if (head <= 0)
		conn_failed(c, EPROTO, "the proxy's answer is no HTTP");
	else if (status / 100 != 2)
		conn_failed(c, EACCES, proxy_refusal(status));
	else if (recv(c->server.watch.fd, window, (size_t)head, MSG_DONTWAIT) !=
		 head)
		conn_failed(c, EPROTO, "the proxy's answer cannot be read");
	else
		conn_established(c, NULL);
}

static void proxy_ready(struct watch *watch, uint32_t events)
{
	struct conn *c = container_of(watch, struct conn, server.watch);

	c->server.hup |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	/* The edge may be of more than the head: flow.c looks again. */
	c->server.readable |= (events & (EPOLLIN | EPOLLRDHUP)) != 0;
	c->server.urgent |= (events & EPOLLPRI) != 0;
	if (c->server.readable || c->server.hup)
		read_answer(c);
}

static void ask_proxy(struct conn *c)
{
	char request[PROXY_REQUEST_MAX], addr[INET6_ADDRSTRLEN];
	size_t n;

	netaddr_format(&c->addr, addr);
	n = proxy_request(c->state->policy->proxy,
			  c->name ? c->name->text : addr, c->port, request);
	c->phase = CONN_TUNNEL;
	c->server.watch.ready = proxy_ready;
	if (send(c->server.watch.fd, request, n, MSG_DONTWAIT | MSG_NOSIGNAL) !=
	    (ssize_t)n)
		conn_failed(c, ECONNRESET, "the proxy takes no request");
}

/*** Connecting ***/

static void start_next(struct dial *d);

static const char *no_way(const struct conn *c)
{
	if (c->inbound)
		return "no connection to the port inside";
	return c->proxied ? "no connection to the proxy"
			  : "no connection to the server";
}

static void attempt_failed(struct attempt *a, int error)
{
	struct dial *d = a->dial;

	conn_close_server(d->conn, &a->watch);
	d->pending--;
	if (!d->error)
		d->error = error;
	start_next(d);
}

static void attempt_ready(struct watch *watch, uint32_t events)
{
	struct attempt *a = container_of(watch, struct attempt, watch);
	struct conn *c = a->dial->conn;
	struct in6_addr addr = a->addr;
	socklen_t len = sizeof(int);
	int error = 0;

	/* Without one of these the connection is made: nothing to ask for. */
	if ((events & (EPOLLERR | EPOLLHUP)) &&
	    getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		attempt_failed(a, error);
		return;
	}
	if (loop_move(&c->state->loop, watch, &c->server.watch,
		      EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET) <
	    0) {
		conn_failed(c, errno, "the relay is out of resources");
		return;
	}
	dial_stop(c);
	if (c->proxied)
		ask_proxy(c);
	else
		conn_established(c, &addr);
}

/* 0, or an errno. */
static int start_attempt(struct attempt *a)
{
	static const int on = 1;
	struct conn *c = a->dial->conn;
	struct sockaddr_storage sa;
	socklen_t len = netaddr_to_socket(&a->addr, a->dial->port, &sa);
	int fd = c->inbound
		     ? relay_inlet_take(c->state, sa.ss_family)
		     : socket(sa.ss_family,
			      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	a->watch = (struct watch){ fd, attempt_ready };
	if (fd < 0)
		return errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	/* To the host itself: see netpol_apply.c. */
	if (c->name && c->name->gateway)
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	if (connect(fd, (struct sockaddr *)&sa, len) < 0 &&
	    errno != EINPROGRESS)
		return errno;
	return loop_add(&c->state->loop, &a->watch, EPOLLOUT | EPOLLET) < 0
		   ? errno
		   : 0;
}

static void start_next(struct dial *d)
{
	struct conn *c = d->conn;

	while (d->next < d->n) {
		struct attempt *a = &d->attempts[d->next++];
		int error = start_attempt(a);

		if (error == 0) {
			d->pending++;
			break;
		}
		conn_close_server(c, &a->watch);
		if (!d->error)
			d->error = error;
	}
	timer_stop(&d->timer);
	if (d->next < d->n)
		timer_start(&c->state->loop, &c->state->next_attempt,
			    &d->timer);
	else if (d->pending == 0)
		conn_failed(c, d->error, no_way(c));
}

static void next_attempt_expired(struct timer *timer)
{
	start_next(container_of(timer, struct dial, timer));
}

static void connect_to(struct conn *c, const struct in6_addr *addrs, size_t n)
{
	const struct proxy *proxy = c->state->policy->proxy;
	struct dial *d = xcalloc(1, sizeof(*d) + n * sizeof(d->attempts[0]));

	d->conn = c;
	d->n = n;
	d->port = c->proxied ? proxy->port : c->port;
	for (size_t i = 0; i < n; i++) {
		d->attempts[i].dial = d;
		d->attempts[i].addr = addrs[i];
		d->attempts[i].watch.fd = -1;
	}
	c->dial = d;
	c->phase = CONN_DIALLING;
	start_next(d);
}

/*** Answers ***/

/* Why this address must not be dialled, or NULL. */
static const char *refused(const struct conn *c, const struct in6_addr *addr)
{
	const char *special = netaddr_special(addr);

	/* The proxy itself is the user's own choice. */
	if (c->proxied)
		return NULL;
	if (!special && netaddr_is_own(c->state->route_fd, addr))
		special = "an address of this host";
	/* Who names the address itself means it. */
	if (special && relay_rule_for_addr(c->state->policy, addr, c->port))
		special = NULL;
	return special;
}

/* The order of RFC 8305: as the resolver has them, families taking turns. */
static void interleave(struct in6_addr *addrs, size_t n)
{
	struct in6_addr sorted[RESOLVER_ADDRS];
	bool used[RESOLVER_ADDRS] = { false };
	bool v4 = n > 0 && netaddr_is_v4(&addrs[0]);

	for (size_t k = 0; k < n; k++, v4 = !v4) {
		size_t pick = n;

		for (size_t i = n; i-- > 0;)
			if (!used[i] &&
			    (pick == n || netaddr_is_v4(&addrs[i]) == v4 ||
			     netaddr_is_v4(&addrs[pick]) != v4))
				pick = i;
		used[pick] = true;
		sorted[k] = addrs[pick];
	}
	memcpy(addrs, sorted, n * sizeof(*addrs));
}

static void deny_answer(struct conn *c, const struct in6_addr *addr,
			const char *why)
{
	char text[INET6_ADDRSTRLEN], reason[128], remedy[NET_FLAG_MAX];

	netaddr_format(addr, text);
	snprintf(reason, sizeof(reason), "the name leads to %s, %s", text, why);
	relay_flag_addr(c->state->policy, addr, c->port, remedy);
	conn_deny(c, reason, remedy);
}

static void use_answer(struct conn *c, const struct resolver_job *job)
{
	struct in6_addr good[RESOLVER_ADDRS];
	const struct in6_addr *bad = NULL;
	const char *why = NULL;
	size_t n = 0;

	if (job->error) {
		conn_failed(
		    c, job->error == EAI_SYSTEM ? job->system : EHOSTUNREACH,
		    c->proxied ? "the proxy's name cannot be looked up"
			       : gai_strerror(job->error));
		return;
	}
	for (size_t i = 0; i < job->n; i++) {
		const char *no = refused(c, &job->addrs[i]);

		if (!no) {
			good[n++] = job->addrs[i];
		} else if (!bad) {
			bad = &job->addrs[i];
			why = no;
		}
	}
	if (n > 0) {
		interleave(good, n);
		connect_to(c, good, n);
	} else if (bad) {
		deny_answer(c, bad, why);
	} else if (job->embedded) {
		conn_deny(c, "the name leads to IPv4 in IPv6 form only", "");
	} else {
		conn_failed(c, EHOSTUNREACH, "the name has no address");
	}
}

/*** Lookups ***/

static void finish_lookup(struct relay_state *state, struct lookup *l)
{
	struct conn *c = l->waiting;

	l->busy = false;
	l->fresh_until = state->loop.now + FRESH_MS;
	l->waiting = NULL;
	while (c) {
		struct conn *next = c->next_waiting;

		c->next_waiting = NULL;
		c->lookup = NULL;
		use_answer(c, &l->job);
		c = next;
	}
}

static void resolved_ready(struct watch *watch, uint32_t events)
{
	struct relay_state *state = container_of(watch, struct relay_state,
						 resolved);
	struct resolver_job *job;

	(void)events;
	while ((job = resolver_take()) != NULL)
		finish_lookup(state, container_of(job, struct lookup, job));
}

static void look_up(struct conn *c, struct lookup **cached, const char *name)
{
	struct lookup *l = *cached;

	if (!l) {
		l = *cached = xcalloc(1, sizeof(*l));
		snprintf(l->job.name, sizeof(l->job.name), "%s", name);
	}
	if (!l->busy && c->state->loop.now < l->fresh_until) {
		use_answer(c, &l->job);
		return;
	}
	c->phase = CONN_RESOLVING;
	c->lookup = l;
	if (!l->busy) {
		l->job.n = 0;
		l->job.embedded = false;
		if (resolver_submit(&l->job) < 0) {
			conn_failed(c, errno, "the name cannot be looked up");
			return;
		}
	}
	l->busy = true;
	c->next_waiting = l->waiting;
	l->waiting = c;
}

/*** From and to conn.c ***/

void dial_init(struct relay_state *state)
{
	state->resolved.ready = resolved_ready;
	timer_list_init(&state->loop, &state->next_attempt, NEXT_ATTEMPT_MS,
			next_attempt_expired);
}

static bool goes_by_proxy(const struct conn *c)
{
	const struct net_policy *policy = c->state->policy;
	const char *name = c->name ? c->name->text : NULL;

	/* Where these are, the user has said. */
	if (!policy->proxy ||
	    (name && (c->name->gateway || relay_resolve_entry(policy, name))))
		return false;
	return !proxy_passes_by(policy->proxy, name, &c->addr, c->port);
}

static void dial_proxy(struct conn *c)
{
	const struct proxy *proxy = c->state->policy->proxy;

	if (proxy->host[0])
		look_up(c, &c->state->proxy, proxy->host);
	else
		connect_to(c, &proxy->addr, 1);
}

void dial_start(struct conn *c)
{
	const struct spec_resolve *entry;

	c->proxied = !c->inbound && goes_by_proxy(c);
	if (c->proxied) {
		dial_proxy(c);
	} else if (!c->name && !c->inbound) {
		connect_to(c, &c->addr, 1);
	} else if (c->inbound || c->name->gateway) {
		struct in6_addr loopback[] = { netaddr_from_v4(INADDR_LOOPBACK),
					       IN6ADDR_LOOPBACK_INIT };

		connect_to(c, loopback, ARRAY_SIZE(loopback));
	} else {
		entry = relay_resolve_entry(c->state->policy, c->name->text);
		if (entry)
			connect_to(c, &entry->addr, 1);
		else
			look_up(c, &c->name->lookup, c->name->text);
	}
}

static void stop_waiting(struct conn *c)
{
	struct conn **at = &c->lookup->waiting;

	while (*at && *at != c)
		at = &(*at)->next_waiting;
	if (*at)
		*at = c->next_waiting;
}

void dial_stop(struct conn *c)
{
	struct dial *d = c->dial;

	if (c->lookup)
		stop_waiting(c);
	if (!d)
		return;
	timer_stop(&d->timer);
	for (size_t i = 0; i < d->n; i++)
		conn_close_server(c, &d->attempts[i].watch);
	c->dial = NULL;
	free(d);
}
