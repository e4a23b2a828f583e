/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * seccomp_table.h as C reads it, for the tool that makes programs of it
 * (seccomp_gen.c) and for the test that asks these for each row.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/fscrypt.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* compat: newer than some headers */
#ifndef FS_IOC_ENABLE_VERITY
#define FS_IOC_ENABLE_VERITY 0x40806685
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

#define NEW_TIME 0x80 /* CLONE_NEWTIME; in clone() these bits are a signal */
#define NEW_NAMESPACES                                                         \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |         \
	 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

struct condition {
	bool used;
	bool any;  /* some bit of the mask, not (argument & mask) == value */
	bool wide; /* all 64 bits, a pointer: NULL */
	int arg;
	uint32_t mask;
	uint32_t value;
};

struct row {
	const char *name;
	int nr;        /* -1: libseccomp knows */
	uint32_t arch; /* 0: all; as an audit record names it */
	bool soft;     /* not in the floor */
	uint32_t action;
	struct condition cond[2];
};

/* The table's words. */
#define E(error)    (SECCOMP_RET_ERRNO | (error))
#define TELL(error) (SECCOMP_RET_USER_NOTIF | (error))
#define IS(a, v)                                                               \
	{                                                                      \
		true, .arg = (a), .mask = 0xffffffff, .value = (v)             \
	}
#define BITS(a, m, v)                                                          \
	{                                                                      \
		true, .arg = (a), .mask = (m), .value = (v)                    \
	}
#define BITS_ANY(a, m)                                                         \
	{                                                                      \
		true, .any = true, .arg = (a), .mask = (m)                     \
	}
#define IS_NULL(a)                                                             \
	{                                                                      \
		true, .wide = true, .arg = (a), .mask = 0xffffffff             \
	}
#define BOTH(one, two) one, two
#define ROW(name, nr, arch, soft, action, ...)                                 \
	{ #name, nr, arch, soft, action, { __VA_ARGS__ } },
#define ALLOW(name)        ROW(name, -1, 0, false, SECCOMP_RET_ALLOW)
#define ALLOW_NR(name, nr) ROW(name, nr, 0, false, SECCOMP_RET_ALLOW)
#define ALLOW_X86_64(name, nr)                                                 \
	ROW(name, nr, AUDIT_ARCH_X86_64, false, SECCOMP_RET_ALLOW)
#define ALLOW_IF(name, ...)                                                    \
	ROW(name, -1, 0, false, SECCOMP_RET_ALLOW, __VA_ARGS__)
#define ASK(name)                ROW(name, -1, 0, false, TELL(0))
#define ABSENT(name)             ROW(name, -1, 0, false, E(ENOSYS))
#define PRETEND_IF(name, ...)    ROW(name, -1, 0, false, E(0), __VA_ARGS__)
#define DENY(error, name)        ROW(name, -1, 0, false, TELL(error))
#define DENY_NR(error, name, nr) ROW(name, nr, 0, false, TELL(error))
#define DENY_IF(error, name, ...)                                              \
	ROW(name, -1, 0, false, TELL(error), __VA_ARGS__)
#define DENY_SOFT(error, name)        ROW(name, -1, 0, true, TELL(error))
#define DENY_SOFT_NR(error, name, nr) ROW(name, nr, 0, true, TELL(error))
#define DENY_QUIETLY(error, name)     ROW(name, -1, 0, true, E(error))

static const struct row rows[] = {
#include "seccomp_table.h"
};
