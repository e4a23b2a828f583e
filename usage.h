/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What all in the sandbox take at this moment, where no cgroup says: out of
 * /proc, by a process of its own.  The kernel may hold up who looks there for as
 * long as processes come and go, and the supervisor has signals and deadlines to
 * serve.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "plan.h"

struct usage {
	pid_t pid; /* the process; 0 not started */
	int fd;    /* readable: it has an answer, or died; -1 none */
	bool asked;
};

struct usage_answer {
	struct cgroup_now now;
	uint64_t cost_us; /* CPU that it took */
};

#define USAGE_NONE ((struct usage){ .fd = -1 })

/*
 * Asks for what `known` leaves at 0, of the process `of` and all below it; who
 * was asked already is not again.  By fail(): it cannot be started, or died.
 */
int usage_ask(struct usage *usage, pid_t of, const struct plan *plan,
	      const struct cgroup_now *known);
/* Its answer, once fd is readable; by fail(). */
int usage_take(struct usage *usage, struct usage_answer *answer);
/* Ends it, and waits for that. */
void usage_close(struct usage *usage);
