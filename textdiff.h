/* SPDX-License-Identifier: MIT */
#pragma once

/* The unified difference of two texts, in the words of diff and git.  Pure. */

#include <stddef.h>
#include <stdio.h>

/* Writes the hunks, with three lines of context; nothing if they are equal. */
void textdiff_print(FILE *out, const char *old_text, size_t old_len,
		    const char *new_text, size_t new_len);
