/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apply_work.h"
#include "err.h"
#include "text.h"
#include "walk.h"

/*
 * What leaves its path first, then what comes, then the folders that are empty
 * now.  The modes of folders are last, the deepest first: one that its owner may
 * not write any more is filled before.  Each step is one rename (or mkdir, rmdir,
 * chmod) that is noted, so that the steps done can be undone in reverse.  A file
 * that is replaced changes places with the new one, and is looked at again where
 * nobody else changes it: what was written between the check and the rename is
 * not lost.
 */

static int fail_at(const char *path, int err)
{
	auto_free char *shown = text_visible(path, true);

	return fail(err, "cannot change %s", shown);
}

/* After renameat2 with a flag: all-or-nothing takes these. */
static int fail_rename(const char *path)
{
	auto_free char *shown = text_visible(path, true);

	if (errno != EINVAL)
		return fail_at(path, errno);
	fail(0,
	     "cannot change %s: its file system has no rename that exchanges "
	     "two files or replaces none (NFS has not)",
	     shown);
	return fail_remedy("apply it to a clone of the project on a local "
			   "file system");
}

static void staged_name(char out[static 32], char kind, size_t number)
{
	snprintf(out, 32, "%c%zu", kind, number);
}

static struct apply_step *note(struct apply *a, enum apply_undo undo,
			       const char *path, size_t number, mode_t mode)
{
	if (a->n_steps % 256 == 0)
		a->steps = xrealloc_array(a->steps, a->n_steps + 256,
					  sizeof(*a->steps));
	a->steps[a->n_steps] = (struct apply_step){ .undo = undo,
						    .owned = xstrdup(path),
						    .number = number,
						    .mode = mode };
	return &a->steps[a->n_steps++];
}

int apply_parent(const struct apply *a, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	auto_free char *folder = slash ? xstrndup(path, (size_t)(slash - path))
				       : xstrdup(".");

	*name = slash ? slash + 1 : path;
	return walk_open_below(a->project_fd, folder, O_RDONLY | O_DIRECTORY);
}

static int check_same(const struct apply *a, const char *staged,
		      const struct stat *was, const char *path)
{
	auto_free char *shown = NULL;
	struct stat st;

	if (fstatat(a->stage_fd, staged, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_at(path, errno);
	if (st.st_dev == was->st_dev && st.st_ino == was->st_ino &&
	    st.st_mode == was->st_mode && st.st_size == was->st_size &&
	    st.st_mtim.tv_sec == was->st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == was->st_mtim.tv_nsec)
		return 0;
	shown = text_visible(path, true);
	return fail(0, "cannot change %s: it was changed at this moment",
		    shown);
}

/* What is in a folder may be written, if not replaced, though its owner has no
 * right to write the folder. */
static int exchange(const struct apply *a, const char *staged, int dir,
		    const char *name)
{
	int rc = renameat2(a->stage_fd, staged, dir, name, RENAME_EXCHANGE);
	struct stat st;
	int err;

	if (rc == 0 || errno != EACCES || fstat(dir, &st) < 0)
		return rc;
	if (fchmod(dir, (st.st_mode & 07777) | 0700) == 0) {
		rc = renameat2(a->stage_fd, staged, dir, name, RENAME_EXCHANGE);
		err = errno;
		(void)fchmod(dir, st.st_mode & 07777);
		errno = err;
	} else {
		errno = EACCES;
	}
	return rc;
}

/* --- steps -------------------------------------------------------------- */

static int take_away(struct apply *a, const char *path, const struct stat *was,
		     size_t number)
{
	const char *name;
	auto_fd int dir = apply_parent(a, path, &name);
	char staged[32];

	if (dir < 0)
		return fail_at(path, errno);
	if (S_ISDIR(was->st_mode)) {
		if (unlinkat(dir, name, AT_REMOVEDIR) < 0)
			return fail_at(path, errno);
		note(a, UNDO_MKDIR, path, number, was->st_mode & 07777);
		return 0;
	}
	staged_name(staged, 'o', number);
	if (renameat2(dir, name, a->stage_fd, staged, RENAME_NOREPLACE) < 0)
		return fail_rename(path);
	note(a, UNDO_BACK, path, number, 0);
	return check_same(a, staged, was, path);
}

static int compare_path(const void *key, const void *change)
{
	return strcmp(key, ((const struct change *)change)->path);
}

/* The folder as it is to be, where the run made it or gave it a mode. */
static const struct change *listed_folder(const struct apply *a,
					  const char *path)
{
	const struct change *c = bsearch(path, a->changes.v, a->changes.n,
					 sizeof(*c), compare_path);
	const struct change *end = a->changes.v + a->changes.n;

	/* A file can go from the same path: its change is the one before. */
	if (c && c + 1 < end && strcmp(c[1].path, path) == 0)
		c++;
	return c && S_ISDIR(c->new.mode) ? c : NULL;
}

/* Folders above `path`, of at least `shortest` bytes, that hold nothing any more,
 * as git does; but not one that is to be there. */
static int prune(struct apply *a, const char *path, size_t shortest)
{
	auto_free char *folder = xstrdup(path);
	char *slash;

	while ((slash = strrchr(folder, '/'))) {
		const char *name;
		auto_fd int dir = -1;
		struct stat st;

		*slash = '\0';
		if (strlen(folder) < shortest || listed_folder(a, folder))
			return 0;
		dir = apply_parent(a, folder, &name);
		if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (unlinkat(dir, name, AT_REMOVEDIR) < 0)
			return errno == ENOTEMPTY || errno == EEXIST ||
				       errno == ENOTDIR
				   ? 0
				   : fail_at(folder, errno);
		note(a, UNDO_MKDIR, folder, 0, st.st_mode & 07777);
	}
	return 0;
}

static int make_folder(struct apply *a, const char *path, mode_t mode)
{
	const char *name;
	auto_fd int dir = apply_parent(a, path, &name);

	if (dir < 0)
		return fail_at(path, errno);
	if (mkdirat(dir, name, mode) == 0)
		note(a, UNDO_RMDIR, path, 0, 0);
	else if (errno != EEXIST)
		return fail_at(path, errno);
	return 0;
}

static int make_parents(struct apply *a, const char *path)
{
	for (const char *s = strchr(path, '/'); s; s = strchr(s + 1, '/')) {
		auto_free char *folder = xstrndup(path, (size_t)(s - path));
		const struct change *c = listed_folder(a, folder);

		if (make_folder(a, folder, c ? apply_mode(a, c) | 0700 : 0777) <
		    0)
			return -1;
	}
	return 0;
}

static int set_mode(struct apply *a, const struct change *c, mode_t add)
{
	const char *name;
	auto_fd int dir = apply_parent(a, c->path, &name);
	struct stat st;

	if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_at(c->path, errno);
	if (!S_ISDIR(st.st_mode))
		return fail_at(c->path, ENOTDIR);
	note(a, UNDO_MODE, c->path, 0, st.st_mode & 07777);
	return walk_chmod(dir, name, apply_mode(a, c) | add) < 0
		   ? fail_at(c->path, errno)
		   : 0;
}

static int clear_folder(struct apply *a, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < a->gone.n; i++)
		if (strncmp(a->gone.v[i], path, len) == 0 &&
		    a->gone.v[i][len] == '/' && prune(a, a->gone.v[i], len) < 0)
			return -1;
	return 0;
}

static int put(struct apply *a, size_t i)
{
	const struct change *c = &a->changes.v[i];
	const struct stat *was = &a->items[i].was;
	bool swap = was->st_mode && !S_ISDIR(was->st_mode) &&
		    !strv_search(&a->gone, c->path);
	const char *name;
	auto_fd int dir = -1;
	char staged[32];

	if (make_parents(a, c->path) < 0)
		return -1;
	if (S_ISDIR(c->new.mode))
		return make_folder(a, c->path, 0700);
	if (S_ISDIR(was->st_mode) && clear_folder(a, c->path) < 0)
		return -1;
	dir = apply_parent(a, c->path, &name);
	staged_name(staged, 'n', i);
	if (dir < 0)
		return fail_at(c->path, errno);
	if ((swap ? exchange(a, staged, dir, name)
		  : renameat2(a->stage_fd, staged, dir, name,
			      RENAME_NOREPLACE)) < 0)
		return fail_rename(c->path);
	note(a, swap ? UNDO_SWAP : UNDO_OUT, c->path, i, 0);
	return swap ? check_same(a, staged, was, c->path) : 0;
}

/* --- back --------------------------------------------------------------- */

static int undo(struct apply *a, const struct apply_step *s)
{
	const char *name;
	auto_fd int dir = apply_parent(a, s->owned, &name);
	char old[32], new[32];

	staged_name(old, 'o', s->number);
	staged_name(new, 'n', s->number);
	if (dir < 0)
		return -1;
	switch (s->undo) {
	case UNDO_BACK:
		return renameat2(a->stage_fd, old, dir, name, RENAME_NOREPLACE);
	case UNDO_SWAP:
		return exchange(a, new, dir, name);
	case UNDO_OUT:
		return renameat2(dir, name, a->stage_fd, new, RENAME_NOREPLACE);
	case UNDO_RMDIR:
		return unlinkat(dir, name, AT_REMOVEDIR);
	case UNDO_MKDIR:
		if (mkdirat(dir, name, 0700) < 0)
			return -1;
		break;
	case UNDO_MODE:
		break;
	}
	return walk_chmod(dir, name, s->mode);
}

static int undo_all(struct apply *a)
{
	int rc = 0;

	while (a->n_steps > 0) {
		struct apply_step *s = &a->steps[--a->n_steps];

		if (undo(a, s) < 0) {
			auto_free char *shown = text_visible(s->owned, true);

			warn("cannot put %s back: %s", shown, strerror(errno));
			rc = -1;
		}
		free(s->owned);
	}
	return rc;
}

/* Of folders that were there before, as they have to be for the steps. */
static int open_folders(struct apply *a)
{
	for (size_t i = 0; i < a->changes.n; i++) {
		const struct change *c = &a->changes.v[i];

		if (a->items[i].chosen && c->kind == CHANGE_MODIFIED &&
		    S_ISDIR(c->new.mode) && set_mode(a, c, 0700) < 0)
			return -1;
	}
	return 0;
}

static int close_folders(struct apply *a)
{
	for (size_t i = a->changes.n; i-- > 0;) {
		const struct change *c = &a->changes.v[i];

		if (a->items[i].chosen && S_ISDIR(c->new.mode) &&
		    set_mode(a, c, 0) < 0)
			return -1;
	}
	return 0;
}

static int do_all(struct apply *a)
{
	if (open_folders(a) < 0)
		return -1;
	/* Deeper ones first: a folder goes after what it held. */
	for (size_t i = a->changes.n; i-- > 0;) {
		const struct change *c = &a->changes.v[i];
		const struct apply_item *item = &a->items[i];
		const char *path = c->from ? c->from : c->path;
		const struct stat *was = c->from ? &item->from_was : &item->was;

		if (item->chosen && (c->kind == CHANGE_DELETED || c->from) &&
		    was->st_mode && take_away(a, path, was, i) < 0)
			return -1;
	}
	for (size_t i = 0; i < a->changes.n; i++)
		if (a->items[i].chosen &&
		    a->changes.v[i].kind != CHANGE_DELETED && put(a, i) < 0)
			return -1;
	for (size_t i = a->gone.n; i-- > 0;)
		if (prune(a, a->gone.v[i], 0) < 0)
			return -1;
	return close_folders(a);
}

int apply_commit(struct apply *a)
{
	int rc = do_all(a);

	if (rc < 0 && undo_all(a) < 0) {
		warn("what was there is in %s", a->stage);
		cleanup_fd(&a->stage_fd);
	}
	return rc;
}

void apply_clear(struct apply *a)
{
	char name[32];

	for (size_t i = 0; i < a->n_steps; i++)
		free(a->steps[i].owned);
	free(a->steps);
	if (a->stage_fd < 0)
		return;
	for (size_t i = 0; i < a->changes.n; i++) {
		staged_name(name, 'o', i);
		(void)unlinkat(a->stage_fd, name, 0);
		staged_name(name, 'n', i);
		(void)unlinkat(a->stage_fd, name, 0);
	}
	(void)unlinkat(a->stage_fd, "names", 0);
	(void)unlinkat(a->project_fd, a->stage, AT_REMOVEDIR);
	cleanup_fd(&a->stage_fd);
}
