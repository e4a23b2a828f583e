/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * git's configuration files, read as git reads them: for what they name, never to
 * obey it.  What git would refuse is passed over.  Pure.
 */

#include <stdbool.h>

/* The setting that was read last; all owned. */
struct gitconf {
	const char *at;
	char *section; /* in small letters, without its subsection */
	char *name;    /* in small letters */
	char *value;   /* without its quotes; "" if there is none */
};

/* `text` stays the caller's, and is to stay. */
void gitconf_start(struct gitconf *conf, const char *text);
bool gitconf_next(struct gitconf *conf);
void gitconf_end(struct gitconf *conf);
