/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where git keeps the records of a worktree or a submodule: outside of the
 * project, in the folder that its .git file names.  Who can write the project
 * can write that file, and so it is believed only where what it names says the
 * same of the project.  Part of the plan: it looks, and changes nothing.
 */

#include <stdbool.h>

#include "util.h"

struct gitdir {
	char *path;    /* the folder to be shown, without links; NULL: none */
	char *below;   /* this tree's own part of it: "/worktrees/x", or "" */
	char *pointer; /* what the .git file says; NULL: nothing */
	bool module;   /* its configuration says where its tree is */
	/* Names in `path` that are not git's, and not to be shown: it has other
	 * trees in it, or the project. */
	struct strv files, folders;
};

/*
 * `project` is the real path of the folder that project_fd is.  NULL, or owned
 * words that say why nothing is to be shown: the end of "git does not work
 * inside: ".  gitdir_free is due in either case.
 */
char *gitdir_find(struct gitdir *git, int project_fd, const char *project);
/* What a submodule's configuration gets appended for its tree to be at `path`;
 * owned. */
char *gitdir_config(const char *path);
void gitdir_free(struct gitdir *git);
