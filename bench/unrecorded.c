/* SPDX-License-Identifier: MIT */

/*
 * unrecorded COMMAND...: a process may have one seccomp listener, and this takes
 * it, for a filter that allows everything and asks nothing.  What is run below
 * cannot record: the same program, without that one thing.
 */

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { 1, &allow };

	int fd = -1;

	if (argc > 1 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				  SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	/* Closed, it would be free again. */
	if (fd < 0 || fcntl(fd, F_SETFD, 0) < 0) {
		perror("unrecorded");
		return 125;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
