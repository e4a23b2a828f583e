/* SPDX-License-Identifier: MIT */
#include "recover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account.h"
#include "artifact.h"
#include "cgroup.h"
#include "changes_record.h"
#include "claim.h"
#include "err.h"
#include "event.h"
#include "journal.h"
#include "text.h"
#include "util.h"
#include "walk.h"

/* Of one start: runs looked at, dead runs taken up, time for those. */
#define LOOKS       8
#define RUNS_MAX    4
#define BUDGET_MS   500
/* For a killed process to be gone. */
#define PATIENCE_MS 2000

/*** Dead or alive ***/

/* Has this process been there since before that moment (CLOCK_BOOTTIME)? */
static bool is_older(pid_t pid, uint64_t ms)
{
	auto_free char *path = xasprintf("/proc/%d/stat", pid);
	auto_free char *text = read_file(AT_FDCWD, path, 4096, NULL);
	const char *name_end = text ? strrchr(text, ')') : NULL;
	unsigned long long ticks;

	/* The 22nd field; the second may hold anything. */
	if (name_end == NULL ||
	    sscanf(name_end + 1,
		   "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		   "%*s %*s %*s %*s %*s %llu",
		   &ticks) != 1)
		return false;
	return ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK) <= ms;
}

/* Pids and times of before the last boot mean nothing any more.  Not by the
 * journal's own time: who tries, and fails, adds to it. */
static bool is_of_this_boot(long long when)
{
	struct timespec real, boot;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return when >= real.tv_sec - boot.tv_sec - 1;
}

/*
 * PID 1 dies with its supervisor, but the lock is free a moment before: nothing
 * is read while something inside may still write.
 */
static int await_init(const struct strv *journal)
{
	size_t at = 0;
	const char *value = journal_next(journal, "init", &at);
	struct pollfd pfd = { .events = POLLIN };
	auto_fd int pidfd = -1;
	unsigned long long ms;
	long long when;
	int pid, rc;

	if (value == NULL ||
	    sscanf(value, "%d %llu %lld", &pid, &ms, &when) != 3 ||
	    !is_of_this_boot(when))
		return 0;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 || !is_older(pid, ms))
		return 0;
	pfd.fd = pidfd;
	do
		rc = poll(&pfd, 1, PATIENCE_MS);
	while (rc < 0 && errno == EINTR);
	return rc == 1 ? 0 : fail(0, "its process %d is still there", pid);
}

static int end_processes(const struct strv *journal)
{
	const char *path;
	size_t at = 0;
	int rc = 0;

	while ((path = journal_next(journal, "cgroup", &at)))
		if (cgroup_sweep(path) < 0)
			rc = -1;
	return rc < 0 ? -1 : await_init(journal);
}

/*** One dead run ***/

static int tidy(const struct workdir *wd, const struct strv *journal,
		const char *archive)
{
	const char *path;
	size_t at = 0;
	int rc = 0;

	artifact_tidy(archive, wd->tag);
	while ((path = journal_next(journal, "artifact", &at)))
		artifact_tidy(path, wd->tag);
	at = 0;
	while ((path = journal_next(journal, "output", &at)))
		if (workdir_tidy_output(path, wd->tag) < 0)
			rc = -1;
	return rc;
}

static bool has_log(const struct workdir *wd, const char *log)
{
	auto_fd int fd = workdir_open_log(wd, log);

	return fd >= 0;
}

/* Is there something that nobody else has? */
static bool holds_something(const struct workdir *wd)
{
	struct walk_reader reader;
	struct walk_name entry;
	struct stat st;
	int fd = wd->work_fd < 0 ? -1 : walk_reopen_dir(wd->work_fd, true, &st);
	int rc = 0;

	if (fd >= 0) {
		walk_start(&reader, fd);
		rc = walk_next(&reader, &entry);
		walk_end(&reader);
	}
	/* What cannot be read is for the archiver to fail on. */
	return rc != 0 || (wd->work_fd >= 0 && fd < 0) ||
	       has_log(wd, "stdout.log") || has_log(wd, "stderr.log");
}

/* To be archived: not by --no-artifact, not once it is, not half of it. */
static bool is_due(const struct workdir *wd, const struct strv *journal,
		   const char *archive)
{
	return !journal_has(journal, "no-artifact") &&
	       !journal_has(journal, "saved") && access(archive, F_OK) < 0 &&
	       holds_something(wd);
}

static void emit_recovered(const struct recovery *r, const struct workdir *wd,
			   const struct artifact *artifact)
{
	struct event_log log;

	if (event_open(&log, wd->run_id, NULL, r->audit_path, NULL, -1) < 0)
		return;
	account_artifact(&log, "recovered", artifact);
	event_close(&log);
}

/*
 * In the order of a run's own end: all in it is dead, then it is archived, then
 * removed.  Killed on the way, it is a dead run again.
 */
static int recover(const struct recovery *r, struct workdir *wd,
		   struct artifact *artifact)
{
	auto_strv struct strv journal = journal_read(wd->journal_fd);
	auto_free char *archive = xasprintf("%s/artifacts/%s.tar.zst",
					    r->state_dir, wd->run_id);
	struct artifact_request request = { .path = archive,
					    .compression = ARTIFACT_ZSTD };

	if (end_processes(&journal) < 0 || tidy(wd, &journal, archive) < 0)
		return -1;
	if (is_due(wd, &journal, archive)) {
		if (wd->work_fd >= 0)
			request.layer = changes_recover(wd, &journal);
		if (artifact_write(wd, &request, artifact) < 0)
			return -1;
	}
	/* With an empty journal it is not even a run: its owner, if it lives,
	 * makes it again. */
	if (journal.n > 0)
		emit_recovered(r, wd, artifact);
	if (artifact->path && journal_add(wd->journal_fd, "saved", "") < 0)
		return -1;
	return workdir_remove(wd);
}

/*** By a run at its start ***/

_Noreturn static void collector(const struct recovery *r, struct workdir *wds,
				struct artifact *artifacts, size_t n,
				pid_t parent)
{
	int left = 0;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit((int)n);
	for (size_t i = 0; i < n; i++) {
		if (recover(r, &wds[i], &artifacts[i]) < 0)
			left++;
		err_reset();
		workdir_close(&wds[i]);
	}
	_exit(left);
}

/* In a process of its own, which can be told to stop; the artifacts are shared
 * with it, but their paths are its own. */
static size_t collect(const struct recovery *r, struct workdir *wds,
		      struct artifact *artifacts, size_t n)
{
	pid_t parent = getpid(), pid = fork();
	struct pollfd pfd = { .events = POLLIN };
	auto_fd int pidfd = -1;
	int status = 0;

	if (pid == 0)
		collector(r, wds, artifacts, n, parent);
	if (pid < 0)
		return n;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	pfd.fd = pidfd;
	if (pidfd < 0 || poll(&pfd, 1, BUDGET_MS) != 1)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? (size_t)WEXITSTATUS(status) : n;
}

static void warn_left_out(struct outcome *out, const char *run_id, uint64_t n)
{
	auto_free char *of = xasprintf(" of the earlier run %s", run_id);
	auto_free char *text = outcome_left_out(of, n,
						"; its skipped.txt names them");

	if (n > 0)
		outcome_add_warning(out, "%s", text);
}

/* The same, and what the archives had to do without. */
static size_t collect_and_warn(const struct recovery *r, struct workdir *wds,
			       size_t n, struct outcome *out)
{
	const size_t size = n * sizeof(struct artifact);
	struct artifact *artifacts = mmap(NULL, size, PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size_t left;

	if (artifacts == MAP_FAILED)
		return n;
	left = collect(r, wds, artifacts, n);
	for (size_t i = 0; i < n; i++)
		warn_left_out(out, wds[i].run_id, artifacts[i].left_out);
	munmap(artifacts, size);
	return left;
}

/* 1 taken up, 0 not dead, or not for us; counts what was tried before. */
static int take_up(const char *runs_dir, int runs_fd, const char *id,
		   struct workdir *wd, size_t *left)
{
	auto_strv struct strv journal = { 0 };

	if (workdir_adopt(wd, runs_dir, runs_fd, id) == 1) {
		journal = journal_read(wd->journal_fd);
		if (!journal_has(&journal, "tried")) {
			/* Whatever it is that takes too long or fails, it does
			 * so once. */
			if (journal.n == 0 ||
			    journal_add(wd->journal_fd, "tried", "") == 0)
				return 1;
		}
		++*left;
	}
	err_reset();
	workdir_close(wd);
	return 0;
}

size_t recover_some(const struct recovery *r, int runs_fd, const char *own_id,
		    struct outcome *out)
{
	auto_strv struct strv ids = { 0 };
	auto_free char *runs_dir = NULL;
	struct workdir wds[RUNS_MAX];
	size_t n = 0, left = 0, first;

	if (workdir_list(runs_fd, own_id, &ids) < 0 || ids.n == 0)
		return 0;
	runs_dir = path_join(r->state_dir, "runs");
	/* Among many that live, each start looks at others. */
	first = strtoul(own_id + strcspn(own_id, "-") + 1, NULL, 16);
	for (size_t i = 0; i < ids.n && i < LOOKS && n < RUNS_MAX; i++)
		n += (size_t)take_up(runs_dir, runs_fd,
				     ids.v[(first + i) % ids.n], &wds[n],
				     &left);
	if (n > 0)
		left += collect_and_warn(r, wds, n, out);
	for (size_t i = 0; i < n; i++)
		workdir_close(&wds[i]);
	return left;
}

/*** --gc ***/

enum { LIVE, RECOVERED, KEPT, FATES };

static void tell(const struct workdir *wd, const struct artifact *artifact,
		 FILE *out)
{
	auto_free char *path = artifact->path
				   ? text_visible(artifact->path, true)
				   : NULL;

	if (path == NULL) {
		fprintf(out, "%s: nothing to keep\n", wd->run_id);
		return;
	}
	fprintf(out, "%s: %llu files in %s", wd->run_id,
		(unsigned long long)artifact->files, path);
	if (artifact->left_out > 0)
		fprintf(out, ", %llu left out: see skipped.txt in it",
			(unsigned long long)artifact->left_out);
	fputc('\n', out);
}

static int recover_one(const struct recovery *r, const char *runs_dir,
		       int runs_fd, const char *id, FILE *out)
{
	struct artifact artifact = { 0 };
	struct workdir wd;
	int rc = workdir_adopt(&wd, runs_dir, runs_fd, id), fate = LIVE;

	if (rc == 1) {
		rc = recover(r, &wd, &artifact);
		fate = RECOVERED;
		/* What comes after the archive can fail: it is there. */
		if (rc == 0 || artifact.path)
			tell(&wd, &artifact, out);
	}
	if (rc < 0) {
		auto_free char *why = text_visible(err_get()->message, true);

		fprintf(stderr, "m9m-sandbox: %s in %s is kept: %s\n", id,
			runs_dir, why);
		err_reset();
		fate = KEPT;
	}
	artifact_free(&artifact);
	workdir_close(&wd);
	return fate;
}

int recover_all(const struct recovery *r, FILE *out)
{
	auto_free char *runs_dir = path_join(r->state_dir, "runs");
	auto_strv struct strv ids = { 0 };
	size_t n[FATES] = { 0 };
	auto_fd int runs_fd = -1;

	if (access(runs_dir, F_OK) < 0 && errno == ENOENT) {
		fputs("no runs\n", out);
		return 0;
	}
	runs_fd = workdir_open_runs(runs_dir);
	if (runs_fd < 0)
		return -1;
	if (workdir_list(runs_fd, NULL, &ids) < 0)
		return fail(errno, "cannot read %s", runs_dir);
	for (size_t i = 0; i < ids.n; i++)
		n[recover_one(r, runs_dir, runs_fd, ids.v[i], out)]++;
	claim_sweep(runs_fd);
	fprintf(out, "%zu dead, %zu kept, %zu live\n", n[RECOVERED] + n[KEPT],
		n[KEPT], n[LIVE]);
	return n[KEPT] ? -1 : 0;
}
