/* SPDX-License-Identifier: MIT */
#include "apply.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apply_work.h"
#include "confined.h"
#include "err.h"
#include "review.h"
#include "text.h"
#include "unpack.h"

struct apply_report {
	int status;
};

/* --- refusals ----------------------------------------------------------- */

static void tell_of(const char *what, const char *path, const char *why,
		    const char *mend)
{
	auto_free char *shown = text_visible(path, true);

	dprintf(STDERR_FILENO, "m9m-sandbox: %s: %s: %s%s%s%s\n", what, shown,
		why, mend ? " (" : "", mend ? mend : "", mend ? ")" : "");
}

static void refuse(struct apply *a, const char *path, const char *why,
		   const char *mend)
{
	a->refused++;
	tell_of("refused", path, why, mend);
}

/* --- which -------------------------------------------------------------- */

/* As a shell completes it. */
static const char *skip_here(const char *word)
{
	while (word[0] == '.' && word[1] == '/')
		word += 1 + strspn(word + 1, "/");
	return word;
}

static bool is_named(const struct apply *a, const char *path)
{
	for (size_t i = 0; i < a->req->paths->n; i++)
		if (strcmp(skip_here(a->req->paths->v[i]), path) == 0)
			return true;
	return false;
}

static bool selects(const char *typed, const char *path)
{
	const char *word = skip_here(typed);
	size_t len = strlen(word);

	while (len > 0 && word[len - 1] == '/')
		len--;
	if (strcmp(word, ".") == 0 || (len == 0 && typed[0] == '.'))
		return true;
	return len > 0 && strncmp(word, path, len) == 0 &&
	       (path[len] == '\0' || path[len] == '/');
}

/* Of files whose bytes no archive holds: tarball.h. */
static bool is_lost(const struct apply *a, size_t i)
{
	return apply_has_bytes(&a->changes.v[i]) && !a->items[i].found;
}

static void count_lost(struct apply *a)
{
	a->lost = a->changes.left_out;
	for (size_t i = 0; i < a->changes.n; i++)
		a->lost += is_lost(a, i);
	if (a->lost > 0)
		dprintf(STDERR_FILENO,
			"m9m-sandbox: not in this archive: %zu files or "
			"folders that the run made\n",
			a->lost);
}

/* A payload is not to make all of its changes unappliable by one of them. */
static void pass_over(struct apply *a, const char *path)
{
	static const char why[] = "the archive does not hold it";

	if (is_named(a, path))
		refuse(a, path, why, NULL);
	else
		tell_of("left out", path, why, NULL);
}

static void choose(struct apply *a)
{
	const struct strv *paths = a->req->paths;
	bool *used = xcalloc(paths->n + 1, sizeof(*used));

	for (size_t i = 0; i < a->changes.n; i++) {
		const struct change *c = &a->changes.v[i];
		bool chosen = paths->n == 0;

		for (size_t w = 0; w < paths->n; w++)
			if (selects(paths->v[w], c->path))
				chosen = used[w] = true;
		/* They change with every look of git's. */
		if (chosen && review_is_git_record(c->path) &&
		    !is_named(a, c->path)) {
			a->left_out++;
			chosen = false;
		}
		if (chosen && is_lost(a, i)) {
			pass_over(a, c->path);
			chosen = false;
		}
		a->items[i].chosen = chosen;
		if (chosen && (c->kind == CHANGE_DELETED || c->from))
			strv_push(&a->gone,
				  xstrdup(c->from ? c->from : c->path));
	}
	for (size_t w = 0; w < paths->n; w++)
		if (!used[w])
			refuse(a, paths->v[w], "nothing was changed there",
			       NULL);
	free(used);
	strv_sort(&a->gone);
}

/* --- is it as it was? --------------------------------------------------- */

/* What is at the path now; mode 0: nothing.  1: nor can there be, for what it
 * would lie in is no folder.  -1 with errno. */
static int look(const struct apply *a, const char *path, struct stat *st,
		struct change_side *side)
{
	const char *name;
	auto_fd int dir = apply_parent(a, path, &name);

	*st = (struct stat){ 0 };
	if (dir < 0 && (errno == ENOTDIR || errno == ELOOP))
		return 1;
	if (dir < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) < 0) {
		*st = (struct stat){ 0 };
		return errno == ENOENT ? 0 : -1;
	}
	return changes_read_side(dir, name, st, side);
}

static bool is_same(const struct change_side *a, const struct change_side *b)
{
	return a->mode == b->mode && a->size == b->size &&
	       strcmp(a->sha256, b->sha256) == 0;
}

/* Does something that is chosen make room at the path? */
static bool makes_room(const struct apply *a, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < a->gone.n; i++)
		if (strncmp(a->gone.v[i], path, len) == 0 &&
		    (a->gone.v[i][len] == '\0' || a->gone.v[i][len] == '/'))
			return true;
	return false;
}

/* Does what lies above the path, and is no folder, leave its place? */
static bool clears_way(const struct apply *a, const char *path)
{
	auto_free char *above = xstrdup(path);
	char *slash;

	while ((slash = strrchr(above, '/'))) {
		*slash = '\0';
		if (strv_search(&a->gone, above))
			return true;
	}
	return false;
}

static void check_free(struct apply *a, const struct change *c,
		       const struct stat *st)
{
	bool folder = S_ISDIR(st->st_mode);

	if (st->st_mode == 0 || makes_room(a, c->path))
		return;
	if (folder != S_ISDIR(c->new.mode))
		refuse(a, c->path,
		       folder ? "a folder is there" : "a file is there", NULL);
	else if (!a->req->force)
		refuse(a, c->path, "it is there already",
		       "--force replaces it");
}

static void check_new(struct apply *a, const struct change *c, struct stat *was)
{
	struct change_side now = { 0 };
	int looked = look(a, c->path, was, &now);

	if (looked < 0)
		refuse(a, c->path, strerror(errno), NULL);
	else if (looked == 1 && !clears_way(a, c->path))
		refuse(a, c->path, "a file or a link is in its way", NULL);
	else
		check_free(a, c, was);
	free(now.target);
}

/* `base` is of the archive; afterwards it is what is there. */
static void check_base(struct apply *a, const char *path, struct stat *st,
		       struct change_side *base, bool folder)
{
	struct change_side now = { 0 };

	if (look(a, path, st, &now) < 0) {
		refuse(a, path, strerror(errno), NULL);
	} else if (st->st_mode && (!(S_ISREG(now.mode) || S_ISLNK(now.mode) ||
				     S_ISDIR(now.mode)) ||
				   S_ISDIR(now.mode) != folder)) {
		refuse(a, path, "something of another kind is there", NULL);
	} else if (!is_same(base, &now) && !a->req->force) {
		refuse(a, path, "it was changed since the run",
		       "--force changes it nevertheless");
	}
	free(base->target);
	*base = now;
}

/* Does a file of the user's go?  One that was moved to where no archive reaches
 * is listed as deleted, and would be nowhere. */
static bool takes_file(const struct change *c)
{
	return c->old.mode && !S_ISDIR(c->old.mode) &&
	       (c->kind == CHANGE_DELETED ||
		(c->kind == CHANGE_MODIFIED &&
		 ((c->old.mode ^ c->new.mode) & S_IFMT)));
}

static void check_one(struct apply *a, size_t i)
{
	struct change *c = &a->changes.v[i];
	struct apply_item *item = &a->items[i];
	const char *control;

	if (c->kind == CHANGE_ADDED || c->kind == CHANGE_RENAMED)
		check_new(a, c, &item->was);
	if (c->kind == CHANGE_RENAMED)
		check_base(a, c->from, &item->from_was, &c->old, false);
	else if (c->kind != CHANGE_ADDED)
		check_base(a, c->path, &item->was, &c->old,
			   S_ISDIR(c->old.mode));
	/* By what is there, not by what the archive says of it. */
	control = changes_control(c, &a->git);
	if (is_named(a, c->path))
		return;
	if (control)
		refuse(a, c->path, control, "name it to apply it");
	else if (a->lost > 0 && !a->req->force && takes_file(c))
		refuse(a, c->path,
		       "it goes, and may be what the archive does not hold",
		       "name it, or use --force, to have it go");
}

/* --- all of it ---------------------------------------------------------- */

static void tell(const struct apply *a)
{
	static const char letters[] = { [CHANGE_ADDED] = 'A',
					[CHANGE_MODIFIED] = 'M',
					[CHANGE_DELETED] = 'D',
					[CHANGE_RENAMED] = 'R' };

	for (size_t i = 0; i < a->changes.n; i++) {
		const struct change *c = &a->changes.v[i];
		auto_free char *path = text_visible(c->path, true);
		auto_free char *from = c->from ? text_visible(c->from, true)
					       : NULL;

		if (a->items[i].chosen)
			printf("%c %s%s%s\n", letters[c->kind],
			       from ? from : "", from ? " -> " : "", path);
	}
	if (a->left_out > 0)
		dprintf(STDERR_FILENO,
			"m9m-sandbox: left out: %zu of git's own records\n",
			a->left_out);
	fflush(stdout);
}

static int do_it(struct apply *a, struct apply_report *report)
{
	a->umask = umask(0);
	umask(a->umask);
	if (apply_read(a) < 0)
		return -1;
	a->items = xcalloc(a->changes.n + 1, sizeof(*a->items));
	if (apply_find(a) < 0)
		return -1;
	count_lost(a);
	choose(a);
	/* By all of them: what is not chosen now may be chosen later. */
	changes_git_find(&a->git, &a->changes, a->project_fd, a->tree, NULL);
	for (size_t i = 0; i < a->changes.n; i++)
		if (a->items[i].chosen)
			check_one(a, i);
	if (a->refused > 0) {
		dprintf(STDERR_FILENO,
			"m9m-sandbox: refused, and nothing was changed\n");
		report->status = 1;
		return 0;
	}
	if (!a->req->dry_run && (apply_stage(a) < 0 || apply_commit(a) < 0))
		return -1;
	tell(a);
	return 0;
}

static int work(const void *arg, void *report)
{
	struct apply a = *(const struct apply *)arg;
	int rc = do_it(&a, report);

	apply_clear(&a);
	for (size_t i = 0; a.items && i < a.changes.n; i++) {
		free(a.items[i].member);
		free(a.items[i].link);
	}
	free(a.items);
	strv_free(&a.gone);
	changes_git_free(&a.git);
	changes_free(&a.changes);
	return rc;
}

/* Interrupted in the middle, the rest is done or undone: no signal but one that
 * nobody can hold back comes between. */
static void hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int apply_changes(const struct apply_request *req)
{
	const char *project = req->project ? req->project : ".";
	auto_free char *tree = realpath(project, NULL);
	auto_fd int archive_fd = open(req->artifact, O_RDONLY | O_CLOEXEC |
							 O_NONBLOCK | O_NOCTTY);
	auto_fd int project_fd = open(project,
				      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct apply a = { .req = req,
				 .tree = tree,
				 .archive_fd = archive_fd,
				 .project_fd = project_fd,
				 .stage_fd = -1 };
	const int keep[] = { STDOUT_FILENO, archive_fd, project_fd };
	struct confined child = { .name = "reader of the archive",
				  .keep = keep,
				  .n_keep = ARRAY_SIZE(keep),
				  .work = work,
				  .arg = &a };
	struct apply_report report = { 0 };
	struct stat st;

	if (archive_fd < 0 || fstat(archive_fd, &st) < 0)
		return fail(errno, "cannot open %s", req->artifact);
	if (!S_ISREG(st.st_mode))
		return fail(0, "cannot read %s: it is no file", req->artifact);
	if (tree == NULL || project_fd < 0 || fstat(project_fd, &st) < 0)
		return fail(errno, "cannot open the project %s", project);
	/* As whose the tree is: root's rights are of no use to an archive. */
	child.uid = st.st_uid;
	child.gid = st.st_gid;
	if (unpack_load() < 0)
		return -1;
	hold_signals();
	return confined_run(&child, &report, sizeof(report)) < 0
		   ? -1
		   : report.status;
}
