/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An archive's members, one after the other.  The archive is anybody's: what
 * is read of it is bounded, and nothing of it is opened or made here.
 */

#include <archive.h>
#include <archive_entry.h>

struct unpack;

/* Borrows `fd`, from its beginning; NULL by fail(). */
struct unpack *unpack_open(int fd);
/* 1 with the member's header, 0 at the end, -1 by fail(). */
int unpack_next(struct unpack *u, struct archive_entry **entry);
/* 1 with a piece of the member's data, 0 at its end, -1 by fail(). */
int unpack_data(struct unpack *u, const void **data, size_t *len, off_t *at);
void unpack_free(struct unpack *u);
