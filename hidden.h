/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which files of a project look like secrets, by our list and by the user's own
 * .m9mignore; and which are doors: a unix socket or a fifo leads to whoever has
 * it open on the host, also in a tree that is read-only.  They are looked for,
 * so a look is all that can be promised: how far it went is said.
 */

#include <stdbool.h>
#include <stddef.h>

#include "looked.h"
#include "util.h"

/* Entries that the look for our own list goes through, where that is enough. */
#define HIDDEN_ENTRIES 4000
/* Each takes a mount of its own. */
#define HIDDEN_MAX     1000

struct hidden {
	struct strv files, folders; /* below the project, sorted */
	struct strv above;          /* the folders on the way to them, sorted */
	bool listed;                /* the user has a list */
	bool partial;               /* there were more than HIDDEN_ENTRIES */
	struct looked looked;       /* to be kept, once a run begins */
};

/* The user's list, at the top of the project. */
#define HIDDEN_LIST ".m9mignore"

enum hidden_look {
	HIDDEN_WHOLE =
	    1, /* to the last entry, as a user's list takes it, too */
	HIDDEN_DOORS = 2, /* the files themselves are shown, not a copy */
};

/*
 * `shown` are paths that stay visible, `how` is of HIDDEN_..., `looks` is the
 * folder of looked.h, or NULL.  By fail(): the user's list cannot be read or
 * understood, there is too much to look through or to hide; hidden_free is due
 * then, too.
 */
int hidden_find(struct hidden *hidden, int project_fd, const struct strv *shown,
		unsigned int how, const char *looks);
/*
 * The doors alone, of any tree, among the entries that are nearest to its top.
 * `by_other`: for somebody who is neither its owner nor of its group.  By
 * fail(): there are too many; hidden_free is due then, too.
 */
int hidden_doors(struct hidden *hidden, int tree_fd, bool by_other);
void hidden_free(struct hidden *hidden);
