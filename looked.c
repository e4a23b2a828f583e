/* SPDX-License-Identifier: MIT */
#include "looked.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "sha256.h"

/*
 * Why it holds (cache.h says the rest)
 *
 * A name that comes, goes or changes sets its folder's ctime.  What is mounted
 * over a folder has another device or inode.  Only a key changes names without:
 * an encrypted folder has others before it is unlocked.  The hash is for a file
 * that a crash left in part.
 */

#define KEPT_MAX (1024 * 1024)
#define AGE_S    2

/* --- stamps ------------------------------------------------------------- */

static int stamp_of(int dir_fd, const char *path, struct statx *stx)
{
	return statx(dir_fd, path, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH,
		     STATX_BASIC_STATS, stx);
}

static char *line_of(const struct statx *stx, const char *path)
{
	return xasprintf(
	    "%x:%x-%llu-%lld.%09u-%lld.%09u %s", stx->stx_dev_major,
	    stx->stx_dev_minor, (unsigned long long)stx->stx_ino,
	    (long long)stx->stx_mtime.tv_sec, stx->stx_mtime.tv_nsec,
	    (long long)stx->stx_ctime.tv_sec, stx->stx_ctime.tv_nsec, path);
}

/* Will whatever changes it from now on change its stamp? */
static bool is_settled(const struct looked *l, int dir_fd,
		       const struct statx *stx)
{
	const struct timespec ctime = { stx->stx_ctime.tv_sec,
					stx->stx_ctime.tv_nsec };
	struct statfs fs;

	return cache_settled(&ctime, &l->began, AGE_S) &&
	       !(stx->stx_attributes & STATX_ATTR_ENCRYPTED) &&
	       fstatfs(dir_fd, &fs) == 0 && cache_tells(&fs);
}

void looked_lapse(struct looked *l)
{
	l->lasting = false;
}

void looked_at(struct looked *l, int dir_fd, const char *path)
{
	struct statx stx;

	if (!l->lasting)
		return;
	l->lasting = stamp_of(dir_fd, "", &stx) == 0 &&
		     is_settled(l, dir_fd, &stx);
	if (l->lasting)
		strv_push(&l->folders, line_of(&stx, path));
}

void looked_found(struct looked *l, char *line)
{
	strv_push(&l->found, line);
}

/* --- a place ------------------------------------------------------------ */

/* It stands in front of the lines of both lists; an empty one ends each. */
static void hash_lines(const struct looked *l, const char *lines, size_t len,
		       char hex[static SHA256_HEX])
{
	struct sha256 sha;

	sha256_init(&sha);
	sha256_update(&sha, l->rules, strlen(l->rules) + 1);
	sha256_update(&sha, lines, len);
	sha256_hex(&sha, hex);
}

/* The one at *at, which is past it then; NULL: the empty one. */
static const char *next_line(const char **at)
{
	const char *line = *at;

	*at += strlen(line) + 1;
	return *line ? line : NULL;
}

/* Its parents were compared before it: nothing on the way is a link. */
static bool is_as_it_was(int root_fd, const char *line)
{
	const char *path = strchr(line, ' ') + 1;
	auto_free char *now = NULL;
	struct statx stx;

	if (stamp_of(root_fd, path, &stx) < 0)
		return false;
	now = line_of(&stx, path);
	return strcmp(now, line) == 0;
}

static bool read_lines(struct looked *l, int root_fd, const char *text,
		       size_t len)
{
	const char *at = text + SHA256_HEX, *line;
	char hex[SHA256_HEX];

	if (len <= SHA256_HEX)
		return false;
	hash_lines(l, at, len - SHA256_HEX, hex);
	if (memcmp(hex, text, SHA256_HEX) != 0)
		return false;
	while ((line = next_line(&at)))
		if (!is_as_it_was(root_fd, line))
			return false;
	while ((line = next_line(&at)))
		strv_push(&l->found, xstrdup(line));
	return true;
}

void looked_start(struct looked *l, const char *dir, int root_fd,
		  const char *rules)
{
	auto_fd int dir_fd = -1;
	auto_free char *text = NULL;
	struct stat st;
	size_t len = 0;

	if (dir == NULL || fstat(root_fd, &st) < 0)
		return;
	l->dir = xstrdup(dir);
	l->rules = xstrdup(rules);
	l->lasting = clock_gettime(CLOCK_REALTIME, &l->began) == 0;
	l->place = cache_place(st.st_dev, st.st_ino);
	dir_fd = cache_open(dir);
	if (dir_fd >= 0)
		text = read_file(dir_fd, l->place.name, KEPT_MAX, &len);
	l->known = text && read_lines(l, root_fd, text, len);
}

static void write_lines(FILE *out, const struct strv *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		fwrite(lines->v[i], strlen(lines->v[i]) + 1, 1, out);
	fputc('\0', out);
}

/* Not under another name first: who meets half of one looks for itself. */
static void write_place(const struct looked *l, int dir_fd, const char *lines,
			size_t len)
{
	auto_fd int fd = openat(
	    dir_fd, l->place.name,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	char hex[SHA256_HEX];

	hash_lines(l, lines, len, hex);
	if (fd >= 0 && write_all(fd, hex, SHA256_HEX) == 0)
		(void)write_all(fd, lines, len);
}

void looked_keep(const struct looked *l)
{
	auto_free char *lines = NULL;
	auto_fd int dir_fd = -1;
	size_t len = 0;
	FILE *out;

	if (!l->lasting || l->known)
		return;
	(void)mkdir(l->dir, 0700);
	dir_fd = cache_open(l->dir);
	out = dir_fd < 0 ? NULL : open_memstream(&lines, &len);
	if (out == NULL)
		return;
	write_lines(out, &l->folders);
	write_lines(out, &l->found);
	/* What is longer nobody would read. */
	if (fclose(out) == 0 && len <= KEPT_MAX - SHA256_HEX)
		write_place(l, dir_fd, lines, len);
}

void looked_free(struct looked *l)
{
	free(l->dir);
	free(l->rules);
	strv_free(&l->folders);
	strv_free(&l->found);
}
