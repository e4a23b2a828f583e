/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a run has outside RUNS, and how far it came: said before it is done, in a
 * file (workdir.h), for whoever finds the run dead.  An entry is a key and a
 * value, of any bytes but NUL.
 */

#include "util.h"

/* Adds an entry, by one write; nothing on fd -1.  By fail(). */
int journal_add(int fd, const char *key, const char *value);

/* All whole entries, "KEY VALUE" each; what a crash cut short is left out. */
struct strv journal_read(int fd);
/* The value of the next entry of that key from *at on (first call: 0); NULL
 * when there is no more. */
const char *journal_next(const struct strv *entries, const char *key,
			 size_t *at);
bool journal_has(const struct strv *entries, const char *key);
