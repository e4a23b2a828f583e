/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A tree as a stream of tar members.  The same tree gives the same bytes: sorted,
 * owner 0, whole seconds, no names of users, no attributes.  Memory is bounded
 * whatever the tree.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "pack.h"

struct tarball;

/* Borrows `pack`, which is open; 0 files are the usual limit, 0 bytes none.
 * NULL by fail(); all else by fail() too. */
struct tarball *tarball_open(struct pack *pack,
			     const struct artifact_limits *limits);

/* Tells the terminal `fd` how far it is, if it takes long. */
void tarball_show_progress(struct tarball *t, int fd);

/* A member that is no file of the tree. */
int tarball_add_text(struct tarball *t, const char *name, const char *text,
		     size_t len, time_t mtime);
/* An open regular file, at its length of now. */
int tarball_add_file(struct tarball *t, const char *name, int fd);

/* Devices 0/0 are overlayfs's: neither members nor left out. */
void tarball_pass_whiteouts(struct tarball *t);

/*
 * The open directory as `name`, and all below it.  What is no file, directory
 * or link, is too deep, has too long a path or is strewn too widely is not
 * stored, but named in the member skipped.txt and counted.  What cannot be read
 * although its owner asks is a failure: an archive that lacks a file silently is
 * worse than none.  Permissions that reading needs are given, and taken back.
 */
int tarball_add_tree(struct tarball *t, const char *name, int dir_fd);

struct tarball_count {
	uint64_t files;    /* stored, directories not counted */
	uint64_t skipped;  /* what is no file: sockets, devices, mounts */
	uint64_t left_out; /* beyond a bound; a folder with all in it is one */
};

/* Writes skipped.txt, if there is need, and the end. */
int tarball_finish(struct tarball *t, struct tarball_count *count);
void tarball_free(struct tarball *t);
