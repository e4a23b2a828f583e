/* SPDX-License-Identifier: MIT */
#include "account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "human.h"
#include "metrics.h"
#include "ns.h"
#include "result.h"
#include "secret.h"
#include "summary.h"
#include "text.h"

/*** To the outcome ***/

/* Takes the process's failure over into the outcome: the first one counts. */
void account_failure(struct outcome *out)
{
	const struct err_record *err = err_get();

	if (err == NULL)
		return;
	if (out->status != OUTCOME_ERROR) {
		out->status = OUTCOME_ERROR;
		out->exit_code = err->status;
		out->error = *err;
	} else {
		outcome_add_warning(out, "%s: %s", err->stage, err->message);
	}
	err_reset();
}

/* The failure changes nothing about what the run came to, but is told: a script
 * asks for no summary. */
static void tell_failure(struct outcome *out, const char *what)
{
	auto_free char *text = xasprintf("%s%s", what, err_get()->message);
	auto_free char *visible = text_visible(text, true);

	outcome_add_warning(out, "%s", text);
	warn("%s", visible);
	err_reset();
}

void account_outputs(struct outcome *out)
{
	if (out->status == OUTCOME_OK || out->status == OUTCOME_ERROR)
		account_failure(out);
	else
		tell_failure(out, "");
}

void account_layers(struct outcome *out, const struct plan *plan)
{
	static const char *const always[] = { "no_new_privs", "capabilities",
					      "rlimits", "seccomp" };

	for (size_t i = 0; i < ARRAY_SIZE(ns_kinds); i++)
		if (plan->namespaces & ns_kinds[i].flag)
			strv_push(&out->layers,
				  xasprintf("%s-namespace", ns_kinds[i].name));
	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		strv_push(&out->layers, xstrdup(always[i]));
	if (plan->landlock)
		strv_push(&out->layers,
			  xasprintf("landlock:%d", plan->landlock));
	if (plan->commands.listed)
		strv_push(&out->layers, xstrdup("commands"));
	if (plan->net.mode == NET_RELAY)
		strv_push(&out->layers, xstrdup("relay"));
	for (size_t i = 0; i < plan->degraded.n; i++)
		strv_push(&out->degraded, xstrdup(plan->degraded.v[i]));
	for (size_t i = 0; i < plan->warnings.n; i++)
		outcome_add_warning(out, "%s", plan->warnings.v[i]);
}

/*** For a person ***/

/* `cat notes` means the file that is here. */
static bool names_file(const struct strv *command)
{
	for (size_t i = 1; i < command->n; i++)
		if (command->v[i][0] != '/' && access(command->v[i], F_OK) == 0)
			return true;
	return false;
}

/* Who finds an empty folder is often surprised. */
void account_hint(const struct spec *spec, const struct plan *plan)
{
	if (spec->n_inputs == 0 && !spec->project && !spec->chdir &&
	    (plan->pty || spec->prompt) &&
	    (plan->agent || names_file(&spec->command)))
		dprintf(STDERR_FILENO,
			"m9m-sandbox: the workdir %s starts empty; --project . "
			"shows this folder there, and keeps changes apart\n",
			plan->workdir);
}

/*** As events ***/

void account_start(struct event_log *log, const struct plan *plan,
		   const char *name, const struct strv *secrets)
{
	struct json_writer *e = event_begin(log, "start");

	json_write_open(e, "argv", '[');
	for (size_t i = 0; i < plan->program.argv.n; i++) {
		auto_free char *word = secret_mask(
		    secrets, plan->program.argv.v[i], false);

		json_write_string(e, NULL, word);
	}
	json_write_close(e, ']');
	json_write_string(e, "program", plan->program.path);
	if (name)
		json_write_string(e, "name", name);
	json_write_string(e, "agent", plan->agent ? plan->agent->name : "none");
	event_end(log);
}

void account_exit(struct event_log *log, struct outcome *out)
{
	struct json_writer *e = event_begin(log, "exit");

	json_write_string(e, "status", outcome_status_name(out->status));
	json_write_number(e, "exit_code", (unsigned int)out->exit_code);
	json_write_number(e, "duration_ms", out->duration_ms);
	if (out->status == OUTCOME_ERROR) {
		json_write_string(e, "stage", out->error.stage);
		json_write_string(e, "message", out->error.message);
	}
	event_end(log);
	if (log->audit.hash[0]) {
		out->audit_path = xstrdup(log->audit.path);
		memcpy(out->audit_hash, log->audit.hash,
		       sizeof(out->audit_hash));
	}
}

void account_artifact(struct event_log *log, const char *event,
		      const struct artifact *a)
{
	struct json_writer *e = event_begin(log, event);

	if (a->path) {
		json_write_string(e, "path", a->path);
		json_write_string(e, "sha256", a->sha256);
		json_write_number(e, "bytes", a->bytes);
		json_write_number(e, "files", a->files);
	}
	event_end(log);
	if (a->left_out == 0)
		return;
	e = event_begin(log, "limit");
	json_write_string(e, "what", "artifact");
	json_write_number(e, "left_out", a->left_out);
	event_end(log);
}

static char *tell_left_out(const struct artifact *a)
{
	return outcome_left_out("", a->left_out,
				" that no archive can hold (too deep, too long "
				"a path, too widely strewn, too many hard "
				"links); its skipped.txt names them");
}

void account_left_out(struct outcome *out)
{
	auto_free char *text = tell_left_out(&out->artifact);

	if (out->artifact.left_out > 0)
		outcome_add_warning(out, "%s", text);
}

/*** To the counters, the result file, and a person ***/

/* The run has happened, counted or not. */
void account_metrics(const struct spec *spec, const struct plan *plan,
		     struct outcome *out)
{
	err_stage("metrics");
	if (metrics_add(spec->metrics_dir,
			plan->agent ? plan->agent->name : NULL, out) < 0)
		tell_failure(out, "not counted: ");
}

/* Messages hold names that a payload may have chosen. */
static void print_line(const char *what, const char *text)
{
	auto_free char *visible = text_visible(text, true);

	dprintf(STDERR_FILENO, "m9m-sandbox: %s%s\n", what, visible);
}

void account_print(const struct outcome *out)
{
	const struct err_record *e = &out->error;
	auto_free char *text = tell_left_out(&out->artifact);

	if (out->status == OUTCOME_ERROR) {
		auto_free char *stage = xasprintf("%s: ", e->stage);

		print_line(stage, e->message);
		if (e->remedy[0])
			print_line("", e->remedy);
	}
	if (out->kept_workdir)
		print_line("the workdir is kept: ", out->kept_workdir);
	if (out->artifact.left_out > 0)
		print_line("", text);
}

/* Whoever reads a log is not to guess why the command ended. */
static void print_cap(const struct plan *plan, const struct outcome *out)
{
	auto_free char *memory = human_bytes(plan->caps.memory);
	auto_free char *time = human_time(plan->timeout_ms);

	if (out->status == OUTCOME_TIMEOUT)
		print_line("stopped: time is up, --timeout is ", time);
	if (out->status == OUTCOME_OOM)
		print_line("killed: out of memory, --memory is ", memory);
}

static bool wants_summary(const struct spec *spec)
{
	if (spec->summary == SPEC_AUTO)
		return isatty(STDERR_FILENO);
	return spec->summary == SPEC_ALWAYS;
}

bool account_is_watched(const struct spec *spec)
{
	return wants_summary(spec) && isatty(STDERR_FILENO);
}

bool account_has_result(const struct spec *spec)
{
	return spec->result || spec->result_fd >= 0;
}

void account_result(const struct spec *spec, const struct plan *plan,
		    const struct host *host, struct outcome *out)
{
	auto_free char *json = NULL;

	if (!account_has_result(spec))
		return;
	err_stage("result");
	json = result_json(host->run_id, spec->id,
			   plan->agent ? plan->agent->name : NULL, out, false);
	if (result_write(spec->result, spec->result_fd, json) < 0)
		account_failure(out);
}

void account_tell(const struct spec *spec, const struct plan *plan,
		  const struct outcome *out)
{
	bool color = isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL;

	/* A signal that ends us comes between lines: none is left in colour. */
	setvbuf(stderr, NULL, _IOLBF, 0);
	if (out->patch_fd >= 0)
		changes_show(out->patch_fd, stderr, color);
	if (wants_summary(spec) && plan->label) {
		summary_print(stderr, plan->label, out, color);
		return;
	}
	if (spec->summary == SPEC_AUTO)
		print_cap(plan, out);
	account_print(out);
}
