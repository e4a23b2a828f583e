/* SPDX-License-Identifier: MIT */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "relay_state.h"
#include "util.h"

/*
 * Theory of operation
 *
 *	supervisor --fork--> relay            host's network namespace
 *	    |  ^               ^  |
 *	    |  `--events-------+--'           (SOCK_SEQPACKET, event_fd)
 *	  clone                |
 *	    v                  |
 *	  child ---sockets-----'              (SOCK_SEQPACKET, sockets_fd)
 *	  own network namespace
 *
 * The relay is forked while the supervisor has read nothing hostile yet, gives
 * everything up, and then takes the sockets that the child made inside.  It
 * dies with the supervisor (PR_SET_PDEATHSIG), and the supervisor ends the run
 * when the relay dies: without it the sandbox is merely cut off.
 */

#define STOP_MS     2000
#define PENDING_MAX 20000

/*** In the relay's process ***/

static void set_signals(void)
{
	static const int ignored[] = { SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,
				       SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU };
	sigset_t none;

	/* What a whole group is sent (timeout(1), a terminal, a manager) is the
	 * supervisor's to judge: we go when it is gone. */
	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Nothing of the supervisor's but the two sockets: they become 3 and 4. */
static int keep_only(int *sockets_fd, int *event_fd)
{
	int a = fcntl(*sockets_fd, F_DUPFD_CLOEXEC, 5);
	int b = fcntl(*event_fd, F_DUPFD_CLOEXEC, 5);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (a < 0 || b < 0 || null < 0)
		return fail(errno, "cannot sort the relay's descriptors");
	for (int fd = 0; fd < (M9M_SANITIZED ? 2 : 3); fd++)
		dup2(null, fd);
	*sockets_fd = a;
	*event_fd = b;
	if (dup3(a, 3, O_CLOEXEC) < 0 || dup3(b, 4, O_CLOEXEC) < 0 ||
	    syscall(SYS_close_range, 5u, ~0u, 0u) < 0)
		return fail(errno, "cannot close the relay's descriptors");
	*sockets_fd = 3;
	*event_fd = 4;
	return 0;
}

static _Noreturn void run(const struct net_policy *policy, pid_t parent,
			  int sockets_fd, int event_fd)
{
	err_reset();
	err_stage("network relay");
	set_signals();
	title_set("m9m-sandbox: network relay");
	if (keep_only(&sockets_fd, &event_fd) < 0)
		relay_give_up(sockets_fd);
	relay_serve(policy, parent, sockets_fd, event_fd);
}

/*** In the supervisor ***/

static int pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return fail(errno, "cannot make a socket pair for the relay");
	return 0;
}

int relay_start(struct relay *relay, const struct net_policy *policy)
{
	int sockets[2], events[2];
	pid_t parent = getpid();

	*relay = RELAY_NONE;
	if (pair(sockets) < 0)
		return -1;
	auto_fd int sockets_theirs = sockets[1];
	relay->sockets_fd = sockets[0];
	if (pair(events) < 0)
		return -1;
	auto_fd int events_theirs = events[1];
	relay->event_fd = events[0];
	relay->pid = fork();
	if (relay->pid < 0)
		return fail(errno, "cannot fork the network relay");
	if (relay->pid == 0)
		run(policy, parent, sockets_theirs, events_theirs);
	relay->pidfd = (int)syscall(SYS_pidfd_open, relay->pid, 0);
	if (relay->pidfd < 0)
		return fail(errno, "cannot watch the network relay");
	return 0;
}

void relay_handed_over(struct relay *relay)
{
	cleanup_fd(&relay->sockets_fd);
	relay->sockets_fd = -1;
}

/* 1, 0 none waits, -1 the end. */
static int receive(const struct relay *relay, struct net_event *event)
{
	ssize_t n;

	do
		n = recv(relay->event_fd, event, sizeof(*event), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	return n == (ssize_t)sizeof(*event) ? 1 : -1;
}

int relay_read_event(struct relay *relay, struct net_event *event)
{
	if (relay->next_pending < relay->n_pending) {
		*event = relay->pending[relay->next_pending++];
		return 1;
	}
	return relay->event_fd < 0 ? -1 : receive(relay, event);
}

/* What it still has to say would not all fit into the socket. */
static bool take_pending(struct relay *relay)
{
	struct net_event event;
	int rc = receive(relay, &event);

	if (rc != 1)
		return rc == 0;
	if (relay->n_pending == PENDING_MAX)
		return false;
	if ((relay->n_pending & (relay->n_pending - 1)) == 0)
		relay->pending = xrealloc_array(
		    relay->pending, relay->n_pending ? relay->n_pending * 2 : 1,
		    sizeof(*relay->pending));
	relay->pending[relay->n_pending++] = event;
	return true;
}

static void collect(struct relay *relay)
{
	uint64_t until = now_ms(CLOCK_MONOTONIC) + STOP_MS;
	struct pollfd pfd = { .fd = relay->event_fd, .events = POLLIN };

	for (;;) {
		uint64_t now = now_ms(CLOCK_MONOTONIC);

		if (now >= until)
			return;
		if (poll(&pfd, 1, (int)(until - now)) < 0 && errno != EINTR)
			return;
		if (pfd.revents && !take_pending(relay))
			return;
		pfd.revents = 0;
	}
}

/* The wait status: killed when it does not end by itself. */
static int reap(const struct relay *relay)
{
	struct pollfd pfd = { .fd = relay->pidfd, .events = POLLIN };
	int status = 0;

	if (relay->pidfd < 0 || poll(&pfd, 1, STOP_MS / 4) <= 0)
		kill(relay->pid, SIGKILL); /* not reaped yet: still its pid */
	while (waitpid(relay->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

int relay_stop(struct relay *relay)
{
	int status = 0;

	relay_handed_over(relay);
	if (relay->pid > 0) {
		/* Its end of file is the word to finish. */
		shutdown(relay->event_fd, SHUT_WR);
		collect(relay);
		status = reap(relay);
	}
	cleanup_fd(&relay->pidfd);
	cleanup_fd(&relay->event_fd);
	relay->pid = -1;
	relay->pidfd = relay->event_fd = -1;
	return status;
}

void relay_close(struct relay *relay)
{
	relay_stop(relay);
	free(relay->pending);
	*relay = RELAY_NONE;
}
