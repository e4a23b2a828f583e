/* SPDX-License-Identifier: MIT */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control.h"
#include "err.h"
#include "seccomp.h"

/* By the one call that hands a descriptor over.  Refused, it would ask whoever
 * listens, whom it was to tell where, and wait for ever. */
static bool may_tell(int control_fd, const struct plan *plan)
{
	const uint64_t send[6] = { (uint64_t)control_fd, 0, MSG_NOSIGNAL };

	return seccomp_lets(&plan->filter, SYS_sendmsg, send);
}

static int install_unheard(int control_fd, const struct plan *plan)
{
	if (control_send(control_fd, CONTROL_LISTENER, EOPNOTSUPP, -1) < 0)
		return fail(errno, "cannot say that no calls are recorded");
	return seccomp_apply(&plan->filter, NULL, NULL);
}

int exec_install(int control_fd, const struct plan *plan)
{
	auto_fd int program_fd = open(plan->program.path, O_PATH | O_CLOEXEC);
	auto_fd int listener_fd = -1;
	/* All that the record needs, and nothing that the filter may refuse. */
	struct control_message message = { .kind = CONTROL_LISTENER,
					   .pid = getpid() };
	int fds[2];
	size_t n = 0;

	if (!may_tell(control_fd, plan))
		return install_unheard(control_fd, plan);
	if (seccomp_apply(&plan->filter, &listener_fd, &message.value) < 0)
		return -1;
	if (program_fd >= 0)
		fds[n++] = program_fd;
	if (listener_fd >= 0)
		fds[n++] = listener_fd;
	if (control_send_message(control_fd, &message, fds, n) < 0)
		return fail(errno, "cannot hand the record of calls over");
	return 0;
}
