/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Carries out the plan's mounts: a new root on a tmpfs of our own, everything
 * addressed by descriptor, so that no link planted in a tree moves a mount.
 */

#include "plan.h"
#include "project.h"

/*
 * What of the host the child mounts, in descriptors of the parent's that it is
 * sent.  The sources of the plan's binds are one for each mount (-1: the child
 * opens it itself).  Real root must open them before it gives up its rights:
 * inside the new user namespace it could not pass another user's 0700 home.
 */
struct mount_sources {
	int *binds; /* owned */
	size_t n_binds;
	int work_fd;  /* the workdir, or the disk for it */
	bool layered; /* the workdir is in RUNID.layers (workdir.h) */
	struct project_tree project;
};

/* All -1, on both sides. */
struct mount_sources mount_no_sources(const struct plan *plan);
/* In the parent, the rest being filled in: opens the binds as root, none
 * otherwise.  By fail(). */
int mount_open_binds(struct mount_sources *sources, const struct plan *plan);
void mount_close_binds(struct mount_sources *sources);

/* Every descriptor has a number, from 0 on; NULL: there are no more. */
int *mount_source(struct mount_sources *sources, size_t place);

/*
 * In the child, with CAP_SYS_ADMIN over its own mount namespace: builds the
 * tree and makes it the root.
 */
int mount_build(const struct plan *plan, const struct mount_sources *sources);
