/* SPDX-License-Identifier: MIT */
#include "event.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cjson.h"
#include "err.h"
#include "text.h"
#include "util.h"

#define CLOSE_PATIENCE_MS 1000

/* What is left of a string in a line that is too long, in ever harder tries. */
static const size_t cuts[] = { 16384, 4096, 1024, 256, 64 };

void event_time(const struct timespec *when, char out[static EVENT_TIME_SIZE])
{
	struct tm tm = utc_time(when->tv_sec);
	const struct {
		long value;
		int digits;
		char after;
	} parts[] = {
		{ tm.tm_year + 1900, 4, '-' }, { tm.tm_mon + 1, 2, '-' },
		{ tm.tm_mday, 2, 'T' },        { tm.tm_hour, 2, ':' },
		{ tm.tm_min, 2, ':' },         { tm.tm_sec, 2, '.' },
		{ when->tv_nsec, 9, 'Z' },
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		long value = parts[i].value;

		for (int at = parts[i].digits - 1; at >= 0; at--, value /= 10)
			out[at] = (char)('0' + value % 10);
		out += parts[i].digits;
		*out++ = parts[i].after;
	}
	*out = '\0';
}

/*** Opening ***/

/* A descriptor of our own, so that closing it leaves the caller's alone. */
static int dup_sink(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	int copy;

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return fail(EBADF, "cannot write events to descriptor %d", fd);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return fail(errno, "cannot copy descriptor %d", fd);
	if (fd > 2)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return copy;
}

static int open_user(const char *path, int fd)
{
	int opened;

	if (!path)
		return dup_sink(fd);
	if (strcmp(path, "-") == 0)
		return dup_sink(STDOUT_FILENO);
	/* O_NONBLOCK: a fifo that nobody reads is an error, not a wait. */
	opened = open(path,
		      O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NONBLOCK |
			  O_NOCTTY | O_CLOEXEC,
		      0666);
	if (opened >= 0)
		return opened;
	fail(errno, "cannot open the events file %s", path);
	return fail_remedy("--events names a file in a folder that is there "
			   "and can be written");
}

static int open_sinks(struct event_log *log, const char *audit_path,
		      const char *events_path, int events_fd)
{
	struct stat st;

	/* Before the log has a number: /dev/fd/3 that nobody opened would be
	 * the log itself. */
	if (events_path || events_fd >= 0) {
		log->user_fd = open_user(events_path, events_fd);
		if (log->user_fd < 0)
			return -1;
	}
	log->user_is_file = log->user_fd >= 0 &&
			    fstat(log->user_fd, &st) == 0 &&
			    (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
	return audit_path ? audit_open(&log->audit, audit_path) : 0;
}

int event_open(struct event_log *log, const char *run_id, const char *id,
	       const char *audit_path, const char *events_path, int events_fd)
{
	*log = EVENT_LOG_NONE;
	log->run_id = xstrdup(run_id);
	log->id = id ? xstrdup(id) : NULL;
	if (open_sinks(log, audit_path, events_path, events_fd) == 0)
		return 0;
	event_close(log);
	return -1;
}

int event_attach_run(struct event_log *log, struct workdir *wd)
{
	log->run_fd = workdir_make_log(wd, "events.jsonl", O_WRONLY | O_APPEND);
	if (log->run_fd < 0)
		return fail(errno, "cannot make events.jsonl of the run");
	return 0;
}

/*** Sinks ***/

static void lose_sink(bool *failed, const char *what)
{
	if (!*failed)
		warn("cannot write %s: %s", what, strerror(errno));
	*failed = true;
}

static void write_audit(struct event_log *log, const char *json)
{
	if (audit_append(&log->audit, json) != 0)
		lose_sink(&log->audit_failed, "the audit log");
}

static void write_run(struct event_log *log, const char *line, size_t len)
{
	if (write_all(log->run_fd, line, len) != 0)
		lose_sink(&log->run_failed, "events.jsonl of the run");
}

/*
 * One piece to a pipe, socket or terminal without waiting, though the
 * descriptor may well be a blocking one: O_NONBLOCK is a property of the open
 * file, which other processes share.  A pipe that polls writable has a free
 * page, so PIPE_BUF bytes go in.
 */
static ssize_t write_piece(int fd, const char *data, size_t len)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
	ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0 || errno != ENOTSOCK)
		return n;
	if (poll(&poll_fd, 1, 0) != 1) {
		errno = EAGAIN;
		return -1;
	}
	return write(fd, data, len < 4096 ? len : 4096);
}

/* How much of the data the sink has taken; -1 when it is broken. */
static ssize_t write_ready(int fd, const char *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write_piece(fd, data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -1;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static void lose_user(struct event_log *log)
{
	lose_sink(&log->user_failed, "events");
	free(log->backlog);
	log->backlog = NULL;
	log->n_backlog = 0;
	log->dropped = 0;
}

void event_flush(struct event_log *log)
{
	ssize_t n;

	if (log->n_backlog == 0)
		return;
	n = write_ready(log->user_fd, log->backlog, log->n_backlog);
	if (n < 0) {
		lose_user(log);
		return;
	}
	log->n_backlog -= (size_t)n;
	memmove(log->backlog, log->backlog + n, log->n_backlog);
}

static void keep_for_later(struct event_log *log, const char *data, size_t len,
			   bool begun)
{
	/* The rest of a line that is half out is kept in any case. */
	if (!begun && log->n_backlog + len > EVENT_BACKLOG_MAX) {
		log->dropped++;
		return;
	}
	if (!log->backlog)
		log->backlog = xcalloc(1, EVENT_BACKLOG_MAX + EVENT_LINE_MAX);
	memcpy(log->backlog + log->n_backlog, data, len);
	log->n_backlog += len;
}

static void write_user(struct event_log *log, const char *line, size_t len)
{
	ssize_t n = 0;

	if (log->user_is_file) {
		if (write_all(log->user_fd, line, len) != 0)
			lose_user(log);
		return;
	}
	event_flush(log);
	if (log->user_failed)
		return;
	if (log->n_backlog == 0)
		n = write_ready(log->user_fd, line, len);
	if (n < 0)
		lose_user(log);
	else if ((size_t)n < len)
		keep_for_later(log, line + n, len - (size_t)n, n > 0);
}

/*** Lines ***/

static void write_head(struct event_log *log)
{
	struct json_writer *line = &log->line;
	char time[EVENT_TIME_SIZE];

	event_time(&log->when, time);
	json_write_again(line);
	json_write_open(line, NULL, '{');
	json_write_string(line, "ts", time);
	json_write_number(line, "seq", log->seq);
	json_write_string(line, "run", log->run_id);
	if (log->id)
		json_write_string(line, "id", log->id);
	json_write_string(line, "event", log->name);
}

static void cut_string(cJSON *item, size_t max)
{
	size_t len = strlen(item->valuestring);
	auto_free char *text = NULL;

	if (len <= max)
		return;
	/* Not within a character. */
	while (max > 0 && (item->valuestring[max] & 0xc0) == 0x80)
		max--;
	text = xasprintf("%.*s...[%zu bytes cut]", (int)max, item->valuestring,
			 len - max);
	cJSON_SetValuestring(item, text);
}

/* Our own events nest two deep at most; cJSON's reader stops at a thousand. */
static void cut_strings(cJSON *item, size_t max)
{
	for (; item; item = item->next) {
		if (cJSON_IsString(item))
			cut_string(item, max);
		else
			cut_strings(item->child, max);
	}
}

static char *print_cut(cJSON *event, size_t max)
{
	auto_free char *json = NULL;

	cut_strings(event->child, max);
	json = cJSON_PrintUnformatted(event);
	return json ? text_json(json) : NULL;
}

/* The run goes on without: this is no failure of its own. */
static bool can_read(void)
{
	bool failed = err_get() != NULL;

	if (cjson_load() == 0)
		return true;
	if (!failed)
		err_reset();
	return false;
}

/* What has become too long, in an ever shorter form; NULL: no form is short
 * enough, or there is no library to make one.  Its numbers go by way of doubles:
 * beside strings so long they are ids and counts. */
static char *cut_line(const char *line)
{
	char *json = NULL;
	cJSON *event;

	if (!can_read())
		return NULL;
	event = cJSON_Parse(line);
	for (size_t i = 0; event && i < ARRAY_SIZE(cuts); i++) {
		json = print_cut(event, cuts[i]);
		if (json && strlen(json) < EVENT_LINE_MAX)
			break;
		free(json);
		json = NULL;
	}
	cJSON_Delete(event);
	return json;
}

/* Of these there is one a run, or few, of samples a thousand in a year: they are
 * told whatever came before. */
static const char *const always_told[] = { "start",  "timeout",  "oom",
					   "sample", "artifact", "recovered",
					   "exit" };

static bool is_bounded(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(always_told); i++)
		if (strcmp(name, always_told[i]) == 0)
			return false;
	return true;
}

/* The end of the string becomes that of a line. */
static void write_sinks(struct event_log *log, char *json, size_t len)
{
	log->written += len + 1;
	if (log->audit.path)
		write_audit(log, json);
	json[len++] = '\n';
	if (log->run_fd >= 0)
		write_run(log, json, len);
	if (log->user_fd >= 0 && !log->user_failed)
		write_user(log, json, len);
}

static struct json_writer *begin(struct event_log *log, const char *name,
				 const struct timespec *when)
{
	log->name = name;
	log->seq++;
	if (when)
		log->when = *when;
	else
		clock_gettime(CLOCK_REALTIME, &log->when);
	write_head(log);
	return &log->line;
}

static void end(struct event_log *log)
{
	struct json_writer *line = &log->line;
	auto_free char *cut = NULL;

	json_write_close(line, '}');
	if (line->len >= EVENT_LINE_MAX) {
		cut = cut_line(line->text);
		/* Too many fields to cut any: say at least that it happened. */
		write_head(log);
		json_write_bool(line, "cut", true);
		json_write_close(line, '}');
	}
	if (cut)
		write_sinks(log, cut, strlen(cut));
	else
		write_sinks(log, line->text, line->len);
}

static void report_drops(struct event_log *log)
{
	struct json_writer *e = begin(log, "limit", NULL);

	json_write_string(e, "what", "events");
	json_write_string(e, "reason", "the reader of --events was too slow");
	json_write_number(e, "dropped", log->dropped);
	log->dropped = 0;
	end(log);
}

void event_tally(struct event_log *log)
{
	struct json_writer *e;

	if (log->beyond == 0)
		return;
	e = begin(log, "limit", NULL);
	json_write_string(e, "what", "events");
	json_write_string(e, "reason",
			  "too many events in one run: the rest is counted "
			  "only");
	json_write_number(e, "limit", EVENT_BYTES_MAX);
	json_write_number(e, "dropped", log->beyond);
	log->beyond = 0;
	end(log);
}

struct json_writer *event_begin_at(struct event_log *log, const char *name,
				   const struct timespec *when, bool first)
{
	uint64_t most = EVENT_BYTES_MAX + (first ? EVENT_FIRST_MAX : 0);
	bool bounded = is_bounded(name);

	log->is_beyond = bounded && log->written >= most;
	if (!bounded)
		event_tally(log);
	if (!log->is_beyond)
		return begin(log, name, when);
	json_write_mute(&log->line);
	return &log->line;
}

struct json_writer *event_begin(struct event_log *log, const char *name)
{
	return event_begin_at(log, name, NULL, false);
}

void event_end(struct event_log *log)
{
	if (log->is_beyond) {
		log->beyond++;
		return;
	}
	end(log);
	if (log->dropped && log->n_backlog == 0)
		report_drops(log);
}

void event_hold(struct event_log *log)
{
	/* Not while a file is written that may lie anywhere: for as long as
	 * its file system hangs, no other run could write either. */
	if (log->audit.path && !log->user_is_file)
		audit_hold(&log->audit);
}

void event_release(struct event_log *log)
{
	if (log->audit.path)
		audit_release(&log->audit);
}

void event_close(struct event_log *log)
{
	struct pollfd poll_fd = { .fd = log->user_fd, .events = POLLOUT };
	uint64_t deadline = now_ms(CLOCK_MONOTONIC) + CLOSE_PATIENCE_MS;
	uint64_t now;

	while (log->n_backlog && (now = now_ms(CLOCK_MONOTONIC)) < deadline) {
		size_t before = log->n_backlog;

		poll(&poll_fd, 1, (int)(deadline - now));
		event_flush(log);
		/* A reader that reads is waited for. */
		if (log->n_backlog < before)
			deadline = now_ms(CLOCK_MONOTONIC) + CLOSE_PATIENCE_MS;
	}
	/* The audit log is told in any case. */
	if (log->dropped)
		report_drops(log);
	if (log->n_backlog)
		warn("the reader of --events was too slow: the last %zu bytes "
		     "are in the audit log only",
		     log->n_backlog);

	audit_close(&log->audit);
	cleanup_fd(&log->user_fd);
	cleanup_fd(&log->run_fd);
	json_write_free(&log->line);
	free(log->backlog);
	free(log->run_id);
	free(log->id);
	*log = EVENT_LOG_NONE;
}
