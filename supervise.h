/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The one loop of a run: output, signals, deadlines, the relay's events, the
 * end.
 */

#include "event.h"
#include "ns.h"
#include "outcome.h"
#include "plan.h"
#include "relay.h"
#include "workdir.h"

struct supervision {
	const struct plan *plan;
	struct child *child;
	struct relay *relay;
	struct event_log *log;
	const struct strv *secrets; /* never to be recorded */
	struct workdir *workdir;
	const struct cgroup *cgroup;
	int signal_fd;
};

/* Until all inside is dead and its output written.  Fills the outcome. */
void supervise(const struct supervision *run, struct outcome *outcome);
