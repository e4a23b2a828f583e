/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Clones into the new namespaces, maps the ids, and holds the supervisor's ends
 * of everything that leads to the sandbox.
 */

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "cgroup.h"
#include "plan.h"
#include "project.h"
#include "workdir.h"

struct child {
	pid_t pid;
	int pidfd;
	int control_fd;
	int err_fd;
	int net_fd;   /* its network, for who may want in; -1: none will */
	int stdin_fd; /* write end; -1: /dev/null inside */
	int stdout_fd;
	int stderr_fd;
	bool alone; /* by its own word, PID 1 has nobody left and ends */
	bool reaped;
	int status;          /* of PID 1 */
	struct rusage usage; /* of all that was reaped inside */
};

#define CHILD_NONE                                                             \
	((struct child){ .pid = -1,                                            \
			 .pidfd = -1,                                          \
			 .control_fd = -1,                                     \
			 .err_fd = -1,                                         \
			 .net_fd = -1,                                         \
			 .stdin_fd = -1,                                       \
			 .stdout_fd = -1,                                      \
			 .stderr_fd = -1 })

/* cgroup: to be born in, if it comes first; relay_fd: where the inside sockets
 * go, or -1.  PID 1 begins with what it makes without the host, waits for what
 * follows here, and dies with us.
 * By fail(); then nothing was started or it is dead already. */
int ns_spawn(struct child *child, const struct plan *plan,
	     struct cgroup *cgroup, int relay_fd, bool feed_stdin);

/* Hands it the workdir (or the disk for it), the project, and as root whatever
 * is bound.  Before, it is in the journal, as "init PID MILLISECONDS" (of
 * CLOCK_BOOTTIME, then).  By fail(); then it is dead. */
int ns_supply(struct child *child, const struct plan *plan,
	      const struct project_tree *project, const struct workdir *wd);

/*
 * Lets the child into the settled cgroup, or out of the wait for one: due after
 * ns_supply.  By fail().
 */
int ns_admit(struct child *child, const struct cgroup *cgroup);

/* In the child: into the namespaces that it was not born in; by fail(). */
int ns_unshare(const struct plan *plan);

/* Kills all that is inside. */
void ns_kill(struct child *child);
/* Kills if need be, waits for PID 1 and closes; safe on CHILD_NONE. */
void ns_reap(struct child *child);

/* As fork, with a pidfd, into new namespaces (CLONE_NEW*) and, where it is not
 * -1, into a cgroup; by fail(). */
pid_t ns_clone(uint64_t flags, int *pidfd, int cgroup_fd);
/* Gives a child that waits for it the plan's ids; by fail(). */
int ns_map_ids(pid_t pid, const struct plan *plan);
/* In the child, once they are there: takes them; by fail(). */
int ns_take_ids(const struct plan *plan);

/* Names of the namespaces in `flags`, for --explain and the result. */
struct ns_kind {
	uint64_t flag;
	const char *name; /* "user" ... */
};
extern const struct ns_kind ns_kinds[7];
