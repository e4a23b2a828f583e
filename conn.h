/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One connection out of the sandbox: accepted, judged, dialled, relayed.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "inspect.h"
#include "relay_state.h"
#include "resolver.h"

/* One socket of the two, as the last edge-triggered events told. */
struct end {
	struct watch watch;
	bool readable, writable;
	bool urgent; /* such bytes came: a read may end short of them, and a
			splice does */
	bool hup;    /* its peer sends no more: what is there is the last */
};

/* One direction. */
struct flow {
	int pipe[2];      /* -1: copies, as long as little is to be moved */
	uint32_t in_pipe; /* octets */
	uint8_t bulk;     /* full windows in a row */
	bool eof;         /* the sender is done */
	bool done;        /* and the receiver was told */
	bool broken;      /* the sender's side was reset */
	int64_t allowed;  /* octets that may pass unjudged */
	uint64_t bytes;
};

enum conn_state {
	CONN_LISTENING, /* to what the client wants */
	CONN_RESOLVING,
	CONN_DIALLING,
	CONN_TUNNEL, /* the proxy was asked for the way on */
	CONN_OPEN,
};

struct dial;

struct conn {
	struct relay_state *state;
	struct conn *prev, *next;
	enum conn_state phase;
	bool announced; /* its NET_EVENT_CONNECT was sent */
	uint64_t id, opened;

	struct name *name;    /* NULL: a bare address */
	struct in6_addr addr; /* asked for; once open: dialled */
	uint16_t port;
	const char *rule;
	const char *detail;      /* TLS version offered, or "" */
	struct inspect *inspect; /* NULL: nothing to be judged */

	bool proxied;
	bool inbound;              /* of the host, to what listens inside */
	struct lookup *lookup;     /* waited for */
	struct conn *next_waiting; /* for the same one */
	struct dial *dial;
	struct end client, server;
	struct flow out, in; /* to the server, to the client */
	struct timer timer;  /* of the phase; idle when open */
	struct timer again;
	struct timer pipe_timer;
	uint64_t last_active;
};

/*** conn.c ***/

void conn_init(struct relay_state *state);
/* A socket that a listener accepted; taken over. */
void conn_accepted(struct relay_state *state, int fd);
/* The same of a published port, by what is published. */
void conn_let_in(struct relay_state *state, int fd,
		 const struct spec_publish *publish);
/* Closes a socket of the server's side; one that was made inside goes back. */
void conn_close_server(struct conn *c, struct watch *watch);
/* Tells of an attempt that was refused before it reached us. */
void conn_refused(struct relay_state *state, const struct in6_addr *addr,
		  uint16_t port, bool udp);
/* Ends it: reset, or closed in order when both directions are done. */
void conn_close(struct conn *c);
/* Ends it with a reset as refused; remedy may be "". */
void conn_deny(struct conn *c, const char *reason, const char *remedy);
/* Ends it with a reset: there was no way to the server. */
void conn_failed(struct conn *c, int error, const char *reason);
/* Tells of it, if nobody did: what the client is let do is known now. */
void conn_announce(struct conn *c, int error, const char *reason);
/* The server answered the dial; addr is whom it is, NULL when only the proxy
 * knows. */
void conn_established(struct conn *c, const struct in6_addr *addr);
/* The end of the run: an event for each one that lives. */
void conn_close_all(struct relay_state *state);

/*** flow.c ***/

void flow_init(struct flow *flow);
void flow_free(struct relay_state *state, struct flow *flow);
/* Moves what can be moved, both ways; may end the connection: true if so. */
bool flow_run(struct conn *c);
/* Judges what waits in the client's socket: 1 something may pass (or the client
 * is done), 0 more is needed, -1: refused, the connection is gone. */
int flow_judge(struct conn *c);
void flow_pipe_expired(struct timer *timer);

/*** dial.c ***/

void dial_init(struct relay_state *state);
/* Finds the server's addresses and connects to one, or has the proxy do it. */
void dial_start(struct conn *c);
void dial_stop(struct conn *c);
