/* SPDX-License-Identifier: MIT */
#pragma once

/* The new root while it is being built.  Private to mount*.c. */

#include "mount.h"
#include "quotas.h"

/* Our own file systems: the only ones where a mount point may be created. */
#define OWN_MAX 32

/* An empty file and an empty directory of our own, to lay over things. */
enum { MASK_FILE, MASK_DIR, MASKS };

struct build {
	const struct plan *plan;
	const struct mount_sources *sources;
	int root_fd;
	char *work_path; /* where the supervisor has it, unless it is a disk */
	int user_fd;     /* /proc/sys/user, writable */
	struct quotas quotas;
	int masks[MASKS];
	dev_t own[OWN_MAX];
	size_t n_own;
	char *parent; /* the folder that was needed last */
	int parent_fd;
	bool parent_own;
};

#define RESOLVE_INSIDE (RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)

/* O_PATH, by openat2 with these RESOLVE_* flags; -1 with errno. */
int mount_lookup(int dirfd, const char *path, uint64_t resolve);
/* Restricts a mount (and all below it) that is not in the tree yet. */
int mount_restrict(int fd, unsigned int flags, unsigned int at_flags);
/* A detached, restricted copy of what `name` is in `dirfd` ("": of what dirfd
 * is), with all below it; -1 with errno. */
int mount_clone(int dirfd, const char *name, unsigned int flags);
/* Mounts `tree` on `path`, making the mount point if the folder is ours. */
int mount_attach(struct build *b, int tree, const char *path);
/* `path`, which must be what the parent holds; by fail(). */
int mount_reopen(const char *path, int held_fd);

/* Make PLAN_PROJECT and PLAN_GIT (mount_project.c). */
int mount_project(struct build *b, const struct plan_mount *m, int source);
int mount_git(struct build *b, const struct plan_mount *m, int source);
/* Makes PLAN_HOLD. */
int mount_hold(struct build *b, const struct plan_mount *m, int source);
/* Makes PLAN_FILE where a tree that is not ours has one. */
int mount_lay_file(struct build *b, const struct plan_mount *m);
