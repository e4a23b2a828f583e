/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Events: one JSON object a line, to every sink of the run (audit log, the
 * caller's file or descriptor, the run directory's events.jsonl).
 */

#include <cjson/cJSON.h>
#include <stdint.h>

struct event_log {
	char *run_id;
	char *id; /* label or NULL */
	uint64_t seq;
	int audit_fd;     /* append; locked around each line */
	int user_fd;      /* --events or --events-fd; -1 none */
	int run_fd;       /* events.jsonl of the run directory; -1 none */
	bool user_failed; /* said once, then left alone */
};

#define EVENT_LOG_NONE                                                         \
	((struct event_log){ .audit_fd = -1, .user_fd = -1, .run_fd = -1 })

/*
 * Opens the sinks.  audit_path's folder is made (0700; root: 0750) if missing.
 * events_path may be NULL or "-" (stdout); events_fd -1.  By fail().
 */
int event_open(struct event_log *log, const char *run_id, const char *id,
	       const char *audit_path, const char *events_path, int events_fd);
/* Adds events.jsonl in the run directory to the sinks; by fail(). */
int event_attach_run(struct event_log *log, int run_dir_fd);
void event_close(struct event_log *log);

/*
 * Writes {"ts","seq","run","id","event":name, ...fields}.  Takes ownership of
 * `fields` (an object, or NULL).  Control characters and invalid UTF-8 in
 * strings are escaped or replaced, so that a line is always one JSON object.
 * Never fails the run: a sink that cannot be written is warned of once.
 */
void event_emit(struct event_log *log, const char *name, cJSON *fields);

/* A JSON string of any bytes: invalid UTF-8 becomes U+FFFD. */
cJSON *event_string(const char *bytes, size_t len);
