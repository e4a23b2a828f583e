/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The mounts that make a list of allowed commands hold: everything noexec, the
 * folders of programs emptied, and a hole for each file that may be executed or
 * mapped as code.  Without a list these do nothing.
 */

#include "plan.h"

/* After the base tree and the program, before the user's own mounts. */
void holes_in_base(struct plan *plan, const struct spec *spec,
		   const struct host *host);
/* After the user's own mounts: what lies in them. */
void holes_in_mounts(struct plan *plan, const struct spec *spec);
/* PLAN_NOEXEC where it is due for a mount that the payload may write. */
unsigned int holes_closed(const struct plan *plan, bool workdir);
/* No allowed file may be in a tree that the payload writes, by whatever path or
 * name (holes_writable.c); by fail(). */
int holes_check_writable(const struct plan *plan, const char *tree);
