/* SPDX-License-Identifier: MIT */
#include "changes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "err.h"
#include "json_write.h"
#include "review.h"
#include "sparse.h"
#include "text.h"
#include "walk.h"

/*
 * In an upper layer of overlayfs (mounted with userxattr):
 *	a device 0/0		deletes the name below it
 *	user.overlay.opaque	on a directory: nothing of the one below shows
 *	anything else		is, or is in the way to, something written
 * What was opened for writing is there although it may be as it was, so that
 * contents decide.  In a copy every directory is as if opaque.
 */

#define OPAQUE "user.overlay.opaque"

/* Of all files together: some ten seconds.  One file can have terabytes. */
#define HOLES_MAX (8LL * 1024 * 1024 * 1024)

struct finder {
	struct changes *changes;
	const struct changes_request *req;
	struct walk_path path;
	size_t depth; /* of folders that are being read */
	off_t holes;  /* that may still be read */
	size_t made;  /* and not deleted */
	size_t names; /* the bytes of their paths and targets */
};

static int fail_at(const struct finder *f, int err)
{
	auto_free char *shown = text_visible(f->path.len ? f->path.s : ".",
					     true);

	return fail(err, "cannot tell what changed at %s", shown);
}

/* No payload is to make its changes unlistable, or the list last for ever. */
static int pass_over(struct finder *f)
{
	f->changes->left_out++;
	return 0;
}

/* --- one side ----------------------------------------------------------- */

/* Takes them off what is left, if there are as many. */
static bool take_holes(off_t *left, off_t bytes)
{
	if (bytes > *left)
		return false;
	*left -= bytes;
	return true;
}

/* `holes`: of what a payload made, what may still be read of bytes that it never
 * wrote; its closed files are opened.  NULL: the file is somebody else's. */
static int hash_file(int dir_fd, const char *name, off_t *holes,
		     struct change_side *side)
{
	struct stat st;
	auto_fd int fd = walk_open_file(dir_fd, name, holes != NULL, &st);
	auto_free char *buf = xcalloc(1, 1 << 17);
	struct sha256 sha;
	ssize_t n;

	if (fd < 0)
		return -1;
	if (holes && !take_holes(holes, sparse_unwritten(fd, &st))) {
		errno = EFBIG;
		return -1;
	}
	sha256_init(&sha);
	side->size = 0;
	while ((n = pread(fd, buf, 1 << 17, side->size)) > 0) {
		sha256_update(&sha, buf, (size_t)n);
		side->size += n;
	}
	sha256_hex(&sha, side->sha256);
	return n < 0 ? -1 : 0;
}

static int read_target(int dir_fd, const char *name, struct change_side *side)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
	struct sha256 sha;

	if (n < 0)
		return -1;
	side->target = xstrndup(target, (size_t)n);
	side->size = n;
	side->mode = S_IFLNK | 0777;
	sha256_init(&sha);
	sha256_update(&sha, target, (size_t)n);
	sha256_hex(&sha, side->sha256);
	return 0;
}

static int read_side(int dir_fd, const char *name, const struct stat *st,
		     off_t *holes, struct change_side *side)
{
	side->mode = st->st_mode & (S_IFMT | 0777);
	if (S_ISREG(st->st_mode))
		return hash_file(dir_fd, name, holes, side);
	if (S_ISLNK(st->st_mode))
		return read_target(dir_fd, name, side);
	return 0;
}

int changes_read_side(int dir_fd, const char *name, const struct stat *st,
		      struct change_side *side)
{
	return read_side(dir_fd, name, st, NULL, side);
}

static bool is_plain(mode_t mode)
{
	return S_ISREG(mode) || S_ISLNK(mode) || S_ISDIR(mode);
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* --- the list ----------------------------------------------------------- */

static bool later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* Takes both sides over. */
static int add(struct finder *f, const struct change_side *old,
	       const struct change_side *new, bool raced)
{
	struct changes *c = f->changes;
	struct change *last;

	if (c->n % 1024 == 0)
		c->v = xrealloc_array(c->v, c->n + 1024, sizeof(*c->v));
	last = &c->v[c->n++];
	*last = (struct change){ .kind = !old->mode   ? CHANGE_ADDED
					 : !new->mode ? CHANGE_DELETED
						      : CHANGE_MODIFIED,
				 .path = xstrdup(f->path.s),
				 .old = *old,
				 .new = *new,
				 .raced = raced };
	if (!new->mode)
		return 0;
	if (f->made++ == f->req->most_made)
		return fail(0,
			    "cannot list the changes: more than %zu files were "
			    "made",
			    f->req->most_made);
	/* Each may be as long as all the folders above it. */
	f->names += f->path.len + (new->target ? strlen(new->target) : 0);
	if (f->names > f->req->most_names)
		return fail(0,
			    "cannot list the changes: the names of what was "
			    "made are over %zu bytes",
			    f->req->most_names);
	return 0;
}

static int walk_deleted(struct finder *f, int dir_fd, const char *name);

/* All that was below: a deletion names each file. */
static int delete_folder(struct finder *f, int dir_fd, const char *name)
{
	struct stat st;
	struct walk_reader reader;
	struct walk_name entry;
	int fd = walk_open_dir(dir_fd, name, false, &st);
	int more = 0, rc = 0;
	size_t seen = 0;

	if (fd < 0)
		return fail_at(f, errno);
	walk_start(&reader, fd);
	while (rc == 0 && (more = walk_next(&reader, &entry)) == 1) {
		size_t before = walk_push(&f->path, entry.name);

		rc = walk_deleted(f, fd, entry.name);
		walk_cut(&f->path, before);
		seen++;
	}
	walk_end(&reader);
	if (more < 0)
		return fail_at(f, errno);
	if (rc == 0 && seen == 0)
		rc = add(f, &(struct change_side){ .mode = st.st_mode },
			 &(struct change_side){ 0 }, false);
	return rc;
}

/* f->path is `name` in the real tree's dir_fd, and is gone. */
static int walk_deleted(struct finder *f, int dir_fd, const char *name)
{
	struct change_side old = { 0 };
	struct stat st;
	int rc;

	if (strv_search(f->req->hidden, f->path.s))
		return 0;
	/* A list with a path that no call takes could not be applied. */
	if (f->path.len >= PATH_MAX)
		return pass_over(f);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail_at(f, errno);
	if (S_ISDIR(st.st_mode)) {
		if (f->depth == WALK_DEPTH_MAX)
			return pass_over(f);
		f->depth++;
		rc = delete_folder(f, dir_fd, name);
		f->depth--;
		return rc;
	}
	if (!is_plain(st.st_mode))
		return 0;
	if (read_side(dir_fd, name, &st, NULL, &old) < 0)
		return fail_at(f, errno);
	return add(f, &old, &(struct change_side){ 0 },
		   later(&st.st_ctim, &f->req->began));
}

/* --- comparing ---------------------------------------------------------- */

static int compare_folder(struct finder *f, int upper, int lower, bool whole);

static int enter(struct finder *f, int upper_dir, int lower_dir,
		 const char *name, bool whole, bool below)
{
	struct stat st, was;
	auto_fd int upper = walk_open_dir(upper_dir, name, true, &st);
	auto_fd int lower = -1;
	char opaque[2];
	size_t before = f->changes->n;
	int rc;

	if (upper < 0)
		return fail_at(f, errno);
	if (below) {
		lower = walk_open_dir(lower_dir, name, false, &was);
		if (lower < 0)
			return fail_at(f, errno);
	}
	if (fgetxattr(upper, OPAQUE, opaque, sizeof(opaque)) == 1 &&
	    opaque[0] == 'y')
		whole = true;
	f->depth++;
	rc = compare_folder(f, upper, lower, whole);
	f->depth--;
	walk_lock_dir(upper, &st);
	/* A new one that holds nothing or is not open to all, as what is made
	 * for its files would be; or one whose mode is another. */
	if (rc == 0 && !below &&
	    (f->changes->n == before || (st.st_mode & 0777) != 0755))
		rc = add(f, &(struct change_side){ 0 },
			 &(struct change_side){ .mode = st.st_mode &
							(S_IFMT | 0777) },
			 false);
	else if (rc == 0 && below &&
		 (st.st_mode & 0777) != (was.st_mode & 0777))
		rc = add(f,
			 &(struct change_side){ .mode = was.st_mode &
							(S_IFMT | 0777) },
			 &(struct change_side){ .mode = st.st_mode &
							(S_IFMT | 0777) },
			 false);
	return rc;
}

static bool is_same(const struct change_side *a, const struct change_side *b)
{
	return a->mode == b->mode && a->size == b->size &&
	       strcmp(a->sha256, b->sha256) == 0;
}

static int compare_file(struct finder *f, int upper, const struct stat *st,
			int lower, const struct stat *was, const char *name)
{
	struct change_side old = { 0 }, new = { 0 };

	if (read_side(upper, name, st, &f->holes, &new) < 0)
		return errno == EFBIG ? pass_over(f) : fail_at(f, errno);
	if (was && read_side(lower, name, was, NULL, &old) < 0) {
		free(new.target);
		return fail_at(f, errno);
	}
	if (was && is_same(&old, &new)) {
		free(old.target);
		free(new.target);
		return 0;
	}
	return add(f, &old, &new, was && later(&was->st_ctim, &f->req->began));
}

/* As tarball.c has it. */
static bool is_beyond(const struct finder *f, const struct stat *st)
{
	return f->path.len > WALK_PATH_MAX ||
	       (S_ISDIR(st->st_mode) && f->depth == WALK_DEPTH_MAX);
}

/* f->path is `name` in the upper directory, and maybe in the lower one. */
static int compare_name(struct finder *f, int upper, int lower,
			const char *name, bool whole)
{
	struct stat st, was = { 0 };
	bool below;

	if (fstatat(upper, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_at(f, errno);
	if (is_beyond(f, &st))
		return pass_over(f);
	/* A copy lacks what is hidden.  What is made in its place is new: told
	 * as a change it would bring the secret into the patch. */
	below = lower >= 0 && !strv_search(f->req->hidden, f->path.s) &&
		fstatat(lower, name, &was, AT_SYMLINK_NOFOLLOW) == 0;
	if (is_whiteout(&st))
		return below ? walk_deleted(f, lower, name) : 0;
	if (S_ISDIR(st.st_mode)) {
		bool folders = below && S_ISDIR(was.st_mode);

		if (below && !folders && walk_deleted(f, lower, name) < 0)
			return -1;
		return enter(f, upper, lower, name, whole, folders);
	}
	if (!is_plain(st.st_mode))
		return 0;
	if (below && S_ISDIR(was.st_mode)) {
		if (walk_deleted(f, lower, name) < 0)
			return -1;
		below = false;
	}
	return compare_file(f, upper, &st, lower,
			    below && is_plain(was.st_mode) ? &was : NULL, name);
}

static int for_each(struct finder *f, int dir_fd,
		    int (*act)(struct finder *f, const int *fds,
			       const char *name, bool whole),
		    const int *fds, bool whole)
{
	struct walk_reader reader;
	struct walk_name entry;
	int more = 0, rc = 0,
	    fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return fail_at(f, errno);
	walk_start(&reader, fd);
	while (rc == 0 && (more = walk_next(&reader, &entry)) == 1) {
		size_t before = walk_push(&f->path, entry.name);

		rc = act(f, fds, entry.name, whole);
		walk_cut(&f->path, before);
	}
	walk_end(&reader);
	return more < 0 ? fail_at(f, errno) : rc;
}

static int act_upper(struct finder *f, const int *fds, const char *name,
		     bool whole)
{
	return compare_name(f, fds[0], fds[1], name, whole);
}

static int act_lower(struct finder *f, const int *fds, const char *name,
		     bool whole)
{
	struct stat st;

	(void)whole;
	if (fstatat(fds[0], name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return walk_deleted(f, fds[1], name);
}

static int compare_folder(struct finder *f, int upper, int lower, bool whole)
{
	const int fds[] = { upper, lower };

	if (for_each(f, upper, act_upper, fds, whole) < 0)
		return -1;
	return whole && lower >= 0 ? for_each(f, lower, act_lower, fds, whole)
				   : 0;
}

/* --- renames and order -------------------------------------------------- */

static int compare_content(const void *a, const void *b)
{
	const struct change *x = *(struct change *const *)a;
	const struct change *y = *(struct change *const *)b;
	const struct change_side *s = x->kind == CHANGE_ADDED ? &x->new
							      : &x->old;
	const struct change_side *t = y->kind == CHANGE_ADDED ? &y->new
							      : &y->old;
	int by = strcmp(s->sha256, t->sha256);

	if (by == 0)
		by = (s->mode > t->mode) - (s->mode < t->mode);
	if (by == 0)
		by = (int)y->kind - (int)x->kind;
	return by ? by : strcmp(x->path, y->path);
}

static bool is_movable(const struct change *c)
{
	const struct change_side *s = c->kind == CHANGE_ADDED ? &c->new
							      : &c->old;

	return (c->kind == CHANGE_ADDED || c->kind == CHANGE_DELETED) &&
	       S_ISREG(s->mode) && s->size > 0 &&
	       !review_is_git_record(c->path);
}

/* One that went and one that came, with the same bytes: the first such pair of
 * each content, so that none is told twice. */
static void pair_renames(struct changes *c)
{
	struct change **by = xcalloc(c->n + 1, sizeof(struct change *));
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		if (is_movable(&c->v[i]))
			by[n++] = &c->v[i];
	qsort(by, n, sizeof(*by), compare_content);
	for (size_t i = 0; i + 1 < n; i++) {
		struct change *gone = by[i], *came = by[i + 1];

		if (gone->kind != CHANGE_DELETED ||
		    came->kind != CHANGE_ADDED ||
		    !is_same(&gone->old, &came->new))
			continue;
		came->kind = CHANGE_RENAMED;
		came->from = take_ptr(&gone->path);
		came->old = gone->old;
		came->raced |= gone->raced;
		i++;
	}
	free(by);
	n = 0;
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].path)
			c->v[n++] = c->v[i];
	c->n = n;
}

static int compare_paths(const void *a, const void *b)
{
	const struct change *x = a, *y = b;
	int by = strcmp(x->path, y->path);

	return by ? by : (int)y->kind - (int)x->kind;
}

/* When all are known: one can give another its meaning. */
static void flag(struct changes *c, const struct changes_request *req)
{
	struct changes_git git;

	changes_git_find(&git, c, req->lower_fd, req->tree, req->named);
	for (size_t i = 0; i < c->n; i++)
		c->v[i].control = changes_control(&c->v[i], &git);
	changes_git_free(&git);
}

int changes_find(struct changes *changes, const struct changes_request *req)
{
	struct finder f = {
		.changes = changes, .req = req, .depth = 1, .holes = HOLES_MAX
	};
	int rc;

	*changes = (struct changes){ 0 };
	walk_push(&f.path, "");
	rc = compare_folder(&f, req->work_fd, req->lower_fd, req->whole);
	walk_free(&f.path);
	if (rc == 0 && changes->n > 0) {
		pair_renames(changes);
		flag(changes, req);
		qsort(changes->v, changes->n, sizeof(*changes->v),
		      compare_paths);
	}
	return rc;
}

void changes_free(struct changes *changes)
{
	for (size_t i = 0; i < changes->n; i++) {
		free(changes->v[i].path);
		free(changes->v[i].from);
		free(changes->v[i].old.target);
		free(changes->v[i].new.target);
	}
	free(changes->v);
	*changes = (struct changes){ 0 };
}

/* --- as JSON ------------------------------------------------------------ */

/* Names may be any bytes: those that are not UTF-8 are given in digits too. */
static void write_name(struct json_writer *w, const char *key, const char *name)
{
	auto_free char *clean = text_utf8(name, strlen(name));
	auto_free char *digits = NULL, *key_hex = NULL;

	json_write_string(w, key, name);
	if (strcmp(clean, name) == 0)
		return;
	digits = xcalloc(2 * strlen(name) + 1, 1);
	for (size_t i = 0; name[i]; i++)
		snprintf(digits + 2 * i, 3, "%02x", (unsigned char)name[i]);
	key_hex = xasprintf("%s_hex", key);
	json_write_string(w, key_hex, digits);
}

static void write_side(struct json_writer *w, const char *key,
		       const struct change_side *s)
{
	char mode[8];

	if (s->mode == 0)
		return;
	snprintf(mode, sizeof(mode), "%04o", s->mode & 0777);
	json_write_open(w, key, '{');
	json_write_string(w, "type",
			  S_ISDIR(s->mode)   ? "folder"
			  : S_ISLNK(s->mode) ? "link"
					     : "file");
	json_write_string(w, "mode", mode);
	if (!S_ISDIR(s->mode)) {
		json_write_number(w, "size", (uint64_t)s->size);
		json_write_string(w, "sha256", s->sha256);
		if (s->target)
			write_name(w, "target", s->target);
	}
	json_write_close(w, '}');
}

static void write_change(struct json_writer *w, const struct change *c)
{
	static const char *const kinds[] = {
		[CHANGE_ADDED] = "added",
		[CHANGE_MODIFIED] = "modified",
		[CHANGE_DELETED] = "deleted",
		[CHANGE_RENAMED] = "renamed",
	};

	json_write_open(w, NULL, '{');
	write_name(w, "path", c->path);
	json_write_string(w, "change", kinds[c->kind]);
	if (c->from)
		write_name(w, "from", c->from);
	write_side(w, "old", &c->old);
	write_side(w, "new", &c->new);
	if (c->raced)
		json_write_bool(w, "raced", true);
	if (c->control)
		json_write_string(w, "control", c->control);
	json_write_close(w, '}');
}

void changes_print(const struct changes *changes, const char *about, FILE *out)
{
	struct json_writer line = JSON_WRITER_NONE;

	fprintf(out, "{\"about\":%s,\"changes\":[", about);
	for (size_t i = 0; i < changes->n; i++) {
		json_write_again(&line);
		write_change(&line, &changes->v[i]);
		fprintf(out, "%s%s", i ? ",\n" : "\n", line.text);
	}
	fprintf(out, "\n],\"left_out\":%zu}\n", changes->left_out);
	json_write_free(&line);
}
