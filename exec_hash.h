/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The SHA-256 of each executed file, once: an event "program".  What no earlier
 * run has read is read a piece at a time while the supervisor has nothing else
 * to do, never while a process waits for an answer.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "event.h"
#include "hash_cache.h"
#include "sha256.h"

/* Places for files that are known not to be new: at most, and for the few of most
 * runs.  A large table is mapped and given back, for 20 us of each start. */
#define EXEC_HASH_SEEN     4096
#define EXEC_HASH_SEEN_MIN 64
#define EXEC_HASH_PENDING  32
#define EXEC_HASH_FILE_MAX (512ULL << 20)
/* In all: the payload makes files for nothing, but reading them costs us. */
#define EXEC_HASH_RUN_MAX  (4ULL << 30)
/* For what is unread when the run ends; if the next run is spared it, longer:
 * else a big program with short runs would never have its hash. */
#define EXEC_HASH_END_MS   20
#define EXEC_HASH_KEEP_MS  250

struct exec_hash_job {
	char *path;
	struct hash_key key;
	struct sha256 sha;
	struct timespec when; /* it was executed */
	uint64_t done;
	int fd;
	bool expected; /* read ahead, not executed yet: nothing is told */
	bool read;     /* to its end */
	bool keep;     /* for the next run */
};

struct exec_hashes {
	struct event_log *log;
	struct hash_cache cache;
	uint64_t budget;
	struct hash_key *seen;
	size_t n_seen, places;
	size_t n_jobs; /* the first is being read */
	struct exec_hash_job jobs[EXEC_HASH_PENDING];
};

/* `cache` is the folder of what earlier runs have read, or NULL. */
struct exec_hashes *exec_hash_new(struct event_log *log, const char *cache);
/* Begins on the file that will be executed first; no failure, no event: that
 * takes an exec_hash_add of the same file, with which it is forgotten. */
void exec_hash_expect(struct exec_hashes *hashes, const char *path);
/* Takes note of a file that was executed then: `path_fd` is borrowed. */
void exec_hash_add(struct exec_hashes *hashes, int path_fd,
		   const struct stat *st, const char *path,
		   const struct timespec *when);
bool exec_hash_pending(const struct exec_hashes *hashes);
/* Reads one piece. */
void exec_hash_step(struct exec_hashes *hashes);
/* A short last effort; what is not done then is told without a hash. */
void exec_hash_free(struct exec_hashes *hashes);
