/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <string.h>

#include "ns.h"
#include "text.h"

/* plan_explain: what would be done, in order, in words. */

static const char *const kind_names[] = {
	[PLAN_DIR] = "dir",         [PLAN_FILE] = "file",
	[PLAN_SYMLINK] = "link",    [PLAN_BIND] = "bind",
	[PLAN_WORKDIR] = "workdir", [PLAN_PROJECT] = "project",
	[PLAN_GIT] = "git",         [PLAN_TMPFS] = "tmpfs",
	[PLAN_PROC] = "proc",       [PLAN_DEVPTS] = "devpts",
	[PLAN_READ_ONLY] = "lock",  [PLAN_MASK] = "mask",
	[PLAN_HOLD] = "hold",       [PLAN_SEAL] = "seal",
};
_Static_assert(ARRAY_SIZE(kind_names) == PLAN_SEAL + 1, "a kind has no name");

/* Paths and arguments are shown so that they cannot steer the terminal. */
static void print_word(FILE *out, const char *word)
{
	auto_free char *visible = text_visible(word, true);

	fputs(visible, out);
}

static void print_words(FILE *out, const char *label, const struct strv *words)
{
	fprintf(out, "%-12s", label);
	for (size_t i = 0; i < words->n; i++) {
		fputc(' ', out);
		print_word(out, words->v[i]);
	}
	fputc('\n', out);
}

static void print_mount(FILE *out, const struct plan_mount *m)
{
	fprintf(out, "  %-8s ", kind_names[m->kind]);
	print_word(out, m->destination);
	if (m->source && (m->kind == PLAN_SYMLINK ||
			  strcmp(m->source, m->destination) != 0)) {
		fputs(m->kind == PLAN_SYMLINK ? " -> " : " from ", out);
		print_word(out, m->source);
	}
	if (m->kind == PLAN_TMPFS)
		fprintf(out, " %llu KiB", (unsigned long long)m->size / 1024);
	if (m->kind == PLAN_BIND || m->kind == PLAN_TMPFS ||
	    m->kind == PLAN_WORKDIR || m->kind == PLAN_PROJECT ||
	    m->kind == PLAN_GIT)
		fprintf(out, " %s%s", m->flags & PLAN_RW ? "rw" : "ro",
			m->flags & PLAN_NOEXEC ? ",noexec" : "");
	fputc('\n', out);
}

/* Names only: values may be secrets. */
static void print_env(FILE *out, const struct strv *env)
{
	fputs("environment ", out);
	for (size_t i = 0; i < env->n; i++)
		fprintf(out, " %.*s", (int)strcspn(env->v[i], "="), env->v[i]);
	fputc('\n', out);
}

static void print_limits(FILE *out, const struct plan *plan)
{
	fputs("limits\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(plan->rlimits); i++)
		fprintf(out, "  %-12s %llu\n", plan->rlimits[i].name,
			(unsigned long long)plan->rlimits[i].value);
	fprintf(out, "  %-12s %s%s\n", "cgroup",
		cgroup_backend_name(plan->cgroup),
		plan->cgroup == CGROUP_NOT ? ""
		: plan->caps_asked         ? ", or it is refused"
					   : ", or a warning");
	if (plan->cgroup != CGROUP_NOT && plan->cgroup != CGROUP_INHERIT)
		fprintf(out, "  %-12s %llu bytes\n  %-12s %g cores\n", "memory",
			(unsigned long long)plan->caps.memory, "cpu",
			plan->caps.cpu);
	if (plan->disk)
		fprintf(out, "  %-12s %llu bytes, in memory\n", "disk",
			(unsigned long long)plan->disk);
	fprintf(out, "  %-12s %llu bytes\n", "output kept",
		(unsigned long long)plan->output);
	if (plan->timeout_ms)
		fprintf(out,
			"  %-12s %llu ms, then SIG%s, then %llu ms to the "
			"kill\n",
			"time", (unsigned long long)plan->timeout_ms,
			sigabbrev_np(plan->stop_signal),
			(unsigned long long)plan->grace_ms);
	else
		fprintf(out, "  %-12s none\n", "time");
}

static void print_filter(FILE *out, const struct plan *plan)
{
	const struct seccomp_profile *profile = plan->profile;

	fputs("system calls ", out);
	if (profile) {
		print_word(out, profile->path);
		fprintf(out, " (%zu rules in %zu steps) above ",
			profile->n_rules, plan->filter.n);
	}
	fprintf(
	    out, "the %s (%s)%s\n",
	    profile && !seccomp_profile_takes_away(profile) ? "floor"
							    : "default filter",
	    seccomp_arch(), plan->commands.listed ? ", no code in memory" : "");
}

void plan_explain(const struct plan *plan, FILE *out)
{
	fprintf(out, "run          %s\n", plan->run_id);
	fprintf(out, "agent        %s\n",
		plan->agent ? plan->agent->name : "none");
	fputs("program      ", out);
	print_word(out, plan->program.path);
	fputc('\n', out);
	print_words(out, "arguments", &plan->program.argv);
	fputs("directory    ", out);
	print_word(out, plan->cwd);
	fprintf(out, "\nterminal     %s\n",
		plan->pty ? "its own" : "none (pipes)");
	fprintf(out, "ids          uid %u gid %u inside, %u and %u outside\n",
		plan->uid, plan->gid, plan->host_uid, plan->host_gid);
	fputs("namespaces  ", out);
	for (size_t i = 0; i < ARRAY_SIZE(ns_kinds); i++)
		if (plan->namespaces & ns_kinds[i].flag)
			fprintf(out, " %s", ns_kinds[i].name);
	fputc('\n', out);
	if (plan->landlock)
		fprintf(out, "landlock     version %d\n", plan->landlock);
	else
		fputs("landlock     none in this kernel: the mounts stand "
		      "alone\n",
		      out);
	print_env(out, &plan->env);
	print_limits(out, plan);
	print_filter(out, plan);
	fputs("network\n", out);
	netpol_explain(&plan->net, out);
	commands_explain(&plan->commands, out);
	fputs("mounts, in order\n", out);
	for (size_t i = 0; i < plan->n_mounts; i++)
		print_mount(out, &plan->mounts[i]);
	fputs("artifact     ", out);
	print_word(out, plan->artifact ? plan->artifact : "none");
	fputc('\n', out);
	for (size_t i = 0; i < plan->degraded.n; i++)
		fprintf(out, "degraded     %s\n", plan->degraded.v[i]);
	for (size_t i = 0; i < plan->warnings.n; i++) {
		fputs("warning      ", out);
		print_word(out, plan->warnings.v[i]);
		fputc('\n', out);
	}
}
