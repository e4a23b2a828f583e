/* SPDX-License-Identifier: MIT */
#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"

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

/* The kernel's names, where the headers are older than Linux 6.12. */
#define LL_RULE_PATH_BENEATH 1

#define FS_EXECUTE     (1ULL << 0)
#define FS_WRITE_FILE  (1ULL << 1)
#define FS_REMOVE_DIR  (1ULL << 4)
#define FS_REMOVE_FILE (1ULL << 5)
#define FS_MAKE        (0x7fULL << 6) /* char, dir, reg, sock, fifo, block, sym */
#define FS_REFER       (1ULL << 13)
#define FS_TRUNCATE    (1ULL << 14)
#define FS_IOCTL_DEV   (1ULL << 15)

#define FS_FILE_WRITE (FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define FS_WRITE                                                               \
	(FS_FILE_WRITE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE | FS_REFER)

#define SCOPE_SOCKETS 1ULL
#define SCOPE_SIGNALS 2ULL

struct ll_ruleset {
	uint64_t fs, net, scoped;
};

struct ll_path {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

/* What came with which version. */
static const struct {
	int abi;
	uint64_t fs;
	uint64_t scoped;
	size_t size; /* of the structure that it knows */
} versions[] = {
	{ 6, FS_WRITE | FS_EXECUTE, SCOPE_SOCKETS | SCOPE_SIGNALS, 24 },
	{ 5, FS_WRITE | FS_EXECUTE, 0, 16 },
	{ 4, (FS_WRITE | FS_EXECUTE) & ~FS_IOCTL_DEV, 0, 16 },
	{ 3, (FS_WRITE | FS_EXECUTE) & ~FS_IOCTL_DEV, 0, 8 },
	{ 2, (FS_WRITE | FS_EXECUTE) & ~(FS_IOCTL_DEV | FS_TRUNCATE), 0, 8 },
};

static int grant(int ruleset, const char *path, uint64_t rights)
{
	auto_fd int fd = open(path, O_PATH | O_CLOEXEC);
	struct ll_path rule = { .allowed = rights, .parent_fd = fd };

	if (fd < 0)
		return fail(errno, "cannot open %s for a Landlock rule", path);
	if (syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PATH_BENEATH, &rule,
		    0) < 0)
		return fail(errno, "cannot add a Landlock rule for %s", path);
	return 0;
}

/* /proc/self/mem would be a way past every mapping's protection, /proc/self/comm
 * is a thread's name: closed when code is at stake. */
static bool is_writable(const struct plan *plan, const struct plan_mount *m)
{
	static const enum plan_mount_kind kinds[] = {
		PLAN_BIND, PLAN_TMPFS, PLAN_WORKDIR, PLAN_PROJECT, PLAN_DEVPTS
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
		return FS_FILE_WRITE;
	if (m->kind == PLAN_BIND &&
	    (stat(m->destination, &st) < 0 || !S_ISDIR(st.st_mode)))
		return FS_FILE_WRITE;
	return FS_WRITE;
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
		if (grant(ruleset, commands->v[i].path, FS_EXECUTE) < 0)
			return -1;
	return commands->workdir_exec
		   ? grant(ruleset, plan->workdir, FS_EXECUTE)
		   : 0;
}

int landlock_apply(const struct plan *plan)
{
	struct ll_ruleset rules = { 0 };
	auto_fd int ruleset = -1;
	size_t i = 0;

	if (plan->landlock == 0)
		return 0;
	while (versions[i].abi > plan->landlock)
		i++;
	rules.fs = versions[i].fs &
		   (plan->commands.listed ? ~0ULL : ~FS_EXECUTE);
	rules.scoped = versions[i].scoped;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules,
			       versions[i].size, 0);
	if (ruleset < 0)
		return fail(errno, "cannot make Landlock rules");
	if (grant_writing(ruleset, plan, rules.fs) < 0 ||
	    (plan->commands.listed && grant_executing(ruleset, plan) < 0))
		return -1;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return fail(errno, "cannot enter the Landlock domain");
	return 0;
}
