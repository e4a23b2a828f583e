/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where programs are on a host, or in a tree of its own: along PATH and in the
 * places that installers of agents use.  Reads, changes nothing.
 */

#include "util.h"

struct lookup {
	const char *root; /* "" for the host, else the tree's path */
	const char *home; /* the caller's, or NULL; borrowed */
};

/* `in_rootfs` may be NULL: the host. */
void lookup_init(struct lookup *lookup, const char *in_rootfs);

/*
 * The absolute path of `name` (a name, or a path with a slash; a relative one
 * is against the current folder).  NULL with errno: ENOENT, EACCES or EISDIR
 * when only such files were found.
 */
char *lookup_find(const struct lookup *lookup, const char *name);

/*
 * Follows every link in an absolute path, inside the root.  Each link met is
 * added to `links` (may be NULL) as "place\ttarget", the place itself without
 * links.  NULL with errno.
 */
char *lookup_real(const struct lookup *lookup, const char *path,
		  struct strv *links);

/* The name on PATH nearest to one that was not found (owned), or NULL. */
char *lookup_near(const struct lookup *lookup, const char *name);
