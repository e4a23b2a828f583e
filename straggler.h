/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who was killed and does not die: a process that sleeps in the kernel, for a
 * disk or a server that does not answer, sees no signal until it wakes.  The
 * run cannot end before it does; the user is told what it waits for.
 */

#include <stdbool.h>
#include <stdint.h>

#include "outcome.h"

struct supervision;

struct straggler {
	bool begun;
	uint64_t next; /* time of the look, ms; 0: none is due */
};

/* All are being killed; the first time counts. */
void straggler_begin(struct straggler *straggler);
/* Tells who is left, on stderr and in the result, if it is time to. */
void straggler_look(struct straggler *straggler, const struct supervision *run,
		    struct outcome *outcome);
