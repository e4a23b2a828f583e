/* SPDX-License-Identifier: MIT */

/*
 * many ROUNDS STARTS AT_ONCE NAME COMMAND... [-- NAME COMMAND...]...
 *
 * Runs each command STARTS times, AT_ONCE of them at any moment, and all of
 * that ROUNDS times in turn, so that whatever else the machine does hits all
 * alike; prints one line each: name, median of the starts per second, median of
 * the ratios to the first command of the same round.
 */

#include "commands.h"

static double starts_per_second(char **argv, int starts, int at_once)
{
	double begin = now_us();

	for (int i = 0; i < starts; i++) {
		if (i >= at_once)
			command_await(-1, argv);
		command_start(argv);
	}
	for (int i = 0; i < at_once && i < starts; i++)
		command_await(-1, argv);
	return starts * 1e6 / (now_us() - begin);
}

int main(int argc, char **argv)
{
	struct command commands[COMMANDS_MAX];
	int want[3] = { 0, 0, 0 }, n;

	for (int i = 0; i < 3 && i + 1 < argc; i++)
		want[i] = (int)strtol(argv[i + 1], NULL, 10);
	n = argc > 5 && want[0] > 0
		? commands_parse(commands, argv + 4, want[0])
		: -1;
	if (n < 1 || want[1] < 1 || want[2] < 1) {
		fprintf(stderr, "usage: many ROUNDS STARTS AT_ONCE NAME "
				"COMMAND... [-- ...]\n");
		return 2;
	}
	for (int i = 0; i < want[0]; i++)
		for (int c = 0; c < n; c++)
			command_note(commands, c, i,
				     starts_per_second(commands[c].argv,
						       want[1], want[2]));
	for (int c = 0; c < n; c++)
		printf("%s\t%.0f\t%.2f\n", commands[c].name,
		       percentile(commands[c].figures, want[0], 50),
		       percentile(commands[c].ratios, want[0], 50));
	return 0;
}
