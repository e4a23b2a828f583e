/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a path inside will lead to, told from the plan before anything is made:
 * the same mounts in the same order as mount.c makes them.  Reads the host,
 * changes nothing.
 */

#include "plan.h"

enum view_kind {
	VIEW_ABSENT,
	VIEW_HIDDEN, /* a mask, or an emptied folder, is over it */
	VIEW_HOST,   /* a file of the host's: see source */
	VIEW_OURS,   /* made for the run: a folder, a file, a device */
	VIEW_FRESH,  /* in an empty tree that only the run will fill */
};

struct view {
	enum view_kind kind;
	char *path;   /* absolute, without links as far as it is there */
	char *source; /* on the host; NULL: there is none */
	const struct plan_mount *mount; /* it lies in; NULL: our own root */
	bool readable, writable; /* by mounts and by the host's file modes */
	bool mode_writes;        /* by the mode alone; VIEW_HOST */
	struct stat st;          /* VIEW_HOST */
};

/* `path` is absolute; view_free is due. */
void view_find(struct view *view, const struct plan *plan, const char *path);
void view_free(struct view *view);
