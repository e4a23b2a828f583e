/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Programs that make a list of allowed commands mean less than it says: shells,
 * what changes users, what fetches things, what installs them.
 */

#include <sys/stat.h>

#include "lookup.h"

struct danger_file {
	char *name; /* as found, without its folder */
	const char *reason;
	char *path;
	struct stat st;
};

/* Those that are in the folders of programs. */
struct dangers {
	struct danger_file *v;
	size_t n;
};

void dangers_find(struct dangers *dangers, const struct lookup *lookup);
void dangers_free(struct dangers *dangers);

/* Why a program of this name should not be listed, or NULL. */
const char *danger_by_name(const char *name);
/* The dangerous program that this file also is: a link, another name of a
 * multi-call program, a copy.  Or NULL. */
const struct danger_file *danger_by_file(const struct dangers *dangers,
					 const char *path,
					 const struct stat *st);

/* The folders whose programs are found by name, NULL-terminated; some may be
 * links or not there. */
extern const char *const program_folders[];
