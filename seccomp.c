/* SPDX-License-Identifier: MIT */
#include "seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

/* FILTER and FILTER_ARCH for the architecture of this build. */
#include "seccomp_filter.inc"

static const struct {
	int error;
	const char *remedy;
} remedies[] = {
	{ EINVAL, "the kernel needs CONFIG_SECCOMP_FILTER" },
	{ ENOSYS, "the kernel needs CONFIG_SECCOMP, or an outer filter forbids "
		  "seccomp(2)" },
	{ EPERM, "an outer filter forbids seccomp(2)" },
	{ EACCES, "no_new_privs is not in force" },
};

int seccomp_apply(void)
{
	struct sock_fprog program = {
		.len = ARRAY_SIZE(FILTER),
		/* The kernel copies it; the field just is not const. */
		.filter = (struct sock_filter *)FILTER,
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0)
		return 0;
	fail(errno, "cannot load the system call filter");
	for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
		if (remedies[i].error == errno)
			return fail_remedy("%s", remedies[i].remedy);
	return -1;
}

const char *seccomp_arch(void)
{
	return FILTER_ARCH;
}
