/* SPDX-License-Identifier: MIT */
#include "mount_build.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "layers.h"
#include "newfs.h"

/*
 * The user's tree, and over it what the payload writes.
 *
 *	work	upper layer: all that changes, and so the archive
 *	overlay	overlayfs's own scratch; `copied` in it says that the tree was
 *		copied into work/, since it could not be laid
 *	git, git-overlay
 *		the same for a git directory that is elsewhere, of which nothing
 *		is kept; `fixed`: it is read-only instead
 *
 * All are in RUNID.layers (workdir.h), since two of one overlay must be of one
 * mount.
 *
 * Layers must be mounts of this namespace, so both are attached to the new root
 * for a moment.  They are named by paths of our own tmpfs relative to it: no
 * name of the user's goes through overlayfs's parser of colons and commas.
 */

#define LOWER     ".lower"
#define LAYERS    ".layers"
#define FILE_NAME ".file"

struct layers {
	const char *upper, *scratch;
};

static const struct layers project_layers = { LAYERS "/work",
					      LAYERS "/overlay" };
static const struct layers git_layers = { LAYERS "/git",
					  LAYERS "/git-overlay" };

/* The tree, not in the tree yet: without what is mounted in it if it is to be a
 * layer, since a layer has no mounts.  `held`: by root, or -1. */
static int open_lower(const struct plan_mount *m, int held)
{
	auto_fd int fd = -1;

	if (held >= 0)
		return fcntl(held, F_DUPFD_CLOEXEC, 3);
	fd = mount_lookup(AT_FDCWD, m->source, RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return -1;
	if (!(m->flags & PLAN_RW))
		return mount_clone(fd, "", m->flags);
	return open_tree(fd, "",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

static int open_layers(const struct build *b, const struct plan_mount *m)
{
	auto_free char *path = path_join(b->work_path, "..");
	auto_fd int held = openat(b->sources->work_fd, "..",
				  O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_fd int fd = held < 0 ? -1 : mount_reopen(path, held);

	return fd < 0 ? -1 : mount_clone(fd, "", m->flags);
}

/* Both layers in their places, and then the whole: a mount. */
static int lay(struct build *b, const struct plan_mount *m, int lower,
	       const struct layers *layers)
{
	auto_fd int fd = -1;

	if (mount_attach(b, lower, "/" LOWER) < 0)
		return -1;
	fd = newfs_overlay(LOWER, layers->upper, layers->scratch);
	if (fd < 0)
		return -1;
	if (mount_restrict(fd, m->flags, 0) < 0)
		return fail(errno, "cannot restrict %s", m->destination);
	return take_fd(&fd);
}

/* For whom no word can be sent to from here. */
static int mark(const struct layers *layers, const char *word)
{
	auto_free char *path = path_join(layers->scratch, word);
	auto_fd int fd = openat(AT_FDCWD, path,
				O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? fail(errno, "cannot note \"%s\"", word) : 0;
}

/* Slower to start, and the same otherwise. */
static int copy_instead(struct build *b, const struct plan_mount *m)
{
	auto_fd int from = -1, work = -1, tree = -1;

	from = b->sources->project.mount_fd >= 0
		   ? fcntl(b->sources->project.dir_fd, F_DUPFD_CLOEXEC, 3)
		   : open(m->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	work = mount_lookup(b->root_fd, project_layers.upper, RESOLVE_INSIDE);
	if (from < 0 || work < 0)
		return fail(errno, "cannot copy the project %s", m->source);
	if (project_copy(b->plan, from, work, false) < 0 ||
	    mark(&project_layers, "copied") < 0)
		return -1;
	tree = mount_clone(work, "", m->flags);
	if (tree < 0)
		return fail(errno, "cannot show the workdir");
	return mount_attach(b, tree, m->destination);
}

static int lay_or_copy(struct build *b, const struct plan_mount *m)
{
	auto_fd int lower = open_lower(m, b->sources->project.mount_fd);
	auto_fd int whole = lower < 0 ? -1 : lay(b, m, lower, &project_layers);

	if (whole >= 0 && mount_attach(b, whole, m->destination) == 0)
		return 0;
	err_reset();
	return copy_instead(b, m);
}

static int show_read_only(struct build *b, const struct plan_mount *m, int held)
{
	auto_fd int tree = open_lower(m, held);

	if (tree < 0 || mount_restrict(tree, m->flags, AT_RECURSIVE) < 0)
		return fail(errno, "cannot show %s", m->source);
	return mount_attach(b, tree, m->destination);
}

/* Their folder, for as long as they are named. */
static int attach_layers(struct build *b, const struct plan_mount *m,
			 int source)
{
	auto_fd int fd = source >= 0 ? fcntl(source, F_DUPFD_CLOEXEC, 3)
				     : open_layers(b, m);

	if (fd < 0 || mount_attach(b, fd, "/" LAYERS) < 0)
		return -1;
	/* For the names of the layers, and so that they cannot be mistaken. */
	if (fchdir(b->root_fd) < 0)
		return fail(errno, "cannot enter the new root");
	return 0;
}

static int detach_layers(const struct build *b)
{
	(void)umount2(LOWER, MNT_DETACH);
	if (umount2(LAYERS, MNT_DETACH) < 0 ||
	    unlinkat(b->root_fd, LAYERS, AT_REMOVEDIR) < 0 ||
	    (unlinkat(b->root_fd, LOWER, AT_REMOVEDIR) < 0 && errno != ENOENT))
		return fail(errno, "cannot take the layers away");
	return 0;
}

int mount_project(struct build *b, const struct plan_mount *m, int source)
{
	const struct project_tree *project = &b->sources->project;

	if (project->copied)
		return mount_attach(b, source, m->destination);
	if (!(m->flags & PLAN_RW))
		return show_read_only(b, m, project->mount_fd);
	if (attach_layers(b, m, source) < 0 || lay_or_copy(b, m) < 0)
		return -1;
	return detach_layers(b);
}

/* --- its git directory, where that is elsewhere -------------------------- */

/* Into the upper layer: git may change the file, which a mount on it would
 * forbid. */
static int add_config(int git_fd, const char *text)
{
	/* The second is there, and then counts more, with worktreeConfig. */
	static const char *const names[] = { "config", "config.worktree" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		auto_fd int fd = openat(git_fd, names[i],
					O_WRONLY | O_APPEND | O_NOFOLLOW |
					    O_NONBLOCK | O_CLOEXEC);

		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 || write_all(fd, text, strlen(text)) < 0)
			return fail(errno, "cannot write git's %s", names[i]);
	}
	return 0;
}

static int lay_or_fix(struct build *b, const struct plan_mount *m)
{
	auto_fd int lower = open_lower(m, b->sources->project.git_fd);
	auto_fd int whole = -1, fixed = -1;

	if (lower < 0)
		return fail(errno, "cannot show %s", m->source);
	whole = lay(b, m, lower, &git_layers);
	if (whole >= 0 && (!m->text || add_config(whole, m->text) == 0) &&
	    mount_attach(b, whole, m->destination) == 0)
		return 0;
	err_reset();
	/* It is at LOWER, where it was to be a layer. */
	fixed = mount_clone(lower, "", m->flags & ~(unsigned int)PLAN_RW);
	if (fixed < 0)
		return fail(errno, "cannot show %s", m->source);
	return mark(&git_layers, "fixed") < 0
		   ? -1
		   : mount_attach(b, fixed, m->destination);
}

int mount_git(struct build *b, const struct plan_mount *m, int source)
{
	if (!(m->flags & PLAN_RW))
		return show_read_only(b, m, b->sources->project.git_fd);
	if (attach_layers(b, m, source) < 0 || lay_or_fix(b, m) < 0)
		return -1;
	return detach_layers(b);
}

/* --- the way to what is hidden in place ----------------------------------- */

/* The kernel renames no mount point, and nothing from one mount to another. */
int mount_hold(struct build *b, const struct plan_mount *m, int source)
{
	auto_fd int at = -1, tree = -1;

	(void)source;
	if (layer_is_off("holds"))
		return 0;
	at = mount_lookup(b->root_fd, m->destination, RESOLVE_INSIDE);
	tree = at < 0 ? -1 : mount_clone(at, "", m->flags);
	if (tree < 0)
		return fail(errno, "cannot hold %s", m->destination);
	return mount_attach(b, tree, m->destination);
}

/* --- a file of it that has to say something else ------------------------- */

/* Made in the root, and laid over the one that is there. */
int mount_lay_file(struct build *b, const struct plan_mount *m)
{
	auto_fd int fd = openat(b->root_fd, FILE_NAME,
				O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	auto_fd int tree = -1;

	if (fd < 0 || write_all(fd, m->text, strlen(m->text)) < 0)
		return fail(errno, "cannot write what %s is to be",
			    m->destination);
	tree = mount_clone(fd, "", PLAN_NOEXEC);
	if (tree < 0)
		return fail(errno, "cannot show what %s is to be",
			    m->destination);
	if (mount_attach(b, tree, m->destination) < 0)
		return -1;
	/* Now: what has no name any more cannot be mounted. */
	if (unlinkat(b->root_fd, FILE_NAME, 0) < 0)
		return fail(errno, "cannot take a name away");
	return 0;
}
