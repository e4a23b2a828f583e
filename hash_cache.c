/* SPDX-License-Identifier: MIT */
#include "hash_cache.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cache.h"
#include "util.h"

/*
 * Why an entry is true (cache.h says the rest)
 *
 * Through a mapping only the first write to a page sets the ctime, and the first
 * one after each time that the page went to the disk: within 35 s as the kernel
 * comes, and a file is to be a minute old, or older where the disk is written
 * less often (to spare a battery).  Most kernels execute none that anybody has
 * open for writing, besides.  On tmpfs not even the first write sets it.
 *
 * What exchanges the blocks of two files sets it of neither: no payload has that
 * call (seccomp_table.h), and the user's defragmenters change no content.
 *
 * What a payload can write as it executes it is neither looked up nor kept: it
 * cannot prepare an entry, nor push out others with files that it makes.  What it
 * wrote in another run, or by another name, has another ctime.
 */

#define AGE_S    60
#define MARGIN_S 25 /* for the disk to take it */
/* Five numbers of 64 bits, two fractions, what stands between them. */
#define KEY_MAX  (5 * 21 + 2 * 10 + 1)
#define TEXT_MAX (KEY_MAX + SHA256_HEX)

struct hash_key hash_key(const struct stat *st)
{
	struct hash_key key;

	/* Its padding must be the same. */
	memset(&key, 0, sizeof(key));
	key.dev = st->st_dev;
	key.ino = st->st_ino;
	key.size = st->st_size;
	key.mtime = st->st_mtim;
	key.ctime = st->st_ctim;
	return key;
}

void hash_cache_open(struct hash_cache *cache, const char *path)
{
	cache->dir_fd = -1;
	if (path == NULL)
		return;
	cache->dir_fd = cache_open(path);
	if (cache->dir_fd < 0 && mkdir(path, 0700) == 0)
		cache->dir_fd = cache_open(path);
}

bool hash_cache_suits(int path_fd)
{
	struct statfs fs;

	return fstatfs(path_fd, &fs) == 0 &&
	       (unsigned long)fs.f_flags & ST_RDONLY && cache_tells(&fs) &&
	       fs.f_type != TMPFS_MAGIC;
}

/* How long a page that was written stays away from the disk, in s; 0: for ever. */
static time_t stay(void)
{
	auto_free char *age = read_file(
	    -1, "/proc/sys/vm/dirty_expire_centisecs", 32, NULL);
	auto_free char *pause = read_file(
	    -1, "/proc/sys/vm/dirty_writeback_centisecs", 32, NULL);
	long long age_cs = age ? strtoll(age, NULL, 10) : 0;
	long long pause_cs = pause ? strtoll(pause, NULL, 10) : 0;

	return age_cs > 0 && pause_cs > 0 ? (age_cs + pause_cs + 99) / 100 : 0;
}

bool hash_cache_settled(const struct hash_key *key, const struct timespec *now)
{
	time_t s;

	if (!cache_settled(&key->ctime, now, AGE_S))
		return false;
	s = stay();
	return s > 0 && cache_settled(&key->ctime, now, s + MARGIN_S);
}

struct entry {
	struct cache_place place;
	char text[TEXT_MAX]; /* without the hash */
	size_t len;
};

static struct entry entry_of(const struct hash_key *key)
{
	struct entry e = { .place = cache_place(key->dev, key->ino) };

	e.len = (size_t)snprintf(
	    e.text, sizeof(e.text), "%llu-%llu-%lld-%lld.%09ld-%lld.%09ld-",
	    (unsigned long long)key->dev, (unsigned long long)key->ino,
	    (long long)key->size, (long long)key->mtime.tv_sec,
	    key->mtime.tv_nsec, (long long)key->ctime.tv_sec,
	    key->ctime.tv_nsec);
	return e;
}

bool hash_cache_find(const struct hash_cache *cache, const struct hash_key *key,
		     char sha256[static SHA256_HEX])
{
	struct entry e = entry_of(key);
	char text[TEXT_MAX];
	ssize_t n = cache->dir_fd < 0 ? -1
				      : readlinkat(cache->dir_fd, e.place.name,
						   text, sizeof(text));

	if (n != (ssize_t)e.len + SHA256_HEX - 1 ||
	    memcmp(text, e.text, e.len) != 0)
		return false;
	memcpy(sha256, text + e.len, SHA256_HEX - 1);
	sha256[SHA256_HEX - 1] = '\0';
	return strspn(sha256, "0123456789abcdef") == SHA256_HEX - 1;
}

bool hash_cache_keep(const struct hash_cache *cache, const struct hash_key *key,
		     const char sha256[static SHA256_HEX])
{
	struct entry e = entry_of(key);

	if (cache->dir_fd < 0)
		return false;
	memcpy(e.text + e.len, sha256, SHA256_HEX);
	/* Who looks in between reads the file; who keeps another one there in
	 * between has it kept.  Neither is worth a second name, which a kill
	 * would leave behind. */
	(void)unlinkat(cache->dir_fd, e.place.name, 0);
	return symlinkat(e.text, cache->dir_fd, e.place.name) == 0;
}

void hash_cache_close(struct hash_cache *cache)
{
	cleanup_fd(&cache->dir_fd);
	cache->dir_fd = -1;
}
