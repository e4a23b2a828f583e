/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a run came to: the status and the exit code, by what happened in it.
 */

#include <stdbool.h>

#include "outcome.h"

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
