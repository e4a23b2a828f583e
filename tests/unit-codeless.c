/* SPDX-License-Identifier: MIT */

/* What a list of allowed commands refuses before any filter is asked. */

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "codeless.h"
#include "err.h"
#include "tap.h"
#include "util.h"

#if defined(__x86_64__)
#define OURS AUDIT_ARCH_X86_64
#else
#define OURS AUDIT_ARCH_AARCH64
#endif
#define OTHER   AUDIT_ARCH_I386
#define REFUSED SECCOMP_RET_USER_NOTIF
#define ALLOWED SECCOMP_RET_ALLOW
#define HIGH    (1ULL << 32)

static const struct row {
	const char *what;
	uint32_t arch;
	int nr;
	size_t arg;
	uint64_t value;
	uint32_t verdict;
} rows[] = {
	{ "a memfd", OURS, SYS_memfd_create, 1, 0, REFUSED | ENOSYS },
	{ "a sealed one", OURS, SYS_memfd_create, 1, 8, REFUSED | ENOSYS },
	{ "secret memory", OURS, 447, 0, 0, REFUSED | ENOSYS },
	{ "by path", OURS, SYS_execveat, 4, 0, ALLOWED },
	{ "by descriptor", OURS, SYS_execveat, 4, AT_EMPTY_PATH,
	  REFUSED | ENOSYS },
	{ "with more flags", OURS, SYS_execveat, 4,
	  AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, REFUSED | ENOSYS },
	{ "with high bits", OURS, SYS_execveat, 4, AT_EMPTY_PATH | HIGH,
	  REFUSED | ENOSYS },
	{ "shared memory", OURS, SYS_shmat, 2, 0, ALLOWED },
	{ "read-only", OURS, SYS_shmat, 2, SHM_RDONLY, ALLOWED },
	{ "as code", OURS, SYS_shmat, 2, SHM_EXEC, REFUSED | EPERM },
	{ "with high bits", OURS, SYS_shmat, 2, SHM_EXEC | HIGH,
	  REFUSED | EPERM },
	{ "its size is no flag", OURS, SYS_shmat, 1, SHM_EXEC, ALLOWED },
	{ "another call", OURS, SYS_execve, 4, AT_EMPTY_PATH, ALLOWED },
	/* What is below kills them. */
	{ "another machine", OTHER, SYS_memfd_create, 0, 0, ALLOWED },
};

/* Below: a filter that refuses all, by an error of its own. */
static const struct sock_filter none[] = {
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
};

int main(void)
{
	struct seccomp_filter whole = { none, ARRAY_SIZE(none), true };
	struct seccomp_filter full = { none, BPF_MAXINSNS, false };

	ok(codeless_join(&whole) == 0 && whole.code != none && whole.sockets,
	   "joined, all else as it was");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct seccomp_data data = { .nr = r->nr, .arch = r->arch };
		uint32_t alone, joined;

		data.args[r->arg] = r->value;
		alone = seccomp_judge(&codeless_filter, &data);
		joined = seccomp_judge(&whole, &data);
		ok(alone == r->verdict, "%s: %#x", r->what, alone);
		ok(joined == (alone == ALLOWED
				  ? SECCOMP_RET_ERRNO | (unsigned)EDOM
				  : alone),
		   "%s, above another: %#x", r->what, joined);
		ok(alone == ALLOWED || codeless_call_name(r->nr),
		   "%s has a name", r->what);
	}
	ok(codeless_join(&full) < 0 && err_get(), "too many steps");
	err_reset();
	free((void *)(uintptr_t)whole.code);
	return done();
}
