/* SPDX-License-Identifier: MIT */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

/*
 * Theory of operation
 *
 * Most runs without a network never try to reach it, and a relay that would
 * record it costs a third of a start.  So the system call filter asks about the
 * first socket, and while its process waits for the answer
 *
 *	supervisor --fork--> relay
 *	supervisor --fork--> helper: into the namespace, makes the sockets there,
 *			     hands them to the relay, ends
 *
 * The helper reads nothing that the payload wrote.  It is in none of the
 * payload's other namespaces: seen by nobody inside, and no file of theirs is
 * in its reach.
 */

/* With all capabilities over the sandbox's namespaces, and over nothing else. */
static int enter(int net_fd)
{
	auto_fd int user_fd = ioctl(net_fd, NS_GET_USERNS);

	if (user_fd < 0 || setns(user_fd, CLONE_NEWUSER) < 0 ||
	    setns(net_fd, CLONE_NEWNET) < 0)
		return fail(errno, "cannot enter the sandbox's network");
	return 0;
}

static _Noreturn void help(const struct relay *relay,
			   const struct net_policy *policy, int net_fd,
			   int err_fd)
{
	err_reset();
	err_stage("network");
	if (enter(net_fd) < 0 ||
	    netpol_hand_over(policy, relay->sockets_fd) < 0)
		err_send(err_fd);
	_exit(0);
}

/* By fail(), with the helper's own failure. */
static int await(pid_t helper, int err_fd)
{
	struct err_record error;
	bool failed = err_receive(err_fd, &error);
	int status = -1;

	while (waitpid(helper, &status, 0) < 0 && errno == EINTR)
		;
	if (failed) {
		err_set(&error);
		return -1;
	}
	return status == 0 ? 0 : fail(0, "its helper was killed");
}

int relay_start_late(struct relay *relay, const struct net_policy *policy,
		     int net_fd)
{
	int err[2];
	pid_t helper;
	int rc;

	if (pipe2(err, O_CLOEXEC) < 0)
		return fail(errno, "cannot make a pipe");
	auto_fd int err_read = err[0];
	auto_fd int err_write = err[1];

	if (relay_start(relay, policy) < 0)
		return -1;
	helper = fork();
	if (helper == 0)
		help(relay, policy, net_fd, err_write);
	cleanup_fd(&err_write);
	err_write = -1;
	rc = helper < 0 ? fail(errno, "cannot fork") : await(helper, err_read);
	relay_handed_over(relay);
	return rc;
}
