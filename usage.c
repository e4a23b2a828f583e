/* SPDX-License-Identifier: MIT */
#include "usage.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "fallback.h"
#include "util.h"

static uint64_t own_cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* In the process.  All signals that end us are blocked since the supervisor
 * blocked them: it ends with its other end, or its parent. */
_Noreturn static void serve(int socket, pid_t of, const struct plan *plan,
			    pid_t parent)
{
	struct usage_answer a = { 0 };
	uint64_t began;

	/* Least of all is it to hold a pipe open whose end somebody awaits. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
	    dup2(socket, 0) < 0 || close_range(1, ~0U, 0) < 0)
		_exit(1);
	while (recv(0, &a.now, sizeof(a.now), 0) == sizeof(a.now)) {
		began = own_cpu_us();
		fallback_fill(of, plan, &a.now);
		a.cost_us = own_cpu_us() - began;
		if (send(0, &a, sizeof(a), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

static int start(struct usage *u, pid_t of, const struct plan *plan)
{
	pid_t parent = getpid();
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return fail(errno, "cannot make a socket");
	u->pid = fork();
	if (u->pid == 0)
		serve(ends[1], of, plan, parent);
	close(ends[1]);
	u->fd = ends[0];
	if (u->pid > 0)
		return 0;
	u->pid = 0;
	usage_close(u);
	return fail(EAGAIN, "cannot fork");
}

int usage_ask(struct usage *u, pid_t of, const struct plan *plan,
	      const struct cgroup_now *known)
{
	if (u->asked)
		return 0;
	if (u->pid == 0 && start(u, of, plan) < 0)
		return -1;
	if (send(u->fd, known, sizeof(*known), MSG_NOSIGNAL) < 0)
		return fail(errno, "cannot ask for what the run uses");
	u->asked = true;
	return 0;
}

int usage_take(struct usage *u, struct usage_answer *answer)
{
	if (recv(u->fd, answer, sizeof(*answer), 0) != sizeof(*answer))
		return fail(0, "what looks at what the run uses was ended");
	u->asked = false;
	return 0;
}

void usage_close(struct usage *u)
{
	cleanup_fd(&u->fd);
	if (u->pid > 0) {
		kill(u->pid, SIGKILL);
		while (waitpid(u->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*u = USAGE_NONE;
}
