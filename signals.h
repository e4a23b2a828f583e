/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What signals mean to us: what our starter decided about them, and those that
 * a run waits for.
 */

#include <stdbool.h>

/* Undoes what we may have inherited and could not live with. */
void signals_shed(void);

/*
 * Blocks the signals that supervise() will read, and ignores SIGPIPE.  Call
 * before anything that must be torn down exists.  Returns the signalfd, or -1
 * by fail().
 */
int signals_take(bool die_with_parent);

/*
 * For the end, when there is nothing left to tear down and only a reader of ours
 * may be slow: those signals end us with this status, and so do five seconds if
 * there is hurry or one of them came before.  Once more for another status.
 */
void signals_leave(int status, bool hurry);
