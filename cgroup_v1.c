/* SPDX-License-Identifier: MIT */
#include "cgroup_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

/*
 * v1 has a hierarchy for each controller (or for a few together).  A directory
 * is made in each that is of use, below our own.  To make one and to remove it
 * takes 0.1 to 0.2 ms, a twentieth of a start: so it is done beside the child's
 * own set-up, and not for a limit that nobody asked for and that holds without:
 * of processes (RLIMIT_NPROC counts them in the sandbox's user namespace), of
 * as many cores as there are.
 *
 * The child writes itself into `tasks`, by descriptors that we opened for it:
 * to move another process, or a whole one through cgroup.procs, the kernel
 * waits for an RCU grace period (5 to 15 ms here, three whole starts); a thread
 * that moves itself does not.  PID 1 has no other.
 */

#define CPU_PERIOD_US 100000
#define CPU_QUOTA_MIN 1000
/* Of the memory, beside it. */
#define SOCKETS_PART  8

static const char root_remedy[] =
    "on cgroup v1 only root may limit: start it as root, or boot with "
    "systemd.unified_cgroup_hierarchy=1";
static const char container_remedy[] =
    "the container's cgroups are read-only: docker run --privileged, or -v "
    "/sys/fs/cgroup:/sys/fs/cgroup:rw (podman run likewise)";

static const struct controller {
	const char *name;
	unsigned int bit;
} controllers[] = {
	{ "memory", CGROUP_MEMORY },
	{ "pids", CGROUP_PIDS },
	{ "cpu", CGROUP_CPU },
	{ "cpuacct", CGROUP_CPUACCT },
};

/*
 * What waits in sockets is not counted as memory here, unless this says so, and
 * then apart.  The loopback alone held 1.7 GB for a payload of 64 MiB, which is
 * where all of the host's connections come under pressure (net.ipv4.tcp_mem).
 */
static int limit_sockets(int fd, uint64_t bytes)
{
	static const char file[] = "memory.kmem.tcp.limit_in_bytes";

	return cgroup_write_u64(fd, file, bytes) < 0 && errno != ENOENT ? -1
									: 0;
}

static int limit_memory(int fd, uint64_t bytes)
{
	if (limit_sockets(fd, bytes / SOCKETS_PART) < 0)
		return -1;
	/* The one without swap first: it may not exceed the other. */
	if (cgroup_write_u64(fd, "memory.limit_in_bytes", bytes) < 0)
		return -1;
	if (cgroup_write_u64(fd, "memory.memsw.limit_in_bytes", bytes) == 0)
		return 0;
	/* Booted with swapaccount=0.  With no swap there is nothing to count;
	 * with some the cap would be none. */
	if (errno == ENOENT) {
		auto_free char *swaps = read_file(AT_FDCWD, "/proc/swaps",
						  65536, NULL);
		const char *end = swaps ? strchr(swaps, '\n') : NULL;

		if (swaps == NULL || end == NULL || end[1] == '\0')
			return 0;
		errno = EOPNOTSUPP;
	}
	return -1;
}

static int limit_pids(int fd, uint64_t n)
{
	return cgroup_write_u64(fd, "pids.max", n);
}

static int limit_cpu(int fd, double cores)
{
	uint64_t quota = (uint64_t)(cores * CPU_PERIOD_US + 0.5);

	if (cgroup_write_u64(fd, "cpu.cfs_period_us", CPU_PERIOD_US) < 0)
		return -1;
	return cgroup_write_u64(fd, "cpu.cfs_quota_us",
				quota < CPU_QUOTA_MIN ? CPU_QUOTA_MIN : quota);
}

static int limit(const struct cgroup_dir *dir,
		 const struct cgroup_limits *limits,
		 struct cgroup_refusal *refusal)
{
	unsigned int todo = dir->controllers;

	if ((todo & CGROUP_MEMORY) && limits->memory &&
	    limit_memory(dir->fd, limits->memory) < 0)
		return cgroup_refuse(refusal, errno,
				     "cannot limit memory in %s", dir->path);
	if ((todo & CGROUP_PIDS) && limits->pids &&
	    limit_pids(dir->fd, limits->pids) < 0)
		return cgroup_refuse(refusal, errno,
				     "cannot limit processes in %s", dir->path);
	if ((todo & CGROUP_CPU) && limits->cpu > 0 &&
	    limit_cpu(dir->fd, limits->cpu) < 0) {
		if (errno == EINVAL)
			refusal->remedy = "a cgroup above has less: ask for no "
					  "more than that with --cpu, or raise "
					  "its cpu.cfs_quota_us";
		return cgroup_refuse(refusal, errno, "cannot limit cpu in %s",
				     dir->path);
	}
	return 0;
}

static struct cgroup_dir *dir_at(struct cgroup *cg, const char *parent,
				 const char *name)
{
	auto_free char *path = path_join(parent, name);

	for (size_t i = 0; i < cg->n_dirs; i++)
		if (strcmp(cg->dirs[i].path, path) == 0)
			return &cg->dirs[i];
	return NULL;
}

/* One controller's directory: its own, or one that it shares. */
static int add_controller(struct cgroup *cg, const struct controller *c,
			  const struct cgroup_request *request,
			  struct cgroup_refusal *refusal)
{
	struct cgroup_place place = { 0 };
	struct cgroup_dir *dir;
	int rc = 0;

	if (cgroup_find(request->map, c->name, &place) < 0) {
		char what[48];

		snprintf(what, sizeof(what), "the %s controller is ", c->name);
		return cgroup_refuse_place(refusal, what);
	}
	dir = dir_at(cg, place.own, request->name);
	if (dir) {
		dir->controllers |= c->bit;
	} else if (faccessat(AT_FDCWD, place.own, W_OK, AT_EACCESS) < 0) {
		refusal->remedy = errno == EACCES  ? root_remedy
				  : errno == EROFS ? container_remedy
						   : NULL;
		rc = cgroup_refuse(refusal, errno, "cannot write %s",
				   place.own);
	} else if (cgroup_add_dir(cg, place.own, request, c->bit) < 0) {
		rc = cgroup_refuse(refusal, errno, "cannot note %s", place.own);
	}
	cgroup_place_free(&place);
	return rc;
}

/* Would this spare limit be none? */
static bool holds_without(const struct controller *c,
			  const struct cgroup_limits *limits)
{
	return c->bit == CGROUP_PIDS ||
	       (c->bit == CGROUP_CPU &&
		limits->cpu >= (double)sysconf(_SC_NPROCESSORS_ONLN));
}

static int add_all(struct cgroup *cg, const struct cgroup_request *request,
		   struct cgroup_refusal *refusal)
{
	/* What counts cores comes with what limits them. */
	unsigned int wanted = request->wanted |
			      (request->needed & CGROUP_CPU ? CGROUP_CPUACCT
							    : 0U);

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		const struct controller *c = &controllers[i];
		bool needed = request->needed & c->bit;

		if (!(wanted & c->bit) ||
		    (!needed && holds_without(c, request->limits)))
			continue;
		if (add_controller(cg, c, request, refusal) == 0)
			continue;
		if (needed)
			return -1;
		cg->missing |= c->bit & request->wanted;
	}
	return 0;
}

int cgroup_v1_create(struct cgroup *cg, const struct cgroup_request *request,
		     struct cgroup_refusal *refusal)
{
	int rc = add_all(cg, request, refusal);

	if (rc < 0)
		cgroup_drop_dirs(cg);
	else
		cg->backend = CGROUP_V1;
	return rc;
}

int cgroup_v1_settle(struct cgroup *cg, struct cgroup_refusal *refusal)
{
	for (size_t i = 0; i < cg->n_dirs; i++) {
		struct cgroup_dir *dir = &cg->dirs[i];

		if (cgroup_make_dir(dir) < 0)
			return cgroup_refuse(refusal, errno, "cannot make %s",
					     dir->path);
		if (limit(dir, &cg->limits, refusal) < 0)
			return -1;
		dir->tasks_fd = openat(dir->fd, "tasks", O_WRONLY | O_CLOEXEC);
		if (dir->tasks_fd < 0)
			return cgroup_refuse(refusal, errno,
					     "cannot open %s/tasks", dir->path);
	}
	return 0;
}

void cgroup_v1_usage(const struct cgroup *cg, struct cgroup_usage *usage)
{
	for (size_t i = 0; i < cg->n_dirs; i++) {
		const struct cgroup_dir *dir = &cg->dirs[i];

		if (dir->controllers & CGROUP_MEMORY) {
			usage->memory_peak = cgroup_read_u64(
			    dir->fd, "memory.max_usage_in_bytes");
			usage->oom_kills = cgroup_read_key(
			    dir->fd, "memory.oom_control", "oom_kill");
		}
		if (dir->controllers & CGROUP_PIDS) {
			/* Linux 6.1+ */
			usage->pids_peak = cgroup_read_u64(dir->fd,
							   "pids.peak");
			usage->pids_hit = cgroup_read_key(dir->fd,
							  "pids.events", "max");
		}
		if (dir->controllers & CGROUP_CPUACCT) {
			usage->cpu_user_ms =
			    cgroup_read_u64(dir->fd, "cpuacct.usage_user") /
			    1000000;
			usage->cpu_sys_ms = cgroup_read_u64(
						dir->fd, "cpuacct.usage_sys") /
					    1000000;
		}
	}
}
