/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An archive's members, one after the other.  The archive is anybody's: what
 * is read of it is bounded, and nothing of it is opened or made here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct unpack;

struct unpack_member {
	const char *path;      /* NULL: none that can be read */
	const char *hard_link; /* the member that has the bytes, or NULL */
	bool is_file;
};

/* libarchive, before anything else of this and in the same process or a parent
 * of it: with no right given up yet, and nothing of the archive's read.  By
 * fail(). */
int unpack_load(void);

/* Borrows `fd`, from its beginning; NULL by fail(). */
struct unpack *unpack_open(int fd);
/* 1 with a member, the reader's until the next one; 0 at the end, -1 by fail(). */
int unpack_next(struct unpack *u, const struct unpack_member **member);
/* 1 with a piece of the member's data, 0 at its end, -1 by fail(). */
int unpack_data(struct unpack *u, const void **data, size_t *len, off_t *at);
void unpack_free(struct unpack *u);
