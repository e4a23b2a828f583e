/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Inside the relay's process: what its files share.  relay_serve.c owns the
 * state and the sockets that came from inside, relay_dns.c answers questions,
 * relay_packets.c records attempts that no listener takes, relay_publish.c lets
 * connections in,
 * conn.c leads a connection from accept to close, dial.c finds and connects to
 * the other end, flow.c moves the bytes.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "loop.h"
#include "names.h"
#include "netpol.h"
#include "relay.h"

/* Instrumented code needs more than serving does: the caps on memory are off,
 * and standard error stays open. */
#if defined(__SANITIZE_ADDRESS__)
#define M9M_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define M9M_SANITIZED true
#endif
#endif
#ifndef M9M_SANITIZED
#define M9M_SANITIZED false
#endif

struct conn;
struct inlets;

/* Events that the supervisor was too slow for, in order. */
struct event_queue {
	struct watch watch; /* on the socket to the supervisor */
	struct timer timer; /* of `telling` */
	struct net_event *ring;
	size_t size, head, n; /* ring: head is the oldest */
	uint64_t dropped;     /* not reported yet */
};

struct relay_state {
	const struct net_policy *policy;
	struct loop loop;
	struct event_queue events;
	struct watch sockets; /* where sockets from inside come from */
	struct watch resolved;
	struct names names;
	struct lookup *proxy; /* where it is; of the dialling side */
	int route_fd;

	struct watch **listeners;
	size_t n_listeners;
	bool paused; /* nobody new is let in for now */
	struct timer resume;

	struct inlets *inlets; /* NULL: nothing is published */

	struct conn *conns;
	size_t n_conns, max_conns;
	size_t n_pipes, max_pipes;
	size_t n_dns_clients;
	uint64_t last_id;
	bool said_full, said_starved;
	bool has_packets; /* attempts at other ports are seen */
	uint8_t *window;  /* INSPECT_WINDOW octets, for whoever runs */

	/* Wildcards: how many names may still be made up now. */
	double name_budget;
	uint64_t name_budget_at;
	bool said_budget;

	struct timer_list telling;      /* events at the end of a turn */
	struct timer_list again;        /* had its share of this turn */
	struct timer_list first_words;  /* the client should speak first */
	struct timer_list connecting;   /* whole way to the server */
	struct timer_list next_attempt; /* happy eyeballs */
	struct timer_list lasting;      /* open, and not for a moment */
	struct timer_list idle;
	struct timer_list pipe_idle;
	struct timer_list dns_idle;
	struct timer_list resuming;
	struct timer_list resting;
};

/* relay_confine.c: gives up uid 0 and all capabilities; by fail(). */
int relay_drop_ids(void);
/* Gives up everything else but what serving takes; by fail(). */
int relay_confine(void);

/* relay_serve.c: the relay's life; never returns. */
_Noreturn void relay_serve(const struct net_policy *policy, pid_t parent,
			   int sockets_fd, int event_fd);
/* Tells the other side of the sockets the recorded failure, and exits. */
_Noreturn void relay_give_up(int sockets_fd);
/* No new connections and questions until there is room again. */
void relay_pause(struct relay_state *state);
/* The same when one could not be taken for `error`, which is told once. */
void relay_starve(struct relay_state *state, int error);
/* Is there, for one more connection? */
bool relay_has_room(struct relay_state *state);
/* A watch that a pause is for, too; by fail(). */
int relay_listen(struct relay_state *state, struct watch *watch);

/* relay_event.c */
int relay_event_init(struct relay_state *state, int event_fd);
void relay_event_send(struct relay_state *state, const struct net_event *event);
/* For what the sandbox can cause without end and cost: it takes no room that
 * connections need.  False: there was none, and it is counted as lost. */
bool relay_event_offer(struct relay_state *state,
		       const struct net_event *event);
/* A cap was met. */
void relay_event_limit(struct relay_state *state, const char *protocol,
		       const char *name, const char *reason);
/* Is the supervisor so far behind that nothing new should happen? */
bool relay_event_crowded(const struct relay_state *state);
/* At the end: waits a bounded time for the supervisor to take them all. */
void relay_event_flush(struct relay_state *state);

/* relay_udp.c: takes the name service's UDP socket over; by fail(). */
int relay_udp_open(struct relay_state *state, int fd);

/* relay_dns.c: the answer to a message into out[DNS_ANSWER_MAX]; 0: none. */
size_t relay_dns_respond(struct relay_state *state, const uint8_t *message,
			 size_t len, uint8_t *out, const char *transport);
/* A client of the TCP socket; takes the descriptor over. */
void relay_dns_accepted(struct relay_state *state, int fd);
/* dns_idle */
void relay_dns_expired(struct timer *timer);

/* relay_packets.c: a watch of a raw socket, not yet in the loop. */
struct watch *relay_packets(struct relay_state *state, int fd, bool udp);

/* relay_publish.c: takes the host's ports, before any confinement; by fail(). */
int relay_publish_open(struct relay_state *state);
/* All is handed over: whoever waits may come in; by fail(). */
int relay_publish_begin(struct relay_state *state);
/* A TCP socket made inside, not connected: -1 with errno when all are used. */
int relay_inlet_take(struct relay_state *state, int family);
/* A new one, or one back from use, whatever state that left it in. */
void relay_inlet_give(struct relay_state *state, int fd);
/* A connection that was let in is over, its inlet given back. */
void relay_guest_gone(struct relay_state *state);

/* relay_rules.c: the policy's answers. */

/* Of a connection, or of a question for a name. */
struct relay_verdict {
	const char *rule;   /* the one that allows it, as written; or NULL */
	const char *reason; /* why it is refused (a literal), or NULL */
	char remedy[NET_FLAG_MAX]; /* the flag that would allow it, or "" */
};

/* What a permissive policy lets through, by the text of it. */
extern const struct net_rule relay_permissive;

/* To a canonical name at this port; `gateway`: it stands for the host. */
void relay_judge_name(const struct net_policy *policy, const char *name,
		      bool gateway, uint16_t port, struct relay_verdict *v);
/* To an address that stands for no name; route_fd as of netaddr_route_open. */
void relay_judge_addr(const struct net_policy *policy, int route_fd,
		      const struct in6_addr *addr, uint16_t port,
		      struct relay_verdict *v);
/* The flag that allows a name, or an address as --allow takes it, to be added to
 * those of the run; port 0: not known yet.  "" where there is none that would. */
void relay_flag(const struct net_policy *policy, const char *what,
		uint16_t port, char flag[static NET_FLAG_MAX]);
/* The same for an address. */
void relay_flag_addr(const struct net_policy *policy,
		     const struct in6_addr *addr, uint16_t port,
		     char flag[static NET_FLAG_MAX]);
/* The same for a port of the host's; port 0: not known yet. */
void relay_flag_host(const struct net_policy *policy, uint16_t port,
		     char flag[static NET_FLAG_MAX]);
/* Why this name is not to be made up, though a rule covers it, or NULL. */
const char *relay_made_up(const struct net_rule *rule, const char *name);
const struct net_rule *relay_rule_for_name(const struct net_policy *policy,
					   const char *name, uint16_t port);
const struct net_rule *relay_rule_for_addr(const struct net_policy *policy,
					   const struct in6_addr *addr,
					   uint16_t port);
/* The one that speaks of the name at all: by itself rather than by a wildcard,
 * below which names are made up. */
const struct net_rule *relay_rule_naming(const struct net_policy *policy,
					 const char *name);
const struct spec_resolve *relay_resolve_entry(const struct net_policy *policy,
					       const char *name);
bool relay_host_port(const struct net_policy *policy, uint16_t port);
bool relay_needs_tls(const struct net_policy *policy, uint16_t port);
