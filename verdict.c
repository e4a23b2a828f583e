/* SPDX-License-Identifier: MIT */
#include "verdict.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "output.h"

static void set_error(struct outcome *o, const char *message)
{
	struct err_record error = { .stage = "run", .status = 125 };

	snprintf(error.message, sizeof(error.message), "%s", message);
	o->status = OUTCOME_ERROR;
	o->error = error;
	o->exit_code = error.status;
}

static void judge_status(const struct verdict *v, struct outcome *o)
{
	if (WIFEXITED(v->status)) {
		o->payload_code = WEXITSTATUS(v->status);
		o->exit_code = o->payload_code;
		o->status = o->payload_code ? OUTCOME_FAILED : OUTCOME_OK;
		return;
	}
	o->payload_signal = WTERMSIG(v->status);
	o->exit_code = 128 + o->payload_signal;
	o->status = OUTCOME_FAILED;
	if (o->payload_signal == v->signal_sent)
		o->status = OUTCOME_KILLED;
}

void verdict_reach(const struct verdict *v, struct outcome *o)
{
	o->started = v->started;
	if (v->have_status)
		judge_status(v, o);
	if (v->failed) {
		o->status = OUTCOME_ERROR;
		o->exit_code = o->error.status;
	} else if (v->oom) {
		o->status = OUTCOME_OOM;
		o->exit_code = 128 + SIGKILL;
	} else if (v->timed_out) {
		o->status = OUTCOME_TIMEOUT;
		o->exit_code = 124;
	} else if (v->killed) {
		o->status = OUTCOME_KILLED;
		o->exit_code = 128 +
			       (v->signal_sent ? v->signal_sent : SIGKILL);
	} else if (!v->have_status) {
		set_error(o, "the sandbox's PID 1 ended unexpectedly");
	}
}

static uint64_t timeval_ms(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * 1000 + (uint64_t)tv->tv_usec / 1000;
}

void verdict_figures(const struct rusage *usage, const struct stream *out,
		     const struct stream *err, struct outcome *o)
{
	o->cpu_user_ms = timeval_ms(&usage->ru_utime);
	o->cpu_sys_ms = timeval_ms(&usage->ru_stime);
	if (o->memory_peak == 0)
		o->memory_peak = (uint64_t)usage->ru_maxrss * 1024;
	o->stdout_bytes = out->total;
	o->stderr_bytes = err->total;
	output_passed_on(o, "output", out->error);
	output_passed_on(o, "error", err->error);
}
