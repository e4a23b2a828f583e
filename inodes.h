/* SPDX-License-Identifier: MIT */
#pragma once

/* Which member of an archive a hard-linked file was first stored as. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct inode_slot {
	ino_t inode; /* 0: free */
	uint32_t path;
};

struct inodes {
	struct inode_slot *slots;
	size_t n, size; /* size: a power of 2 */
	char *paths;
	size_t used, room;
};

/* The path kept for it, or NULL. */
const char *inodes_find(const struct inodes *inodes, ino_t inode);
/* False when the table is full: memory is bounded whatever the tree. */
bool inodes_add(struct inodes *inodes, ino_t inode, const char *path);
void inodes_free(struct inodes *inodes);
