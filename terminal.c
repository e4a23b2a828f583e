/* SPDX-License-Identifier: MIT */
#include "terminal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "err.h"

void terminal_resize(int master)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		(void)ioctl(master, TIOCSWINSZ, &size);
}

int terminal_start(struct terminal *terminal, int master)
{
	struct termios raw;

	terminal_resize(master);
	if (tcgetattr(STDIN_FILENO, &terminal->saved) < 0)
		return fail(errno, "cannot read the terminal's settings");
	raw = terminal->saved;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
		return fail(errno, "cannot set the terminal to raw");
	terminal->raw = true;
	return 0;
}

void terminal_restore(struct terminal *terminal)
{
	if (terminal->raw)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->saved);
	terminal->raw = false;
}
