/* SPDX-License-Identifier: MIT */
#pragma once

/* Trees for the tests of workdir.c and artifact.c, and a place for them. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "tap.h"
#include "util.h"
#include "workdir.h"

#define STAMP 1700000000
/* Root's payloads run as somebody else. */
#define OTHER 65534

static char base[256]; /* this test's private directory */

__attribute__((unused)) static size_t count_entries(const char *path)
{
	DIR *dir = opendir(path);
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n < 2 ? 0 : n - 2;
}

__attribute__((unused)) static uid_t owner_uid(void)
{
	return geteuid() == 0 ? OTHER : geteuid();
}

__attribute__((unused)) static gid_t owner_gid(void)
{
	return geteuid() == 0 ? OTHER : getegid();
}

__attribute__((unused)) static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* "base/rest", of the last eight calls. */
__attribute__((format(printf, 1, 2), unused)) static const char *
at(const char *fmt, ...)
{
	static char slots[8][600];
	static unsigned int turn;
	char *slot = slots[turn++ % 8];
	va_list ap;
	int n = snprintf(slot, sizeof(slots[0]), "%s/", base);

	va_start(ap, fmt);
	vsnprintf(slot + n, sizeof(slots[0]) - (size_t)n, fmt, ap);
	va_end(ap);
	return slot;
}

__attribute__((unused)) static void make_base(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(base, sizeof(base), "%s/m9m-unit.XXXXXX", tmp ? tmp : "/tmp");
	if (mkdtemp(base) == NULL || chmod(base, 0755) < 0)
		die("mkdtemp");
}

/* By another program: what is tested does not clean up after itself. */
__attribute__((unused)) static void drop_base(void)
{
	auto_free char *command = xasprintf(
	    "chmod -R u+rwx '%s' 2>/dev/null; rm -rf '%s'", base, base);

	if (system(command) != 0)
		printf("# %s could not be removed\n", base);
}

__attribute__((unused)) static void put_file(const char *path, const char *text,
					     mode_t mode)
{
	const struct timespec times[2] = { { STAMP, 0 }, { STAMP, 0 } };
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);

	if (fd < 0 || write_all(fd, text, strlen(text)) < 0 ||
	    fchmod(fd, mode) < 0 || futimens(fd, times) < 0)
		die(path);
	close(fd);
}

/* Bytes that do not compress, the same each time. */
__attribute__((unused)) static void put_noise(const char *path, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	unsigned char *buf = malloc(len);
	uint64_t x = 88172645463325252ULL;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		buf[i] = (unsigned char)(x >> 32);
	}
	if (fd < 0 || write_all(fd, buf, len) < 0)
		die(path);
	close(fd);
	free(buf);
}

__attribute__((unused)) static void put_dir(const char *path)
{
	if (mkdir(path, 0755) < 0)
		die(path);
}

__attribute__((unused)) static void put_link(const char *target,
					     const char *path)
{
	if (symlink(target, path) < 0)
		die(path);
}

/* Nested directories of that name, far beyond PATH_MAX if need be. */
__attribute__((unused)) static void put_depth(const char *name, int depth)
{
	int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < depth; i++)
		if (mkdir(name, 0755) < 0 || chdir(name) < 0)
			die("nest");
	if (back < 0 || fchdir(back) < 0)
		die("fchdir");
	close(back);
}

__attribute__((unused)) static void put_sparse(const char *path, off_t size,
					       off_t data_at)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	if (fd < 0 || ftruncate(fd, size) < 0 ||
	    (data_at && pwrite(fd, "island", 6, data_at) != 6))
		die(path);
	close(fd);
}

__attribute__((unused)) static void put_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die(path);
	close(fd);
}

/* Runs `make` in the workdir as a payload would: as its owner. */
__attribute__((unused)) static void as_payload(const struct workdir *wd,
					       void (*make)(void))
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (fchdir(wd->work_fd) < 0)
			_exit(1);
		if (geteuid() == 0 &&
		    (setgroups(0, NULL) < 0 ||
		     setresgid(wd->gid, wd->gid, wd->gid) < 0 ||
		     setresuid(wd->uid, wd->uid, wd->uid) < 0))
			_exit(2);
		umask(022);
		make();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		die("payload");
}

#define LONG_NAME                                                              \
	"0123456789012345678901234567890123456789012345678901234567890123456"  \
	"789012345678901234567890123456789012345678901234567890123456789012"   \
	"345678901234567890123456789012345678901234567890123456789012345678"   \
	"90123456789012345678901234567890123456789012345678901234"

/* All that can be made without privilege, in the current directory. */
__attribute__((unused)) static void make_hostile(void)
{
	static const char *const names[] = {
		"new\nline",
		"\033[31mred",
		"bad\xff\xfe",
		"h\xc3\xa9",
		"--checkpoint-action=exec=id",
		"-rf",
		" space ",
		"back\\slash",
		LONG_NAME,
		"~",
		"*",
		"$(id)",
	};

	put_file("plain", "hello\n", 0644);
	put_file("empty", "", 0600);
	put_file("setuid", "x", 06755);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		put_file(names[i], "odd\n", 0644);
	put_link("/etc/passwd", "absolute");
	put_link("../../../../../etc", "above");
	put_link("nothing at all", "dangling");
	put_link(".", "itself");
	if (mkfifo("fifo", 0644) < 0)
		die("mkfifo");
	put_socket("socket");
	put_dir("dir");
	put_file("dir/first", "linked\n", 0640);
	if (link("dir/first", "dir/second") < 0 ||
	    link("dir/first", "third") < 0)
		die("link");
	put_dir("hollow");
	put_sparse("sparse", 1LL << 40, 1LL << 30);
	put_sparse("void", 1LL << 30, 0);
	put_noise("noise", 300000);
	put_depth("deep", 100);
	put_dir("sticky");
	put_dir("locked");
	put_file("locked/secret", "mode 000\n", 0);
	if (chmod("sticky", 07777) < 0 || chmod("locked", 0) < 0)
		die("chmod");
}

__attribute__((unused)) static bool put_proc(const char *path, const char *text)
{
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write_all(fd, text, strlen(text)) == 0;
}

/* A mount namespace of our own, under our own ids; false: not to be had. */
__attribute__((unused)) static bool own_mounts(void)
{
	auto_free char *uid = xasprintf("%u %u 1", geteuid(), geteuid());
	auto_free char *gid = xasprintf("%u %u 1", getegid(), getegid());
	bool user = geteuid() != 0;

	if (unshare(CLONE_NEWNS | (user ? CLONE_NEWUSER : 0)) < 0)
		return false;
	if (user && (!put_proc("/proc/self/uid_map", uid) ||
		     !put_proc("/proc/self/setgroups", "deny") ||
		     !put_proc("/proc/self/gid_map", gid)))
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* The failure that was recorded, for the next check to begin without. */
__attribute__((unused)) static bool failed_with(const char *text)
{
	const struct err_record *record = err_get();
	bool found = record && (strstr(record->message, text) ||
				strstr(record->remedy, text));

	printf("# %s | %s\n", record ? record->message : "no failure",
	       record ? record->remedy : "");
	return found;
}

/* The same, and the record is empty for the next one. */
__attribute__((unused)) static bool did_fail(int rc, const char *text)
{
	bool found = rc < 0 && failed_with(text);

	err_reset();
	return found;
}

/* 0, or says why not. */
__attribute__((unused)) static bool went_well(int rc)
{
	if (rc < 0)
		(void)failed_with("");
	err_reset();
	return rc == 0;
}

__attribute__((unused)) static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

__attribute__((unused)) static bool holds(const char *path, const char *text)
{
	auto_free char *found = read_file(AT_FDCWD, path, 1 << 20, NULL);

	return found && strcmp(found, text) == 0;
}
