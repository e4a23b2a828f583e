/* SPDX-License-Identifier: MIT */
#pragma once

/* The changes of a run, written beside its logs: changes.json, changes.patch. */

#include "project.h"
#include "workdir.h"

#define CHANGES_SHOWN      16
#define CHANGES_SHOWN_SIZE 256

/* For the result; `control` are those that need a second look. */
struct changes_summary {
	bool made;
	bool patch; /* there is one: the project is a git tree */
	uint64_t added, modified, deleted, renamed;
	uint64_t left_out; /* of the patch: too large, or hidden */
	uint64_t
	    beyond; /* not listed: too deep, too long a path, or all holes */
	uint64_t n_control;
	struct {
		char path[CHANGES_SHOWN_SIZE]; /* printable */
		char what[64];
	} control[CHANGES_SHOWN];
};

/* In a process with the payload's ids, since the payload shaped the tree; of a
 * project in place or none, nothing.  By fail(). */
int changes_record(struct workdir *wd, const struct plan *plan,
		   const struct project_tree *tree,
		   const struct timespec *began, struct changes_summary *out);

/* In the run's journal, for whoever finds it without us: all that the above has
 * to know.  By fail(). */
int changes_note(const struct workdir *wd, const struct plan *plan,
		 const struct project_tree *tree, const struct timespec *began);

/*
 * The same of a run that died, by its journal, against the project as it is
 * now.  Where that cannot be had there is no list, and no harm.  Returns whether
 * the workdir is an upper layer.
 */
bool changes_recover(struct workdir *wd, const struct strv *journal);

/* changes.patch, which can be read when the run is gone; -1 with errno. */
int changes_open_patch(const struct workdir *wd);
/* Prints it so that it cannot steer a terminal.  -1 is one without a line. */
void changes_show(int patch_fd, FILE *out, bool color);
