/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Allowed commands: from names to the files that may be executed, and what each
 * of them brings along.  Reads the host, changes nothing.  holes.c and
 * landlock.c make it so.
 */

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent.h"
#include "lookup.h"
#include "program.h"
#include "spec.h"

/* A file that may be executed. */
struct command {
	char *name;      /* as it was asked for, or its base name */
	char *path;      /* inside: absolute, no link in it */
	char *source;    /* the same file on the host */
	const char *why; /* COMMAND_...: a literal, shown by --explain */
	char *of;        /* for whom, or NULL: for itself */
	struct stat st;
};

#define COMMAND_ITSELF      "command"
#define COMMAND_LISTED      "listed"
#define COMMAND_PLUMBING    "plumbing"
#define COMMAND_INTERPRETER "interpreter"
#define COMMAND_LOADER      "loader"
#define COMMAND_HELPER      "helper"

/* A file or folder that may be mapped as code but is no program. */
struct command_map {
	char *path;
	char *source;
	bool closed; /* lies in a folder that is open, and must not be */
};

struct commands {
	bool listed;      /* false: everything visible may run; rest empty */
	const char *root; /* of what is resolved: "" for the host; borrowed */
	bool observed; /* not listed, but the list is known: for the record */
	bool workdir_exec; /* but what is built in the workdir may run too */
	struct command *v;
	size_t n;
	struct command_map *maps;
	size_t n_maps;
	struct strv links; /* "place\ttarget", both as inside */
	struct strv notes; /* what a user would not expect, for --explain */
};

/*
 * Fills `commands` from the spec's list, the agent's plumbing and the program
 * itself, which is resolved already; what lies outside the base tree is added
 * to what `program` shows.  By fail(): a name that is not there, or one that
 * would bring in a shell, an interpreter, a downloader by the back door.
 * commands_free is due in either case.
 */
int commands_plan(struct commands *commands, struct program *program,
		  const struct spec *spec, const struct agent *agent);
void commands_free(struct commands *commands);

/* The one that is this file, or NULL. */
const struct command *commands_find(const struct commands *commands,
				    const struct stat *st);

/* Lines for --explain. */
void commands_explain(const struct commands *commands, FILE *out);
