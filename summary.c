/* SPDX-License-Identifier: MIT */
#include "summary.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "human.h"
#include "netaddr.h"
#include "text.h"

#define COLUMNS  80
#define LABEL    11 /* width of the label column, two blanks before it */
#define BODY     (COLUMNS - LABEL - 2)
/* What is left for a name after "%4dx  " and before what follows it. */
#define PEER     (BODY - 7 - 2 - 27)
#define WHAT     (BODY - 7 - 2 - 24)
/* Rows of one kind; the result and the events have them all. */
#define ROWS_MAX 8

enum paint { PLAIN, BOLD, DIM, GREEN, YELLOW, RED };

static const char *const paints[] = {
	[PLAIN] = "",         [BOLD] = "\033[1m",    [DIM] = "\033[2m",
	[GREEN] = "\033[32m", [YELLOW] = "\033[33m", [RED] = "\033[31m",
};

struct page {
	FILE *out;
	bool color;
	bool utf8;         /* the reader's terminal takes UTF-8 */
	const char *label; /* of the next row; NULL: the same as before */
	enum paint paint;  /* of the label */
};

/*** Words ***/

/* The locale of the environment, without the cost of loading it. */
static bool speaks_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return strcasestr(value, "utf-8") ||
			       strcasestr(value, "utf8");
	}
	return false;
}

static char *count_of(uint64_t n, const char *one, const char *many)
{
	return xasprintf("%" PRIu64 " %s", n, n == 1 ? one : many);
}

/* "SIGTERM (15)"; the name alone would not do for real-time signals. */
static char *signal_name(int number)
{
	const char *abbreviation = sigabbrev_np(number);

	if (!abbreviation)
		return xasprintf("signal %d", number);
	return xasprintf("SIG%s (%d)", abbreviation, number);
}

/*** Rows ***/

static const char *paint(const struct page *page, enum paint color)
{
	return page->color ? paints[color] : "";
}

static const char *unpaint(const struct page *page)
{
	return page->color ? "\033[0m" : "";
}

static void section(struct page *page, const char *label, enum paint color)
{
	page->label = label;
	page->paint = color;
}

/* The left column; padding is outside the paint. */
static void put_label(struct page *page)
{
	const char *label = page->label ? page->label : "";
	enum paint color = page->label ? page->paint : PLAIN;

	fprintf(page->out, "  %s%s%s%*s", paint(page, color), label,
		color == PLAIN ? "" : unpaint(page),
		(int)(LABEL - strlen(label)), "");
	page->label = NULL;
}

/* One row of words that are ours or have been made visible. */
__attribute__((format(printf, 2, 3))) static void row(struct page *page,
						      const char *fmt, ...)
{
	va_list ap;

	put_label(page);
	va_start(ap, fmt);
	vfprintf(page->out, fmt, ap);
	va_end(ap);
	fputc('\n', page->out);
}

/*
 * A text of any length over as many rows as it takes, broken at blanks only, so
 * that a path or a flag in it can still be copied whole.
 */
static void paragraph(struct page *page, const char *text)
{
	auto_free char *visible = text_visible(text, page->utf8);
	char *line = visible;

	while (text_width(line) > BODY) {
		char *p = line, *blank = NULL;

		for (size_t width = 0; *p && (!blank || width <= BODY); p++) {
			width += (*p & 0xc0) != 0x80;
			if (*p == ' ' && p > line)
				blank = p;
		}
		if (!blank)
			break;
		*blank = '\0';
		row(page, "%s", line);
		line = blank + 1;
	}
	row(page, "%s", line);
}

/* Cut in the middle to `max` columns: both ends of a name tell something. */
static char *shorten(const struct page *page, const char *text, size_t max)
{
	char *visible = text_visible(text, page->utf8);
	size_t width = text_width(visible);
	char *from = visible, *rest = visible;

	if (width <= max)
		return visible;
	for (size_t i = 0; i < max / 2 - 1; i++)
		while ((*++from & 0xc0) == 0x80)
			;
	for (size_t i = 0; i < width - (max - max / 2 - 2); i++)
		while ((*++rest & 0xc0) == 0x80)
			;
	memmove(from + 3, rest, strlen(rest) + 1);
	from[0] = from[1] = from[2] = '.';
	return visible;
}

/* Widest of the first column, so that the second one lines up. */
static size_t widen(size_t width, const char *visible, size_t max)
{
	size_t own = text_width(visible);

	if (own > width)
		width = own;
	return width > max ? max : width;
}

static int pad(const char *visible, size_t width)
{
	size_t own = text_width(visible);

	return own < width ? (int)(width - own) : 0;
}

/* Times, as in the rows before: what found no group is known by its number only. */
static void put_more(struct page *page, uint64_t more, const char *what)
{
	if (more)
		row(page, "and %" PRIu64 " more %s (see the events)", more,
		    what);
}

/*** Sections ***/

static const struct verdict {
	const char *verb, *words;
	enum paint paint;
} verdicts[] = {
	[OUTCOME_OK] = { "finished", "ok", GREEN },
	[OUTCOME_FAILED] = { "finished", "failed", RED },
	[OUTCOME_TIMEOUT] = { "stopped", "time is up", RED },
	[OUTCOME_OOM] = { "killed", "out of memory", RED },
	[OUTCOME_KILLED] = { "stopped", "by a signal to us", RED },
	[OUTCOME_DENIED] = { "stopped", "not allowed to run", RED },
	[OUTCOME_ERROR] = { "stopped", "sandbox error", RED },
};
_Static_assert(ARRAY_SIZE(verdicts) == OUTCOME_ERROR + 1,
	       "each status has its words");

static void put_headline(struct page *page, const char *run_label,
			 const struct outcome *o)
{
	auto_free char *label = shorten(page, run_label, 30);
	auto_free char *time = human_time(o->duration_ms);
	const struct verdict *verdict = &verdicts[o->status];

	fprintf(page->out, "%sm9m-sandbox: %s%s %s: %s%s%s, exit %d",
		paint(page, BOLD), label, unpaint(page),
		o->started ? verdict->verb : "did not start",
		paint(page, verdict->paint), verdict->words, unpaint(page),
		o->exit_code);
	if (o->payload_signal) {
		auto_free char *name = signal_name(o->payload_signal);

		fprintf(page->out, ", %s", name);
	}
	if (o->started)
		fprintf(page->out, ", %s", time);
	fputc('\n', page->out);
}

static void put_error(struct page *page, const struct outcome *o)
{
	const struct err_record *error = &o->error;
	auto_free char *text = NULL;

	if (!error->message[0])
		return;
	section(page, "error", RED);
	text = xasprintf("%s%s%s", error->stage, error->stage[0] ? ": " : "",
			 error->message);
	paragraph(page, text);
	if (error->remedy[0]) {
		section(page, "remedy", BOLD);
		paragraph(page, error->remedy);
	}
}

/* The most frequent first, else in the order in which they came. */
static int compare_commands(const void *a, const void *b)
{
	const struct outcome_command *x = *(struct outcome_command *const *)a;
	const struct outcome_command *y = *(struct outcome_command *const *)b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return (x > y) - (x < y);
}

static void put_commands(struct page *page, const struct outcome *o)
{
	const struct outcome_command *sorted[OUTCOME_GROUPS_MAX] = { NULL };
	uint64_t more = o->more_commands;

	for (size_t i = 0; i < o->n_commands; i++)
		sorted[i] = &o->commands[i];
	qsort(sorted, o->n_commands, sizeof(sorted[0]), compare_commands);
	section(page, "ran", BOLD);
	for (size_t i = 0; i < o->n_commands && i < ROWS_MAX; i++) {
		const struct outcome_command *c = sorted[i];
		auto_free char *line = xasprintf(
		    "%s%s%s", c->path ? c->path : "?", c->args ? " " : "",
		    c->args ? c->args : "");
		auto_free char *visible = shorten(page, line, BODY - 7);

		row(page, "%4" PRIu64 "x  %s", c->count, visible);
	}
	for (size_t i = ROWS_MAX; i < o->n_commands; i++)
		more += sorted[i]->count;
	put_more(page, more, "executions");
}

static char *peer_of(const struct page *page,
		     const struct outcome_connection *c)
{
	const char *host = c->name ? c->name : c->addr ? c->addr : "?";
	auto_free char *whole = c->inbound
				    ? xasprintf("published port %u", c->port)
				    : netaddr_with_port(host, c->port);

	return shorten(page, whole, PEER);
}

static void put_connection(struct page *page,
			   const struct outcome_connection *c, size_t width)
{
	auto_free char *peer = peer_of(page, c);
	auto_free char *out = human_bytes(c->bytes_out);
	auto_free char *in = human_bytes(c->bytes_in);

	if (c->failed == c->count)
		row(page, "%4" PRIu64 "x  %s%*s  %sfailed%s", c->count, peer,
		    pad(peer, width), "", paint(page, YELLOW), unpaint(page));
	else
		row(page, "%4" PRIu64 "x  %s%*s  %9s out  %9s in", c->count,
		    peer, pad(peer, width), "", out, in);
}

static void put_connections(struct page *page, const struct outcome *o)
{
	size_t rows = o->n_connections < ROWS_MAX ? o->n_connections : ROWS_MAX;
	uint64_t more = o->more_connections;
	size_t width = 0;

	section(page, "connected", BOLD);
	for (size_t i = 0; i < rows; i++) {
		auto_free char *peer = peer_of(page, &o->connections[i]);

		width = widen(width, peer, PEER);
	}
	for (size_t i = 0; i < rows; i++)
		put_connection(page, &o->connections[i], width);
	for (size_t i = rows; i < o->n_connections; i++)
		more += o->connections[i].count;
	put_more(page, more, "connections");
	/* Without a network of its own nobody could have seen. */
	if (rows == 0)
		row(page, "%s",
		    strv_has(&o->layers, OUTCOME_LAYER_NETWORK)
			? "to nothing"
			: "not recorded: it used the host's network");
}

static void put_denial(struct page *page, const struct outcome_denial *d,
		       size_t width)
{
	auto_free char *what = shorten(page, d->what ? d->what : "?", WHAT);
	auto_free char *reason = shorten(page, d->reason ? d->reason : d->kind,
					 BODY - 7 - 2 - width);
	auto_free char *remedy = NULL;

	row(page, "%4" PRIu64 "x  %s%*s  %s", d->count, what, pad(what, width),
	    "", reason);
	if (!d->remedy)
		return;
	remedy = text_visible(d->remedy, page->utf8);
	row(page, "       %sto allow it: %s%s", paint(page, DIM), remedy,
	    unpaint(page));
}

static void put_denials(struct page *page, const struct outcome *o)
{
	size_t rows = o->n_denials < ROWS_MAX ? o->n_denials : ROWS_MAX;
	uint64_t more = o->more_denials;
	size_t width = 0;

	section(page, "denied", YELLOW);
	for (size_t i = 0; i < rows; i++) {
		const char *text = o->denials[i].what;
		auto_free char *what = shorten(page, text ? text : "?", WHAT);

		width = widen(width, what, WHAT);
	}
	for (size_t i = 0; i < rows; i++)
		put_denial(page, &o->denials[i], width);
	for (size_t i = rows; i < o->n_denials; i++)
		more += o->denials[i].count;
	put_more(page, more, "denials");
}

static void put_use(struct page *page, const struct outcome *o)
{
	auto_free char *cpu = human_time(o->cpu_user_ms + o->cpu_sys_ms);
	auto_free char *memory = human_bytes(o->memory_peak);
	auto_free char *pids = count_of(o->pids_peak, "process", "processes");

	section(page, "used", BOLD);
	row(page, "%s of CPU%s%s%s%s%s", cpu, o->memory_peak ? ", " : "",
	    o->memory_peak ? memory : "", o->memory_peak ? " at its peak" : "",
	    o->pids_peak ? ", " : "", o->pids_peak ? pids : "");
}

/* By the name of the option; --output has a row of its own. */
static void put_limits(struct page *page, const struct outcome *o)
{
	section(page, "capped", YELLOW);
	for (size_t i = 0; i < o->limits.n; i++)
		if (strcmp(o->limits.v[i], "output") != 0)
			row(page, "%s: all of it was used (--%s allows more)",
			    o->limits.v[i], o->limits.v[i]);
}

static void put_output(struct page *page, const struct outcome *o)
{
	auto_free char *bytes = human_bytes(o->stdout_bytes + o->stderr_bytes);

	if (!o->output_truncated)
		return;
	section(page, "output", YELLOW);
	row(page, "%s in all, more than was kept (--output)", bytes);
}

static void put_changes(struct page *page, const struct outcome *o)
{
	const struct changes_summary *c = &o->changes;

	if (!c->made || !(c->added | c->modified | c->deleted | c->renamed))
		return;
	section(page, "changes", BOLD);
	row(page, "%llu added, %llu modified, %llu deleted, %llu renamed",
	    (unsigned long long)c->added, (unsigned long long)c->modified,
	    (unsigned long long)c->deleted, (unsigned long long)c->renamed);
	if (c->n_control == 0)
		return;
	section(page, "look at these first", YELLOW);
	for (size_t i = 0; i < c->n_control && i < CHANGES_SHOWN; i++)
		row(page, "%s: %s", c->control[i].path, c->control[i].what);
	if (c->n_control > CHANGES_SHOWN)
		row(page, "and %llu more",
		    (unsigned long long)c->n_control - CHANGES_SHOWN);
}

static void put_artifact(struct page *page, const struct outcome *o)
{
	const struct artifact *a = &o->artifact;
	auto_free char *bytes = human_bytes(a->bytes);
	auto_free char *files = count_of(a->files, "file", "files");

	section(page, "artifact", BOLD);
	if (a->path) {
		paragraph(page, a->path);
		row(page, "%s, %s%s", files, bytes,
		    a->skipped || a->left_out
			? ", some left out: see skipped.txt in it"
			: "");
	}
	if (o->kept_workdir) {
		section(page, "kept", YELLOW);
		paragraph(page, o->kept_workdir);
	}
}

static void put_layers(struct page *page, const struct outcome *o)
{
	section(page, "degraded", RED);
	for (size_t i = 0; i < o->degraded.n; i++)
		paragraph(page, o->degraded.v[i]);
	section(page, "warning", YELLOW);
	for (size_t i = 0; i < o->warnings.n && i < ROWS_MAX; i++)
		paragraph(page, o->warnings.v[i]);
	if (o->warnings.n > ROWS_MAX)
		row(page, "and %zu more (see the result)",
		    o->warnings.n - ROWS_MAX);
}

void summary_print(FILE *out, const char *run_label,
		   const struct outcome *outcome, bool color)
{
	static void (*const always[])(struct page *, const struct outcome *) = {
		put_error,
		put_artifact,
		put_layers,
	};
	static void (*const started[])(struct page *,
				       const struct outcome *) = {
		put_error,    put_commands, put_connections, put_denials,
		put_use,      put_limits,   put_output,      put_changes,
		put_artifact, put_layers,
	};
	auto_free char *text = NULL;
	size_t size;
	struct page page = { .out = open_memstream(&text, &size),
			     .color = color,
			     .utf8 = speaks_utf8() };

	if (!page.out)
		abort(); /* out of memory, as in util.h */
	put_headline(&page, run_label, outcome);
	if (outcome->started)
		for (size_t i = 0; i < ARRAY_SIZE(started); i++)
			started[i](&page, outcome);
	else
		for (size_t i = 0; i < ARRAY_SIZE(always); i++)
			always[i](&page, outcome);
	fclose(page.out);
	/* One write, so that nothing of another process comes in between. */
	fwrite(text, 1, size, out);
	fflush(out);
}
