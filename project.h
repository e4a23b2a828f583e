/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The user's own tree: whether it may be shown, as whose, and what of it stays
 * hidden.  Part of the plan: it looks, and changes nothing.
 */

#include "plan.h"

/* Fills plan->project, and the plan's host ids and warnings.  By fail(). */
int project_plan(struct plan *plan, const struct spec *spec,
		 const struct host *host);
void project_free(struct plan_project *project);

/* The tree, held while the run lasts. */
struct project_tree {
	int mount_fd; /* detached, to be shown; -1: not root, or none */
	int dir_fd;   /* to read it as the payload's host ids may; -1: none */
	int git_fd;   /* as mount_fd, of its git directory elsewhere */
	bool foreign; /* root's files could not be made the payload's */
	bool git_foreign; /* and those of git_fd */
	bool copied;      /* into the workdir, which takes its place */
};

#define PROJECT_TREE_NONE                                                      \
	((struct project_tree){ .mount_fd = -1, .dir_fd = -1, .git_fd = -1 })

/* Of a plan without a project nothing, of one in place its git directory at
 * most.  By fail(). */
int project_open(struct project_tree *tree, const struct plan *plan);
void project_close(struct project_tree *tree);

/*
 * Copies the project into the open directory work_fd, without what is hidden;
 * `own` gives the copies to the payload's host ids.  How many sockets,
 * fifos and devices it lacks, or -1 by fail().
 */
ssize_t project_copy(const struct plan *plan, int project_fd, int work_fd,
		     bool own);
