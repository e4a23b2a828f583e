/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * git's configuration files, read as git reads them: for what they name, never to
 * obey it.  What git would refuse is passed over.  Pure.
 */

#include <stdbool.h>

/* The setting that was read last. */
struct gitconf {
	char *at;
	char *section; /* in small letters, without its subsection; owned */
	char *name;    /* in small letters; owned */
	char *value;   /* within the text, without its quotes; "": none */
};

/* `text` stays the caller's, is to stay, and is written over. */
void gitconf_start(struct gitconf *conf, char *text);
bool gitconf_next(struct gitconf *conf);
/* One that stands in no file, its key as "section[.subsection].name". */
void gitconf_pair(struct gitconf *conf, const char *key, char *value);
void gitconf_end(struct gitconf *conf);
