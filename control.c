/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

/* Room for the descriptors that a message may carry. */
union carried {
	struct cmsghdr header;
	char room[CMSG_SPACE(CONTROL_FDS * sizeof(int))];
};

/*
 * Descriptors under way are counted for all processes of a user, and who finds
 * more of them than he may have open himself sends none.  A payload has a
 * thousand under way when it likes: nobody whose limit is as low as its own
 * would start a sandbox meanwhile.
 */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int control_pair(int fds[2])
{
	raise_limit();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return fail(errno, "cannot make the control socket");
	return 0;
}

int control_send(int socket, enum control_kind kind, int value, int fd)
{
	struct control_message message = { .kind = kind, .value = value };

	return control_send_message(socket, &message, &fd, fd >= 0);
}

int control_send_message(int socket, struct control_message *message,
			 const int *fds, size_t n)
{
	struct iovec iov = { message, sizeof(*message) };
	union carried carried = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	bool asks = message->kind == CONTROL_SIGNAL ||
		    message->kind == CONTROL_KILL;
	/* Of a PID 1 that stands still: whoever would end it must not wait for
	 * it to read. */
	int flags = MSG_NOSIGNAL | (asks ? MSG_DONTWAIT : 0);
	ssize_t sent;

	if (n > 0) {
		struct cmsghdr *header;

		msg.msg_control = &carried;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(*fds));
		header = CMSG_FIRSTHDR(&msg);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(n * sizeof(*fds));
		memcpy(CMSG_DATA(header), fds, n * sizeof(*fds));
	}
	do
		sent = sendmsg(socket, &msg, flags);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)sizeof(*message) ? 0 : -1;
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

int control_receive_all(int socket, struct control_message *message,
			int fds[static CONTROL_FDS], size_t *n)
{
	struct iovec iov = { message, sizeof(*message) };
	union carried carried = { 0 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &carried,
			      .msg_controllen = sizeof(carried) };
	struct cmsghdr *header;
	ssize_t got;

	*n = 0;
	do
		got = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return (int)got;
	header = CMSG_FIRSTHDR(&msg);
	if (header && header->cmsg_type == SCM_RIGHTS) {
		*n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(*fds);
		memcpy(fds, CMSG_DATA(header), *n * sizeof(*fds));
	}
	/* Truncated when we may not have as many: half of the cgroups, or a
	 * mount without its source, would go unnoticed. */
	if (got == (ssize_t)sizeof(*message) && !(msg.msg_flags & MSG_CTRUNC))
		return 1;
	close_all(fds, *n);
	*n = 0;
	errno = msg.msg_flags & MSG_CTRUNC ? EMFILE : EPROTO;
	return -1;
}

int control_receive(int socket, struct control_message *message, int *fd)
{
	int fds[CONTROL_FDS];
	size_t n, kept;
	int rc = control_receive_all(socket, message, fds, &n);

	kept = fd && n > 0;
	if (fd)
		*fd = kept ? fds[0] : -1;
	close_all(fds + kept, n - kept);
	return rc;
}
