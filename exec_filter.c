/* SPDX-License-Identifier: MIT */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control.h"
#include "err.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "no execution recorder for this machine"
#endif

/* Linux 5.19: once we have taken a call, only a fatal signal ends its wait.  A
 * program with a busy timer would otherwise start over for ever, and be
 * recorded each time. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define OFFSET(field) offsetof(struct seccomp_data, field)

/*
 * Other ABIs go by: the filter that comes next kills them.  Both calls are
 * constant "allow" for the rest, so the kernel keeps them in its bitmap and
 * runs no filter for them.
 */
static const struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFFSET(arch)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFFSET(nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execveat, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
};

static int load(unsigned long flags)
{
	struct sock_fprog program = {
		.len = ARRAY_SIZE(filter),
		/* The kernel copies it; the field just is not const. */
		.filter = (struct sock_filter *)filter,
	};

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &program);
}

int exec_install(int control_fd, const char *program)
{
	auto_fd int program_fd = open(program, O_PATH | O_CLOEXEC);
	auto_fd int listener_fd = load(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	int error;

	if (listener_fd < 0 && errno == EINVAL)
		listener_fd = load(0);
	error = listener_fd < 0 ? errno : 0;
	/* The program first: by then all is there that the record needs. */
	if (program_fd >= 0 &&
	    control_send(control_fd, CONTROL_PROGRAM, 0, program_fd) < 0)
		return fail(errno, "cannot tell the supervisor the program");
	if (control_send(control_fd, CONTROL_LISTENER, error, listener_fd) < 0)
		return fail(errno, "cannot hand the execution record over");
	return 0;
}
