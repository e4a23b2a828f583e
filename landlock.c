/* SPDX-License-Identifier: MIT */
#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "err.h"
#include "ruleset.h"

/*
 * Theory of operation
 *
 * Reading is granted everywhere: what is not to be read is not in the tree.
 * Writing is granted where the plan has a writable mount.  With a list of
 * allowed commands executing is handled too, and granted to these files, their
 * interpreters and loaders only.  Rules are about inodes: the file is the same
 * by whatever name it goes.
 *
 * It does not stand in for the mounts: mapping a file as code is not asked
 * about, and a memfd is no file to it.  It stands where a mount fails: for an
 * inherited descriptor of another mount, for a remount.
 */

#define FILE_WRITE (RULESET_WRITE_FILE | RULESET_TRUNCATE | RULESET_IOCTL_DEV)
#define WRITE                                                                  \
	(FILE_WRITE | RULESET_REMOVE_DIR | RULESET_REMOVE_FILE |               \
	 RULESET_MAKE | RULESET_REFER)

static int grant(int ruleset, const char *path, uint64_t rights)
{
	auto_fd int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return fail(errno, "cannot open %s for a Landlock rule", path);
	if (ruleset_grant(ruleset, fd, rights) < 0)
		return fail(errno, "cannot add a Landlock rule for %s", path);
	return 0;
}

/* /proc/self/mem would be a way past every mapping's protection, /proc/self/comm
 * is a thread's name: closed when code is at stake. */
static bool is_writable(const struct plan *plan, const struct plan_mount *m)
{
	static const enum plan_mount_kind kinds[] = {
		PLAN_BIND,    PLAN_TMPFS, PLAN_WORKDIR,
		PLAN_PROJECT, PLAN_GIT,   PLAN_DEVPTS
	};

	if (m->kind == PLAN_PROC)
		return !plan->commands.listed;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (m->kind == kinds[i])
			return m->flags & PLAN_RW;
	return false;
}

/* A rule for a file can only hold what a file can have. */
static uint64_t rights_of(const struct plan_mount *m)
{
	struct stat st;

	if (m->flags & PLAN_DEVICE)
		return FILE_WRITE;
	if (m->kind == PLAN_BIND &&
	    (stat(m->destination, &st) < 0 || !S_ISDIR(st.st_mode)))
		return FILE_WRITE;
	return WRITE;
}

static int grant_writing(int ruleset, const struct plan *plan, uint64_t handled)
{
	for (size_t i = 0; i < plan->n_mounts; i++) {
		const struct plan_mount *m = &plan->mounts[i];

		if (is_writable(plan, m) &&
		    grant(ruleset, m->destination, rights_of(m) & handled) < 0)
			return -1;
	}
	return 0;
}

static int grant_executing(int ruleset, const struct plan *plan)
{
	const struct commands *commands = &plan->commands;

	for (size_t i = 0; i < commands->n; i++)
		if (grant(ruleset, commands->v[i].path, RULESET_EXECUTE) < 0)
			return -1;
	return commands->workdir_exec
		   ? grant(ruleset, plan->workdir, RULESET_EXECUTE)
		   : 0;
}

int landlock_apply(const struct plan *plan)
{
	const struct ruleset_rights known = ruleset_known(
	    plan->landlock,
	    (struct ruleset_rights){
		.fs = WRITE | (plan->commands.listed ? RULESET_EXECUTE : 0),
		.scoped = RULESET_SOCKETS | RULESET_SIGNALS,
	    });
	auto_fd int ruleset = -1;

	if (plan->landlock == 0)
		return 0;
	ruleset = ruleset_make(plan->landlock, &known);
	if (ruleset < 0)
		return fail(errno, "cannot make Landlock rules");
	if (grant_writing(ruleset, plan, known.fs) < 0 ||
	    (plan->commands.listed && grant_executing(ruleset, plan) < 0))
		return -1;
	if (ruleset_enter(ruleset) < 0)
		return fail(errno, "cannot enter the Landlock domain");
	return 0;
}
