/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is kept of files and folders from one run to the next: in a folder beside
 * the runs, of 256 places, one for each that its inode comes to.  A newcomer
 * takes the place over, so that nothing grows.
 *
 * It is believed for as long as the times are what they were.  A change sets the
 * ctime, and nobody sets that back who does not set the clock; what is left are
 * changes
 *
 *	within one tick of the clock: so nothing is kept of what was too young
 *	when its reading began (git calls such files racily clean);
 *	on a file system whose times are another machine's, a process's, or of
 *	no more than seconds: so some file systems alone are taken;
 *	by whoever makes an image: so no time is believed without nanoseconds.
 *
 * No payload has these folders to write (tree.c: keep_apart).
 */

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>

struct cache_place {
	char name[3];
};

/* O_PATH; -1: none such, or not ours, or others may write there. */
int cache_open(const char *path);
struct cache_place cache_place(dev_t dev, ino_t ino);
/* Does each change show in the times?  On tmpfs not one through a mapping. */
bool cache_tells(const struct statfs *fs);
/* Will it from now on, the ctime being more than `age_s` ago? */
bool cache_settled(const struct timespec *ctime, const struct timespec *now,
		   time_t age_s);
