/* SPDX-License-Identifier: MIT */

/*
 * refuse CALL ERRNO COMMAND...: runs it where that system call fails so, as an
 * old kernel or the filter of a container makes it fail.
 */

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct named {
	const char *name;
	unsigned int number;
};

static const struct named calls[] = {
	{ "clone3", SYS_clone3 },
	{ "unshare", SYS_unshare },
	{ "openat2", SYS_openat2 },
	{ "open_tree", SYS_open_tree },
	{ "open_tree_attr", 467 },
	{ "mount_setattr", SYS_mount_setattr },
	{ "close_range", SYS_close_range },
	{ "pidfd_open", SYS_pidfd_open },
	{ "seccomp", SYS_seccomp },
	{ "mount", SYS_mount },
	{ "fsopen", SYS_fsopen },
	{ "pivot_root", SYS_pivot_root },
	{ NULL, 0 },
};

static const struct named errors[] = {
	{ "ENOSYS", ENOSYS },
	{ "EPERM", EPERM },
	{ "ENOSPC", ENOSPC },
	{ NULL, 0 },
};

static const struct named *find(const struct named *table, const char *name)
{
	while (table->name && strcmp(table->name, name) != 0)
		table++;
	return table->name ? table : NULL;
}

static int forbid(unsigned int call, unsigned int err)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

int main(int argc, char **argv)
{
	const struct named *call = argc > 3 ? find(calls, argv[1]) : NULL;
	const struct named *err = argc > 3 ? find(errors, argv[2]) : NULL;

	if (call == NULL || err == NULL) {
		fputs("usage: refuse CALL ERRNO COMMAND...\n", stderr);
		return 99;
	}
	if (forbid(call->number, err->number) < 0) {
		perror("refuse");
		return 99;
	}
	execvp(argv[3], argv + 3);
	perror(argv[3]);
	return 99;
}
