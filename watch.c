/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <time.h>

#define EVERY_MS 100

void watch_tell(struct event_log *log, struct outcome *outcome,
		const char *what, uint64_t limit)
{
	cJSON *e;

	if (!outcome_add_limit(outcome, what))
		return;
	e = cJSON_CreateObject();
	cJSON_AddStringToObject(e, "what", what);
	cJSON_AddItemToObject(e, "limit", event_number(limit));
	event_emit(log, "limit", e);
}

/* The kernel said ENOSPC to the payload, not to us; but what is refused for
 * want of room leaves none behind. */
void watch_disk(struct event_log *log, struct outcome *outcome,
		const struct plan *plan, const struct workdir *workdir)
{
	if (workdir_is_full(workdir))
		watch_tell(log, outcome, "disk", plan->disk);
}

void watch_open(struct watch *watch)
{
	if (watch->plan->disk)
		watch->next = now_ms(CLOCK_MONOTONIC) + EVERY_MS;
}

void watch_look(struct watch *watch)
{
	uint64_t now = now_ms(CLOCK_MONOTONIC);

	if (watch->next == 0 || now < watch->next)
		return;
	watch->next = now + EVERY_MS;
	watch_disk(watch->log, watch->outcome, watch->plan, watch->workdir);
}
