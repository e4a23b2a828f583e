/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the tools that compare commands share: a list of them from the command
 * line, starting one, medians.
 */

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 8

extern char **environ;

struct command {
	const char *name;
	char **argv;
	double *figures; /* one a round */
	double *ratios;  /* to the first command's of the same round */
};

static inline double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* NAME COMMAND... [-- NAME COMMAND...]...: how many there are, or -1. */
static inline int commands_parse(struct command *commands, char **argv,
				 int rounds)
{
	int n = 0;

	while (*argv && argv[1] && n < COMMANDS_MAX) {
		struct command *c = &commands[n++];

		c->name = argv[0];
		c->argv = argv + 1;
		c->figures = calloc((size_t)rounds, sizeof(double));
		c->ratios = calloc((size_t)rounds, sizeof(double));
		if (!c->figures || !c->ratios)
			return -1;
		while (*argv && strcmp(*argv, "--") != 0)
			argv++;
		if (*argv)
			*argv++ = NULL;
	}
	return n;
}

/* Its pid; without input, its output to out_fd.  Ends us where it cannot be
 * started. */
static inline pid_t command_start_to(char **argv, int out_fd)
{
	posix_spawn_file_actions_t files;
	pid_t pid = -1;
	int rc;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out_fd, 1);
	rc = posix_spawnp(&pid, argv[0], &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (rc == 0)
		return pid;
	fprintf(stderr, "%s: %s\n", argv[0], strerror(rc));
	exit(1);
}

/* The same without output. */
static inline pid_t command_start(char **argv)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	pid_t pid = command_start_to(argv, fd);

	close(fd);
	return pid;
}

/* That child (-1: any) has ended well, or we end: what a failure takes is not a
 * figure. */
static inline void command_await(pid_t pid, char **argv)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			exit(1);
	if (status == 0)
		return;
	fprintf(stderr, "%s: status %#x\n", argv[0], (unsigned)status);
	exit(1);
}

static inline void command_note(struct command *commands, int c, int round,
				double figure)
{
	commands[c].figures[round] = figure;
	commands[c].ratios[round] = figure / commands[0].figures[round];
}

static inline int compare_figures(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Sorts them. */
static inline double percentile(double *values, int n, int percent)
{
	qsort(values, (size_t)n, sizeof(*values), compare_figures);
	return values[(n - 1) * percent / 100];
}
