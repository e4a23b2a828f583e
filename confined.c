/* SPDX-License-Identifier: MIT */
#include "confined.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

#define TURN_MS 100

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* What else the supervisor has open is none of this process's business. */
static void close_others(const struct confined *c, int error_fd, int report_fd)
{
	size_t n = c->n_keep + 3;
	int *keep = xcalloc(n, sizeof(*keep));
	unsigned int from = 0;

	memcpy(keep, c->keep, c->n_keep * sizeof(*keep));
	keep[n - 3] = STDERR_FILENO;
	keep[n - 2] = error_fd;
	keep[n - 1] = report_fd;
	qsort(keep, n, sizeof(*keep), compare_fds);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < 0)
			continue;
		if ((unsigned int)keep[i] > from)
			close_range(from, (unsigned int)keep[i] - 1, 0);
		from = (unsigned int)keep[i] + 1;
	}
	close_range(from, ~0U, 0);
	free(keep);
}

static int become_owner(const struct confined *c)
{
	if (geteuid() != 0 || c->uid == 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(c->gid, c->gid, c->gid) < 0 ||
	    setresuid(c->uid, c->uid, c->uid) < 0)
		return fail(errno, "cannot run the %s as uid %u", c->name,
			    c->uid);
	return 0;
}

/* The order: a change of uid resets dumpable and the death signal. */
static int confine(const struct confined *c, int error_fd, int report_fd,
		   pid_t parent)
{
	static const int ignored[] = { SIGINT,  SIGTERM, SIGHUP,
				       SIGQUIT, SIGPIPE, SIGXFSZ };

	/* Who interrupts us at the end still wants the archive. */
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	close_others(c, error_fd, report_fd);
	if (become_owner(c) < 0)
		return -1;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0) < 0)
		return fail(errno, "cannot confine the %s", c->name);
	if (getppid() != parent)
		_exit(1);
	return 0;
}

_Noreturn static void child(const struct confined *c, int error_fd,
			    int report_fd, size_t size, pid_t parent)
{
	void *report = xcalloc(1, size);
	int rc = confine(c, error_fd, report_fd, parent);

	if (rc == 0)
		rc = c->work(c->arg, report);
	if (rc == 0 && write_all(report_fd, report, size) < 0)
		rc = fail(errno, "cannot report the work of the %s", c->name);
	if (rc < 0)
		err_send(error_fd);
	_exit(rc == 0 ? 0 : 1);
}

static int wait_for(const struct confined *c, pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail(errno, "cannot wait for the %s", c->name);
	if (WIFSIGNALED(status))
		return fail(0, "the %s was ended by signal %d", c->name,
			    WTERMSIG(status));
	return 0;
}

/* Until the child says something, if only by its end. */
static void pass_time(const struct confined *c, int error_fd)
{
	struct pollfd pfd = { error_fd, POLLIN, 0 };

	while (c->meanwhile && poll(&pfd, 1, TURN_MS) == 0)
		c->meanwhile(c->own);
}

/* What the child says, after which it is reaped. */
static int collect(const struct confined *c, pid_t pid, int error_fd,
		   int report_fd, void *report, size_t size)
{
	struct err_record record;
	auto_free char *bytes = NULL;
	size_t len = 0;
	int failed;

	pass_time(c, error_fd);
	failed = err_receive(error_fd, &record);
	if (failed)
		err_set(&record);
	else
		bytes = read_fd(report_fd, size, &len);
	if (wait_for(c, pid) < 0 || failed)
		return -1;
	if (bytes == NULL || len != size)
		return fail(0, "the %s said nothing", c->name);
	memcpy(report, bytes, size);
	return 0;
}

int confined_run(const struct confined *c, void *report, size_t size)
{
	int error[2] = { -1, -1 }, result[2] = { -1, -1 };
	pid_t parent = getpid(), pid;
	int rc = -1;

	if (pipe2(error, O_CLOEXEC) < 0 || pipe2(result, O_CLOEXEC) < 0) {
		cleanup_fd(&error[0]);
		cleanup_fd(&error[1]);
		return fail(errno, "cannot make a pipe");
	}
	pid = fork();
	if (pid == 0)
		child(c, error[1], result[1], size, parent);
	cleanup_fd(&error[1]);
	cleanup_fd(&result[1]);
	if (pid < 0)
		fail(errno, "cannot fork the %s", c->name);
	else
		rc = collect(c, pid, error[0], result[0], report, size);
	cleanup_fd(&error[0]);
	cleanup_fd(&result[0]);
	return rc;
}
