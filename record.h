/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a run left of itself, read back: from its archive, its result, or its
 * events.  The file is anybody's: all that is kept of it is bounded.
 */

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outcome.h"

#define RECORD_EVENTS_MAX  2000
#define RECORD_VALUES_MAX  (256 * 1024) /* in all events that are kept */
#define RECORD_SAMPLES_MAX 4000
#define RECORD_MARKS_MAX   20000
#define RECORD_LANES_MAX   18

/* Times are seconds after the first event. */
struct record_sample {
	double at;
	double cpu_ms, memory, pids;
};

/* A program, or a peer: what the marks of one row have in common. */
struct record_lane {
	char *label;
	bool network;
};

struct record_mark {
	double from, to; /* of a connection that was closed; else the same */
	size_t lane;
	bool denied;
	double connection; /* its number while it is open; 0 */
};

struct record {
	cJSON *result;  /* by schema/result.schema.json, or made of events */
	cJSON *changes; /* the list of changes.json, or NULL */
	double more_changes;
	cJSON *skipped; /* kind and path; for a loss, why, as "control" */
	uint64_t more_skipped;
	cJSON *events; /* the first ones that tell of one thing each */
	size_t n_events, n_values;
	uint64_t more_events;
	uint64_t unrecorded; /* events that the run counted only */
	uint64_t foreign;    /* of other runs than the first */
	double length;       /* of the run */

	struct record_sample samples[RECORD_SAMPLES_MAX];
	size_t n_samples;
	struct record_lane lanes[RECORD_LANES_MAX];
	size_t n_lanes;
	struct record_mark marks[RECORD_MARKS_MAX];
	size_t n_marks;
	uint64_t more_marks;

	/* While the events are read. */
	double began;
	uint32_t open[RECORD_MARKS_MAX]; /* by number: 1 + which mark it has */
	char *run;
	bool ended;
	struct outcome seen; /* its warnings: of what is not on record, too */
};

/* Who takes what is found: each object is his then. */
struct record_reader {
	void (*event)(void *arg, cJSON *event);
	void (*result)(void *arg, cJSON *result); /* one at most */
	/* NULL: not looked at.  `more` could not be listed. */
	void (*changes)(void *arg, cJSON *list, double more);
	void (*skipped)(void *arg, const char *text); /* or NULL */
	void *arg;
};

/* An archive takes unpack_load() first. */
bool record_is_archive(int fd);
/*
 * Reads an archive, a result or events from the beginning of a file.  -1 by
 * fail() for what is damaged, has a line that is no event, or is an archive with
 * more than a run leaves; but the last line may be a half one.
 */
int record_scan(int fd, const struct record_reader *reader);
/* After a failure of it: which file it was, and what should be in it.  -1. */
int record_blame(const char *path);
/* From the beginning of a file; NULL by fail(). */
struct record *record_read(int fd);
void record_free(struct record *record);

/* Of a JSON object that may be anything: "" and 0 for what is not there. */
const char *record_text(const cJSON *object, const char *key);
double record_number(const cJSON *object, const char *key);
/* "name:port" of a connection, or "published port N"; owned. */
char *record_peer(const cJSON *object);
/* When an event was, in seconds after the first. */
double record_time(const struct record *record, const cJSON *event);

/* Within the module: takes one event in. */
void record_event(struct record *record, cJSON *event);
