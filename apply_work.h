/* SPDX-License-Identifier: MIT */
#pragma once

/* Between the apply*.c files. */

#include <limits.h>
#include <sys/stat.h>

#include "apply.h"
#include "changes.h"

/* Beside each change. */
struct apply_item {
	bool chosen;
	bool found; /* a member has its name */
	bool staged;
	struct stat was; /* what is at its path; st_mode 0: nothing */
	struct stat from_was;
	char *member; /* its name in the archive */
	char *link;   /* the member that has its bytes, if another does */
};

enum apply_undo {
	UNDO_BACK,
	UNDO_SWAP,
	UNDO_OUT,
	UNDO_RMDIR,
	UNDO_MKDIR,
	UNDO_MODE,
};

struct apply_step {
	enum apply_undo undo;
	char *owned;   /* its path */
	size_t number; /* of the staged name */
	mode_t mode;
};

struct apply {
	const struct apply_request *req;
	const char *tree; /* the project's real path */
	int archive_fd, project_fd, stage_fd;
	char stage[40];
	struct changes changes;
	struct apply_item *items;
	struct strv gone; /* sorted: what leaves its path */
	struct changes_git git;
	mode_t umask;
	struct apply_step *steps;
	size_t n_steps;
	size_t refused, left_out;
	size_t lost; /* what the run made and the archive does not hold */
};

/* changes.json of the archive; by fail(). */
int apply_read(struct apply *a);

/* The folder that holds `path`, and its last name; -1 with errno. */
int apply_parent(const struct apply *a, const char *path, const char **name);
bool apply_has_bytes(const struct change *c);
/* Of a file or folder that comes: with no more permissions than the umask lets
 * through, but for those that what it replaces has. */
mode_t apply_mode(const struct apply *a, const struct change *c);

/* Which member has the bytes of each change, if one does; by fail(). */
int apply_find(struct apply *a);
/* The bytes of all that was chosen, below the staging folder; by fail(). */
int apply_stage(struct apply *a);
/* All renames, or, by fail(), none. */
int apply_commit(struct apply *a);
/* What was staged or replaced; after a success or an undone failure. */
void apply_clear(struct apply *a);
