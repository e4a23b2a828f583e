/* SPDX-License-Identifier: MIT */
#include "err.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

/* One process has one fate: its first failure. */
static struct err_record record = { .status = 125 };
static bool failed;
static bool latest;  /* the last fail() was the one that is recorded */
static bool advised; /* its remedy is one for this very failure */
static const char *current_stage = "start";

/* A system call that is not there; the message says what it was for. */
static const char missing_call[] =
    "this kernel is older than Linux 5.14, or a container's filter hides a "
    "system call: in Docker, start it with --security-opt seccomp=unconfined";

void err_stage(const char *name)
{
	current_stage = name;
}

int fail(int err, const char *fmt, ...)
{
	size_t used;
	va_list ap;

	latest = !failed;
	if (failed) {
		errno = err;
		return -1;
	}
	failed = true;
	snprintf(record.stage, sizeof(record.stage), "%s", current_stage);
	va_start(ap, fmt);
	vsnprintf(record.message, sizeof(record.message), fmt, ap);
	va_end(ap);
	used = strlen(record.message);
	if (err)
		snprintf(record.message + used, sizeof(record.message) - used,
			 ": %s", strerror(err));
	if (err == ENOSYS)
		snprintf(record.remedy, sizeof(record.remedy), "%s",
			 missing_call);
	errno = err;
	return -1;
}

int fail_remedy(const char *fmt, ...)
{
	va_list ap;

	/* Of the recorded failure only, and the first one of it. */
	if (!latest || advised)
		return -1;
	advised = true;
	va_start(ap, fmt);
	vsnprintf(record.remedy, sizeof(record.remedy), fmt, ap);
	va_end(ap);
	return -1;
}

int fail_status(int status)
{
	if (latest)
		record.status = status;
	return -1;
}

const struct err_record *err_get(void)
{
	return failed ? &record : NULL;
}

void err_set(const struct err_record *other)
{
	if (failed)
		return;
	failed = true;
	latest = true;
	record = *other;
	advised = record.remedy[0] != '\0';
}

void err_reset(void)
{
	failed = false;
	latest = false;
	advised = false;
	memset(&record, 0, sizeof(record));
	record.status = 125;
}

/* The record is smaller than PIPE_BUF, so that one write is whole. */
_Static_assert(sizeof(struct err_record) <= 4096, "record exceeds PIPE_BUF");

void err_send(int fd)
{
	if (failed)
		(void)write_all(fd, &record, sizeof(record));
}

int err_receive(int fd, struct err_record *out)
{
	ssize_t n;

	do
		n = read(fd, out, sizeof(*out));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*out))
		return 0;
	/* The sender may have been taken over by then: trust no terminator. */
	out->stage[sizeof(out->stage) - 1] = '\0';
	out->message[sizeof(out->message) - 1] = '\0';
	out->remedy[sizeof(out->remedy) - 1] = '\0';
	return 1;
}

/* A reader that takes nothing must not hold a run that goes on, or is being
 * cleaned up: it gets the line at the end.  A pipe that polls as ready takes
 * PIPE_BUF bytes; a terminal has nearly always room for a line. */
#define READER_MS 1000

static char untold[16384];

void warn(const char *fmt, ...)
{
	struct pollfd reader = { .fd = STDERR_FILENO, .events = POLLOUT };
	size_t used = strlen(untold);
	va_list ap;
	char line[1024];

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (used == 0 && poll(&reader, 1, READER_MS) != 0)
		dprintf(STDERR_FILENO, "m9m-sandbox: warning: %s\n", line);
	else
		snprintf(untold + used, sizeof(untold) - used,
			 "m9m-sandbox: warning: %s\n", line);
}

void warn_rest(void)
{
	if (untold[0])
		(void)write_all(STDERR_FILENO, untold, strlen(untold));
}
