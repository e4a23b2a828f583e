/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * With a list of allowed commands: no code but from files.  Steps of their own
 * before the filter of system calls, so that whatever profile a user brings,
 * they stand.
 */

#include "seccomp.h"

/* These alone: what they refuse, and nothing else. */
extern const struct seccomp_filter codeless_filter;

/* Puts them before the filter's own; its new code is the caller's to free, the
 * old one stays as it is.  By fail(): too long. */
int codeless_join(struct seccomp_filter *filter);

/* The name of a call that they may refuse, or NULL. */
const char *codeless_call_name(int nr);
