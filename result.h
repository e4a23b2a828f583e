/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The result of a run: one JSON object, schema/result.schema.json.  Every key
 * is always there; what is not known or did not happen is null.
 */

#include "outcome.h"

/* id and agent may be NULL.  Owned by the caller; no newline at the end. */
char *result_json(const char *run_id, const char *id, const char *agent,
		  const struct outcome *outcome, bool pretty);

/*
 * Writes the object and a newline to `path` ("-": standard output) and to `fd`,
 * each if given (NULL, -1).  A regular file is replaced whole or not at all:
 * temporary name, fsync, rename.  By fail(), when both have been tried.
 */
int result_write(const char *path, int fd, const char *json);

/* Is it written to something that may not take it: not to a file alone? */
bool result_has_reader(const char *path, int fd);

/* Could it be written to `path`, by what there is now?  By fail(). */
int result_check(const char *path);
