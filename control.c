/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

/* Room for the one descriptor that a message may carry. */
union carried {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

int control_pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return fail(errno, "cannot make the control socket");
	return 0;
}

int control_send(int socket, enum control_kind kind, int value, int fd)
{
	struct control_message message = { .kind = kind, .value = value };

	return control_send_message(socket, &message, fd);
}

int control_send_message(int socket, struct control_message *message, int fd)
{
	struct iovec iov = { message, sizeof(*message) };
	union carried carried = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *header;

		msg.msg_control = &carried;
		msg.msg_controllen = sizeof(carried);
		header = CMSG_FIRSTHDR(&msg);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	do
		n = sendmsg(socket, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*message) ? 0 : -1;
}

int control_receive(int socket, struct control_message *message, int *fd)
{
	struct iovec iov = { message, sizeof(*message) };
	union carried carried = { 0 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &carried,
			      .msg_controllen = sizeof(carried) };
	auto_fd int received = -1;
	struct cmsghdr *header;
	ssize_t n;

	do
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (fd)
		*fd = -1;
	if (n <= 0)
		return (int)n;
	header = CMSG_FIRSTHDR(&msg);
	if (header && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&received, CMSG_DATA(header), sizeof(received));
	if (n != (ssize_t)sizeof(*message)) {
		errno = EPROTO;
		return -1;
	}
	if (fd)
		*fd = take_fd(&received);
	return 1;
}
