/* SPDX-License-Identifier: MIT */

/* The end, when a signal has us leave at once; signals that nobody reads. */

#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "tap.h"

#define TRIES  100
#define ROUNDS 20000

/* Leaves again and again, as for a result and then for the account; what it
 * writes is read first. */
static void leave_often(int ready_fd)
{
	if (signals_take(false) < 0)
		_exit(2);
	signals_leave(7, false);
	if (write(ready_fd, "", 1) != 1)
		_exit(2);
	for (int i = 0; i < ROUNDS; i++)
		signals_leave(7, false);
	_exit(1);
}

/* Its status after one SIGTERM, which comes whenever it comes. */
static int end_one(int i)
{
	int fds[2], status = -1;
	char byte;
	pid_t pid;

	if (pipe(fds) < 0)
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		leave_often(fds[1]);
	if (pid < 0 || read(fds[0], &byte, 1) != 1)
		return -1;
	/* Somewhere within its rounds. */
	usleep((useconds_t)i * 5);
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	close(fds[0]);
	close(fds[1]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* To a PID 1 that someone has stopped: it is not waited for. */
static void test_deaf(void)
{
	int fds[2], sent = 0;

	if (control_pair(fds) < 0) {
		ok(false, "a pair");
		return;
	}
	alarm(20);
	while (control_send(fds[0], CONTROL_SIGNAL, SIGTERM, -1) == 0)
		sent++;
	ok(errno == EAGAIN, "who does not read gets %d signals", sent);
	ok(control_send(fds[0], CONTROL_KILL, 0, -1) < 0 && errno == EAGAIN,
	   "and is not asked to end");
	alarm(0);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	int ended = 0;

	for (int i = 0; i < TRIES; i++)
		ended += end_one(i) == 7;
	ok(ended == TRIES, "a signal ends us at each moment: %d of %d times",
	   ended, TRIES);
	test_deaf();
	return done();
}
