/* SPDX-License-Identifier: MIT */
#include "inodes.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

#define SLOTS_MAX (128 * 1024)
#define PATHS_MAX (6 * 1024 * 1024)

/* The slot it is in, or the free one that it belongs in. */
static struct inode_slot *slot_of(const struct inodes *inodes, ino_t inode)
{
	/* Fibonacci hashing: neighbours in the table of inodes spread. */
	size_t i = (size_t)(inode * 0x9e3779b97f4a7c15ULL >> 32);

	for (i &= inodes->size - 1;; i = (i + 1) & (inodes->size - 1)) {
		struct inode_slot *slot = &inodes->slots[i];

		if (slot->inode == inode || slot->inode == 0)
			return slot;
	}
}

const char *inodes_find(const struct inodes *inodes, ino_t inode)
{
	const struct inode_slot *slot;

	if (inodes->n == 0)
		return NULL;
	slot = slot_of(inodes, inode);
	return slot->inode ? inodes->paths + slot->path : NULL;
}

static void grow(struct inodes *inodes)
{
	struct inodes old = *inodes;

	inodes->size = old.size ? 2 * old.size : 64;
	inodes->slots = xcalloc(inodes->size, sizeof(*inodes->slots));
	for (size_t i = 0; i < old.size; i++)
		if (old.slots[i].inode)
			*slot_of(inodes, old.slots[i].inode) = old.slots[i];
	free(old.slots);
}

bool inodes_add(struct inodes *inodes, ino_t inode, const char *path)
{
	size_t len = strlen(path) + 1;
	bool crowded = 4 * (inodes->n + 1) > 3 * inodes->size;

	if (inode == 0 || inodes->used + len > PATHS_MAX ||
	    (crowded && inodes->size == SLOTS_MAX))
		return false;
	if (crowded)
		grow(inodes);
	if (inodes->used + len > inodes->room) {
		inodes->room = 2 * (inodes->used + len);
		inodes->paths = xrealloc_array(inodes->paths, inodes->room, 1);
	}
	memcpy(inodes->paths + inodes->used, path, len);
	*slot_of(inodes, inode) = (struct inode_slot){ inode,
						       (uint32_t)inodes->used };
	inodes->used += len;
	inodes->n++;
	return true;
}

void inodes_free(struct inodes *inodes)
{
	free(inodes->slots);
	free(inodes->paths);
	*inodes = (struct inodes){ 0 };
}
