/* SPDX-License-Identifier: MIT */
#include "init.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "util.h"

/* What it keeps of its descriptors. */
enum { CONTROL, SIGNALS };

/* For what is killed to die, before it is left to the kernel. */
#define END_MS       1000
/* The supervisor ends a run in time.  But its looks at /proc may be held up by
 * processes that come and go there, and then it hears of no time. */
#define LATE_MS      1000
/* Orphans may die faster than they are reaped, for ever. */
#define REAP_AT_ONCE 256

struct init {
	pid_t payload;
	uint64_t deadline; /* ms; 0 none */
	bool more;         /* to reap, without another signal */
	struct control_message end;
};

static int keep_only(int control_fd, int signal_fd)
{
	if (dup2(control_fd, CONTROL) < 0 || dup2(signal_fd, SIGNALS) < 0)
		return -1;
	return close_range(2, ~0U, 0);
}

/* All but PID 1.  Outside of a namespace of our own, -1 would be all there are. */
static void kill_others(void)
{
	if (getpid() == 1)
		kill(-1, SIGKILL);
}

/*
 * Reaps what ended.  True once the payload did: init->end says how, and whether
 * anybody else lives in the namespace.
 */
static bool reap(struct init *init)
{
	bool ended = false;
	pid_t pid = 1;
	int status;

	for (int n = 0; n < REAP_AT_ONCE; n++) {
		pid = waitpid(-1, &status, WNOHANG);
		if (pid <= 0)
			break;
		if (pid == init->payload) {
			init->end.value = status;
			ended = true;
		}
	}
	init->more = pid > 0;
	init->end.alone = pid < 0 && errno == ECHILD;
	return ended;
}

/* Until there is something to do, or it is `until` (0: never). */
static int await(struct pollfd *fds, nfds_t n, const struct init *init,
		 uint64_t until)
{
	int timeout = init->more ? 0 : timeout_until(until);

	return poll(fds, n, timeout) < 0 && errno != EINTR ? -1 : 0;
}

/*
 * Kills all others in the namespace.  The kernel would, as PID 1 ends; but what
 * it reaps is in nobody's figures.
 */
static void end_others(struct init *init)
{
	uint64_t until = now_ms(CLOCK_MONOTONIC) + END_MS;
	struct pollfd signals = { SIGNALS, POLLIN, 0 };
	struct signalfd_siginfo info;

	kill_others();
	while (!init->end.alone && now_ms(CLOCK_MONOTONIC) < until) {
		if (await(&signals, 1, init, until) < 0 ||
		    (signals.revents && read(SIGNALS, &info, sizeof(info)) < 0))
			return;
		reap(init);
	}
}

/* The payload's end is told before that of what it leaves behind. */
static int tell_end(struct init *init)
{
	struct control_message *end = &init->end;

	if (!end->alone) {
		if (control_send_message(CONTROL, end, NULL, 0) < 0)
			return 125;
		end_others(init);
	}
	getrusage(RUSAGE_CHILDREN, &end->usage);
	return control_send_message(CONTROL, end, NULL, 0) < 0 ? 125 : 0;
}

/* What the supervisor wants; 125 if it is dead: so is everything here. */
static int obey(const struct init *init)
{
	struct control_message message;

	if (control_receive(CONTROL, &message, NULL) != 1)
		return 125;
	if (message.kind == CONTROL_SIGNAL)
		kill(-init->payload, message.value);
	else if (message.kind == CONTROL_KILL)
		kill_others();
	return 0;
}

static int watch(struct init *init)
{
	struct pollfd fds[] = { [CONTROL] = { CONTROL, POLLIN, 0 },
				[SIGNALS] = { SIGNALS, POLLIN, 0 } };
	struct signalfd_siginfo info;

	while (!reap(init)) {
		if (await(fds, ARRAY_SIZE(fds), init, init->deadline) < 0)
			return 125;
		if (fds[SIGNALS].revents &&
		    read(SIGNALS, &info, sizeof(info)) < 0)
			return 125;
		if (fds[CONTROL].revents && obey(init) != 0)
			return 125;
		if (init->deadline &&
		    now_ms(CLOCK_MONOTONIC) >= init->deadline) {
			init->deadline = 0;
			init->end.late = true;
			kill_others();
		}
	}
	return tell_end(init);
}

int init_run(int control_fd, int signal_fd, pid_t payload,
	     const struct plan *plan)
{
	struct init init = { .payload = payload,
			     .end = { .kind = CONTROL_EXITED } };

	if (plan->timeout_ms)
		init.deadline = now_ms(CLOCK_MONOTONIC) + plan->timeout_ms +
				plan->grace_ms + LATE_MS;
	if (keep_only(control_fd, signal_fd) < 0)
		return 125;
	return watch(&init);
}
