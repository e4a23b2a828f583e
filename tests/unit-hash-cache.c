/* SPDX-License-Identifier: MIT */
#include "hash_cache.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "exec_hash.h"
#include "tap.h"
#include "util.h"

/* How a payload has its files, and what time it is. */
static long fs_type = EXT4_SUPER_MAGIC, fs_flags = ST_RDONLY;
static time_t later_s;
static uint64_t slow_ms; /* each look takes so long */
static uint64_t spent_ms;

int fstatfs(int fd, struct statfs *fs)
{
	memset(fs, 0, sizeof(*fs));
	fs->f_type = fs_type;
	fs->f_flags = fs_flags;
	return fd < 0 ? -1 : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (clock == CLOCK_MONOTONIC && slow_ms) {
		uint64_t ms = spent_ms += slow_ms;

		*now = (struct timespec){ .tv_sec = (time_t)(ms / 1000),
					  .tv_nsec = (long)(ms % 1000) *
						     1000000 };
		return 0;
	}
	if (syscall(SYS_clock_gettime, clock, now) < 0)
		return -1;
	if (clock == CLOCK_REALTIME)
		now->tv_sec += later_s;
	return 0;
}

#define HASH  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define FALSE "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

static const struct hash_key a_key = {
	.dev = 65025,
	.ino = 258,
	.size = 4711,
	.mtime = { .tv_sec = -5, .tv_nsec = 7 },
	.ctime = { .tv_sec = 1700000000, .tv_nsec = 42 },
};
/* 65025 * 31 + 258, modulo 256 */
#define A_PLACE "21"
#define A_TEXT  "65025-258-4711--5.000000007-1700000000.000000042-" HASH

static struct hash_cache open_cache(void)
{
	struct hash_cache cache;

	hash_cache_open(&cache, "hashes");
	return cache;
}

static bool finds(const struct hash_cache *cache, const struct hash_key *key,
		  const char *want)
{
	char hex[SHA256_HEX];

	return hash_cache_find(cache, key, hex) && strcmp(hex, want) == 0;
}

static void test_entry(void)
{
	struct hash_cache cache = open_cache();
	char text[256] = "";
	struct stat st;

	ok(stat("hashes", &st) == 0 && (st.st_mode & 07777) == 0700,
	   "the folder is made, ours alone");
	ok(!finds(&cache, &a_key, HASH), "nothing is known at first");
	ok(hash_cache_keep(&cache, &a_key, HASH), "an entry is kept");
	ok(finds(&cache, &a_key, HASH), "and found");
	ok(readlink("hashes/" A_PLACE, text, sizeof(text) - 1) > 0 &&
	       strcmp(text, A_TEXT) == 0,
	   "in its place, as documented: %s", text);
	ok(hash_cache_keep(&cache, &a_key, FALSE) &&
	       finds(&cache, &a_key, FALSE),
	   "another one takes its place");
	hash_cache_close(&cache);
	cache = open_cache();
	ok(finds(&cache, &a_key, FALSE), "the next run finds it");
	hash_cache_close(&cache);
	ok(!finds(&cache, &a_key, FALSE) &&
	       !hash_cache_keep(&cache, &a_key, HASH),
	   "a closed one has none and keeps none");
}

static void test_key(void)
{
	struct hash_cache cache = open_cache();
	struct hash_key keys[8];

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		keys[i] = a_key;
	/* In the same place, too: 256 devices or inodes on. */
	keys[0].dev += 256;
	keys[1].ino += 256;
	keys[2].size++;
	keys[3].mtime.tv_sec++;
	keys[4].mtime.tv_nsec++;
	keys[5].ctime.tv_sec++;
	keys[6].ctime.tv_nsec++;
	keys[7].ino++;
	hash_cache_keep(&cache, &a_key, HASH);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		ok(!finds(&cache, &keys[i], HASH), "another file: %zu", i);
	hash_cache_keep(&cache, &keys[1], FALSE);
	ok(finds(&cache, &keys[1], FALSE) && !finds(&cache, &a_key, HASH),
	   "of two in one place the last one stays");
	memset(&keys[0], 0xff, sizeof(keys[0]));
	keys[0].mtime.tv_nsec = keys[0].ctime.tv_nsec = 999999999;
	ok(hash_cache_keep(&cache, &keys[0], HASH) &&
	       finds(&cache, &keys[0], HASH),
	   "the longest key has room");
	hash_cache_close(&cache);
}

static void test_broken(void)
{
	static const char *const texts[] = {
		A_TEXT "0",
		" " A_TEXT,
		"65025-258-4711--5.000000007-1700000000.000000042-",
		"65025-258-4711--5.000000007-1700000000.000000042-0123",
		"65025-258-4711--5.000000007-1700000000.000000042-"
		"0123456789ABCDEF0123456789abcdef0123456789abcdef"
		"0123456789abcdef",
		"65025-258-4711--5.000000007-1700000000.000000042-"
		"0123456789abcdef0123456789abcdef0123456789abcdef"
		"0123456789abcde\"",
		HASH,
		".",
	};
	struct hash_cache cache = open_cache();
	char hex[SHA256_HEX];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		unlink("hashes/" A_PLACE);
		ok(symlink(texts[i], "hashes/" A_PLACE) == 0 &&
		       !hash_cache_find(&cache, &a_key, hex),
		   "no entry: %s", texts[i]);
	}
	ok(hash_cache_keep(&cache, &a_key, HASH) && finds(&cache, &a_key, HASH),
	   "it gives way to one");
	unlink("hashes/" A_PLACE);
	mkdir("hashes/" A_PLACE, 0700);
	ok(!finds(&cache, &a_key, HASH) &&
	       !hash_cache_keep(&cache, &a_key, HASH),
	   "what cannot be replaced is left");
	rmdir("hashes/" A_PLACE);
	hash_cache_close(&cache);
}

static void test_folder(void)
{
	struct hash_cache cache;

	hash_cache_open(&cache, NULL);
	ok(cache.dir_fd < 0, "no folder");
	hash_cache_open(&cache, "missing/hashes");
	ok(cache.dir_fd < 0, "a folder that cannot be made");
	ok(symlink("hashes", "link") == 0, "a link");
	hash_cache_open(&cache, "link");
	ok(cache.dir_fd < 0, "is not followed");
	chmod("hashes", 0770);
	cache = open_cache();
	ok(cache.dir_fd < 0, "one in which others write");
	chmod("hashes", 0700);
}

static void test_trust(void)
{
	const struct timespec now = { .tv_sec = 1700000000, .tv_nsec = 1 };
	struct hash_key key = a_key;
	int fd = open(".", O_PATH | O_CLOEXEC);

	key.ctime.tv_sec = now.tv_sec - 61;
	ok(hash_cache_settled(&key, &now), "a minute old");
	key.ctime.tv_nsec = 0;
	ok(!hash_cache_settled(&key, &now), "but no time of an image");
	key.ctime.tv_nsec = 1;
	key.ctime.tv_sec = now.tv_sec - 60;
	ok(!hash_cache_settled(&key, &now), "not quite a minute old");
	key.ctime.tv_sec = now.tv_sec + 3600;
	ok(!hash_cache_settled(&key, &now), "in the future");
	ok(hash_cache_suits(fd), "read-only, where changes are told");
	fs_flags = 0;
	ok(!hash_cache_suits(fd), "writable");
	fs_flags = ST_RDONLY;
	fs_type = TMPFS_MAGIC;
	ok(!hash_cache_suits(fd), "in memory");
	fs_type = OVERLAYFS_SUPER_MAGIC;
	ok(!hash_cache_suits(fd), "over another one");
	fs_type = EXT4_SUPER_MAGIC;
	ok(!hash_cache_suits(-1), "not there");
	close(fd);
}

/*** With exec_hash ***/

struct told {
	struct event_log log;
	struct exec_hashes *hashes;
	struct stat st;
	int fd;
};

static const struct timespec then = { .tv_sec = 1000000000, .tv_nsec = 7 };

static void begin(struct told *t)
{
	event_open(&t->log, "run", NULL, NULL, NULL, -1);
	t->hashes = exec_hash_new(&t->log, "hashes");
	t->fd = open("program", O_PATH | O_CLOEXEC);
	fstat(t->fd, &t->st);
}

static void end(struct told *t)
{
	exec_hash_free(t->hashes);
	event_close(&t->log);
	close(t->fd);
}

/* A run that executes it; how much of it was to be read. */
static size_t run(bool expected)
{
	struct told t;
	size_t jobs;

	begin(&t);
	if (expected)
		exec_hash_expect(t.hashes, "program");
	exec_hash_add(t.hashes, t.fd, &t.st, "/program", &then);
	jobs = t.hashes->n_jobs;
	while (exec_hash_pending(t.hashes))
		exec_hash_step(t.hashes);
	ok(t.log.seq == 1, "told once: %llu", (unsigned long long)t.log.seq);
	end(&t);
	return jobs;
}

static bool is_kept_of(const struct stat *st)
{
	struct hash_cache cache = open_cache();
	struct hash_key key = hash_key(st);
	char hex[SHA256_HEX];
	bool kept = hash_cache_find(&cache, &key, hex);

	hash_cache_close(&cache);
	return kept;
}

static bool is_kept(void)
{
	struct stat st;

	stat("program", &st);
	return is_kept_of(&st);
}

static void write_program(off_t size)
{
	auto_fd int fd = open("program", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
			      0700);

	later_s = 0;
	ok(ftruncate(fd, size) == 0, "a program of %lld", (long long)size);
}

static void test_runs(void)
{
	for (int expected = 0; expected < 2; expected++) {
		write_program(100000);
		ok(run(expected) == 1 && !is_kept(), "young: read, not kept");
		later_s = 120;
		fs_flags = 0;
		ok(run(expected) == 1 && !is_kept(), "writable: nor kept");
		fs_flags = ST_RDONLY;
		ok(run(expected) == 1 && is_kept(), "old: read and kept");
		ok(run(expected) == 0, "and not read again");
		fs_flags = 0;
		ok(run(expected) == 1, "but where it is writable");
		fs_flags = ST_RDONLY;
	}
}

static void test_change(void)
{
	struct told t;

	write_program(100000);
	later_s = 120;
	begin(&t);
	exec_hash_add(t.hashes, t.fd, &t.st, "/program", &then);
	exec_hash_step(t.hashes);
	ok(truncate("program", 99999) == 0 && truncate("program", 100000) == 0,
	   "one that changes while it is read");
	end(&t);
	ok(!is_kept_of(&t.st) && !is_kept(), "is kept neither way");
	write_program(100000);
	begin(&t);
	exec_hash_add(t.hashes, t.fd, &t.st, "/program", &then);
	later_s = 120;
	end(&t);
	ok(!is_kept(), "nor one that was young when its reading began");
}

/* Each look at the clock takes a millisecond, so that a piece does. */
static void test_short_runs(void)
{
	for (int old = 0; old < 2; old++) {
		struct told t;

		write_program(100 * 64 * 1024);
		later_s = old ? 120 : 0;
		begin(&t);
		exec_hash_add(t.hashes, t.fd, &t.st, "/program", &then);
		slow_ms = 1;
		spent_ms = 0;
		end(&t);
		slow_ms = 0;
		ok(is_kept() == old && spent_ms >= (old ? 100 : 20) &&
		       spent_ms < (old ? 150 : 50),
		   "a big one with a short run is %s: %llu ms",
		   old ? "read to its end, once" : "not",
		   (unsigned long long)spent_ms);
	}
	ok(run(true) == 0, "and the next run has its hash");
}

int main(void)
{
	char dir[] = "/tmp/unit-hash-cache.XXXXXX";
	auto_free char *remove = NULL;

	if (mkdtemp(dir) == NULL || chdir(dir) < 0)
		return 1;
	remove = xasprintf("rm -rf '%s'", dir);
	test_entry();
	test_key();
	test_broken();
	test_folder();
	test_trust();
	test_runs();
	test_change();
	test_short_runs();
	return done() | system(remove);
}
