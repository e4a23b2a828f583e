/* SPDX-License-Identifier: MIT */
#pragma once

/* Copies of files and trees from descriptor to descriptor. */

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "util.h"

struct copy_rules {
	const char *what; /* name of the source, for messages */
	bool unlock;      /* the source is ours to chmod, and hostile */
	bool own;         /* give what is made to uid:gid */
	uid_t uid;
	gid_t gid;
	mode_t mask;       /* permissions that are kept */
	dev_t skip_device; /* this directory is left out (inode 0: none) */
	ino_t skip_inode;
	const struct strv *skip; /* sorted paths below it, or NULL */
	bool files_only; /* sockets, devices, fifos are left out, not refused */
	/* Out: links were copied that leave the tree. */
	bool links_out;
	/* Out: how many were left out. */
	size_t left_out;
};

/*
 * Copies what one open regular file holds to another (empty) one: shared
 * blocks where the file system can, holes kept.  0, or -1 with errno.
 */
int copy_data(int from_fd, int to_fd, const struct stat *st);

/*
 * Copies one open regular file to parent/name, which must not exist.  Mode and
 * time are kept.  By fail().
 */
int copy_file(int from_fd, const struct stat *st, int parent_fd,
	      const char *name, const struct copy_rules *rules);

/*
 * Copies what is in one open directory into another one that exists.  Links
 * are copied as links; sockets, devices and fifos are refused or left out, and
 * a depth over WALK_DEPTH_MAX is refused.  The directory itself gets the mode
 * and the time that `st` has.  Takes both descriptors over.  By fail().
 */
int copy_tree(int from_fd, const struct stat *st, int to_fd,
	      struct copy_rules *rules);
