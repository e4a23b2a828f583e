/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <time.h>

#include "supervise.h"

#define EVERY_MS 100

void watch_tell(struct event_log *log, struct outcome *outcome,
		const char *what, uint64_t limit)
{
	struct json_writer *e;

	if (!outcome_add_limit(outcome, what))
		return;
	e = event_begin(log, "limit");
	json_write_string(e, "what", what);
	json_write_number(e, "limit", limit);
	event_end(log);
}

void watch_tell_oom(struct event_log *log, struct outcome *outcome,
		    uint64_t limit)
{
	struct json_writer *e;

	if (!outcome_add_limit(outcome, "memory"))
		return;
	e = event_begin(log, "oom");
	json_write_number(e, "limit", limit);
	event_end(log);
}

/* The kernel said ENOSPC to the payload, not to us; but what is refused for
 * want of room leaves none behind. */
void watch_disk(struct event_log *log, struct outcome *outcome,
		const struct plan *plan, const struct workdir *workdir)
{
	if (workdir_is_full(workdir))
		watch_tell(log, outcome, "disk", plan->disk);
}

void watch_open(struct watch *watch, const struct supervision *run,
		struct outcome *outcome, struct usage *usage)
{
	watch->run = run;
	watch->outcome = outcome;
	watch->usage = usage;
	if (run->plan->disk || run->cgroup->fallback)
		watch->next = now_ms(CLOCK_MONOTONIC) + EVERY_MS;
}

int watch_look(struct watch *watch)
{
	static const struct cgroup_now nothing;
	const struct supervision *run = watch->run;
	uint64_t now = now_ms(CLOCK_MONOTONIC);

	if (watch->next == 0 || now < watch->next)
		return 0;
	watch->next = now + EVERY_MS;
	watch_disk(run->log, watch->outcome, run->plan, run->workdir);
	if (!run->cgroup->fallback || watch->over || run->child->reaped)
		return 0;
	return usage_ask(watch->usage, run->child->pid, run->plan, &nothing);
}

void watch_take(struct watch *watch, const struct usage_answer *answer)
{
	const struct supervision *run = watch->run;
	uint64_t limit = run->plan->caps.memory, used = answer->now.memory;

	if (!run->cgroup->fallback || watch->over)
		return;
	if (used > watch->outcome->memory_peak)
		watch->outcome->memory_peak = used;
	if (used <= limit)
		return;
	watch->over = true;
	watch_tell_oom(run->log, watch->outcome, limit);
}
