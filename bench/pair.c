/* SPDX-License-Identifier: MIT */

/*
 * pair ROUNDS NAME COMMAND... [-- NAME COMMAND...]...
 *
 * Runs the commands in turn, ROUNDS times, so that whatever else the machine
 * does hits all of them alike; prints one line each: name, median, 10th and
 * 90th percentile of start to exit in microseconds, median of the ratios to
 * the first command of the same round.
 */

#include "commands.h"

#define WARM_UP 3

static double time_command(char **argv)
{
	double begin = now_us();

	command_await(command_start(argv), argv);
	return now_us() - begin;
}

int main(int argc, char **argv)
{
	struct command commands[COMMANDS_MAX];
	int rounds = argc > 3 ? (int)strtol(argv[1], NULL, 10) : 0;
	int n = rounds > 0 ? commands_parse(commands, argv + 2, rounds) : -1;

	if (n < 1) {
		fprintf(stderr,
			"usage: pair ROUNDS NAME COMMAND... [-- ...]\n");
		return 2;
	}
	for (int i = -WARM_UP; i < rounds; i++) {
		for (int c = 0; c < n; c++) {
			double us = time_command(commands[c].argv);

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
