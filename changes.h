/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a run has changed in a project: the upper layer, or the whole copy, held
 * against the real tree.  The time goes with what was written and deleted, not
 * with the tree.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "named.h"
#include "sha256.h"
#include "util.h"

enum change_kind {
	CHANGE_ADDED,
	CHANGE_MODIFIED,
	CHANGE_DELETED,
	CHANGE_RENAMED, /* the same bytes and mode under another name */
};

/* One side of a change; mode 0: there is none. */
struct change_side {
	mode_t mode; /* with its type */
	off_t size;
	char sha256[SHA256_HEX]; /* of a file's bytes, or of a link's target */
	char *target;
};

struct change {
	enum change_kind kind;
	char *path;
	char *from; /* of a renamed one */
	struct change_side old, new;
	bool raced;          /* the real one was changed during the run */
	const char *control; /* why it needs a second look, or NULL */
};

struct changes {
	struct change *v;
	size_t n;
	size_t left_out; /* not listed: beyond walk.h's bounds, or all holes */
};

struct changes_request {
	int work_fd;               /* upper layer or copy */
	int lower_fd;              /* the real tree */
	const char *tree;          /* its real path */
	const struct named *named; /* in it, as its owner finds it, or NULL */
	bool whole;                /* a copy: what it lacks was deleted */
	const struct strv *hidden; /* sorted; never a deletion */
	struct timespec began;
	/* Of what a payload makes.  What it deletes is of the user's own tree:
	 * a list without some of that would be a lie, and one that is refused
	 * a loss. */
	size_t most_made;
	size_t most_names; /* bytes of the paths, and of what links name */
};

/* By fail(): also if more was made than may be; changes_free is due in either case. */
int changes_find(struct changes *changes, const struct changes_request *req);
void changes_free(struct changes *changes);

/* What is at the name now; -1 with errno. */
int changes_read_side(int dir_fd, const char *name, const struct stat *st,
		      struct change_side *side);

/* What git obeys by other than its name. */
struct changes_git {
	int tree_fd;       /* the real tree; not owned */
	struct strv heads; /* sorted: the folders where a HEAD comes */
	struct strv links; /* sorted: those that are new */
	struct named named;
};

/* `tree` is the real path of tree_fd, and outlives it.  Takes `found` over, which
 * is of named_find; NULL: that is done here. */
void changes_git_find(struct changes_git *git, const struct changes *changes,
		      int tree_fd, const char *tree, const struct named *found);
void changes_git_free(struct changes_git *git);
/* Why it needs a second look, or NULL. */
const char *changes_control(const struct change *c,
			    const struct changes_git *git);

/* One object a line in "changes"; `about` goes in front, a JSON object, and
 * behind it how much was left out. */
void changes_print(const struct changes *changes, const char *about, FILE *out);
