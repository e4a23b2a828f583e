/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>

#include "util.h"

/* O_NONBLOCK on the descriptor that we have would be everybody's who has it. */
int progress_open(int terminal_fd)
{
	return open(fd_path(terminal_fd).s,
		    O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
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
	if (p->fd < 0 || now_ms < p->next_ms)
		return;
	/* Cleared to its end: the line before may have been longer. */
	dprintf(p->fd, "\r%s: %llu files, %.1f MiB\033[K", p->what,
		(unsigned long long)files, (double)bytes / (1 << 20));
	p->next_ms = now_ms + PROGRESS_EVERY_MS;
	p->shown = true;
}

void progress_end(struct progress *p)
{
	if (p->shown)
		dprintf(p->fd, "\r\033[K");
	p->shown = false;
}
