/* SPDX-License-Identifier: MIT */

/*
 * capped MEMORY_BYTES CPUS PIDS COMMAND...: linked statically: runs it with the
 * caps that we give a sandbox, for peers that have none: in cgroups (v1) of its
 * own, made before, entered before it executes, and removed when all is dead.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PERIOD_US 100000

static const struct limit {
	const char *controller, *file, *file_too;
	long long factor;
} limits[] = {
	{ "memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", 1 },
	{ "cpu", "cpu.cfs_quota_us", NULL, PERIOD_US },
	{ "pids", "pids.max", NULL, 1 },
};
#define LIMITS (sizeof(limits) / sizeof(limits[0]))

static char dirs[LIMITS][512];

static void die(const char *what)
{
	perror(what);
	_exit(125);
}

static void put(const char *dir, const char *file, const char *text)
{
	char path[1024];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

/* Below our own, as /proc/self/cgroup has it: "4:memory:/a/b". */
static void find(size_t i)
{
	char line[512], mark[64];
	FILE *f = fopen("/proc/self/cgroup", "re");

	snprintf(mark, sizeof(mark), ":%s:", limits[i].controller);
	while (f && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, mark);

		if (at == NULL)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(dirs[i], sizeof(dirs[i]),
			 "/sys/fs/cgroup/%s%.300s/m9m-bench-%d",
			 limits[i].controller, at + strlen(mark), getpid());
	}
	if (f)
		fclose(f);
	if (dirs[i][0] == '\0')
		die(limits[i].controller);
}

static void make(size_t i, long long value)
{
	char text[32];

	find(i);
	if (mkdir(dirs[i], 0755) < 0)
		die(dirs[i]);
	snprintf(text, sizeof(text), "%lld", value * limits[i].factor);
	put(dirs[i], limits[i].file, text);
	if (limits[i].file_too)
		put(dirs[i], limits[i].file_too, text);
}

int main(int argc, char **argv)
{
	int status = 0, other;
	pid_t pid;

	if (argc < 5)
		return 125;
	for (size_t i = 0; i < LIMITS; i++)
		make(i, atoll(argv[1 + i]));
	/* bwrap does not wait for the end of its PID 1. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = vfork();
	if (pid < 0)
		die("vfork");
	if (pid == 0) {
		for (size_t i = 0; i < LIMITS; i++)
			put(dirs[i], "tasks", "0");
		execvp(argv[4], argv + 4);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	while (wait(&other) > 0)
		;
	for (size_t i = 0; i < LIMITS; i++)
		if (rmdir(dirs[i]) < 0)
			die(dirs[i]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
