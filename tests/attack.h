/* SPDX-License-Identifier: MIT */
#pragma once

/* For programs that attack from inside: each attack in a process of its own, one
 * line each: its name and "ran" or "held". */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct attack {
	const char *name;
	bool (*run)(void);
};

__attribute__((unused)) static bool attack_one(const struct attack *attack)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(10);
		_exit(attack->run() ? 0 : 1);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

__attribute__((unused)) static void attack_all(const struct attack *attacks,
					       size_t n)
{
	for (size_t i = 0; i < n; i++) {
		printf("%s %s\n", attacks[i].name,
		       attack_one(&attacks[i]) ? "ran" : "held");
		fflush(stdout);
	}
}

/* What the program prints that `start` executes. */
__attribute__((unused)) static void attack_output(char *out, size_t size,
						  void (*start)(const void *),
						  const void *what)
{
	size_t len = 0;
	ssize_t n;
	int ends[2];
	pid_t pid;

	out[0] = '\0';
	if (pipe(ends) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(ends[1], 1);
		dup2(null, 2);
		close(ends[0]);
		start(what);
		_exit(127);
	}
	close(ends[1]);
	while ((n = read(ends[0], out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(ends[0]);
	waitpid(pid, NULL, 0);
}

/* Root of a user namespace of one's own, in which files can be made. */
__attribute__((unused)) static bool attack_own_user(int flags)
{
	char map[64];
	const struct {
		const char *path;
		unsigned int id;
	} maps[] = { { "/proc/self/uid_map", getuid() },
		     { "/proc/self/gid_map", getgid() } };
	int fd;

	if (syscall(SYS_unshare, (long)flags) < 0)
		return false;
	fd = open("/proc/self/setgroups", O_WRONLY);
	if (fd < 0 || write(fd, "deny", 4) != 4)
		return false;
	for (int i = 0; i < 2; i++) {
		int n = snprintf(map, sizeof(map), "0 %u 1", maps[i].id);

		fd = open(maps[i].path, O_WRONLY);
		if (fd < 0 || write(fd, map, (size_t)n) != n)
			return false;
	}
	return true;
}
