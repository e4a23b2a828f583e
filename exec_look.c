/* SPDX-License-Identifier: MIT */
#include "exec_look.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096

int exec_look_open(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/*** Memory ***/

/* Memory of a process that waits for us. */
struct memory {
	pid_t pid;
	int proc_fd;
	int fd; /* of /proc/PID/mem, once the direct way was refused */
};

/* Not by /proc first: the file would be made for this one reading. */
static ssize_t peek(struct memory *memory, uint64_t address, void *buf,
		    size_t len)
{
	/* The top byte of a pointer is the program's own on aarch64, and
	 * beyond user space on x86-64. */
	uint64_t plain = address & (~0ULL >> 8);
	struct iovec to = { buf, len };
	struct iovec from = { (void *)(uintptr_t)plain, len };
	ssize_t n = -1;

	if (memory->fd < 0)
		n = process_vm_readv(memory->pid, &to, 1, &from, 1, 0);
	if (n >= 0 || (errno != ENOSYS && errno != EPERM && memory->fd < 0))
		return n;
	if (memory->fd < 0)
		memory->fd = openat(memory->proc_fd, "mem",
				    O_RDONLY | O_CLOEXEC);
	return pread(memory->fd, buf, len, (off_t)plain);
}

/*
 * A string of at most `max` - 1 bytes, page by page: the next page may not be
 * there.  False when nothing can be read; *cut when it goes on.
 */
static bool peek_string(struct memory *memory, uint64_t address, char *buf,
			size_t max, bool *cut)
{
	size_t len = 0;

	while (len < max - 1) {
		size_t room = PAGE - (address + len) % PAGE;
		ssize_t n;

		if (room > max - 1 - len)
			room = max - 1 - len;
		n = peek(memory, address + len, buf + len, room);
		if (n <= 0)
			break;
		if (memchr(buf + len, '\0', (size_t)n))
			return true;
		len += (size_t)n;
	}
	buf[len] = '\0';
	*cut = true;
	return len > 0;
}

static void peek_argv(struct exec_attempt *a, struct memory *memory,
		      uint64_t address)
{
	uint64_t pointers[EXEC_ARGS_MAX + 1] = { 0 };
	size_t left = EXEC_ARGS_BYTES;
	char text[EXEC_ARGS_BYTES];

	if (address == 0)
		return;
	if (peek(memory, address, pointers, sizeof(pointers)) <= 0)
		a->argv_cut = true;
	for (size_t i = 0; !a->argv_cut && pointers[i]; i++) {
		if (i == EXEC_ARGS_MAX || left < 2) {
			a->argv_cut = true;
		} else if (peek_string(memory, pointers[i], text, left,
				       &a->argv_cut)) {
			left -= strlen(text);
			strv_push(&a->argv, xstrdup(text));
		}
	}
}

/*** Who and where ***/

/* The last number of a line of /proc/PID/status: in the innermost namespace. */
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

static bool read_status(int proc_fd, char *buf, size_t size)
{
	auto_fd int fd = openat(proc_fd, "status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

void exec_look_ids(struct exec_attempt *a, int proc_fd)
{
	char status[2048];

	/* The name in the first line has its newlines escaped: no key of a
	 * payload's making comes before the kernel's. */
	if (!read_status(proc_fd, status, sizeof(status)))
		return;
	a->pid = last_number(status, "\nNStgid:");
	a->outer_ppid = last_number(status, "\nPPid:");
}

pid_t exec_look_inner(pid_t pid)
{
	auto_fd int proc_fd = pid > 0 ? exec_look_open(pid) : -1;
	char status[2048];

	if (proc_fd < 0 || !read_status(proc_fd, status, sizeof(status)))
		return 0;
	return last_number(status, "\nNStgid:");
}

static char *read_link(int proc_fd, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(proc_fd, name, target, sizeof(target));

	return n > 0 ? xstrndup(target, (size_t)n) : NULL;
}

char *exec_look_program(int proc_fd)
{
	return read_link(proc_fd, "exe");
}

/*** The file ***/

static int open_in(int root_fd, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | flags,
				.resolve = RESOLVE_IN_ROOT };

	int fd = -1;

	/* EAGAIN: anything at all was renamed or mounted on this machine while
	 * a ".." was resolved, so that the kernel would not vouch for it. */
	for (int tries = 0; fd < 0 && tries < 100; tries++) {
		fd = (int)syscall(SYS_openat2, root_fd, path, &how,
				  sizeof(how));
		if (errno != EAGAIN)
			break;
	}
	return fd;
}

/*
 * ENOENT is no proof: a link through /proc/self leads nowhere for us, and what
 * is taken for absent is not recorded.  So: the first name that does not
 * resolve must be nothing at all in the folder before it, not even a link.
 */
static bool is_absent(int root_fd, const char *path)
{
	auto_free char *head = xstrdup(path);
	char *slash = strrchr(head, '/');

	while (slash) {
		auto_fd int dir = -1, entry = -1;

		*slash = '\0';
		dir = open_in(root_fd, *head ? head : "/", O_DIRECTORY);
		if (dir >= 0) {
			entry = open_in(dir, slash + 1, O_NOFOLLOW);
			return entry < 0 && errno == ENOENT;
		}
		if (errno != ENOENT)
			return false;
		slash = strrchr(head, '/');
	}
	return false;
}

/* /proc/self/exe and /proc/self/fd/N, which programs execute themselves by. */
static const char *own_link(const char *path)
{
	static const char self[] = "/proc/self/";
	const char *name = path + strlen(self);

	if (strncmp(path, self, strlen(self)) != 0)
		return NULL;
	if (strcmp(name, "exe") == 0)
		return name;
	if (strncmp(name, "fd/", 3) == 0 && name[3] &&
	    name[3 + strspn(name + 3, "0123456789")] == '\0')
		return name;
	return NULL;
}

static void find_file(struct exec_attempt *a, int proc_fd)
{
	const char *own = own_link(a->target);
	auto_fd int root_fd = -1;

	if (own) {
		a->file_fd = openat(proc_fd, own, O_PATH | O_CLOEXEC);
		return;
	}
	root_fd = openat(proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return;
	a->file_fd = open_in(root_fd, a->target, 0);
	if (a->file_fd < 0 && errno == ENOENT && is_absent(root_fd, a->target))
		a->verdict = EXEC_ABSENT;
}

void exec_look_judge(struct exec_attempt *a)
{
	struct statvfs fs;

	if (a->file_fd < 0 || fstat(a->file_fd, &a->st) < 0)
		return;
	if (!S_ISREG(a->st.st_mode))
		a->reason = "not a regular file";
	else if (!(a->st.st_mode & 0111))
		a->reason = "not marked as executable";
	else if (fstatvfs(a->file_fd, &fs) == 0 && (fs.f_flag & ST_NOEXEC))
		a->reason = "nothing may be executed from where it is";
	if (a->reason)
		a->verdict = EXEC_DENIED;
}

/* Where a relative path starts; for AT_EMPTY_PATH the file itself. */
static char *base_of(const struct exec_attempt *a, int proc_fd, int dir_fd)
{
	char name[24];

	if (dir_fd == AT_FDCWD)
		return a->cwd ? xstrdup(a->cwd) : NULL;
	snprintf(name, sizeof(name), "fd/%d", dir_fd);
	return read_link(proc_fd, name);
}

static void locate(struct exec_attempt *a, int proc_fd, int dir_fd)
{
	auto_free char *base = NULL;
	const char *rest;
	char name[24];

	if (a->path[0] == '/') {
		a->target = xstrdup(a->path);
		find_file(a, proc_fd);
		return;
	}
	base = base_of(a, proc_fd, dir_fd);
	if (base == NULL)
		return;
	if (a->path[0] == '\0') {
		/* By descriptor alone: its name may be that of no file. */
		free(a->path);
		a->path = take_ptr(&base);
		a->target = xstrdup(a->path);
		snprintf(name, sizeof(name), "fd/%d", dir_fd);
		a->file_fd = openat(proc_fd, name, O_PATH | O_CLOEXEC);
		return;
	}
	rest = a->path;
	while (strncmp(rest, "./", 2) == 0)
		rest += 2;
	a->target = path_join(base, rest);
	find_file(a, proc_fd);
}

void exec_look(struct exec_attempt *a, int proc_fd, pid_t pid,
	       const uint64_t arguments[6], bool at)
{
	struct memory memory = { .pid = pid, .proc_fd = proc_fd, .fd = -1 };
	const uint64_t *rest = arguments + (at ? 1 : 0);
	int dir_fd = at ? (int)arguments[0] : AT_FDCWD;
	char path[EXEC_PATH_MAX];

	exec_look_ids(a, proc_fd);
	a->cwd = read_link(proc_fd, "cwd");
	if (peek_string(&memory, rest[0], path, sizeof(path), &a->path_cut)) {
		a->path = xstrdup(path);
		peek_argv(a, &memory, rest[1]);
		if (!a->path_cut)
			locate(a, proc_fd, dir_fd);
	} else {
		a->path = xstrdup("?");
		a->reason = "what it executes could not be read";
	}
	cleanup_fd(&memory.fd);
}

void exec_attempt_free(struct exec_attempt *a)
{
	free(a->path);
	free(a->target);
	free(a->cwd);
	free(a->remedy);
	strv_free(&a->argv);
	cleanup_fd(&a->file_fd);
	*a = EXEC_ATTEMPT_NONE;
}
