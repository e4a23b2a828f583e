/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The relay: a process in the host's network namespace that answers the
 * sandbox's DNS questions, takes its connections from listeners that were made
 * inside, decides each by the policy, dials, and moves the bytes.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "netpol.h"

struct relay {
	pid_t pid;
	int pidfd;
	int sockets_fd; /* the child sends the inside sockets here (SCM_RIGHTS) */
	int event_fd;   /* SOCK_SEQPACKET: one struct net_event a datagram */
	/* Events that relay_stop read while it waited. */
	struct net_event *pending;
	size_t n_pending, next_pending;
};

#define RELAY_NONE                                                             \
	((struct relay){                                                       \
	    .pid = -1, .pidfd = -1, .sockets_fd = -1, .event_fd = -1 })

/* "--network allow --allow NAME:PORT" with its NUL, whatever the name. */
#define NET_FLAG_MAX (NET_NAME_MAX + 32)

enum net_event_kind {
	NET_EVENT_DNS,     /* a question */
	NET_EVENT_CONNECT, /* an attempt that was allowed and dialled, or failed */
	NET_EVENT_DENIED, /* an attempt that the policy refused */
	NET_EVENT_CLOSE,  /* the end of a connection that was open */
	NET_EVENT_LIMIT,  /* a cap of the relay's own was reached */
};

struct net_event {
	enum net_event_kind kind;
	uint64_t connection;     /* number of the connection, from 1; 0: none */
	char name[NET_NAME_MAX]; /* canonical, or "" for a bare address */
	char addr[INET6_ADDRSTRLEN]; /* dialled or asked-for address, or "" */
	uint16_t port;
	char protocol
	    [8]; /* "tcp", "udp": a question too came over one of them */
	char detail[16];  /* DNS: question type; TLS: version offered */
	char rule[96];    /* the rule that decided, as written; "" */
	char reason[128]; /* of a denial or failure; "" */
	char remedy[NET_FLAG_MAX]; /* the flag that would allow it; "" */
	int error;                 /* errno of a failed dial, or 0 */
	uint8_t proxied;    /* by the proxy, who knows the address of a name */
	uint8_t inbound;    /* from the host to a published port */
	uint64_t bytes_out; /* sandbox to host */
	uint64_t bytes_in;
	uint64_t duration_ms;
	uint64_t dropped; /* events that were lost; of a LIMIT */
};

/*
 * Forks the relay, confined before it reads a byte.  Call before the sandbox's
 * child is made, which inherits sockets_fd; then relay_handed_over closes
 * the one here.  By fail().
 */
int relay_start(struct relay *relay, const struct net_policy *policy);

/*
 * The same for a network namespace that lives already, where nothing is allowed:
 * everything there becomes local, and what is tried is recorded.  By fail().
 */
int relay_start_late(struct relay *relay, const struct net_policy *policy,
		     int net_fd);

/* The child has its copy of sockets_fd: ours is closed.  Safe on RELAY_NONE. */
void relay_handed_over(struct relay *relay);

/*
 * One event into *event: 1; 0 when none waits; -1 when the relay is gone (and
 * all it had to say was read).  Never waits: poll event_fd for POLLIN.
 */
int relay_read_event(struct relay *relay, struct net_event *event);

/*
 * The end is three calls, in this order:
 *	relay_stop	lets it close its connections and finish its queue, ends
 *			it, reaps it: at most two seconds and a half
 *	relay_read_event	until it says -1: the last events
 *	relay_close	gives back the rest
 * All are safe on RELAY_NONE.  relay_stop returns the wait status: not 0 when
 * the relay had died before, or had to be killed.
 */
int relay_stop(struct relay *relay);
void relay_close(struct relay *relay);
