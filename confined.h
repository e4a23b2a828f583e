/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A process that reads what the payload left: with the payload's ids outside,
 * and nothing open but what it needs, so that nothing of the payload's is
 * parsed with more rights than the payload had.
 */

#include <stddef.h>
#include <sys/types.h>

/* For what is nobody's in particular. */
#define CONFINED_NOBODY 65534

struct confined {
	const char *name; /* "archiver", for messages */
	uid_t uid;        /* who root becomes; anybody else stays who he is */
	gid_t gid;
	const int *keep; /* descriptors that it needs; -1 is none */
	size_t n_keep;
	/* By fail(); fills the report. */
	int (*work)(const void *arg, void *report);
	const void *arg;
	/* In the parent, some times a second while it waits; may be NULL. */
	void (*meanwhile)(void *own);
	void *own;
};

/* Forks, waits, and takes its report of `size` bytes or its failure over. */
int confined_run(const struct confined *c, void *report, size_t size);
