/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Landlock's rules as the kernel takes them: rights by their names, where the
 * headers are older than Linux 6.12, and which version of the interface knows
 * which of them.
 */

#include <stdint.h>

/* Over files. */
#define RULESET_EXECUTE     (1ULL << 0)
#define RULESET_WRITE_FILE  (1ULL << 1)
#define RULESET_READ_FILE   (1ULL << 2)
#define RULESET_REMOVE_DIR  (1ULL << 4)
#define RULESET_REMOVE_FILE (1ULL << 5)
/* char, dir, reg, sock, fifo, block, sym */
#define RULESET_MAKE        (0x7fULL << 6)
#define RULESET_REFER       (1ULL << 13)
#define RULESET_TRUNCATE    (1ULL << 14)
#define RULESET_IOCTL_DEV   (1ULL << 15)
#define RULESET_FILES       0xffffULL /* all of them */

/* Over the network. */
#define RULESET_BIND_TCP 1ULL

/* Whom one reaches outside: abstract unix sockets, signals. */
#define RULESET_SOCKETS 1ULL
#define RULESET_SIGNALS 2ULL

/* The kernel's own structure; what is in it is refused where no rule grants it. */
struct ruleset_rights {
	uint64_t fs, net, scoped;
};

/* Of the interface; 0: this kernel has none, or it is switched off. */
int ruleset_version(void);
/* What this version knows of the rights; nothing for version 0.  Pure. */
struct ruleset_rights ruleset_known(int version, struct ruleset_rights wanted);

/* Rules about rights that the version knows: a descriptor, or -1 with errno. */
int ruleset_make(int version, const struct ruleset_rights *known);
/* Grants them at and below what `fd` (O_PATH) names; -1 with errno. */
int ruleset_grant(int ruleset_fd, int fd, uint64_t fs);
/* For the calling thread and all it becomes; no_new_privs is set, or it has
 * CAP_SYS_ADMIN.  -1 with errno. */
int ruleset_enter(int ruleset_fd);
