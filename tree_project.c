/* SPDX-License-Identifier: MIT */
#include "tree_work.h"

#include <string.h>
#include <sys/stat.h>

#include "err.h"
#include "holes.h"
#include "text.h"
#include "tree.h"

/* The user's project, and what of it is not to be seen, wherever it is shown. */

static void add_masks(struct plan *plan, const char *top,
		      const struct strv *paths, mode_t mode)
{
	for (size_t i = 0; i < paths->n; i++) {
		auto_free char *at = path_join(top, paths->v[i]);

		tree_add(plan, PLAN_MASK, at, NULL)->mode = mode;
	}
}

/*
 * A payload that writes the tree in place shapes it for the next run, too.  A
 * mask cannot be moved, but the folder that it is in could be: to where that
 * run does not look.  Nor may it change what that run takes for the user's list.
 */
static void add_holds(struct plan *plan)
{
	const struct hidden *hidden = &plan->project.hidden;

	for (size_t i = 0; i < hidden->above.n; i++) {
		auto_free char *at = path_join(plan->workdir,
					       hidden->above.v[i]);

		tree_add(plan, PLAN_HOLD, at, NULL)->flags =
		    PLAN_RW | holes_closed(plan, true);
	}
	if (hidden->listed) {
		auto_free char *at = path_join(plan->workdir, HIDDEN_LIST);

		tree_add(plan, PLAN_HOLD, at, NULL)->flags = PLAN_NOEXEC;
	}
}

/* --- at the place of its program ------------------------------------------ */

/* Cuts a path at the first folder on the way that is closed to others. */
static bool cut_at_closed(char *path, size_t from)
{
	struct stat st;

	for (char *end = strchr(path + from, '/'); end;
	     end = strchr(end + 1, '/')) {
		*end = '\0';
		if (stat(path, &st) == 0 && !(st.st_mode & S_IXOTH))
			return true;
		*end = '/';
	}
	return false;
}

static bool is_masked(const struct plan *plan, const char *at)
{
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (plan->mounts[i].kind == PLAN_MASK &&
		    strcmp(plan->mounts[i].destination, at) == 0)
			return true;
	return false;
}

/* Its place below the project's own path, where a program may show it. */
static int hide_at(struct plan *plan, const char *place, const char *name,
		   mode_t mode)
{
	auto_free char *at = path_join(plan->project.path, name);

	if (path_under(place, at)) {
		auto_free char *shown = text_shell(name);

		fail(0,
		     "cannot show %s to run the program: the project's %s "
		     "is hidden",
		     place, name);
		return fail_remedy("--show %s shows it", shown);
	}
	if (!path_under(at, place))
		return 0;
	/* Neither the payload nor who lays the masks passes such a folder. */
	if (plan->project.roots && cut_at_closed(at, strlen(place) + 1)) {
		mode = S_IFDIR;
		if (is_masked(plan, at))
			return 0;
	}
	tree_add(plan, PLAN_MASK, at, NULL)->mode = mode;
	return 0;
}

static int hide_all_at(struct plan *plan, const char *place)
{
	const struct hidden *hidden = &plan->project.hidden;

	for (size_t i = 0; i < hidden->files.n; i++)
		if (hide_at(plan, place, hidden->files.v[i], S_IFREG) < 0)
			return -1;
	for (size_t i = 0; i < hidden->folders.n; i++)
		if (hide_at(plan, place, hidden->folders.v[i], S_IFDIR) < 0)
			return -1;
	return 0;
}

/*
 * A program of the project is shown at its path on the host, with its package,
 * which a package.json makes the whole project: a payload of an earlier run may
 * have written that.
 */
int tree_hide_in_program(struct plan *plan)
{
	const struct strv *show = &plan->program.show;

	for (size_t i = 0; plan->project.path && i < show->n; i++)
		if (hide_all_at(plan, show->v[i]) < 0)
			return -1;
	return 0;
}

/* --- its git directory ---------------------------------------------------- */

/* Where the project's .git file leads. */
void tree_add_git(struct plan *plan)
{
	const struct plan_project *project = &plan->project;
	const struct gitdir *git = &project->elsewhere;
	struct plan_mount *m;

	if (project->git_at == NULL)
		return;
	m = tree_add(plan, PLAN_GIT, project->git_at, xstrdup(git->path));
	m->flags = (plan->disk ? 0 : PLAN_RW) | holes_closed(plan, false);
	if (git->module)
		m->text = gitdir_config(plan->workdir);
	add_masks(plan, project->git_at, &git->files, S_IFREG);
	add_masks(plan, project->git_at, &git->folders, S_IFDIR);
}

/* As it stands, unless that is no absolute path or another one than the place
 * inside. */
static void add_git_file(struct plan *plan)
{
	const struct plan_project *project = &plan->project;
	auto_free char *file = path_join(plan->workdir, ".git");
	auto_free char *dir = NULL;

	if (project->git_at == NULL)
		return;
	dir = xasprintf("%s%s", project->git_at, project->elsewhere.below);
	if (strcmp(dir, project->elsewhere.pointer) != 0)
		tree_add(plan, PLAN_FILE, file, NULL)->text = xasprintf(
		    "gitdir: %s\n", dir);
}

/* --- the whole ------------------------------------------------------------ */

void tree_add_project(struct plan *plan)
{
	static const struct {
		enum plan_mount_kind kind;
		unsigned int flags;
	} shown[] = {
		[SPEC_PROJECT_OVERLAY] = { PLAN_PROJECT, PLAN_RW },
		[SPEC_PROJECT_COPY] = { PLAN_WORKDIR, PLAN_RW },
		[SPEC_PROJECT_RO] = { PLAN_PROJECT, 0 },
		[SPEC_PROJECT_BIND] = { PLAN_BIND, PLAN_RW },
	};
	const struct plan_project *project = &plan->project;

	tree_add(plan, shown[project->mode].kind, plan->workdir,
		 xstrdup(project->path))
	    ->flags = shown[project->mode].flags | holes_closed(plan, true);
	if (project->mode == SPEC_PROJECT_BIND)
		add_holds(plan);
	add_masks(plan, plan->workdir, &project->hidden.files, S_IFREG);
	add_masks(plan, plan->workdir, &project->hidden.folders, S_IFDIR);
	add_git_file(plan);
}
