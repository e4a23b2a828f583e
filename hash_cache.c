/* SPDX-License-Identifier: MIT */
#include "hash_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "util.h"

/*
 * Why an entry is true
 *
 * A change of a file sets its ctime, and nobody sets that back who does not set
 * the clock.  Three kinds of change leave it as it is:
 *
 *	within one tick of the clock.  So no file is kept that was younger than
 *	a minute when its reading began (git calls such files racily clean);
 *
 *	through a mapping, where only the first write to a page sets it, and the
 *	first one after each time that the page went to the disk, which it does
 *	within 35 s as the kernel comes.  That minute, again; and most kernels
 *	execute no file that anybody has open for writing.  On tmpfs not even
 *	the first write sets it: neither that is among our file systems, nor
 *	what may be laid over it, nor what another process or machine answers
 *	for;
 *
 *	by whoever makes an image of a file system.  So no time is believed that
 *	has no nanoseconds.
 *
 * All that is for the user's own doings.  What a payload can write is neither
 * looked up nor kept: it cannot prepare an entry, nor push out others with files
 * that it makes.
 *
 * The folder is where the records of runs are, so nobody has it inside to be
 * written (tree.c: keep_apart).  Whoever may write there is the user.
 */

#define PLACES   256
#define AGE_S    60
/* Five numbers of 64 bits, two fractions, what stands between them. */
#define KEY_MAX  (5 * 21 + 2 * 10 + 1)
#define TEXT_MAX (KEY_MAX + SHA256_HEX)

/* Those that tell of each change, and keep the time to the nanosecond. */
static const unsigned long file_systems[] = {
	EXT4_SUPER_MAGIC, /* ext2 and ext3, too */
	XFS_SUPER_MAGIC,
	BTRFS_SUPER_MAGIC,
	F2FS_SUPER_MAGIC,
};

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

static int open_dir(const char *path)
{
	return open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

void hash_cache_open(struct hash_cache *cache, const char *path)
{
	struct stat st;

	cache->dir_fd = path ? open_dir(path) : -1;
	if (path && cache->dir_fd < 0 && errno == ENOENT &&
	    mkdir(path, 0700) == 0)
		cache->dir_fd = open_dir(path);
	/* As with the runs beside it: ours, and nobody else writes there. */
	if (cache->dir_fd >= 0 && (fstat(cache->dir_fd, &st) < 0 ||
				   st.st_uid != geteuid() || st.st_mode & 022))
		hash_cache_close(cache);
}

bool hash_cache_suits(int path_fd)
{
	struct statfs fs;

	if (fstatfs(path_fd, &fs) < 0 ||
	    !((unsigned long)fs.f_flags & ST_RDONLY))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(file_systems); i++)
		if ((unsigned long)fs.f_type == file_systems[i])
			return true;
	return false;
}

bool hash_cache_settled(const struct hash_key *key, const struct timespec *now)
{
	return key->ctime.tv_nsec != 0 &&
	       key->ctime.tv_sec < now->tv_sec - AGE_S;
}

struct entry {
	char name[3];
	char text[TEXT_MAX]; /* without the hash */
	size_t len;
};

/* Files that are installed together have inodes one after the other. */
static struct entry entry_of(const struct hash_key *key)
{
	struct entry e;

	snprintf(e.name, sizeof(e.name), "%02x",
		 (unsigned int)((key->dev * 31 + key->ino) % PLACES));
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
	ssize_t n = cache->dir_fd < 0
			? -1
			: readlinkat(cache->dir_fd, e.name, text, sizeof(text));

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
	(void)unlinkat(cache->dir_fd, e.name, 0);
	return symlinkat(e.text, cache->dir_fd, e.name) == 0;
}

void hash_cache_close(struct hash_cache *cache)
{
	cleanup_fd(&cache->dir_fd);
	cache->dir_fd = -1;
}
