/* SPDX-License-Identifier: MIT */
#pragma once

/* "Did you mean ...?": the candidate that is the fewest slips away. */

#include <stddef.h>

struct near_match {
	const char *word; /* what was written */
	const char *best; /* NULL while nothing is near */
	size_t slips;
};

/* Offers one candidate; it must outlive the match. */
void near_offer(struct near_match *match, const char *candidate);
