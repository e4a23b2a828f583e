/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What programs hash to, from one run to the next: in a folder of 256 places,
 * each a symbolic link whose text is
 *
 *	DEV-INO-SIZE-MTIME-CTIME-SHA256
 *
 * (`stat -c %d-%i-%s-%.9Y-%.9Z`, and the hash).  One call reads an entry, one
 * makes it, whole or not at all: no lock, no half of one, nothing that grows.
 * It is a cache: whatever fails is a file to read.
 */

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include "sha256.h"

/* A file with the same key has the same content.  Compared as bytes. */
struct hash_key {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
	struct timespec ctime; /* whoever wrote can set the other one back */
};

struct hash_cache {
	int dir_fd; /* -1: nothing is known, and nothing kept */
};

struct hash_key hash_key(const struct stat *st);

/* The folder is made if missing; NULL: there is none. */
void hash_cache_open(struct hash_cache *cache, const char *path);
/* Is it a file of which anything is kept?  `path_fd` (O_PATH) is how the
 * payload has it. */
bool hash_cache_suits(int path_fd);
/* Will whatever changes it from now on change its key? */
bool hash_cache_settled(const struct hash_key *key, const struct timespec *now);
bool hash_cache_find(const struct hash_cache *cache, const struct hash_key *key,
		     char sha256[static SHA256_HEX]);
/* Of what was settled before the first byte of it was read.  Is it there now? */
bool hash_cache_keep(const struct hash_cache *cache, const struct hash_key *key,
		     const char sha256[static SHA256_HEX]);
void hash_cache_close(struct hash_cache *cache);
