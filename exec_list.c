/* SPDX-License-Identifier: MIT */
#include "exec_look.h"

#include <string.h>
#include <unistd.h>

#include "closure.h"
#include "danger.h"
#include "lookup.h"
#include "text.h"

/*
 * The verdict where there is a list of allowed commands.  The kernel refuses in
 * one of three ways (no such file, a mount with noexec, Landlock); what a person
 * wants to know is the same in all of them: it is not on the list.
 */

static const char not_listed[] = "it is not on the list of allowed commands";

static bool is_program_folder(const char *path)
{
	for (size_t i = 0; program_folders[i]; i++)
		if (path_under(path, program_folders[i]))
			return true;
	return false;
}

/* The host's file at a path inside, wherever links lead; owned, or NULL. */
static char *source_of(const struct commands *commands, const char *path)
{
	const struct lookup lookup = { .root = commands->root };
	auto_free char *real = lookup_real(&lookup, path, NULL);

	return real ? xasprintf("%s%s", commands->root, real) : NULL;
}

static bool is_listed(const struct commands *commands, const char *path)
{
	auto_free char *source = source_of(commands, path);
	struct stat st;

	return source && stat(source, &st) == 0 && commands_find(commands, &st);
}

/* Is it refused on a list, or would what it brings along be: see command.c. */
static bool is_danger(const struct commands *commands, const char *name,
		      const char *source)
{
	const struct lookup lookup = { .root = commands->root };
	auto_free char *interpreter = NULL;
	auto_free char *by_env = NULL;

	if (danger_by_name(name) || danger_by_name(path_base(source)))
		return true;
	return closure_script(&lookup, source, &interpreter, &by_env) &&
	       !is_listed(commands, by_env ? by_env : interpreter);
}

/* The flag that would put it on the list. */
static char *flag_for(const struct commands *commands, const char *listed_as,
		      const char *source)
{
	const char *name = path_base(listed_as);
	auto_free char *word = text_shell(
	    is_program_folder(listed_as) ? name : listed_as);

	return xasprintf("--allow-command %s%s", word,
			 is_danger(commands, name, source)
			     ? " --allow-dangerous-commands"
			     : "");
}

char *exec_list_flag(const struct commands *commands, const char *path)
{
	auto_free char *clean = path_clean(path);
	auto_free char *source = NULL;

	if (!is_program_folder(clean))
		return NULL;
	source = source_of(commands, clean);
	if (source == NULL || access(source, X_OK) < 0)
		return NULL;
	return flag_for(commands, path, source);
}

/* Of a file that is to be seen, which may be no file of the host's own path.
 * NULL: of a module, listing lets it be loaded only. */
static char *flag_for_file(const struct exec_attempt *a,
			   const struct commands *commands)
{
	if (closure_is_module(a->target))
		return NULL;
	return flag_for(commands, a->target, fd_path(a->file_fd).s);
}

static void deny(struct exec_attempt *a, char *remedy)
{
	a->verdict = EXEC_DENIED;
	a->reason = not_listed;
	a->remedy = remedy;
}

/* What is hidden would be there without the list: told to the record only. */
static void judge_absent(struct exec_attempt *a,
			 const struct commands *commands)
{
	char *flag = exec_list_flag(commands, a->target);

	if (flag)
		deny(a, flag);
}

void exec_list_judge(struct exec_attempt *a, const struct plan *plan)
{
	const struct commands *commands = &plan->commands;
	bool in_workdir;

	if ((!commands->listed && !commands->observed) || a->target == NULL)
		return;
	if (a->verdict == EXEC_ABSENT) {
		judge_absent(a, commands);
		return;
	}
	/* What could not be executed anyway is no matter of the list. */
	if (a->file_fd < 0 || !S_ISREG(a->st.st_mode) ||
	    !(a->st.st_mode & 0111) || commands_find(commands, &a->st))
		return;
	in_workdir = path_under(a->target, plan->workdir);
	/* A library that is a program as well (libc says its version) is on no
	 * mount with noexec: that it cannot be executed is Landlock's doing. */
	if (commands->observed && !in_workdir)
		a->remedy = flag_for_file(a, commands);
	else if (!in_workdir && (a->verdict == EXEC_DENIED || plan->landlock))
		deny(a, a->writable ? NULL : flag_for_file(a, commands));
	else if (in_workdir && !commands->workdir_exec)
		a->remedy = xstrdup("--workdir-exec");
}
