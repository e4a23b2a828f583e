/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "event.h"
#include "json.h"
#include "result.h"
#include "unpack.h"

/* A line of the audit log, at its longest. */
#define LINE_MAX_BYTES (EVENT_LINE_MAX + AUDIT_PREFIX_MAX)
#define RESULT_MAX     (4 * 1024 * 1024)
#define CHANGES_MAX    (64 * 1024 * 1024)
#define SKIPPED_MAX    (2 * 1024 * 1024)

struct lines {
	const struct record_reader *reader;
	bool result; /* there is one */
	char text[LINE_MAX_BYTES];
	size_t len;
	uint64_t n;
};

static int bad(const char *what)
{
	return fail(0, "cannot read what the run left: %s", what);
}

/*** Lines of events ***/

static int take_line(struct lines *lines)
{
	struct json_fault fault;
	cJSON *event = json_read(lines->text, lines->len, &fault);

	lines->n++;
	lines->len = 0;
	if (!cJSON_IsObject(event) || record_text(event, "event")[0] == '\0') {
		cJSON_Delete(event);
		return fail(0, "line %llu is no event",
			    (unsigned long long)lines->n);
	}
	lines->reader->event(lines->reader->arg, event);
	return 0;
}

static int take_bytes(struct lines *lines, const char *data, size_t len)
{
	while (len > 0) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;

		if (n > sizeof(lines->text) - lines->len)
			return bad("a line is too long for an event");
		memcpy(lines->text + lines->len, data, n);
		lines->len += n;
		if (end && take_line(lines) < 0)
			return -1;
		data += n + (end != NULL);
		len -= n + (end != NULL);
	}
	return 0;
}

/*** An archive ***/

struct member {
	const char *name;
	size_t max;
	bool wanted;
	char *text; /* NULL: it is not there */
	size_t len;
};

enum { EVENTS, RUN, CHANGES, SKIPPED, MEMBERS };

static int take_text(struct member *member, const char *data, size_t len)
{
	if (len > member->max - member->len)
		return bad("run.json, changes.json or skipped.txt is too long");
	member->text = xrealloc_array(member->text, member->len + len + 1, 1);
	memcpy(member->text + member->len, data, len);
	member->len += len;
	member->text[member->len] = '\0';
	return 0;
}

static int read_member(struct unpack *u, struct lines *lines,
		       struct member *member)
{
	const void *data;
	size_t len, total = 0;
	off_t at;
	int more;

	while ((more = unpack_data(u, &data, &len, &at)) == 1) {
		if (at != (off_t)total)
			return bad("a member of the archive is sparse");
		total += len;
		/* A few bytes can be packed that come to any number of
		 * lines. */
		if (lines && total > EVENT_LOG_MAX)
			return bad("over 64 MiB of events, more than a run "
				   "writes");
		if (len > 0 && (lines ? take_bytes(lines, data, len)
				      : take_text(member, data, len)) < 0)
			return -1;
	}
	return more;
}

/* NULL for a member that is not there. */
static int parse(const struct member *member, cJSON **tree)
{
	struct json_fault fault;

	*tree = NULL;
	if (member->text == NULL)
		return 0;
	*tree = json_read(member->text, member->len, &fault);
	return *tree ? 0 : bad(fault.what);
}

static void take_result(struct lines *lines, cJSON *result)
{
	lines->result = record_text(result, "status")[0] != '\0';
	if (lines->result)
		lines->reader->result(lines->reader->arg, result);
	else
		cJSON_Delete(result);
}

static void take_changes(const struct record_reader *reader, cJSON *tree)
{
	cJSON *list = cJSON_DetachItemFromObjectCaseSensitive(tree, "changes");

	if (list)
		reader->changes(reader->arg, list,
				record_number(tree, "left_out"));
	cJSON_Delete(tree);
}

static int take_members(struct lines *lines, const struct member *members)
{
	cJSON *list, *result;

	if (members[SKIPPED].text)
		lines->reader->skipped(lines->reader->arg,
				       members[SKIPPED].text);
	if (parse(&members[CHANGES], &list) < 0)
		return -1;
	take_changes(lines->reader, list);
	if (parse(&members[RUN], &result) < 0)
		return -1;
	take_result(lines, result);
	return 0;
}

static int read_members(struct unpack *u, struct lines *lines,
			struct member *members)
{
	const struct unpack_member *found;
	bool read[MEMBERS] = { false };
	int more;

	while ((more = unpack_next(u, &found)) == 1) {
		for (size_t i = 0; found->path && i < MEMBERS; i++) {
			if (!members[i].wanted ||
			    strcmp(found->path, members[i].name) != 0)
				continue;
			if (read[i] || !found->is_file)
				return bad("a record is there twice, or is no "
					   "file");
			read[i] = true;
			if (read_member(u, i == EVENTS ? lines : NULL,
					&members[i]) < 0)
				return -1;
		}
	}
	return more;
}

static int read_archive(int fd, struct lines *lines)
{
	const struct record_reader *reader = lines->reader;
	struct member members[MEMBERS] = {
		[EVENTS] = { "events.jsonl", .wanted = true },
		[RUN] = { "run.json", RESULT_MAX, true },
		[CHANGES] = { "changes.json", CHANGES_MAX, reader->changes },
		[SKIPPED] = { "skipped.txt", SKIPPED_MAX, reader->skipped },
	};
	struct unpack *u = unpack_open(fd);
	int rc = u ? read_members(u, lines, members) : -1;

	unpack_free(u);
	if (rc == 0)
		rc = take_members(lines, members);
	for (size_t i = 0; i < MEMBERS; i++)
		free(members[i].text);
	return rc;
}

/*** A text ***/

static int read_events(int fd, struct lines *lines)
{
	char data[16384];
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(errno, "cannot read the events");
		if (take_bytes(lines, data, (size_t)n) < 0)
			return -1;
	}
	/* A writer that was killed leaves half a line: there is nothing in it.
	 */
	return 0;
}

/* A result is one object, on one line or many; its first line has no event. */
static int read_text(int fd, struct lines *lines)
{
	size_t len = 0;
	auto_free char *text = read_fd(fd, RESULT_MAX, &len);
	struct json_fault fault = { 0 };
	cJSON *result = text ? json_read(text, len, &fault) : NULL;

	if (result && record_text(result, "event")[0] == '\0') {
		take_result(lines, result);
		return lines->result ? 0 : bad("it is no result");
	}
	cJSON_Delete(result);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return fail(errno, "cannot read it twice");
	return read_events(fd, lines);
}

bool record_is_archive(int fd)
{
	char first = '\0';

	return pread(fd, &first, 1, 0) == 1 && first != '{';
}

int record_scan(int fd, const struct record_reader *reader)
{
	struct lines *lines = xcalloc(1, sizeof(*lines));
	int rc;

	lines->reader = reader;
	rc = record_is_archive(fd) ? read_archive(fd, lines)
				   : read_text(fd, lines);
	if (rc == 0 && !lines->result && lines->n == 0)
		rc = bad("it holds no record of a run");
	free(lines);
	return rc;
}

int record_blame(const char *path)
{
	return fail_remedy("%s should be the archive, the result or the events "
			   "of a run",
			   path);
}

/*** Of one run ***/

static void keep_event(void *record, cJSON *event)
{
	record_event(record, event);
}

static void keep_result(void *arg, cJSON *result)
{
	struct record *record = arg;

	record->result = result;
}

static void keep_changes(void *arg, cJSON *list, double more)
{
	struct record *record = arg;

	record->changes = list;
	record->more_changes = more;
}

/*
 * Why it is a loss; NULL for what is no file, or none of the run's.  A kind that
 * we do not know is one.
 */
static const char *loss_of(const char *kind)
{
	static const struct {
		const char *kind, *why;
	} kinds[] = { { "fifo", NULL },
		      { "socket", NULL },
		      { "device", NULL },
		      { "mount", NULL },
		      { "deep", "too deep in folders" },
		      { "long", "of too long a path" },
		      { "strewn", "too widely strewn" },
		      { "copy", "one of too many hard links" } };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kind, kinds[i].kind) == 0)
			return kinds[i].why;
	return "left out";
}

static cJSON *skipped_row(const char *line)
{
	size_t n = strcspn(line, " ");
	auto_free char *kind = xstrndup(line, n);
	const char *why = loss_of(kind);
	cJSON *row = cJSON_CreateObject();

	cJSON_AddStringToObject(row, "kind", kind);
	cJSON_AddStringToObject(row, "path", line + n + (line[n] == ' '));
	if (why)
		cJSON_AddStringToObject(row, "control", why);
	return row;
}

/* So many of each sort: no number of sockets keeps a loss out. */
static void keep_skipped(void *arg, const char *text)
{
	struct record *record = arg;
	uint64_t n[2] = { 0 };
	unsigned long long unlisted = 0;
	auto_free char *left_out = NULL;

	record->skipped = cJSON_CreateArray();
	while (*text) {
		size_t len = strcspn(text, "\n");
		auto_free char *line = xstrndup(text, len);
		cJSON *row;
		bool loss;

		text += len + (text[len] == '\n');
		/* The last line, where the list was too long. */
		if (*text == '\0' &&
		    sscanf(line, "and %18llu more", &unlisted) == 1)
			break;
		row = skipped_row(line);
		loss = cJSON_HasObjectItem(row, "control");
		if (n[loss]++ < RECORD_EVENTS_MAX) {
			cJSON_AddItemToArray(record->skipped, row);
			continue;
		}
		record->more_skipped++;
		cJSON_Delete(row);
	}
	record->more_skipped += unlisted;
	left_out = outcome_left_out("", n[true] + unlisted, ", listed below");
	if (n[true] + unlisted > 0)
		outcome_add_warning(&record->seen, "%s", left_out);
}

static cJSON *tell_seen(struct record *record)
{
	static const struct err_record cut = {
		.stage = "events",
		.message = "the run was killed, or goes on: its events end "
			   "before it does",
		.status = 125,
	};
	auto_free char *json = NULL;
	struct json_fault fault;

	if (!record->ended) {
		record->seen.status = OUTCOME_ERROR;
		record->seen.error = cut;
		record->seen.exit_code = cut.status;
	}
	json = result_json(record->run, NULL, NULL, &record->seen, false);
	return json_read(json, strlen(json), &fault);
}

/* A result alone has of the changes those that need a second look, and how many
 * there are in all. */
static void tell_changes(struct record *record)
{
	static const char *const kinds[] = { "added", "modified", "deleted",
					     "renamed" };
	const cJSON *changes = cJSON_GetObjectItemCaseSensitive(record->result,
								"changes");
	const cJSON *one;

	record->changes = cJSON_CreateArray();
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		record->more_changes += record_number(changes, kinds[i]);
	cJSON_ArrayForEach(one,
			   cJSON_GetObjectItemCaseSensitive(changes, "control"))
	{
		cJSON *row = cJSON_CreateObject();

		cJSON_AddStringToObject(row, "path", record_text(one, "path"));
		cJSON_AddStringToObject(row, "control",
					record_text(one, "what"));
		cJSON_AddItemToArray(record->changes, row);
		record->more_changes -= record->more_changes > 0;
	}
}

struct record *record_read(int fd)
{
	struct record *record = xcalloc(1, sizeof(*record));
	const struct record_reader reader = { keep_event, keep_result,
					      keep_changes, keep_skipped,
					      record };
	double length;

	record->seen = OUTCOME_NONE;
	record->events = cJSON_CreateArray();
	if (record_scan(fd, &reader) < 0) {
		record_free(record);
		return NULL;
	}
	if (record->result == NULL)
		record->result = tell_seen(record);
	if (record->changes == NULL)
		tell_changes(record);
	length = record_number(record->result, "duration_ms") / 1000;
	if (length > record->length)
		record->length = length;
	return record;
}

void record_free(struct record *record)
{
	if (record == NULL)
		return;
	for (size_t i = 0; i < record->n_lanes; i++)
		free(record->lanes[i].label);
	cJSON_Delete(record->result);
	cJSON_Delete(record->changes);
	cJSON_Delete(record->skipped);
	cJSON_Delete(record->events);
	outcome_free(&record->seen);
	free(record->run);
	free(record);
}
