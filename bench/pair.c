/* SPDX-License-Identifier: MIT */

/*
 * pair [--start] ROUNDS NAME COMMAND... [-- NAME COMMAND...]...
 *
 * Runs the commands in turn, ROUNDS times, so that whatever else the machine
 * does hits all of them alike; prints one line each: name, median, 10th and
 * 90th percentile of start to exit in microseconds, median of the ratios to
 * the first command of the same round.  With --start, to what the command prints
 * instead: the time of its first instructions (stamp.c).
 */

#include <stdbool.h>

#include "commands.h"

#define WARM_UP 3

static double time_to_exit(char **argv)
{
	double begin = now_us();

	command_await(command_start(argv), argv);
	return now_us() - begin;
}

static double time_to_start(char **argv)
{
	char text[64] = "";
	double begin;
	pid_t pid;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		exit(1);
	begin = now_us();
	pid = command_start_to(argv, fds[1]);
	close(fds[1]);
	command_await(pid, argv);
	if (read(fds[0], text, sizeof(text) - 1) <= 0) {
		fprintf(stderr, "%s: no time was printed\n", argv[0]);
		exit(1);
	}
	close(fds[0]);
	return strtod(text, NULL) - begin;
}

int main(int argc, char **argv)
{
	bool start = argc > 1 && strcmp(argv[1], "--start") == 0;
	char **args = argv + 1 + start;
	struct command commands[COMMANDS_MAX];
	int rounds = argc > 3 ? (int)strtol(args[0], NULL, 10) : 0;
	int n = rounds > 0 ? commands_parse(commands, args + 1, rounds) : -1;

	if (n < 1) {
		fprintf(stderr, "usage: pair [--start] ROUNDS NAME COMMAND... "
				"[-- ...]\n");
		return 2;
	}
	for (int i = -WARM_UP; i < rounds; i++) {
		for (int c = 0; c < n; c++) {
			double us = start ? time_to_start(commands[c].argv)
					  : time_to_exit(commands[c].argv);

			if (i >= 0)
				command_note(commands, c, i, us);
		}
	}
	for (int c = 0; c < n; c++)
		printf("%s\t%.0f\t%.0f\t%.0f\t%.2f\n", commands[c].name,
		       percentile(commands[c].figures, rounds, 50),
		       percentile(commands[c].figures, rounds, 10),
		       percentile(commands[c].figures, rounds, 90),
		       percentile(commands[c].ratios, rounds, 50));
	return 0;
}
