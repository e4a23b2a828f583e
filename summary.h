/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The account of a run for a person: a few lines of at most 80 columns where
 * names allow it.  Flags, paths and messages are never cut.
 */

#include <stdio.h>

#include "outcome.h"

/*
 * Prints it in one write.  `run_label` is the name of what ran ("claude").  A
 * failure of our own is told in full, so the caller need not print it too.
 * Colour is the caller's decision (NO_COLOR, a terminal).
 */
void summary_print(FILE *out, const char *run_label,
		   const struct outcome *outcome, bool color);
