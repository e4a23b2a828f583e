/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The members of a tar archive, written in POSIX's pax format: a ustar header,
 * and before it an extended one if there is what ustar cannot hold.  Owners and
 * groups are 0 and have no names, times are whole seconds: what goes in alone
 * decides what comes out.
 *
 * Nothing of this is anybody's input but names and numbers.  libarchive's writer
 * would be a fifth of the program, or take longer to load than most runs; it
 * reads the archives (unpack.h).
 */

#include <stdbool.h>
#include <sys/types.h>

#include "pack.h"
#include "sparse.h"

struct pax {
	struct pack *pack;
	char *buffer;
	size_t buffered;
	uint64_t left; /* of the member's bytes */
	size_t padding;
};

struct pax_member {
	const char *path; /* without the slash that a directory gets */
	mode_t mode;      /* S_IFREG, S_IFDIR or S_IFLNK; and permissions */
	off_t size;       /* of a regular file */
	time_t mtime;
	const char *link;      /* where a symbolic link leads, or */
	const char *hard_link; /* the member that is the same file */
	/* The data of a file with holes; its bytes are then theirs only. */
	bool sparse;
	const struct sparse_segment *segments;
	size_t n_segments;
};

/* Borrows `pack`.  All by fail(). */
int pax_open(struct pax *pax, struct pack *pack);
/* The header; then the member's bytes, all of them, in any pieces. */
int pax_member(struct pax *pax, const struct pax_member *member);
int pax_data(struct pax *pax, const void *data, size_t len);
/* The end of the archive, after a whole member. */
int pax_finish(struct pax *pax);
void pax_free(struct pax *pax);
