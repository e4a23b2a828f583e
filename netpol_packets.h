/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A packet socket in the sandbox's namespace that sees the attempts which no
 * listener takes: TCP's first packet, and UDP, to anywhere but loopback and the
 * name service.
 */

/* -1 with errno where there is none: it records, and enforces nothing. */
int netpol_packets(void);
