/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Caps that are kept where nobody tells us of it: looked at from time to time,
 * and told once.
 */

#include "event.h"
#include "outcome.h"
#include "plan.h"
#include "workdir.h"

struct watch {
	const struct plan *plan;
	const struct workdir *workdir;
	struct event_log *log;
	struct outcome *outcome;
	uint64_t next; /* time of the next look; 0: there is nothing to see */
};

void watch_open(struct watch *watch);
/* Looks if it is time to. */
void watch_look(struct watch *watch);

/* The event "limit", and a line in the result: once for each `what`, a
 * literal. */
void watch_tell(struct event_log *log, struct outcome *outcome,
		const char *what, uint64_t limit);
/* Tells if there is a disk and it is full. */
void watch_disk(struct event_log *log, struct outcome *outcome,
		const struct plan *plan, const struct workdir *workdir);
