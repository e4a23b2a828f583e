/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A name (--name) that one live run at a time can have: the lock of the file
 * RUNS/NAME.name, which is free when its holder is dead, however it died.
 */

struct claim {
	int runs_fd;
	int fd; /* of the file; -1: no name */
	char *file;
};

#define CLAIM_NONE ((struct claim){ .runs_fd = -1, .fd = -1 })

/* By fail(), which tells who has it. */
int claim_take(struct claim *claim, const char *runs_dir, const char *name,
	       const char *run_id);
/* Gives the name back; safe on CLAIM_NONE. */
void claim_release(struct claim *claim);
/* Removes the files of names that nobody has. */
void claim_sweep(int runs_fd);
