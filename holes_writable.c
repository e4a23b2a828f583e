/* SPDX-License-Identifier: MIT */
#include "holes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "err.h"
#include "mounted.h"

/*
 * A hole lets the file be executed that is there, whatever it holds: who can
 * write into it executes what he likes.  So an allowed file must not be in a
 * tree that the payload may change: not by its path, not by another path to the
 * same file or a folder over it (bind mounts of the host's, in the tree or on
 * the way to it), not by another name of the file (a hard link, of which package
 * managers make thousands).
 */

#define DEPTH_MAX 256

/* Files of which there is another name somewhere. */
struct twins {
	struct twin {
		dev_t dev;
		ino_t ino;
		char *source;
	} * v;
	size_t n;
};

static int refuse(const char *source, const char *tree, const char *name)
{
	if (name)
		fail(0,
		     "cannot allow %s: it is %s as well, which the sandbox may "
		     "change",
		     source, name);
	else
		fail(0,
		     "cannot allow %s: it lies in %s, which the sandbox may "
		     "change",
		     source, tree);
	return fail_remedy("show the tree with --ro-bind, or install the "
			   "program elsewhere");
}

/*** By its place ***/

/* By the number of a folder over it, too: NFS does not tell what is mounted. */
static bool is_in(const char *source, const struct stat *tree)
{
	auto_free char *folder = xstrdup(source);
	struct stat at;

	for (char *end = strrchr(folder, '/'); end && end != folder;
	     end = strrchr(folder, '/')) {
		*end = '\0';
		if (stat(folder, &at) == 0 && at.st_ino == tree->st_ino &&
		    at.st_dev == tree->st_dev)
			return true;
	}
	return false;
}

static const char *find_part(const struct mounted *mounted,
			     const struct stat *st, const char *source)
{
	const char *part = mounted_meets(mounted, source);

	return !part && is_in(source, st) ? mounted->v[mounted->n - 1].at
					  : part;
}

/*** By another name ***/

/* The owner can give himself the permission. */
static bool can_change(const struct plan *plan, const struct stat *st)
{
	return st->st_uid == plan->host_uid || st->st_mode & 0022;
}

static void add_twin(struct twins *twins, const struct plan *plan,
		     const char *source, const struct stat *st)
{
	if (!S_ISREG(st->st_mode) || st->st_nlink < 2 || !can_change(plan, st))
		return;
	twins->v = xrealloc_array(twins->v, twins->n + 1, sizeof(*twins->v));
	twins->v[twins->n++] = (struct twin){ .dev = st->st_dev,
					      .ino = st->st_ino,
					      .source = xstrdup(source) };
}

static void free_twins(struct twins *twins)
{
	for (size_t i = 0; i < twins->n; i++)
		free(twins->v[i].source);
	free(twins->v);
}

/* A file that may be mapped as code, or a folder of such. */
static void add_map(struct twins *twins, const struct plan *plan,
		    const char *source, int depth)
{
	DIR *dir = NULL;
	struct dirent *e;
	struct stat st;

	if (lstat(source, &st) < 0)
		return;
	add_twin(twins, plan, source, &st);
	/* What is in a folder that others own is theirs as well. */
	if (S_ISDIR(st.st_mode) && can_change(plan, &st) && depth < DEPTH_MAX)
		dir = opendir(source);
	/* cppcheck-suppress readdirCalled */
	while (dir && (e = readdir(dir))) {
		auto_free char *path = path_join(source, e->d_name);

		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			add_map(twins, plan, path, depth + 1);
	}
	if (dir)
		closedir(dir);
}

/* The number is in the folder already: a look at the file costs much more. */
static const struct twin *find_twin(const struct twins *twins, int dir_fd,
				    const struct dirent *e)
{
	struct stat st;

	for (size_t i = 0; i < twins->n; i++)
		if (twins->v[i].ino == e->d_ino &&
		    fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_dev == twins->v[i].dev)
			return &twins->v[i];
	return NULL;
}

/* Through all of the tree, as the payload will see it; by fail(). */
static int search(const struct twins *twins, const char *tree, int depth)
{
	DIR *dir = depth < DEPTH_MAX ? opendir(tree) : NULL;
	struct dirent *e;
	int rc = 0;

	if (dir == NULL) {
		fail(depth < DEPTH_MAX ? errno : ELOOP,
		     "cannot look in %s for other names of allowed programs",
		     tree);
		return fail_remedy("show it with --ro-bind");
	}
	/* cppcheck-suppress readdirCalled */
	while (rc == 0 && (e = readdir(dir))) {
		auto_free char *path = path_join(tree, e->d_name);
		const struct twin *twin;
		struct stat st;
		bool folder = e->d_type == DT_DIR;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (e->d_type == DT_UNKNOWN)
			folder = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
		twin = folder ? NULL : find_twin(twins, dirfd(dir), e);
		if (twin)
			rc = refuse(twin->source, tree, path);
		else if (folder)
			rc = search(twins, path, depth + 1);
	}
	closedir(dir);
	return rc;
}

/* A single file may be shown, or mounted in the tree: there the number in the
 * folder is that of what it covers. */
static int check_file(const struct twins *twins, const char *path)
{
	struct stat st;

	if (twins->n == 0 || stat(path, &st) < 0)
		return 0;
	for (size_t i = 0; i < twins->n; i++)
		if (twins->v[i].ino == st.st_ino &&
		    twins->v[i].dev == st.st_dev)
			return refuse(twins->v[i].source, path, path);
	return 0;
}

static int check_names(const struct twins *twins, const struct mounted *mounted,
		       const char *tree, const struct stat *st)
{
	for (size_t i = 0; i < mounted->n; i++)
		if (mounted->v[i].inside &&
		    check_file(twins, mounted->v[i].at) < 0)
			return -1;
	return twins->n > 0 && S_ISDIR(st->st_mode) ? search(twins, tree, 0)
						    : 0;
}

/*** All of it ***/

static int gather_twins(struct twins *twins, const struct plan *plan,
			const struct mounted *mounted, const struct stat *st)
{
	const struct commands *c = &plan->commands;

	for (size_t i = 0; i < c->n; i++) {
		const char *source = c->v[i].source;
		const char *part = find_part(mounted, st, source);

		if (part)
			return refuse(source, part, NULL);
		add_twin(twins, plan, source, &c->v[i].st);
	}
	for (size_t i = 0; i < c->n_maps; i++) {
		const char *source = c->maps[i].source;
		const char *part = find_part(mounted, st, source);

		if (part)
			return refuse(source, part, NULL);
		if (!c->maps[i].closed)
			add_map(twins, plan, source, 0);
	}
	return 0;
}

int holes_check_writable(const struct plan *plan, const char *tree)
{
	auto_mounted struct mounted mounted = { 0 };
	struct twins twins = { 0 };
	struct stat st;
	int rc;

	if (!plan->commands.listed)
		return 0;
	if (stat(tree, &st) < 0)
		return fail(errno, "cannot look at %s", tree);
	rc = mounted_read(&mounted, tree);
	if (rc == 0)
		rc = gather_twins(&twins, plan, &mounted, &st);
	if (rc == 0)
		rc = check_names(&twins, &mounted, tree, &st);
	free_twins(&twins);
	return rc;
}
