/* SPDX-License-Identifier: MIT */

/*
 * m9m-sandbox: runs a command in a throw-away sandbox.
 *
 *	argv, JSON --spec--> struct spec --plan--> const struct plan
 *
 *	supervisor  relay, ns_spawn, workdir, cgroup, ns_supply, supervise,
 *		    artifact, teardown
 *	relay	    the only way out, in the host's network namespace
 *	PID 1	    builds the sandbox, forks the payload, reaps
 *	payload	    the command
 *
 * Until the plan is made, nothing on the host has changed.  From then on
 * everything that was made is unmade in tear_down(), whatever happened in between;
 * the workdir goes last, when all that was in it is safe elsewhere.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account.h"
#include "action.h"
#include "artifact.h"
#include "caps.h"
#include "cjson.h"
#include "claim.h"
#include "err.h"
#include "event.h"
#include "host.h"
#include "journal.h"
#include "lazy.h"
#include "metrics.h"
#include "ns.h"
#include "outcome.h"
#include "plan.h"
#include "recover.h"
#include "relay.h"
#include "result.h"
#include "secret.h"
#include "signals.h"
#include "spec.h"
#include "supervise.h"
#include "watch.h"
#include "workdir.h"

/* Everything of one run that must be unmade. */
struct run {
	const struct spec *spec;
	const struct plan *plan;
	struct event_log log;
	struct strv secrets; /* masked in what is recorded */
	struct recovery recovery;
	struct claim claim;
	struct workdir workdir;
	struct project_tree project;
	struct timespec shown; /* when the project was last as it had been */
	struct cgroup cgroup;
	struct relay relay;
	struct child child;
	bool archivable; /* the archive's place was looked at, and is good */
	int signal_fd;
	uint64_t began_ms;
	struct outcome *out;
};

/*** The phases ***/

/* Copies what cannot be laid under the workdir, or was not to be. */
static int set_up_project(struct run *run)
{
	const struct plan *plan = run->plan;
	enum spec_project mode = plan->project.mode;
	ssize_t left_out;

	if (plan->project.path == NULL)
		return 0;
	if (project_open(&run->project, plan) < 0)
		return -1;
	if (plan->project.git_at && plan->disk == 0 &&
	    workdir_make_git(&run->workdir) < 0)
		return -1;
	/* The clock that file systems use. */
	clock_gettime(CLOCK_REALTIME_COARSE, &run->shown);
	if (mode == SPEC_PROJECT_OVERLAY && !run->project.foreign)
		return workdir_make_scratch(&run->workdir) < 0
			   ? -1
			   : changes_note(&run->workdir, plan, &run->project,
					  &run->shown);
	if (mode == SPEC_PROJECT_OVERLAY)
		outcome_add_warning(run->out,
				    "the project was copied: this kernel or "
				    "its file system cannot show root's files "
				    "as the payload's");
	if (mode == SPEC_PROJECT_RO && run->project.foreign)
		outcome_add_warning(run->out,
				    "files of the project that only root may "
				    "read are not readable, and git takes "
				    "them all for another user's");
	run->project.copied = mode != SPEC_PROJECT_RO &&
			      mode != SPEC_PROJECT_BIND;
	if (!run->project.copied)
		return 0;
	left_out = project_copy(plan, run->project.dir_fd, run->workdir.work_fd,
				run->workdir.uid != geteuid());
	if (left_out < 0)
		return -1;
	if (left_out > 0)
		outcome_add_warning(run->out,
				    "not in the copy of the project: %zd "
				    "sockets, fifos or devices",
				    left_out);
	/* Half a copy would look like deletions. */
	return changes_note(&run->workdir, plan, &run->project, &run->shown);
}

/* The name, the journal and the cgroup. */
static int take_place(struct run *run, enum cgroup_backend choice)
{
	const struct plan *plan = run->plan;
	const char *name = run->spec->name;

	err_stage("name");
	if (name &&
	    claim_take(&run->claim, plan->runs_dir, name, plan->run_id) < 0)
		return -1;
	err_stage("workdir");
	if (workdir_create(&run->workdir, plan->runs_dir, plan->run_id,
			   plan->host_uid, plan->host_gid) < 0)
		return -1;
	err_stage("cgroup");
	return caps_make(&run->cgroup, plan, choice, run->workdir.journal_fd,
			 run->out);
}

/* PID 1, which makes its namespaces and waits for what it is handed. */
static int make_init(struct run *run)
{
	const struct plan *plan = run->plan;
	int rc;

	/* The relay is forked from us while we hold nothing of the payload's. */
	err_stage("relay");
	if (plan->net.mode == NET_RELAY &&
	    relay_start(&run->relay, &plan->net) < 0)
		return -1;
	err_stage("namespaces");
	rc = ns_spawn(&run->child, plan, &run->cgroup, run->relay.sockets_fd,
		      plan->prompt || host_has_input());
	relay_handed_over(&run->relay);
	return rc;
}

/* What the run has on the host, and what who finds it without us has to know. */
static int make_workdir(struct run *run)
{
	const struct plan *plan = run->plan;
	const struct spec *spec = run->spec;
	struct workdir *wd = &run->workdir;

	err_stage("workdir");
	if ((plan->disk == 0 && workdir_make_work(wd) < 0) ||
	    workdir_note_outputs(wd, spec->outputs, spec->n_outputs) < 0)
		return -1;
	if (plan->artifact == NULL)
		return journal_add(wd->journal_fd, "no-artifact", "");
	if (journal_add(wd->journal_fd, "artifact", plan->artifact) < 0 ||
	    event_attach_run(&run->log, wd) < 0)
		return -1;
	err_stage("artifact");
	run->archivable = artifact_check(plan->artifact, wd->tag) == 0;
	return run->archivable ? 0 : -1;
}

/* Of runs that were killed; never a reason for this one to fail. */
static void collect_dead(struct run *run)
{
	size_t left = recover_some(&run->recovery, run->workdir.runs_fd,
				   run->plan->run_id, run->out);

	if (left > 0)
		outcome_add_warning(run->out,
				    "%zu earlier runs could not be cleared out "
				    "of %s: --gc tries again",
				    left, run->plan->runs_dir);
}

static bool went_well(struct run *run, int rc)
{
	if (rc < 0)
		account_failure(run->out);
	return rc == 0;
}

/*
 * The namespaces take the kernel as long as all that PID 1 is handed takes us:
 * so that comes after it, but for a cgroup that it is born in.
 */
static bool begin(struct run *run)
{
	enum cgroup_backend choice = cgroup_choose(run->plan->cgroup,
						   &run->plan->caps);
	bool late = !cgroup_comes_first(choice);
	bool ok = (late || went_well(run, take_place(run, choice))) &&
		  went_well(run, make_init(run));

	/* Even after a failure: an archive that was asked for tells of it. */
	if (late)
		ok = went_well(run, take_place(run, choice)) && ok;
	if (run->workdir.journal_fd >= 0)
		ok = went_well(run, make_workdir(run)) && ok;
	return ok;
}

/* All that exists before the payload runs; -1 by fail(), or with the failure in
 * the outcome already. */
static int set_up(struct run *run)
{
	const struct plan *plan = run->plan;
	const struct spec *spec = run->spec;
	bool ok;

	err_stage("signals");
	run->signal_fd = signals_take(plan->die_with_parent);
	if (run->signal_fd < 0)
		return -1;
	ok = begin(run);
	/* An attempt is on record before anything of the payload's happens. */
	account_start(&run->log, plan, spec->name, &run->secrets);
	if (!ok)
		return -1;
	err_stage("recovery");
	collect_dead(run);
	err_stage("disk");
	if (plan->disk && workdir_use_disk(&run->workdir, plan->disk) < 0)
		return -1;
	err_stage("project");
	if (set_up_project(run) < 0)
		return -1;
	err_stage("inputs");
	if (workdir_copy_in(&run->workdir, spec->inputs, spec->n_inputs) < 0)
		return -1;
	err_stage("mounts");
	if (ns_supply(&run->child, plan, &run->project, &run->workdir) < 0)
		return -1;
	err_stage("cgroup");
	return caps_enter(&run->cgroup, plan, &run->child, run->out);
}

static void stop_relay(struct run *run)
{
	struct net_event event;

	relay_stop(&run->relay);
	while (relay_read_event(&run->relay, &event) == 1) {
		secret_mask_net(&run->secrets, &event);
		event_emit_net(&run->log, &event,
			       outcome_add_net(run->out, &event));
	}
	relay_close(&run->relay);
}

/* Git refuses what another user owns; and where a submodule's records cannot be
 * changed, they name its tree at its place outside. */
static void note_git(struct run *run)
{
	const struct plan_project *project = &run->plan->project;
	bool fixed = workdir_git_is_fixed(&run->workdir);
	bool placed = strcmp(run->plan->workdir, project->path) == 0;

	if (run->project.git_foreign)
		outcome_add_warning(run->out,
				    "git did not work inside: this kernel, or "
				    "the file system of %s, cannot show root's "
				    "files as the payload's",
				    project->elsewhere.path);
	else if (fixed)
		outcome_add_warning(run->out,
				    "%s inside: this kernel, or the file "
				    "system of %s, cannot lay one tree over "
				    "another",
				    project->elsewhere.module && !placed
					? "git did not work"
					: "git's own records were read-only",
				    project->elsewhere.path);
}

/* Found out inside, where no word of it can be sent. */
static void note_fallbacks(struct run *run)
{
	if (run->plan->project.git_at)
		note_git(run);
	if (!workdir_was_copied(&run->workdir))
		return;
	run->project.copied = true;
	outcome_add_warning(
	    run->out,
	    "the project was copied, but for sockets, fifos and "
	    "devices: this kernel, or the file system of the "
	    "project or of %s, cannot lay one tree over "
	    "another",
	    run->workdir.path);
}

static void copy_outputs(struct run *run)
{
	const struct spec *spec = run->spec;

	err_stage("outputs");
	if (workdir_copy_out(&run->workdir, spec->outputs, spec->n_outputs) < 0)
		account_outputs(run->out);
}

static void end_artifact(struct run *run)
{
	/* What goes from here on is no loss. */
	(void)journal_add(run->workdir.journal_fd, "saved", "");
	account_artifact(&run->log, "artifact", &run->out->artifact);
	account_left_out(run->out);
}

/* Before the archive, which holds them. */
static void record_changes(struct run *run)
{
	err_stage("changes");
	if (changes_record(&run->workdir, run->plan, &run->project, &run->shown,
			   &run->out->changes) < 0)
		account_failure(run->out);
	if (run->out->changes.beyond > 0)
		outcome_add_warning(
		    run->out,
		    "not in the list of changes: %llu files or "
		    "folders that are too deep, have too long a "
		    "path, or are little else than holes",
		    (unsigned long long)run->out->changes.beyond);
	/* Shown when nothing is left that its reader could hold. */
	if (run->spec->diff)
		run->out->patch_fd = changes_open_patch(&run->workdir);
}

/* Its place is told, so only --gc may take it away. */
static void keep_workdir(struct run *run)
{
	account_failure(run->out);
	if (run->out->kept_workdir == NULL)
		run->out->kept_workdir = xstrdup(run->workdir.path);
	(void)journal_add(run->workdir.journal_fd, "tried", "");
	err_reset();
}

/* A workdir in memory cannot be kept as it is: once more, where archives are
 * usually put. */
static void rescue(struct run *run, struct artifact_request *request)
{
	struct outcome *out = run->out;

	account_failure(out);
	request->path = run->plan->rescue;
	request->compression = ARTIFACT_ZSTD;
	if (request->path &&
	    artifact_write(&run->workdir, request, &out->artifact) == 0) {
		outcome_add_warning(out, "the archive is in %s instead",
				    request->path);
		end_artifact(run);
		return;
	}
	err_reset();
	outcome_add_warning(out, "the workdir was in memory (--disk): what it "
				 "held is lost");
}

/*
 * The archive, then and only then the deletion.  What was never started left
 * nothing to keep, but for an archive that was asked for.
 */
static void archive(struct run *run)
{
	const struct plan *plan = run->plan;
	auto_free char *json = NULL;
	struct artifact_request request = {
		.path = plan->artifact,
		.compression = plan->compression,
		.limits = plan->limits,
		.progress = account_is_watched(run->spec),
		.layer = plan->project.path && !run->project.copied
	};

	if (plan->artifact == NULL || !run->archivable ||
	    (!run->out->started && !plan->artifact_asked))
		return;
	err_stage("artifact");
	event_tally(&run->log);
	json = result_json(plan->run_id, plan->id,
			   plan->agent ? plan->agent->name : NULL, run->out,
			   true);
	request.run_json = json;
	if (artifact_write(&run->workdir, &request, &run->out->artifact) == 0)
		end_artifact(run);
	else if (plan->disk)
		rescue(run, &request);
	else
		keep_workdir(run);
}

static void empty_workdir(struct run *run)
{
	err_stage("cleanup");
	if (run->out->kept_workdir == NULL && workdir_empty(&run->workdir) < 0)
		keep_workdir(run);
}

/* With the journal: nothing that it tells of is there any more. */
static void remove_workdir(struct run *run)
{
	if (run->workdir.journal_fd < 0)
		return;
	err_stage("cleanup");
	if (run->out->kept_workdir == NULL && workdir_remove(&run->workdir) < 0)
		keep_workdir(run);
	workdir_close(&run->workdir);
}

/*
 * Everything in it is dead before anything of it is read; but a PID 1 that has
 * nobody left may take its time to end, and its cgroup goes after it.
 */
static void tear_down(struct run *run)
{
	if (!run->child.alone)
		ns_reap(&run->child);
	caps_account(&run->cgroup, run->plan, &run->log, run->out);
	stop_relay(run);
	run->out->duration_ms = now_ms(CLOCK_MONOTONIC) - run->began_ms;
	if (run->workdir.journal_fd >= 0) {
		watch_disk(&run->log, run->out, run->plan, &run->workdir);
		note_fallbacks(run);
		if (run->out->started) {
			copy_outputs(run);
			record_changes(run);
		}
		archive(run);
		empty_workdir(run);
	}
	project_close(&run->project);
	ns_reap(&run->child);
	err_stage("cgroup");
	caps_remove(&run->cgroup, run->out);
	remove_workdir(run);
	claim_release(&run->claim);
}

static void run_sandbox(struct run *run)
{
	lazy_settle();
	if (set_up(run) == 0)
		supervise(&(struct supervision){ .plan = run->plan,
						 .child = &run->child,
						 .relay = &run->relay,
						 .log = &run->log,
						 .secrets = &run->secrets,
						 .workdir = &run->workdir,
						 .cgroup = &run->cgroup,
						 .signal_fd = run->signal_fd },
			  run->out);
	else
		account_failure(run->out);
	tear_down(run);
	account_exit(&run->log, run->out);
}

/*** main ***/

static int run_plan(const struct spec *spec, const struct plan *plan,
		    const struct host *host, struct outcome *out)
{
	struct run run = { .spec = spec,
			   .plan = plan,
			   .log = EVENT_LOG_NONE,
			   .recovery = { host->state_dir, host->audit_path },
			   .claim = CLAIM_NONE,
			   .workdir = WORKDIR_NONE,
			   .project = PROJECT_TREE_NONE,
			   .cgroup = CGROUP_NONE,
			   .relay = RELAY_NONE,
			   .child = CHILD_NONE,
			   .signal_fd = -1,
			   .began_ms = now_ms(CLOCK_MONOTONIC),
			   .out = out };

	/* What tells of the run is not to be found missing when it is over. */
	err_stage("result");
	if ((plan->artifact || account_has_result(spec)) && cjson_load() < 0)
		return -1;
	err_stage("events");
	if (event_open(&run.log, host->run_id, spec->id, host->audit_path,
		       spec->events, spec->events_fd) < 0)
		return -1;
	account_layers(out, plan);
	account_hint(spec, plan);
	secret_collect(&run.secrets, plan, spec);
	run_sandbox(&run);
	event_close(&run.log);
	strv_free(&run.secrets);
	cleanup_fd(&run.signal_fd);
	return 0;
}

/* As with the payload's output, whoever had the run end is not to wait for the
 * reader of what is told at the end. */
static void let_go(const struct outcome *out)
{
	signals_leave(out->exit_code, out->status == OUTCOME_TIMEOUT ||
					  out->status == OUTCOME_KILLED ||
					  out->status == OUTCOME_ERROR);
}

static int run_spec(const struct spec *spec)
{
	/* Never freed: the caller waits for the end, which does it faster. */
	static struct host host;
	static struct plan plan;
	static struct outcome out;
	struct timespec now;
	char stamp[EVENT_TIME_SIZE];
	bool counted;

	out = OUTCOME_NONE;
	clock_gettime(CLOCK_REALTIME, &now);
	event_time(&now, stamp);
	out.started_at = xstrdup(stamp);
	err_stage("metrics");
	counted = spec->metrics_dir && metrics_check(spec->metrics_dir) == 0;
	/* Now rather than when the work is done. */
	if (!err_get() && spec->result) {
		err_stage("result");
		result_check(spec->result);
	}
	if (!err_get())
		err_stage("plan");
	if (err_get() || host_read(&host) < 0 ||
	    plan_make(&plan, spec, &host) < 0 ||
	    run_plan(spec, &plan, &host, &out) < 0)
		account_failure(&out);
	if (counted)
		account_metrics(spec, &plan, &out);
	/* A file is written whatever comes; a stream has a reader, too. */
	if (result_has_reader(spec->result, spec->result_fd))
		let_go(&out);
	account_result(spec, &plan, &host, &out);
	let_go(&out);
	account_tell(spec, &plan, &out);
	return out.exit_code;
}

int main(int argc, char **argv)
{
	static struct spec spec; /* as run_spec's */
	int status = EXIT_SANDBOX;

	/* First: to read a spec is to show what is in it. */
	if (host_lends_rights()) {
		fputs("m9m-sandbox: cannot run with rights that its file lends "
		      "(setuid, setgid, capabilities)\n"
		      "m9m-sandbox: it needs none: chmod ug-s, setcap -r\n",
		      stderr);
		return EXIT_SANDBOX;
	}
	if (fill_standard_fds() < 0) {
		fputs("m9m-sandbox: cannot open /dev/null in the place of a "
		      "closed descriptor\n",
		      stderr);
		return EXIT_SANDBOX;
	}
	signals_shed();
	/* We have to get into the folders that we make. */
	umask(umask(0) & 077);
	title_init(argc, argv);
	if (spec_parse(&spec, argc, argv, stderr) == 0)
		status = spec.action == SPEC_RUN ? run_spec(&spec)
						 : action_do(&spec);
	warn_rest();
	return status;
}
