/* SPDX-License-Identifier: MIT */
#pragma once

/* Where in a file with holes the data is. */

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#define SPARSE_MAX 32768

struct sparse_segment {
	off_t offset, end;
};

/* The bytes of its holes; none if they cannot be told.  The offset is moved. */
off_t sparse_unwritten(int fd, const struct stat *st);

/*
 * At most SPARSE_MAX segments, ascending, into segments[]; holes too small for
 * that many count as data.  The number of them, or -1 with errno: EFBIG when so
 * much would be data that was never written.
 */
ssize_t sparse_find(int fd, const struct stat *st,
		    struct sparse_segment *segments);
