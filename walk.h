/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Steps in a file tree that somebody hostile may have shaped: from descriptor
 * to descriptor, one name at a time, never over a link, never blocked by a
 * fifo, never opening a device.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "util.h"

/*
 * Folders within each other, and the length of a path below the top.  Deeper
 * trees are not copied, and what lies beyond either is not archived: one
 * descriptor a level, and a path that is to fit PATH_MAX where it is unpacked,
 * with 1 KiB for the folder of that.  Of 8 MB of nested folders 400 MB of archive
 * would come.
 */
#define WALK_DEPTH_MAX 256
#define WALK_PATH_MAX  3072

/*
 * Opens `path` below the directory, without a link or ".." anywhere on the way;
 * -1 with errno.
 */
int walk_open_below(int root_fd, const char *path, int flags);

/*
 * Opens the directory at an absolute host path for reading, if no link is on the
 * way; -1 with errno.
 */
int walk_open_plain(const char *path);

/* The names in a directory, in the file system's order, without . and .. */
struct walk_reader {
	int fd; /* owned */
	char *buf;
	size_t pos, len;
};

struct walk_name {
	const char *name;   /* valid until the next call */
	unsigned char type; /* DT_*; may be DT_UNKNOWN */
};

/* Takes `dir_fd` over, which must be open for reading. */
void walk_start(struct walk_reader *reader, int dir_fd);
/* 1 with *name, 0 at the end, -1 with errno. */
int walk_next(struct walk_reader *reader, struct walk_name *name);
/* Gives the last name again. */
void walk_again(struct walk_reader *reader, const struct walk_name *name);
/* From the first name again, holding no buffer; 0, or -1 with errno. */
int walk_rewind(struct walk_reader *reader);
void walk_end(struct walk_reader *reader);

/*
 * Opens a directory for reading and searching.  With `unlock`, gives its owner
 * the permission for it, if that is what is missing; *st has the mode that it
 * had before.  A descriptor, or -1 with errno (ENOTDIR for a link).
 */
int walk_open_dir(int parent_fd, const char *name, bool unlock,
		  struct stat *st);
/* The same for a directory that is held already. */
int walk_reopen_dir(int dir_fd, bool unlock, struct stat *st);
/* Of what is there and is no link; -1 with errno. */
int walk_chmod(int parent_fd, const char *name, mode_t mode);
/* Gives a directory its own mode back; `st` is of walk_open_dir. */
void walk_lock_dir(int dir_fd, const struct stat *st);

/*
 * Opens a regular file for reading; its mode is the same afterwards.
 * A descriptor, or -1 with errno (EINVAL for any other kind of file).
 */
int walk_open_file(int parent_fd, const char *name, bool unlock,
		   struct stat *st);

/*
 * Opens the directory at an absolute host path, made with its parents if
 * missing.  Links on the way are followed: the path is the user's own.
 * A descriptor, or -1 by fail().
 */
int walk_make_dirs(const char *path, mode_t mode);

/*
 * Every place that the way to an absolute host path goes by, one link after the
 * other: each a real path, the last one that is there included.  `links` has
 * those which are links.  What lies in a payload's hands on the way, it can lead
 * elsewhere, wherever it leads today.
 */
void walk_way(const char *path, struct strv *places, struct strv *links);

/* A path that grows and shrinks by names, for messages and members. */
struct walk_path {
	char *s; /* NUL-terminated; NULL while nothing was pushed */
	size_t len, size;
};

/* Appends "/name" (or "name" to nothing); the length before, for cut. */
size_t walk_push(struct walk_path *path, const char *name);
void walk_cut(struct walk_path *path, size_t len);
void walk_free(struct walk_path *path);
