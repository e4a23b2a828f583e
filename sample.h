/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the run takes of the machine while it goes on, as events "sample": often
 * at first, ever more rarely then, so that a day of it is some hundred lines,
 * and never so often that the looking itself is felt.
 */

#include <stdbool.h>
#include <stdint.h>

#include "usage.h"

struct supervision;

struct sampler {
	const struct supervision *run;
	struct usage *usage;
	uint64_t began, next; /* ms; 0: no more, or an answer is awaited */
	uint64_t cpu_ms;      /* of the last one */
	bool waits;           /* for the answer */
};

void sampler_open(struct sampler *sampler, const struct supervision *run,
		  struct usage *usage);
/* Looks, if it is time to, and tells what is known at once; or asks. */
void sampler_look(struct sampler *sampler);
/* What was asked for, by whomever. */
void sampler_take(struct sampler *sampler, const struct usage_answer *answer);
/* How long from one look to the next, in ms. */
uint64_t sampler_pause(uint64_t elapsed_ms, uint64_t cost_us);
