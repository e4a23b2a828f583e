/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * With a list of allowed commands: no code but from files.  A filter of its own
 * beside the default one, so that whatever profile a user brings, it stands.
 */

/* For the calling thread and all it becomes; no_new_privs is set.  By fail(). */
int codeless_apply(void);
