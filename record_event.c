/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "netaddr.h"

/* Times beyond are of no run. */
#define LENGTH_MAX (366.0 * 86400)

/*** Values ***/

const char *record_text(const cJSON *object, const char *key)
{
	const char *s = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(object, key));

	return s ? s : "";
}

double record_number(const cJSON *object, const char *key)
{
	double value = cJSON_GetNumberValue(
	    cJSON_GetObjectItemCaseSensitive(object, key));

	return value >= 0 && value < 9e15 ? value : 0;
}

char *record_peer(const cJSON *object)
{
	const char *name = record_text(object, "name");
	unsigned int port = (uint64_t)record_number(object, "port") & 0xffff;
	const char *host = *name ? name : record_text(object, "addr");

	if (strcmp(record_text(object, "direction"), "in") == 0)
		return xasprintf("published port %u", port);
	return netaddr_with_port(host, port);
}

/* Seconds since 1970, or 0. */
static double stamp(const cJSON *event)
{
	struct tm tm = { 0 };
	double seconds;

	if (sscanf(record_text(event, "ts"), "%4d-%2d-%2dT%2d:%2d:%lfZ",
		   &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
		   &tm.tm_min, &seconds) != 6 ||
	    !(seconds >= 0 && seconds < 61))
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (double)timegm(&tm) + seconds;
}

double record_time(const struct record *record, const cJSON *event)
{
	double at = stamp(event) - record->began;

	return at > 0 && at < LENGTH_MAX ? at : 0;
}

/*** The time line ***/

/* The row of this label.  The last two are for all that have none: one for each
 * kind, so that no number of programs makes connections look like one. */
static size_t lane_of(struct record *r, const char *label, bool network)
{
	static const char others[] = "all others";

	for (size_t i = 0; i < r->n_lanes; i++)
		if (r->lanes[i].network == network &&
		    strcmp(r->lanes[i].label, label) == 0)
			return i;
	if (r->n_lanes >= RECORD_LANES_MAX - 2 && strcmp(label, others) != 0)
		return lane_of(r, others, network);
	r->lanes[r->n_lanes].label = xstrdup(label);
	r->lanes[r->n_lanes].network = network;
	return r->n_lanes++;
}

static struct record_mark *add_mark(struct record *r, const cJSON *event,
				    const char *label, bool network)
{
	struct record_mark *mark;

	if (r->n_marks == RECORD_MARKS_MAX) {
		r->more_marks++;
		return NULL;
	}
	mark = &r->marks[r->n_marks++];
	mark->lane = lane_of(r, label, network);
	mark->from = mark->to = record_time(r, event);
	mark->denied = strcmp(record_text(event, "verdict"), "denied") == 0;
	return mark;
}

/*** To the outcome, for a file that has no result ***/

static void add_net(struct record *r, const cJSON *event,
		    enum net_event_kind kind)
{
	struct net_event e = { .kind = kind };

	snprintf(e.name, sizeof(e.name), "%s", record_text(event, "name"));
	snprintf(e.addr, sizeof(e.addr), "%s", record_text(event, "addr"));
	snprintf(e.reason, sizeof(e.reason), "%s",
		 record_text(event, "reason"));
	snprintf(e.remedy, sizeof(e.remedy), "%s",
		 record_text(event, "remedy"));
	e.port = (uint16_t)(uint64_t)record_number(event, "port");
	e.inbound = record_text(event, "direction")[0] != '\0';
	e.error = record_text(event, "error")[0] != '\0';
	e.bytes_out = (uint64_t)record_number(event, "bytes_out");
	e.bytes_in = (uint64_t)record_number(event, "bytes_in");
	outcome_add_net(&r->seen, &e);
}

/*** Each kind of event ***/

static void on_start(struct record *r, const cJSON *event)
{
	if (r->seen.started_at == NULL)
		r->seen.started_at = xstrdup(record_text(event, "ts"));
	r->seen.started = true;
}

static void on_exec(struct record *r, const cJSON *event)
{
	const char *path = record_text(event, "path");
	const char *verdict = record_text(event, "verdict");

	if (strcmp(verdict, "absent") == 0) {
		r->seen.exec_absent++;
		return;
	}
	add_mark(r, event, path_base(path), false);
	if (strcmp(verdict, "allowed") == 0) {
		outcome_add_command(&r->seen, path, NULL);
		return;
	}
	r->seen.exec_denied++;
	outcome_add_denial(&r->seen, "exec", path, record_text(event, "reason"),
			   record_text(event, "remedy"));
}

static void on_dns(struct record *r, const cJSON *event)
{
	add_net(r, event, NET_EVENT_DNS);
	if (strcmp(record_text(event, "verdict"), "denied") == 0)
		add_mark(r, event, record_text(event, "name"), true);
}

/* Runs number them from 1, so that no two share a place; in a file that does
 * otherwise the end of the older one is not found. */
static uint32_t *open_place(struct record *r, double connection)
{
	return &r->open[(uint64_t)connection % RECORD_MARKS_MAX];
}

static void on_connect(struct record *r, const cJSON *event)
{
	auto_free char *peer = record_peer(event);
	struct record_mark *mark = add_mark(r, event, peer, true);

	add_net(r, event, NET_EVENT_CONNECT);
	if (!mark || record_text(event, "error")[0])
		return;
	mark->connection = record_number(event, "connection");
	*open_place(r, mark->connection) = (uint32_t)r->n_marks;
}

static void on_close(struct record *r, const cJSON *event)
{
	double connection = record_number(event, "connection");
	uint32_t place = *open_place(r, connection);
	struct record_mark *mark = place ? &r->marks[place - 1] : NULL;

	add_net(r, event, NET_EVENT_CLOSE);
	if (!mark || connection <= 0 || mark->connection != connection)
		return;
	mark->to = record_time(r, event);
	mark->connection = 0;
}

static void on_denied(struct record *r, const cJSON *event)
{
	auto_free char *peer = NULL;

	if (record_text(event, "layer")[0]) {
		add_mark(r, event, "system calls", false);
		outcome_add_denial(
		    &r->seen, "seccomp", record_text(event, "call"),
		    record_text(event, "error"), record_text(event, "remedy"));
		return;
	}
	peer = record_peer(event);
	add_mark(r, event, peer, true);
	add_net(r, event, NET_EVENT_DENIED);
}

static void on_sample(struct record *r, const cJSON *event)
{
	struct record_sample *s;

	if (r->n_samples == RECORD_SAMPLES_MAX)
		return;
	s = &r->samples[r->n_samples++];
	*s = (struct record_sample){ record_time(r, event),
				     record_number(event, "cpu_ms"),
				     record_number(event, "memory"),
				     record_number(event, "pids") };
	r->seen.cpu_user_ms = (uint64_t)s->cpu_ms;
	if (s->memory > (double)r->seen.memory_peak)
		r->seen.memory_peak = (uint64_t)s->memory;
	if (s->pids > (double)r->seen.pids_peak)
		r->seen.pids_peak = (uint64_t)s->pids;
}

/* A cap that was reached; or, with a reason, what is not all on record. */
static void on_limit(struct record *r, const cJSON *event)
{
	const char *what = record_text(event, "what");
	const char *reason = record_text(event, "reason");
	uint64_t n = (uint64_t)record_number(event, "left_out");
	auto_free char *left_out = outcome_left_out("", n, "");

	/* What one reader was too slow for, all others have. */
	if (strcmp(what, "events") != 0 || record_number(event, "limit") > 0)
		r->unrecorded += (uint64_t)record_number(event, "dropped");
	if (*reason)
		outcome_add_warning(&r->seen, "%s: %s", what, reason);
	else if (n > 0)
		outcome_add_warning(&r->seen, "%s", left_out);
	else if (r->seen.limits.n < OUTCOME_GROUPS_MAX)
		outcome_add_limit(&r->seen, what);
}

static void on_exit_event(struct record *r, const cJSON *event)
{
	struct outcome *o = &r->seen;

	r->ended = true;
	while (o->status < OUTCOME_ERROR &&
	       strcmp(outcome_status_name(o->status),
		      record_text(event, "status")) != 0)
		o->status++;
	o->exit_code = (uint64_t)record_number(event, "exit_code") & 0xff;
	o->duration_ms = (uint64_t)record_number(event, "duration_ms");
	snprintf(o->error.stage, sizeof(o->error.stage), "%s",
		 record_text(event, "stage"));
	snprintf(o->error.message, sizeof(o->error.message), "%s",
		 record_text(event, "message"));
}

static const struct {
	const char *name;
	void (*take)(struct record *, const cJSON *);
	bool listed; /* one by one */
} kinds[] = {
	{ "start", on_start, true },    { "exec", on_exec, true },
	{ "dns", on_dns, true },        { "connect", on_connect, true },
	{ "close", on_close, false },   { "denied", on_denied, true },
	{ "sample", on_sample, false }, { "exit", on_exit_event, true },
	{ "limit", on_limit, true },    { "timeout", NULL, true },
	{ "oom", NULL, true },          { "artifact", NULL, true },
	{ "recovered", NULL, true },
};

/* A value takes a hundred bytes however short its text is. */
static size_t count_values(const cJSON *tree)
{
	const cJSON *item;
	size_t n = 1;

	cJSON_ArrayForEach(item, tree)
	{
		n += count_values(item);
	}
	return n;
}

static void keep(struct record *r, cJSON *event)
{
	size_t values = r->n_events < RECORD_EVENTS_MAX ? count_values(event)
							: SIZE_MAX;

	if (values > RECORD_VALUES_MAX - r->n_values) {
		r->more_events++;
		cJSON_Delete(event);
		return;
	}
	r->n_events++;
	r->n_values += values;
	cJSON_AddItemToArray(r->events, event);
}

void record_event(struct record *r, cJSON *event)
{
	const char *name = record_text(event, "event");
	const char *run = record_text(event, "run");
	double at;

	if (r->run == NULL) {
		r->run = xstrdup(run);
		r->began = stamp(event);
	}
	at = record_time(r, event);
	/* The audit log has other runs' events between. */
	if (strcmp(run, r->run) != 0) {
		r->foreign++;
		cJSON_Delete(event);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(name, kinds[i].name) != 0)
			continue;
		if (at > r->length)
			r->length = at;
		if (kinds[i].take)
			kinds[i].take(r, event);
		if (kinds[i].listed) {
			keep(r, event);
			return;
		}
	}
	cJSON_Delete(event);
}
