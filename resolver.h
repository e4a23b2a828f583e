/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The host's own resolver (getaddrinfo, which blocks), in a few threads that
 * are made when they are needed.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "netrule.h"

#define RESOLVER_ADDRS 16

struct resolver_job {
	struct resolver_job *next;
	char name[NET_NAME_MAX];
	int error;     /* EAI_*, 0 */
	int system;    /* errno of EAI_SYSTEM */
	bool embedded; /* an answer was IPv4 in IPv6 form, and left out */
	size_t n;
	struct in6_addr addrs[RESOLVER_ADDRS]; /* in the order to try them */
};

/* Before any confinement: loads what nsswitch.conf names. */
void resolver_preload(void);
/* Returns the descriptor that is readable when jobs are done; by fail(). */
int resolver_init(void);
/* The job is the resolver's until resolver_take gives it back.  0, or -1 with
 * errno when there is no thread for it and none can be made. */
int resolver_submit(struct resolver_job *job);
/* A job that is done, or NULL. */
struct resolver_job *resolver_take(void);
