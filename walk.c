/* SPDX-License-Identifier: MIT */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

#define MAX_LINKS 40

#define READER_SIZE (32 * 1024)
#define OPEN_DIR    (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
/* O_NONBLOCK: a fifo must not hold us up, should the type lie. */
#define OPEN_FILE   (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* Linux 6.6+; the C library's headers are older. */
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

int walk_open_below(int root_fd, const char *path, int flags)
{
	return open_resolve(root_fd, path, (uint64_t)(flags | O_NOFOLLOW),
			    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
				RESOLVE_NO_MAGICLINKS);
}

int walk_open_plain(const char *path)
{
	return open_resolve(AT_FDCWD, path, O_RDONLY | O_DIRECTORY,
			    RESOLVE_NO_SYMLINKS);
}

void walk_start(struct walk_reader *reader, int dir_fd)
{
	*reader = (struct walk_reader){ .fd = dir_fd };
}

static bool is_dots(const char *name)
{
	return name[0] == '.' &&
	       (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

int walk_next(struct walk_reader *reader, struct walk_name *name)
{
	const struct dirent64 *entry;

	if (reader->buf == NULL)
		/* Not cleared: of its pages only those that are filled are made. */
		reader->buf = xrealloc_array(NULL, READER_SIZE, 1);
	do {
		if (reader->pos == reader->len) {
			ssize_t n = getdents64(reader->fd, reader->buf,
					       READER_SIZE);

			if (n <= 0)
				return (int)n;
			reader->pos = 0;
			reader->len = (size_t)n;
		}
		entry = (const void *)(reader->buf + reader->pos);
		reader->pos += entry->d_reclen;
	} while (is_dots(entry->d_name));
	/* FUSE can send up to 1024 bytes, and we keep names in NAME_MAX. */
	if (strlen(entry->d_name) > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	*name = (struct walk_name){ entry->d_name, entry->d_type };
	return 1;
}

void walk_again(struct walk_reader *reader, const struct walk_name *name)
{
	reader->pos = (size_t)(name->name - reader->buf) -
		      offsetof(struct dirent64, d_name);
}

int walk_rewind(struct walk_reader *reader)
{
	free(take_ptr(&reader->buf));
	reader->pos = reader->len = 0;
	return lseek(reader->fd, 0, SEEK_SET) < 0 ? -1 : 0;
}

void walk_end(struct walk_reader *reader)
{
	cleanup_fd(&reader->fd);
	free(reader->buf);
	*reader = (struct walk_reader){ .fd = -1 };
}

/*
 * chmod of what an O_PATH descriptor holds: by name it would follow a link.
 * Before Linux 6.6 the only such way leads through /proc.
 */
static int chmod_held(int path_fd, mode_t mode)
{
	if (syscall(SYS_fchmodat2, path_fd, "", mode, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOSYS && errno != EPERM)
		return -1;
	return chmod(fd_path(path_fd).s, mode);
}

int walk_chmod(int parent_fd, const char *name, mode_t mode)
{
	auto_fd int fd = openat(parent_fd, name,
				O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -1 : chmod_held(fd, mode);
}

/* Adds permissions of the owner's to a file or directory; its old state. */
static int unlock_name(int parent_fd, const char *name, mode_t add,
		       struct stat *st)
{
	auto_fd int fd = openat(parent_fd, name,
				O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, st) < 0)
		return -1;
	if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode)) {
		errno = EINVAL;
		return -1;
	}
	return chmod_held(fd, (st->st_mode & 07777) | add);
}

/* Searching needs a permission too, which opening does not ask for. */
static int unlock_held(int dir_fd, const struct stat *st)
{
	if ((st->st_mode & 0700) == 0700)
		return 0;
	return fchmod(dir_fd, (st->st_mode & 07777) | 0700);
}

int walk_open_dir(int parent_fd, const char *name, bool unlock, struct stat *st)
{
	auto_fd int fd = openat(parent_fd, name, OPEN_DIR);
	struct stat before = { 0 };

	if (fd < 0 && errno == EACCES && unlock &&
	    unlock_name(parent_fd, name, 0700, &before) == 0)
		fd = openat(parent_fd, name, OPEN_DIR);
	if (fd < 0 || fstat(fd, st) < 0)
		return -1;
	if (before.st_mode)
		st->st_mode = before.st_mode;
	else if (unlock && unlock_held(fd, st) < 0)
		return -1;
	return take_fd(&fd);
}

int walk_reopen_dir(int dir_fd, bool unlock, struct stat *st)
{
	if (fstat(dir_fd, st) < 0 || (unlock && unlock_held(dir_fd, st) < 0))
		return -1;
	return openat(dir_fd, ".", OPEN_DIR);
}

void walk_lock_dir(int dir_fd, const struct stat *st)
{
	if ((st->st_mode & 0700) != 0700)
		(void)fchmod(dir_fd, st->st_mode & 07777);
}

int walk_open_file(int parent_fd, const char *name, bool unlock,
		   struct stat *st)
{
	auto_fd int fd = openat(parent_fd, name, OPEN_FILE);
	struct stat before = { 0 };

	if (fd < 0 && errno == EACCES && unlock &&
	    unlock_name(parent_fd, name, 0400, &before) == 0) {
		fd = openat(parent_fd, name, OPEN_FILE);
		if (fd >= 0 && fchmod(fd, before.st_mode & 07777) < 0)
			return -1;
	}
	if (fd < 0 || fstat(fd, st) < 0)
		return -1;
	if (!S_ISREG(st->st_mode)) {
		errno = EINVAL;
		return -1;
	}
	return take_fd(&fd);
}

/* One step of walk_make_dirs; closes *fd and puts the next one there. */
static int step_into(int *fd, const char *name, mode_t mode)
{
	const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
	int next = openat(*fd, name, flags);

	if (next < 0 && errno == ENOENT) {
		if (mkdirat(*fd, name, mode) < 0 && errno != EEXIST)
			return -1;
		/* Ours is no link: what is one now was put there by others. */
		next = openat(*fd, name, flags | O_NOFOLLOW);
	}
	if (next < 0)
		return -1;
	close(*fd);
	*fd = next;
	return 0;
}

int walk_make_dirs(const char *path, mode_t mode)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	auto_fd int fd = open(path, flags);
	auto_free char *copy = NULL;
	char *save, *name;
	int dir;

	if (fd >= 0)
		return take_fd(&fd);
	if (errno != ENOENT)
		return fail(errno, "cannot open folder %s", path);
	copy = xstrdup(path);
	fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(errno, "cannot open /");
	for (name = strtok_r(copy, "/", &save); name;
	     name = strtok_r(NULL, "/", &save))
		if (step_into(&fd, name, mode) < 0)
			return fail(errno, "cannot make folder %s (at %s)",
				    path, name);
	dir = openat(fd, ".", flags);
	if (dir < 0)
		return fail(errno, "cannot open folder %s", path);
	return dir;
}

/* The name at the start of `rest`; owned, and `rest` is past it.  NULL: none. */
static char *next_name(const char **rest)
{
	const char *name = *rest + strspn(*rest, "/");
	size_t len = strcspn(name, "/");

	*rest = name + len;
	return len ? xstrndup(name, len) : NULL;
}

/* One name further from the real folder `at`; NULL where the way ends. */
static char *way_step(char **at, char *rest, struct strv *places,
		      struct strv *links)
{
	const char *tail = rest;
	auto_free char *name = next_name(&tail);
	auto_free char *place = name ? path_join(*at, name) : NULL;
	auto_free char *clean = place ? path_clean(place) : NULL;
	char target[PATH_MAX];
	ssize_t n;

	if (!clean)
		return NULL;
	n = readlink(clean, target, sizeof(target) - 1);
	if (n < 0 && errno != EINVAL)
		return NULL;
	strv_push(places, xstrdup(clean));
	if (n < 0) {
		free(*at);
		*at = take_ptr(&clean);
		return xstrdup(tail);
	}
	target[n] = '\0';
	strv_push(links, take_ptr(&clean));
	if (target[0] == '/') {
		free(*at);
		*at = xstrdup("/");
	}
	return path_join(target, tail);
}

void walk_way(const char *path, struct strv *places, struct strv *links)
{
	char *auto_free at = xstrdup("/");
	char *rest = xstrdup(path);

	/* As many as the kernel follows, which then gives up as well. */
	while (rest && links->n <= MAX_LINKS) {
		char *next = way_step(&at, rest, places, links);

		free(rest);
		rest = next;
	}
	free(rest);
}

size_t walk_push(struct walk_path *path, const char *name)
{
	size_t before = path->len, n = strlen(name);

	if (path->len + n + 2 > path->size) {
		path->size = 2 * (path->len + n + 2);
		path->s = xrealloc_array(path->s, path->size, 1);
	}
	if (path->len > 0)
		path->s[path->len++] = '/';
	memcpy(path->s + path->len, name, n + 1);
	path->len += n;
	return before;
}

void walk_cut(struct walk_path *path, size_t len)
{
	path->len = len;
	path->s[len] = '\0';
}

void walk_free(struct walk_path *path)
{
	free(path->s);
	*path = (struct walk_path){ 0 };
}
