/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the run takes of the machine while it goes on, as events "sample": often
 * at first, ever more rarely then, so that a day of it is some hundred lines,
 * and never so often that the looking itself is felt.
 */

#include <stdint.h>

struct supervision;

struct sampler {
	const struct supervision *run;
	uint64_t began, next; /* ms; 0: no more */
	uint64_t cpu_ms;      /* of the last one */
};

void sampler_open(struct sampler *sampler, const struct supervision *run);
/* Looks, and tells, if it is time to. */
void sampler_look(struct sampler *sampler);
/* How long from one look to the next, in ms. */
uint64_t sampler_pause(uint64_t elapsed_ms, uint64_t cost_us);
