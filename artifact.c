/* SPDX-License-Identifier: MIT */
#include "artifact.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "confined.h"
#include "err.h"
#include "pack.h"
#include "progress.h"
#include "replace.h"
#include "tarball.h"
#include "walk.h"

/*
 *	parent					child, as the workdir's owner
 *
 *	opens the folder, .NAME.TAG.tmp,
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
	uint64_t bytes;
	struct tarball_count count;
};

#define FLUSH_SIZE (32 << 20)

struct target {
	struct replace_names names; /* of the request's path */
	int dir_fd;
	int fd;        /* of the temporary one */
	off_t flushed; /* so much was sent to the disk */
	int error;     /* errno of that, 0 none */
};

struct job {
	const struct workdir *wd;
	const struct artifact_request *request;
	int out_fd;
	int log_fds[WORKDIR_LOGS]; /* -1: there is none */
	int progress_fd;           /* -1: nobody looks */
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

static int add_all(struct tarball *t, const struct job *job)
{
	const char *json = job->request->run_json;
	struct stat st;

	if (fstat(job->wd->work_fd >= 0 ? job->wd->work_fd : job->out_fd, &st) <
	    0)
		return fail(errno, "cannot look at the workdir");
	if (json && tarball_add_text(t, "run.json", json, strlen(json),
				     st.st_mtim.tv_sec) < 0)
		return -1;
	for (size_t i = 0; i < WORKDIR_LOGS; i++)
		if (job->log_fds[i] >= 0 &&
		    tarball_add_file(t, workdir_logs[i], job->log_fds[i]) < 0)
			return -1;
	if (job->progress_fd >= 0)
		tarball_show_progress(t, job->progress_fd);
	if (job->request->layer)
		tarball_pass_whiteouts(t);
	/* Of a dead run with a disk, which is gone: the logs alone. */
	return job->wd->work_fd < 0
		   ? 0
		   : tarball_add_tree(t, "work", job->wd->work_fd);
}

static int build(const void *arg, void *out)
{
	const struct job *job = arg;
	struct report *report = out;
	struct pack pack;
	struct tarball *t = NULL;
	int rc = -1;

	if (pack_open(&pack, job->request->compression, job->out_fd,
		      job->request->path) == 0)
		t = tarball_open(&pack, &job->request->limits);
	if (t && add_all(t, job) == 0)
		rc = tarball_finish(t, &report->count);
	report->bytes = pack.bytes;
	sha256_hex(&pack.sha, report->sha256);
	tarball_free(t);
	pack_free(&pack);
	return rc;
}

/* --- the parent --------------------------------------------------------- */

/*
 * The disk works while the processor does: what is on it already need not be
 * waited for at the end.  A failure is told once, to whoever asks first.
 */
static void flush(void *own)
{
	struct target *target = own;
	struct stat st;

	if (fstat(target->fd, &st) < 0 ||
	    st.st_size - target->flushed < FLUSH_SIZE)
		return;
	target->flushed = st.st_size;
	if (fdatasync(target->fd) < 0 && target->error == 0)
		target->error = errno;
}

static int run_child(struct job *job, struct target *target,
		     struct report *report)
{
	int keep[WORKDIR_LOGS + 3] = { job->wd->work_fd, job->out_fd,
				       job->progress_fd };
	const struct confined child = { .name = "archiver",
					.uid = job->wd->uid,
					.gid = job->wd->gid,
					.keep = keep,
					.n_keep = ARRAY_SIZE(keep),
					.work = build,
					.arg = job,
					.meanwhile = flush,
					.own = target };

	memcpy(keep + 3, job->log_fds, sizeof(job->log_fds));
	if (confined_run(&child, report, sizeof(*report)) < 0)
		return -1;
	report->sha256[SHA256_HEX - 1] = '\0';
	return 0;
}

/* Before the fork: the child may not look into RUNS. */
static int open_logs(struct job *job)
{
	int rc = 0;

	for (size_t i = 0; i < WORKDIR_LOGS; i++) {
		job->log_fds[i] = workdir_open_log(job->wd, workdir_logs[i]);
		if (job->log_fds[i] < 0 && errno != ENOENT)
			rc = fail(errno, "cannot open %s of the run",
				  workdir_logs[i]);
	}
	return rc;
}

static int open_temp(const struct target *target, const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(target->dir_fd, target->names.temp, flags, 0600);

	/* Of this very run: one that was killed, and is archived again. */
	if (fd < 0 && errno == EEXIST &&
	    unlinkat(target->dir_fd, target->names.temp, 0) == 0)
		fd = openat(target->dir_fd, target->names.temp, flags, 0600);
	if (fd < 0)
		return fail(errno, "cannot write the archive %s", path);
	return fd;
}

static int open_target(struct target *target, const char *path, const char *tag)
{
	struct stat st;

	if (replace_names(&target->names, path, tag) < 0)
		return fail(0,
			    "cannot write the archive \"%s\": not the "
			    "absolute path of a file",
			    path);
	target->dir_fd = walk_make_dirs(target->names.folder, 0700);
	if (target->dir_fd < 0)
		return -1;
	/* What the rename would say, better now than after all the work. */
	if (fstatat(target->dir_fd, target->names.name, &st, 0) == 0)
		errno = S_ISDIR(st.st_mode) ? EISDIR : 0;
	if (errno == EISDIR || errno == ENAMETOOLONG)
		return fail(errno, "cannot write the archive %s", path);
	target->fd = open_temp(target, path);
	return target->fd < 0 ? -1 : 0;
}

/* On the disk first, then under its name, then the name on the disk. */
static int publish(const struct target *target, const char *path)
{
	if (fsync(target->fd) < 0 || target->error)
		return fail(target->error ? target->error : errno,
			    "cannot write the archive %s", path);
	if (renameat(target->dir_fd, target->names.temp, target->dir_fd,
		     target->names.name) < 0)
		return fail(errno, "cannot rename the archive to %s", path);
	if (fsync(target->dir_fd) < 0 && errno != EINVAL)
		return fail(errno, "cannot write the folder %s to the disk",
			    target->names.folder);
	return 0;
}

static void close_target(struct target *target)
{
	cleanup_fd(&target->fd);
	cleanup_fd(&target->dir_fd);
	replace_names_free(&target->names);
}

int artifact_check(const char *path, const char *tag)
{
	struct target target = { .dir_fd = -1, .fd = -1 };
	int rc = open_target(&target, path, tag);

	if (rc == 0)
		(void)unlinkat(target.dir_fd, target.names.temp, 0);
	close_target(&target);
	return rc == 0 ? 0
		       : fail_remedy("--artifact FILE writes the archive "
				     "elsewhere, --no-artifact makes none");
}

static int write_target(struct target *target, const struct workdir *wd,
			const struct artifact_request *req,
			struct report *report)
{
	struct job job = { .wd = wd,
			   .request = req,
			   .out_fd = target->fd,
			   .progress_fd = -1 };
	int rc = open_logs(&job);

	/* Before the fork, too: the terminal is not the child's to open. */
	if (req->progress)
		job.progress_fd = progress_open(STDERR_FILENO);
	if (rc == 0)
		rc = run_child(&job, target, report);
	cleanup_fd(&job.progress_fd);
	for (size_t i = 0; i < WORKDIR_LOGS; i++)
		cleanup_fd(&job.log_fds[i]);
	if (rc == 0)
		rc = publish(target, req->path);
	/* After the rename there is none of that name. */
	if (rc < 0)
		(void)unlinkat(target->dir_fd, target->names.temp, 0);
	return rc;
}

int artifact_write(const struct workdir *wd, const struct artifact_request *req,
		   struct artifact *out)
{
	struct target target = { .dir_fd = -1, .fd = -1 };
	struct report report = { 0 };
	int rc;

	*out = (struct artifact){ 0 };
	rc = open_target(&target, req->path, wd->tag);
	if (rc == 0 && target.names.temp)
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
	out->files = report.count.files;
	out->skipped = report.count.skipped;
	out->left_out = report.count.left_out;
	return 0;
}

void artifact_tidy(const char *path, const char *tag)
{
	struct target target = { .dir_fd = -1, .fd = -1 };

	if (replace_names(&target.names, path, tag) == 0)
		target.dir_fd = open(target.names.folder,
				     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (target.dir_fd >= 0)
		(void)unlinkat(target.dir_fd, target.names.temp, 0);
	close_target(&target);
}

void artifact_free(struct artifact *artifact)
{
	free(artifact->path);
	*artifact = (struct artifact){ 0 };
}
