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

/* Entries that the look for our own list goes through; the user's list is held
 * to the last entry. */
#define HIDDEN_ENTRIES 4000
/* Each takes a mount of its own. */
#define HIDDEN_MAX     1000

struct hidden {
	struct strv files, folders; /* below the project, sorted */
	bool partial;               /* there were more than HIDDEN_ENTRIES */
};

/*
 * `shown` are paths that stay visible.  By fail(): the user's list cannot be
 * read or understood, or too much is to be hidden; hidden_free is due then, too.
 */
int hidden_find(struct hidden *hidden, int project_fd,
		const struct strv *shown);
void hidden_free(struct hidden *hidden);
