/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What in a project its user's tools obey under a name of the user's choice: what
 * git's configuration names, and what a link leads to that has one of the names of
 * review.h.  It is the real tree that says so, and the user's home: a payload's
 * own configuration and links are flagged themselves.  It looks, and changes
 * nothing.
 */

#include "util.h"

/* In the place of a path: the tree itself. */
#define NAMED_ALL "."

/* Paths within the tree. */
struct named {
	int tree_fd;
	const char *tree;   /* neither is owned */
	struct strv config; /* by git's configuration */
	struct strv links;
	struct strv texts; /* path and text of what was read outside the tree */
	size_t bytes, looks;
	bool too_much; /* there is more to it than we read: any may be named */
};

/* `tree` is the real path of the project, which tree_fd is. */
void named_find(struct named *named, int tree_fd, const char *tree);
/* And what git is told in a repository of its own at a folder within it, if there
 * is one. */
void named_look_in(struct named *named, const char *folder);
/* After the last look. */
void named_sort(struct named *named);
void named_free(struct named *named);
