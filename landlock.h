/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The second wall: the payload's rights over files, and whom it may signal or
 * call, once more and by other code of the kernel than the mounts are.
 */

#include "plan.h"

/* In the payload's process, inside the finished tree; by fail().  Nothing where
 * the plan says that the kernel has no Landlock. */
int landlock_apply(const struct plan *plan);
