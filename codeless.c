/* SPDX-License-Identifier: MIT */
#include "codeless.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <stddef.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "err.h"
#include "util.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "no filter against code in memory for this machine"
#endif

/* compat: newer than some headers */
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define OFFSET(field)      offsetof(struct seccomp_data, field)
/* The low half: both machines are little endian, the kernel takes an int. */
#define LOAD(field)        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFFSET(field))
#define IF_EQ(k, yes, no)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, yes, no)
#define IF_SET(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, k, yes, no)
#define RETURN(k)          BPF_STMT(BPF_RET | BPF_K, k)

/* As seccomp.h has it: refused by asking. */
#define REFUSE(error) RETURN(SECCOMP_RET_USER_NOTIF | (error))

/*
 * A memfd is a file on a mount that nobody can make noexec, and Landlock does
 * not see it: executed by descriptor, or mapped by the loader, it is any
 * program (a seal against execution leaves the mapping).  ENOSYS: run-times
 * then take a temporary file.  execveat of a descriptor is how one would be
 * executed; libc falls back to /proc/self/fd, which the mounts decide about.
 * System V memory becomes code by its own flag, past noexec.  Other ABIs go by:
 * what is below kills them.
 */
static const struct sock_filter code[] = {
	LOAD(arch),
	IF_EQ(ARCH, 0, 11),
	LOAD(nr),
	IF_EQ(SYS_memfd_create, 7, 0),
	IF_EQ(SYS_memfd_secret, 6, 0),
	IF_EQ(SYS_execveat, 0, 2),
	LOAD(args[4]),
	IF_SET(AT_EMPTY_PATH, 3, 5),
	IF_EQ(SYS_shmat, 0, 4),
	LOAD(args[2]),
	IF_SET(SHM_EXEC, 1, 2),
	REFUSE(ENOSYS),
	REFUSE(EPERM),
	RETURN(SECCOMP_RET_ALLOW),
};

const struct seccomp_filter codeless_filter = { code, ARRAY_SIZE(code), false };

static const struct {
	int nr;
	const char *name;
} names[] = {
	{ SYS_memfd_create, "memfd_create" },
	{ SYS_memfd_secret, "memfd_secret" },
	{ SYS_execveat, "execveat" },
	{ SYS_shmat, "shmat" },
};

const char *codeless_call_name(int nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].nr == nr)
			return names[i].name;
	return NULL;
}

int codeless_join(struct seccomp_filter *filter)
{
	/* In place of the end that allows: what the other one says. */
	const size_t n = ARRAY_SIZE(code) - 1;
	struct sock_filter *whole;

	if (n + filter->n > BPF_MAXINSNS)
		return fail(0, "the system call filter has more than %d steps",
			    BPF_MAXINSNS);
	whole = xcalloc(n + filter->n, sizeof(*whole));
	memcpy(whole, code, n * sizeof(*whole));
	memcpy(whole + n, filter->code, filter->n * sizeof(*whole));
	filter->code = whole;
	filter->n += n;
	return 0;
}
