/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a program file asks of the dynamic linker.  The file is anybody's, so
 * every offset and size in it is checked before it is used.
 */

#include <stdbool.h>

#include "util.h"

struct linkage {
	bool foreign;      /* for another machine than this one */
	bool program;      /* to be executed, which the linker loads nowhere */
	char *interpreter; /* PT_INTERP, or NULL: static */
	char *search;      /* DT_RUNPATH or DT_RPATH as it stands, or NULL */
	bool search_is_inherited; /* DT_RPATH: holds for the libraries too */
	struct strv needed;       /* DT_NEEDED, in order */
};

/* Reads an open file.  False when it is no 64-bit ELF program or library, or a
 * broken one: then the kernel or the linker will say so. */
bool linkage_read(int fd, struct linkage *info);
void linkage_free(struct linkage *info);
