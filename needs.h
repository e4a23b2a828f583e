/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What of the host a program takes to run: itself, its interpreter, its
 * libraries, its package; collected as the paths and links of a struct program.
 */

#include <stdbool.h>
#include <sys/stat.h>

#include "linkage.h"
#include "lookup.h"
#include "program.h"

struct needs {
	const struct lookup *lookup;
	struct program *program; /* show, show_why and links grow */
	struct strv seen;        /* files that were looked at */
	/* For a script whose "#!/usr/bin/env NAME" would not be found inside:
	 * what to put before the script. */
	struct strv prefix;
	bool written; /* some of it by a user who is not the caller, root: */
	struct stat writer;
	size_t links_noted; /* so many links were looked at for that */
};

/*
 * Adds the program at `path` (absolute) and all it needs.  *named becomes the
 * path to execute: without links but perhaps the last, which may be what the
 * program goes by (a virtual environment's python, a multi-call binary).
 * By fail() with status 126 or 127.
 */
int needs_program(struct needs *needs, const char *path, char **named);

/* Adds a file by its role ("interpreter"), with all that it needs. */
int needs_file(struct needs *needs, const char *path, const char *why);
/* Adds a path that is free of links; a folder that says too much about its
 * owner (a whole home, a bin directory) is refused, by fail(). */
int needs_show(struct needs *needs, const char *real, const char *why);
/* The same of what lies in `folder`: that is what says too much or not. */
int needs_show_part(struct needs *needs, const char *real, const char *folder,
		    const char *why);

/* Leaves out what another one holds, and links that are there anyway. */
void needs_finish(struct needs *needs);
void needs_free(struct needs *needs);

/* Is it in the tree that every sandbox shows (/usr, /bin, /sbin, /lib*)? */
bool needs_is_base(const char *path);
