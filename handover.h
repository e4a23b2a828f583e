/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How the sandbox's sockets get to the relay: batches over the SOCK_SEQPACKET
 * pair, each answered, so that the kernel's bound on descriptors in flight is
 * never met and the child knows that the relay is confined and listening.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define HANDOVER_BATCH 200 /* the kernel takes 253 a message */

enum handover_kind {
	HANDOVER_LISTENER, /* TCP on `port`, any address */
	HANDOVER_DNS_UDP,
	HANDOVER_DNS_TCP,
	HANDOVER_SYNS,  /* sees attempts at ports where nobody listens */
	HANDOVER_UDP,   /* the same of UDP, to any port */
	HANDOVER_INLET, /* TCP, unconnected: to reach what listens inside */
	HANDOVER_KINDS,
};

struct handover_item {
	uint16_t kind;
	uint16_t port;
};

struct handover_batch {
	uint32_t n;
	uint32_t last; /* 1: nothing comes after this one */
	struct handover_item items[HANDOVER_BATCH];
	int fds[HANDOVER_BATCH]; /* not sent as such */
};

/* Adds one socket (taken over); sends the batch first when it is full. */
int handover_add(int socket, struct handover_batch *batch,
		 enum handover_kind kind, uint16_t port, int fd);
/* Sends what is there as the last batch; by fail(), the relay's own error if
 * it had one.  The batch's descriptors are closed in every case. */
int handover_finish(int socket, struct handover_batch *batch);

/* Closes what a batch holds. */
void handover_forget(struct handover_batch *batch);

/* The relay's side: 1; 0 when the child went away; -1 with errno. */
int handover_receive(int socket, struct handover_batch *batch);
/* Answers a batch: NULL for "taken". */
int handover_answer(int socket, const struct err_record *error);
