/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The names in a directory in bytewise order, in bounded memory: when they do
 * not fit, the smallest that do, then the next ones by reading it again.
 */

#include <limits.h>
#include <stdint.h>

#include "walk.h"

struct listing {
	struct walk_reader reader;
	char *text;   /* a type byte, the name, a NUL; then the next */
	uint32_t *at; /* where each begins; sorted */
	size_t n, next;
	size_t used, size; /* of text */
	bool more;         /* greater names are in the directory */
	char last[NAME_MAX + 1];
};

/* Takes `dir_fd` over; reads nothing yet. */
void listing_start(struct listing *list, int dir_fd);
/*
 * 1 with the next name (valid until the call after), 0 at the end, -1 with
 * errno.  `limit`: bytes that the names may take.
 */
int listing_next(struct listing *list, size_t limit, struct walk_name *name);
/* Bytes that they take now. */
size_t listing_memory(const struct listing *list);
void listing_end(struct listing *list);
