/* SPDX-License-Identifier: MIT */
#include "copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "err.h"
#include "text.h"
#include "util.h"
#include "walk.h"

#define CHUNK (128 * 1024)

/* By hand: for file systems (and /proc) where the kernel does not copy. */
static int copy_by_hand(int from_fd, int to_fd, off_t offset, off_t end)
{
	auto_free char *buf = xcalloc(1, CHUNK);

	while (offset < end) {
		size_t want = end - offset < CHUNK ? (size_t)(end - offset)
						   : CHUNK;
		ssize_t n = pread(from_fd, buf, want, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		for (ssize_t done = 0; done < n;) {
			ssize_t put = pwrite(to_fd, buf + done,
					     (size_t)(n - done), offset + done);

			if (put < 0 && errno != EINTR)
				return -1;
			done += put > 0 ? put : 0;
		}
		offset += n;
	}
	return 0;
}

static int copy_range(int from_fd, int to_fd, off_t offset, off_t end)
{
	off_t to = offset;

	while (offset < end) {
		ssize_t n = copy_file_range(from_fd, &offset, to_fd, &to,
					    (size_t)(end - offset), 0);

		if (n < 0 && errno == EINTR)
			continue;
		/* ENOSPC, EDQUOT and EIO would come again by hand. */
		if (n < 0 && (errno == ENOSPC || errno == EDQUOT ||
			      errno == EIO || errno == EFBIG))
			return -1;
		/* 0: shorter now, or a file whose size means nothing. */
		if (n <= 0)
			return copy_by_hand(from_fd, to_fd, offset, end);
	}
	return 0;
}

/* Only what lies between holes. */
static int copy_sparse(int from_fd, int to_fd, off_t size)
{
	off_t data = lseek(from_fd, 0, SEEK_DATA);

	if (data < 0 && errno != ENXIO)
		return copy_range(from_fd, to_fd, 0, size);
	while (data >= 0 && data < size) {
		off_t hole = lseek(from_fd, data, SEEK_HOLE);

		if (hole < 0 || hole > size)
			hole = size;
		if (copy_range(from_fd, to_fd, data, hole) < 0)
			return -1;
		data = lseek(from_fd, hole, SEEK_DATA);
	}
	return ftruncate(to_fd, size);
}

int copy_data(int from_fd, int to_fd, const struct stat *st)
{
	/* Files of /proc say 0 and hold something nevertheless. */
	if (st->st_size == 0)
		return copy_by_hand(from_fd, to_fd, 0, INT64_MAX);
	/* ext4 and tmpfs cannot share blocks, nor can two file systems. */
	if (ioctl(to_fd, FICLONE, from_fd) == 0)
		return 0;
	if (st->st_blocks < st->st_size / 512)
		return copy_sparse(from_fd, to_fd, st->st_size);
	return copy_range(from_fd, to_fd, 0, st->st_size);
}

/* Owner before mode: a change of owner takes permissions away. */
static int finish(int fd, const struct stat *st, const struct copy_rules *rules)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
					   st->st_mtim };

	if (rules->own && fchown(fd, rules->uid, rules->gid) < 0)
		return -1;
	if (fchmod(fd, st->st_mode & rules->mask & 0777) < 0)
		return -1;
	return futimens(fd, times);
}

/* `path` is hostile text when the tree is. */
static int refuse(const struct copy_rules *rules, const char *path, int err)
{
	auto_free char *shown = text_visible(path, true);

	return fail(err, "cannot copy %s%s%s", rules->what, *path ? "/" : "",
		    shown);
}

static int copy_file_at(int from_fd, const struct stat *st, int parent_fd,
			const char *name, const struct copy_rules *rules,
			const char *path)
{
	auto_fd int fd = openat(
	    parent_fd, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || copy_data(from_fd, fd, st) < 0 ||
	    finish(fd, st, rules) < 0)
		return refuse(rules, path, errno);
	return 0;
}

int copy_file(int from_fd, const struct stat *st, int parent_fd,
	      const char *name, const struct copy_rules *rules)
{
	return copy_file_at(from_fd, st, parent_fd, name, rules, "");
}

struct level {
	struct walk_reader from;
	int to_fd;
	struct stat st;
	size_t path_len; /* to cut to when it is left */
};

struct copying {
	struct copy_rules *rules;
	struct level *levels;
	size_t depth;
	dev_t device;
	struct walk_path path;
};

/* Does a link at this depth name something above the tree?  By words only. */
static bool leaves(const char *target, size_t depth)
{
	size_t levels = depth;

	if (*target == '/')
		return true;
	for (const char *p = target; *p; p += strcspn(p, "/"), p += *p == '/') {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.') {
			if (levels == 0)
				return true;
			levels--;
		} else if (n > 0 && !(n == 1 && p[0] == '.')) {
			levels++;
		}
	}
	return false;
}

static int copy_link(struct copying *c, const struct level *level,
		     const char *name, const struct stat *st)
{
	const struct copy_rules *rules = c->rules;
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
					   st->st_mtim };
	char target[PATH_MAX];
	ssize_t n = readlinkat(level->from.fd, name, target,
			       sizeof(target) - 1);

	if (n < 0)
		return refuse(rules, c->path.s, errno);
	target[n] = '\0';
	c->rules->links_out |= leaves(target, c->depth - 1);
	if (symlinkat(target, level->to_fd, name) < 0 ||
	    (rules->own && fchownat(level->to_fd, name, rules->uid, rules->gid,
				    AT_SYMLINK_NOFOLLOW) < 0))
		return refuse(rules, c->path.s, errno);
	/* Not every file system can: a link's time is no loss. */
	(void)utimensat(level->to_fd, name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

static void push_level(struct copying *c, int from_fd, int to_fd,
		       const struct stat *st, size_t path_len)
{
	struct level *level = &c->levels[c->depth++];

	*level = (struct level){ .to_fd = to_fd, .path_len = path_len };
	level->st = *st;
	walk_start(&level->from, from_fd);
}

static int enter(struct copying *c, const char *name, size_t path_len)
{
	const struct copy_rules *rules = c->rules;
	const struct level *level = &c->levels[c->depth - 1];
	struct stat st;
	auto_fd int from = -1;
	auto_fd int to = -1;

	if (c->depth == WALK_DEPTH_MAX)
		return fail(0,
			    "cannot copy %s: it nests more than %d "
			    "directories",
			    rules->what, WALK_DEPTH_MAX);
	from = walk_open_dir(level->from.fd, name, rules->unlock, &st);
	if (from < 0)
		return refuse(rules, c->path.s, errno);
	if (rules->unlock && st.st_dev != c->device)
		return refuse(rules, c->path.s, EXDEV);
	if (rules->skip_inode && st.st_ino == rules->skip_inode &&
	    st.st_dev == rules->skip_device) {
		walk_cut(&c->path, path_len);
		return 0;
	}
	/* Two inputs may meet in one directory; in one file they may not. */
	if (mkdirat(level->to_fd, name, 0700) < 0 && errno != EEXIST)
		return refuse(rules, c->path.s, errno);
	to = openat(level->to_fd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return refuse(rules, c->path.s, errno);
	push_level(c, take_fd(&from), take_fd(&to), &st, path_len);
	return 0;
}

static int copy_regular(struct copying *c, const struct level *level,
			const char *name)
{
	struct stat st;
	auto_fd int fd = walk_open_file(level->from.fd, name, c->rules->unlock,
					&st);

	if (fd < 0)
		return refuse(c->rules, c->path.s, errno);
	return copy_file_at(fd, &st, level->to_fd, name, c->rules, c->path.s);
}

static const char *kind_of(mode_t mode)
{
	return S_ISSOCK(mode)   ? "a socket"
	       : S_ISFIFO(mode) ? "a fifo"
				: "a device";
}

static int copy_entry(struct copying *c, const char *name)
{
	const struct level *level = &c->levels[c->depth - 1];
	size_t before = walk_push(&c->path, name);
	struct stat st;
	int rc;

	if (c->rules->skip && strv_search(c->rules->skip, c->path.s)) {
		walk_cut(&c->path, before);
		return 0;
	}
	if (fstatat(level->from.fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return refuse(c->rules, c->path.s, errno);
	/* The path stays until the directory is left. */
	if (S_ISDIR(st.st_mode))
		return enter(c, name, before);
	if (S_ISREG(st.st_mode)) {
		rc = copy_regular(c, level, name);
	} else if (S_ISLNK(st.st_mode)) {
		rc = copy_link(c, level, name, &st);
	} else if (c->rules->files_only) {
		c->rules->left_out++;
		rc = 0;
	} else {
		auto_free char *shown = text_visible(c->path.s, true);

		fail(0, "cannot copy %s/%s: it is %s", c->rules->what, shown,
		     kind_of(st.st_mode));
		rc = fail_remedy("no copy of such a thing is one: name what "
				 "is needed beside it, one by one");
	}
	walk_cut(&c->path, before);
	return rc;
}

static int leave(struct copying *c, int rc)
{
	struct level *level = &c->levels[--c->depth];

	if (rc == 0 && finish(level->to_fd, &level->st, c->rules) < 0)
		rc = refuse(c->rules, c->path.len ? c->path.s : "", errno);
	if (c->rules->unlock)
		walk_lock_dir(level->from.fd, &level->st);
	walk_end(&level->from);
	cleanup_fd(&level->to_fd);
	if (c->depth > 0)
		walk_cut(&c->path, level->path_len);
	return rc;
}

int copy_tree(int from_fd, const struct stat *st, int to_fd,
	      struct copy_rules *rules)
{
	struct copying c = { .rules = rules, .device = st->st_dev };
	struct walk_name entry;
	int rc = 0;

	c.levels = xcalloc(WALK_DEPTH_MAX, sizeof(*c.levels));
	push_level(&c, from_fd, to_fd, st, 0);
	while (c.depth > 0) {
		struct walk_reader *from = &c.levels[c.depth - 1].from;
		int more = rc < 0 ? 0 : walk_next(from, &entry);

		if (more < 0)
			rc = refuse(rules, c.path.len ? c.path.s : "", errno);
		else if (more == 1)
			rc = copy_entry(&c, entry.name);
		else
			rc = leave(&c, rc);
	}
	free(c.levels);
	walk_free(&c.path);
	return rc;
}
