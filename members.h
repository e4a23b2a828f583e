/* SPDX-License-Identifier: MIT */
#pragma once

/* Who is inside, where no cgroup tells. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* More processes than any sane cap; each look at one costs 20 us. */
#define MEMBERS_MAX 16384

struct members {
	pid_t pids[MEMBERS_MAX];
	size_t n;
	uint64_t threads; /* of all of them */
};

/* The process, first, and all below it, as far as it is there; to be freed. */
struct members *members_of(pid_t pid);
