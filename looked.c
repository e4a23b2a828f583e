/* SPDX-License-Identifier: MIT */
#include "looked.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sha256.h"

/*
 * Why it holds
 *
 * A name that comes, goes or changes sets its folder's ctime, and nobody sets
 * that back who does not set the clock.  What is mounted over a folder has another
 * device or inode.  What is left are changes that leave the stamp as it is:
 *
 *	within one tick of the clock: no folder is taken that is younger than
 *	two seconds when its reading begins (git calls such files racily clean);
 *	on a file system whose times are another machine's, a process's, or of
 *	no more than seconds: those below alone are taken;
 *	by whoever makes an image: its times are whole seconds;
 *	by a key: an encrypted folder has other names before it is unlocked.
 *
 * No payload writes where it is kept (tree.c: keep_apart), and the hash is for a
 * file that a crash left in part.
 */

#define PLACES   256
#define KEPT_MAX (1024 * 1024)
#define AGE_S    2

/* Those that tell of each change, and keep the time to the nanosecond. */
static const unsigned long file_systems[] = {
	EXT4_SUPER_MAGIC, /* ext2 and ext3, too */
	XFS_SUPER_MAGIC,  BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC,
};

static bool tells_changes(int dir_fd)
{
	struct statfs fs;

	if (fstatfs(dir_fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(file_systems); i++)
		if ((unsigned long)fs.f_type == file_systems[i])
			return true;
	return false;
}

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
static bool is_settled(const struct looked *l, const struct statx *stx)
{
	return stx->stx_ctime.tv_nsec != 0 &&
	       stx->stx_ctime.tv_sec < l->began.tv_sec - AGE_S &&
	       !(stx->stx_attributes & STATX_ATTR_ENCRYPTED);
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
	l->lasting = stamp_of(dir_fd, "", &stx) == 0 && is_settled(l, &stx) &&
		     tells_changes(dir_fd);
	strv_push(&l->folders, line_of(&stx, path));
}

void looked_found(struct looked *l, char *line)
{
	strv_push(&l->found, line);
}

/* --- a place ------------------------------------------------------------ */

/* Ours, and nobody else writes there; -1: no such. */
static int open_dir(const char *path)
{
	auto_fd int fd = open(path,
			      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
	    st.st_mode & 022)
		return -1;
	return take_fd(&fd);
}

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
	size_t len;

	if (dir == NULL || fstat(root_fd, &st) < 0)
		return;
	l->dir = xstrdup(dir);
	l->rules = xstrdup(rules);
	l->lasting = clock_gettime(CLOCK_REALTIME, &l->began) == 0;
	snprintf(l->place, sizeof(l->place), "%02x",
		 (unsigned int)((st.st_dev * 31 + st.st_ino) % PLACES));
	dir_fd = open_dir(dir);
	if (dir_fd >= 0)
		text = read_file(dir_fd, l->place, KEPT_MAX, &len);
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
	    dir_fd, l->place,
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
	dir_fd = open_dir(l->dir);
	out = dir_fd < 0 ? NULL : open_memstream(&lines, &len);
	if (out == NULL)
		return;
	write_lines(out, &l->folders);
	write_lines(out, &l->found);
	if (fclose(out) == 0)
		write_place(l, dir_fd, lines, len);
}

void looked_free(struct looked *l)
{
	free(l->dir);
	free(l->rules);
	strv_free(&l->folders);
	strv_free(&l->found);
}
