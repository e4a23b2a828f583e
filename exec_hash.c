/* SPDX-License-Identifier: MIT */
#include "exec_hash.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define PIECE (128 * 1024)

struct exec_hashes *exec_hash_new(struct event_log *log)
{
	struct exec_hashes *h = xcalloc(1, sizeof(*h));

	h->log = log;
	h->budget = EXEC_HASH_RUN_MAX;
	return h;
}

bool exec_hash_pending(const struct exec_hashes *h)
{
	return h && h->n_jobs > 0;
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
	return key;
}

/* One place for each file; a newcomer takes it over. */
static bool is_new(struct exec_hashes *h, const struct exec_hash_key *key)
{
	uint64_t mix = (uint64_t)key->ino * 0x9e3779b97f4a7c15ULL ^
		       (uint64_t)key->mtime.tv_nsec ^ (uint64_t)key->dev;
	struct exec_hash_key *place = &h->seen[mix % EXEC_HASH_SEEN];

	if (memcmp(place, key, sizeof(*key)) == 0)
		return false;
	*place = *key;
	return true;
}

static void tell(struct exec_hashes *h, const char *path, off_t size,
		 const char *sha256, const char *reason)
{
	cJSON *e = cJSON_CreateObject();

	cJSON_AddItemToObject(e, "path", event_string(path, strlen(path)));
	cJSON_AddItemToObject(e, "bytes", event_number((uint64_t)size));
	if (sha256)
		cJSON_AddStringToObject(e, "sha256", sha256);
	if (reason)
		cJSON_AddStringToObject(e, "reason", reason);
	event_emit(h->log, "program", e);
}

/*
 * O_NONBLOCK: a lease that the payload holds on its own file would otherwise
 * hold us for lease-break-time.
 */
static int reopen(int path_fd)
{
	char name[40];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", path_fd);
	return open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void exec_hash_add(struct exec_hashes *h, int path_fd, const struct stat *st,
		   const char *path)
{
	struct exec_hash_key key = key_of(st);
	const char *reason = NULL;
	auto_fd int fd = -1;

	if (!S_ISREG(st->st_mode) || !is_new(h, &key))
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
		tell(h, path, st->st_size, NULL, reason);
		return;
	}
	h->budget -= (uint64_t)st->st_size;
	h->jobs[h->n_jobs] = (struct exec_hash_job){ .path = xstrdup(path),
						     .key = key,
						     .fd = take_fd(&fd) };
	sha256_init(&h->jobs[h->n_jobs++].sha);
}

static void end_job(struct exec_hashes *h, const char *sha256,
		    const char *reason)
{
	struct exec_hash_job *job = &h->jobs[0];

	tell(h, job->path, job->key.size, sha256, reason);
	free(job->path);
	cleanup_fd(&job->fd);
	h->n_jobs--;
	memmove(job, job + 1, h->n_jobs * sizeof(*job));
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

void exec_hash_step(struct exec_hashes *h)
{
	static unsigned char piece[PIECE];
	struct exec_hash_job *job = &h->jobs[0];
	uint64_t left = (uint64_t)job->key.size - job->done;
	char hex[SHA256_HEX];
	ssize_t n = 0;

	if (left > 0)
		n = read(job->fd, piece, left < PIECE ? left : PIECE);
	if (n > 0) {
		sha256_update(&job->sha, piece, (size_t)n);
		job->done += (uint64_t)n;
		if ((uint64_t)n < left)
			return;
	}
	sha256_hex(&job->sha, hex);
	if (is_unchanged(job))
		end_job(h, hex, NULL);
	else
		end_job(h, NULL, "changed while it was read");
}

void exec_hash_free(struct exec_hashes *h)
{
	uint64_t end = now_ms(CLOCK_MONOTONIC) + EXEC_HASH_END_MS;

	if (h == NULL)
		return;
	while (h->n_jobs > 0 && now_ms(CLOCK_MONOTONIC) < end)
		exec_hash_step(h);
	while (h->n_jobs > 0)
		end_job(h, NULL, "the run ended first");
	free(h);
}
