/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the payload writes, beside being passed on: kept in the run's logs
 * up to a cap, told as events when asked, its end read for the agent's answer.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer.h"
#include "outcome.h"
#include "supervise.h"

struct output {
	const struct supervision *run;
	struct outcome *outcome;
	int log_fds[2]; /* -1 until the first byte */
	uint64_t kept;  /* bytes, of both */
	char *begun[2]; /* not told yet: a secret may begin with it (owned) */
	struct output_cut {
		char bytes[4]; /* after that: of a character, not whole yet */
		size_t len;
	} cut[2];
	struct answer_tail tail;
};

void output_open(struct output *output, const struct supervision *run,
		 struct outcome *outcome);
/* Failures to keep it are warnings in the outcome. */
void output_take(struct output *output, bool is_stderr, const char *bytes,
		 size_t len);
/* Warns of what could not be passed on: `error` ended it (errno), or 0. */
void output_passed_on(struct outcome *outcome, const char *standard, int error);
/* The outcome learns the agent's answer. */
void output_close(struct output *output);
