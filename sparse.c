/* SPDX-License-Identifier: MIT */
#include "sparse.h"

#include <errno.h>
#include <unistd.h>

#define HOLE_MIN     4096
#define WRITTEN_FREE (64LL * 1024 * 1024)

/* One pass; the number of segments, or SPARSE_MAX + 1 when there are more. */
static ssize_t find(int fd, off_t size, off_t hole_min,
		    struct sparse_segment *segments, off_t *written)
{
	ssize_t n = 0;
	off_t at = lseek(fd, 0, SEEK_DATA);

	*written = 0;
	while (at >= 0 && at < size) {
		off_t end = lseek(fd, at, SEEK_HOLE);

		if (end < 0)
			return -1;
		if (end > size)
			end = size;
		*written += end - at;
		if (n > 0 && at - segments[n - 1].end < hole_min)
			segments[n - 1].end = end;
		else if (n == SPARSE_MAX)
			return SPARSE_MAX + 1;
		else
			segments[n++] = (struct sparse_segment){ at, end };
		at = lseek(fd, end, SEEK_DATA);
	}
	/* ENXIO: nothing but a hole follows. */
	return at < 0 && errno != ENXIO ? -1 : n;
}

off_t sparse_unwritten(int fd, const struct stat *st)
{
	struct sparse_segment all; /* each hole is too small to part it */
	off_t written;

	if (st->st_blocks * (off_t)512 >= st->st_size ||
	    find(fd, st->st_size, st->st_size, &all, &written) < 0)
		return 0;
	return st->st_size - written;
}

ssize_t sparse_find(int fd, const struct stat *st,
		    struct sparse_segment *segments)
{
	off_t hole_min = HOLE_MIN, total = 0, written;
	ssize_t n = find(fd, st->st_size, hole_min, segments, &written);

	while (n > SPARSE_MAX) {
		hole_min *= 4;
		n = find(fd, st->st_size, hole_min, segments, &written);
	}
	/*
	 * Blocks strewn over terabytes: each hole is small for its file, and
	 * all of them together would fill any disk, or take all day.  Not by
	 * the blocks in use: they are few where a file system compresses.
	 */
	for (ssize_t i = 0; i < n; i++)
		total += segments[i].end - segments[i].offset;
	if (n > 0 && total > 16 * written + WRITTEN_FREE) {
		errno = EFBIG;
		return -1;
	}
	return n;
}
