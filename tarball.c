/* SPDX-License-Identifier: MIT */
#include "tarball.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "inodes.h"
#include "listing.h"
#include "pax.h"
#include "progress.h"
#include "text.h"
#include "util.h"

/*
 * Bounds.  The memory for names is shared by all levels: each takes at most half
 * of what is left.
 */
#define NAMES_MEMORY  (5 * 1024 * 1024)
#define NAMES_LEAST   (32 * 1024)
#define SKIPPED_BYTES (1024 * 1024)
#define COPIES_BYTES  (1024LL * 1024 * 1024)

#define BLOCK (128 * 1024)

/* What adding a name comes to where it is no failure. */
enum { STORED, LEFT_OUT };

struct level {
	struct listing names;
	struct stat st;
	size_t path_len; /* to cut to when it is left */
};

struct tarball {
	struct pack *pack;
	struct pax out;
	char *block;
	struct sparse_segment *segments;

	struct walk_path path;
	size_t below; /* where in it the part below the tree's top begins */
	struct level *levels;
	size_t depth;
	size_t names_memory; /* of all levels but the innermost */
	dev_t device;
	struct inodes inodes;
	off_t copied; /* of hard-linked files that found no place there */
	time_t stamp;

	struct artifact_limits limits;
	struct progress progress;
	bool pass_whiteouts;
	uint64_t entries, bytes;
	struct tarball_count count;
	char *skipped_text;
	size_t skipped_len;
};

/* --- what is left out --------------------------------------------------- */

/* One line each; the list is bounded, the counts are not. */
static void note_skipped(struct tarball *t, const char *kind, const char *path)
{
	auto_free char *shown = text_visible(path, true);
	auto_free char *line = xasprintf("%s %s\n", kind, shown);
	size_t len = strlen(line);

	if (t->skipped_len + len > SKIPPED_BYTES)
		return;
	t->skipped_text = xrealloc_array(t->skipped_text, t->skipped_len + len,
					 1);
	memcpy(t->skipped_text + t->skipped_len, line, len);
	t->skipped_len += len;
}

/* What is no file, or none of the payload's: LEFT_OUT. */
static int skip(struct tarball *t, const char *kind)
{
	t->count.skipped++;
	note_skipped(t, kind, t->path.s);
	return LEFT_OUT;
}

/*
 * What a payload put beyond a bound that nobody can move.  It costs that name:
 * where it cost the archive, every payload could have the whole of its work lost,
 * and the disk filled with workdirs that are kept.
 */
static int leave_out(struct tarball *t, const char *kind, const char *path)
{
	t->count.left_out++;
	note_skipped(t, kind, path);
	return LEFT_OUT;
}

/* --- members ------------------------------------------------------------ */

static int fail_at(const char *path, int err)
{
	auto_free char *shown = text_visible(path, true);

	return fail(err, "cannot archive %s", shown);
}

static struct pax_member member_of(const char *path, const struct stat *st)
{
	/* No set-id bit that an unpacking root would give to somebody. */
	return (struct pax_member){ .path = path,
				    .mode = st->st_mode & (S_IFMT | 0777),
				    .size = st->st_size,
				    .mtime = st->st_mtim.tv_sec };
}

static void tell(struct tarball *t)
{
	/* Most have nobody who looks: no clock is read for each block then. */
	if (t->progress.fd < 0)
		return;
	progress_tell(&t->progress, t->count.files, t->bytes,
		      now_ms(CLOCK_MONOTONIC));
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
		if (pax_data(&t->out, t->block, (size_t)n) < 0)
			return -1;
		tell(t);
		at += n;
	}
	return 0;
}

static int put_sparse(struct tarball *t, const char *path, int fd,
		      const struct stat *st)
{
	struct pax_member member = member_of(path, st);
	ssize_t n = sparse_find(fd, st, t->segments);

	if (n < 0)
		return errno == EFBIG ? leave_out(t, "strewn", path)
				      : fail_at(path, errno);
	member.sparse = true;
	member.segments = t->segments;
	member.n_segments = (size_t)n;
	if (pax_member(&t->out, &member) < 0)
		return -1;
	for (ssize_t i = 0; i < n; i++)
		if (put_range(t, path, fd, t->segments[i].offset,
			      t->segments[i].end) < 0)
			return -1;
	return 0;
}

static int count_bytes(struct tarball *t, off_t size)
{
	t->bytes += (uint64_t)size;
	if (t->limits.bytes == 0 || t->bytes <= t->limits.bytes)
		return 0;
	fail(0,
	     "cannot archive the workdir: its files come to more than %llu "
	     "bytes",
	     (unsigned long long)t->limits.bytes);
	return fail_remedy("--artifact-bytes SIZE allows more");
}

static int put_file(struct tarball *t, const char *path, int fd,
		    const struct stat *st)
{
	const struct pax_member member = member_of(path, st);

	if (count_bytes(t, st->st_size) < 0)
		return -1;
	if (st->st_blocks < st->st_size / 512)
		return put_sparse(t, path, fd, st);
	if (pax_member(&t->out, &member) < 0)
		return -1;
	return put_range(t, path, fd, 0, st->st_size);
}

int tarball_add_text(struct tarball *t, const char *name, const char *text,
		     size_t len, time_t mtime)
{
	const struct pax_member member = { .path = name,
					   .mode = S_IFREG | 0600,
					   .size = (off_t)len,
					   .mtime = mtime };

	if (pax_member(&t->out, &member) < 0)
		return -1;
	return pax_data(&t->out, text, len);
}

int tarball_add_file(struct tarball *t, const char *name, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_at(name, errno);
	return put_file(t, name, fd, &st);
}

/* --- the tree ----------------------------------------------------------- */

static int add_regular(struct tarball *t, int dir_fd, const char *name)
{
	const char *path = t->path.s, *first;
	struct stat st;
	auto_fd int fd = walk_open_file(dir_fd, name, true, &st);
	int rc;

	if (fd < 0)
		return fail_at(path, errno);
	if (st.st_nlink < 2)
		return put_file(t, path, fd, &st);
	first = inodes_find(&t->inodes, st.st_ino);
	if (first) {
		struct pax_member member = member_of(path, &st);

		member.hard_link = first;
		return pax_member(&t->out, &member);
	}
	/* A full table makes copies: right, but not without end. */
	if (t->copied > COPIES_BYTES)
		return leave_out(t, "copy", path);
	rc = put_file(t, path, fd, &st);
	if (rc == STORED && !inodes_add(&t->inodes, st.st_ino, path))
		t->copied += st.st_size;
	return rc;
}

static int add_link(struct tarball *t, int dir_fd, const char *name,
		    struct stat *st)
{
	struct pax_member member;
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);

	if (n < 0)
		return fail_at(t->path.s, errno);
	target[n] = '\0';
	/* Some file systems have modes for links; none has a meaning. */
	st->st_mode = S_IFLNK | 0777;
	member = member_of(t->path.s, st);
	member.link = target;
	return pax_member(&t->out, &member);
}

static int push_level(struct tarball *t, int dir_fd, const struct stat *st,
		      size_t path_len)
{
	const struct pax_member member = member_of(t->path.s, st);
	struct level *level = &t->levels[t->depth++];

	if (t->depth > 1)
		t->names_memory += listing_memory(&level[-1].names);
	*level = (struct level){ .st = *st, .path_len = path_len };
	listing_start(&level->names, dir_fd);
	return pax_member(&t->out, &member);
}

/* The path stays until the directory is left. */
static int enter(struct tarball *t, int parent_fd, const char *name,
		 size_t path_len)
{
	struct stat st;
	int fd;

	if (t->depth == WALK_DEPTH_MAX)
		return leave_out(t, "deep", t->path.s);
	fd = walk_open_dir(parent_fd, name, true, &st);
	if (fd < 0)
		return fail_at(t->path.s, errno);
	if (st.st_dev == t->device)
		return push_level(t, fd, &st, path_len);
	close(fd);
	return skip(t, "mount");
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

	if (name->type == DT_REG)
		return add_regular(t, dir_fd, name->name);
	if (fstatat(dir_fd, name->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_at(t->path.s, errno);
	if (t->pass_whiteouts && S_ISCHR(st.st_mode) && st.st_rdev == 0)
		return LEFT_OUT;
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return skip(t, special(st.st_mode));
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
	bool folder = is_directory(dir_fd, name);
	int rc;

	tell(t);
	if (++t->entries > t->limits.files) {
		fail(0,
		     "cannot archive the workdir: it holds more than %llu "
		     "files",
		     (unsigned long long)t->limits.files);
		return fail_remedy("--artifact-files N allows more, up to %d",
				   SPEC_ARTIFACT_FILES_MAX);
	}
	if (t->path.len - t->below > WALK_PATH_MAX)
		rc = leave_out(t, "long", t->path.s);
	else if (folder)
		rc = enter(t, dir_fd, name->name, before);
	else
		rc = add_by_type(t, dir_fd, name);
	if (!folder && rc == STORED)
		t->count.files++;
	if (!folder || rc == LEFT_OUT)
		walk_cut(&t->path, before);
	return rc < 0 ? -1 : 0;
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

void tarball_show_progress(struct tarball *t, int fd)
{
	progress_start(&t->progress, fd, "archiving the workdir",
		       now_ms(CLOCK_MONOTONIC));
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
	t->below = t->path.len + 1;
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

struct tarball *tarball_open(struct pack *pack,
			     const struct artifact_limits *limits)
{
	struct tarball *t = xcalloc(1, sizeof(*t));

	t->pack = pack;
	t->limits = *limits;
	if (t->limits.files == 0)
		t->limits.files = SPEC_ARTIFACT_FILES;
	t->progress.fd = -1;
	t->block = malloc(BLOCK);
	t->segments = malloc(SPARSE_MAX * sizeof(*t->segments));
	t->levels = malloc(WALK_DEPTH_MAX * sizeof(*t->levels));
	if (pax_open(&t->out, pack) == 0 && t->block && t->segments &&
	    t->levels)
		return t;
	fail(ENOMEM, "cannot set up the archive");
	tarball_free(t);
	return NULL;
}

static int add_skipped(struct tarball *t)
{
	auto_free char *text = NULL;
	uint64_t listed = 0, all = t->count.skipped + t->count.left_out;

	for (size_t i = 0; i < t->skipped_len; i++)
		listed += t->skipped_text[i] == '\n';
	text = xasprintf("%.*s", (int)t->skipped_len, t->skipped_text);
	if (listed < all) {
		char *longer = xasprintf("%sand %llu more\n", text,
					 (unsigned long long)(all - listed));

		free(text);
		text = longer;
	}
	return tarball_add_text(t, "skipped.txt", text, strlen(text), t->stamp);
}

int tarball_finish(struct tarball *t, struct tarball_count *count)
{
	*count = t->count;
	if ((count->skipped || count->left_out) && add_skipped(t) < 0)
		return -1;
	if (pax_finish(&t->out) < 0)
		return -1;
	return pack_finish(t->pack);
}

void tarball_free(struct tarball *t)
{
	if (t == NULL)
		return;
	progress_end(&t->progress);
	pax_free(&t->out);
	inodes_free(&t->inodes);
	walk_free(&t->path);
	free(t->block);
	free(t->segments);
	free(t->levels);
	free(t->skipped_text);
	free(t);
}
