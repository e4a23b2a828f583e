/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "closure.h"
#include "danger.h"
#include "err.h"
#include "needs.h"
#include "text.h"

#define auto_needs   __attribute__((cleanup(needs_free)))
#define auto_dangers __attribute__((cleanup(dangers_free)))

/* Programs whose name decides what they do. */
static const char *const multicall[] = { "coreutils", "busybox", "toybox",
					 "uutils", NULL };

void gather_note(struct gather *g, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!strv_has(&g->out->notes, text))
		strv_push(&g->out->notes, xstrdup(text));
}

/*** Where things are ***/

/* The mount of the user's that a path inside lies in: the last one is on top. */
static const struct spec_mount *mount_over(const struct gather *g,
					   const char *path)
{
	for (size_t i = g->spec->n_mounts; i-- > 0;)
		if (path_under(path, g->spec->mounts[i].destination))
			return &g->spec->mounts[i];
	return NULL;
}

static bool locate_mounted(const struct spec_mount *mount, const char *path,
			   char **inside, char **source)
{
	const char *rest = path + strlen(mount->destination);
	auto_free char *tree = NULL;
	auto_free char *named = NULL;
	auto_free char *real = NULL;

	if (mount->source == NULL)
		return false;
	tree = realpath(mount->source, NULL);
	named = xasprintf("%s%s", mount->source, rest);
	real = realpath(named, NULL);
	/* A link out of the mount leads to something else inside. */
	if (tree == NULL || real == NULL || !path_under(real, tree))
		return false;
	*inside = xasprintf("%s%s", mount->destination, real + strlen(tree));
	*source = take_ptr(&real);
	return true;
}

bool gather_shows(const struct gather *g, const char *real)
{
	const struct strv *show = &g->program->show;

	if (g->lookup.root[0] || needs_is_base(real))
		return true;
	for (size_t i = 0; i < show->n; i++)
		if (path_under(real, show->v[i]))
			return true;
	return false;
}

bool gather_locate(struct gather *g, const char *path, char **inside,
		   char **source)
{
	const struct spec_mount *mount = mount_over(g, path);
	auto_free char *real = NULL;

	if (mount)
		return locate_mounted(mount, path, inside, source);
	if (path_under(path, g->spec->workdir))
		return false;
	real = lookup_real(&g->lookup, path, &g->out->links);
	if (real == NULL || !gather_shows(g, real))
		return false;
	*source = xasprintf("%s%s", g->lookup.root, real);
	*inside = take_ptr(&real);
	return true;
}

/*** The list ***/

const struct command *commands_find(const struct commands *commands,
				    const struct stat *st)
{
	for (size_t i = 0; i < commands->n; i++)
		if (commands->v[i].st.st_ino == st->st_ino &&
		    commands->v[i].st.st_dev == st->st_dev)
			return &commands->v[i];
	return NULL;
}

int gather_command(struct gather *g, const char *path, const char *name,
		   const char *why, const char *of)
{
	struct commands *out = g->out;
	auto_free char *inside = NULL;
	auto_free char *source = NULL;
	struct stat st;

	if (!gather_locate(g, path, &inside, &source) ||
	    stat(source, &st) < 0 || !S_ISREG(st.st_mode) ||
	    !(st.st_mode & 0111))
		return 0;
	for (size_t i = 0; i < out->n; i++)
		if (strcmp(out->v[i].path, inside) == 0)
			return 0;
	out->v = xrealloc_array(out->v, out->n + 1, sizeof(*out->v));
	out->v[out->n++] = (struct command){
		.name = xstrdup(name ? name : path_base(path)),
		.path = take_ptr(&inside),
		.source = take_ptr(&source),
		.why = why,
		.of = of ? xstrdup(of) : NULL,
		.st = st,
	};
	return closure_add(g, out->n - 1) < 0 ? -1 : 1;
}

/* Outside the base tree: it must be shown as well, with what it takes. */
static int show(struct gather *g, const char *path)
{
	auto_needs struct needs needs = { .lookup = &g->lookup,
					  .program = g->program };
	auto_free char *named = NULL;
	auto_free char *real = lookup_real(&g->lookup, path, NULL);

	if (g->lookup.root[0] || real == NULL || needs_is_base(real) ||
	    mount_over(g, path))
		return 0;
	if (needs_program(&needs, path, &named) < 0)
		return -1;
	needs_finish(&needs);
	return 0;
}

/*** Names ***/

static int not_found(const struct gather *g, const char *name)
{
	auto_free char *near = strchr(name, '/')
				   ? NULL
				   : lookup_near(&g->lookup, name);

	fail(0, "cannot find the allowed command %s%s", name,
	     strchr(name, '/')   ? ""
	     : g->lookup.root[0] ? " on PATH in the root tree"
				 : " on PATH");
	if (near)
		return fail_remedy("did you mean %s?", near);
	return fail_remedy("install it, or take it off the list");
}

static int refuse(const char *name, const char *what, const char *reason)
{
	fail(0, "cannot allow the command %s: %s%s", name, what, reason);
	return fail_remedy("take it off the list, or add "
			   "--allow-dangerous-commands");
}

/* By its name, by the name of its file, or as another name of that file. */
static int check_danger(struct gather *g, const char *name,
			const struct command *c)
{
	const char *reason = danger_by_name(path_base(name));
	const struct danger_file *same;

	if (g->spec->dangerous_commands)
		return 0;
	if (reason)
		return refuse(name, "", reason);
	reason = danger_by_name(path_base(c->path));
	if (reason) {
		auto_free char *what = xasprintf("it is %s, and ", c->path);

		return refuse(name, what, reason);
	}
	same = danger_by_file(g->dangers, c->source, &c->st);
	if (same) {
		auto_free char *what = xasprintf("its file is also %s, and ",
						 same->name);

		return refuse(name, what, same->reason);
	}
	return 0;
}

static void explain_names(struct gather *g, const char *name, size_t index)
{
	const char *file = path_base(g->out->v[index].path);

	for (size_t i = 0; multicall[i]; i++)
		if (strcmp(file, multicall[i]) == 0)
			gather_note(g,
				    "%s is one of the names of %s: whoever "
				    "runs it may go by any other of them",
				    name, file);
}

static int add_listed(struct gather *g, const char *name)
{
	auto_free char *path = NULL;
	size_t index;
	int added;

	if (path_under(name, g->spec->workdir) && !mount_over(g, name)) {
		fail(0, "cannot allow the command %s: it is in the workdir",
		     name);
		return fail_remedy("--workdir-exec lets what is there run");
	}
	added = closure_module(g, name);
	if (added != 0)
		return added < 0 ? -1 : 0;
	path = mount_over(g, name) ? xstrdup(name)
				   : lookup_find(&g->lookup, name);
	if (path == NULL)
		return not_found(g, name);
	if (show(g, path) < 0)
		return -1;
	index = g->out->n;
	added = gather_command(g, path, name, COMMAND_LISTED, NULL);
	if (added == 0) {
		/* A second name of a file, or one that is not to be seen. */
		auto_free char *inside = NULL;
		auto_free char *source = NULL;

		return gather_locate(g, path, &inside, &source)
			   ? 0
			   : not_found(g, name);
	}
	if (added < 0 || check_danger(g, name, &g->out->v[index]) < 0)
		return -1;
	explain_names(g, name, index);
	return 0;
}

/*** Scripts ***/

static bool has_path(struct gather *g, const char *path)
{
	auto_free char *inside = NULL;
	auto_free char *source = NULL;

	if (!gather_locate(g, path, &inside, &source))
		return false;
	for (size_t i = 0; i < g->out->n; i++)
		if (strcmp(g->out->v[i].path, inside) == 0)
			return true;
	return false;
}

/* May this script bring its interpreter along? */
static bool brings(const struct gather *g, const struct command *c)
{
	return g->spec->dangerous_commands ||
	       strcmp(c->why, COMMAND_ITSELF) == 0 ||
	       strcmp(c->why, COMMAND_PLUMBING) == 0 ||
	       strcmp(c->why, COMMAND_INTERPRETER) == 0;
}

/*
 * A script is executed by its interpreter, which then can be executed by
 * itself, with other scripts: listing "pytest" would list python.
 */
static int add_interpreter(struct gather *g, size_t index, const char *path)
{
	const struct command *c = &g->out->v[index];
	auto_free char *of = xstrdup(c->name);

	if (has_path(g, path))
		return 0;
	if (!brings(g, c)) {
		fail(0,
		     "cannot allow the command %s: it is a script of %s, which "
		     "runs any other script as well",
		     c->name, path);
		return fail_remedy("list %s too, or add "
				   "--allow-dangerous-commands",
				   path_base(path));
	}
	if (show(g, path) < 0)
		return -1;
	return gather_command(g, path, NULL, COMMAND_INTERPRETER, of) < 0 ? -1
									  : 0;
}

static void drop_command(struct commands *out, size_t index)
{
	free(out->v[index].name);
	free(out->v[index].path);
	free(out->v[index].source);
	free(out->v[index].of);
	memmove(&out->v[index], &out->v[index + 1],
		(out->n - index - 1) * sizeof(*out->v));
	out->n--;
}

/* What goes by the name of env may be anything: a shell, all of busybox. */
static bool is_env(struct gather *g, const char *path)
{
	auto_free char *inside = NULL;
	auto_free char *source = NULL;
	struct stat st;

	return gather_locate(g, path, &inside, &source) &&
	       (strcmp(path_base(inside), "env") == 0 ||
		strcmp(path_base(inside), "coreutils") == 0) &&
	       stat(source, &st) == 0 &&
	       !danger_by_file(g->dangers, source, &st);
}

/* 1: the command at this index is gone, since it could not run. */
static int add_interpreters(struct gather *g, size_t index)
{
	auto_free char *interpreter = NULL;
	auto_free char *by_env = NULL;
	const struct command *c = &g->out->v[index];

	if (!closure_script(&g->lookup, c->source, &interpreter, &by_env))
		return 0;
	if (strcmp(c->why, COMMAND_HELPER) == 0 && !has_path(g, interpreter)) {
		gather_note(g, "%s of %s needs %s, which is not on the list",
			    c->name, c->of, interpreter);
		drop_command(g->out, index);
		return 1;
	}
	if (by_env == NULL || !is_env(g, interpreter))
		return add_interpreter(g, index, interpreter);
	/* It runs nothing that may not run by itself. */
	if (gather_command(g, interpreter, NULL, COMMAND_INTERPRETER,
			   g->out->v[index].name) < 0)
		return -1;
	return add_interpreter(g, index, by_env);
}

/*** All of it ***/

static int add_itself(struct gather *g)
{
	const char *path = g->program->path;
	int added = gather_command(g, path, NULL, COMMAND_ITSELF, NULL);

	if (added != 0 || g->spec->workdir_exec)
		return added < 0 ? -1 : 0;
	fail(0,
	     "cannot run %s: with a list of allowed commands nothing that "
	     "the run can write may be executed",
	     path);
	return fail_remedy("--workdir-exec lets what is in the workdir run");
}

/* What the agent's tool calls go through; the name is not the user's. */
static int add_plumbing(struct gather *g, const struct agent *agent)
{
	for (size_t i = 0; agent && i < agent->plumbing.n; i++) {
		const char *name = agent->plumbing.v[i];
		auto_free char *path = lookup_find(&g->lookup, name);

		if (path && (show(g, path) < 0 ||
			     gather_command(g, path, name, COMMAND_PLUMBING,
					    agent->name) < 0))
			return -1;
	}
	return 0;
}

static int add_all(struct gather *g, const struct agent *agent)
{
	const struct strv *names = &g->spec->allowed_commands;

	if (add_itself(g) < 0 || add_plumbing(g, agent) < 0)
		return -1;
	for (size_t i = 0; i < names->n; i++)
		if (add_listed(g, names->v[i]) < 0)
			return -1;
	if (g->out->workdir_exec && closure_add_all(g) < 0)
		return -1;
	/* Helpers and interpreters add themselves at the end. */
	for (size_t i = 0; i < g->out->n;) {
		int gone = add_interpreters(g, i);

		if (gone < 0)
			return -1;
		if (gone == 0 && closure_helpers(g, i++) < 0)
			return -1;
	}
	return 0;
}

int commands_plan(struct commands *commands, struct program *program,
		  const struct spec *spec, const struct agent *agent)
{
	auto_dangers struct dangers dangers = { 0 };
	struct gather g = { .out = commands,
			    .program = program,
			    .spec = spec,
			    .dangers = &dangers };
	int rc;

	commands->listed = spec_asked(spec, "allowed_commands");
	commands->workdir_exec = spec->workdir_exec;
	commands->root = spec->rootfs ? spec->rootfs : "";
	if (!commands->listed)
		return 0;
	lookup_init(&g.lookup, spec->rootfs);
	if (!spec->dangerous_commands && spec->allowed_commands.n > 0)
		dangers_find(&dangers, &g.lookup);
	rc = add_all(&g, agent);
	if (spec->permissive) {
		commands->listed = false;
		commands->observed = true;
	}
	free(g.cache);
	strv_free(&g.seen);
	return rc;
}

void commands_free(struct commands *commands)
{
	while (commands->n > 0)
		drop_command(commands, commands->n - 1);
	for (size_t i = 0; i < commands->n_maps; i++) {
		free(commands->maps[i].path);
		free(commands->maps[i].source);
	}
	free(commands->v);
	free(commands->maps);
	strv_free(&commands->links);
	strv_free(&commands->notes);
	*commands = (struct commands){ 0 };
}

/*** In words ***/

void commands_explain(const struct commands *commands, FILE *out)
{
	if (!commands->listed && !commands->observed) {
		fputs("commands     every program that is visible\n", out);
		return;
	}
	fputs(commands->listed ? "commands     these and no others\n"
			       : "commands     every program that is visible; "
				 "recorded when none of these\n",
	      out);
	for (size_t i = 0; i < commands->n; i++) {
		const struct command *c = &commands->v[i];
		auto_free char *name = text_visible(c->name, true);
		auto_free char *path = text_visible(c->path, true);

		fprintf(out, "  %-11s %s", c->why, name);
		if (strcmp(c->name, c->path) != 0)
			fprintf(out, " = %s", path);
		fprintf(out, "%s%s\n", c->of ? " for " : "",
			c->of ? c->of : "");
	}
	if (commands->workdir_exec)
		fputs(
		    "  workdir     and all that is in it: the list covers the "
		    "system's programs only\n",
		    out);
	for (size_t i = 0; i < commands->notes.n; i++) {
		auto_free char *note = text_visible(commands->notes.v[i], true);

		fprintf(out, "  note        %s\n", note);
	}
}
