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
#include "layers.h"
#include "mount_build.h"
#include "newfs.h"
#include "workdir.h"

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

/* open_tree and mount_setattr in one; Linux 6.15 */
#ifndef SYS_open_tree_attr
#define SYS_open_tree_attr 467
#endif

/* Of a name that is another file at each look. */
#define MASK_TRIES 100

int mount_lookup(int dirfd, const char *path, uint64_t resolve)
{
	return open_resolve(dirfd, path, O_PATH | O_NOFOLLOW, resolve);
}

static unsigned int attributes(unsigned int asked)
{
	unsigned int off = layer_is_off("noexec") ? PLAN_NOEXEC : 0;
	unsigned int flags = (asked & ~off) |
			     (layer_is_off("readonly") ? PLAN_RW : 0);

	return MOUNT_ATTR_NOSUID | (flags & PLAN_RW ? 0 : MOUNT_ATTR_RDONLY) |
	       (flags & PLAN_DEVICE ? 0 : MOUNT_ATTR_NODEV) |
	       (flags & (PLAN_NOEXEC | PLAN_DEVICE) ? MOUNT_ATTR_NOEXEC : 0);
}

static struct mount_attr restricted(unsigned int flags)
{
	return (struct mount_attr){ .attr_set = attributes(flags),
				    .propagation = MS_PRIVATE };
}

/* Restricts a mount (and all below it) that is not in the tree yet. */
int mount_restrict(int fd, unsigned int flags, unsigned int at_flags)
{
	struct mount_attr attr = restricted(flags);

	return mount_setattr(fd, "", AT_EMPTY_PATH | at_flags, &attr,
			     sizeof(attr));
}

int mount_clone(int dirfd, const char *name, unsigned int flags)
{
	const unsigned int how = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
				 AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW |
				 AT_RECURSIVE;
	struct mount_attr attr = restricted(flags);
	auto_fd int tree = (int)syscall(SYS_open_tree_attr, dirfd, name, how,
					&attr, sizeof(attr));

	/* EPERM: of a filter, too, that allows mounts by the older calls' names.
	 * Where it is the kernel's, they say it again. */
	if (tree >= 0 || (errno != ENOSYS && errno != EPERM))
		return take_fd(&tree);
	tree = open_tree(dirfd, name, how);
	if (tree < 0 || mount_restrict(tree, flags, AT_RECURSIVE) < 0)
		return -1;
	return take_fd(&tree);
}

/* Opens and clones a bind's source; -1 with errno. */
static int open_source(const struct plan_mount *m)
{
	/* The plan resolved the user's links: one that is there now was put
	 * there since. */
	auto_fd int fd = mount_lookup(AT_FDCWD, m->source, RESOLVE_NO_SYMLINKS);

	return fd < 0 ? -1 : mount_clone(fd, "", m->flags);
}

static int fail_source(const struct plan_mount *m, int err)
{
	fail(err, "cannot show %s at %s", m->source, m->destination);
	if (err == EACCES)
		return fail_remedy("%s must be readable for the user that runs "
				   "m9m-sandbox",
				   m->source);
	if (err == EPERM)
		return fail_remedy("a container or policy forbids to mount: "
				   "start it with CAP_SYS_ADMIN, or run "
				   "m9m-sandbox there as an ordinary user");
	if (err == ENOSPC)
		return fail_remedy("a limit is reached: see the sysctls "
				   "user.max_mnt_namespaces and fs.mount-max");
	return -1;
}

/* The workdir; with the layers beside it, if one is laid. */
static int open_work(const struct plan_mount *m,
		     const struct mount_sources *sources)
{
	if (m->kind == PLAN_WORKDIR ||
	    (m->kind == PLAN_PROJECT && sources->project.copied))
		return mount_clone(sources->work_fd, "", m->flags);
	return mount_clone(sources->work_fd, "..", m->flags | PLAN_RW);
}

struct mount_sources mount_no_sources(const struct plan *plan)
{
	struct mount_sources sources = {
		.n_binds = plan->n_mounts,
		.binds = xcalloc(plan->n_mounts, sizeof(*sources.binds)),
		.work_fd = -1,
		.project = PROJECT_TREE_NONE,
	};

	for (size_t i = 0; i < sources.n_binds; i++)
		sources.binds[i] = -1;
	return sources;
}

int *mount_source(struct mount_sources *sources, size_t place)
{
	int *const others[] = { &sources->work_fd, &sources->project.mount_fd,
				&sources->project.dir_fd,
				&sources->project.git_fd };

	if (place < sources->n_binds)
		return &sources->binds[place];
	place -= sources->n_binds;
	return place < ARRAY_SIZE(others) ? others[place] : NULL;
}

int mount_open_binds(struct mount_sources *sources, const struct plan *plan)
{
	if (geteuid() != 0)
		return 0;
	for (size_t i = 0; i < plan->n_mounts; i++) {
		const struct plan_mount *m = &plan->mounts[i];
		int *fd = &sources->binds[i];

		if ((m->kind == PLAN_WORKDIR && plan->disk == 0) ||
		    m->kind == PLAN_PROJECT ||
		    (m->kind == PLAN_GIT && m->flags & PLAN_RW)) {
			*fd = open_work(m, sources);
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

void mount_close_binds(struct mount_sources *sources)
{
	for (size_t i = 0; i < sources->n_binds; i++)
		cleanup_fd(&sources->binds[i]);
	free(sources->binds);
	sources->binds = NULL;
	sources->n_binds = 0;
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

static const char *last_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

/*
 * The folder that `path` is in, with what is missing of it made.  The last one is
 * kept: mounts come sorted by place, and looking each up from the root costs most
 * of the set-up's time.
 */
static int hold_parent(struct build *b, const char *path)
{
	auto_free char *folder = xstrndup(path,
					  (size_t)(last_name(path) - path) - 1);
	const char *place = *folder ? folder : "/";
	int fd;

	if (b->parent_fd >= 0 && strcmp(b->parent, folder) == 0)
		return 0;
	fd = mount_lookup(b->root_fd, place, RESOLVE_INSIDE);
	if (fd < 0 && errno == ENOENT) {
		if (hold_parent(b, folder) < 0)
			return -1;
		if (b->parent_own &&
		    mkdirat(b->parent_fd, last_name(folder), 0755) == 0)
			fd = mount_lookup(b->root_fd, place, RESOLVE_INSIDE);
	}
	if (fd < 0) {
		fail(errno, "cannot make the mount point %s", place);
		return fail_remedy("in a tree that is shown from the host it "
				   "must exist there, without links on the "
				   "way");
	}
	cleanup_fd(&b->parent_fd);
	free(b->parent);
	b->parent_fd = fd;
	b->parent = take_ptr(&folder);
	b->parent_own = is_own(b, fd);
	return 0;
}

/* Something was mounted on `path`: what was held there is now below it. */
static void drop_parent(struct build *b, const char *path)
{
	if (b->parent_fd >= 0 && path_under(b->parent, path)) {
		cleanup_fd(&b->parent_fd);
		b->parent_fd = -1;
	}
}

/*
 * Mounts `tree` on `path`, making the mount point if the folder is ours.  The
 * name is one component below a held folder, and move_mount follows no link.
 */
int mount_attach(struct build *b, int tree, const char *path)
{
	const char *name = last_name(path);
	struct stat st;

	if (hold_parent(b, path) < 0)
		return -1;
	if (b->parent_own) {
		if (fstat(tree, &st) < 0)
			return fail(errno, "cannot look at what goes on %s",
				    path);
		if (S_ISDIR(st.st_mode)
			? mkdirat(b->parent_fd, name, 0755)
			: mknodat(b->parent_fd, name, S_IFREG | 0644, 0))
			if (errno != EEXIST)
				return fail(errno, "cannot make %s", path);
	}
	if (move_mount(tree, "", b->parent_fd, name, MOVE_MOUNT_F_EMPTY_PATH) <
	    0) {
		fail(errno, "cannot mount on %s", path);
		return fail_remedy("in a tree that is shown from the host it "
				   "must exist there, as the same kind (file "
				   "or folder), and be no link");
	}
	drop_parent(b, path);
	return 0;
}

static int make_dir(struct build *b, const struct plan_mount *m, int source)
{
	(void)source;
	if (hold_parent(b, m->destination) < 0)
		return -1;
	if (mkdirat(b->parent_fd, last_name(m->destination), 0755) < 0 &&
	    errno != EEXIST)
		return fail(errno, "cannot make %s", m->destination);
	return 0;
}

static int make_file(struct build *b, const struct plan_mount *m, int source)
{
	auto_fd int fd = -1;

	(void)source;
	if (hold_parent(b, m->destination) < 0)
		return -1;
	if (!b->parent_own)
		return mount_lay_file(b, m);
	fd = openat(b->parent_fd, last_name(m->destination),
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	if (fd < 0 || write_all(fd, m->text, strlen(m->text)) < 0)
		return fail(errno, "cannot write %s", m->destination);
	return 0;
}

static int make_symlink(struct build *b, const struct plan_mount *m, int source)
{
	(void)source;
	if (hold_parent(b, m->destination) < 0)
		return -1;
	if (symlinkat(m->source, b->parent_fd, last_name(m->destination)) < 0 &&
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
	return mount_attach(b, source < 0 ? own : source, m->destination);
}

/* A descriptor of the parent's is of its mounts: opened again here, and seen to
 * be the same directory. */
int mount_reopen(const char *path, int held_fd)
{
	auto_fd int fd = mount_lookup(AT_FDCWD, path, RESOLVE_NO_MAGICLINKS);
	struct stat held, found;

	if (fd < 0 || fstat(fd, &found) < 0 || fstat(held_fd, &held) < 0)
		return fail(errno, "cannot open the workdir %s", path);
	if (found.st_dev != held.st_dev || found.st_ino != held.st_ino)
		return fail(0, "the workdir %s was replaced", path);
	return take_fd(&fd);
}

static int make_workdir(struct build *b, const struct plan_mount *m, int source)
{
	int held = b->sources->work_fd;
	auto_fd int fd = -1, tree = -1;

	if (b->plan->disk && mount_restrict(held, m->flags, 0) < 0)
		return fail(errno, "cannot restrict the workdir");
	if (b->plan->disk || source >= 0)
		return mount_attach(b, source >= 0 ? source : held,
				    m->destination);
	fd = mount_reopen(b->work_path, held);
	if (fd < 0)
		return -1;
	tree = mount_clone(fd, "", m->flags);
	if (tree < 0)
		return fail(errno, "cannot show the workdir %s", b->work_path);
	return mount_attach(b, tree, m->destination);
}

static int make_tmpfs(struct build *b, const struct plan_mount *m, int source)
{
	/* Read-only, if so planned, comes later: there is more to make on it. */
	auto_fd int fd = newfs_tmpfs(m->size, m->mode,
				     attributes(m->flags | PLAN_RW));

	(void)source;
	if (fd < 0 || add_own(b, fd) < 0)
		return -1;
	return mount_attach(b, fd, m->destination);
}

static int make_proc(struct build *b, const struct plan_mount *m, int source)
{
	auto_fd int fd = newfs_proc();

	(void)source;
	if (fd < 0)
		return -1;
	/* Held from before /proc/sys becomes read-only: see enter_root. */
	b->user_fd = openat(fd, "sys/user", O_PATH | O_CLOEXEC);
	if (b->user_fd < 0)
		return fail(errno, "cannot open /proc/sys/user");
	return mount_attach(b, fd, m->destination);
}

static int make_devpts(struct build *b, const struct plan_mount *m, int source)
{
	auto_fd int fd = newfs_devpts();

	(void)source;
	return fd < 0 ? -1 : mount_attach(b, fd, m->destination);
}

static int make_read_only(struct build *b, const struct plan_mount *m,
			  int source)
{
	auto_fd int tree = -1;

	(void)source;
	if (hold_parent(b, m->destination) < 0)
		return -1;
	tree = mount_clone(b->parent_fd, last_name(m->destination),
			   PLAN_NOEXEC);
	if (tree < 0)
		return errno == ENOENT
			   ? 0
			   : fail(errno, "cannot copy %s", m->destination);
	return mount_attach(b, tree, m->destination);
}

/*
 * A living tree loses doors after the plan's look, and folders with them.  Where
 * a name on the way is missing, this path leads to nothing.  (Who moves a folder
 * while a run starts can have it see its doors: no look saw that path.)  No other
 * error will do: a link leads on, and what is closed to us may be open to the
 * payload.  Nor will a secret, which is hidden whatever happens to its folder.
 */
static bool door_is_gone(const struct plan_mount *m)
{
	if (!(m->flags & PLAN_OPTIONAL) || errno != ENOENT)
		return false;
	err_reset();
	return true;
}

/*
 * Looked for first: a clone that finds no place costs far more than a look,
 * since to close it the kernel waits for all that may still walk through it.
 * And looked for again, since the kernel says the same of a name that is gone
 * and of one that leads to another file by now, as when an editor saves.
 */
static int make_mask(struct build *b, const struct plan_mount *m, int source)
{
	const char *name = last_name(m->destination);
	auto_fd int tree = -1;
	struct stat st;

	(void)source;
	if (layer_is_off("masks"))
		return 0;
	if (hold_parent(b, m->destination) < 0)
		return door_is_gone(m) ? 0 : -1;
	for (int tries = 0; tries < MASK_TRIES; tries++) {
		if (fstatat(b->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT
				   ? 0
				   : fail(errno, "cannot look at %s",
					  m->destination);
		if (tree < 0)
			tree = mount_clone(
			    b->masks[S_ISDIR(m->mode) ? MASK_DIR : MASK_FILE],
			    "", PLAN_NOEXEC);
		if (tree < 0)
			return fail(errno, "cannot make a mask");
		if (move_mount(tree, "", b->parent_fd, name,
			       MOVE_MOUNT_F_EMPTY_PATH) == 0)
			return 0;
		if (errno != ENOENT)
			break;
	}
	return fail(errno, "cannot mask %s", m->destination);
}

/* A mount of our own, complete by now; what is mounted on it stays as it is. */
static int make_seal(struct build *b, const struct plan_mount *m, int source)
{
	auto_fd int at = mount_lookup(b->root_fd, m->destination,
				      RESOLVE_INSIDE);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	(void)source;
	if (at < 0 ||
	    mount_setattr(at, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return fail(errno, "cannot make %s read-only", m->destination);
	return 0;
}

static int (*const makers[])(struct build *, const struct plan_mount *,
			     int source) = {
	[PLAN_DIR] = make_dir,         [PLAN_FILE] = make_file,
	[PLAN_SYMLINK] = make_symlink, [PLAN_BIND] = make_bind,
	[PLAN_WORKDIR] = make_workdir, [PLAN_PROJECT] = mount_project,
	[PLAN_TMPFS] = make_tmpfs,     [PLAN_PROC] = make_proc,
	[PLAN_DEVPTS] = make_devpts,   [PLAN_READ_ONLY] = make_read_only,
	[PLAN_GIT] = mount_git,        [PLAN_MASK] = make_mask,
	[PLAN_HOLD] = mount_hold,      [PLAN_SEAL] = make_seal,
};
_Static_assert(ARRAY_SIZE(makers) == PLAN_SEAL + 1, "a kind has no maker");

/* Their names are gone again when the tree is complete. */
static int make_masks(struct build *b)
{
	if (mkdirat(b->root_fd, ".mask-dir", 0555) < 0 ||
	    mknodat(b->root_fd, ".mask-file", S_IFREG | 0444, 0) < 0)
		return fail(errno, "cannot make the masks");
	b->masks[MASK_DIR] = mount_lookup(b->root_fd, ".mask-dir",
					  RESOLVE_INSIDE);
	b->masks[MASK_FILE] = mount_lookup(b->root_fd, ".mask-file",
					   RESOLVE_INSIDE);
	if (b->masks[MASK_DIR] < 0 || b->masks[MASK_FILE] < 0)
		return fail(errno, "cannot open the masks");
	return 0;
}

static int new_root(struct build *b)
{
	/* Nothing of ours may travel back to the host. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail(errno, "cannot make the mounts private");
	b->root_fd = newfs_tmpfs(1 << 20, 0755, 0);
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
	/* Last: a mount that is not in the tree yet counts as a namespace. */
	return quotas_lower(b->user_fd, &b->quotas);
}

static int build_tree(struct build *b)
{
	/* With flag F a handler is an open file of the host's: it would be
	 * executed past every mount, and past Landlock. */
	if (b->plan->commands.listed)
		newfs_hide_handlers();
	if (new_root(b) < 0)
		return -1;
	for (size_t i = 0; i < b->plan->n_mounts; i++) {
		const struct plan_mount *m = &b->plan->mounts[i];

		if (makers[m->kind](b, m, b->sources->binds[i]) < 0)
			return -1;
	}
	return enter_root(b);
}

int mount_build(const struct plan *plan, const struct mount_sources *sources)
{
	struct build b = { .plan = plan,
			   .sources = sources,
			   .root_fd = -1,
			   .work_path = workdir_place(
			       plan->runs_dir, plan->run_id, sources->layered),
			   .parent_fd = -1,
			   .user_fd = -1,
			   .quotas = quotas_read(),
			   .masks = { -1, -1 } };
	int rc = build_tree(&b);

	free(b.work_path);
	free(b.parent);
	cleanup_fd(&b.parent_fd);
	cleanup_fd(&b.user_fd);
	for (size_t i = 0; i < MASKS; i++)
		cleanup_fd(&b.masks[i]);
	cleanup_fd(&b.root_fd);
	return rc;
}
