/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A line on a terminal that says how far a long piece of work is: none for what
 * takes less than a second, and none is left when it is over.
 */

#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_AFTER_MS 1000
#define PROGRESS_EVERY_MS 200

struct progress {
	int fd;           /* of progress_open; -1: nobody looks */
	const char *what; /* "archiving" */
	uint64_t next_ms; /* when to say something */
	bool shown;
};

/*
 * The terminal once more, such that writing to it never waits: one that was
 * stopped (^S), or has room for a part of a line only, is not to hold the work
 * that it shows.  -1 where it cannot be had: an ordinary user's su, say, leaves
 * the terminal to whoever opened it.
 */
int progress_open(int terminal_fd);
/* Borrows both; `now_ms` is of one clock that does not go back, here and below. */
void progress_start(struct progress *p, int fd, const char *what,
		    uint64_t now_ms);
/* So much is done by now.  Errors of writing are nobody's concern. */
void progress_tell(struct progress *p, uint64_t files, uint64_t bytes,
		   uint64_t now_ms);
/* Takes the line away. */
void progress_end(struct progress *p);
