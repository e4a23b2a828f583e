/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Caps that are kept where nobody tells us of it, and those that nobody keeps
 * but us: looked at from time to time, and told once.
 */

#include "event.h"
#include "outcome.h"
#include "plan.h"
#include "usage.h"
#include "workdir.h"

struct supervision;

struct watch {
	const struct supervision *run;
	struct outcome *outcome;
	struct usage *usage;
	uint64_t next; /* time of the next look; 0: there is nothing to see */
	bool over;     /* more memory is used than may be */
};

void watch_open(struct watch *watch, const struct supervision *run,
		struct outcome *outcome, struct usage *usage);
/* Looks if it is time to, or asks; by fail(): there is nobody to ask. */
int watch_look(struct watch *watch);
/* What was asked for, by whomever. */
void watch_take(struct watch *watch, const struct usage_answer *answer);

/* The event "limit", and a line in the result: once for each `what`, a
 * literal. */
void watch_tell(struct event_log *log, struct outcome *outcome,
		const char *what, uint64_t limit);
/* The event "oom", and the line. */
void watch_tell_oom(struct event_log *log, struct outcome *outcome,
		    uint64_t limit);
/* Tells if there is a disk and it is full. */
void watch_disk(struct event_log *log, struct outcome *outcome,
		const struct plan *plan, const struct workdir *workdir);
