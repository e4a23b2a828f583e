/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Changes that a run made, put into the user's own tree: all that were chosen,
 * or none.  Neither the archive nor the tree is trusted to stay as it is.
 */

#include <stdbool.h>

#include "util.h"

struct apply_request {
	const char *artifact;
	const char *project;      /* or NULL: the current directory */
	const struct strv *paths; /* none: all changes */
	bool dry_run, force;
};

/* 0: done.  1: refused, and why is told on stderr.  -1 by fail(). */
int apply_changes(const struct apply_request *req);
