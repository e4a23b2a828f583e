/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

void signals_shed(void)
{
	/* The kernel would reap our children itself, and tell nobody. */
	signal(SIGCHLD, SIG_DFL);
	/* Beyond RLIMIT_FSIZE: an error that we can name, not a death. */
	signal(SIGXFSZ, SIG_IGN);
}

/* Of whoever had us end, for what is told at the end. */
#define HURRY_S 5

static const int passed_on[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
static volatile sig_atomic_t last_status;

int signals_take(bool die_with_parent)
{
	sigset_t set;
	int fd;

	/* TERM, not KILL: the run ends in order, nothing is lost. */
	if (die_with_parent && prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		return fail(errno, "cannot tie our life to the parent's");
	signal(SIGPIPE, SIG_IGN);
	/* In the background, reading the terminal is the end of input rather
	 * than a stop of the whole run. */
	signal(SIGTTIN, SIG_IGN);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
		sigaddset(&set, passed_on[i]);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return fail(errno, "cannot block signals");
	sigdelset(&set, SIGCHLD);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd >= 0 ? fd : fail(errno, "cannot wait for signals");
}

static void leave(int sig)
{
	(void)sig;
	_exit((int)last_status);
}

void signals_leave(int status, bool hurry)
{
	struct sigaction before;
	sigset_t set, pending;

	last_status = status;
	sigpending(&pending);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++) {
		hurry = hurry || sigismember(&pending, passed_on[i]) == 1;
		sigaction(passed_on[i], NULL, &before);
		/* What waits is dropped so.  nohup's stays as it is; and when
		 * we are here again nothing waits, nor is to be dropped. */
		if (before.sa_handler == SIG_DFL) {
			signal(passed_on[i], SIG_IGN);
			signal(passed_on[i], leave);
		}
		sigaddset(&set, passed_on[i]);
	}
	/* Otherwise it is our starter's own clock, if there is one. */
	if (hurry) {
		signal(SIGALRM, leave);
		sigaddset(&set, SIGALRM);
		alarm(HURRY_S);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}
