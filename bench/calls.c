/* SPDX-License-Identifier: MIT */

/*
 * calls [N]: nanoseconds that a getppid takes, under N filters that allow
 * everything.  The first is what any filter costs: a call is then entered by the
 * kernel's slow path.  More cost no more, since the kernel keeps a map of the
 * calls that a filter allows whatever their arguments are, and asks none.  The
 * best of some rounds: what else the machine does only adds.
 */

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 40
#define CALLS  50000

static int load_empty(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { 1, &allow };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static double one_round(void)
{
	struct timespec begin, end;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return ((double)(end.tv_sec - begin.tv_sec) * 1e9 +
		(double)(end.tv_nsec - begin.tv_nsec)) /
	       CALLS;
}

int main(int argc, char **argv)
{
	double best = 1e9;

	for (int n = argc > 1 ? atoi(argv[1]) : 0; n > 0; n--)
		if (load_empty() < 0) {
			perror("calls");
			return 1;
		}
	for (int i = 0; i < ROUNDS; i++) {
		double ns = one_round();

		if (ns < best)
			best = ns;
	}
	printf("%.1f\n", best);
	return 0;
}
