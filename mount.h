/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Carries out the plan's mounts: a new root on a tmpfs of our own, everything
 * addressed by descriptor, so that no link planted in a tree moves a mount.
 */

#include "plan.h"
#include "project.h"

/*
 * Sources of the plan's binds, one descriptor per mount (-1: the child opens it
 * itself).  Real root must open them before it gives up its rights: inside the
 * new user namespace it could not pass another user's 0700 home.
 */
struct mount_sources {
	int *fds;
	size_t n;
	const struct project_tree *project;
};

/* Before the clone, for both sides: the place for them, all -1. */
struct mount_sources mount_no_sources(const struct plan *plan,
				      const struct project_tree *project);
/* In the parent, as root; otherwise leaves all at -1.  By fail(). */
int mount_open_sources(struct mount_sources *sources, const struct plan *plan,
		       int work_fd);
void mount_close_sources(struct mount_sources *sources);

/*
 * In the child, with CAP_SYS_ADMIN over its own mount namespace: builds the
 * tree and makes it the root.  work_fd is the workdir as the parent holds it,
 * and work_path where that is, unless it is a disk.
 */
int mount_build(const struct plan *plan, const struct mount_sources *sources,
		int work_fd, const char *work_path);
