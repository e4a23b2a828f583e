/* SPDX-License-Identifier: MIT */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
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

	/* A payload that does not read but has the real terminal answer its
	 * queries fills this one: to wait there would be to miss its timeout.
	 * Nor is what poll announced sure to be there: it can be flushed. */
	if (fcntl(master, F_SETFL, O_NONBLOCK) < 0)
		return fail(errno, "cannot set the payload's terminal up");
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
