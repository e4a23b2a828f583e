/* SPDX-License-Identifier: MIT */
#include "holes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "danger.h"
#include "err.h"
#include "layers.h"
#include "tree.h"

/*
 * Flags of a bind mount are its own: a file that is bound over itself without
 * noexec, from a source of which we hold the inode, can be executed within a
 * tree in which nothing else can.  noexec also stops mmap(PROT_EXEC), which is
 * how the loader, LD_PRELOAD and dlopen would run what execve may not.
 */

#define FOLDER_SIZE 65536

unsigned int holes_closed(const struct plan *plan, bool workdir)
{
	return plan->commands.listed &&
		       !(workdir && plan->commands.workdir_exec)
		   ? PLAN_NOEXEC
		   : 0;
}

/*** One hole ***/

struct hole {
	const char *path, *source;
	bool closed;
};

static int compare_holes(const void *a, const void *b)
{
	const struct hole *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	/* What may run is open, although its folder's other programs are not. */
	return order ? order : x->closed - y->closed;
}

static bool in_mounts(const struct spec *spec, const char *path)
{
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (path_under(path, spec->mounts[i].destination))
			return true;
	return false;
}

/* By place: a folder comes before what is in it, and neighbours are cheap. */
static void add_holes(struct plan *plan, const struct spec *spec, bool mounted)
{
	const struct commands *c = &plan->commands;
	struct hole *holes = xcalloc(c->n + c->n_maps + 1, sizeof(*holes));
	size_t n = 0;

	for (size_t i = 0; i < c->n_maps; i++)
		holes[n++] = (struct hole){ c->maps[i].path, c->maps[i].source,
					    c->maps[i].closed };
	for (size_t i = 0; i < c->n; i++)
		holes[n++] = (struct hole){ c->v[i].path, c->v[i].source,
					    false };
	qsort(holes, n, sizeof(*holes), compare_holes);
	for (size_t i = 0; i < n; i++) {
		/* A library that is a program, too: libc. */
		bool twice = i > 0 &&
			     strcmp(holes[i].path, holes[i - 1].path) == 0;

		if (in_mounts(spec, holes[i].path) == mounted && !twice)
			tree_add(plan, PLAN_BIND, holes[i].path,
				 xstrdup(holes[i].source))
			    ->flags = holes[i].closed ? PLAN_NOEXEC : 0;
	}
	free(holes);
}

/*** The folders of programs ***/

static bool is_below(const char *path, const char *folder)
{
	return path_under(path, folder) && strcmp(path, folder) != 0;
}

/* It, or a name of it. */
static bool has_command(const struct commands *c, const char *folder)
{
	for (size_t i = 0; i < c->n; i++)
		if (is_below(c->v[i].path, folder))
			return true;
	for (size_t i = 0; i < c->links.n; i++) {
		auto_free char *place = xstrndup(c->links.v[i],
						 strcspn(c->links.v[i], "\t"));

		if (is_below(place, folder))
			return true;
	}
	return false;
}

/* The names by which an allowed command goes: python3 -> python3.11. */
static void add_links(struct plan *plan, const char *folder)
{
	const struct strv *links = &plan->commands.links;

	for (size_t i = 0; i < links->n; i++) {
		size_t len = strcspn(links->v[i], "\t");
		auto_free char *place = xstrndup(links->v[i], len);
		bool made = false;

		for (size_t j = 0; j < i; j++)
			made |= strcmp(links->v[j], links->v[i]) == 0;
		if (!made && is_below(place, folder))
			tree_add(plan, PLAN_SYMLINK, place,
				 xstrdup(links->v[i] + len + 1));
	}
}

/*
 * Emptied, not only closed: what is not there cannot be copied either, and
 * "command not found" is what an agent understands.
 */
static void hide_folder(struct plan *plan, const char *folder)
{
	struct plan_mount *m;

	if (!has_command(&plan->commands, folder)) {
		tree_add(plan, PLAN_MASK, folder, NULL)->mode = S_IFDIR;
		return;
	}
	m = tree_add(plan, PLAN_TMPFS, folder, NULL);
	m->size = FOLDER_SIZE;
	m->flags = PLAN_NOEXEC;
	add_links(plan, folder);
}

static bool is_folder(const char *root, const char *folder)
{
	auto_free char *path = path_join(root, folder);
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

void holes_in_base(struct plan *plan, const struct spec *spec,
		   const struct host *host)
{
	const char *root = spec->rootfs ? spec->rootfs : host->root;
	auto_strv struct strv hidden = { 0 };

	if (!plan->commands.listed)
		return;
	for (size_t i = 0; i < plan->n_mounts; i++)
		plan->mounts[i].flags |= PLAN_NOEXEC;
	for (size_t i = 0; program_folders[i]; i++) {
		if (layer_is_off("hide") ||
		    !is_folder(root, program_folders[i]))
			continue;
		hide_folder(plan, program_folders[i]);
		strv_push(&hidden, xstrdup(program_folders[i]));
	}
	add_holes(plan, spec, false);
	for (size_t i = 0; i < hidden.n; i++)
		if (has_command(&plan->commands, hidden.v[i]))
			tree_add(plan, PLAN_SEAL, hidden.v[i], NULL);
}

void holes_in_mounts(struct plan *plan, const struct spec *spec)
{
	if (plan->commands.listed)
		add_holes(plan, spec, true);
}
