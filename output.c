/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "secret.h"
#include "text.h"
#include "watch.h"

static const struct {
	const char *file; /* one of workdir_logs */
	const char *event;
} kinds[2] = { { "stdout.log", "stdout" }, { "stderr.log", "stderr" } };

static void keep(struct output *o, bool is_stderr, const char *bytes,
		 size_t len)
{
	const char *file = kinds[is_stderr].file;
	uint64_t room = o->run->plan->output - o->kept;
	int *fd = &o->log_fds[is_stderr];

	if (len > room) {
		o->outcome->output_truncated = true;
		watch_tell(o->run->log, o->outcome, "output",
			   o->run->plan->output);
		len = (size_t)room;
	}
	if (len == 0)
		return;
	if (*fd < 0)
		*fd = workdir_make_log(o->run->workdir, file, O_WRONLY);
	if (*fd < 0 || write_all(*fd, bytes, len) < 0) {
		outcome_add_warning(o->outcome, "cannot keep %s: %s", file,
				    strerror(errno));
		return;
	}
	o->kept += len;
}

static void tell(const struct output *o, bool is_stderr, const char *text)
{
	struct json_writer *e;

	if (!*text)
		return;
	e = event_begin(o->run->log, kinds[is_stderr].event);
	json_write_string(e, "text", text);
	event_end(o->run->log);
}

/* A read may end within a character: its halves would be no part of a secret,
 * nor of anything. */
static char *whole_text(struct output_cut *cut, const char *bytes, size_t len)
{
	auto_free char *joined = xcalloc(cut->len + len, 1);
	size_t whole;

	memcpy(mempcpy(joined, cut->bytes, cut->len), bytes, len);
	len += cut->len;
	cut->len = text_begun(joined, len);
	whole = len - cut->len;
	memcpy(cut->bytes, joined + whole, cut->len);
	return text_utf8(joined, whole);
}

/* A secret may come in two reads: what may be its beginning waits for more. */
static void tell_piece(struct output *o, bool is_stderr, const char *bytes,
		       size_t len)
{
	auto_free char *before = o->begun[is_stderr];
	auto_free char *piece = whole_text(&o->cut[is_stderr], bytes, len);
	auto_free char *text = xasprintf("%s%s", before ? before : "", piece);
	const char *rest;
	auto_free char *masked = secret_mask_begun(o->run->secrets, text,
						   &rest);

	o->begun[is_stderr] = xstrdup(rest);
	tell(o, is_stderr, masked);
}

static void tell_rest(struct output *o, bool is_stderr)
{
	auto_free char *rest = o->begun[is_stderr];
	auto_free char *masked = secret_mask(o->run->secrets, rest ? rest : "",
					     true);
	auto_free char *cut = text_utf8(o->cut[is_stderr].bytes,
					o->cut[is_stderr].len);
	auto_free char *text = xasprintf("%s%s", masked, cut);

	tell(o, is_stderr, text);
}

void output_open(struct output *output, const struct supervision *run,
		 struct outcome *outcome)
{
	*output = (struct output){ .run = run,
				   .outcome = outcome,
				   .log_fds = { -1, -1 } };
}

void output_take(struct output *output, bool is_stderr, const char *bytes,
		 size_t len)
{
	const struct plan *plan = output->run->plan;

	if (plan->artifact)
		keep(output, is_stderr, bytes, len);
	/* At a terminal agents talk to a person. */
	if (plan->agent && !is_stderr && !plan->pty)
		answer_keep(&output->tail, bytes, len);
	if (plan->verbose)
		tell_piece(output, is_stderr, bytes, len);
}

void output_passed_on(struct outcome *outcome, const char *standard, int error)
{
	/* Of a reader that went away the payload learns itself. */
	if (error == 0 || error == EPIPE)
		return;
	outcome_add_warning(outcome, "not all of standard %s was passed on: %s",
			    standard, strerror(error));
	/* A script that has the output in a file asks for no summary. */
	warn("not all of standard %s was passed on: %s", standard,
	     strerror(error));
}

void output_close(struct output *output)
{
	struct agent_answer *answer = &output->outcome->answer;
	auto_free char *text = NULL;

	for (int i = 0; i < 2; i++) {
		cleanup_fd(&output->log_fds[i]);
		tell_rest(output, i);
	}
	answer_read(answer, &output->tail);
	text = answer->text;
	if (text)
		answer->text = secret_mask(output->run->secrets, text,
					   answer->truncated);
}
