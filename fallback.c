/* SPDX-License-Identifier: MIT */
#include "fallback.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "err.h"
#include "members.h"
#include "mount_build.h"
#include "seccomp.h"
#include "util.h"

/*** Cores ***/

int fallback_pin(pid_t pid, double cores)
{
	cpu_set_t have, use;
	int want = (int)cores + (cores > (int)cores), n = 0, skip;

	if (sched_getaffinity(pid, sizeof(have), &have) < 0)
		return fail(errno, "cannot read the processors of PID 1");
	if (want < 1)
		want = 1;
	if (want >= CPU_COUNT(&have))
		return 0;
	/* Not all runs on the first ones. */
	skip = (int)(pid % (CPU_COUNT(&have) - want + 1));
	CPU_ZERO(&use);
	for (int cpu = 0; cpu < CPU_SETSIZE && n < want; cpu++)
		if (CPU_ISSET(cpu, &have) && skip-- <= 0) {
			CPU_SET(cpu, &use);
			n++;
		}
	if (sched_setaffinity(pid, sizeof(use), &use) < 0)
		return fail(errno, "cannot bind PID 1 to %d processors", want);
	return want;
}

/* Other ABIs go by: the filter that comes next kills them. */
static const struct sock_filter pinned[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setaffinity, 0, 1),
	/* Success: programs that do so do not expect less. */
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

int fallback_keep_pinned(void)
{
	const struct seccomp_filter filter = { pinned, ARRAY_SIZE(pinned) };

	return seccomp_apply(&filter, NULL, NULL);
}

/*** What is used ***/

static uint64_t kib_after(const char *text, const char *key)
{
	const char *line = text ? strstr(text, key) : NULL;

	return line ? strtoull(line + strlen(key), NULL, 10) * 1024 : 0;
}

/* *mapped: what of it is in files that are memory. */
static uint64_t pss_of(pid_t pid, uint64_t *mapped)
{
	auto_free char *path = xasprintf("/proc/%d/smaps_rollup", pid);
	auto_free char *text = read_file(AT_FDCWD, path, 4096, NULL);

	*mapped = kib_after(text, "\nPss_Shmem:");
	return kib_after(text, "\nPss:");
}

/* Open to all, even of a process that made itself undumpable. */
static uint64_t rss_of(pid_t pid)
{
	auto_free char *path = xasprintf("/proc/%d/statm", pid);
	auto_free char *text = read_file(AT_FDCWD, path, 4096, NULL);
	const char *second = text ? strchr(text, ' ') : NULL;

	return second ? strtoull(second, NULL, 10) *
			    (uint64_t)sysconf(_SC_PAGESIZE)
		      : 0;
}

/* Its own, and of those that it has waited for. */
static uint64_t cpu_ms_of(pid_t pid)
{
	auto_free char *path = xasprintf("/proc/%d/stat", pid);
	auto_free char *text = read_file(AT_FDCWD, path, 4096, NULL);
	/* Its name, in parentheses, may hold anything. */
	const char *rest = text ? strrchr(text, ')') : NULL;
	unsigned long long t[4];

	if (rest == NULL || sscanf(rest + 1,
				   " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s "
				   "%*s %llu %llu %llu %llu",
				   &t[0], &t[1], &t[2], &t[3]) != 4)
		return 0;
	return (t[0] + t[1] + t[2] + t[3]) * 1000 /
	       (uint64_t)sysconf(_SC_CLK_TCK);
}

/* The sandbox's root, as some process in it sees it; PID 1 itself does not let
 * itself be looked at. */
static int open_root(const struct members *m)
{
	for (size_t i = 0; i < m->n; i++) {
		auto_free char *path = xasprintf("/proc/%d/root", m->pids[i]);
		int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0)
			return fd;
	}
	return -1;
}

/* What the sandbox's file systems in memory hold, mapped or not. */
static uint64_t files_of(const struct members *m, const struct plan *plan)
{
	auto_fd int root = open_root(m);
	uint64_t sum = 0;

	for (size_t i = 0; root >= 0 && i < plan->n_mounts; i++) {
		const struct plan_mount *mount = &plan->mounts[i];
		auto_fd int fd = -1;
		struct statfs fs;

		if (!(mount->flags & PLAN_RW) ||
		    (mount->kind != PLAN_TMPFS &&
		     !(mount->kind == PLAN_WORKDIR && plan->disk)))
			continue;
		fd = mount_lookup(root, mount->destination, RESOLVE_INSIDE);
		if (fd >= 0 && fstatfs(fd, &fs) == 0 &&
		    fs.f_type == TMPFS_MAGIC)
			sum += (uint64_t)(fs.f_blocks - fs.f_bfree) *
			       (uint64_t)fs.f_bsize;
	}
	return sum;
}

void fallback_fill(pid_t pid, const struct plan *plan, struct cgroup_now *now)
{
	const struct cgroup_now known = *now;
	uint64_t all_mapped = 0, files, mapped = 0;
	struct members *m;

	if (known.memory && known.cpu_ms && known.pids)
		return;
	m = members_of(pid);
	if (!known.pids)
		now->pids = m->threads;
	for (size_t i = 0; i < m->n; i++) {
		uint64_t pss = known.memory ? 0 : pss_of(m->pids[i], &mapped);

		if (!known.memory)
			now->memory += pss ? pss : rss_of(m->pids[i]);
		all_mapped += mapped;
		if (!known.cpu_ms)
			now->cpu_ms += cpu_ms_of(m->pids[i]);
	}
	/* What is mapped of them was counted. */
	files = known.memory ? 0 : files_of(m, plan);
	now->memory += files > all_mapped ? files - all_mapped : 0;
	free(m);
}
