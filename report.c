/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base64.h"
#include "confined.h"
#include "err.h"
#include "human.h"
#include "report_work.h"
#include "result.h"
#include "sha256.h"
#include "text.h"
#include "unpack.h"

#define PAGE_MAX (256 * 1024 * 1024)

static const char style[] = {
#include "report_style.inc"
};

/*** Text ***/

void report_text(FILE *out, const char *text)
{
	static const struct {
		char c;
		const char *entity;
	} special[] = { { '&', "&amp;" },
			{ '<', "&lt;" },
			{ '>', "&gt;" },
			{ '"', "&quot;" },
			{ '\'', "&#39;" } };
	auto_free char *visible = text_visible(text, true);

	for (const char *p = visible; *p; p++) {
		size_t i = 0;

		while (i < ARRAY_SIZE(special) && special[i].c != *p)
			i++;
		if (i < ARRAY_SIZE(special))
			fputs(special[i].entity, out);
		else
			fputc(*p, out);
	}
}

static const cJSON *find(const cJSON *object, const char *path)
{
	const char *dot = strchr(path, '.');
	auto_free char *key = NULL;

	if (dot == NULL)
		return cJSON_GetObjectItemCaseSensitive(object, path);
	key = xstrndup(path, (size_t)(dot - path));
	return find(cJSON_GetObjectItemCaseSensitive(object, key), dot + 1);
}

/* Of "a.b", the object a. */
static double number_at(const cJSON *object, const char *path)
{
	double value = cJSON_GetNumberValue(find(object, path));

	return value >= 0 && value < 9e15 ? value : 0;
}

/*** Cells ***/

struct column {
	const char *head;
	void (*put)(FILE *, const struct record *, const cJSON *, const char *);
	const char *key;
	bool number;
};

static void put_text(FILE *out, const struct record *r, const cJSON *row,
		     const char *key)
{
	(void)r;
	report_text(out, record_text(row, key));
}

static void put_code(FILE *out, const struct record *r, const cJSON *row,
		     const char *key)
{
	fputs("<code>", out);
	put_text(out, r, row, key);
	fputs("</code>", out);
}

static void put_flag(FILE *out, const struct record *r, const cJSON *row,
		     const char *key)
{
	if (record_text(row, key)[0] == '\0')
		return;
	fputs("<code class=flag>", out);
	put_text(out, r, row, key);
	fputs("</code>", out);
}

static void put_warning(FILE *out, const struct record *r, const cJSON *row,
			const char *key)
{
	fputs("<span class=warn>", out);
	put_text(out, r, row, key);
	fputs("</span>", out);
}

static void put_count(FILE *out, const struct record *r, const cJSON *row,
		      const char *key)
{
	(void)r;
	fprintf(out, "%.0f", record_number(row, key));
}

static void put_bytes(FILE *out, const struct record *r, const cJSON *row,
		      const char *key)
{
	auto_free char *text = human_bytes((uint64_t)record_number(row, key));

	(void)r;
	fputs(text, out);
}

static void put_peer(FILE *out, const struct record *r, const cJSON *row,
		     const char *key)
{
	auto_free char *peer = record_peer(row);

	(void)r, (void)key;
	fputs("<code>", out);
	report_text(out, peer);
	fputs("</code>", out);
}

static void put_offset(FILE *out, const struct record *r, const cJSON *row,
		       const char *key)
{
	(void)key;
	fprintf(out, "%.3f s", record_time(r, row));
}

static void put_verdict(FILE *out, const struct record *r, const cJSON *row,
			const char *key)
{
	if (strcmp(record_text(row, key), "denied") != 0) {
		put_text(out, r, row, key);
		return;
	}
	fputs("<span class=denied>denied</span>", out);
}

static void put_word(FILE *out, const char *word)
{
	auto_free char *quoted = text_shell(word);

	report_text(out, quoted);
}

/* What a program was given.  Its own name for itself is its caller's to choose:
 * it never stands for the program, and is told where it is another one. */
static void put_arguments(FILE *out, const cJSON *row, const char *program)
{
	const cJSON *argv = cJSON_GetObjectItemCaseSensitive(row, "argv");
	const cJSON *word = argv ? argv->child : NULL;
	const char *called = cJSON_GetStringValue(word);

	for (word = word ? word->next : NULL; word; word = word->next) {
		const char *s = cJSON_GetStringValue(word);

		fputc(' ', out);
		put_word(out, s ? s : "?");
	}
	if (cJSON_HasObjectItem(row, "argv_cut"))
		fputs(" ...", out);
	if (called && strcmp(path_base(called), path_base(program)) != 0) {
		fputs("</code> called <code>", out);
		put_word(out, called);
	}
}

/* What an event is about: the first of these that it has. */
static void put_about(FILE *out, const struct record *r, const cJSON *row,
		      const char *key)
{
	static const char *const keys[] = { "call", "path", "program", "name",
					    "what", "addr", "status",  "" };
	const char *const *k = keys;
	const char *about = record_text(row, *k);

	(void)key;
	if (cJSON_HasObjectItem(row, "port")) {
		put_peer(out, r, row, NULL);
		return;
	}
	while (*about == '\0' && **k)
		about = record_text(row, *++k);
	fputs("<code>", out);
	/* Beside words that are quoted, no blank in it begins another one. */
	(cJSON_HasObjectItem(row, "argv") ? put_word : report_text)(out, about);
	put_arguments(out, row, about);
	fputs("</code>", out);
}

/*** Tables ***/

static const struct column denials[] = {
	{ "Times", put_count, "count", true },
	{ "Kind", put_text, "kind", false },
	{ "What", put_code, "what", false },
	{ "Why", put_text, "reason", false },
	{ "To allow it", put_flag, "remedy", false },
	{ NULL, NULL, NULL, false },
};
static const struct column connections[] = {
	{ "Times", put_count, "count", true },
	{ "Peer", put_peer, NULL, false },
	{ "First address", put_code, "addr", false },
	{ "Failed", put_count, "failed", true },
	{ "Out", put_bytes, "bytes_out", true },
	{ "In", put_bytes, "bytes_in", true },
	{ NULL, NULL, NULL, false },
};
static const struct column commands[] = {
	{ "Times", put_count, "count", true },
	{ "Program", put_code, "path", false },
	{ "Its first arguments", put_code, "args", false },
	{ NULL, NULL, NULL, false },
};
static const struct column changes[] = {
	{ "Change", put_text, "change", false },
	{ "Path", put_code, "path", false },
	{ "From", put_code, "from", false },
	{ "Look at this", put_warning, "control", false },
	{ NULL, NULL, NULL, false },
};
static const struct column skipped[] = {
	{ "What", put_text, "kind", false },
	{ "Path", put_code, "path", false },
	{ "Lost, as it is", put_warning, "control", false },
	{ NULL, NULL, NULL, false },
};
static const struct column events[] = {
	{ "After", put_offset, NULL, true },
	{ "Event", put_text, "event", false },
	{ "What", put_about, NULL, false },
	{ "Verdict", put_verdict, "verdict", false },
	{ "Why", put_text, "reason", false },
	{ "To allow it", put_flag, "remedy", false },
	{ NULL, NULL, NULL, false },
};

static void put_row(FILE *out, const struct record *r,
		    const struct column *columns, const cJSON *row)
{
	fputs("<tr>", out);
	for (const struct column *c = columns; c->head; c++) {
		fputs(c->number ? "<td class=n>" : "<td>", out);
		c->put(out, r, row, c->key);
	}
	fputc('\n', out);
}

/* Those with a warning come first: no number of others keeps them out. */
static void put_rows(FILE *out, const struct record *r,
		     const struct column *columns, const cJSON *rows)
{
	size_t left = RECORD_EVENTS_MAX;
	const cJSON *row;

	fputs("<div class=wide><table><tr>", out);
	for (const struct column *c = columns; c->head; c++)
		fprintf(out, "<th%s>%s", c->number ? " class=n" : "", c->head);
	for (int warned = 1; warned >= 0; warned--)
		cJSON_ArrayForEach(row, rows)
		{
			if ((record_text(row, "control")[0] != '\0') != warned)
				continue;
			if (left == 0)
				break;
			left--;
			put_row(out, r, columns, row);
		}
	fputs("</table></div>", out);
}

static void put_more(FILE *out, double more, const char *what)
{
	if (more > 0)
		fprintf(out, "<p class=dim>And %.0f more %s.</p>", more, what);
}

/* `more` of what the rows count, `what`, are in none of them. */
static void put_table(FILE *out, const struct record *r, const char *title,
		      const struct column *columns, const cJSON *rows,
		      double more, const char *what)
{
	int n = cJSON_IsArray(rows) ? cJSON_GetArraySize(rows) : 0;

	if (n == 0)
		return;
	fprintf(out, "<h2>%s</h2>", title);
	put_rows(out, r, columns, rows);
	put_more(out,
		 more + (n > RECORD_EVENTS_MAX ? n - RECORD_EVENTS_MAX : 0),
		 what);
}

/*** The head ***/

static void put_head(FILE *out, const struct record *r)
{
	const char *status = record_text(r->result, "status");
	const char *id = record_text(r->result, "id");
	const char *agent = record_text(r->result, "agent");
	auto_free char *time = human_time((uint64_t)(r->length * 1000 + .5));

	fprintf(out, "<h1><span class='tag %s'>",
		strcmp(status, "ok") == 0 ? "ok" : "bad");
	report_text(out, status);
	fputs("</span>", out);
	report_text(out, *id ? id : *agent ? agent : "m9m-sandbox");
	fputs("</h1><p class=dim>run ", out);
	report_text(out, record_text(r->result, "run"));
	fputs(", ", out);
	report_text(out, record_text(r->result, "started_at"));
	fprintf(out, ", %s, exit status %.0f</p>", time,
		record_number(r->result, "exit_code"));
}

static void put_note(FILE *out, const char *class, const char *label,
		     const char *text)
{
	fprintf(out, "<p class='note %s'>%s", class, label);
	report_text(out, text);
	fputs("</p>", out);
}

static bool has_text(const cJSON *array, const char *text)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, array)
	{
		const char *s = cJSON_GetStringValue(one);

		if (s && strcmp(s, text) == 0)
			return true;
	}
	return false;
}

static void put_notes(FILE *out, const struct record *r)
{
	static const struct {
		const char *key, *label;
	} lists[] = { { "degraded", "Without this layer: " },
		      { "limits", "A cap was reached: --" },
		      { "warnings", "" } };
	const char *message = record_text(r->result, "message");
	const char *remedy = record_text(r->result, "remedy");
	const char *kept = record_text(r->result, "kept_workdir");

	if (*message)
		put_note(out, "bad", "", message);
	if (*remedy)
		put_note(out, "", "What can be done: ", remedy);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const cJSON *one;

		cJSON_ArrayForEach(one, find(r->result, lists[i].key))
		{
			const char *text = cJSON_GetStringValue(one);

			put_note(out, i ? "" : "bad", lists[i].label,
				 text ? text : "");
		}
	}
	for (size_t i = 0; i < r->seen.warnings.n; i++)
		if (!has_text(find(r->result, "warnings"),
			      r->seen.warnings.v[i]))
			put_note(out, "", "", r->seen.warnings.v[i]);
	if (*kept)
		put_note(out, "", "The workdir is kept: ", kept);
}

static char *say_count(uint64_t value)
{
	return xasprintf("%llu", (unsigned long long)value);
}

static void put_figures(FILE *out, const struct record *r)
{
	static const struct {
		const char *label;
		char *(*say)(uint64_t);
		const char *path;
		bool always;
	} figures[] = {
		{ "CPU", human_time, "cpu_ms", true },
		{ "Memory peak", human_bytes, "memory_peak", false },
		{ "Processes peak", say_count, "pids_peak", false },
		{ "Read from disk", human_bytes, "io_read_bytes", false },
		{ "Written to disk", human_bytes, "io_written_bytes", false },
		{ "Commands run", say_count, "commands.allowed", true },
		{ "Commands denied", say_count, "commands.denied", true },
		{ "Connections", say_count, "network.connect_allowed", true },
		{ "Connections denied", say_count, "network.connect_denied",
		  true },
		{ "Names denied", say_count, "network.dns_denied", false },
		{ "Sent", human_bytes, "network.bytes_out", false },
		{ "Received", human_bytes, "network.bytes_in", false },
		{ "Files added", say_count, "changes.added", false },
		{ "Files modified", say_count, "changes.modified", false },
		{ "Files deleted", say_count, "changes.deleted", false },
		{ "Files renamed", say_count, "changes.renamed", false },
		{ "Tokens in", say_count, "answer.tokens_in", false },
		{ "Tokens out", say_count, "answer.tokens_out", false },
	};

	fputs("<dl>", out);
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
		double value = number_at(r->result, figures[i].path);
		auto_free char *text = figures[i].say((uint64_t)value);

		if (value > 0 || figures[i].always)
			fprintf(out, "<div><dt>%s</dt><dd>%s</dd></div>",
				figures[i].label, text);
	}
	fputs("</dl>", out);
}

/*** The page ***/

static void put_answer(FILE *out, const struct record *r)
{
	const cJSON *answer = find(r->result, "answer");
	const char *text = record_text(answer, "text");
	bool failed = cJSON_IsTrue(find(answer, "failed"));

	if (*text == '\0' && !failed)
		return;
	fputs("<h2>The agent's answer</h2>", out);
	if (failed)
		put_note(out, "", "It says that it did not succeed.", "");
	fputs("<div class=wide><pre>", out);
	/* Line breaks are its own; all else that is hidden is made visible. */
	while (*text) {
		size_t n = strcspn(text, "\n");
		auto_free char *line = xstrndup(text, n);

		report_text(out, line);
		text += n + (text[n] == '\n');
		fputc('\n', out);
	}
	fputs("</pre></div>", out);
	if (cJSON_IsTrue(find(answer, "truncated")))
		fputs("<p class=dim>It was longer: this is its beginning.</p>",
		      out);
}

static void put_events(FILE *out, const struct record *r)
{
	if (cJSON_GetArraySize(r->events) == 0)
		return;
	fputs("<details><summary>Step by step</summary>", out);
	put_rows(out, r, events, r->events);
	put_more(out, (double)r->more_events, "events");
	put_more(out, (double)r->unrecorded, "that were not recorded");
	put_more(out, (double)r->foreign, "of other runs");
	fputs("</details>", out);
}

static void put_layers(FILE *out, const struct record *r)
{
	const cJSON *layers = find(r->result, "layers"), *one;

	if (cJSON_GetArraySize(layers) == 0)
		return;
	fputs("<h2>In force</h2><p>", out);
	cJSON_ArrayForEach(one, layers)
	{
		const char *text = cJSON_GetStringValue(one);

		report_text(out, text ? text : "");
		fputs(one->next ? ", " : "</p>", out);
	}
}

/* The policy allows this style and nothing else. */
static void put_hash(FILE *out)
{
	auto_free char *text = NULL;
	char hex[SHA256_HEX];
	struct sha256 sha;

	sha256_init(&sha);
	sha256_update(&sha, style, sizeof(style) - 1);
	sha256_hex(&sha, hex);
	text = base64_of_hex(hex);
	fputs(text, out);
}

static void put_page(FILE *out, const struct record *r)
{
	fputs("<!doctype html><html lang=en><meta charset=utf-8>"
	      "<meta http-equiv=Content-Security-Policy content=\"default-src "
	      "'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-",
	      out);
	put_hash(out);
	fprintf(out, "'\"><meta name=viewport content='width=device-width'>"
		     "<meta name=referrer content=no-referrer>"
		     "<title>m9m-sandbox: ");
	report_text(out, record_text(r->result, "run"));
	fprintf(out, "</title><style>%s</style>\n", style);
	put_head(out, r);
	put_notes(out, r);
	put_figures(out, r);
	put_table(out, r, "Denied", denials, find(r->result, "denials"),
		  record_number(r->result, "more_denials"), "denials");
	report_chart(out, r);
	put_table(out, r, "Connections", connections,
		  find(r->result, "network.connections"),
		  number_at(r->result, "network.more_connections"),
		  "connections");
	put_table(out, r, "Commands", commands,
		  find(r->result, "commands.executed"),
		  number_at(r->result, "commands.more_executed"), "executions");
	put_table(out, r, "Changed files", changes, r->changes, r->more_changes,
		  "changes");
	put_table(out, r, "Not in the archive", skipped, r->skipped,
		  (double)r->more_skipped, "that are not in it");
	put_answer(out, r);
	put_events(out, r);
	put_layers(out, r);
}

struct job {
	const char *source;
	int source_fd, page_fd;
};

static int work(const void *arg, void *done)
{
	const struct job *job = arg;
	struct record *record = record_read(job->source_fd);
	FILE *out = record ? fdopen(job->page_fd, "w") : NULL;

	if (record == NULL)
		return record_blame(job->source);
	if (out)
		put_page(out, record);
	if (!out || fclose(out) != 0)
		return fail(errno, "cannot write the page");
	record_free(record);
	*(bool *)done = true;
	return 0;
}

int report_write(const char *path, const char *source)
{
	auto_fd int source_fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK |
						 O_NOCTTY);
	auto_fd int page_fd = memfd_create("page", MFD_CLOEXEC);
	const struct job job = { source, source_fd, page_fd };
	const int keep[] = { source_fd, page_fd };
	/* It parses what anybody wrote: root's rights are of no use to it. */
	const struct confined child = { .name = "writer of the page",
					.uid = CONFINED_NOBODY,
					.gid = CONFINED_NOBODY,
					.keep = keep,
					.n_keep = ARRAY_SIZE(keep),
					.work = work,
					.arg = &job };
	auto_free char *page = NULL;
	struct stat st;
	bool done;

	if (source_fd < 0 || fstat(source_fd, &st) < 0)
		return fail(errno, "cannot open %s", source);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return fail(0, "cannot read %s: it is no file, or empty",
			    source);
	if (page_fd < 0)
		return fail(errno, "cannot make room for the page");
	if (record_is_archive(source_fd) && unpack_load() < 0)
		return -1;
	if (confined_run(&child, &done, sizeof(done)) < 0)
		return -1;
	if (lseek(page_fd, 0, SEEK_SET) < 0 ||
	    !(page = read_fd(page_fd, PAGE_MAX, NULL)))
		return fail(errno, "cannot read the page");
	return result_write(path, -1, page);
}
