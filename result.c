/* SPDX-License-Identifier: MIT */
#include "result.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replace.h"
#include "text.h"

static cJSON *text(const char *s)
{
	auto_free char *clean = text_utf8(s, strlen(s));

	return cJSON_CreateString(clean);
}

/* Exact to 64 bits: cJSON's own numbers are doubles. */
static cJSON *number(uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
	return cJSON_CreateRaw(digits);
}

static void add_text(cJSON *object, const char *key, const char *s)
{
	cJSON_AddItemToObject(object, key,
			      s && *s ? text(s) : cJSON_CreateNull());
}

static void add_number(cJSON *object, const char *key, uint64_t value)
{
	cJSON_AddItemToObject(object, key, number(value));
}

/* Zero of these means that nobody could tell. */
static void add_known(cJSON *object, const char *key, uint64_t value)
{
	cJSON_AddItemToObject(object, key,
			      value ? number(value) : cJSON_CreateNull());
}

static void add_strings(cJSON *object, const char *key, const struct strv *sv)
{
	cJSON *array = cJSON_AddArrayToObject(object, key);

	for (size_t i = 0; i < sv->n; i++)
		cJSON_AddItemToArray(array, text(sv->v[i]));
}

static void add_end(cJSON *result, const struct outcome *o)
{
	cJSON_AddStringToObject(result, "status",
				outcome_status_name(o->status));
	add_text(result, "stage", o->error.stage);
	add_text(result, "message", o->error.message);
	add_text(result, "remedy", o->error.remedy);
	cJSON_AddBoolToObject(result, "started", o->started);
	cJSON_AddNumberToObject(result, "exit_code", o->exit_code);
	/* Before its execve the payload's process is ours, and so is how it
	 * ends. */
	cJSON_AddItemToObject(result, "payload_exit_code",
			      o->started && o->payload_code >= 0
				  ? number((uint64_t)o->payload_code)
				  : cJSON_CreateNull());
	add_known(result, "signal",
		  o->started ? (uint64_t)o->payload_signal : 0);
}

static void add_cost(cJSON *result, const struct outcome *o)
{
	cJSON *output;

	add_text(result, "started_at", o->started_at);
	add_number(result, "duration_ms", o->duration_ms);
	add_number(result, "cpu_ms", o->cpu_user_ms + o->cpu_sys_ms);
	add_number(result, "cpu_user_ms", o->cpu_user_ms);
	add_number(result, "cpu_system_ms", o->cpu_sys_ms);
	add_known(result, "memory_peak", o->memory_peak);
	add_known(result, "pids_peak", o->pids_peak);
	add_known(result, "io_read_bytes", o->io_read);
	add_known(result, "io_written_bytes", o->io_written);

	output = cJSON_AddObjectToObject(result, "output");
	add_number(output, "stdout_bytes", o->stdout_bytes);
	add_number(output, "stderr_bytes", o->stderr_bytes);
	cJSON_AddBoolToObject(output, "truncated", o->output_truncated);
}

static void add_network(cJSON *result, const struct outcome *o)
{
	cJSON *network = cJSON_AddObjectToObject(result, "network");
	cJSON *list;

	add_number(network, "dns_allowed", o->dns_allowed);
	add_number(network, "dns_denied", o->dns_denied);
	add_number(network, "connect_allowed", o->connect_allowed);
	add_number(network, "connect_denied", o->connect_denied);
	add_number(network, "bytes_out", o->bytes_out);
	add_number(network, "bytes_in", o->bytes_in);
	list = cJSON_AddArrayToObject(network, "connections");
	for (size_t i = 0; i < o->n_connections; i++) {
		const struct outcome_connection *c = &o->connections[i];
		cJSON *item = cJSON_CreateObject();

		add_text(item, "name", c->name);
		add_text(item, "addr", c->addr);
		add_number(item, "port", c->port);
		if (c->inbound)
			cJSON_AddStringToObject(item, "direction", "in");
		add_number(item, "count", c->count);
		add_number(item, "failed", c->failed);
		add_number(item, "bytes_out", c->bytes_out);
		add_number(item, "bytes_in", c->bytes_in);
		cJSON_AddItemToArray(list, item);
	}
	add_number(network, "more_connections", o->more_connections);
}

static void add_commands(cJSON *result, const struct outcome *o)
{
	cJSON *commands = cJSON_AddObjectToObject(result, "commands");
	cJSON *list;

	add_number(commands, "allowed", o->exec_allowed);
	add_number(commands, "denied", o->exec_denied);
	add_number(commands, "absent", o->exec_absent);
	list = cJSON_AddArrayToObject(commands, "executed");
	for (size_t i = 0; i < o->n_commands; i++) {
		const struct outcome_command *c = &o->commands[i];
		cJSON *item = cJSON_CreateObject();

		add_text(item, "path", c->path);
		add_text(item, "args", c->args);
		add_number(item, "count", c->count);
		cJSON_AddItemToArray(list, item);
	}
	add_number(commands, "more_executed", o->more_commands);
}

static void add_denials(cJSON *result, const struct outcome *o)
{
	cJSON *list = cJSON_AddArrayToObject(result, "denials");

	for (size_t i = 0; i < o->n_denials; i++) {
		const struct outcome_denial *d = &o->denials[i];
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "kind", d->kind);
		add_text(item, "what", d->what);
		add_text(item, "reason", d->reason);
		add_text(item, "remedy", d->remedy);
		add_number(item, "count", d->count);
		cJSON_AddItemToArray(list, item);
	}
	add_number(result, "more_denials", o->more_denials);
}

static void add_said(cJSON *object, const char *key, int64_t value)
{
	cJSON_AddItemToObject(object, key,
			      value == ANSWER_UNKNOWN
				  ? cJSON_CreateNull()
				  : number((uint64_t)value));
}

static void add_answer(cJSON *result, const struct outcome *o)
{
	const struct agent_answer *a = &o->answer;
	cJSON *answer;

	if (!a->found) {
		cJSON_AddNullToObject(result, "answer");
		return;
	}
	answer = cJSON_AddObjectToObject(result, "answer");
	add_text(answer, "text", a->text);
	cJSON_AddBoolToObject(answer, "truncated", a->truncated);
	cJSON_AddBoolToObject(answer, "failed", a->failed);
	add_said(answer, "turns", a->turns);
	add_said(answer, "tokens_in", a->tokens_in);
	add_said(answer, "tokens_cached", a->tokens_cached);
	add_said(answer, "tokens_out", a->tokens_out);
	cJSON_AddItemToObject(answer, "cost_usd",
			      a->cost_usd < 0
				  ? cJSON_CreateNull()
				  : cJSON_CreateNumber(a->cost_usd));
}

static void add_changes(cJSON *result, const struct changes_summary *c)
{
	cJSON *changes, *list;

	if (!c->made) {
		cJSON_AddNullToObject(result, "changes");
		return;
	}
	changes = cJSON_AddObjectToObject(result, "changes");
	add_number(changes, "added", c->added);
	add_number(changes, "modified", c->modified);
	add_number(changes, "deleted", c->deleted);
	add_number(changes, "renamed", c->renamed);
	cJSON_AddBoolToObject(changes, "patch", c->patch);
	add_number(changes, "not_in_patch", c->left_out);
	add_number(changes, "not_listed", c->beyond);
	list = cJSON_AddArrayToObject(changes, "control");
	for (size_t i = 0; i < c->n_control && i < CHANGES_SHOWN; i++) {
		cJSON *item = cJSON_CreateObject();

		add_text(item, "path", c->control[i].path);
		add_text(item, "what", c->control[i].what);
		cJSON_AddItemToArray(list, item);
	}
	add_number(changes, "more_control",
		   c->n_control > CHANGES_SHOWN ? c->n_control - CHANGES_SHOWN
						: 0);
}

static void add_files(cJSON *result, const struct outcome *o)
{
	const struct artifact *a = &o->artifact;
	cJSON *artifact;

	if (a->path) {
		artifact = cJSON_AddObjectToObject(result, "artifact");
		add_text(artifact, "path", a->path);
		add_text(artifact, "sha256", a->sha256);
		add_number(artifact, "bytes", a->bytes);
		add_number(artifact, "files", a->files);
		add_number(artifact, "skipped", a->skipped);
		add_number(artifact, "left_out", a->left_out);
	} else {
		cJSON_AddNullToObject(result, "artifact");
	}
	add_text(result, "kept_workdir", o->kept_workdir);
	add_changes(result, &o->changes);
	if (o->audit_path) {
		cJSON *audit = cJSON_AddObjectToObject(result, "audit");

		add_text(audit, "path", o->audit_path);
		add_text(audit, "hash", o->audit_hash);
	} else {
		cJSON_AddNullToObject(result, "audit");
	}
}

char *result_json(const char *run_id, const char *id, const char *agent,
		  const struct outcome *outcome, bool pretty)
{
	static void (*const parts[])(cJSON *, const struct outcome *) = {
		add_end,     add_cost,   add_network, add_commands,
		add_denials, add_answer, add_files,
	};
	cJSON *result = cJSON_CreateObject();
	char *json, *clean;

	add_text(result, "run", run_id);
	add_text(result, "id", id);
	add_text(result, "agent", agent);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		parts[i](result, outcome);
	add_strings(result, "limits", &outcome->limits);
	add_strings(result, "degraded", &outcome->degraded);
	add_strings(result, "warnings", &outcome->warnings);
	add_strings(result, "layers", &outcome->layers);

	json = pretty ? cJSON_Print(result) : cJSON_PrintUnformatted(result);
	cJSON_Delete(result);
	if (!json)
		abort(); /* out of memory, as in util.h */
	clean = text_json(json);
	cJSON_free(json);
	return clean;
}

static int put(int fd, const char *json)
{
	auto_free char *line = xasprintf("%s\n", json);

	return write_all(fd, line, strlen(line));
}

/* Device, fifo: nothing to replace, so written to as it is. */
static int write_special(const char *path, const char *json)
{
	/* O_NONBLOCK for the open alone: a fifo must have its reader. */
	auto_fd int fd = open(path,
			      O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return fail(errno, "cannot open %s", path);
	/* Looked at again: a link to a file may be in its place by now. */
	if (fstat(fd, &st) != 0 || S_ISREG(st.st_mode))
		return fail(0,
			    "cannot write %s: it was "
			    "replaced meanwhile",
			    path);
	if (fcntl(fd, F_SETFL, 0) != 0 || put(fd, json) != 0)
		return fail(errno, "cannot write %s", path);
	return 0;
}

static char *folder_of_result(const char *path)
{
	const char *name = path_base(path);

	return name == path ? xstrdup(".")
			    : xstrndup(path, (size_t)(name - path));
}

static int replace_result(const char *path, const char *json)
{
	auto_free char *folder = folder_of_result(path);
	auto_free char *line = xasprintf("%s\n", json);
	auto_fd int dir_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir_fd >= 0 &&
	    replace_file(dir_fd, path_base(path), line, strlen(line)) == 0)
		return 0;
	return fail(errno, "cannot write %s", path);
}

/* What these lead to is open; to replace a file of such a name would take the
 * name itself from everybody. */
static int stream_of(const char *path)
{
	static const struct {
		const char *path;
		int fd;
	} streams[] = {
		{ "-", STDOUT_FILENO },
		{ "/dev/stdout", STDOUT_FILENO },
		{ "/dev/stderr", STDERR_FILENO },
		{ "/dev/fd/1", STDOUT_FILENO },
		{ "/dev/fd/2", STDERR_FILENO },
		{ "/proc/self/fd/1", STDOUT_FILENO },
		{ "/proc/self/fd/2", STDERR_FILENO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
		if (strcmp(path, streams[i].path) == 0)
			return streams[i].fd;
	return -1;
}

static int write_path(const char *path, const char *json)
{
	int stream = stream_of(path);
	struct stat st;

	if (stream >= 0)
		return result_write(NULL, stream, json);
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) &&
	    !S_ISDIR(st.st_mode))
		return write_special(path, json);
	return replace_result(path, json);
}

int result_write(const char *path, int fd, const char *json)
{
	int rc = 0;

	if (path)
		rc = write_path(path, json);
	if (fd >= 0 && put(fd, json) != 0)
		rc = fail(errno, "cannot write to descriptor %d", fd);
	return rc;
}

bool result_has_reader(const char *path, int fd)
{
	struct stat st;

	return fd >= 0 ||
	       (path && (stream_of(path) >= 0 ||
			 (stat(path, &st) == 0 && !S_ISREG(st.st_mode))));
}

int result_check(const char *path)
{
	auto_free char *folder = folder_of_result(path);
	struct stat st;
	int error = 0;

	if (stream_of(path) >= 0)
		return 0;
	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		error = faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0
			    ? errno
			    : 0;
	else if (S_ISDIR(st.st_mode))
		error = EISDIR;
	if (error == 0)
		return 0;
	fail(error, "cannot write %s", path);
	return fail_remedy("--result names a file in a folder that is there "
			   "and can be written");
}
