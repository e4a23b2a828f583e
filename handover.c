/* SPDX-License-Identifier: MIT */
#include "handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util.h"

/* What goes over the wire: the batch without its descriptors. */
#define WIRE_SIZE offsetof(struct handover_batch, fds)

union control {
	char room[CMSG_SPACE(sizeof(int) * HANDOVER_BATCH)];
	struct cmsghdr align;
};

void handover_forget(struct handover_batch *batch)
{
	for (uint32_t i = 0; i < batch->n; i++)
		close(batch->fds[i]);
	batch->n = 0;
}

static int send_batch(int socket, struct handover_batch *batch)
{
	size_t size = sizeof(int) * batch->n;
	union control control;
	struct iovec iov = { batch, WIRE_SIZE };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *header;

	if (batch->n > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(size);
		header = CMSG_FIRSTHDR(&msg);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(size);
		memcpy(CMSG_DATA(header), batch->fds, size);
	}
	return sendmsg(socket, &msg, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static int await_answer(int socket)
{
	struct err_record error;
	ssize_t n;

	do
		n = recv(socket, &error, sizeof(error), 0);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(error)) {
		err_set(&error);
		return -1;
	}
	if (n != 1)
		return fail(n < 0 ? errno : 0, "the network relay went away");
	return 0;
}

static int pass(int socket, struct handover_batch *batch)
{
	int rc = send_batch(socket, batch);
	int error = errno;

	handover_forget(batch);
	/* A relay that went away has left its reason in the socket; one that is
	 * there and got nothing would wait as long as we do. */
	if (rc < 0 && error != EPIPE && error != ECONNRESET)
		return fail(error, "cannot hand sockets to the network relay");
	if (await_answer(socket) < 0)
		return -1;
	if (rc < 0)
		return fail(error, "cannot hand sockets to the network relay");
	return 0;
}

int handover_add(int socket, struct handover_batch *batch,
		 enum handover_kind kind, uint16_t port, int fd)
{
	if (batch->n == HANDOVER_BATCH && pass(socket, batch) < 0) {
		close(fd);
		return -1;
	}
	batch->items[batch->n] = (struct handover_item){ .kind = (uint16_t)kind,
							 .port = port };
	batch->fds[batch->n++] = fd;
	return 0;
}

int handover_finish(int socket, struct handover_batch *batch)
{
	batch->last = 1;
	return pass(socket, batch);
}

int handover_receive(int socket, struct handover_batch *batch)
{
	union control control;
	struct iovec iov = { batch, WIRE_SIZE };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	struct cmsghdr *header;
	size_t n = 0;
	ssize_t len;

	memset(&control, 0, sizeof(control));
	do
		len = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (len < 0 && errno == EINTR);
	if (len <= 0)
		return (int)len;
	header = CMSG_FIRSTHDR(&msg);
	if (header && header->cmsg_level == SOL_SOCKET &&
	    header->cmsg_type == SCM_RIGHTS) {
		n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(batch->fds, CMSG_DATA(header), n * sizeof(int));
	}
	if ((size_t)len == WIRE_SIZE && batch->n == n &&
	    !(msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)))
		return 1;
	batch->n = (uint32_t)n;
	handover_forget(batch);
	errno = msg.msg_flags & MSG_CTRUNC ? EMFILE : EPROTO;
	return -1;
}

int handover_answer(int socket, const struct err_record *error)
{
	const void *data = error ? (const void *)error : "";
	size_t len = error ? sizeof(*error) : 1;

	return send(socket, data, len, MSG_NOSIGNAL) < 0 ? -1 : 0;
}
