/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The caller's terminal while the payload has one of its own: raw mode, window
 * size, and restoring it on every way out.
 */

#include <stdbool.h>
#include <termios.h>

struct terminal {
	bool raw;
	struct termios saved;
};

/* Raw mode on standard input, size copied to `master`; by fail(). */
int terminal_start(struct terminal *terminal, int master);
/* The window changed: copy its size to `master`. */
void terminal_resize(int master);
void terminal_restore(struct terminal *terminal);
