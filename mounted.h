/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a tree shows, whatever mounts the host has in it or on the way to it.  A
 * bind mount gives files another path, but they have one place in their file
 * system: there paths can be compared.  Reads the host, changes nothing.
 */

#include <stdbool.h>
#include <stddef.h>

/* Something that is mounted, or the tree itself. */
struct mounted_part {
	unsigned long long id; /* of the mount; 0 for the tree */
	char *at;              /* on the host */
	char *device;          /* of its file system: "8:1" */
	char *place;           /* in the file system */
	bool inside;           /* at the tree or in it */
};

/* All mounts of the host; the last one is the tree. */
struct mounted {
	struct mounted_part *v;
	size_t n;
};

#define auto_mounted __attribute__((cleanup(mounted_free)))

/* `tree` is absolute and free of links.  By fail(); mounted_free is due in
 * either case. */
int mounted_read(struct mounted *mounted, const char *tree);
/*
 * Is what is at `path` (absolute, there, free of links) somewhere in the tree?
 * By which part: the tree's own path or that of a mount in it; NULL: it is not.
 * What cannot be told is taken for a yes.
 */
const char *mounted_holds(const struct mounted *mounted, const char *path);
/* The same, or is some of the tree at or below `path`? */
const char *mounted_meets(const struct mounted *mounted, const char *path);
/* Does the way to `path` (absolute, perhaps with links, perhaps not there) lead
 * through the tree: by words, by mounts or by any link on it? */
bool mounted_on_way(const struct mounted *mounted, const char *path);
void mounted_free(struct mounted *mounted);
