/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The network policy of a run and the inside half of it: what the child does to
 * its own network namespace so that every connection meets the relay.
 */

#include <stddef.h>
#include <stdint.h>

#include "agent.h"
#include "netrule.h"
#include "proxy.h"
#include "spec.h"

enum net_mode {
	NET_DENY,  /* own namespace, lo only; a relay comes for the record when
		      somebody wants a socket */
	NET_RELAY, /* own namespace, everything meets the relay */
	NET_HOST,  /* the host's namespace */
};

struct net_policy {
	enum net_mode mode;
	struct net_rule *rules; /* ports filled in: one rule per port range */
	size_t n_rules;
	struct spec_resolve *resolve;
	size_t n_resolve;
	uint16_t *host_ports; /* as host.m9m.internal, host.docker.internal */
	size_t n_host_ports;
	uint16_t *listen_ports; /* union of all of them, sorted, without 53 */
	size_t n_listen_ports;
	uint16_t *tls_ports; /* where nothing but TLS may be spoken */
	size_t n_tls_ports;
	bool allow_ech; /* TLS may hide a name behind the one that is judged */
	struct proxy *proxy; /* NULL: connections go out directly */
	struct spec_publish *publish;
	size_t n_publish;
	bool closed;     /* deny was said, not only left unsaid */
	bool permissive; /* what no rule allows is let through at
			    listen_ports, and told of with the rule it needs */
};

/* Connections in, at once: sockets of each family that are made inside for
 * them before the start. */
#define NETPOL_INLETS 128

/* Spec (and profile for "restricted"; may be NULL) to policy; by fail(). */
int netpol_plan(struct net_policy *policy, const struct spec *spec,
		const struct agent *agent);
void netpol_free(struct net_policy *policy);

/*
 * In the child, in its own user and network namespace, with CAP_NET_ADMIN and
 * CAP_NET_BIND_SERVICE: lo up, every address local, listeners and DNS sockets
 * made and sent over sockets_fd.  NET_DENY: lo up only.  *net_fd: the namespace,
 * for who may want in later, or -1.  NET_HOST: no abstract unix socket of the
 * host's.  By fail().
 */
int netpol_apply(const struct net_policy *policy, int sockets_fd, int *net_fd);

/* What NET_RELAY adds to a loopback that is up. */
int netpol_hand_over(const struct net_policy *policy, int sockets_fd);

/* Can this kernel close the host's abstract unix sockets to a payload that
 * shares the host's network? */
bool netpol_scopes_sockets(void);

/* The nameserver line's address inside ("198.18.0.1"). */
extern const char netpol_nameserver[];

/* One line per rule, for --explain: "allow api.x.com port 443" ... */
void netpol_explain(const struct net_policy *policy, FILE *out);
