/* SPDX-License-Identifier: MIT */
#include "exec.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

/*
 * A shell that starts programs has us do nothing else.  A poll of all that we
 * wait for enters and leaves eight queues for each of them; here one descriptor
 * stands for the others.  It lives until something else happens, so that none of
 * them can be closed, and its number be another's, while it does.
 */

/* Readable when one of them is ready.  A file that is always ready (EPERM) is
 * among them only where nothing but its errors is awaited, and it has none. */
static int gather(const struct pollfd *fds, size_t n)
{
	auto_fd int all = epoll_create1(EPOLL_CLOEXEC);

	for (size_t i = 0; all >= 0 && i < n; i++) {
		/* The bits of both calls are the same. */
		struct epoll_event event = { .events =
						 (uint16_t)fds[i].events };

		if (fds[i].fd >= 0 &&
		    epoll_ctl(all, EPOLL_CTL_ADD, fds[i].fd, &event) < 0 &&
		    (errno != EPERM || fds[i].events))
			return -1;
	}
	return take_fd(&all);
}

void exec_serve_alone(struct exec_recorder *r, const struct pollfd *others,
		      size_t n, uint64_t until)
{
	auto_fd int all = gather(others, n);
	struct pollfd fds[] = { { all, POLLIN, 0 },
				{ r->listener_fd, POLLIN, 0 } };
	int timeout;

	/* Of what can be waited for, an execution changes one thing only: its
	 * record may be more than the reader of the events has taken. */
	while (all >= 0 && r->log->n_backlog == 0 &&
	       (timeout = exec_timeout(r, until)) != 0 &&
	       poll(fds, ARRAY_SIZE(fds), timeout) == 1 &&
	       fds[1].revents == POLLIN && exec_serve(r, POLLIN))
		;
}
