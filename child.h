/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Everything between clone and execve, on the sandbox's side: the set-up steps
 * of PID 1, the payload's steps, and PID 1's own loop.
 */

#include <sched.h>
#include <stdbool.h>

#include "mount.h"
#include "plan.h"

/* What the child is born with, is sent and notes.  Descriptors are its own. */
struct child_context {
	const struct plan *plan;
	struct cgroup *cgroup; /* that it is born in; CGROUP_NONE: it is sent */
	int relay_fd;          /* where inside sockets go; -1: no relay */
	int control_fd;        /* to the supervisor, which sends the rest */
	int err_fd;   /* a failure record; end of file: the payload runs */
	int stdin_fd; /* the payload's; -1: /dev/null */
	int stdout_fd;
	int stderr_fd;
	int terminal_fd; /* slave of the pty once it is made, else -1 */
	struct mount_sources sources; /* once they were sent */
	bool counted;                 /* the cgroup limits processes */
	bool stays;                   /* on one of its processors */
	cpu_set_t processors;
};

/* Runs as PID 1 of the new namespaces; returns the status to _exit with. */
int child_main(struct child_context *context);
