/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * --suggest: the least that a spec has to add for what a run was seen to do.
 * What was seen are the words of a payload, in a file that anybody may have
 * made: a name goes through the same checks as a user's, and what widens a
 * policy more than it says is told in words and left out.
 */

#include <stdio.h>

#include "spec.h"

/*
 * `seen` is an artifact or a file of events.  Changes `spec` and prints it on
 * `out`: as a difference, or whole as JSON; what is left out goes to `remarks`.
 * 0, or -1 by fail().
 */
int suggest_spec(struct spec *spec, const char *seen, bool json, FILE *out,
		 FILE *remarks);
