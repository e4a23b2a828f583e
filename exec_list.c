/* SPDX-License-Identifier: MIT */
#include "exec_look.h"

#include <string.h>
#include <unistd.h>

#include "danger.h"
#include "lookup.h"

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

/* Would it be there without the list?  Told to the record only. */
static bool is_hidden(const struct commands *commands, const char *target)
{
	const struct lookup lookup = { .root = commands->root };
	auto_free char *clean = path_clean(target);
	auto_free char *real = NULL;
	auto_free char *source = NULL;

	if (!is_program_folder(clean))
		return false;
	real = lookup_real(&lookup, clean, NULL);
	if (real == NULL)
		return false;
	source = xasprintf("%s%s", commands->root, real);
	return access(source, X_OK) == 0;
}

/* The flag that would put it on the list. */
static void set_remedy(struct exec_attempt *a, const char *listed_as)
{
	const char *slash = strrchr(listed_as, '/');
	const char *name = slash ? slash + 1 : listed_as;

	a->remedy = xasprintf(
	    "--allow-command %s%s",
	    is_program_folder(listed_as) ? name : listed_as,
	    danger_by_name(name) ? " --allow-dangerous-commands" : "");
}

static void deny(struct exec_attempt *a, const char *listed_as)
{
	a->verdict = EXEC_DENIED;
	a->reason = not_listed;
	set_remedy(a, listed_as);
}

void exec_list_judge(struct exec_attempt *a, const struct plan *plan)
{
	const struct commands *commands = &plan->commands;
	bool in_workdir;

	if ((!commands->listed && !commands->observed) || a->target == NULL)
		return;
	if (a->verdict == EXEC_ABSENT) {
		if (is_hidden(commands, a->target))
			deny(a, a->target);
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
		set_remedy(a, a->target);
	else if (!in_workdir && (a->verdict == EXEC_DENIED || plan->landlock))
		deny(a, a->target);
	else if (in_workdir && !commands->workdir_exec)
		a->remedy = xstrdup("--workdir-exec");
}
