/* SPDX-License-Identifier: MIT */
#include "doctor.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "audit.h"
#include "cause.h"
#include "control.h"
#include "err.h"
#include "journal.h"
#include "json_write.h"
#include "lookup.h"
#include "ns.h"
#include "probe.h"
#include "text.h"

/*
 * Theory of operation
 *
 *	the plan of `m9m-sandbox sh -c :`	all defaults
 *	its workdir, cgroup and set-up		by the code that runs use, up to
 *						the payload's last step
 *	each layer in a child of its own	all at once
 *
 * The run comes first: being alone in one's cgroup is a way to have another.
 * Its folder is locked and its journal kept, so that whatever ends us here, the
 * next run or --gc takes care of it.
 */

/* Less than a second, whatever hangs; and to the run what the bus leaves. */
#define BUS_MS   350
#define RUN_MS   600
#define PROBE_MS 300

enum row_kind { ROW_KERNEL, ROW_STATE, ROW_AUDIT, ROW_CGROUP, ROW_RUN, ROWS };

static const char *const row_names[ROWS] = {
	[ROW_KERNEL] = "kernel",       [ROW_STATE] = "state folder",
	[ROW_AUDIT] = "audit log",     [ROW_CGROUP] = "cgroup",
	[ROW_RUN] = "set-up of a run",
};

static const char *const agents[] = { "claude", "codex" };

struct row {
	const char *layer;
	bool counts;
	struct err_record result; /* status 0: works, message: how */
};

struct report {
	struct row *rows;
	size_t n;
};

struct patient {
	struct host host;
	struct spec spec;
	struct plan plan;
	struct workdir workdir;
	struct err_record results[ROWS];
};

/* The failure so far is this row's result. */
static void note(struct err_record *result)
{
	if (err_get() && result->status == 0)
		*result = *err_get();
	err_reset();
}

/*** The parts of a run ***/

static int make_plan(struct patient *p)
{
	static const char *const argv[] = {
		"m9m-sandbox", "--quiet", "--no-artifact", "--", "sh", "-c",
		":",           NULL
	};

	err_stage("plan");
	if (spec_parse(&p->spec, ARRAY_SIZE(argv) - 1, (char **)(uintptr_t)argv,
		       stderr) < 0)
		return fail(0, "cannot make the default spec");
	if (host_read(&p->host) < 0)
		return -1;
	p->host.stdin_tty = p->host.stdout_tty = false;
	return plan_make(&p->plan, &p->spec, &p->host);
}

static void try_kernel(struct err_record *result)
{
	struct utsname name;
	const char *cause;

	if (uname(&name) < 0) {
		fail(errno, "cannot ask for the kernel's release");
		note(result);
		return;
	}
	cause = cause_kernel(name.release);
	snprintf(result->message, sizeof(result->message), "Linux %s%s",
		 name.release, cause_is_wsl() ? " (WSL2)" : "");
	if (cause == NULL)
		return;
	result->status = 1;
	snprintf(result->remedy, sizeof(result->remedy), "%s", cause);
}

static void try_audit(const struct patient *p, struct err_record *result)
{
	struct audit audit = AUDIT_NONE;

	if (audit_open(&audit, p->host.audit_path) < 0)
		note(result);
	else
		snprintf(result->message, sizeof(result->message), "%s",
			 p->host.audit_path);
	audit_close(&audit);
}

static void try_state(struct patient *p, struct err_record *result)
{
	const struct plan *plan = &p->plan;

	if (workdir_create(&p->workdir, plan->runs_dir, plan->run_id,
			   plan->host_uid, plan->host_gid) < 0 ||
	    workdir_make_work(&p->workdir) < 0 ||
	    journal_add(p->workdir.journal_fd, "no-artifact", "") < 0)
		note(result);
	else
		snprintf(result->message, sizeof(result->message), "%s",
			 p->host.state_dir);
}

/* With every cap, not only those whose lack would fail a run. */
static int make_cgroup(struct patient *p, struct cgroup *cg)
{
	struct cgroup_limits limits = p->plan.caps;
	struct err_record *result = &p->results[ROW_CGROUP];

	limits.spare = 0;
	limits.patience_ms = BUS_MS;
	if (cgroup_create(cg, p->plan.run_id, &limits,
			  cgroup_choose(CGROUP_AUTO, &limits),
			  p->workdir.journal_fd) == 0)
		return 0;
	note(result);
	if (cause_wsl())
		snprintf(result->remedy, sizeof(result->remedy), "%s",
			 cause_wsl());
	return -1;
}

/*
 * Until its filter asks us of the payload's execve (nothing answers that), or,
 * where it cannot ask, until all is over.
 */
static void await_start(struct child *child, uint64_t deadline,
			struct err_record *result)
{
	struct control_message message = { 0 };

	while (message.kind != CONTROL_LISTENER &&
	       message.kind != CONTROL_EXITED) {
		uint64_t now = now_ms(CLOCK_MONOTONIC);
		struct pollfd fds[] = { { child->control_fd, POLLIN, 0 },
					{ child->err_fd, POLLIN, 0 } };

		if (now >= deadline ||
		    poll(fds, ARRAY_SIZE(fds), (int)(deadline - now)) < 1) {
			fail(ETIMEDOUT, "the set-up did not end in time");
			break;
		}
		if (fds[1].revents & POLLIN &&
		    err_receive(child->err_fd, result))
			break;
		if (control_receive(child->control_fd, &message, NULL) != 1) {
			if (!err_receive(child->err_fd, result))
				fail(0, "PID 1 died");
			break;
		}
	}
	note(result);
	if (result->status && result->remedy[0] == '\0')
		snprintf(result->remedy, sizeof(result->remedy), "%s",
			 cause_refusal());
}

static void try_run(struct patient *p)
{
	struct cgroup cg = CGROUP_NONE;
	struct child child = CHILD_NONE;
	struct project_tree project = PROJECT_TREE_NONE;
	struct err_record *capped = &p->results[ROW_CGROUP];
	struct err_record *result = &p->results[ROW_RUN];
	uint64_t deadline = now_ms(CLOCK_MONOTONIC) + RUN_MS;
	bool has_cgroup = make_cgroup(p, &cg) == 0;

	if (has_cgroup)
		snprintf(capped->message, sizeof(capped->message), "%s",
			 cgroup_backend_name(cg.backend));
	err_stage("namespaces");
	if (ns_spawn(&child, &p->plan, &cg, -1, false) < 0 ||
	    ns_supply(&child, &p->plan, &project, &p->workdir) < 0) {
		note(result);
	} else {
		if (cgroup_settle(&cg) < 0 ||
		    cgroup_enter(&cg, child.pid) < 0 ||
		    ns_admit(&child, &cg) < 0)
			note(capped);
		if (capped->status == 0 || !has_cgroup)
			await_start(&child, deadline, result);
		else
			*result = *capped;
	}
	ns_reap(&child);
	if (cgroup_remove(&cg) < 0)
		note(capped);
}

static void try_parts(struct patient *p)
{
	struct err_record *results = p->results;

	try_kernel(&results[ROW_KERNEL]);
	err_stage("events");
	try_audit(p, &results[ROW_AUDIT]);
	err_stage("workdir");
	try_state(p, &results[ROW_STATE]);
	err_stage("cgroup");
	if (p->workdir.work_fd >= 0)
		try_run(p);
	else
		results[ROW_RUN] = results[ROW_CGROUP] = results[ROW_STATE];
	err_stage("workdir");
	if (p->workdir.journal_fd >= 0 && workdir_remove(&p->workdir) < 0)
		note(&results[ROW_STATE]);
	workdir_close(&p->workdir);
}

/*** What it came to ***/

static void add(struct report *report, const char *layer, bool counts,
		const struct err_record *result)
{
	report->rows[report->n++] = (struct row){ layer, counts, *result };
}

static void add_agent(struct report *report, const char *name)
{
	struct err_record result = { .status = 0 };
	struct lookup lookup;
	auto_free char *path = NULL;
	struct agent *agent = agent_find(name);

	lookup_init(&lookup, NULL);
	path = lookup_find(&lookup, name);
	result.status = path == NULL;
	snprintf(result.message, sizeof(result.message), "%s",
		 path ? path : "not found");
	if (path == NULL && agent && agent->install)
		snprintf(result.remedy, sizeof(result.remedy), "%s",
			 agent->install);
	add(report, name, false, &result);
	agent_free(agent);
}

static void make_report(struct report *report, struct patient *p)
{
	struct err_record *results = xcalloc(probe_count, sizeof(*results));

	report->rows = xcalloc(ROWS + probe_count + ARRAY_SIZE(agents),
			       sizeof(*report->rows));
	try_parts(p);
	probe_all(&p->plan, PROBE_MS, results);
	add(report, row_names[ROW_KERNEL], true, &p->results[ROW_KERNEL]);
	for (size_t i = 0; i < probe_count; i++)
		add(report, probes[i].layer, probes[i].counts, &results[i]);
	for (size_t i = ROW_KERNEL + 1; i < ROWS; i++)
		add(report, row_names[i], true, &p->results[i]);
	for (size_t i = 0; i < ARRAY_SIZE(agents); i++)
		add_agent(report, agents[i]);
	free(results);
}

static bool is_well(const struct report *report)
{
	for (size_t i = 0; i < report->n; i++)
		if (report->rows[i].counts && report->rows[i].result.status)
			return false;
	return true;
}

static void print_table(const struct report *report, FILE *out)
{
	for (size_t i = 0; i < report->n; i++) {
		const struct row *row = &report->rows[i];
		const struct err_record *r = &row->result;
		const char *verdict = r->status == 0 ? "works" : "FAILS";
		auto_free char *message = text_visible(r->message, true);

		fprintf(out, "%-17s  %s  %s%s%s\n", row->layer, verdict,
			message, message[0] && !row->counts ? " " : "",
			row->counts ? "" : "(informational)");
		if (r->status && r->remedy[0])
			fprintf(out, "%-17s  mend:  %s\n", "", r->remedy);
	}
	fputs(is_well(report) ? "The default policy can be had in full.\n"
			      : "The default policy cannot be had in full.\n",
	      out);
}

static void print_json(const struct report *report, FILE *out)
{
	struct json_writer w = JSON_WRITER_NONE;

	json_write_open(&w, NULL, '{');
	json_write_bool(&w, "ok", is_well(report));
	json_write_open(&w, "layers", '[');
	for (size_t i = 0; i < report->n; i++) {
		const struct row *row = &report->rows[i];
		const struct err_record *r = &row->result;

		json_write_open(&w, NULL, '{');
		json_write_string(&w, "layer", row->layer);
		json_write_bool(&w, "counts", row->counts);
		json_write_bool(&w, "works", r->status == 0);
		if (r->message[0])
			json_write_string(&w, r->status ? "why" : "how",
					  r->message);
		if (r->status && r->remedy[0])
			json_write_string(&w, "remedy", r->remedy);
		json_write_close(&w, '}');
	}
	json_write_close(&w, ']');
	json_write_close(&w, '}');
	fprintf(out, "%s\n", w.text);
	json_write_free(&w);
}

int doctor_run(FILE *out, bool json)
{
	struct patient p = { .workdir = WORKDIR_NONE };
	struct report report = { 0 };
	int rc = make_plan(&p);

	if (rc == 0) {
		make_report(&report, &p);
		(json ? print_json : print_table)(&report, out);
		rc = is_well(&report) ? 0 : 1;
	}
	free(report.rows);
	plan_free(&p.plan);
	host_free(&p.host);
	spec_free(&p.spec);
	return rc;
}
