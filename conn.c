/* SPDX-License-Identifier: MIT */
#include "conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netaddr.h"
#include "util.h"

#define CLIENT_EVENTS (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET)

/* A server that speaks first on a client's port gets its chance after this. */
#define FIRST_WORDS_MS 300
/* The whole way: names, every address.  Also for a hello that stays half. */
#define CONNECTING_MS  30000
#define LASTING_MS     (60 * 1000)
#define IDLE_MS        (60 * 60 * 1000)
#define PIPE_IDLE_MS   1000

static void reset(int fd)
{
	static const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/*** Events ***/

static void describe(const struct conn *c, struct net_event *event)
{
	event->connection = c->id;
	event->port = c->port;
	if (c->name)
		snprintf(event->name, sizeof(event->name), "%s", c->name->text);
	event->proxied = c->proxied;
	event->inbound = c->inbound;
	if (!c->name || (c->phase >= CONN_OPEN && !c->proxied))
		netaddr_format(&c->addr, event->addr);
	memcpy(event->protocol, "tcp", 4);
	snprintf(event->detail, sizeof(event->detail), "%s", c->detail);
	snprintf(event->rule, sizeof(event->rule), "%s", c->rule);
	if (c->rule != relay_permissive.text)
		return;
	if (c->name)
		relay_flag(c->state->policy, c->name->text, c->port,
			   event->remedy);
	else
		relay_flag_addr(c->state->policy, &c->addr, c->port,
				event->remedy);
}

void conn_announce(struct conn *c, int error, const char *reason)
{
	struct net_event event = { .kind = NET_EVENT_CONNECT, .error = error };

	if (c->announced)
		return;
	c->announced = true;
	describe(c, &event);
	event.duration_ms = c->state->loop.now - c->opened;
	snprintf(event.reason, sizeof(event.reason), "%s", reason);
	relay_event_send(c->state, &event);
}

static void record_close(const struct conn *c)
{
	struct net_event event = { .kind = NET_EVENT_CLOSE };

	if (c->phase != CONN_OPEN)
		return;
	describe(c, &event);
	/* Out of the sandbox, whoever began. */
	event.bytes_out = c->inbound ? c->in.bytes : c->out.bytes;
	event.bytes_in = c->inbound ? c->out.bytes : c->in.bytes;
	event.duration_ms = c->state->loop.now - c->opened;
	relay_event_send(c->state, &event);
}

/*** The end ***/

static void unlink_conn(struct conn *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		c->state->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->state->n_conns--;
}

void conn_close_server(struct conn *c, struct watch *watch)
{
	int fd;

	if (!c->inbound) {
		loop_close(&c->state->loop, watch);
		return;
	}
	fd = loop_release(&c->state->loop, watch);
	if (fd >= 0)
		relay_inlet_give(c->state, fd);
}

void conn_close(struct conn *c)
{
	struct relay_state *state = c->state;
	bool whole = c->in.done && c->out.done;

	if (c->phase == CONN_OPEN)
		conn_announce(c, 0, "");
	record_close(c);
	dial_stop(c);
	timer_stop(&c->timer);
	timer_stop(&c->again);
	timer_stop(&c->pipe_timer);
	flow_free(state, &c->in);
	flow_free(state, &c->out);
	/* Anything but the end that both sides made is passed on as a reset: a
	 * cut must not look like the end of a file. */
	if (!whole) {
		reset(c->client.watch.fd);
		if (c->server.watch.fd >= 0 && !c->inbound)
			reset(c->server.watch.fd);
	}
	loop_close(&state->loop, &c->client.watch);
	conn_close_server(c, &c->server.watch);
	if (c->inbound)
		relay_guest_gone(state);
	unlink_conn(c);
	free(c->inspect);
	free(c);
}

void conn_deny(struct conn *c, const char *reason, const char *remedy)
{
	struct net_event event = { .kind = NET_EVENT_DENIED };

	describe(c, &event);
	snprintf(event.reason, sizeof(event.reason), "%s", reason);
	snprintf(event.remedy, sizeof(event.remedy), "%s", remedy);
	relay_event_send(c->state, &event);
	/* It is told of: as refused, not as a connection. */
	if (!c->announced)
		c->phase = CONN_LISTENING;
	conn_close(c);
}

void conn_failed(struct conn *c, int error, const char *reason)
{
	conn_announce(c, error, reason);
	conn_close(c);
}

void conn_close_all(struct relay_state *state)
{
	/* Each close takes one off the list, which the analyzer cannot see. */
	while (state->conns)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		conn_close(state->conns);
}

/*** Its life ***/

static void update(struct end *end, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		end->writable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->hup = true;
	if (events & EPOLLPRI)
		end->urgent = true;
}

/* The client said something, or will not: off to the server. */
static void proceed(struct conn *c)
{
	timer_start(&c->state->loop, &c->state->connecting, &c->timer);
	dial_start(c);
}

static void listen_to(struct conn *c)
{
	/* Half a hello: there is more to come, but not for ever. */
	if (flow_judge(c) > 0)
		proceed(c);
}

/*
 * What there is moves on first; then a reset is passed on, even to a side that
 * is too slow to have read all that came before it.
 */
static void relay_bytes(struct conn *c, uint32_t events)
{
	if (!flow_run(c) && (events & EPOLLERR))
		conn_close(c);
}

static void client_ready(struct watch *watch, uint32_t events)
{
	struct conn *c = container_of(watch, struct conn, client.watch);

	update(&c->client, events);
	/* What is only watched is never looked at twice. */
	if (c->client.urgent && c->inspect &&
	    c->inspect->kind != INSPECT_OTHER) {
		conn_deny(c, "urgent data where its words are judged", "");
		return;
	}
	if (c->phase == CONN_OPEN) {
		relay_bytes(c, events);
		return;
	}
	if (events & EPOLLERR) {
		conn_failed(c, ECONNABORTED, "the client went away");
		return;
	}
	if (c->phase == CONN_LISTENING &&
	    (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)))
		listen_to(c);
}

static void server_ready(struct watch *watch, uint32_t events)
{
	struct conn *c = container_of(watch, struct conn, server.watch);

	update(&c->server, events);
	relay_bytes(c, events);
}

void conn_established(struct conn *c, const struct in6_addr *addr)
{
	if (addr)
		c->addr = *addr;
	c->phase = CONN_OPEN;
	c->server.writable = true;
	c->server.watch.ready = server_ready;
	timer_start(&c->state->loop, &c->state->lasting, &c->timer);
	/* Nothing to be judged: else it is told of when the client's first
	 * words pass. */
	if (!c->inspect)
		conn_announce(c, 0, "");
	flow_run(c);
}

/*** Timers ***/

static void again_expired(struct timer *timer)
{
	flow_run(container_of(timer, struct conn, again));
}

static void first_words_expired(struct timer *timer)
{
	struct conn *c = container_of(timer, struct conn, timer);

	if (c->phase != CONN_LISTENING)
		return;
	if (c->client.readable)
		timer_start(&c->state->loop, &c->state->connecting, &c->timer);
	else
		proceed(c);
}

static void connecting_expired(struct timer *timer)
{
	struct conn *c = container_of(timer, struct conn, timer);

	if (c->phase == CONN_LISTENING)
		conn_deny(c, "the client did not finish its first words", "");
	else
		conn_failed(c, ETIMEDOUT, "no answer in time");
}

/*
 * A dead peer must not hold a connection for ever: after two minutes without a
 * word it is asked.  So is a client: who said its end may be gone altogether, and
 * a server that says nothing would never learn of it.  Most connections do not
 * live to see that, so the calls are made for those that last; the two minutes
 * count from the last word anyway.
 */
static void lasting_expired(struct timer *timer)
{
	struct conn *c = container_of(timer, struct conn, timer);
	static const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 120 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 30 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		setsockopt(c->client.watch.fd, options[i].level,
			   options[i].name, &options[i].value, sizeof(int));
		setsockopt(c->server.watch.fd, options[i].level,
			   options[i].name, &options[i].value, sizeof(int));
	}
	timer_start(&c->state->loop, &c->state->idle, &c->timer);
}

static void idle_expired(struct timer *timer)
{
	struct conn *c = container_of(timer, struct conn, timer);

	if (c->state->loop.now - c->last_active < IDLE_MS)
		timer_start(&c->state->loop, &c->state->idle, &c->timer);
	else
		conn_close(c);
}

void conn_init(struct relay_state *state)
{
	struct loop *loop = &state->loop;

	timer_list_init(loop, &state->again, 0, again_expired);
	timer_list_init(loop, &state->first_words, FIRST_WORDS_MS,
			first_words_expired);
	timer_list_init(loop, &state->connecting, CONNECTING_MS,
			connecting_expired);
	timer_list_init(loop, &state->lasting, LASTING_MS, lasting_expired);
	timer_list_init(loop, &state->idle, IDLE_MS, idle_expired);
	timer_list_init(loop, &state->pipe_idle, PIPE_IDLE_MS,
			flow_pipe_expired);
}

/*** The beginning ***/

/* What was asked for, and what the policy says of it. */
struct request {
	struct in6_addr addr;
	uint16_t port;
	struct name *name;
	bool inbound;
	struct relay_verdict v;
};

static void judge(struct relay_state *state, struct request *r)
{
	bool v4 = netaddr_is_v4(&r->addr);

	if (!v4 || !names_in_range(netaddr_v4(&r->addr))) {
		relay_judge_addr(state->policy, state->route_fd, &r->addr,
				 r->port, &r->v);
		return;
	}
	r->name = names_by_address(&state->names, netaddr_v4(&r->addr));
	if (r->name)
		relay_judge_name(state->policy, r->name->text, r->name->gateway,
				 r->port, &r->v);
	else
		r->v.reason = "the address stands for no name";
}

static void record_refusal(struct relay_state *state, const struct request *r,
			   const char *protocol)
{
	struct net_event event = { .kind = NET_EVENT_DENIED, .port = r->port };

	if (r->name)
		snprintf(event.name, sizeof(event.name), "%s", r->name->text);
	else
		netaddr_format(&r->addr, event.addr);
	memcpy(event.protocol, protocol, 4);
	snprintf(event.reason, sizeof(event.reason), "%s", r->v.reason);
	memcpy(event.remedy, r->v.remedy, sizeof(event.remedy));
	relay_event_send(state, &event);
}

void conn_refused(struct relay_state *state, const struct in6_addr *addr,
		  uint16_t port, bool udp)
{
	struct request r = { .addr = *addr, .port = port };

	judge(state, &r);
	if (udp) {
		r.v.reason = "UDP is not relayed";
		r.v.remedy[0] = '\0';
	}
	if (r.v.reason)
		record_refusal(state, &r, udp ? "udp" : "tcp");
}

/* What the host's own ports are asked for is the host's business, and a bare
 * address has no name to be held against. */
static void begin_inspection(struct conn *c)
{
	bool tls = relay_needs_tls(c->state->policy, c->port);

	if (c->name ? c->name->gateway : !tls)
		return;
	c->inspect = xcalloc(1, sizeof(*c->inspect));
	inspect_begin(c->inspect, c->port);
	c->inspect->tls_only = tls;
	c->inspect->allow_ech = c->state->policy->allow_ech;
}

static struct conn *make(struct relay_state *state, int fd,
			 const struct request *r)
{
	struct conn *c = xcalloc(1, sizeof(*c));

	c->state = state;
	c->id = ++state->last_id;
	c->opened = c->last_active = state->loop.now;
	c->name = r->name;
	c->addr = r->addr;
	c->port = r->port;
	c->rule = r->v.rule;
	c->inbound = r->inbound;
	c->detail = "";
	c->client.watch = (struct watch){ fd, client_ready };
	c->server.watch = (struct watch){ -1, server_ready };
	flow_init(&c->in);
	flow_init(&c->out);
	c->next = state->conns;
	if (c->next)
		c->next->prev = c;
	state->conns = c;
	state->n_conns++;
	return c;
}

/* Made, and watched; NULL when it had to be given up. */
static struct conn *begin(struct relay_state *state, int fd,
			  const struct request *r)
{
	struct conn *c = make(state, fd, r);

	if (loop_add(&state->loop, &c->client.watch, CLIENT_EVENTS) == 0)
		return c;
	conn_failed(c, errno, "the relay is out of resources");
	return NULL;
}

void conn_let_in(struct relay_state *state, int fd,
		 const struct spec_publish *publish)
{
	struct request r = { .addr = netaddr_from_v4(INADDR_LOOPBACK),
			     .port = publish->port,
			     .inbound = true,
			     .v.rule = "publish" };
	struct conn *c = begin(state, fd, &r);

	if (c)
		proceed(c);
}

void conn_accepted(struct relay_state *state, int fd)
{
	struct request r = { .name = NULL };
	struct sockaddr_storage local;
	socklen_t len = sizeof(local);
	struct conn *c;

	/* The route makes every address local: this is what was dialled. */
	if (getsockname(fd, (struct sockaddr *)&local, &len) < 0 ||
	    netaddr_from_socket(&local, &r.addr, &r.port) < 0) {
		close(fd);
		return;
	}
	judge(state, &r);
	if (r.v.reason) {
		record_refusal(state, &r, "tcp");
		reset(fd);
		close(fd);
		return;
	}
	c = begin(state, fd, &r);
	if (!c)
		return;
	begin_inspection(c);
	if (c->inspect &&
	    (c->inspect->tls_only || inspect_client_first(c->port)))
		timer_start(&state->loop, &state->first_words, &c->timer);
	else
		proceed(c);
}
