/* SPDX-License-Identifier: MIT */
#include "changes_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "changes.h"
#include "confined.h"
#include "err.h"
#include "journal.h"
#include "json_write.h"
#include "patch.h"
#include "review.h"
#include "text.h"
#include "walk.h"

#define MADE_MAX  1000000
#define NAMES_MAX (512 * 1024 * 1024)

struct job {
	struct changes_request request;
	char *about;
	int json_fd;
	int patch_fd; /* -1: no git tree */
};

static const char *const modes[] = {
	[SPEC_PROJECT_OVERLAY] = "overlay",
	[SPEC_PROJECT_COPY] = "copy",
};

static void count(const struct changes *changes, struct changes_summary *out)
{
	uint64_t *const counts[] = {
		[CHANGE_ADDED] = &out->added,
		[CHANGE_MODIFIED] = &out->modified,
		[CHANGE_DELETED] = &out->deleted,
		[CHANGE_RENAMED] = &out->renamed,
	};

	for (size_t i = 0; i < changes->n; i++) {
		const struct change *c = &changes->v[i];
		auto_free char *shown = NULL;

		/* git's own records change with every look of git's. */
		if (review_is_git_record(c->path))
			continue;
		++*counts[c->kind];
		if (c->control == NULL || out->n_control++ >= CHANGES_SHOWN)
			continue;
		shown = text_visible(c->path, true);
		snprintf(out->control[out->n_control - 1].path,
			 CHANGES_SHOWN_SIZE, "%s", shown);
		snprintf(out->control[out->n_control - 1].what,
			 sizeof(out->control[0].what), "%s", c->control);
	}
}

/* Writes by `fd`, which the parent keeps. */
static FILE *open_stream(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	FILE *out = copy < 0 ? NULL : fdopen(copy, "w");

	if (out == NULL) {
		cleanup_fd(&copy);
		fail(errno, "cannot write the changes");
	}
	return out;
}

static int close_stream(FILE *out)
{
	bool failed = ferror(out) != 0;

	if (fclose(out) != 0 || failed)
		return fail(errno, "cannot write the changes");
	return 0;
}

static int write_all_of(const struct job *job, const struct changes *changes,
			struct changes_summary *out)
{
	FILE *file = open_stream(job->json_fd);

	if (file == NULL)
		return -1;
	changes_print(changes, job->about, file);
	if (close_stream(file) < 0 || job->patch_fd < 0)
		return job->patch_fd < 0 ? 0 : -1;
	file = open_stream(job->patch_fd);
	if (file == NULL)
		return -1;
	out->patch = true;
	out->left_out = patch_print(changes, &job->request, file);
	return close_stream(file);
}

static int work(const void *arg, void *report)
{
	const struct job *job = arg;
	struct changes_summary *out = report;
	struct changes changes = { 0 };
	struct stat st;
	/* The payload may have closed its top. */
	auto_fd int top = walk_reopen_dir(job->request.work_fd, true, &st);
	int rc = top < 0 ? fail(errno, "cannot open the workdir")
			 : changes_find(&changes, &job->request);

	if (rc == 0) {
		count(&changes, out);
		out->made = true;
		out->beyond = changes.left_out;
		rc = write_all_of(job, &changes, out);
	}
	if (top >= 0)
		walk_lock_dir(top, &st);
	changes_free(&changes);
	return rc;
}

static int make_file(struct workdir *wd, const char *name)
{
	int fd = workdir_make_log(wd, name, O_RDWR);

	return fd < 0 ? fail(errno, "cannot make %s of the run", name) : fd;
}

static char *tell_about(const struct workdir *wd, const struct plan *plan,
			const struct project_tree *tree)
{
	const char *path = plan->project.path;
	struct json_writer w = JSON_WRITER_NONE;

	json_write_open(&w, NULL, '{');
	json_write_number(&w, "version", 1);
	json_write_string(&w, "run", wd->run_id);
	json_write_string(&w, "project", path);
	json_write_string(
	    &w, "mode",
	    modes[tree->copied ? SPEC_PROJECT_COPY : SPEC_PROJECT_OVERLAY]);
	json_write_bool(&w, "git", plan->project.git);
	json_write_close(&w, '}');
	return w.text;
}

static struct strv all_hidden(const struct hidden *hidden)
{
	struct strv all = { 0 };

	for (size_t i = 0; i < hidden->files.n; i++)
		strv_push(&all, xstrdup(hidden->files.v[i]));
	for (size_t i = 0; i < hidden->folders.n; i++)
		strv_push(&all, xstrdup(hidden->folders.v[i]));
	strv_sort(&all);
	return all;
}

static int record(struct workdir *wd, const struct plan *plan,
		  const struct project_tree *tree, const struct timespec *began,
		  struct changes_summary *out)
{
	auto_strv struct strv hidden = all_hidden(&plan->project.hidden);
	auto_free char *about = tell_about(wd, plan, tree);
	auto_fd int json_fd = make_file(wd, "changes.json");
	auto_fd int patch_fd = json_fd >= 0 && plan->project.git
				   ? make_file(wd, "changes.patch")
				   : -1;
	/* Root's home is closed to the child; --apply goes by it, too. */
	bool closed = plan->project.roots && geteuid() == 0;
	struct named named = { 0 };
	const struct job job = { .request = { .work_fd = wd->work_fd,
					      .lower_fd = tree->dir_fd,
					      .tree = plan->project.path,
					      .named = closed ? &named : NULL,
					      .whole = tree->copied,
					      .hidden = &hidden,
					      .began = *began,
					      .most_made = MADE_MAX,
					      .most_names = NAMES_MAX },
				 .about = about,
				 .json_fd = json_fd,
				 .patch_fd = patch_fd };
	const int keep[] = { wd->work_fd, tree->dir_fd, json_fd, patch_fd };
	const struct confined child = { .name = "reader of changes",
					.uid = wd->uid,
					.gid = wd->gid,
					.keep = keep,
					.n_keep = ARRAY_SIZE(keep),
					.work = work,
					.arg = &job };
	int rc = -1;

	if (closed)
		named_find(&named, tree->dir_fd, plan->project.path);
	if (json_fd >= 0 && (patch_fd >= 0 || !plan->project.git))
		rc = confined_run(&child, out, sizeof(*out));
	if (closed)
		named_free(&named);
	if (rc == 0)
		return 0;
	/* Half a list would be taken for a whole one. */
	*out = (struct changes_summary){ 0 };
	workdir_drop_log(wd, "changes.json");
	workdir_drop_log(wd, "changes.patch");
	return -1;
}

/* Is there a real tree that stays as it was? */
static bool is_apart(const struct plan *plan)
{
	return plan->project.path &&
	       (plan->project.mode == SPEC_PROJECT_OVERLAY ||
		plan->project.mode == SPEC_PROJECT_COPY);
}

int changes_record(struct workdir *wd, const struct plan *plan,
		   const struct project_tree *tree,
		   const struct timespec *began, struct changes_summary *out)
{
	*out = (struct changes_summary){ 0 };
	return is_apart(plan) ? record(wd, plan, tree, began, out) : 0;
}

/* --- of a run that died -------------------------------------------------- */

int changes_note(const struct workdir *wd, const struct plan *plan,
		 const struct project_tree *tree, const struct timespec *began)
{
	const struct plan_project *project = &plan->project;
	auto_strv struct strv hidden = all_hidden(&project->hidden);
	auto_free char *how = xasprintf(
	    "%d %d %d %lld %ld", tree->copied, project->git, project->roots,
	    (long long)began->tv_sec, began->tv_nsec);
	int rc;

	if (!is_apart(plan))
		return 0;
	rc = journal_add(wd->journal_fd, "project", project->path);
	for (size_t i = 0; rc == 0 && i < hidden.n; i++)
		rc = journal_add(wd->journal_fd, "hidden", hidden.v[i]);
	/* Last: without it, the rest may be half of what there was. */
	return rc < 0 ? rc : journal_add(wd->journal_fd, "changes", how);
}

/* What was noted, as a run has it; false: nothing, or not all. */
static bool read_note(const struct strv *journal, struct plan_project *project,
		      bool *copied, struct timespec *began)
{
	size_t at = 0;
	const char *how = journal_next(journal, "changes", &at), *value;
	int flags[3];
	long long sec;
	long nsec;

	if (how == NULL || sscanf(how, "%d %d %d %lld %ld", &flags[0],
				  &flags[1], &flags[2], &sec, &nsec) != 5)
		return false;
	at = 0;
	value = journal_next(journal, "project", &at);
	if (value == NULL)
		return false;
	project->path = xstrdup(value);
	*copied = flags[0];
	project->git = flags[1];
	project->roots = flags[2];
	*began = (struct timespec){ .tv_sec = sec, .tv_nsec = nsec };
	for (at = 0; (value = journal_next(journal, "hidden", &at));)
		strv_push(&project->hidden.files, xstrdup(value));
	return true;
}

bool changes_recover(struct workdir *wd, const struct strv *journal)
{
	struct plan plan = { .host_uid = wd->uid, .host_gid = wd->gid };
	struct project_tree tree = PROJECT_TREE_NONE;
	struct changes_summary summary;
	struct timespec began;
	bool copied;

	plan.project.mode = SPEC_PROJECT_OVERLAY;
	if (!read_note(journal, &plan.project, &copied, &began))
		return false;
	/* Half a list, if it died over that. */
	workdir_drop_log(wd, "changes.json");
	workdir_drop_log(wd, "changes.patch");
	copied = copied || workdir_was_copied(wd);
	if (project_open(&tree, &plan) == 0) {
		tree.copied = copied;
		(void)changes_record(wd, &plan, &tree, &began, &summary);
	}
	err_reset();
	project_close(&tree);
	project_free(&plan.project);
	return !copied;
}

/* --- for a person ------------------------------------------------------- */

static const char *color_of(const char *line)
{
	static const struct {
		const char *start, *color;
	} table[] = {
		{ "diff --git ", "\033[1m" }, { "+++ ", "\033[1m" },
		{ "--- ", "\033[1m" },        { "@@ ", "\033[36m" },
		{ "+", "\033[32m" },          { "-", "\033[31m" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strncmp(line, table[i].start, strlen(table[i].start)) == 0)
			return table[i].color;
	return NULL;
}

/* Tabs stay: they steer nothing. */
static void put_line(const char *line, FILE *out, bool color)
{
	const char *start = color ? color_of(line) : NULL;

	if (start)
		fputs(start, out);
	for (;;) {
		size_t n = strcspn(line, "\t");
		auto_free char *part = xstrndup(line, n);
		auto_free char *shown = text_visible(part, true);

		fputs(shown, out);
		if (line[n] == '\0')
			break;
		fputc('\t', out);
		line += n + 1;
	}
	fputs(start ? "\033[0m\n" : "\n", out);
}

int changes_open_patch(const struct workdir *wd)
{
	return workdir_open_log(wd, "changes.patch");
}

void changes_show(int patch_fd, FILE *out, bool color)
{
	int fd = fcntl(patch_fd, F_DUPFD_CLOEXEC, 3);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while (in && (n = getline(&line, &size, in)) > 0) {
		line[n - (line[n - 1] == '\n')] = '\0';
		put_line(line, out, color);
	}
	free(line);
	if (in)
		fclose(in);
	else
		cleanup_fd(&fd);
	fflush(out);
}
