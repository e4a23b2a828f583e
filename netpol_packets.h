/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Raw sockets in the sandbox's namespace that see the attempts which no
 * listener takes: TCP's first packet, and UDP apart from the name service.
 */

#include <stdbool.h>

/* Of one protocol in one family, AF_INET or AF_INET6: -1 with errno where there
 * is none: it records, and enforces nothing. */
int netpol_packets(int family, bool udp);
