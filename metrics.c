/* SPDX-License-Identifier: MIT */
#include "metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "err.h"
#include "replace.h"

#define PREFIX    "m9m_sandbox_"
#define FILE_NAME "m9m_sandbox.prom"
#define LOCK_NAME ".m9m_sandbox.lock"
/* What versions before replace.c left when they were killed. */
#define OLD_TEMP  ".m9m_sandbox.prom.tmp"
/* A comment to Prometheus; to us, that nothing was cut off. */
#define END       "# EOF\n"
#define FILE_MAX  (1024 * 1024)
#define LOCK_MS   5000

enum family {
	RUNS,
	DURATION,
	CPU,
	MEMORY,
	CONNECTIONS,
	DNS,
	COMMANDS,
	BYTES,
	LAST
};

static const struct {
	const char *name, *type, *help;
} families[] = {
	[RUNS] = { "runs_total", "counter", "Runs that ended." },
	[DURATION] = { "run_duration_seconds", "histogram",
		       "Wall clock of runs." },
	[CPU] = { "cpu_seconds_total", "counter",
		  "CPU time of runs, user and system." },
	[MEMORY] = { "memory_peak_bytes", "gauge",
		     "Largest memory peak of any run." },
	[CONNECTIONS] = { "connections_total", "counter",
			  "Network connections, by verdict." },
	[DNS] = { "dns_questions_total", "counter",
		  "DNS questions, by verdict." },
	[COMMANDS] = { "commands_total", "counter",
		       "Programs executed, by verdict." },
	[BYTES] = { "relayed_bytes_total", "counter",
		    "Bytes through the relay, by direction." },
	[LAST] = { "last_run_timestamp_seconds", "gauge",
		   "When a run last ended." },
};
_Static_assert(ARRAY_SIZE(families) == LAST + 1, "each family has a name");

static const char *const bounds[] = { "1",   "5",    "15",    "60",  "300",
				      "900", "3600", "14400", "+Inf" };

struct sample {
	char *series; /* as in the file, the prefix left out */
	double value;
};

struct samples {
	struct sample *v;
	size_t n;
};

static void add_sample(struct samples *s, const char *series, double value)
{
	s->v = xrealloc_array(s->v, s->n + 1, sizeof(*s->v));
	s->v[s->n++] = (struct sample){ xstrdup(series), value };
}

static double *find(struct samples *s, const char *series)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].series, series) == 0)
			return &s->v[i].value;
	add_sample(s, series, 0);
	return &s->v[s->n - 1].value;
}

static void free_samples(struct samples *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].series);
	free(s->v);
}

/*** Reading ***/

static bool is_of(const char *series, size_t family)
{
	size_t n = strlen(families[family].name);
	const char *rest = series + n;

	return strncmp(series, families[family].name, n) == 0 &&
	       (*rest == '{' || *rest == '\0' ||
		strncmp(rest, "_bucket{", 8) == 0 ||
		strncmp(rest, "_sum{", 5) == 0 ||
		strncmp(rest, "_count{", 7) == 0);
}

static bool is_known(const char *series)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (is_of(series, i))
			return true;
	return false;
}

/* "m9m_sandbox_x{...} 12"; a comment is nothing. */
static bool read_line(struct samples *s, char *line)
{
	char *blank = strrchr(line, ' '), *end;
	double value;

	if (line[0] == '#')
		return true;
	if (!blank || strncmp(line, PREFIX, strlen(PREFIX)) != 0)
		return false;
	*blank = '\0';
	value = strtod(blank + 1, &end);
	if (end == blank + 1 || *end || !(value >= 0 && value < 1e300) ||
	    !is_known(line + strlen(PREFIX)))
		return false;
	add_sample(s, line + strlen(PREFIX), value);
	return true;
}

/*
 * The exporter's folder may be another user's, who puts in this place a fifo to
 * hang us, or a link to a file whose first line our complaint would show.
 */
static int read_samples(int dir_fd, struct samples *s)
{
	auto_free char *text = read_plain(dir_fd, FILE_NAME, O_NOFOLLOW,
					  FILE_MAX);
	char *save = NULL, *end;

	if (!text && errno == ENOENT)
		return 0;
	if (!text)
		return fail(errno, "cannot read %s", FILE_NAME);
	end = strstr(text, END);
	if (!end || end[strlen(END)])
		return fail(0, "%s is damaged: it has no end", FILE_NAME);
	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (!read_line(s, line))
			return fail(0, "%s is damaged: \"%.60s\"", FILE_NAME,
				    line);
	return 0;
}

/*** A run ***/

__attribute__((format(printf, 3, 4))) static void
add(struct samples *s, double value, const char *fmt, ...)
{
	auto_free char *series = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&series, fmt, ap) < 0)
		abort(); /* out of memory, as in util.h */
	va_end(ap);
	*find(s, series) += value;
}

static void add_duration(struct samples *s, const char *agent, double seconds)
{
	const char *name = families[DURATION].name;

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++)
		add(s, seconds <= strtod(bounds[i], NULL),
		    "%s_bucket{agent=\"%s\",le=\"%s\"}", name, agent,
		    bounds[i]);
	add(s, seconds, "%s_sum{agent=\"%s\"}", name, agent);
	add(s, 1, "%s_count{agent=\"%s\"}", name, agent);
}

static void add_pair(struct samples *s, enum family family, const char *label,
		     const char *const names[2], const uint64_t values[2])
{
	for (int i = 0; i < 2; i++)
		add(s, (double)values[i], "%s{%s=\"%s\"}",
		    families[family].name, label, names[i]);
}

static void add_run(struct samples *s, const char *agent,
		    const struct outcome *o)
{
	static const char *const verdicts[] = { "allowed", "denied" };
	static const char *const ways[] = { "out", "in" };
	double *peak;
	auto_free char *series = xasprintf("%s{agent=\"%s\"}",
					   families[MEMORY].name, agent);

	add(s, 1, "%s{agent=\"%s\",status=\"%s\"}", families[RUNS].name, agent,
	    outcome_status_name(o->status));
	add_duration(s, agent, (double)o->duration_ms / 1000);
	add(s, (double)(o->cpu_user_ms + o->cpu_sys_ms) / 1000,
	    "%s{agent=\"%s\"}", families[CPU].name, agent);
	peak = find(s, series);
	if ((double)o->memory_peak > *peak)
		*peak = (double)o->memory_peak;
	add_pair(s, CONNECTIONS, "verdict", verdicts,
		 (uint64_t[]){ o->connect_allowed, o->connect_denied });
	add_pair(s, DNS, "verdict", verdicts,
		 (uint64_t[]){ o->dns_allowed, o->dns_denied });
	add_pair(s, COMMANDS, "verdict", verdicts,
		 (uint64_t[]){ o->exec_allowed, o->exec_denied });
	add_pair(s, BYTES, "direction", ways,
		 (uint64_t[]){ o->bytes_out, o->bytes_in });
	*find(s, families[LAST].name) = (double)now_ms(CLOCK_REALTIME) / 1000;
}

/*** Writing ***/

static char *print(const struct samples *s)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort(); /* out of memory, as in util.h */
	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n",
			families[f].name, families[f].help, families[f].name,
			families[f].type);
		for (size_t i = 0; i < s->n; i++)
			if (is_of(s->v[i].series, f))
				fprintf(out, PREFIX "%s %.15g\n",
					s->v[i].series, s->v[i].value);
	}
	fputs(END, out);
	fclose(out);
	return text;
}

/* For whoever scrapes it, whatever the umask is here. */
static int replace(int dir_fd, const char *text)
{
	mode_t mask = umask(022);
	int rc = replace_file(dir_fd, FILE_NAME, text, strlen(text));
	int err = errno;

	umask(mask);
	/* Nobody else writes it: we have the lock that they took too. */
	(void)unlinkat(dir_fd, OLD_TEMP, 0);
	return rc == 0 ? 0 : fail(err, "cannot write %s", FILE_NAME);
}

static int open_dir(const char *dir, int *lock_fd)
{
	auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		*lock_fd = openat(fd, LOCK_NAME,
				  O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
				  0644);
	if (fd >= 0 && *lock_fd >= 0)
		return take_fd(&fd);
	fail(errno, "cannot keep metrics in %s", dir);
	return fail_remedy("--metrics-dir names a folder that is there and can "
			   "be written");
}

int metrics_check(const char *dir)
{
	auto_fd int lock_fd = -1, dir_fd = open_dir(dir, &lock_fd);

	return dir_fd < 0 ? -1 : 0;
}

int metrics_add(const char *dir, const char *agent,
		const struct outcome *outcome)
{
	auto_fd int lock_fd = -1, dir_fd = open_dir(dir, &lock_fd);
	auto_free char *text = NULL;
	struct samples samples = { 0 };
	int rc = -1;

	if (dir_fd < 0)
		return -1;
	if (!audit_lock(lock_fd, LOCK_MS))
		return fail(0, "cannot lock the metrics in %s", dir);
	if (read_samples(dir_fd, &samples) == 0) {
		add_run(&samples, agent ? agent : "none", outcome);
		text = print(&samples);
		rc = replace(dir_fd, text);
	}
	free_samples(&samples);
	return rc;
}
