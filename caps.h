/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The caps of one run: a cgroup where there can be one, what comes nearest where
 * the user allows that, and in the outcome what it is and what it counted.
 */

#include "cgroup.h"
#include "event.h"
#include "ns.h"
#include "outcome.h"
#include "plan.h"

/* Of the plan's choice, as cgroup_choose() sees it: before the clone, if it comes
 * first.  By fail(). */
int caps_make(struct cgroup *cg, const struct plan *plan,
	      enum cgroup_backend choice, int journal_fd, struct outcome *out);
/* The child is at its own set-up, and waits for this before its mounts. */
int caps_enter(struct cgroup *cg, const struct plan *plan, struct child *child,
	       struct outcome *out);
/* When all inside is dead: what the kernel counted, and whether it was too
 * much. */
void caps_account(const struct cgroup *cg, const struct plan *plan,
		  struct event_log *log, struct outcome *out);
/* When PID 1 is reaped. */
void caps_remove(struct cgroup *cg, struct outcome *out);
