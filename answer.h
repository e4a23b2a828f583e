/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the agent says of itself at the end of its output, in one shape: the
 * final object of Claude Code's "--output-format json" (or stream-json), the
 * last message and turns of "codex exec --json".  It is the agent's word: read
 * from output that the payload chose, and checked by nobody.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_UNKNOWN INT64_MIN

struct agent_answer {
	bool found;
	bool failed;    /* the agent says that it did not succeed */
	char *text;     /* its final answer, or NULL */
	bool truncated; /* the text is longer than is kept */
	int64_t turns, tokens_in, tokens_cached, tokens_out;
	double cost_usd; /* negative: it reports none */
};

/* The last bytes of a stream, as they pass. */
struct answer_tail {
	char *bytes;
	size_t len;
	bool cut; /* there was more before */
};

void answer_keep(struct answer_tail *tail, const char *bytes, size_t len);
/* Reads the tail and gives it back.  answer->found: the agent said something
 * that is understood.  answer->text is owned. */
void answer_read(struct agent_answer *answer, struct answer_tail *tail);
