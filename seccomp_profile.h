/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A system call profile of the user's, in the form that Docker, Podman and OCI
 * runtimes read: what it says (spec_seccomp.c), and the filter made of it by
 * libseccomp (seccomp_build.c), which is loaded at run time by those who give a
 * profile and by nobody else.
 *
 * The profile never stands alone.  One whose default refuses takes the place of
 * the default filter, above the floor; one whose default allows is a list of
 * what to take away, and stands above the default filter.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seccomp.h"

#define SECCOMP_PROFILE_ENTRIES 512
#define SECCOMP_PROFILE_RULES   4096

enum seccomp_compare {
	SECCOMP_NE,
	SECCOMP_LT,
	SECCOMP_LE,
	SECCOMP_EQ,
	SECCOMP_GE,
	SECCOMP_GT,
	SECCOMP_MASKED_EQ, /* (argument & value) == value_two */
};

struct seccomp_condition {
	unsigned index; /* of the argument */
	enum seccomp_compare compare;
	uint64_t value, value_two;
};

/* One system call, all of whose conditions hold. */
struct seccomp_rule {
	char *name;
	int nr;       /* -1: not a call of this machine */
	size_t entry; /* in syscalls[] */
	uint32_t action;
	struct seccomp_condition conditions[6];
	size_t n_conditions;
};

struct seccomp_profile {
	char *path;
	uint32_t default_action;
	struct seccomp_rule *rules;
	size_t n_rules;
	/* The highest number that it names: what is newer does not exist. */
	int newest;
};

void seccomp_profile_free(struct seccomp_profile *profile);

/* Does a rule speak of this call with these arguments?  Pure. */
bool seccomp_rule_holds(const struct seccomp_rule *rule,
			const struct seccomp_data *data);

/*
 * The whole program: the profile, and below it what no profile can open.  Made
 * in a process that can do nothing else, then compared with the rules.  By
 * fail(); filter->code is owned by the caller.
 */
int seccomp_build(struct seccomp_profile *profile,
		  struct seccomp_filter *filter);

/* Is the profile a list of what to take away? */
bool seccomp_profile_takes_away(const struct seccomp_profile *profile);

/* The name of a call, where the library is loaded; owned, or NULL. */
char *seccomp_library_name(int nr);
