/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The system call filter: the default one, which is what seccomp_table.h allows
 * and nothing else, compiled when the program was built; or a profile of the
 * user's above the floor of that table (profile.h).
 *
 * A filter asks: SECCOMP_RET_USER_NOTIF, with an error in the low bits (which
 * the kernel leaves alone) for a call that is refused, and 0 for one that goes
 * on.  Who listens learns of it, runs the same program over the kernel's copy
 * of the arguments, and answers what it says.  Where nobody can listen the
 * filter is loaded with the answers in place of the questions.
 */

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seccomp_filter {
	const struct sock_filter *code;
	size_t n;
	/* It asks, before all else, about each socket of AF_INET and AF_INET6:
	 * not that it would refuse what the rest lets through. */
	bool sockets;
};

extern const struct seccomp_filter seccomp_default, seccomp_floor;

/*
 * Loads the filter into the calling thread, for good, and for all it forks and
 * executes.  The caller has set no_new_privs.  *listener_fd is where it asks,
 * or -1 with the errno of why not in *error; NULL: it asks nobody.  By fail().
 */
int seccomp_apply(const struct seccomp_filter *filter, int *listener_fd,
		  int *error);

/* What the filter says of a call: SECCOMP_RET_*; KILL_PROCESS for a program
 * that the kernel would not load.  Pure. */
uint32_t seccomp_judge(const struct seccomp_filter *filter,
		       const struct seccomp_data *data);

/* Does it let this call of ours be made, without asking anybody? */
bool seccomp_lets(const struct seccomp_filter *filter, int nr,
		  const uint64_t arguments[static 6]);

/* The name of a call that the table refuses, or NULL; owned by the caller. */
char *seccomp_call_name(int nr);

/* The architecture that all this is for ("x86_64"); all others are killed. */
const char *seccomp_arch(void);
