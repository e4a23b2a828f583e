/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Changes as a patch that `git apply` takes, binary files and all.  Made by
 * ourselves: git obeys the configuration of the tree that it looks at, and that
 * one is the payload's.
 */

#include "changes.h"

/*
 * What lies in a .git is left out, and what is too large; the number of those
 * that are too large.
 */
size_t patch_print(const struct changes *changes, int work_fd, int lower_fd,
		   FILE *out);
