/* SPDX-License-Identifier: MIT */
#include "tarball.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "err.h"
#include "inodes.h"
#include "listing.h"
#include "sparse.h"
#include "text.h"
#include "util.h"

/*
 * Bounds.  A path that is longer fits no PATH_MAX when it is unpacked, and 8 MB
 * of nested directories would make 400 MB of archive.  The memory for names is
 * shared by all levels: each takes at most half of what is left.
 */
#define PATH_BYTES_MAX 4096
#define ENTRIES_MAX    2000000
#define NAMES_MEMORY   (12 * 1024 * 1024)
#define NAMES_LEAST    (32 * 1024)
#define SKIPPED_BYTES  (1024 * 1024)
#define COPIES_BYTES   (1024LL * 1024 * 1024)
/* The writer is told of each GiB of a hole: 8 EiB would take it minutes, which
 * is one file on xfs, btrfs or tmpfs. */
#define HOLES_BYTES    (1LL << 50)

#define BLOCK (128 * 1024)
#define ZEROS (1024LL * 1024 * 1024)

struct level {
	struct listing names;
	struct stat st;
	size_t path_len; /* to cut to when it is left */
};

struct tarball {
	struct pack *pack;
	struct archive *out;
	struct archive_entry *entry;
	char *block;
	char *zeros; /* ZEROS bytes of address space; no memory */
	struct sparse_segment *segments;

	struct walk_path path;
	struct level *levels;
	size_t depth;
	size_t names_memory; /* of all levels but the innermost */
	dev_t device;
	struct inodes inodes;
	off_t holes;
	off_t copied; /* of hard-linked files that found no place there */
	time_t stamp;

	bool pass_whiteouts;
	uint64_t entries, files, skipped;
	char *skipped_text;
	size_t skipped_len;
};

/* --- members ------------------------------------------------------------ */

static la_ssize_t put(struct archive *a, void *t, const void *buf, size_t len)
{
	(void)a;
	if (pack_write(((struct tarball *)t)->pack, buf, len) < 0)
		return -1;
	return (la_ssize_t)len;
}

static int fail_at(const char *path, int err)
{
	auto_free char *shown = text_visible(path, true);

	return fail(err, "cannot archive %s", shown);
}

/* After a failure of pack's, which was recorded, this one is not. */
static int fail_writer(const struct tarball *t, const char *path)
{
	auto_free char *shown = text_visible(path, true);

	return fail(0, "cannot archive %s: %s", shown,
		    archive_error_string(t->out));
}

static void set_entry(struct tarball *t, const char *path,
		      const struct stat *st)
{
	archive_entry_clear(t->entry);
	archive_entry_copy_pathname(t->entry, path);
	archive_entry_set_filetype(t->entry, st->st_mode & S_IFMT);
	/* No set-id bit that an unpacking root would give to somebody. */
	archive_entry_set_perm(t->entry, st->st_mode & 0777);
	archive_entry_set_mtime(t->entry, st->st_mtim.tv_sec, 0);
	archive_entry_set_size(t->entry,
			       S_ISREG(st->st_mode) ? st->st_size : 0);
}

static int put_entry(struct tarball *t, const char *path)
{
	/* A warning is a name that is not UTF-8, stored as BINARY. */
	if (archive_write_header(t->out, t->entry) < ARCHIVE_WARN)
		return fail_writer(t, path);
	return 0;
}

static int put_bytes(struct tarball *t, const char *path, const void *data,
		     size_t len)
{
	if (archive_write_data(t->out, data, len) != (la_ssize_t)len)
		return fail_writer(t, path);
	return 0;
}

/* The writer wants holes too, and counts them without a look. */
static int put_hole(struct tarball *t, const char *path, off_t len)
{
	while (len > 0) {
		size_t part = len < ZEROS ? (size_t)len : ZEROS;

		if (put_bytes(t, path, t->zeros, part) < 0)
			return -1;
		len -= (off_t)part;
	}
	return 0;
}

static int put_range(struct tarball *t, const char *path, int fd, off_t at,
		     off_t end)
{
	while (at < end) {
		size_t want = end - at < BLOCK ? (size_t)(end - at) : BLOCK;
		ssize_t n = pread(fd, t->block, want, at);

		if (n < 0 && errno == EINTR)
			continue;
		/* Its header said more: the archive would be a lie. */
		if (n <= 0)
			return fail_at(path, n < 0 ? errno : ENODATA);
		if (put_bytes(t, path, t->block, (size_t)n) < 0)
			return -1;
		at += n;
	}
	return 0;
}

static ssize_t find_data(struct tarball *t, int fd, const struct stat *st)
{
	if (st->st_size > HOLES_BYTES - t->holes) {
		errno = EFBIG;
		return -1;
	}
	t->holes += st->st_size;
	return sparse_find(fd, st, t->segments);
}

static int put_sparse(struct tarball *t, const char *path, int fd,
		      const struct stat *st)
{
	ssize_t n = find_data(t, fd, st);
	off_t at = 0;

	if (n < 0) {
		fail_at(path, errno);
		return fail_remedy("its data is strewn over %lld bytes of "
				   "holes",
				   (long long)st->st_size);
	}
	for (ssize_t i = 0; i < n; i++)
		archive_entry_sparse_add_entry(t->entry, t->segments[i].offset,
					       t->segments[i].end -
						   t->segments[i].offset);
	if (n == 0)
		archive_entry_sparse_add_entry(t->entry, 0, 0);
	if (put_entry(t, path) < 0)
		return -1;
	for (ssize_t i = 0; i < n; i++) {
		const struct sparse_segment *s = &t->segments[i];

		if (put_hole(t, path, s->offset - at) < 0 ||
		    put_range(t, path, fd, s->offset, s->end) < 0)
			return -1;
		at = s->end;
	}
	return put_hole(t, path, st->st_size - at);
}

static int put_file(struct tarball *t, const char *path, int fd,
		    const struct stat *st)
{
	set_entry(t, path, st);
	if (st->st_blocks < st->st_size / 512)
		return put_sparse(t, path, fd, st);
	if (put_entry(t, path) < 0)
		return -1;
	return put_range(t, path, fd, 0, st->st_size);
}

int tarball_add_text(struct tarball *t, const char *name, const char *text,
		     size_t len, time_t mtime)
{
	const struct stat st = { .st_mode = S_IFREG | 0600,
				 .st_size = (off_t)len,
				 .st_mtim = { .tv_sec = mtime } };

	set_entry(t, name, &st);
	if (put_entry(t, name) < 0)
		return -1;
	return put_bytes(t, name, text, len);
}

int tarball_add_file(struct tarball *t, const char *name, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_at(name, errno);
	return put_file(t, name, fd, &st);
}

/* --- the tree ----------------------------------------------------------- */

/* One line each; the list is bounded, the count is not. */
static void skip(struct tarball *t, const char *kind)
{
	auto_free char *shown = text_visible(t->path.s, true);
	auto_free char *line = xasprintf("%s %s\n", kind, shown);
	size_t len = strlen(line);

	t->skipped++;
	if (t->skipped_len + len > SKIPPED_BYTES)
		return;
	t->skipped_text = xrealloc_array(t->skipped_text, t->skipped_len + len,
					 1);
	memcpy(t->skipped_text + t->skipped_len, line, len);
	t->skipped_len += len;
}

static int add_regular(struct tarball *t, int dir_fd, const char *name)
{
	const char *path = t->path.s, *first;
	struct stat st;
	auto_fd int fd = walk_open_file(dir_fd, name, true, &st);

	if (fd < 0)
		return fail_at(path, errno);
	if (st.st_nlink < 2)
		return put_file(t, path, fd, &st);
	first = inodes_find(&t->inodes, st.st_ino);
	if (first) {
		st.st_size = 0;
		set_entry(t, path, &st);
		archive_entry_copy_hardlink(t->entry, first);
		return put_entry(t, path);
	}
	/* A full table makes copies: right, but not without end. */
	if (!inodes_add(&t->inodes, st.st_ino, path)) {
		t->copied += st.st_size;
		if (t->copied > COPIES_BYTES)
			return fail(0, "cannot archive the workdir: too many "
				       "hard-linked files");
	}
	return put_file(t, path, fd, &st);
}

static int add_link(struct tarball *t, int dir_fd, const char *name,
		    struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);

	if (n < 0)
		return fail_at(t->path.s, errno);
	target[n] = '\0';
	/* Some file systems have modes for links; none has a meaning. */
	st->st_mode = S_IFLNK | 0777;
	set_entry(t, t->path.s, st);
	archive_entry_copy_symlink(t->entry, target);
	return put_entry(t, t->path.s);
}

static int push_level(struct tarball *t, int dir_fd, const struct stat *st,
		      size_t path_len)
{
	struct level *level = &t->levels[t->depth++];

	if (t->depth > 1)
		t->names_memory += listing_memory(&level[-1].names);
	*level = (struct level){ .st = *st, .path_len = path_len };
	listing_start(&level->names, dir_fd);
	set_entry(t, t->path.s, st);
	return put_entry(t, t->path.s);
}

static int enter(struct tarball *t, int parent_fd, const char *name,
		 size_t path_len)
{
	struct stat st;
	int fd;

	if (t->depth == WALK_DEPTH_MAX)
		return fail(0,
			    "cannot archive the workdir: it nests more than "
			    "%d directories",
			    WALK_DEPTH_MAX);
	fd = walk_open_dir(parent_fd, name, true, &st);
	if (fd < 0)
		return fail_at(t->path.s, errno);
	if (st.st_dev == t->device)
		return push_level(t, fd, &st, path_len);
	close(fd);
	skip(t, "mount");
	walk_cut(&t->path, path_len);
	return 0;
}

static const char *special(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "device";
	}
}

static int add_by_type(struct tarball *t, int dir_fd,
		       const struct walk_name *name)
{
	struct stat st;

	if (name->type == DT_REG) {
		t->files++;
		return add_regular(t, dir_fd, name->name);
	}
	if (fstatat(dir_fd, name->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_at(t->path.s, errno);
	if (t->pass_whiteouts && S_ISCHR(st.st_mode) && st.st_rdev == 0)
		return 0;
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) {
		skip(t, special(st.st_mode));
		return 0;
	}
	t->files++;
	return S_ISREG(st.st_mode) ? add_regular(t, dir_fd, name->name)
				   : add_link(t, dir_fd, name->name, &st);
}

static bool is_directory(int dir_fd, const struct walk_name *name)
{
	struct stat st;

	if (name->type != DT_UNKNOWN)
		return name->type == DT_DIR;
	return fstatat(dir_fd, name->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

static int add_name(struct tarball *t, const struct walk_name *name)
{
	int dir_fd = t->levels[t->depth - 1].names.reader.fd;
	size_t before = walk_push(&t->path, name->name);
	int rc;

	/* 1: the slash that a directory gets. */
	if (t->path.len + 1 > PATH_BYTES_MAX) {
		t->path.s[60] = '\0';
		return fail_at(t->path.s, ENAMETOOLONG);
	}
	if (++t->entries > ENTRIES_MAX)
		return fail(0,
			    "cannot archive the workdir: it holds more than "
			    "%d files",
			    ENTRIES_MAX);
	/* The path stays until the directory is left. */
	if (is_directory(dir_fd, name))
		return enter(t, dir_fd, name->name, before);
	rc = add_by_type(t, dir_fd, name);
	walk_cut(&t->path, before);
	return rc;
}

static void leave(struct tarball *t)
{
	struct level *level = &t->levels[--t->depth];

	walk_lock_dir(level->names.reader.fd, &level->st);
	listing_end(&level->names);
	if (t->depth > 0)
		t->names_memory -= listing_memory(&level[-1].names);
	walk_cut(&t->path, level->path_len);
}

static size_t names_limit(const struct tarball *t)
{
	if (t->names_memory + 2 * NAMES_LEAST > NAMES_MEMORY)
		return NAMES_LEAST;
	return (NAMES_MEMORY - t->names_memory) / 2;
}

void tarball_pass_whiteouts(struct tarball *t)
{
	t->pass_whiteouts = true;
}

int tarball_add_tree(struct tarball *t, const char *name, int dir_fd)
{
	struct stat st;
	int fd = walk_reopen_dir(dir_fd, true, &st);
	struct walk_name entry;
	int rc;

	if (fd < 0)
		return fail(errno, "cannot open the workdir");
	t->device = st.st_dev;
	t->stamp = st.st_mtim.tv_sec;
	walk_push(&t->path, name);
	rc = push_level(t, fd, &st, 0);
	while (t->depth > 0) {
		struct listing *names = &t->levels[t->depth - 1].names;
		int more = rc < 0 ? 0
				  : listing_next(names, names_limit(t), &entry);

		if (more < 0)
			rc = fail_at(t->path.s, errno);
		else if (more == 1)
			rc = add_name(t, &entry);
		else
			leave(t);
	}
	return rc;
}

/* --- begin and end ------------------------------------------------------ */

struct tarball *tarball_open(struct pack *pack)
{
	struct tarball *t = xcalloc(1, sizeof(*t));

	t->pack = pack;
	/*
	 * In this locale the writer takes names for the UTF-8 that pax wants,
	 * and marks the others as BINARY; in "C" it marks all beyond ASCII, of
	 * which GNU tar complains.
	 */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	t->out = archive_write_new();
	t->entry = archive_entry_new();
	t->block = malloc(BLOCK);
	t->segments = malloc(SPARSE_MAX * sizeof(*t->segments));
	t->levels = malloc(WALK_DEPTH_MAX * sizeof(*t->levels));
	t->zeros = mmap(NULL, ZEROS, PROT_READ,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->out && t->entry && t->block && t->segments && t->levels &&
	    t->zeros != MAP_FAILED &&
	    /* "restricted": extended headers only where they are needed. */
	    archive_write_set_format_pax_restricted(t->out) == ARCHIVE_OK &&
	    archive_write_set_bytes_per_block(t->out, BLOCK) == ARCHIVE_OK &&
	    archive_write_set_bytes_in_last_block(t->out, 1) == ARCHIVE_OK &&
	    archive_write_open(t->out, t, NULL, put, NULL) == ARCHIVE_OK)
		return t;
	fail(ENOMEM, "cannot set up the archive");
	tarball_free(t);
	return NULL;
}

static int add_skipped(struct tarball *t)
{
	auto_free char *text = NULL;
	uint64_t listed = 0;

	for (size_t i = 0; i < t->skipped_len; i++)
		listed += t->skipped_text[i] == '\n';
	text = xasprintf("%.*s", (int)t->skipped_len, t->skipped_text);
	if (listed < t->skipped) {
		char *longer = xasprintf(
		    "%sand %llu more\n", text,
		    (unsigned long long)(t->skipped - listed));

		free(text);
		text = longer;
	}
	return tarball_add_text(t, "skipped.txt", text, strlen(text), t->stamp);
}

int tarball_finish(struct tarball *t, uint64_t *files, uint64_t *skipped)
{
	*files = t->files;
	*skipped = t->skipped;
	if (t->skipped > 0 && add_skipped(t) < 0)
		return -1;
	if (archive_write_close(t->out) < ARCHIVE_OK)
		return fail_writer(t, "the end");
	return pack_finish(t->pack);
}

void tarball_free(struct tarball *t)
{
	if (t == NULL)
		return;
	archive_entry_free(t->entry);
	/* After a failure it must not write an end as if all were well. */
	if (t->out)
		archive_write_fail(t->out);
	archive_write_free(t->out);
	inodes_free(&t->inodes);
	walk_free(&t->path);
	if (t->zeros != MAP_FAILED && t->zeros)
		munmap(t->zeros, ZEROS);
	free(t->block);
	free(t->segments);
	free(t->levels);
	free(t->skipped_text);
	free(t);
}
