/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tries single layers of the sandbox, by the code that runs use, each in a
 * throw-away child of its own.  Private to doctor.c.
 */

#include "err.h"
#include "plan.h"

struct probe {
	const char *layer;
	bool counts;         /* the default policy has need of it */
	uint64_t namespaces; /* CLONE_NEW*, made first, beside the user's */
	/* In the child; may say in record->message how it works.  By fail(). */
	int (*run)(const struct plan *plan, struct err_record *record);
};

extern const struct probe probes[];
extern const size_t probe_count;

/* All of them at once: result[i] is of probes[i], with status 0 where it works.
 * What has not answered `ms` milliseconds from now is killed. */
void probe_all(const struct plan *plan, unsigned int ms,
	       struct err_record *results);
