/* SPDX-License-Identifier: MIT */
#include "codeless.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/*
 * A memfd is a file on a mount that nobody can make noexec, and Landlock does
 * not see it: executed by descriptor, or mapped by the loader, it is any
 * program (a seal against execution leaves the mapping).  ENOSYS: run-times
 * then take a temporary file.  execveat of a descriptor is how one would be
 * executed; libc falls back to /proc/self/fd, which the mounts decide about.
 * System V memory becomes code by its own flag, past noexec.  Other ABIs go by:
 * the default filter kills them.
 */
static const struct sock_filter filter[] = {
	LOAD(arch),
	IF_EQ(ARCH, 0, 9),
	LOAD(nr),
	IF_EQ(SYS_memfd_create, 8, 0),
	IF_EQ(SYS_memfd_secret, 7, 0),
	IF_EQ(SYS_execveat, 0, 2),
	LOAD(args[4]),
	IF_SET(AT_EMPTY_PATH, 4, 3),
	IF_EQ(SYS_shmat, 0, 2),
	LOAD(args[2]),
	IF_SET(SHM_EXEC, 2, 0),
	RETURN(SECCOMP_RET_ALLOW),
	RETURN(SECCOMP_RET_ERRNO | ENOSYS),
	RETURN(SECCOMP_RET_ERRNO | EPERM),
};

int codeless_apply(void)
{
	struct sock_fprog program = {
		.len = ARRAY_SIZE(filter),
		/* The kernel copies it; the field just is not const. */
		.filter = (struct sock_filter *)filter,
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return fail(errno, "cannot load the filter against code in "
				   "memory");
	return 0;
}
