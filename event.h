/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Events: one JSON object a line, to every sink of the run (audit log, the
 * caller's file or descriptor, the run's events.jsonl).
 */

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "audit.h"
#include "json_write.h"
#include "relay.h"
#include "workdir.h"

#define EVENT_LINE_MAX                                                         \
	65536 /* bytes of a line with its newline; the audit
				 log adds what audit.h says */
#define EVENT_TIME_SIZE 36

/* What the user's sink has not taken yet; more is dropped, and counted. */
#define EVENT_BACKLOG_MAX (1024 * 1024)

/* Of one run in the log, for what the payload causes at will: a loop of refused
 * questions writes 20 MB/s.  What comes after is counted only. */
#define EVENT_BYTES_MAX (64ULL * 1024 * 1024)

/* Beyond that, for what happened for the first time: a payload that fills the
 * log with refusals is not to do something else unseen. */
#define EVENT_FIRST_MAX (2ULL * 1024 * 1024)

/* What all of a run's lines come to at most: the last ones, and its samples, no
 * bound holds back. */
#define EVENT_LOG_MAX (EVENT_BYTES_MAX + EVENT_FIRST_MAX + 16 * EVENT_LINE_MAX)

struct event_log {
	char *run_id;
	char *id; /* label or NULL */
	uint64_t seq;
	struct json_writer line; /* of the event that is begun */
	const char *name;        /* of it */
	struct timespec when;
	bool is_beyond; /* it is one that is counted only */
	struct audit audit;
	int user_fd; /* --events or --events-fd; -1 none */
	int run_fd;  /* events.jsonl of the run; -1 none */

	bool audit_failed, run_failed; /* said once, tried again each time */
	bool user_failed;              /* said once, then left alone */
	bool user_is_file;             /* takes every line at once */
	char *backlog; /* lines that user_fd's reader is slow on */
	size_t n_backlog;
	uint64_t dropped; /* lines that did not fit there, not yet reported */
	uint64_t written; /* bytes of the lines that count */
	uint64_t beyond;  /* lines beyond EVENT_BYTES_MAX, not yet reported */
};

#define EVENT_LOG_NONE                                                         \
	((struct event_log){ .audit = AUDIT_NONE, .user_fd = -1, .run_fd = -1 })

/*
 * Opens the sinks.  audit_path may be NULL: no audit log.  events_path may be
 * NULL or "-" (stdout); events_fd -1; at most one of the two.  By fail(); then
 * none is open.
 * The caller ignores SIGPIPE: a reader that goes away must not end the run.
 */
int event_open(struct event_log *log, const char *run_id, const char *id,
	       const char *audit_path, const char *events_path, int events_fd);
/* Adds events.jsonl of the run to the sinks; by fail(). */
int event_attach_run(struct event_log *log, struct workdir *wd);
/* Gives a slow reader of the user's sink a last second, then closes all. */
void event_close(struct event_log *log);

/*
 * An event {"ts","seq","run","id","event":name, ...}: to what event_begin()
 * returns its further fields are written, and event_end() gives it to the sinks.
 * One after the other; `name` is a constant.  Always one JSON object on one
 * line (see json_write_bytes); one that is too long has its strings cut.
 * Never fails the run: a sink that cannot be written is warned of once.
 * Never waits for the reader of the user's sink: what a full pipe does not take
 * is kept for the next event (or event_flush), up to EVENT_BACKLOG_MAX.
 */
struct json_writer *event_begin(struct event_log *log, const char *name);
/* The same: of another time than now, if not NULL; and of which there are few,
 * also beyond EVENT_BYTES_MAX. */
struct json_writer *event_begin_at(struct event_log *log, const char *name,
				   const struct timespec *when, bool first);
void event_end(struct event_log *log);

/* Tells how many were counted only since it was told last; some events do so of
 * themselves, but none of these comes before the run is archived. */
void event_tally(struct event_log *log);

/* The event "dns", "connect", "denied", "close" or "limit" of the relay's; the
 * first of its kind, or one more. */
void event_emit_net(struct event_log *log, const struct net_event *event,
		    bool first);

/* Around events that are there at once: see audit_hold. */
void event_hold(struct event_log *log);
void event_release(struct event_log *log);

/* Tries the backlog again, without waiting. */
void event_flush(struct event_log *log);

/* "2026-01-02T03:04:05.000000006Z" */
void event_time(const struct timespec *when, char out[static EVENT_TIME_SIZE]);
