/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How a run is told: into its outcome while it goes on, as the events of its
 * start and end, to the result file and to a person when it is over.
 */

#include "artifact.h"
#include "event.h"
#include "host.h"
#include "outcome.h"
#include "plan.h"
#include "spec.h"

/* Takes the process's failure, if there is one, over into the outcome: the
 * first decides, the others are warnings. */
void account_failure(struct outcome *out);
/* The same for outputs that could not be copied.  But where the time was up, or
 * the command failed, that is why: then it is a warning. */
void account_outputs(struct outcome *out);
/* What the plan puts in force, does without, and warns of. */
void account_layers(struct outcome *out, const struct plan *plan);
/* On stderr, for a person who may expect the files of his own folder. */
void account_hint(const struct spec *spec, const struct plan *plan);

/* `name` may be NULL; words of the command that are among `secrets` are
 * masked. */
void account_start(struct event_log *log, const struct plan *plan,
		   const char *name, const struct strv *secrets);
/* As the event of this name, without its fields if there is none; and what it
 * had to do without as a limit. */
void account_artifact(struct event_log *log, const char *event,
		      const struct artifact *a);
/* A warning, if the archive had to do without something. */
void account_left_out(struct outcome *out);
/* The last event: the outcome learns the audit log's head from it. */
void account_exit(struct event_log *log, struct outcome *out);

/* The counters of --metrics-dir, which must be given; that they could not be
 * added to is a warning. */
void account_metrics(const struct spec *spec, const struct plan *plan,
		     struct outcome *out);
/* Does a person at a terminal want to be told how it goes? */
bool account_is_watched(const struct spec *spec);
/* The failure, and a workdir that was kept, on stderr. */
void account_print(const struct outcome *out);
/* Is one to be written? */
bool account_has_result(const struct spec *spec);
/* The result file, if so.  `plan` and `host` are as far as they were made. */
void account_result(const struct spec *spec, const struct plan *plan,
		    const struct host *host, struct outcome *out);
/* On stderr: what was changed, where it is to be shown, and the summary or the
 * failure. */
void account_tell(const struct spec *spec, const struct plan *plan,
		  const struct outcome *out);
