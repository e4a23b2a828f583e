/* SPDX-License-Identifier: MIT */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "text.h"
#include "util.h"

/*
 * What the chain proves: that no line was altered, removed, added or moved
 * between the first and the last one.  The head proves that none was cut off
 * the end, to whom trusts the head.  A file alone cannot prove where it began
 * and where it ended, so both hashes are printed, for comparison with the file
 * before it and with the results of the runs.
 */

#define HASH         (SHA256_HEX - 1)
#define CHUNK        (1024 * 1024)
#define PROBLEMS_MAX 20
#define LOCK_MS      2000

struct check {
	FILE *out;
	const char *path; /* as it is shown */
	struct audit_head head;
	bool has_head, head_seen;
	unsigned long long lines, problems, torn;
	unsigned long long offset, beyond; /* lines after the head */
	bool begins;                       /* the first line says so */
	char first[SHA256_HEX];            /* its "prev" */
	char last[SHA256_HEX];             /* hash of the line before */
};

__attribute__((format(printf, 2, 3))) static void problem(struct check *c,
							  const char *fmt, ...)
{
	va_list ap;

	if (++c->problems > PROBLEMS_MAX)
		return;
	fprintf(c->out, "%s: line %llu: ", c->path, c->lines);
	va_start(ap, fmt);
	vfprintf(c->out, fmt, ap);
	va_end(ap);
	fputc('\n', c->out);
}

/* The hash that the line says it follows, or NULL. */
static const char *prev_of(const char *line, size_t len)
{
	static const char start[] = "{\"prev\":\"";
	const char *hash = line + strlen(start);

	if (len < strlen(start) + HASH + 2 ||
	    memcmp(line, start, strlen(start)) != 0 ||
	    memcmp(hash + HASH, "\",", 2) != 0)
		return NULL;
	return hash;
}

static void check_link(struct check *c, const char *line, size_t len)
{
	static const char begins[] = "\"begins\":true,";
	const char *prev = prev_of(line, len);
	const char *after = prev ? prev + HASH + 2 : NULL;

	if (!prev) {
		problem(c, "is no line of an audit log");
		return;
	}
	if (c->lines == 1) {
		memcpy(c->first, prev, HASH);
		c->begins = (size_t)(line + len - after) >= strlen(begins) &&
			    memcmp(after, begins, strlen(begins)) == 0;
		if (!c->begins)
			problem(c, "is not the first that was written: lines "
				   "before it are missing");
	} else if (memcmp(prev, c->last, HASH) != 0) {
		problem(c,
			"does not follow from line %llu: that one was altered, "
			"or lines here were removed, added or moved",
			c->lines - 1);
	}
}

static void check_line(struct check *c, const char *line, size_t len)
{
	struct sha256 ctx;

	c->lines++;
	check_link(c, line, len);
	/* Half a line is what a full disk leaves; the chain holds it, too. */
	c->torn += len == 0 || line[len - 1] != '}';
	sha256_init(&ctx);
	sha256_update(&ctx, line, len);
	sha256_hex(&ctx, c->last);
	c->offset += len + 1;
	c->beyond += c->head_seen;
	if (c->has_head && c->offset == c->head.size) {
		c->head_seen = true;
		if (memcmp(c->last, c->head.hash, HASH) != 0)
			problem(c,
				"is not the one that was written: it does "
				"not fit %s.head",
				c->path);
	}
}

/* Whole lines of the buffer; returns how much of it they were. */
static size_t check_lines(struct check *c, const char *buffer, size_t n)
{
	size_t done = 0;
	const char *end;

	while ((end = memchr(buffer + done, '\n', n - done))) {
		check_line(c, buffer + done, (size_t)(end - buffer) - done);
		done = (size_t)(end + 1 - buffer);
	}
	return done;
}

/* Not beyond `size`: what is written meanwhile is not looked at. */
static int check_file(struct check *c, int fd, unsigned long long size)
{
	auto_free char *buffer = xcalloc(1, CHUNK);
	size_t have = 0;

	while (size > 0) {
		size_t room = CHUNK - have, done;
		ssize_t n = read(fd, buffer + have, size < room ? size : room);

		if (n < 0)
			return fail(errno, "cannot read %s", c->path);
		if (n == 0)
			break;
		size -= (size_t)n;
		have += (size_t)n;
		done = check_lines(c, buffer, have);
		have -= done;
		memmove(buffer, buffer + done, have);
		if (have == CHUNK)
			return fail(0,
				    "%s: line %llu is too long for an audit "
				    "log",
				    c->path, c->lines + 1);
	}
	if (have > 0) {
		c->lines++;
		problem(c, "is cut off: it has no end");
	}
	return 0;
}

static void check_end(struct check *c)
{
	if (!c->has_head || c->head_seen)
		return;
	problem(c, c->lines ? "is the last, but more was written: lines are "
			      "missing after it"
			    : "there is none: it was rotated a moment ago, or "
			      "all lines were removed");
}

static void tell(const struct check *c)
{
	fprintf(c->out, "%s: %llu lines, %s\n", c->path, c->lines,
		c->problems ? "NOT as they were written"
			    : "as they were written");
	if (c->problems > PROBLEMS_MAX)
		fprintf(c->out, "  %llu problems in all\n", c->problems);
	if (c->torn)
		fprintf(c->out, "  %llu cut short when they were written\n",
			c->torn);
	if (c->beyond)
		fprintf(c->out, "  %llu at the end by a run that was killed\n",
			c->beyond);
	if (c->begins && strspn(c->first, "0") == HASH)
		fprintf(c->out, "  begins: new\n");
	else if (c->first[0])
		fprintf(c->out, "  begins: after %s\n", c->first);
	if (c->last[0])
		fprintf(c->out, "  ends:   with %s\n", c->last);
	if (!c->has_head)
		fprintf(c->out,
			"  no %s.head: whether lines were cut off the end, "
			"only a hash kept elsewhere can tell\n",
			c->path);
}

/* The size and the head as they were at one moment. */
static int look(struct check *c, const char *path, int fd,
		unsigned long long *size)
{
	auto_free char *head_path = xasprintf("%s.head", path);
	auto_fd int head_fd = open(head_path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (head_fd >= 0 && !audit_lock(head_fd, LOCK_MS))
		fprintf(c->out, "%s: somebody holds its lock\n", c->path);
	if (fstat(fd, &st) != 0)
		return fail(errno, "cannot read %s", c->path);
	*size = S_ISREG(st.st_mode) ? (unsigned long long)st.st_size : ~0ULL;
	if (head_fd >= 0) {
		audit_head_read(head_fd, &c->head);
		c->has_head = c->head.size > 0;
	}
	return 0;
}

int audit_verify(const char *path, FILE *out)
{
	auto_free char *shown = text_visible(path, true);
	struct check c = { .out = out, .path = shown };
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned long long size = 0;

	if (fd < 0)
		return fail(errno, "cannot open %s", path);
	if (look(&c, path, fd, &size) != 0 || check_file(&c, fd, size) != 0)
		return -1;
	check_end(&c);
	tell(&c);
	return c.problems > 0;
}
