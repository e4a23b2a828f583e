/* SPDX-License-Identifier: MIT */
#pragma once

/* The project's part of the tree.  Private to tree*.c. */

#include "plan.h"

/* At the workdir, with what is hidden of it and what has to stay. */
void tree_add_project(struct plan *plan);
/* The git directory of a project that has it elsewhere; or nothing. */
void tree_add_git(struct plan *plan);
/* What is hidden of the project is hidden where its program is shown, too.  By
 * fail(): the program itself is hidden. */
int tree_hide_in_program(struct plan *plan);
