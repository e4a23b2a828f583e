/* SPDX-License-Identifier: MIT */

/*
 * pair ROUNDS NAME COMMAND... [-- NAME COMMAND...]...
 *
 * Runs the commands in turn, ROUNDS times, so that whatever else the machine
 * does hits all of them alike; prints one line each: name, median, 10th and
 * 90th percentile of start to exit in microseconds, median of the ratios to
 * the first command of the same round.
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
#define WARM_UP      3

extern char **environ;

static struct command {
	const char *name;
	char **argv;
	double *us;
	double *ratio;
} commands[COMMANDS_MAX];

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static double time_command(char **argv)
{
	posix_spawn_file_actions_t files;
	double begin, end;
	int status = 0, rc;
	pid_t pid;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	begin = now_us();
	rc = posix_spawnp(&pid, argv[0], &files, NULL, argv, environ);
	if (rc == 0)
		waitpid(pid, &status, 0);
	end = now_us();
	posix_spawn_file_actions_destroy(&files);
	/* The time of a failure is not a figure. */
	if (rc || status) {
		fprintf(stderr, "pair: %s: %s, status %#x\n", argv[0],
			strerror(rc), (unsigned)status);
		exit(1);
	}
	return end - begin;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double percentile(double *values, int n, int percent)
{
	qsort(values, (size_t)n, sizeof(*values), compare);
	return values[(n - 1) * percent / 100];
}

static int parse(char **argv, int rounds)
{
	int n = 0;

	while (*argv && argv[1] && n < COMMANDS_MAX) {
		struct command *c = &commands[n++];

		c->name = argv[0];
		c->argv = argv + 1;
		c->us = calloc((size_t)rounds, sizeof(double));
		c->ratio = calloc((size_t)rounds, sizeof(double));
		if (!c->us || !c->ratio)
			return -1;
		while (*argv && strcmp(*argv, "--") != 0)
			argv++;
		if (*argv)
			*argv++ = NULL;
	}
	return n;
}

int main(int argc, char **argv)
{
	int rounds = argc > 3 ? (int)strtol(argv[1], NULL, 10) : 0;
	int n = rounds > 0 ? parse(argv + 2, rounds) : -1;

	if (n < 1) {
		fprintf(stderr,
			"usage: pair ROUNDS NAME COMMAND... [-- ...]\n");
		return 2;
	}
	for (int i = -WARM_UP; i < rounds; i++) {
		for (int c = 0; c < n; c++) {
			double us = time_command(commands[c].argv);

			if (i < 0)
				continue;
			commands[c].us[i] = us;
			commands[c].ratio[i] = us / commands[0].us[i];
		}
	}
	for (int c = 0; c < n; c++)
		printf("%s\t%.0f\t%.0f\t%.0f\t%.2f\n", commands[c].name,
		       percentile(commands[c].us, rounds, 50),
		       percentile(commands[c].us, rounds, 10),
		       percentile(commands[c].us, rounds, 90),
		       percentile(commands[c].ratio, rounds, 50));
	return 0;
}
