/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Agent profiles (profiles/, compiled in): what a known agent needs so that
 * the user need not know.  Data only; nothing is looked up on the host.
 */

#include <stdbool.h>
#include <stdio.h>

#include "util.h"

struct agent {
	char *name;           /* "claude" */
	char *install;        /* the command that installs it, for messages */
	struct strv types;    /* node types that mean it: "cli.claude-code" */
	struct strv binaries; /* base names of the command: "claude" */
	struct strv native;   /* globs, relative to the package's root, of the
				 program that its launcher script starts */
	struct strv argv;     /* for a prompt (on stdin) without a command */
	struct strv env_pass;
	struct strv env;   /* "NAME=VALUE" */
	struct strv hosts; /* network "restricted": "api.anthropic.com:443" */
	struct strv plumbing; /* programs its tool calls go through */
	int stop_signal;      /* the polite one on timeout */
};

/* By profile name, node type, command or its base name; NULL when unknown.
 * The result is owned by the caller: agent_free. */
struct agent *agent_find(const char *name_type_or_binary);
/* The nearest known name or type, for messages (owned by the caller); NULL when
 * none is near. */
char *agent_suggest(const char *name);
void agent_free(struct agent *agent);
/* --list-agents: name, command, hosts, variables passed. */
int agent_list(FILE *out);
