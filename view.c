/* SPDX-License-Identifier: MIT */
#include "view.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX 40

/* One walk along a path. */
struct way {
	const struct plan *plan;
	struct view *view;
	char *rest; /* still to go */
	bool locked;
	int links;
};

/* A later mount lies on top of an earlier one, wherever the two begin. */
static const struct plan_mount *mount_of(const struct plan *plan,
					 const char *path, bool *locked)
{
	const struct plan_mount *on_top = NULL;

	*locked = false;
	for (size_t i = 0; i < plan->n_mounts; i++) {
		const struct plan_mount *m = &plan->mounts[i];

		if (!path_under(path, m->destination))
			continue;
		*locked = m->kind == PLAN_READ_ONLY || m->kind == PLAN_SEAL ||
			  (m->kind == PLAN_HOLD && !(m->flags & PLAN_RW));
		if (!*locked && m->kind != PLAN_HOLD)
			on_top = m;
	}
	return on_top;
}

/* Mount points below it are made with the folders that lead to them. */
static bool leads_to_mount(const struct plan *plan,
			   const struct plan_mount *from, const char *path)
{
	size_t i = from ? (size_t)(from - plan->mounts) + 1 : 0;

	for (; i < plan->n_mounts; i++)
		if (path_under(plan->mounts[i].destination, path))
			return true;
	return false;
}

/* Does the mode let the payload do this (4, 2, 1)? */
static bool mode_lets(const struct way *w, const struct stat *st, mode_t want)
{
	const struct plan *plan = w->plan;
	bool as_root = plan->project.roots &&
		       (w->view->mount->kind == PLAN_PROJECT ||
			w->view->mount->kind == PLAN_GIT ||
			w->view->mount->kind == PLAN_WORKDIR);
	uid_t uid = as_root ? 0 : plan->host_uid;
	gid_t gid = as_root ? 0 : plan->host_gid;

	if (st->st_uid == uid)
		return st->st_mode & want << 6;
	return st->st_mode & (st->st_gid == gid ? want << 3 : want);
}

/* The next of the way is what this link says. */
static void follow(struct way *w, const char *target, const char *parent)
{
	auto_free char *rest = w->rest;
	bool absolute = target[0] == '/';

	w->rest = xasprintf("%s/%s", target, rest);
	free(w->view->path);
	w->view->path = absolute ? xstrdup("") : xstrdup(parent);
	w->view->kind = ++w->links > LINKS_MAX ? VIEW_ABSENT : VIEW_OURS;
}

/* Of a tree of the host's. */
static void step_host(struct way *w, const char *rest, const char *parent)
{
	struct view *v = w->view;
	char target[PATH_MAX];
	ssize_t n;

	free(v->source);
	v->source = xasprintf("%s%s", v->mount->source, rest);
	v->kind = VIEW_HOST;
	if (lstat(v->source, &v->st) < 0) {
		v->kind = VIEW_ABSENT;
	} else if (S_ISLNK(v->st.st_mode)) {
		n = readlink(v->source, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		follow(w, target, parent);
	} else {
		v->readable = v->readable && mode_lets(w, &v->st, 4);
		v->mode_writes = v->mount->flags & PLAN_DEVICE ||
				 mode_lets(w, &v->st, 2);
		v->writable = v->mount->flags & PLAN_RW && !w->locked &&
			      v->mode_writes;
	}
}

static void step_ours(struct way *w, const char *rest)
{
	struct view *v = w->view;
	const struct plan_mount *m = v->mount;
	bool rw = m && m->flags & PLAN_RW && !w->locked && m->kind != PLAN_PROC;

	v->kind = VIEW_OURS;
	v->writable = rw;
	/* The host's has the same files, but for the processes. */
	if (m && m->kind == PLAN_PROC && access(v->path, F_OK) < 0)
		v->kind = VIEW_ABSENT;
	if (m &&
	    (rest[0] == '\0' || m->kind == PLAN_PROC || m->kind == PLAN_DEVPTS))
		return;
	if (leads_to_mount(w->plan, m, v->path))
		v->writable = false;
	else if (rw)
		v->kind = VIEW_FRESH;
	else
		v->kind = m && m->kind == PLAN_TMPFS ? VIEW_HIDDEN
						     : VIEW_ABSENT;
}

static bool is_host(const struct plan_mount *m)
{
	return m && m->source &&
	       (m->kind == PLAN_BIND || m->kind == PLAN_PROJECT ||
		m->kind == PLAN_GIT || m->kind == PLAN_WORKDIR);
}

/* view->path has grown by a name; `parent` is what it was. */
static void step(struct way *w, const char *parent)
{
	struct view *v = w->view;
	const char *rest;

	v->mount = mount_of(w->plan, v->path, &w->locked);
	rest = v->mount ? v->path + strlen(v->mount->destination) : v->path;
	if (is_host(v->mount)) {
		step_host(w, rest, parent);
		return;
	}
	free(v->source);
	v->source = NULL;
	if (v->mount && v->mount->kind == PLAN_MASK)
		v->kind = VIEW_HIDDEN;
	else if (v->mount && v->mount->kind == PLAN_SYMLINK)
		follow(w, v->mount->source, parent);
	else
		step_ours(w, rest);
}

/* The next name of the way, or NULL at its end. */
static char *next_name(struct way *w)
{
	const char *from = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(from, "/");
	char *name = len ? xstrndup(from, len) : NULL;
	char *rest = xstrdup(from + len);

	free(w->rest);
	w->rest = rest;
	return name;
}

static bool goes_on(const struct way *w)
{
	const struct view *v = w->view;

	return v->kind == VIEW_OURS || v->kind == VIEW_FRESH ||
	       (v->kind == VIEW_HOST && S_ISDIR(v->st.st_mode) &&
		mode_lets(w, &v->st, 1));
}

/* "." and "..": the path is free of links, so words will do. */
static void shorten(struct view *v, const char *parent, bool up)
{
	char *slash;

	free(v->path);
	v->path = xstrdup(parent);
	slash = strrchr(v->path, '/');
	if (up && slash)
		*slash = '\0';
}

static void take(struct way *w, const char *word)
{
	struct view *v = w->view;
	auto_free char *parent = v->path;

	v->path = xasprintf("%s/%s", parent, word);
	/* What is below a folder that lets nobody in is not to be told apart
	 * from what is not there. */
	if (!goes_on(w)) {
		if (v->kind != VIEW_HIDDEN)
			v->kind = VIEW_ABSENT;
		return;
	}
	if (strcmp(word, ".") == 0 || strcmp(word, "..") == 0)
		shorten(v, parent, word[1] == '.');
	v->readable = true;
	if (v->path[0]) {
		step(w, parent);
		return;
	}
	v->kind = VIEW_OURS;
	v->mount = NULL;
	v->writable = false;
}

void view_find(struct view *view, const struct plan *plan, const char *path)
{
	struct way w = { .plan = plan, .view = view, .rest = xstrdup(path) };
	char *name;

	*view = (struct view){ .kind = VIEW_OURS,
			       .path = xstrdup(""),
			       .readable = true };
	while ((name = next_name(&w)) != NULL) {
		take(&w, name);
		free(name);
	}
	free(w.rest);
}

void view_free(struct view *view)
{
	free(view->path);
	free(view->source);
}
