/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The default system call filter: what seccomp_table.h allows and nothing
 * else.  It was compiled when the program was built; a start only loads it.
 */

/*
 * Loads the filter into the calling thread, for good, and for all it forks and
 * executes.  The caller has set no_new_privs.  By fail().
 */
int seccomp_apply(void);

/* The architecture that the filter is for ("x86_64"); all others are killed. */
const char *seccomp_arch(void);
