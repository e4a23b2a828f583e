/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* A terminal that was stopped (^S) is not to hold the work that it shows.  (One
 * that has room, but less than for a line, does.) */
static bool is_ready(int fd)
{
	struct pollfd reader = { .fd = fd, .events = POLLOUT };

	return poll(&reader, 1, 0) == 1;
}

void progress_start(struct progress *p, int fd, const char *what,
		    uint64_t now_ms)
{
	*p = (struct progress){ .fd = fd,
				.what = what,
				.next_ms = now_ms + PROGRESS_AFTER_MS };
}

void progress_tell(struct progress *p, uint64_t files, uint64_t bytes,
		   uint64_t now_ms)
{
	if (p->fd < 0 || now_ms < p->next_ms || !is_ready(p->fd))
		return;
	/* Cleared to its end: the line before may have been longer. */
	dprintf(p->fd, "\r%s: %llu files, %.1f MiB\033[K", p->what,
		(unsigned long long)files, (double)bytes / (1 << 20));
	p->next_ms = now_ms + PROGRESS_EVERY_MS;
	p->shown = true;
}

void progress_end(struct progress *p)
{
	if (p->shown && is_ready(p->fd))
		dprintf(p->fd, "\r\033[K");
	p->shown = false;
}
