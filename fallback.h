/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Caps where no cgroup can be had and the user said that the run may go on
 * without: the next best, none of it as good.  Processes are counted by the
 * user namespace in any case (RLIMIT_NPROC).
 */

#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "plan.h"

/*
 * Binds the process (and what it forks) to as many processors as hold `cores`,
 * rounded up.  Returns how many, 0 if that would be all there are, or -1 by
 * fail().
 */
int fallback_pin(pid_t pid, double cores);

/*
 * Of the calling process, for good: to bind itself to other processors seems to
 * work and does nothing.  By fail(); no_new_privs is set.
 */
int fallback_keep_pinned(void);

/*
 * The figures of the process and all below it that no cgroup gave: those that
 * are 0.  Memory is their share of what is shared, where that may be read, or all
 * of it; and what is in the sandbox's file systems that are memory.  Of other
 * files in memory (memfd, System V) what is mapped.
 */
void fallback_fill(pid_t pid, const struct plan *plan, struct cgroup_now *now);
