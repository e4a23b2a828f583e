/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Why this host refuses, in words for who can mend it: one account, for the run
 * that fails and for --doctor.  Each is advice (a literal), or NULL.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"

/* What takes user namespaces from us: a host setting, a sandbox or a chroot
 * around us. */
const char *cause_setting(void);
/* Of clone3 and unshare, which failed with this errno. */
const char *cause_namespaces(int err);
/* Of a set-up step that the kernel refused; never NULL. */
const char *cause_refusal(void);
/* The same, for a failure without a remedy, if it is such a refusal. */
void cause_add(struct err_record *record);
/* Of a new proc that was refused: what is mounted over the one we see. */
const char *cause_proc(int err);
/* Of a name for a UTS namespace of our own that was refused. */
const char *cause_hostname(int err);
/* Of a kernel by its release, as of uname: too old. */
const char *cause_kernel(const char *release);
/* Of what cannot be made the payload's; fails with all of it. */
int cause_fail_to_give(int err, const char *what, uid_t uid);
/* Of a cgroup that cannot be had, on WSL2. */
const char *cause_wsl(void);

/* Is this WSL2? */
bool cause_is_wsl(void);
