/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include <time.h>

#include "fallback.h"
#include "supervise.h"

/* A shorter run is over before anybody looks. */
#define EVERY_MS 100
/* A curve of this many pieces, at the scale of the time gone by. */
#define PIECES   64
/* Each look is paid for by as many times its own cost without one: 0.5 %. */
#define REST     200

static uint64_t own_cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void sampler_open(struct sampler *sampler, const struct supervision *run)
{
	*sampler = (struct sampler){ .run = run,
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

void sampler_look(struct sampler *sampler)
{
	uint64_t at = now_ms(CLOCK_MONOTONIC), cost;
	struct cgroup_now now;

	if (sampler->next == 0 || at < sampler->next)
		return;
	cost = own_cpu_us();
	cgroup_read_now(sampler->run->cgroup, &now);
	fallback_fill(sampler->run->child->pid, sampler->run->plan, &now);
	if (now.pids > 0)
		tell(sampler, &now);
	cost = own_cpu_us() - cost;
	sampler->next = at + sampler_pause(at - sampler->began, cost);
}
