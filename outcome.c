/* SPDX-License-Identifier: MIT */
#include "outcome.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netaddr.h"

/* Longest text of the payload's choosing that a group keeps. */
#define TEXT_MAX 1024

static const char *const status_names[] = {
	[OUTCOME_OK] = "ok",           [OUTCOME_FAILED] = "failed",
	[OUTCOME_TIMEOUT] = "timeout", [OUTCOME_OOM] = "oom",
	[OUTCOME_KILLED] = "killed",   [OUTCOME_DENIED] = "denied",
	[OUTCOME_ERROR] = "error",
};
_Static_assert(ARRAY_SIZE(status_names) == OUTCOME_ERROR + 1,
	       "each status has a name");

const char *outcome_status_name(enum outcome_status status)
{
	return status_names[status];
}

/* NULL and "" are the same thing: nothing. */
static char *keep(const char *s)
{
	return s && *s ? xstrndup(s, TEXT_MAX) : NULL;
}

static bool same(const char *kept, const char *s)
{
	if (!kept || !s || !*s)
		return !kept && (!s || !*s);
	return strncmp(kept, s, TEXT_MAX) == 0;
}

/*
 * A zeroed element more at the end of a bounded vector, or NULL when it is
 * full: then *more counts.  Growing by one is fine, there are so few.
 */
static void *add_group(void *vector_ptr, size_t *n, size_t size, uint64_t *more)
{
	char **vector = vector_ptr;
	char *element;

	if (*n == OUTCOME_GROUPS_MAX) {
		++*more;
		return NULL;
	}
	*vector = xrealloc_array(*vector, *n + 1, size);
	element = *vector + *n * size;
	++*n;
	return memset(element, 0, size);
}

static struct outcome_connection *find_connection(const struct outcome *outcome,
						  const struct net_event *event)
{
	for (size_t i = 0; i < outcome->n_connections; i++) {
		struct outcome_connection *c = &outcome->connections[i];

		/* A name may have many addresses; it is one peer. */
		if (c->port == event->port &&
		    c->inbound == (event->inbound != 0) &&
		    same(c->name, event->name) &&
		    (c->name || same(c->addr, event->addr)))
			return c;
	}
	return NULL;
}

static void add_connect(struct outcome *outcome, const struct net_event *event)
{
	struct outcome_connection *c = find_connection(outcome, event);

	outcome->connect_allowed++;
	if (!c) {
		c = add_group(&outcome->connections, &outcome->n_connections,
			      sizeof(*c), &outcome->more_connections);
		if (!c)
			return;
		c->name = keep(event->name);
		c->addr = keep(event->addr);
		c->port = event->port;
		c->inbound = event->inbound != 0;
	}
	c->count++;
	c->failed += event->error != 0;
}

static void add_close(struct outcome *outcome, const struct net_event *event)
{
	struct outcome_connection *c = find_connection(outcome, event);

	outcome->bytes_out += event->bytes_out;
	outcome->bytes_in += event->bytes_in;
	if (!c)
		return;
	c->bytes_out += event->bytes_out;
	c->bytes_in += event->bytes_in;
}

static void add_dns(struct outcome *outcome, const struct net_event *event)
{
	/* Only a refused question has a reason. */
	if (!event->reason[0]) {
		outcome->dns_allowed++;
		return;
	}
	outcome->dns_denied++;
	outcome_add_denial(outcome, "dns", event->name, event->reason,
			   event->remedy);
}

static void add_denied(struct outcome *outcome, const struct net_event *event)
{
	const char *peer = event->name[0] ? event->name : event->addr;
	auto_free char *what = netaddr_with_port(peer, event->port);

	outcome->connect_denied++;
	outcome_add_denial(outcome, "connect", what, event->reason,
			   event->remedy);
}

static void add_limit(struct outcome *outcome, const struct net_event *event)
{
	/* A flood inside must not keep the warnings of others out. */
	if (outcome->warnings.n < OUTCOME_GROUPS_MAX / 2)
		outcome_add_warning(outcome, "network: %s", event->reason);
}

bool outcome_add_net(struct outcome *outcome, const struct net_event *event)
{
	static void (*const adders[])(struct outcome *,
				      const struct net_event *) = {
		[NET_EVENT_DNS] = add_dns,
		[NET_EVENT_CONNECT] = add_connect,
		[NET_EVENT_DENIED] = add_denied,
		[NET_EVENT_CLOSE] = add_close,
		[NET_EVENT_LIMIT] = add_limit,
	};
	size_t known = outcome->n_connections;
	struct net_event e = *event;

	/*
	 * The relay parses hostile bytes, so what it says is checked here: the
	 * kind, and that each text ends.
	 */
	e.name[sizeof(e.name) - 1] = '\0';
	e.addr[sizeof(e.addr) - 1] = '\0';
	e.reason[sizeof(e.reason) - 1] = '\0';
	e.remedy[sizeof(e.remedy) - 1] = '\0';
	if ((size_t)e.kind < ARRAY_SIZE(adders))
		adders[e.kind](outcome, &e);
	return outcome->n_connections > known;
}

void outcome_add_denial(struct outcome *outcome, const char *kind,
			const char *what, const char *reason,
			const char *remedy)
{
	struct outcome_denial *d;

	for (size_t i = 0; i < outcome->n_denials; i++) {
		d = &outcome->denials[i];
		if (strcmp(d->kind, kind) == 0 && same(d->what, what) &&
		    same(d->reason, reason) && same(d->remedy, remedy)) {
			d->count++;
			return;
		}
	}
	d = add_group(&outcome->denials, &outcome->n_denials, sizeof(*d),
		      &outcome->more_denials);
	if (!d)
		return;
	*d = (struct outcome_denial){
		.kind = kind,
		.what = keep(what),
		.reason = keep(reason),
		.remedy = keep(remedy),
		.count = 1,
	};
}

bool outcome_add_command(struct outcome *outcome, const char *path,
			 const char *args)
{
	struct outcome_command *c;

	outcome->exec_allowed++;
	for (size_t i = 0; i < outcome->n_commands; i++) {
		c = &outcome->commands[i];
		if (same(c->path, path)) {
			c->count++;
			return false;
		}
	}
	c = add_group(&outcome->commands, &outcome->n_commands, sizeof(*c),
		      &outcome->more_commands);
	if (!c)
		return false;
	c->path = keep(path);
	c->args = keep(args);
	c->count = 1;
	return true;
}

void outcome_add_warning(struct outcome *outcome, const char *fmt, ...)
{
	auto_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);

	if (text && outcome->warnings.n < OUTCOME_GROUPS_MAX &&
	    !strv_has(&outcome->warnings, text))
		strv_push(&outcome->warnings, take_ptr(&text));
}

char *outcome_left_out(const char *of, uint64_t n, const char *more)
{
	return xasprintf("not in the archive%s: %llu %s%s", of,
			 (unsigned long long)n,
			 n == 1 ? "file or folder" : "files or folders", more);
}

void outcome_add_usage(struct outcome *outcome,
		       const struct cgroup_usage *usage)
{
	if (usage->memory_peak)
		outcome->memory_peak = usage->memory_peak;
	if (usage->cpu_user_ms + usage->cpu_sys_ms) {
		outcome->cpu_user_ms = usage->cpu_user_ms;
		outcome->cpu_sys_ms = usage->cpu_sys_ms;
	}
	outcome->pids_peak = usage->pids_peak;
	outcome->io_read = usage->io_read;
	outcome->io_written = usage->io_written;
}

bool outcome_add_limit(struct outcome *outcome, const char *what)
{
	if (strv_has(&outcome->limits, what))
		return false;
	strv_push(&outcome->limits, xstrdup(what));
	return true;
}

static void free_groups(struct outcome *outcome)
{
	for (size_t i = 0; i < outcome->n_connections; i++) {
		free(outcome->connections[i].name);
		free(outcome->connections[i].addr);
	}
	for (size_t i = 0; i < outcome->n_denials; i++) {
		free(outcome->denials[i].what);
		free(outcome->denials[i].reason);
		free(outcome->denials[i].remedy);
	}
	for (size_t i = 0; i < outcome->n_commands; i++) {
		free(outcome->commands[i].path);
		free(outcome->commands[i].args);
	}
	free(outcome->connections);
	free(outcome->denials);
	free(outcome->commands);
}

void outcome_free(struct outcome *outcome)
{
	free_groups(outcome);
	free(outcome->started_at);
	free(outcome->answer.text);
	free(outcome->audit_path);
	free(outcome->kept_workdir);
	cleanup_fd(&outcome->patch_fd);
	artifact_free(&outcome->artifact);
	strv_free(&outcome->warnings);
	strv_free(&outcome->degraded);
	strv_free(&outcome->limits);
	strv_free(&outcome->layers);
	*outcome = OUTCOME_NONE;
}
