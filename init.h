/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The sandbox's PID 1, once the payload was started: it reaps, passes signals
 * on, and tells how the payload ended and what all of it took.
 */

#include <sys/types.h>

#include "plan.h"

/* Takes over all descriptors: it keeps these two.  `signal_fd` is a signalfd of
 * SIGCHLD.  Returns the exit status. */
int init_run(int control_fd, int signal_fd, pid_t payload,
	     const struct plan *plan);
