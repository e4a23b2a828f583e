/* SPDX-License-Identifier: MIT */
#include "workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cause.h"
#include "control.h"
#include "err.h"
#include "newfs.h"
#include "ns.h"

/*
 * Theory of operation
 *
 *	supervisor			helper, in namespaces of its own
 *	fork ------------------------->	unshare, own ids mapped to themselves
 *	mount_fd <-- control socket ---	a tmpfs, not mounted anywhere
 *	work_fd = its root
 *
 * The only cap on a tree that the kernel keeps for an ordinary user is the size
 * of a tmpfs, and only a user namespace lets an ordinary user make one.  It is
 * made before the sandbox: the inputs go in as always, and PID 1 only has to
 * attach it.  Root makes it without a helper.
 *
 * It belongs to descriptors, not to a place: work_fd keeps it when the
 * sandbox's mounts are gone, for the archive; and when all of us are dead,
 * however we died, nothing of it is left.
 */

static int map_self(void)
{
	auto_free char *uids = xasprintf("%u %u 1\n", geteuid(), geteuid());
	auto_free char *gids = xasprintf("%u %u 1\n", getegid(), getegid());
	const char *const maps[][2] = {
		{ "/proc/self/setgroups", "deny" },
		{ "/proc/self/uid_map", uids },
		{ "/proc/self/gid_map", gids },
	};

	/* Ids first: afterwards ours have no names. */
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return fail(errno, "cannot make a user namespace for the disk");
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		auto_fd int fd = open(maps[i][0], O_WRONLY | O_CLOEXEC);
		size_t len = strlen(maps[i][1]);

		if (fd < 0 || write(fd, maps[i][1], len) != (ssize_t)len)
			return fail(errno, "cannot write %s", maps[i][0]);
	}
	return 0;
}

_Noreturn static void help(int control_fd, int err_fd, uint64_t bytes)
{
	int fd = -1;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (map_self() == 0)
		fd = newfs_tmpfs(bytes, 0700, 0);
	if (fd >= 0 && control_send(control_fd, CONTROL_DISK, 0, fd) < 0)
		fail(errno, "cannot hand the disk over");
	err_send(err_fd);
	_exit(0);
}

static int receive(int control_fd, int err_fd)
{
	struct control_message message;
	struct err_record record;
	int fd = -1;

	if (control_receive(control_fd, &message, &fd) == 1 && fd >= 0)
		return fd;
	if (err_receive(err_fd, &record))
		err_set(&record);
	else
		fail(0, "cannot make the disk: its helper died");
	if (cause_setting())
		fail_remedy("%s", cause_setting());
	return -1;
}

static int make_by_helper(uint64_t bytes)
{
	int control[2] = { -1, -1 }, error[2] = { -1, -1 };
	int fd = -1;
	pid_t pid;

	if (control_pair(control) < 0)
		return -1;
	if (pipe2(error, O_CLOEXEC) < 0)
		fail(errno, "cannot make a pipe");
	pid = error[0] < 0 ? -1 : fork();
	if (pid == 0)
		help(control[1], error[1], bytes);
	cleanup_fd(&control[1]);
	cleanup_fd(&error[1]);
	if (pid > 0) {
		fd = receive(control[0], error[0]);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	} else {
		fail(errno, "cannot fork for the disk");
	}
	cleanup_fd(&control[0]);
	cleanup_fd(&error[0]);
	return fd;
}

int workdir_use_disk(struct workdir *wd, uint64_t bytes)
{
	auto_fd int mount_fd = geteuid() == 0 ? newfs_tmpfs(bytes, 0700, 0)
					      : make_by_helper(bytes);
	auto_fd int fd = -1;

	if (mount_fd < 0)
		return -1;
	fd = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(errno, "cannot open the disk");
	if ((wd->uid != geteuid() || wd->gid != getegid()) &&
	    fchown(fd, wd->uid, wd->gid) < 0)
		return fail(errno, "cannot give the disk to uid %u", wd->uid);
	wd->work_fd = take_fd(&fd);
	wd->mount_fd = take_fd(&mount_fd);
	return 0;
}

bool workdir_is_full(const struct workdir *wd)
{
	struct statvfs fs;

	return wd->mount_fd >= 0 && fstatvfs(wd->work_fd, &fs) == 0 &&
	       (fs.f_bavail == 0 || fs.f_favail == 0);
}
