/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Raw sockets in the sandbox's namespace that see the attempts which no
 * listener takes: TCP's first packet, and UDP apart from the name service.
 */

#include <stdbool.h>

struct net_policy;

/* Of one protocol in one family, AF_INET or AF_INET6; most attempts at ports
 * that the policy has listeners for are left out.  -1 with errno where there
 * is none: it records, and enforces nothing. */
int netpol_packets(const struct net_policy *policy, int family, bool udp);
