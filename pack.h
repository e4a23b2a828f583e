/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The last steps of an archive's bytes: compressed, hashed, written.  The same
 * bytes in give the same bytes out, on any number of processors.
 */

#include "artifact.h"

struct pack_zstd;
struct pack_gzip;

struct pack {
	enum artifact_compression compression;
	int fd;
	const char *path; /* for messages */
	struct sha256 sha;
	uint64_t bytes; /* written so far */
	struct pack_zstd *zstd;
	struct pack_gzip *gzip;
};

/* Borrows `fd` and `path`.  All by fail(). */
int pack_open(struct pack *pack, enum artifact_compression compression, int fd,
	      const char *path);
int pack_write(struct pack *pack, const void *data, size_t len);
/* The end of the stream; sha and bytes are complete. */
int pack_finish(struct pack *pack);
void pack_free(struct pack *pack);
