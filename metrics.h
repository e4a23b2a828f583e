/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Counters over all runs in DIR/m9m_sandbox.prom, for the textfile collector of
 * node_exporter.  A run is counted once it has ended; one that is killed with
 * SIGKILL is not.
 */

#include "outcome.h"

/* Can metrics be kept there?  Before anything is run; by fail(). */
int metrics_check(const char *dir);
/*
 * Adds a run, under a lock, by replacing the file whole.  No counter ever goes
 * down: a file that is not understood is left alone, and the run is not
 * counted.  `agent`: the profile's name, or NULL.  By fail().
 */
int metrics_add(const char *dir, const char *agent,
		const struct outcome *outcome);
