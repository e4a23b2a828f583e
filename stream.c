/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

void stream_open(struct stream *s, int from_fd, int to_fd)
{
	*s = (struct stream){ .from_fd = from_fd, .to_fd = to_fd };
	/* Not cleared: most streams stay empty, and have no page of it. */
	s->data = xrealloc_array(NULL, STREAM_SIZE, 1);
}

void stream_feed(struct stream *s, const char *text, size_t len)
{
	if (len > STREAM_SIZE)
		s->data = xrealloc_array(s->data, len, 1);
	memcpy(s->data, text, len);
	s->end = len;
}

void stream_share(struct stream *stream)
{
	struct stat st;

	stream->to_shared = fstat(stream->to_fd, &st) < 0 ||
			    !S_ISREG(st.st_mode);
}

static void close_from(struct stream *s)
{
	if (s->owns_from)
		cleanup_fd(&s->from_fd);
	s->from_fd = -1;
}

static void close_to(struct stream *s)
{
	if (s->owns_to)
		cleanup_fd(&s->to_fd);
	s->to_fd = -1;
}

void stream_wants(const struct stream *s, struct pollfd pfd[2])
{
	bool waiting = s->start < s->end;

	pfd[0] = (struct pollfd){ waiting ? -1 : s->from_fd, POLLIN, 0 };
	/* An idle one is watched for errors only: its reader may go away. */
	pfd[1] = (struct pollfd){ s->to_fd, waiting ? POLLOUT : 0, 0 };
}

static void read_some(struct stream *s)
{
	ssize_t n = read(s->from_fd, s->data, STREAM_SIZE);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	/* EIO is how a terminal's master says that all have closed it. */
	if (n <= 0) {
		close_from(s);
		return;
	}
	s->start = 0;
	s->end = (size_t)n;
	s->total += (uint64_t)n;
	if (s->tap)
		s->tap(s->context, s, s->data, (size_t)n);
	if (s->to_fd < 0)
		s->end = 0;
}

static void write_some(struct stream *s)
{
	size_t len = s->end - s->start;
	ssize_t n;

	/* Ready means room for PIPE_BUF: more could block, and us with it. */
	if (s->to_shared && len > PIPE_BUF)
		len = PIPE_BUF;
	n = write(s->to_fd, s->data + s->start, len);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) {
		s->error = errno;
		close_to(s);
		if (s->error == EPIPE || s->error == EIO)
			close_from(s);
		s->start = s->end = 0;
		return;
	}
	s->start += (size_t)n;
}

void stream_move(struct stream *s, const struct pollfd pfd[2])
{
	if (pfd[1].fd >= 0 && pfd[1].revents) {
		if (s->start < s->end) {
			write_some(s);
		} else if (pfd[1].revents & (POLLERR | POLLHUP | POLLNVAL)) {
			close_to(s);
			close_from(s);
		}
	}
	if (pfd[0].fd >= 0 && pfd[0].revents && s->from_fd >= 0 &&
	    s->start >= s->end)
		read_some(s);
	if (s->from_fd < 0 && s->start >= s->end)
		close_to(s);
}

void stream_forsake(struct stream *s)
{
	if (s->start < s->end)
		s->error = ETIME;
	s->start = s->end = 0;
	close_to(s);
}

bool stream_done(const struct stream *s)
{
	return s->from_fd < 0 && s->start >= s->end;
}

void stream_close(struct stream *s)
{
	close_from(s);
	close_to(s);
	free(s->data);
	s->data = NULL;
}
