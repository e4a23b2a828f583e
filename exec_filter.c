/* SPDX-License-Identifier: MIT */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>

#include "control.h"
#include "err.h"
#include "seccomp.h"

int exec_install(int control_fd, const struct plan *plan)
{
	auto_fd int program_fd = open(plan->program.path, O_PATH | O_CLOEXEC);
	auto_fd int listener_fd = -1;
	int error;

	if (seccomp_apply(&plan->filter, &listener_fd, &error) < 0)
		return -1;
	/* The program first: by then all is there that the record needs. */
	if (program_fd >= 0 &&
	    control_send(control_fd, CONTROL_PROGRAM, 0, program_fd) < 0)
		return fail(errno, "cannot tell the supervisor the program");
	if (control_send(control_fd, CONTROL_LISTENER, error, listener_fd) < 0)
		return fail(errno, "cannot hand the record of calls over");
	return 0;
}
