/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a look at a project came to, from one run to the next, for as long as
 * every folder that was looked through is as it was: one file for each of 256
 * places, in a folder of its own.  It is a cache: whatever fails is a look.
 */

#include <stdbool.h>
#include <time.h>

#include "cache.h"
#include "util.h"

struct looked {
	char *dir, *rules;
	struct cache_place place;
	struct strv folders; /* looked through: "STAMP PATH", parents first */
	struct strv found;   /* what was hidden, as its caller has it */
	struct timespec began;
	bool lasting; /* a change would show */
	bool known;   /* as it was: nothing is to be kept */
};

/*
 * By `rules`, at the tree that is open; `dir` is the folder of the places, NULL:
 * there is none.  l->known: `found` is what looked_found was told then.
 */
void looked_start(struct looked *l, const char *dir, int root_fd,
		  const char *rules);
/* Before the first name is read of the open folder at `path`. */
void looked_at(struct looked *l, int dir_fd, const char *path);
/* Of what another look may find otherwise. */
void looked_lapse(struct looked *l);
/* Takes `line` over. */
void looked_found(struct looked *l, char *line);
/* The one effect that it has on the host. */
void looked_keep(const struct looked *l);
void looked_free(struct looked *l);
