/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a run came to: the status and the exit code, by what happened in it, and
 * its figures.
 */

#include <stdbool.h>
#include <sys/resource.h>

#include "outcome.h"
#include "stream.h"

struct verdict {
	bool started;
	bool have_status;
	int status;      /* the payload's wait status */
	int signal_sent; /* the last one passed on, 0 none */
	bool timed_out, oom;
	bool killed; /* we ended it */
	bool failed; /* by us: outcome->error says why */
};

void verdict_reach(const struct verdict *verdict, struct outcome *outcome);
void verdict_figures(const struct rusage *usage, const struct stream *out,
		     const struct stream *err, struct outcome *outcome);
