/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The file tree that a payload sees, as an ordered list of mounts: a base made
 * from tables, the agent's program, the user's own mounts, the workdir last.
 */

#include "plan.h"

/* Fills plan->mounts (program, ids, cwd, net are set already); by fail(). */
int tree_plan(struct plan *plan, const struct spec *spec,
	      const struct host *host);

/* Appends a mount; `source` is taken over, the destination copied. */
struct plan_mount *tree_add(struct plan *plan, enum plan_mount_kind kind,
			    const char *destination, char *source);

/* $HOME inside, and the name of the user. */
#define TREE_HOME "/home/agent"
#define TREE_USER "agent"
