/* SPDX-License-Identifier: MIT */
#include "rmtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "err.h"
#include "text.h"
#include "util.h"
#include "walk.h"

/*
 * A payload can nest directories as deep as its disk allows, far beyond any
 * limit of descriptors or of PATH_MAX.  So only the WINDOW innermost levels are
 * open; of those above, the inode number is kept, and the way back is "..",
 * which must lead to that very inode.  A level that was closed is read from its
 * start again: what came before is gone by then.
 */
#define WINDOW 32

struct level {
	struct walk_reader *reader; /* NULL: closed */
	ino_t inode;
	uint64_t removed; /* since it was entered: no progress, no end */
};

struct removal {
	struct level *levels;
	size_t depth, size;
	dev_t device;
	const char *where;
};

static int refuse(const struct removal *rm, const char *name, int err)
{
	auto_free char *shown = text_visible(name, true);

	return fail(err, "cannot remove %s in %s", shown, rm->where);
}

static void close_level(struct level *level)
{
	if (level->reader == NULL)
		return;
	walk_end(level->reader);
	free(level->reader);
	level->reader = NULL;
}

static void open_level(struct level *level, int fd)
{
	level->reader = xcalloc(1, sizeof(*level->reader));
	walk_start(level->reader, fd);
}

/* Goes down into parent/name; a mount there belongs to somebody else. */
static int enter(struct removal *rm, int parent_fd, const char *name)
{
	struct stat st;
	auto_fd int fd = walk_open_dir(parent_fd, name, true, &st);
	struct level *level;

	if (fd < 0)
		return refuse(rm, name, errno);
	if (rm->depth == 0)
		rm->device = st.st_dev;
	if (st.st_dev != rm->device)
		return refuse(rm, name, EXDEV);
	if (rm->depth == rm->size) {
		rm->size = rm->size ? 2 * rm->size : 2 * WINDOW;
		rm->levels = xrealloc_array(rm->levels, rm->size,
					    sizeof(*rm->levels));
	}
	level = &rm->levels[rm->depth++];
	*level = (struct level){ .inode = st.st_ino };
	open_level(level, take_fd(&fd));
	if (rm->depth > WINDOW)
		close_level(&rm->levels[rm->depth - 1 - WINDOW]);
	return 0;
}

/* Opens the level above the innermost one again, if it was closed. */
static int reopen_parent(struct removal *rm)
{
	struct level *inner = &rm->levels[rm->depth - 1];
	struct level *outer = inner - 1;
	struct stat st;
	int fd;

	if (outer->reader)
		return 0;
	fd = walk_open_dir(inner->reader->fd, "..", true, &st);
	if (fd < 0)
		return refuse(rm, "..", errno);
	open_level(outer, fd);
	if (st.st_dev != rm->device || st.st_ino != outer->inode)
		return fail(0, "cannot remove all in %s: it is being changed",
			    rm->where);
	return 0;
}

static bool clear_flags(int fd)
{
	const int fixed = FS_IMMUTABLE_FL | FS_APPEND_FL;
	int flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 || !(flags & fixed))
		return false;
	flags &= ~fixed;
	return ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}

/*
 * Immutable, or append-only: no payload can make it so, but root of the host
 * can, and such a name would stay for ever.  Was there something to clear?
 */
static bool unfix(int dir_fd, const char *name)
{
	bool cleared = clear_flags(dir_fd);
	auto_fd int fd = -1;
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return cleared;
	if (S_ISDIR(st.st_mode))
		fd = walk_open_dir(dir_fd, name, false, &st);
	else if (S_ISREG(st.st_mode))
		fd = walk_open_file(dir_fd, name, false, &st);
	return (fd >= 0 && clear_flags(fd)) || cleared;
}

static int unlink_name(int dir_fd, const char *name, int flags)
{
	if (unlinkat(dir_fd, name, flags) == 0)
		return 0;
	if (errno != EPERM)
		return -1;
	if (unfix(dir_fd, name))
		return unlinkat(dir_fd, name, flags);
	errno = EPERM;
	return -1;
}

/* 1 removed, 0 a directory that is not empty, -1 with errno. */
static int remove_entry(int fd, const struct walk_name *entry)
{
	if (entry->type != DT_DIR) {
		if (unlink_name(fd, entry->name, 0) == 0)
			return 1;
		/* The type was not told, and it is one after all. */
		if (errno != EISDIR)
			return -1;
	}
	if (unlink_name(fd, entry->name, AT_REMOVEDIR) == 0)
		return 1;
	return errno == ENOTEMPTY || errno == EEXIST ? 0 : -1;
}

/* Empties the innermost level up to a directory that must be entered. */
static int empty(struct removal *rm)
{
	struct level *level = &rm->levels[rm->depth - 1];
	struct walk_name entry;
	int rc;

	while ((rc = walk_next(level->reader, &entry)) == 1) {
		rc = remove_entry(level->reader->fd, &entry);
		if (rc == 0) {
			/* Empty when we are back: it is tried again. */
			walk_again(level->reader, &entry);
			return enter(rm, level->reader->fd, entry.name);
		}
		if (rc < 0)
			return refuse(rm, entry.name, errno);
		level->removed++;
	}
	if (rc < 0)
		return fail(errno, "cannot read a directory in %s", rm->where);
	if (rm->depth > 1 && reopen_parent(rm) < 0)
		return -1;
	/* Entered since it was not empty, left with nothing done. */
	if (rm->depth > 1 && level->removed == 0)
		return fail(ENOTEMPTY, "cannot empty a directory in %s",
			    rm->where);
	close_level(level);
	rm->depth--;
	return 0;
}

int rmtree_at(int parent_fd, const char *name, const char *where)
{
	struct removal rm = { .where = where };
	int rc = 0;

	if (unlink_name(parent_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return refuse(&rm, name, errno);
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	rc = enter(&rm, parent_fd, name);
	while (rc == 0 && rm.depth > 0)
		rc = empty(&rm);
	while (rm.depth > 0)
		close_level(&rm.levels[--rm.depth]);
	free(rm.levels);
	if (rc == 0 && unlink_name(parent_fd, name, AT_REMOVEDIR) < 0)
		return refuse(&rm, name, errno);
	return rc;
}
