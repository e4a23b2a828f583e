/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the kernel counts for a user, in this user namespace and in all above it:
 * lowered in ours, whose owner we still are.
 */

#include <stdint.h>

#define QUOTAS 10

/* What each is to be. */
struct quotas {
	uint64_t values[QUOTAS];
};

/*
 * No namespace can be made in the sandbox, by whatever call: it stands beside
 * seccomp, which forbids the calls.  And of the watches on files that all
 * processes of the caller's uid share, half is left to those outside.
 * From the host's /proc, where the kernel has at hand what in a new one it has
 * to make first.
 */
struct quotas quotas_read(void);

/* `user_fd` is /proc/sys/user, of a /proc that may be written.  By fail(). */
int quotas_lower(int user_fd, const struct quotas *quotas);
