/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cause.h"
#include "handover.h"
#include "landlock.h"
#include "mount_build.h"
#include "netpol_packets.h"
#include "newfs.h"
#include "ns.h"

/*** What is tried, in the child ***/

/* That it was born and has its ids is all. */
static int try_nothing(const struct plan *plan, struct err_record *record)
{
	(void)plan;
	(void)record;
	return 0;
}

static int try_tmpfs(const struct plan *plan, struct err_record *record)
{
	auto_fd int fd = newfs_tmpfs(1 << 20, 0755, 0);

	(void)plan;
	(void)record;
	return fd < 0 ? -1 : 0;
}

static int try_proc(const struct plan *plan, struct err_record *record)
{
	auto_fd int fd = newfs_proc();

	(void)plan;
	(void)record;
	return fd < 0 ? -1 : 0;
}

static int try_devpts(const struct plan *plan, struct err_record *record)
{
	auto_fd int fd = newfs_devpts();

	(void)plan;
	(void)record;
	return fd < 0 ? -1 : 0;
}

static int try_bind(const struct plan *plan, struct err_record *record)
{
	auto_fd int from = mount_lookup(AT_FDCWD, "/usr", RESOLVE_NO_SYMLINKS);
	auto_fd int tree = from < 0 ? -1 : mount_clone(from, "", PLAN_NOEXEC);

	(void)plan;
	(void)record;
	if (tree < 0)
		return fail(errno, "cannot copy the mounts of /usr");
	if (move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail(errno, "cannot attach a mount");
	return 0;
}

static int try_overlay(const struct plan *plan, struct err_record *record)
{
	static const char *const layers[] = { "lower", "upper", "scratch" };
	auto_fd int root = newfs_tmpfs(1 << 20, 0755, 0);
	auto_fd int fd = -1;

	(void)plan;
	if (root < 0)
		return -1;
	/* A layer must be in the tree. */
	if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
	    fchdir(root) < 0)
		return fail(errno, "cannot mount the layers' tmpfs");
	for (size_t i = 0; i < ARRAY_SIZE(layers); i++)
		if (mkdir(layers[i], 0755) < 0)
			return fail(errno, "cannot make a layer");
	fd = newfs_overlay(layers[0], layers[1], layers[2]);
	if (fd < 0)
		return fail_remedy("--project copies the tree instead: load "
				   "the kernel's module overlay to spare that");
	snprintf(record->message, sizeof(record->message), "on a tmpfs");
	return 0;
}

static int try_network(const struct plan *plan, struct err_record *record)
{
	static const struct net_policy policy = { .mode = NET_RELAY };
	auto_fd int net = -1;
	int pair[2];

	(void)plan;
	/* One batch of sockets, and its answer is there before it. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
	    handover_answer(pair[1], NULL) < 0)
		return fail(errno, "cannot play the relay");
	snprintf(record->message, sizeof(record->message),
		 "lo is up, every address leads to the relay");
	return netpol_apply(&policy, pair[0], &net);
}

static int try_packets(const struct plan *plan, struct err_record *record)
{
	static const struct net_policy none;
	auto_fd int tcp = netpol_packets(&none, AF_INET, false);
	auto_fd int udp = tcp < 0 ? -1 : netpol_packets(&none, AF_INET, true);

	(void)plan;
	(void)record;
	if (udp >= 0)
		return 0;
	fail(errno, "cannot make a raw socket");
	return fail_remedy("attempts at other ports are refused all the same, "
			   "only not recorded");
}

static int load_filter(const struct plan *plan, int *listener, int *error)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(errno, "cannot set no_new_privs");
	return seccomp_apply(&plan->filter, listener, error);
}

static int try_seccomp(const struct plan *plan, struct err_record *record)
{
	(void)record;
	return load_filter(plan, NULL, NULL);
}

static int try_listener(const struct plan *plan, struct err_record *record)
{
	int listener = -1, error = 0;

	(void)record;
	if (load_filter(plan, &listener, &error) < 0)
		return -1;
	if (listener >= 0)
		return 0;
	fail(error, "cannot listen to the filter");
	return fail_remedy("calls are refused all the same, only not recorded; "
			   "one listener is all that a process can have: an "
			   "outer sandbox has it");
}

/* The rules are about places in the finished tree, which is not here. */
static int try_landlock(const struct plan *plan, struct err_record *record)
{
	struct plan bare = { .landlock = plan->landlock };

	if (plan->landlock == 0) {
		fail(0, "this kernel has no Landlock of version 2 or later");
		return fail_remedy("Linux 5.19 or later, with "
				   "CONFIG_SECURITY_LANDLOCK and landlock in "
				   "the boot parameter lsm=");
	}
	snprintf(record->message, sizeof(record->message), "version %d",
		 plan->landlock);
	return landlock_apply(&bare);
}

const struct probe probes[] = {
	{ "user namespace", true, 0, try_nothing },
	{ "pid namespace", true, CLONE_NEWPID, try_nothing },
	{ "mount namespace", true, CLONE_NEWNS, try_nothing },
	{ "network namespace", true, CLONE_NEWNET, try_nothing },
	{ "uts namespace", true, CLONE_NEWUTS, try_nothing },
	{ "ipc namespace", true, CLONE_NEWIPC, try_nothing },
	{ "cgroup namespace", true, CLONE_NEWCGROUP, try_nothing },
	{ "tmpfs", true, CLONE_NEWNS, try_tmpfs },
	{ "proc", true, CLONE_NEWNS | CLONE_NEWPID, try_proc },
	{ "devpts", true, CLONE_NEWNS, try_devpts },
	{ "bind mounts", true, CLONE_NEWNS, try_bind },
	{ "overlay", false, CLONE_NEWNS, try_overlay },
	{ "network policy", true, CLONE_NEWNET, try_network },
	{ "raw sockets", false, CLONE_NEWNET, try_packets },
	{ "seccomp", true, 0, try_seccomp },
	{ "seccomp listener", false, 0, try_listener },
	{ "landlock", true, 0, try_landlock },
};
const size_t probe_count = ARRAY_SIZE(probes);

/*** The children ***/

struct trial {
	pid_t pid;
	int pidfd;
	int fd; /* its record */
};

static int try(const struct probe *probe, const struct plan *plan, int go,
	       struct err_record *record)
{
	struct plan kinds = { .namespaces = probe->namespaces &
					    ~(uint64_t)CLONE_NEWPID };
	char byte;

	if (read(go, &byte, 1) != 1)
		return fail(0, "the doctor went away");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return fail(errno, "cannot tie our life to the doctor's");
	if (ns_take_ids(plan) < 0)
		return -1;
	/* The other two it was born in. */
	if (kinds.namespaces && ns_unshare(&kinds) < 0)
		return -1;
	return probe->run(plan, record);
}

static void try_in_child(const struct probe *probe, const struct plan *plan,
			 int go, int fd)
{
	struct err_record record = { .status = 0 };

	if (try(probe, plan, go, &record) == 0) {
		(void)write_all(fd, &record, sizeof(record));
		_exit(0);
	}
	err_send(fd);
	_exit(1);
}

static int start(struct trial *trial, const struct probe *probe,
		 const struct plan *plan)
{
	uint64_t flags = CLONE_NEWUSER | (probe->namespaces & CLONE_NEWPID);
	auto_fd int read_go = -1, write_go = -1, write_record = -1;
	int go[2], record[2];

	if (pipe2(go, O_CLOEXEC) < 0)
		return fail(errno, "cannot make a pipe");
	read_go = go[0];
	write_go = go[1];
	if (pipe2(record, O_CLOEXEC) < 0)
		return fail(errno, "cannot make a pipe");
	trial->fd = record[0];
	write_record = record[1];
	trial->pid = ns_clone(flags, &trial->pidfd, -1);
	if (trial->pid == 0) {
		/* Else it would not see our death in place of a word. */
		close(take_fd(&write_go));
		try_in_child(probe, plan, read_go, write_record);
	}
	if (trial->pid < 0 || ns_map_ids(trial->pid, plan) < 0)
		return -1;
	if (write(write_go, "", 1) != 1)
		return fail(errno, "cannot start the trial");
	return 0;
}

static void await(struct trial *trial, uint64_t deadline,
		  struct err_record *result)
{
	uint64_t now = now_ms(CLOCK_MONOTONIC);
	struct pollfd pfd = { trial->fd, POLLIN, 0 };
	int left = now < deadline ? (int)(deadline - now) : 0;

	if (poll(&pfd, 1, left) != 1)
		fail(ETIMEDOUT, "no answer in time");
	else if (!err_receive(trial->fd, result))
		fail(0, "the trial died");
	else if (result->status)
		cause_add(result);
}

static void end(struct trial *trial)
{
	if (trial->pid > 0) {
		syscall(SYS_pidfd_send_signal, trial->pidfd, SIGKILL, NULL, 0);
		while (waitpid(trial->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	cleanup_fd(&trial->pidfd);
	cleanup_fd(&trial->fd);
}

/* What failed on our side is its result. */
static void take_failure(struct err_record *result)
{
	if (err_get())
		*result = *err_get();
	err_reset();
}

void probe_all(const struct plan *plan, unsigned int ms,
	       struct err_record *results)
{
	uint64_t deadline = now_ms(CLOCK_MONOTONIC) + ms;
	struct trial *trials = xcalloc(probe_count, sizeof(*trials));

	for (size_t i = 0; i < probe_count; i++) {
		trials[i] = (struct trial){ .pid = -1, .pidfd = -1, .fd = -1 };
		results[i] = (struct err_record){ .status = 0 };
		err_stage(probes[i].layer);
		if (start(&trials[i], &probes[i], plan) < 0)
			take_failure(&results[i]);
	}
	for (size_t i = 0; i < probe_count; i++) {
		if (results[i].status == 0)
			await(&trials[i], deadline, &results[i]);
		take_failure(&results[i]);
		end(&trials[i]);
	}
	free(trials);
}
