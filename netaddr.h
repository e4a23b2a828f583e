/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Addresses in their one form (struct in6_addr, IPv4 as ::ffff:a.b.c.d): text,
 * socket addresses, and which of them no name may lead to.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

bool netaddr_is_v4(const struct in6_addr *addr);
struct in6_addr netaddr_from_v4(uint32_t host_order);
uint32_t netaddr_v4(const struct in6_addr *addr); /* host order */
void netaddr_format(const struct in6_addr *addr, char out[INET6_ADDRSTRLEN]);

/* HOST:PORT of a name or an address's text, IPv6 in brackets; owned. */
char *netaddr_with_port(const char *host, unsigned int port);

/* AF_INET for IPv4, AF_INET6 for the rest; returns the length. */
socklen_t netaddr_to_socket(const struct in6_addr *addr, uint16_t port,
			    struct sockaddr_storage *out);
/* Of an AF_INET or AF_INET6 address; -1 for another family. */
int netaddr_from_socket(const struct sockaddr_storage *in,
			struct in6_addr *addr, uint16_t *port);

/* What is special about an address that the world's DNS must not lead to
 * ("a loopback address"), or NULL. */
const char *netaddr_special(const struct in6_addr *addr);

/*
 * Is it one of this host's own?  Asks the routing table of the process's
 * network namespace over a socket of netaddr_route_open(); true when that
 * fails, since the answer opens a door.
 */
int netaddr_route_open(void);
bool netaddr_is_own(int route_fd, const struct in6_addr *addr);
