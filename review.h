/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Changes that can make the user's own tools do something: files that an editor,
 * a shell, git or a CI runs or obeys, new executable bits, links that lead out.
 * Pure.
 */

#include <stdbool.h>
#include <sys/types.h>

/* Words for what it is ("a git hook"), or NULL. */
const char *review_path(const char *path);
/* The same for a link, which can stand for a folder of such. */
const char *review_link(const char *path);
/* Is it the name of a HEAD, by which git takes a folder for its own? */
bool review_is_head(const char *name);
/*
 * What it is to git in a folder that holds a HEAD; `rest` is the path from there.
 * Or NULL.  `obeyed`: not merely asked for to see whether the folder is git's.
 */
const char *review_git_part(const char *rest, bool *obeyed);
/* Is it git's own record of the tree: index, objects, refs, logs? */
bool review_is_git_record(const char *path);
/* Does a link at `path` lead out of the tree?  In words only. */
bool review_link_leaves(const char *path, const char *target);
