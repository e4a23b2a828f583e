/* SPDX-License-Identifier: MIT */
#include "mount_build.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "newfs.h"

/*
 * The user's tree, and over it what the payload writes.
 *
 *	RUNID/work	upper layer: all that changes, and so the archive
 *	RUNID/overlay	overlayfs's own scratch; `copied` in it says that the
 *			tree was copied into work/, since it could not be laid
 *
 * Layers must be mounts of this namespace, so both are attached to the new root
 * for a moment.  They are named by paths of our own tmpfs relative to it: no
 * name of the user's goes through overlayfs's parser of colons and commas.
 */

#define LOWER   ".lower"
#define RUN     ".run"
#define UPPER   RUN "/work"
#define SCRATCH RUN "/overlay"

/* The tree, not in the tree yet: without what is mounted in it if it is to be a
 * layer, since a layer has no mounts. */
static int open_project(const struct build *b, const struct plan_mount *m)
{
	auto_fd int fd = -1;

	if (b->sources->project->mount_fd >= 0)
		return fcntl(b->sources->project->mount_fd, F_DUPFD_CLOEXEC, 3);
	fd = mount_lookup(AT_FDCWD, m->source, RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return -1;
	if (!(m->flags & PLAN_RW))
		return mount_clone(fd, m->flags);
	return open_tree(fd, "",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

static int open_run(const struct build *b, const struct plan_mount *m)
{
	auto_free char *path = path_join(b->plan->runs_dir, b->plan->run_id);
	auto_fd int held = openat(b->work_fd, "..",
				  O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_fd int fd = held < 0 ? -1 : mount_reopen(path, held);

	return fd < 0 ? -1 : mount_clone(fd, m->flags);
}

/* Both layers in their places, then the whole over the workdir. */
static int lay(struct build *b, const struct plan_mount *m, int lower)
{
	auto_fd int fd = -1;

	if (mount_attach(b, lower, "/" LOWER) < 0)
		return -1;
	fd = newfs_overlay(LOWER, UPPER, SCRATCH);
	(void)umount2(LOWER, MNT_DETACH);
	if (fd < 0)
		return -1;
	if (mount_restrict(fd, m->flags, 0) < 0)
		return fail(errno, "cannot restrict %s", m->destination);
	return mount_attach(b, fd, m->destination);
}

static int mark_copied(void)
{
	auto_fd int fd = openat(AT_FDCWD, SCRATCH "/copied",
				O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? fail(errno, "cannot note that the project was copied")
		      : 0;
}

/* Slower to start, and the same otherwise. */
static int copy_instead(struct build *b, const struct plan_mount *m)
{
	auto_fd int from = -1, work = -1, tree = -1;

	from = b->sources->project->mount_fd >= 0
		   ? fcntl(b->sources->project->dir_fd, F_DUPFD_CLOEXEC, 3)
		   : open(m->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	work = mount_lookup(b->root_fd, UPPER, RESOLVE_INSIDE);
	if (from < 0 || work < 0)
		return fail(errno, "cannot copy the project %s", m->source);
	if (project_copy(b->plan, from, work, false) < 0 || mark_copied() < 0)
		return -1;
	tree = mount_clone(work, m->flags);
	if (tree < 0)
		return fail(errno, "cannot show the workdir");
	return mount_attach(b, tree, m->destination);
}

static int lay_or_copy(struct build *b, const struct plan_mount *m)
{
	auto_fd int lower = open_project(b, m);

	if (lower >= 0 && lay(b, m, lower) == 0)
		return 0;
	err_reset();
	return copy_instead(b, m);
}

static int show_read_only(struct build *b, const struct plan_mount *m)
{
	auto_fd int tree = open_project(b, m);

	if (tree < 0 || mount_restrict(tree, m->flags, AT_RECURSIVE) < 0)
		return fail(errno, "cannot show the project %s", m->source);
	return mount_attach(b, tree, m->destination);
}

int mount_project(struct build *b, const struct plan_mount *m, int source)
{
	auto_fd int run = -1;
	int rc;

	if (b->sources->project->copied)
		return mount_attach(b, source, m->destination);
	if (!(m->flags & PLAN_RW))
		return show_read_only(b, m);
	run = source >= 0 ? fcntl(source, F_DUPFD_CLOEXEC, 3) : open_run(b, m);
	if (run < 0)
		return -1;
	if (mount_attach(b, run, "/" RUN) < 0)
		return -1;
	/* For the names of the layers, and so that they cannot be mistaken. */
	if (fchdir(b->root_fd) < 0)
		return fail(errno, "cannot enter the new root");
	rc = lay_or_copy(b, m);
	if (rc == 0 && (umount2(RUN, MNT_DETACH) < 0 ||
			unlinkat(b->root_fd, RUN, AT_REMOVEDIR) < 0 ||
			(unlinkat(b->root_fd, LOWER, AT_REMOVEDIR) < 0 &&
			 errno != ENOENT)))
		return fail(errno, "cannot take the layers away");
	return rc;
}
