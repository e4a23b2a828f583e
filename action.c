/* SPDX-License-Identifier: MIT */
#include "action.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "account.h"
#include "agent.h"
#include "apply.h"
#include "audit.h"
#include "doctor.h"
#include "err.h"
#include "host.h"
#include "plan.h"
#include "recover.h"
#include "report.h"
#include "suggest.h"
#include "why.h"

/* The plan of a run, handed to `tell`, which returns the exit status. */
static int with_plan(const struct spec *spec,
		     int (*tell)(const struct plan *plan,
				 const struct spec *spec))
{
	struct host host = { 0 };
	struct plan plan = { 0 };
	int rc = -1;

	err_stage("plan");
	if (host_read(&host) == 0 && plan_make(&plan, spec, &host) == 0)
		rc = tell(&plan, spec);
	plan_free(&plan);
	host_free(&host);
	return rc;
}

static int tell_plan(const struct plan *plan, const struct spec *spec)
{
	(void)spec;
	plan_explain(plan, stdout);
	return 0;
}

static int explain(const struct spec *spec)
{
	return with_plan(spec, tell_plan);
}

static int tell_why(const struct plan *plan, const struct spec *spec)
{
	err_stage("why");
	return why_explain(plan, spec->about, spec->json, stdout);
}

static int why(const struct spec *spec)
{
	return with_plan(spec, tell_why);
}

static int collect(const struct spec *spec)
{
	struct host host = { 0 };
	int rc;

	(void)spec;
	err_stage("gc");
	rc = host_read(&host);
	if (rc == 0)
		rc = recover_all(
		    &(struct recovery){ host.state_dir, host.audit_path },
		    stdout);
	host_free(&host);
	return rc < 0 ? -1 : 0;
}

static int help(const struct spec *spec)
{
	(void)spec;
	spec_print_help(stdout);
	return 0;
}

static int version(const struct spec *spec)
{
	(void)spec;
	puts("m9m-sandbox " M9M_VERSION);
	return 0;
}

static int print_spec(const struct spec *spec)
{
	err_stage("spec");
	return spec_print(spec, stdout);
}

static int list_agents(const struct spec *spec)
{
	(void)spec;
	err_stage("agents");
	return agent_list(stdout);
}

static int verify_audit(const struct spec *spec)
{
	err_stage("audit");
	return audit_verify(spec->about, stdout);
}

static int doctor(const struct spec *spec)
{
	return doctor_run(stdout, spec->json);
}

static int apply(const struct spec *spec)
{
	err_stage("apply");
	return apply_changes(&(struct apply_request){ .artifact = spec->about,
						      .project = spec->project,
						      .paths = &spec->command,
						      .dry_run = spec->dry_run,
						      .force = spec->force });
}

static int suggest(const struct spec *spec)
{
	/* It is ours: nothing else is done with it. */
	struct spec *grows = (struct spec *)(uintptr_t)spec;

	err_stage("suggest");
	return suggest_spec(grows, spec->about, spec->json, stdout, stderr);
}

static int report(const struct spec *spec)
{
	err_stage("report");
	return report_write(spec->about, spec->command.v[0]);
}

/* Each returns the exit status, or -1 by fail(). */
static int (*const actions[])(const struct spec *) = {
	[SPEC_HELP] = help,
	[SPEC_VERSION] = version,
	[SPEC_EXPLAIN] = explain,
	[SPEC_PRINT_SPEC] = print_spec,
	[SPEC_LIST_AGENTS] = list_agents,
	[SPEC_VERIFY_AUDIT] = verify_audit,
	[SPEC_GC] = collect,
	[SPEC_DOCTOR] = doctor,
	[SPEC_APPLY] = apply,
	[SPEC_REPORT] = report,
	[SPEC_WHY] = why,
	[SPEC_SUGGEST] = suggest,
};

/* A full disk shows when the rest goes out, or has shown before.  Half a table
 * is not to be taken for the whole. */
static int flush(void)
{
	if (fflush(stdout) != 0)
		return fail(errno, "cannot write to standard output");
	return ferror(stdout) ? fail(EIO, "cannot write to standard output")
			      : 0;
}

int action_do(const struct spec *spec)
{
	struct outcome out = OUTCOME_NONE;
	int rc = actions[spec->action](spec);

	if (rc >= 0 && flush() == 0)
		return rc;
	if (!err_get())
		return EXIT_SANDBOX;
	account_failure(&out);
	account_print(&out);
	return out.exit_code;
}
