/* SPDX-License-Identifier: MIT */
#include "near.h"

#include <string.h>

/* Longer words are no slip of a name we know; bounds the work as well. */
#define WORD_MAX 40

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: a swap of neighbours is one slip ("hsots"). */
static size_t slips_between(const char *a, size_t a_len, const char *b,
			    size_t b_len)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		above[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = least(least(above[j], row[j - 1]) + 1,
				       above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = above;
		above = row;
		row = spare;
	}
	return above[b_len];
}

void near_offer(struct near_match *match, const char *candidate)
{
	size_t len = strlen(match->word), other = strlen(candidate);
	size_t slips;

	if (len > WORD_MAX || other > WORD_MAX || len == 0)
		return;
	slips = slips_between(match->word, len, candidate, other);
	/* "artifac" is near, "id" for "xy" is a guess; the word itself, which
	 * is there and is no good (a link to nowhere), helps nobody. */
	if (slips > 1 + least(len, other) / 5 || slips >= least(len, other) ||
	    slips == 0)
		return;
	if (!match->best || slips < match->slips) {
		match->best = candidate;
		match->slips = slips;
	}
}
