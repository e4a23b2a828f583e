/* SPDX-License-Identifier: MIT */
#include "exec_hash.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define PIECE (64 * 1024)

struct exec_hashes *exec_hash_new(struct event_log *log)
{
	struct exec_hashes *h = xcalloc(1, sizeof(*h));

	h->log = log;
	h->budget = EXEC_HASH_RUN_MAX;
	return h;
}

bool exec_hash_pending(const struct exec_hashes *h)
{
	return h && h->n_jobs > 0 && !h->jobs[0].read;
}

static struct exec_hash_key key_of(const struct stat *st)
{
	struct exec_hash_key key;

	/* Compared as bytes: padding must be the same. */
	memset(&key, 0, sizeof(key));
	key.dev = st->st_dev;
	key.ino = st->st_ino;
	key.size = st->st_size;
	key.mtime = st->st_mtim;
	key.ctime = st->st_ctim;
	return key;
}

/* One place for each file; a newcomer takes it over. */
static bool is_new(struct exec_hashes *h, const struct exec_hash_key *key)
{
	uint64_t mix = (uint64_t)key->ino * 0x9e3779b97f4a7c15ULL ^
		       (uint64_t)key->ctime.tv_nsec ^ (uint64_t)key->dev;
	struct exec_hash_key *place = &h->seen[mix % EXEC_HASH_SEEN];

	if (memcmp(place, key, sizeof(*key)) == 0)
		return false;
	*place = *key;
	return true;
}

/* Of the time of the execution, whenever it is that the file was read. */
static void tell(struct exec_hashes *h, const char *path, off_t size,
		 const struct timespec *when, const char *sha256,
		 const char *reason)
{
	struct json_writer *e = event_begin_at(h->log, "program", when, false);

	json_write_string(e, "path", path);
	json_write_number(e, "bytes", (uint64_t)size);
	if (sha256)
		json_write_string(e, "sha256", sha256);
	if (reason)
		json_write_string(e, "reason", reason);
	event_end(h->log);
}

/*
 * O_NONBLOCK: a lease that the payload holds on its own file would otherwise
 * hold us for lease-break-time.
 */
static int reopen(int path_fd)
{
	return open(fd_path(path_fd).s,
		    O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void push_job(struct exec_hashes *h, const struct exec_hash_key *key,
		     int fd, const char *path, const struct timespec *when)
{
	struct exec_hash_job *job = &h->jobs[h->n_jobs++];

	h->budget -= (uint64_t)key->size;
	*job = (struct exec_hash_job){ .path = xstrdup(path),
				       .key = *key,
				       .fd = fd,
				       .expected = when == NULL };
	if (when)
		job->when = *when;
	sha256_init(&job->sha);
}

static void drop_job(struct exec_hashes *h)
{
	struct exec_hash_job *job = &h->jobs[0];

	free(job->path);
	cleanup_fd(&job->fd);
	h->n_jobs--;
	memmove(job, job + 1, h->n_jobs * sizeof(*job));
}

void exec_hash_expect(struct exec_hashes *h, const char *path)
{
	auto_fd int fd = open(path,
			      O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct exec_hash_key key;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size > EXEC_HASH_FILE_MAX)
		return;
	key = key_of(&st);
	push_job(h, &key, take_fd(&fd), path, NULL);
}

static void end_job(struct exec_hashes *h);

/* What was read ahead, if this is it; it was for the first one only. */
static bool meet_expected(struct exec_hashes *h,
			  const struct exec_hash_key *key,
			  const struct timespec *when)
{
	struct exec_hash_job *job = &h->jobs[0];

	if (h->n_jobs == 0 || !job->expected)
		return false;
	if (memcmp(&job->key, key, sizeof(*key)) != 0) {
		h->budget += (uint64_t)job->key.size;
		drop_job(h);
		return false;
	}
	job->expected = false;
	job->when = *when;
	if (job->read)
		end_job(h);
	return true;
}

void exec_hash_add(struct exec_hashes *h, int path_fd, const struct stat *st,
		   const char *path, const struct timespec *when)
{
	struct exec_hash_key key = key_of(st);
	const char *reason = NULL;
	auto_fd int fd = -1;

	if (!S_ISREG(st->st_mode) || !is_new(h, &key) ||
	    meet_expected(h, &key, when))
		return;
	if ((uint64_t)st->st_size > EXEC_HASH_FILE_MAX)
		reason = "too big";
	else if ((uint64_t)st->st_size > h->budget)
		reason = "enough was read in this run";
	else if (h->n_jobs == EXEC_HASH_PENDING)
		reason = "too many at once";
	else if ((fd = reopen(path_fd)) < 0)
		reason = "not readable";
	if (reason) {
		tell(h, path, st->st_size, when, NULL, reason);
		return;
	}
	push_job(h, &key, take_fd(&fd), path, when);
}

/* Is it still what was executed? */
static bool is_unchanged(const struct exec_hash_job *job)
{
	struct exec_hash_key key;
	struct stat st;

	if (fstat(job->fd, &st) < 0)
		return false;
	key = key_of(&st);
	return memcmp(&key, &job->key, sizeof(key)) == 0 &&
	       job->done == (uint64_t)st.st_size;
}

/* Of the first, which was read: the hash, or why there is none. */
static void end_job(struct exec_hashes *h)
{
	struct exec_hash_job *job = &h->jobs[0];
	bool good = is_unchanged(job);
	char hex[SHA256_HEX];

	sha256_hex(&job->sha, hex);
	tell(h, job->path, job->key.size, &job->when, good ? hex : NULL,
	     good ? NULL : "changed while it was read");
	drop_job(h);
}

void exec_hash_step(struct exec_hashes *h)
{
	static unsigned char piece[PIECE];
	struct exec_hash_job *job = &h->jobs[0];
	uint64_t left = (uint64_t)job->key.size - job->done;
	ssize_t n = 0;

	if (left > 0)
		n = read(job->fd, piece, left < PIECE ? left : PIECE);
	if (n > 0) {
		sha256_update(&job->sha, piece, (size_t)n);
		job->done += (uint64_t)n;
		if ((uint64_t)n < left)
			return;
	}
	job->read = true;
	if (!job->expected)
		end_job(h);
}

void exec_hash_free(struct exec_hashes *h)
{
	uint64_t end = now_ms(CLOCK_MONOTONIC) + EXEC_HASH_END_MS;

	if (h == NULL)
		return;
	if (h->n_jobs > 0 && h->jobs[0].expected)
		drop_job(h);
	while (h->n_jobs > 0 && now_ms(CLOCK_MONOTONIC) < end)
		exec_hash_step(h);
	for (; h->n_jobs > 0; drop_job(h))
		tell(h, h->jobs[0].path, h->jobs[0].key.size, &h->jobs[0].when,
		     NULL, "the run ended first");
	free(h);
}
