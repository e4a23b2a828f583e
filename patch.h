/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Changes as a patch that `git apply` takes, binary files and all.  Made by
 * ourselves: git obeys the configuration of the tree that it looks at, and that
 * one is the payload's.
 */

#include "changes.h"

/*
 * What lies in a .git is left out; and what is too large, or takes the place of
 * something hidden, which is there in the project: their number.  `of` is what
 * found the changes.
 */
size_t patch_print(const struct changes *changes,
		   const struct changes_request *of, FILE *out);
