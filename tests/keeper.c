/* SPDX-License-Identifier: MIT */

/*
 * keeper SECONDS COMMAND...: runs one test and answers for all it started.
 *
 * As a child subreaper it becomes the parent of every process that the test
 * lost, whatever session, process group, user or PID namespace that moved to.
 * So "nothing is left" is a fact about our children, not a search by name.
 *
 * Exit status: the command's; 128+N by signal; 124 on timeout; 98 when the
 * command succeeded but left processes behind; 125 when it could not start.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What was killed just now may still be on its way out. */
#define LINGER_SECONDS 2
/* As long as it is, on a machine that has much else to do. */
#define DYING_SECONDS  60
/* Of the kernel's flags of a process, as /proc has them: PF_EXITING. */
#define EXITING        4U

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static pid_t parent_of(const char *pid, char *comm, size_t size,
		       unsigned int *flags)
{
	char path[64], buf[512], *end;
	ssize_t n;
	int fd, ppid;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	buf[n] = 0;
	/* The name may hold spaces and brackets: it ends at the last one. */
	end = strrchr(buf, ')');
	if (!end ||
	    sscanf(end + 1, " %*c %d %*d %*d %*d %*d %u", &ppid, flags) != 2)
		return -1;
	*end = 0;
	snprintf(comm, size, "%s",
		 strchr(buf, '(') ? strchr(buf, '(') + 1 : "");
	return ppid;
}

/* Killed, and not there yet: a signal that it has not seen, or its own exit. */
static bool is_dying(const char *pid, unsigned int flags)
{
	unsigned long long pending = 0;
	char path[64], line[256];
	bool killed = false;
	FILE *status;

	if (flags & EXITING)
		return true;
	snprintf(path, sizeof(path), "/proc/%.20s/status", pid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "SigPnd: %llx", &pending) == 1 ||
		    sscanf(line, "ShdPnd: %llx", &pending) == 1)
			killed |= (pending >> (SIGKILL - 1)) & 1;
	if (status)
		fclose(status);
	return killed;
}

/* Is nothing left of the children but what is dying? */
static bool all_dying(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	unsigned int flags;
	bool all = proc != NULL;
	char comm[64];

	while (all && (entry = readdir(proc)))
		if (parent_of(entry->d_name, comm, sizeof(comm), &flags) ==
		    getpid())
			all = is_dying(entry->d_name, flags);
	if (proc)
		closedir(proc);
	return all;
}

/* Kills each child that is there now; with `tell`, names it first. */
static void kill_children(bool tell)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	unsigned int flags;
	char comm[64];

	if (!proc)
		return;
	while ((entry = readdir(proc))) {
		if (parent_of(entry->d_name, comm, sizeof(comm), &flags) !=
		    getpid())
			continue;
		if (tell)
			printf("keeper: left behind: process %s (%s)\n",
			       entry->d_name, comm);
		kill(atoi(entry->d_name), SIGKILL);
	}
	closedir(proc);
	fflush(stdout);
}

/* Waits for any child until `deadline`: its pid, 0 on time out, -1 for none. */
static pid_t wait_until(double deadline, int *status)
{
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	for (;;) {
		double left = deadline - now();
		struct timespec ts = { .tv_sec = (time_t)left };
		pid_t pid = waitpid(-1, status, WNOHANG);

		if (pid)
			return pid;
		if (left <= 0)
			return 0;
		ts.tv_nsec = (long)((left - (double)ts.tv_sec) * 1e9);
		sigtimedwait(&chld, NULL, &ts);
	}
}

/* True when the children did not all end by themselves. */
static bool reap_all(bool patient)
{
	double deadline = now() + (patient ? LINGER_SECONDS : 0);
	double last = now() + DYING_SECONDS;
	bool left = false;
	int status;

	for (;;) {
		pid_t pid = wait_until(deadline, &status);

		if (pid < 0)
			return left;
		if (pid > 0)
			continue;
		if (patient && now() < last && all_dying()) {
			deadline = now() + 0.1;
			continue;
		}
		/* Killing a parent hands us its children: round again. */
		kill_children(patient);
		left = true;
		deadline = now() + 0.1;
	}
}

/* Who is told to end takes all along: a server that lives on would keep what it
 * has, and the locks that it was started under. */
static void on_signal(int sig)
{
	kill_children(false);
	reap_all(false);
	_exit(128 + sig);
}

static pid_t start(char **argv, const sigset_t *chld)
{
	pid_t pid = fork();

	if (pid == 0) {
		sigprocmask(SIG_UNBLOCK, chld, NULL);
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		/* No terminal: a test that wants one makes its own. */
		setsid();
		execvp(argv[0], argv);
		fprintf(stderr, "keeper: cannot execute %s: %s\n", argv[0],
			strerror(errno));
		_exit(125);
	}
	return pid;
}

int main(int argc, char **argv)
{
	double deadline;
	int status = 0;
	sigset_t chld;
	pid_t test, pid;

	if (argc < 3 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return 125;
	deadline = now() + atof(argv[1]);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);

	test = start(argv + 2, &chld);
	if (test < 0)
		return 125;
	do {
		pid = wait_until(deadline, &status);
	} while (pid > 0 && pid != test);
	if (pid != test) {
		printf("keeper: not done after %s s\n", argv[1]);
		kill_children(false);
		reap_all(false);
		return 124;
	}
	if (reap_all(true) && WIFEXITED(status) && !WEXITSTATUS(status))
		return 98;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
