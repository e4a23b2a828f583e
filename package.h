/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Packages of language worlds: which folder belongs to a program because an
 * installer put it there, and which others it loads from.
 */

#include "needs.h"

/* The package's folder that a file without links lies in (owned), or NULL. */
char *package_root(const char *real);

/* The native program that `agent`'s launcher at `real` would start: for this
 * machine and with a dynamic linker that is there (owned), or NULL. */
char *package_native(const struct lookup *lookup, const char *real,
		     const struct agent *agent);

/*
 * Adds what `real` needs beside itself.  1: its package, which holds the file;
 * 0: nothing that holds it; -1 by fail().  `named` is the path it is executed
 * by; `script` tells whether it will load other files of its world; `linked`
 * whether a checkout around it counts as its package: not when another program
 * merely says that it needs the file.
 */
int package_add(struct needs *needs, const char *named, const char *real,
		bool script, bool linked);
