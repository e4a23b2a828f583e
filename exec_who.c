/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exec_look.h"

/*
 * Whose execution it is.  Linux 6.13 tells both numbers without a file of /proc,
 * which would be made, written and thrown away for each of them.
 */

/* A number is nobody else's for so long: they are given out in a round. */
#define PARENT_MS 50

/* compat: newer than some headers */
#define GET_TGID_IN_PIDNS _IOR(0xb7, 0x9, int)
#define OPEN_THREAD       O_EXCL

struct process_info {
	uint64_t mask;
	uint64_t cgroup;
	uint32_t pid, tgid, ppid;
	uint32_t users[8];
	int32_t exit_code;
};

#define INFO_PID (1ULL << 0)
#define GET_INFO _IOWR(0xff, 11, struct process_info)

void exec_place_open(struct exec_place *place)
{
	*place = EXEC_PLACE_NONE;
	place->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void exec_place_close(struct exec_place *place)
{
	cleanup_fd(&place->proc_fd);
	cleanup_fd(&place->root_fd);
	cleanup_fd(&place->ns_fd);
	cleanup_fd(&place->children_fd);
	*place = EXEC_PLACE_NONE;
}

struct exec_entry exec_entry(pid_t pid, const char *name)
{
	struct exec_entry e;
	char digits[20], *end = digits + sizeof(digits);
	char *first = decimal(end, (uint64_t)pid);
	char *to = mempcpy(e.name, first, (size_t)(end - first));

	*to++ = '/';
	memccpy(to, name, '\0', (size_t)(e.name + sizeof(e.name) - to));
	e.name[sizeof(e.name) - 1] = '\0';
	return e;
}

int exec_open_entry(const struct exec_place *place, pid_t pid, const char *name,
		    int flags)
{
	struct exec_entry e = exec_entry(pid, name);

	return openat(place->proc_fd, e.name, flags | O_CLOEXEC);
}

/*** By the kernel's word ***/

static bool can_ask(const struct exec_place *place)
{
	return place->ns_fd >= 0 && !place->old;
}

/* Of one that is gone, or not inside, there is no number. */
static pid_t ask_inner(struct exec_place *place, pid_t pid)
{
	int inner = ioctl(place->ns_fd, GET_TGID_IN_PIDNS, (unsigned long)pid);

	place->old = inner < 0 && errno != ESRCH;
	return inner > 0 ? inner : 0;
}

static void turn_to(struct exec_place *place, pid_t parent)
{
	cleanup_fd(&place->children_fd);
	place->children_fd = -1;
	place->parent = parent;
	place->parent_until = 0;
}

/*
 * One shell starts a thousand programs: is it the parent once more?  The list is
 * its own, whoever else had its number, and who is on it waits for us.  One that
 * is not may be further down, or a thread's.
 */
static bool is_listed(const struct exec_place *place, pid_t pid)
{
	char list[256], *p = list, *end;
	ssize_t n = -1;

	if (place->children_fd >= 0)
		n = pread(place->children_fd, list, sizeof(list) - 1, 0);
	list[n > 0 ? n : 0] = '\0';
	/* The last number may be cut. */
	while (strtol(p, &end, 10) != pid && *end == ' ')
		p = end + 1;
	return *end == ' ';
}

/* The list of one that is seen for the second time in a row. */
static void keep_parent(struct exec_place *place, pid_t parent)
{
	char name[40];

	if (parent != place->parent) {
		turn_to(place, parent);
		return;
	}
	if (place->children_fd >= 0)
		return;
	snprintf(name, sizeof(name), "task/%d/children", (int)parent);
	place->children_fd = exec_open_entry(place, parent, name, O_RDONLY);
}

/* The one that asks may be any thread of its process. */
static pid_t ask_parent(struct exec_place *place, pid_t pid)
{
	auto_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, OPEN_THREAD);
	struct process_info info = { .mask = INFO_PID };

	if (pidfd >= 0 && ioctl(pidfd, GET_INFO, &info) == 0)
		return (pid_t)info.ppid;
	place->old = errno != ESRCH;
	return 0;
}

/*** By /proc/PID/status ***/

/* The last number of a line: in the innermost namespace. */
static pid_t last_number(const char *status, const char *key)
{
	const char *line = strstr(status, key);
	const char *end, *p;

	if (!line)
		return 0;
	end = strchrnul(line + strlen(key), '\n');
	for (p = end; p > line && p[-1] >= '0' && p[-1] <= '9'; p--)
		;
	return (pid_t)strtol(p, NULL, 10);
}

static bool read_status(const struct exec_place *place, pid_t pid, char *buf,
			size_t size)
{
	auto_fd int fd = exec_open_entry(place, pid, "status", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/*** Either way ***/

void exec_look_ids(struct exec_attempt *a, struct exec_place *place, pid_t pid)
{
	char status[2048];

	if (can_ask(place))
		a->pid = ask_inner(place, pid);
	if (can_ask(place) && is_listed(place, pid)) {
		a->outer_ppid = place->parent;
	} else if (can_ask(place)) {
		a->outer_ppid = ask_parent(place, pid);
		keep_parent(place, a->outer_ppid);
	}
	/* The name in the first line has its newlines escaped: no key of a
	 * payload's making comes before the kernel's. */
	if (can_ask(place) || !read_status(place, pid, status, sizeof(status)))
		return;
	a->pid = last_number(status, "\nNStgid:");
	a->outer_ppid = last_number(status, "\nPPid:");
}

pid_t exec_look_first(const struct exec_place *place, pid_t pid)
{
	char status[2048];

	return read_status(place, pid, status, sizeof(status))
		   ? last_number(status, "\nTgid:")
		   : 0;
}

pid_t exec_look_inner(struct exec_place *place, pid_t pid)
{
	char status[2048];
	pid_t inner = 0;

	if (pid <= 0)
		return 0;
	if (can_ask(place))
		inner = ask_inner(place, pid);
	if (can_ask(place) || !read_status(place, pid, status, sizeof(status)))
		return inner;
	return last_number(status, "\nNStgid:");
}

/* One shell starts a thousand programs: its number is looked up now and then. */
pid_t exec_look_parent(struct exec_place *place, pid_t pid)
{
	uint64_t now = now_ms(CLOCK_MONOTONIC);

	if (pid != place->parent)
		turn_to(place, pid);
	if (now >= place->parent_until) {
		place->parent_inner = exec_look_inner(place, pid);
		place->parent_until = now + PARENT_MS;
	}
	return place->parent_inner;
}
