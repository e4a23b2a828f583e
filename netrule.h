/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One network rule, from text to a form that can be compared: the single
 * canonical form of names and addresses that both match and dial use.
 * Pure: no resolver, no socket.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_NAME_MAX 254 /* 253 octets and the NUL */

enum net_rule_kind {
	NET_RULE_NAME,     /* example.com */
	NET_RULE_WILDCARD, /* *.example.com: any name below, not the apex */
	NET_RULE_CIDR,     /* an address is a CIDR of full length */
};

struct net_rule {
	enum net_rule_kind kind;
	char name
	    [NET_NAME_MAX];   /* canonical; of a wildcard, what follows "*." */
	struct in6_addr addr; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t prefix;       /* of 128 */
	uint16_t port_lo;     /* 0: the policy's default ports */
	uint16_t port_hi;
	char *text; /* as the user wrote it (owned) */
};

/*
 * Canonical form of a host name: lower case, no trailing dot, IDNA A-labels,
 * length limits.  -1 if `name` (len bytes, may hold anything) is no host name.
 * For what the user wrote only: other than ASCII takes a library.
 */
int net_name_canonical(const char *name, size_t len,
		       char out[static NET_NAME_MAX]);

/* The same for names off the wire: anything but ASCII is no host name. */
int net_name_ascii(const char *name, size_t len, char out[static NET_NAME_MAX]);

/*
 * Parses HOST, *.HOST, ADDRESS, CIDR, each with an optional :PORT or
 * :PORT-PORT ([v6]:PORT for IPv6).  Refuses what means "everything".
 * 0, or -1 with a sentence for the user in why[].
 */
int net_rule_parse(const char *text, struct net_rule *rule, char *why,
		   size_t why_size);
void net_rule_free(struct net_rule *rule);

/* An IPv4 (dotted quad, nothing shorter) or IPv6 address; 0 or -1. */
int net_addr_parse(const char *text, struct in6_addr *addr);

/* Is it one name or one address, with whatever ports? */
bool net_rule_is_one_host(const struct net_rule *rule);

/* Does the rule speak of this canonical name / this address (port aside)? */
bool net_rule_matches_name(const struct net_rule *rule, const char *name);
bool net_rule_matches_addr(const struct net_rule *rule,
			   const struct in6_addr *addr);
