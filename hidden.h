/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which files of a project look like secrets, by our list and by the user's own
 * .m9mignore.  Names are looked for, so a look is all that can be promised: how
 * far it went is said.
 */

#include <stdbool.h>
#include <stddef.h>

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
};

/* The user's list, at the top of the project. */
#define HIDDEN_LIST ".m9mignore"

/*
 * `shown` are paths that stay visible.  `whole`: to the last entry, as a user's
 * list takes it, too.  By fail(): that list cannot be read or understood, there
 * is too much to look through or to hide; hidden_free is due then, too.
 */
int hidden_find(struct hidden *hidden, int project_fd, const struct strv *shown,
		bool whole);
void hidden_free(struct hidden *hidden);
