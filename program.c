/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "lookup.h"
#include "needs.h"
#include "option.h"
#include "package.h"

#define auto_needs __attribute__((cleanup(needs_free)))

static int not_found(const struct lookup *lookup, const char *name,
		     const struct agent *agent)
{
	bool is_path = strchr(name, '/') != NULL;
	auto_free char *near = is_path ? NULL : lookup_near(lookup, name);

	fail(0, "cannot find %s%s", name,
	     is_path           ? ": no such file"
	     : lookup->root[0] ? " on PATH in the root tree"
			       : " on PATH or where agents are installed");
	if (agent && strv_has(&agent->binaries, name))
		fail_remedy("install it: %s", agent->install);
	else if (strchr(name, ' '))
		fail_remedy("give program and arguments as words of their own, "
			    "or sh -c and a line for a shell");
	else if (option_by_flag(name, strlen(name)))
		fail_remedy("did you mean the option --%s?", name);
	else if (near)
		fail_remedy("did you mean %s?", near);
	else if (is_path)
		fail_remedy("a path is one of the host's, but below the "
			    "workdir and your own mounts");
	else
		fail_remedy("install it, or give its path");
	return fail_status(127);
}

static int cannot_find(const struct lookup *lookup, const char *name,
		       const struct agent *agent)
{
	int error = errno;

	if (error == ENOENT)
		return not_found(lookup, name, agent);
	fail(error, "cannot execute %s", name);
	if (error == EACCES)
		fail_remedy("make it executable (chmod +x), or name its "
			    "interpreter as the command");
	if (error == EISDIR)
		fail_remedy("name a program in it as the command");
	return fail_status(126);
}

static void push_all(struct strv *to, const struct strv *from, size_t first)
{
	for (size_t i = first; i < from->n; i++)
		strv_push(to, xstrdup(from->v[i]));
}

/*
 * A name that the PATH inside does not lead to would mislead a program that
 * looks itself up by it, as python does: then argv[0] is the path.
 */
static void set_command(struct program *program, char *path,
			const struct strv *argv, const struct strv *prefix)
{
	bool by_name = needs_is_base(path) && argv->v[0][0] != '.';

	push_all(&program->argv, prefix, 0);
	if (prefix->n > 0 || !by_name)
		strv_push(&program->argv, xstrdup(path));
	else
		strv_push(&program->argv, xstrdup(argv->v[0]));
	push_all(&program->argv, argv, 1);
	if (prefix->n == 0) {
		program->path = path;
		return;
	}
	program->path = xstrdup(prefix->v[0]);
	free(path);
}

static int resolve_on_host(struct program *program, const struct lookup *lookup,
			   const char *path, const struct strv *argv,
			   const struct agent *agent)
{
	auto_needs struct needs needs = { .lookup = lookup,
					  .program = program };
	auto_free char *real = lookup_real(lookup, path, NULL);
	auto_free char *native = agent && real
				     ? package_native(lookup, real, agent)
				     : NULL;
	char *named = NULL;

	if (needs_program(&needs, native ? native : path, &named) < 0)
		return -1;
	needs_finish(&needs);
	set_command(program, named, argv, &needs.prefix);
	return 0;
}

int program_resolve(struct program *program, const struct strv *argv,
		    const struct agent *agent, const char *in_rootfs)
{
	struct lookup lookup;
	auto_free char *path = NULL;

	*program = (struct program){ 0 };
	if (argv->n == 0 || argv->v[0][0] == '\0') {
		fail(0, "cannot run an empty command");
		return fail_status(127);
	}
	lookup_init(&lookup, in_rootfs);
	path = lookup_find(&lookup, argv->v[0]);
	if (path == NULL)
		return cannot_find(&lookup, argv->v[0], agent);
	if (in_rootfs == NULL)
		return resolve_on_host(program, &lookup, path, argv, agent);
	program->path = take_ptr(&path);
	push_all(&program->argv, argv, 0);
	return 0;
}

void program_free(struct program *program)
{
	free(program->path);
	strv_free(&program->argv);
	strv_free(&program->show);
	strv_free(&program->show_why);
	strv_free(&program->links);
	*program = (struct program){ 0 };
}
