/* SPDX-License-Identifier: MIT */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "err.h"

/*
 * Theory of operation
 *
 * The new root is a tmpfs that is mounted over "/" of the child's own mount
 * namespace: an absolute path still starts from the old root below it, so that
 * sources resolve as on the host, while root_fd reaches the new tree.  When all
 * is in place, pivot_root(".", ".") swaps the two and the old one is detached.
 *
 * Should: address each destination by a descriptor that openat2 resolved below
 *	root_fd without a single link; create mount points on our own tmpfs only.
 * Mustn't: create anything in a tree that we did not make; pass a path with a
 *	component that somebody else can change to mount calls.
 */

/* Our own file systems: the only ones where a mount point may be created. */
#define OWN_MAX 32

struct build {
	const struct plan *plan;
	const struct mount_sources *sources;
	int root_fd;
	int work_fd;
	int mask_file_fd;
	int mask_dir_fd;
	dev_t own[OWN_MAX];
	size_t n_own;
};

#define RESOLVE_INSIDE (RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)

static int open_resolved(int dirfd, const char *path, uint64_t resolve)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
				.resolve = resolve };

	return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

/* Restricts a mount (and all below it) that is not in the tree yet. */
static int set_attributes(int fd, unsigned int flags, unsigned int at_flags)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID |
			    (flags & PLAN_RW ? 0 : MOUNT_ATTR_RDONLY) |
			    (flags & PLAN_DEVICE ? 0 : MOUNT_ATTR_NODEV) |
			    (flags & (PLAN_NOEXEC | PLAN_DEVICE)
				 ? MOUNT_ATTR_NOEXEC
				 : 0),
		.propagation = MS_PRIVATE,
	};

	return mount_setattr(fd, "", AT_EMPTY_PATH | at_flags, &attr,
			     sizeof(attr));
}

/* A detached, restricted copy of what `fd` names, with all below it. */
static int clone_tree(int fd, unsigned int flags)
{
	auto_fd int tree = open_tree(fd, "",
				     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
					 AT_EMPTY_PATH | AT_RECURSIVE);

	if (tree < 0 || set_attributes(tree, flags, AT_RECURSIVE) < 0)
		return -1;
	return take_fd(&tree);
}

/* Opens and clones a bind's source; -1 with errno. */
static int open_source(const struct plan_mount *m)
{
	/* Follows the links of the user's own path, but no /proc magic. */
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				.resolve = RESOLVE_NO_MAGICLINKS };
	auto_fd int fd = (int)syscall(SYS_openat2, AT_FDCWD, m->source, &how,
				      sizeof(how));

	return fd < 0 ? -1 : clone_tree(fd, m->flags);
}

static int fail_source(const struct plan_mount *m, int err)
{
	fail(err, "cannot show %s at %s", m->source, m->destination);
	if (err == EACCES)
		return fail_remedy("%s must be readable for the user that runs "
				   "m9m-sandbox",
				   m->source);
	return -1;
}

int mount_open_sources(struct mount_sources *sources, const struct plan *plan,
		       int work_fd)
{
	sources->n = plan->n_mounts;
	sources->fds = xcalloc(plan->n_mounts, sizeof(*sources->fds));
	for (size_t i = 0; i < plan->n_mounts; i++)
		sources->fds[i] = -1;
	if (geteuid() != 0)
		return 0;
	for (size_t i = 0; i < plan->n_mounts; i++) {
		const struct plan_mount *m = &plan->mounts[i];
		int *fd = &sources->fds[i];

		if (m->kind == PLAN_WORKDIR) {
			*fd = clone_tree(work_fd, m->flags);
			if (*fd < 0)
				return fail(errno, "cannot show the workdir");
		} else if (m->kind == PLAN_BIND) {
			*fd = open_source(m);
			if (*fd < 0 && !(m->flags & PLAN_OPTIONAL))
				return fail_source(m, errno);
		}
	}
	return 0;
}

void mount_close_sources(struct mount_sources *sources)
{
	for (size_t i = 0; i < sources->n; i++)
		cleanup_fd(&sources->fds[i]);
	free(sources->fds);
	*sources = (struct mount_sources){ 0 };
}

static int add_own(struct build *b, int fd)
{
	struct stat st;

	if (b->n_own == OWN_MAX)
		return fail(0, "too many tmpfs mounts (%d at most)", OWN_MAX);
	if (fstat(fd, &st) < 0)
		return fail(errno, "cannot look at a new tmpfs");
	b->own[b->n_own++] = st.st_dev;
	return 0;
}

static bool is_own(const struct build *b, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	for (size_t i = 0; i < b->n_own; i++)
		if (b->own[i] == st.st_dev)
			return true;
	return false;
}

/* Opens the folder that `path` is in, making what is missing of it. */
static int open_parent(struct build *b, const char *path)
{
	auto_free char *prefix = xstrdup(path);
	auto_fd int dir = fcntl(b->root_fd, F_DUPFD_CLOEXEC, 3);
	char *slash = prefix;

	if (dir < 0)
		return fail(errno, "cannot open the new root");
	while ((slash = strchr(slash + 1, '/')) != NULL) {
		int next;

		*slash = '\0';
		next = open_resolved(b->root_fd, prefix, RESOLVE_INSIDE);
		if (next < 0 && errno == ENOENT && is_own(b, dir) &&
		    mkdirat(dir, strrchr(prefix, '/') + 1, 0755) == 0)
			next = open_resolved(b->root_fd, prefix,
					     RESOLVE_INSIDE);
		if (next < 0) {
			fail(errno, "cannot make %s for %s", prefix, path);
			return fail_remedy("a mount point in a tree that is "
					   "shown from the host must exist "
					   "there, without links on the way");
		}
		close(dir);
		dir = next;
		*slash = '/';
	}
	return take_fd(&dir);
}

static const char *last_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* Opens a mount point; makes it, if it may, as the source is (dir or file). */
static int open_destination(struct build *b, const char *path, bool directory)
{
	int fd = open_resolved(b->root_fd, path, RESOLVE_INSIDE);
	auto_fd int parent = -1;
	const char *name = last_name(path);
	int made;

	if (fd >= 0 || errno != ENOENT)
		return fd >= 0 ? fd : fail(errno, "cannot open %s", path);
	parent = open_parent(b, path);
	if (parent < 0)
		return -1;
	if (!is_own(b, parent)) {
		fail(ENOENT, "cannot mount on %s", path);
		return fail_remedy("it would have to be created in the host's "
				   "tree; create it there, or choose another "
				   "destination");
	}
	made = directory ? mkdirat(parent, name, 0755)
			 : mknodat(parent, name, S_IFREG | 0644, 0);
	if (made < 0)
		return fail(errno, "cannot make %s", path);
	fd = open_resolved(parent, name, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	return fd >= 0 ? fd : fail(errno, "cannot open %s", path);
}

static int attach(struct build *b, int tree, const char *path)
{
	struct stat st;
	auto_fd int at = -1;

	if (fstat(tree, &st) < 0)
		return fail(errno, "cannot look at the source of %s", path);
	at = open_destination(b, path, S_ISDIR(st.st_mode));
	if (at < 0)
		return -1;
	if (move_mount(tree, "", at, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return fail(errno, "cannot mount on %s", path);
	return 0;
}

/* A new file system that is not in the tree yet; -1 by fail(). */
static int new_fs(const char *type, const char *const options[][2],
		  size_t n_options)
{
	auto_fd int fs = fsopen(type, FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0)
		return fail(errno, "cannot open file system type %s", type);
	for (size_t i = 0; i < n_options; i++)
		if (fsconfig(fs, FSCONFIG_SET_STRING, options[i][0],
			     options[i][1], 0) < 0)
			return fail(errno, "cannot set %s=%s of a new %s",
				    options[i][0], options[i][1], type);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail(errno, "cannot make a new %s", type);
	fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	return fd >= 0 ? fd : fail(errno, "cannot mount a new %s", type);
}

static int new_tmpfs(uint64_t bytes, mode_t mode)
{
	auto_free char *size = xasprintf("%llu", (unsigned long long)bytes);
	/* One file per 4 KiB, so that empty files cannot eat kernel memory. */
	auto_free char *inodes = xasprintf(
	    "%llu", (unsigned long long)bytes / 4096 + 64);
	auto_free char *octal = xasprintf("%o", mode);
	const char *const options[][2] = { { "size", size },
					   { "nr_inodes", inodes },
					   { "mode", octal } };

	return new_fs("tmpfs", options, ARRAY_SIZE(options));
}

static int make_dir(struct build *b, const struct plan_mount *m, int source)
{
	auto_fd int fd = open_destination(b, m->destination, true);

	(void)source;
	return fd < 0 ? -1 : 0;
}

static int make_file(struct build *b, const struct plan_mount *m, int source)
{
	auto_fd int parent = open_parent(b, m->destination);
	auto_fd int fd = -1;

	(void)source;
	if (parent < 0)
		return -1;
	fd = openat(parent, last_name(m->destination),
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	if (fd < 0 || write_all(fd, m->text, strlen(m->text)) < 0)
		return fail(errno, "cannot write %s", m->destination);
	return 0;
}

static int make_symlink(struct build *b, const struct plan_mount *m, int source)
{
	auto_fd int parent = open_parent(b, m->destination);

	(void)source;
	if (parent < 0)
		return -1;
	if (symlinkat(m->source, parent, last_name(m->destination)) < 0 &&
	    errno != EEXIST)
		return fail(errno, "cannot make the link %s", m->destination);
	return 0;
}

static int make_bind(struct build *b, const struct plan_mount *m, int source)
{
	auto_fd int own = source < 0 ? open_source(m) : -1;

	if (source < 0 && own < 0 && m->flags & PLAN_OPTIONAL)
		return 0;
	if (source < 0 && own < 0)
		return fail_source(m, errno);
	return attach(b, source < 0 ? own : source, m->destination);
}

static int make_workdir(struct build *b, const struct plan_mount *m, int source)
{
	auto_free char *path = xasprintf("%s/%s/work", b->plan->runs_dir,
					 b->plan->run_id);
	auto_fd int fd = -1, tree = -1;
	struct stat held, found;

	if (source >= 0)
		return attach(b, source, m->destination);
	/* The held descriptor is of the parent's mounts: open it again here,
	 * and see that it is the same directory. */
	fd = open_resolved(AT_FDCWD, path, RESOLVE_NO_MAGICLINKS);
	if (fd < 0 || fstat(fd, &found) < 0 || fstat(b->work_fd, &held) < 0)
		return fail(errno, "cannot open the workdir %s", path);
	if (found.st_dev != held.st_dev || found.st_ino != held.st_ino)
		return fail(0, "the workdir %s was replaced", path);
	tree = clone_tree(fd, m->flags);
	if (tree < 0)
		return fail(errno, "cannot show the workdir %s", path);
	return attach(b, tree, m->destination);
}

static int make_tmpfs(struct build *b, const struct plan_mount *m, int source)
{
	auto_fd int fd = new_tmpfs(m->size, m->mode);

	(void)source;
	if (fd < 0 || add_own(b, fd) < 0)
		return -1;
	/* Read-only, if so planned, comes later: there is more to make on it. */
	if (set_attributes(fd, m->flags | PLAN_RW, 0) < 0)
		return fail(errno, "cannot restrict %s", m->destination);
	return attach(b, fd, m->destination);
}

static int make_proc(struct build *b, const struct plan_mount *m, int source)
{
	auto_fd int fd = new_fs("proc", NULL, 0);

	(void)source;
	if (fd < 0) {
		if (errno == EPERM)
			fail_remedy("the host's /proc has masks over it, as in "
				    "a container: start that with "
				    "--security-opt systempaths=unconfined "
				    "(Docker) or unmask=ALL (Podman)");
		return -1;
	}
	if (set_attributes(fd, PLAN_RW | PLAN_NOEXEC, 0) < 0)
		return fail(errno, "cannot restrict /proc");
	return attach(b, fd, m->destination);
}

static int make_devpts(struct build *b, const struct plan_mount *m, int source)
{
	static const char *const options[][2] = { { "ptmxmode", "0666" },
						  { "mode", "0620" } };
	auto_fd int fd = new_fs("devpts", options, ARRAY_SIZE(options));
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID |
					       MOUNT_ATTR_NOEXEC,
				   .attr_clr = MOUNT_ATTR_NODEV };

	(void)source;
	if (fd < 0)
		return -1;
	/* The one file system whose own device nodes must work. */
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return fail(errno, "cannot restrict %s", m->destination);
	return attach(b, fd, m->destination);
}

static int make_read_only(struct build *b, const struct plan_mount *m,
			  int source)
{
	auto_fd int at = open_resolved(b->root_fd, m->destination,
				       RESOLVE_INSIDE);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	auto_fd int tree = -1;
	struct statx sx;

	(void)source;
	if (at < 0 && errno == ENOENT)
		return 0;
	if (at < 0 || statx(at, "", AT_EMPTY_PATH, 0, &sx) < 0)
		return fail(errno, "cannot open %s", m->destination);
	if (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) {
		if (mount_setattr(at, "", AT_EMPTY_PATH, &attr, sizeof(attr)) <
		    0)
			return fail(errno, "cannot make %s read-only",
				    m->destination);
		return 0;
	}
	tree = clone_tree(at, PLAN_NOEXEC);
	if (tree < 0)
		return fail(errno, "cannot copy %s", m->destination);
	return attach(b, tree, m->destination);
}

static int make_mask(struct build *b, const struct plan_mount *m, int source)
{
	auto_fd int at = open_resolved(b->root_fd, m->destination,
				       RESOLVE_INSIDE);
	auto_fd int tree = -1;
	struct stat st;

	(void)source;
	if (at < 0 && errno == ENOENT)
		return 0;
	if (at < 0 || fstat(at, &st) < 0)
		return fail(errno, "cannot open %s", m->destination);
	tree = clone_tree(S_ISDIR(st.st_mode) ? b->mask_dir_fd
					      : b->mask_file_fd,
			  PLAN_NOEXEC);
	if (tree < 0)
		return fail(errno, "cannot make a mask");
	if (move_mount(tree, "", at, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return fail(errno, "cannot mask %s", m->destination);
	return 0;
}

static int (*const makers[])(struct build *, const struct plan_mount *,
			     int source) = {
	[PLAN_DIR] = make_dir,
	[PLAN_FILE] = make_file,
	[PLAN_SYMLINK] = make_symlink,
	[PLAN_BIND] = make_bind,
	[PLAN_WORKDIR] = make_workdir,
	[PLAN_TMPFS] = make_tmpfs,
	[PLAN_PROC] = make_proc,
	[PLAN_DEVPTS] = make_devpts,
	[PLAN_READ_ONLY] = make_read_only,
	[PLAN_MASK] = make_mask,
};
_Static_assert(ARRAY_SIZE(makers) == PLAN_MASK + 1, "a kind has no maker");

/*
 * What masks show: an empty file and an empty directory, ours, named only until
 * the tree is complete.
 */
static int make_masks(struct build *b)
{
	if (mkdirat(b->root_fd, ".mask-dir", 0555) < 0 ||
	    mknodat(b->root_fd, ".mask-file", S_IFREG | 0444, 0) < 0)
		return fail(errno, "cannot make the masks");
	b->mask_dir_fd = open_resolved(b->root_fd, ".mask-dir", RESOLVE_INSIDE);
	b->mask_file_fd = open_resolved(b->root_fd, ".mask-file",
					RESOLVE_INSIDE);
	if (b->mask_dir_fd < 0 || b->mask_file_fd < 0)
		return fail(errno, "cannot open the masks");
	return 0;
}

static int new_root(struct build *b)
{
	/* Nothing of ours may travel back to the host. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail(errno, "cannot make the mounts private");
	b->root_fd = new_tmpfs(1 << 20, 0755);
	if (b->root_fd < 0 || add_own(b, b->root_fd) < 0)
		return -1;
	if (move_mount(b->root_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) <
	    0)
		return fail(errno, "cannot mount the new root");
	return make_masks(b);
}

static int enter_root(struct build *b)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY |
					       MOUNT_ATTR_NOEXEC };

	if (unlinkat(b->root_fd, ".mask-dir", AT_REMOVEDIR) < 0 ||
	    unlinkat(b->root_fd, ".mask-file", 0) < 0)
		return fail(errno, "cannot remove the names of the masks");
	if (fchdir(b->root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return fail(errno, "cannot pivot into the new root");
	/* The old root now lies over the new one, at the same place. */
	if (umount2(".", MNT_DETACH) < 0)
		return fail(errno, "cannot detach the old root");
	if (mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0)
		return fail(errno, "cannot make the root read-only");
	if (chdir("/") < 0)
		return fail(errno, "cannot enter the new root");
	return 0;
}

static int build_tree(struct build *b)
{
	if (new_root(b) < 0)
		return -1;
	for (size_t i = 0; i < b->plan->n_mounts; i++) {
		const struct plan_mount *m = &b->plan->mounts[i];

		if (makers[m->kind](b, m, b->sources->fds[i]) < 0)
			return -1;
	}
	return enter_root(b);
}

int mount_build(const struct plan *plan, const struct mount_sources *sources,
		int work_fd)
{
	struct build b = { .plan = plan,
			   .sources = sources,
			   .root_fd = -1,
			   .work_fd = work_fd,
			   .mask_file_fd = -1,
			   .mask_dir_fd = -1 };
	int rc = build_tree(&b);

	cleanup_fd(&b.mask_file_fd);
	cleanup_fd(&b.mask_dir_fd);
	cleanup_fd(&b.root_fd);
	return rc;
}
