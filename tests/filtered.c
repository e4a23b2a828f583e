/* SPDX-License-Identifier: MIT */

/* filtered COMMAND...: under the default system call filter and nothing else,
 * so that what fails here fails because of the filter. */

#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

/* A static helper: it takes along what it needs. */
#include "err.c"
#include "seccomp.c"
#include "util.c"

int main(int argc, char **argv)
{
	if (argc < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 125;
	if (seccomp_apply(&seccomp_default, NULL, NULL) < 0) {
		fprintf(stderr, "filtered: %s\n", err_get()->message);
		return 125;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
