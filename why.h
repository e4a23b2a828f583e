/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * --why: what a run of this plan would say to one connection, path or command,
 * and by which rule.  Asks those who decide in a run; reads the host, changes
 * nothing, connects to nothing.
 */

#include <stdio.h>

#include "plan.h"

/*
 * `question` is HOST:PORT, an absolute path, or a command's name.  Prints the
 * answer, as JSON if asked.  0: allowed, 1: denied; -1 by fail(): no question.
 */
int why_explain(const struct plan *plan, const char *question, bool json,
		FILE *out);
