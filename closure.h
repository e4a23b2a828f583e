/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What executing a file takes beside the file: the loader and the libraries
 * that it maps, modules that it loads by itself, programs that are a part of
 * it.  The other half of command.c.
 */

#include "command.h"
#include "danger.h"

/* A list of commands while it is being made. */
struct gather {
	struct commands *out;
	struct program *program;
	struct lookup lookup;
	const struct spec *spec;
	const struct dangers *dangers;
	struct strv seen; /* libraries that were looked at */
	char *cache;      /* the linker's, once it was read */
	size_t cache_len;
};

/* Adds a file by its path inside; `why` is a literal.  1: added, 0: it is there
 * already or cannot be executed; -1 by fail(). */
int gather_command(struct gather *g, const char *path, const char *name,
		   const char *why, const char *of);
/*
 * Finds what is visible at a path inside: the same path without links, and the
 * host's (both owned).  False: nothing is, or only what the run will make.
 */
bool gather_locate(struct gather *g, const char *path, char **inside,
		   char **source);
/* Is this path without links in what the run shows of the host? */
bool gather_shows(const struct gather *g, const char *real);
__attribute__((format(printf, 2, 3))) void gather_note(struct gather *g,
						       const char *fmt, ...);

/* Loader, libraries and modules of the command at this index; by fail(). */
int closure_add(struct gather *g, size_t index);
/* By its name: a list lets it be loaded, never executed. */
bool closure_is_module(const char *name);
/* A module that is named by its path, as if it were a command: 1 when it is one,
 * 0 when not; -1 by fail(). */
int closure_module(struct gather *g, const char *path);
/* The programs that are a part of it. */
int closure_helpers(struct gather *g, size_t index);
/* For programs that nobody has seen yet: loaders and all libraries. */
int closure_add_all(struct gather *g);

/* The interpreter that "#!" of this host file names, by its path inside, and
 * what env is told to run (both owned or NULL).  False: no script. */
bool closure_script(const struct lookup *lookup, const char *source,
		    char **interpreter, char **by_env);
