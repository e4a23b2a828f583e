/* SPDX-License-Identifier: MIT */
#include "caps.h"

#include <signal.h>

#include "err.h"
#include "fallback.h"
#include "watch.h"

/*
 * Caps that were asked for have to be there, or what comes nearest to them if
 * the user says so; the rest may be missing, but never silently.
 */
static int do_without(struct cgroup *cg, const struct plan *plan,
		      struct outcome *out)
{
	const struct err_record *err = err_get();

	if (plan->caps_asked && !plan->caps_degradable)
		return fail_remedy("--allow-degraded cgroup runs without hard "
				   "caps");
	outcome_add_warning(out, "CPU and memory are not capped: %s%s%s%s",
			    err->message, err->remedy[0] ? " (" : "",
			    err->remedy, err->remedy[0] ? ")" : "");
	strv_push(&out->degraded, xstrdup("cgroup"));
	err_reset();
	cg->fallback = plan->caps_asked;
	return 0;
}

/* What comes nearest: memory is the supervisor's to watch. */
static int pin(const struct child *child, const struct plan *plan,
	       struct outcome *out)
{
	int n = fallback_pin(child->pid, plan->caps.cpu);

	if (n < 0)
		return -1;
	outcome_add_warning(out,
			    "instead of a cgroup: memory is looked at ten "
			    "times a second, processes are counted by the user "
			    "namespace, cores are %s",
			    n ? "a choice of processors, in whole numbers"
			      : "all there are");
	return 0;
}

int caps_make(struct cgroup *cg, const struct plan *plan,
	      enum cgroup_backend choice, int journal_fd, struct outcome *out)
{
	if (cgroup_create(cg, plan->run_id, &plan->caps, choice, journal_fd) <
	    0)
		return do_without(cg, plan, out);
	return 0;
}

int caps_enter(struct cgroup *cg, const struct plan *plan, struct child *child,
	       struct outcome *out)
{
	if ((cgroup_settle(cg) < 0 || cgroup_enter(cg, child->pid) < 0) &&
	    do_without(cg, plan, out) < 0)
		return -1;
	if (cg->fallback && pin(child, plan, out) < 0)
		return -1;
	if (ns_admit(child, cg) < 0)
		return -1;
	if (cg->backend == CGROUP_NOT)
		return 0;
	strv_push(&out->layers,
		  xasprintf("cgroup:%s", cgroup_backend_name(cg->backend)));
	if (cg->missing == 0)
		return 0;
	outcome_add_warning(out, "not capped here: %s",
			    cgroup_controller_names(cg->missing));
	strv_push(&out->degraded, xstrdup("cgroup"));
	return 0;
}

void caps_account(const struct cgroup *cg, const struct plan *plan,
		  struct event_log *log, struct outcome *out)
{
	struct cgroup_usage usage;

	if (cg->backend == CGROUP_NOT)
		return;
	cgroup_read_usage(cg, &usage);
	outcome_add_usage(out, &usage);
	if (usage.pids_hit)
		watch_tell(log, out, "pids", plan->caps.pids - 1);
	if (usage.oom_kills > 0)
		watch_tell_oom(log, out, plan->caps.memory);
	/* Unless it could do without what was killed. */
	if (usage.oom_kills > 0 && out->status != OUTCOME_OK &&
	    out->status != OUTCOME_TIMEOUT) {
		out->status = OUTCOME_OOM;
		out->exit_code = 128 + SIGKILL;
		/* If PID 1 went with the others, this is why. */
		out->error = (struct err_record){ .status = 125 };
	}
}

void caps_remove(struct cgroup *cg, struct outcome *out)
{
	if (cgroup_remove(cg) < 0)
		outcome_add_warning(out, "%s", err_get()->message);
	err_reset();
}
