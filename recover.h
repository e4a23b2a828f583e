/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What dead runs left: known by a journal whose lock nobody holds.  All
 * that its journal names is ended and removed, what the workdir holds is in
 * artifacts/RUNID.tar.zst first, and the audit log has the event "recovered".
 * Live runs are never touched; several collectors do not meet.
 */

#include <stddef.h>
#include <stdio.h>

#include "outcome.h"

struct recovery {
	const char *state_dir;  /* with runs/ and artifacts/ in it */
	const char *audit_path; /* or NULL */
};

/*
 * For a run at its start: a few of them, once each and for a moment only, so
 * that old junk delays it little and never fails it.  How many were tried and
 * are still there, for --gc to take.  What an archive had to do without is a
 * warning of this run's.
 */
size_t recover_some(const struct recovery *recovery, int runs_fd,
		    const char *own_id, struct outcome *out);

/* --gc: all of them, each told on `out`; what stays, on stderr.  -1 then. */
int recover_all(const struct recovery *recovery, FILE *out);
