/* SPDX-License-Identifier: MIT */
#include "artifact.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "pack.h"
#include "tarball.h"
#include "walk.h"

/*
 *	parent					child, as the workdir's owner
 *
 *	opens the folder, .NAME.RUNID.tmp,
 *	the logs of the run
 *	fork ---------------------------------> keeps these and work/ only
 *						walk -> tar -> zstd -> sha256
 *	                              <-- error, or struct report --
 *	fsync, rename, fsync the folder
 *
 * The payload is dead, and still the tree is its word: names, depths, sizes,
 * modes, links.  So it is read with the rights that the payload had, by a
 * process that holds nothing but the tree and the file that it writes.  That
 * also is how a directory of mode 000 is opened: by the one who may chmod it.
 */

struct report {
	char sha256[SHA256_HEX];
	uint64_t bytes, files, skipped;
};

/* Files of the run itself, in their order in the archive. */
static const char *const logs[] = { "events.jsonl", "stdout.log",
				    "stderr.log" };

#define LOGS ARRAY_SIZE(logs)

struct target {
	char *folder;
	const char *name; /* of the request's path */
	char *temp;
	int dir_fd;
	int fd; /* of temp */
};

struct job {
	const struct workdir *wd;
	const struct artifact_request *request;
	int out_fd;
	int log_fds[LOGS]; /* -1: there is none */
	int error_fd, report_fd;
	pid_t parent;
};

int artifact_compression_of(const char *path, enum artifact_compression *out)
{
	static const struct {
		const char *suffix;
		enum artifact_compression compression;
	} table[] = {
		{ ".tar.zst", ARTIFACT_ZSTD }, { ".tzst", ARTIFACT_ZSTD },
		{ ".tar.gz", ARTIFACT_GZIP },  { ".tgz", ARTIFACT_GZIP },
		{ ".tar", ARTIFACT_NONE },
	};
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		size_t n = strlen(table[i].suffix);

		if (len <= n || strcmp(path + len - n, table[i].suffix) != 0)
			continue;
		*out = table[i].compression;
		return 0;
	}
	return -1;
}

/* --- the child ---------------------------------------------------------- */

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* What else the supervisor has open is none of the archiver's business. */
static void close_others(const struct job *job)
{
	int keep[LOGS + 5] = { STDERR_FILENO, job->wd->work_fd, job->out_fd,
			       job->error_fd, job->report_fd };
	unsigned int from = 0;

	memcpy(keep + 5, job->log_fds, sizeof(job->log_fds));
	qsort(keep, ARRAY_SIZE(keep), sizeof(*keep), compare_fds);
	for (size_t i = 0; i < ARRAY_SIZE(keep); i++) {
		if (keep[i] < 0)
			continue;
		if ((unsigned int)keep[i] > from)
			close_range(from, (unsigned int)keep[i] - 1, 0);
		from = (unsigned int)keep[i] + 1;
	}
	close_range(from, ~0U, 0);
}

static int become_owner(const struct workdir *wd)
{
	if (geteuid() != 0 || wd->uid == 0)
		return 0;
	if (setgroups(0, NULL) < 0 ||
	    setresgid(wd->gid, wd->gid, wd->gid) < 0 ||
	    setresuid(wd->uid, wd->uid, wd->uid) < 0)
		return fail(errno, "cannot archive as uid %u", wd->uid);
	return 0;
}

/* The order: a change of uid resets dumpable and the death signal. */
static int confine(const struct job *job)
{
	static const int ignored[] = { SIGINT,  SIGTERM, SIGHUP,
				       SIGQUIT, SIGPIPE, SIGXFSZ };
	const struct rlimit no_core = { 0, 0 };

	/* Who interrupts us at the end still wants the archive. */
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	close_others(job);
	if (become_owner(job->wd) < 0)
		return -1;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    setrlimit(RLIMIT_CORE, &no_core) < 0)
		return fail(errno, "cannot confine the archiver");
	if (getppid() != job->parent)
		_exit(1);
	return 0;
}

static int add_all(struct tarball *t, const struct job *job)
{
	const char *json = job->request->run_json;
	struct stat st;

	if (fstat(job->wd->work_fd, &st) < 0)
		return fail(errno, "cannot look at the workdir");
	if (json && tarball_add_text(t, "run.json", json, strlen(json),
				     st.st_mtim.tv_sec) < 0)
		return -1;
	for (size_t i = 0; i < LOGS; i++)
		if (job->log_fds[i] >= 0 &&
		    tarball_add_file(t, logs[i], job->log_fds[i]) < 0)
			return -1;
	return tarball_add_tree(t, "work", job->wd->work_fd);
}

static int build(const struct job *job, struct report *report)
{
	struct pack pack;
	struct tarball *t = NULL;
	int rc = -1;

	if (pack_open(&pack, job->request->compression, job->out_fd,
		      job->request->path) == 0)
		t = tarball_open(&pack);
	if (t && add_all(t, job) == 0)
		rc = tarball_finish(t, &report->files, &report->skipped);
	report->bytes = pack.bytes;
	sha256_hex(&pack.sha, report->sha256);
	tarball_free(t);
	pack_free(&pack);
	return rc;
}

_Noreturn static void child(const struct job *job)
{
	struct report report = { 0 };
	int rc = confine(job);

	if (rc == 0)
		rc = build(job, &report);
	if (rc == 0 && write_all(job->report_fd, &report, sizeof(report)) < 0)
		rc = fail(errno, "cannot report the archive");
	if (rc < 0)
		err_send(job->error_fd);
	_exit(rc == 0 ? 0 : 1);
}

/* --- the parent --------------------------------------------------------- */

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail(errno, "cannot wait for the archiver");
	if (WIFSIGNALED(status))
		return fail(0,
			    "cannot archive: the archiver was ended by "
			    "signal %d",
			    WTERMSIG(status));
	return 0;
}

/* What the child says, after which it is reaped. */
static int collect(pid_t pid, int error_fd, int report_fd,
		   struct report *report)
{
	struct err_record record;
	auto_free char *bytes = NULL;
	size_t len = 0;
	int failed = err_receive(error_fd, &record);

	if (failed)
		err_set(&record);
	else
		bytes = read_fd(report_fd, sizeof(*report), &len);
	if (wait_for(pid) < 0 || failed)
		return -1;
	if (bytes == NULL || len != sizeof(*report))
		return fail(0, "cannot archive: the archiver said nothing");
	memcpy(report, bytes, sizeof(*report));
	report->sha256[SHA256_HEX - 1] = '\0';
	return 0;
}

static int run_child(struct job *job, struct report *report)
{
	int error[2] = { -1, -1 }, result[2] = { -1, -1 };
	int rc = -1;
	pid_t pid;

	if (pipe2(error, O_CLOEXEC) < 0 || pipe2(result, O_CLOEXEC) < 0) {
		cleanup_fd(&error[0]);
		cleanup_fd(&error[1]);
		return fail(errno, "cannot make a pipe");
	}
	job->error_fd = error[1];
	job->report_fd = result[1];
	job->parent = getpid();
	pid = fork();
	if (pid == 0)
		child(job);
	cleanup_fd(&error[1]);
	cleanup_fd(&result[1]);
	if (pid < 0)
		fail(errno, "cannot fork the archiver");
	else
		rc = collect(pid, error[0], result[0], report);
	cleanup_fd(&error[0]);
	cleanup_fd(&result[0]);
	return rc;
}

/* Before the fork: the child may not look into our own directory. */
static int open_logs(struct job *job)
{
	int rc = 0;

	for (size_t i = 0; i < LOGS; i++) {
		job->log_fds[i] = openat(job->wd->run_fd, logs[i],
					 O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (job->log_fds[i] < 0 && errno != ENOENT)
			rc = fail(errno, "cannot open %s/%s", job->wd->path,
				  logs[i]);
	}
	return rc;
}

static int open_temp(const struct target *target, const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(target->dir_fd, target->temp, flags, 0600);

	/* Of this very run: one that was killed, and is archived again. */
	if (fd < 0 && errno == EEXIST &&
	    unlinkat(target->dir_fd, target->temp, 0) == 0)
		fd = openat(target->dir_fd, target->temp, flags, 0600);
	if (fd < 0)
		return fail(errno, "cannot write the archive %s", path);
	return fd;
}

/* From the path: the folder, the name in it, and the temporary one. */
static int name_target(struct target *target, const char *path,
		       const char *run_id)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash[1] == '\0')
		return -1;
	target->name = slash + 1;
	target->folder = slash == path ? xstrdup("/")
				       : xstrndup(path, (size_t)(slash - path));
	/* The part of a long name that leaves room for the rest. */
	target->temp = xasprintf(".%.*s.%s.tmp", NAME_MAX / 2, target->name,
				 run_id);
	return 0;
}

static int open_target(struct target *target, const char *path,
		       const char *run_id)
{
	struct stat st;

	if (name_target(target, path, run_id) < 0)
		return fail(0,
			    "cannot write the archive \"%s\": not the "
			    "absolute path of a file",
			    path);
	target->dir_fd = walk_make_dirs(target->folder, 0700);
	if (target->dir_fd < 0)
		return -1;
	/* Better now than after all the work. */
	if (fstatat(target->dir_fd, target->name, &st, 0) == 0 &&
	    S_ISDIR(st.st_mode))
		return fail(EISDIR, "cannot write the archive %s", path);
	target->fd = open_temp(target, path);
	return target->fd < 0 ? -1 : 0;
}

/* On the disk first, then under its name, then the name on the disk. */
static int publish(const struct target *target, const char *path)
{
	if (fsync(target->fd) < 0)
		return fail(errno, "cannot write the archive %s", path);
	if (renameat(target->dir_fd, target->temp, target->dir_fd,
		     target->name) < 0)
		return fail(errno, "cannot rename the archive to %s", path);
	if (fsync(target->dir_fd) < 0 && errno != EINVAL)
		return fail(errno, "cannot write the folder %s to the disk",
			    target->folder);
	return 0;
}

static void close_target(struct target *target)
{
	cleanup_fd(&target->fd);
	cleanup_fd(&target->dir_fd);
	free(target->temp);
	free(target->folder);
}

static int write_target(struct target *target, const struct workdir *wd,
			const struct artifact_request *req,
			struct report *report)
{
	struct job job = { .wd = wd, .request = req, .out_fd = target->fd };
	int rc = open_logs(&job);

	if (rc == 0)
		rc = run_child(&job, report);
	for (size_t i = 0; i < LOGS; i++)
		cleanup_fd(&job.log_fds[i]);
	if (rc == 0)
		rc = publish(target, req->path);
	/* After the rename there is none of that name. */
	if (rc < 0)
		(void)unlinkat(target->dir_fd, target->temp, 0);
	return rc;
}

int artifact_write(const struct workdir *wd, const struct artifact_request *req,
		   struct artifact *out)
{
	struct target target = { .dir_fd = -1, .fd = -1 };
	struct report report = { 0 };
	int rc;

	*out = (struct artifact){ 0 };
	rc = open_target(&target, req->path, wd->run_id);
	if (rc == 0 && target.temp)
		rc = write_target(&target, wd, req, &report);
	close_target(&target);
	if (rc < 0 && wd->mount_fd >= 0)
		return fail_remedy("--artifact FILE writes the archive "
				   "elsewhere");
	if (rc < 0)
		return fail_remedy("nothing is lost: the workdir is kept as "
				   "%s; --artifact FILE writes the archive "
				   "elsewhere",
				   wd->path);
	out->path = xstrdup(req->path);
	memcpy(out->sha256, report.sha256, sizeof(out->sha256));
	out->bytes = report.bytes;
	out->files = report.files;
	out->skipped = report.skipped;
	return 0;
}

void artifact_tidy(const char *path, const char *run_id)
{
	struct target target = { .dir_fd = -1, .fd = -1 };

	if (name_target(&target, path, run_id) == 0)
		target.dir_fd = open(target.folder,
				     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (target.dir_fd >= 0)
		(void)unlinkat(target.dir_fd, target.temp, 0);
	close_target(&target);
}

void artifact_free(struct artifact *artifact)
{
	free(artifact->path);
	*artifact = (struct artifact){ 0 };
}
