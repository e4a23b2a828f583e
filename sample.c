/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include <time.h>

#include "err.h"
#include "supervise.h"

/* A shorter run is over before anybody looks. */
#define EVERY_MS 100
/* A curve of this many pieces, at the scale of the time gone by. */
#define PIECES   64
/* Each look is paid for by as many times its own cost without one: 0.5 %. */
#define REST     200

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void sampler_open(struct sampler *sampler, const struct supervision *run,
		  struct usage *usage)
{
	*sampler = (struct sampler){ .run = run,
				     .usage = usage,
				     .began = now_ms(CLOCK_MONOTONIC) };
	sampler->next = sampler->began + EVERY_MS;
}

static void tell(struct sampler *sampler, const struct cgroup_now *now)
{
	struct json_writer *e = event_begin(sampler->run->log, "sample");

	/* /proc forgets the children of who does not wait for them. */
	sampler->cpu_ms = max(sampler->cpu_ms, now->cpu_ms);
	json_write_number(e, "cpu_ms", sampler->cpu_ms);
	json_write_number(e, "memory", now->memory);
	json_write_number(e, "pids", now->pids);
	event_end(sampler->run->log);
}

uint64_t sampler_pause(uint64_t elapsed_ms, uint64_t cost_us)
{
	return max(max(EVERY_MS, elapsed_ms / PIECES), cost_us * REST / 1000);
}

static void finish(struct sampler *sampler, const struct cgroup_now *now,
		   uint64_t cost_us)
{
	uint64_t at = now_ms(CLOCK_MONOTONIC);

	if (now->pids > 0)
		tell(sampler, now);
	sampler->next = at + sampler_pause(at - sampler->began, cost_us);
}

void sampler_look(struct sampler *sampler)
{
	const struct supervision *run = sampler->run;
	struct cgroup_now now;

	if (sampler->next == 0 || now_ms(CLOCK_MONOTONIC) < sampler->next)
		return;
	sampler->next = 0;
	cgroup_read_now(run->cgroup, &now);
	if (now.memory && now.cpu_ms && now.pids)
		finish(sampler, &now, 0);
	else
		sampler->waits = usage_ask(sampler->usage, run->child->pid,
					   run->plan, &now) == 0;
	/* Without it there are no samples, and nothing else is lost. */
	err_reset();
}

void sampler_take(struct sampler *sampler, const struct usage_answer *answer)
{
	if (sampler->waits)
		finish(sampler, &answer->now, answer->cost_us);
	sampler->waits = false;
}
