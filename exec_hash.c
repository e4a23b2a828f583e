/* SPDX-License-Identifier: MIT */
#include "exec_hash.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define PIECE (64 * 1024)

struct exec_hashes *exec_hash_new(struct event_log *log, const char *cache)
{
	struct exec_hashes *h = xrealloc_array(NULL, 1, sizeof(*h));

	/* What it will do is written when there is something to do. */
	memset(h, 0, offsetof(struct exec_hashes, jobs));
	h->log = log;
	hash_cache_open(&h->cache, cache);
	h->budget = EXEC_HASH_RUN_MAX;
	h->places = EXEC_HASH_SEEN_MIN;
	h->seen = xcalloc(h->places, sizeof(*h->seen));
	return h;
}

bool exec_hash_pending(const struct exec_hashes *h)
{
	return h && h->n_jobs > 0 && !h->jobs[0].read;
}

/* Where it is, or would be: no file has the number 0. */
static struct hash_key *place_of(const struct exec_hashes *h,
				 const struct hash_key *key)
{
	uint64_t mix = (uint64_t)key->ino * 0x9e3779b97f4a7c15ULL ^
		       (uint64_t)key->ctime.tv_nsec ^ (uint64_t)key->dev;
	size_t i = mix % h->places;

	while (h->seen[i].ino && memcmp(&h->seen[i], key, sizeof(*key)) != 0)
		i = (i + 1) % h->places;
	return &h->seen[i];
}

/* Half of the places stay free, so that a search ends.  When there are to be no
 * more of them all is forgotten, and may be told again. */
static void make_room(struct exec_hashes *h)
{
	auto_free struct hash_key *old = h->seen;
	size_t n = h->places;

	if (n < EXEC_HASH_SEEN)
		h->places *= 8;
	else
		h->n_seen = n = 0;
	h->seen = xcalloc(h->places, sizeof(*h->seen));
	for (size_t i = 0; i < n; i++)
		if (old[i].ino)
			*place_of(h, &old[i]) = old[i];
}

static bool is_new(struct exec_hashes *h, const struct hash_key *key)
{
	if (place_of(h, key)->ino)
		return false;
	if (h->n_seen == h->places / 2)
		make_room(h);
	*place_of(h, key) = *key;
	h->n_seen++;
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

static struct exec_hash_job *push_job(struct exec_hashes *h,
				      const struct hash_key *key, int fd,
				      const char *path,
				      const struct timespec *when)
{
	struct exec_hash_job *job = &h->jobs[h->n_jobs++];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	h->budget -= (uint64_t)key->size;
	*job = (struct exec_hash_job){ .path = xstrdup(path),
				       .key = *key,
				       .fd = fd,
				       .expected = when == NULL,
				       .keep = hash_cache_settled(key, &now) };
	if (when)
		job->when = *when;
	sha256_init(&job->sha);
	return job;
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
	auto_fd int fd = -1;
	char hex[SHA256_HEX];
	struct hash_key key;
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size > EXEC_HASH_FILE_MAX)
		return;
	key = hash_key(&st);
	if (hash_cache_find(&h->cache, &key, hex))
		return;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		push_job(h, &key, take_fd(&fd), path, NULL);
}

static void end_job(struct exec_hashes *h);

/* What was read ahead, if this is it; it was for the first one only. */
static bool meet_expected(struct exec_hashes *h, const struct hash_key *key,
			  const struct timespec *when, bool suits)
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
	job->keep = job->keep && suits;
	job->when = *when;
	if (job->read)
		end_job(h);
	return true;
}

/* Known from an earlier run: told at once, and nothing is read. */
static bool tell_known(struct exec_hashes *h, const struct hash_key *key,
		       const char *path, const struct timespec *when)
{
	char hex[SHA256_HEX];

	if (!hash_cache_find(&h->cache, key, hex))
		return false;
	tell(h, path, key->size, when, hex, NULL);
	return true;
}

void exec_hash_add(struct exec_hashes *h, int path_fd, const struct stat *st,
		   const char *path, const struct timespec *when)
{
	struct hash_key key = hash_key(st);
	const char *reason = NULL;
	auto_fd int fd = -1;
	bool suits;

	if (!S_ISREG(st->st_mode) || !is_new(h, &key))
		return;
	suits = hash_cache_suits(path_fd);
	if (meet_expected(h, &key, when, suits) ||
	    (suits && tell_known(h, &key, path, when)))
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
	push_job(h, &key, take_fd(&fd), path, when)->keep &= suits;
}

/* Is it still what was executed? */
static bool is_unchanged(const struct exec_hash_job *job)
{
	struct hash_key key;
	struct stat st;

	if (fstat(job->fd, &st) < 0)
		return false;
	key = hash_key(&st);
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
	if (good && job->keep)
		hash_cache_keep(&h->cache, &job->key, hex);
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
	uint64_t began = now_ms(CLOCK_MONOTONIC);

	if (h == NULL)
		return;
	if (h->n_jobs > 0 && h->jobs[0].expected)
		drop_job(h);
	while (h->n_jobs > 0 &&
	       now_ms(CLOCK_MONOTONIC) - began <
		   (h->jobs[0].keep ? EXEC_HASH_KEEP_MS : EXEC_HASH_END_MS))
		exec_hash_step(h);
	for (; h->n_jobs > 0; drop_job(h))
		tell(h, h->jobs[0].path, h->jobs[0].key.size, &h->jobs[0].when,
		     NULL, "the run ended first");
	hash_cache_close(&h->cache);
	free(h->seen);
	free(h);
}
