/* SPDX-License-Identifier: MIT */
#include "option.h"

#include <stdlib.h>
#include <string.h>

#include "mounted.h"

#define MODE_OF(network) (1U << (network))
#define MODE(m)          MODE_OF(SPEC_NETWORK_##m)

/* What says something only in certain network modes. */
static const struct network_list {
	const char *key;
	unsigned int modes;
	bool opens; /* a flag --network restricted closes what a file says */
} network_lists[] = {
	{ "network.hosts", MODE(ALLOW) | MODE(RESTRICTED), true },
	{ "network.ports", MODE(ALLOW), true },
	{ "network.host_ports", MODE(ALLOW) | MODE(RESTRICTED), true },
	{ "network.resolve", MODE(ALLOW) | MODE(RESTRICTED), false },
	{ "network.tls_ports", MODE(ALLOW) | MODE(RESTRICTED), false },
	{ "network.allow_ech", MODE(ALLOW) | MODE(RESTRICTED), true },
	{ "network.proxy", MODE(ALLOW) | MODE(RESTRICTED), false },
	{ "network.publish", MODE(ALLOW) | MODE(RESTRICTED) | MODE(DENY),
	  false },
};

static void imply_allow(struct parse *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(network_lists); i++)
		if (!(network_lists[i].modes & MODE(DENY)) &&
		    spec_asked(p->spec, network_lists[i].key))
			p->spec->network = SPEC_NETWORK_ALLOW;
}

static void check_list(struct parse *p, const struct network_list *row,
		       const struct option *list, bool by_flag)
{
	const char *const *names = option_by_key("network.mode")->choices;
	enum option_from from = p->from[option_index(list)];
	bool fits = row->modes & MODE_OF(p->spec->network);
	bool closes = by_flag && row->opens &&
		      p->spec->network == SPEC_NETWORK_RESTRICTED;

	if (fits && !closes)
		return;
	/* A stricter flag is there to close what the file opens. */
	if (by_flag && from == FROM_FILE)
		option_forget(p, list);
	else if (!fits)
		complain_at(p, list, "conflicts with network mode %s (%s)",
			    names[p->spec->network],
			    row->modes & MODE(DENY)
				? "its ports are the host's already"
				: "it needs mode allow");
	else if (p->spelled[option_index(list)])
		complain_at(p, list,
			    "adds to the spec's, which --network restricted "
			    "takes back (leave one of them out)");
}

static void check_network(struct parse *p)
{
	const struct option *mode = option_given(p, "network.mode");
	bool by_flag = mode && p->from[option_index(mode)] == FROM_FLAG;

	if (mode && p->refused[option_index(mode)])
		return;
	if (!mode)
		imply_allow(p);
	for (size_t i = 0; i < ARRAY_SIZE(network_lists); i++) {
		const struct option *list = option_given(p,
							 network_lists[i].key);

		if (list)
			check_list(p, &network_lists[i], list, by_flag);
	}
}

/* Nothing to observe, or nothing to judge by. */
static void check_permissive(struct parse *p)
{
	const struct option *o = option_given(p, "permissive");

	if (!o || !p->spec->permissive)
		return;
	if (p->spec->network == SPEC_NETWORK_HOST)
		complain_at(p, o,
			    "conflicts with network mode host, which is not "
			    "observed (leave the mode out)");
	/* Deny is also what is meant when nobody says a word: that is observed,
	 * an explicit one is not for another option to undo. */
	if (p->spec->network == SPEC_NETWORK_DENY &&
	    option_given(p, "network.mode"))
		complain_at(p, o,
			    "conflicts with network mode deny: it would open "
			    "what that closes (leave the mode out, or say "
			    "--network allow)");
	if (p->spec->proxy)
		complain_at(p, o,
			    "conflicts with network.proxy: where a name leads "
			    "is the proxy's knowledge, so that no private or "
			    "metadata address could be refused");
}

static void default_ports(struct spec *spec)
{
	if (spec->n_ports)
		return;
	spec->ports = xcalloc(1, sizeof(*spec->ports));
	spec->ports[spec->n_ports++] = 443;
}

/* Is there something to run? */
static void check_command(struct parse *p)
{
	const struct spec *spec = p->spec;
	const struct option *prompt = option_given(p, "prompt");
	const struct option *agent = option_given(p, "agent");

	/* Of an action about a file, or the host, nothing is run. */
	if (spec->action == SPEC_VERIFY_AUDIT || spec->action == SPEC_DOCTOR ||
	    spec->action == SPEC_APPLY || spec->action == SPEC_REPORT ||
	    spec->action == SPEC_SUGGEST || spec->action == SPEC_GC)
		return;
	/* What was given and refused has its own line already. */
	if (option_given(p, "command")) {
		if (spec->command.n && spec->command.v[0][0] == '\0')
			complain_at(p, option_given(p, "command"),
				    "the program's name is empty");
		return;
	}
	if (spec->agent && strcmp(spec->agent, "none") == 0)
		agent = NULL;
	if (prompt && !agent)
		complain_at(p, prompt,
			    "nobody to give it to (add --agent NAME, or a "
			    "command)");
	else if (agent && !prompt)
		complain_at(p, agent, "needs a prompt or a command");
	else if (!prompt && p->problems == 0)
		complain_in(p, "nothing to run",
			    "give a command (m9m-sandbox claude -p \"...\"), "
			    "--agent NAME with --prompt TEXT, or --spec FILE");
}

static void check_report(struct parse *p)
{
	if (p->spec->action == SPEC_REPORT && p->spec->command.n != 1)
		complain_in(p, "nothing to report of, or too much",
			    "name one archive, result, or file of events: "
			    "m9m-sandbox --report run.html run.tar.zst");
}

static void check_apply(struct parse *p)
{
	static const char *const names[] = { "dry-run", "force" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (option_given(p, names[i]) && p->spec->action != SPEC_APPLY)
			complain_at(p, option_given(p, names[i]),
				    "needs --apply FILE");
}

/* What says something only with a project, and only with some. */
static void check_project(struct parse *p)
{
	static const char *const needs_project[] = { "project.mode",
						     "project.at", "show",
						     "diff" };
	struct spec *spec = p->spec;
	bool in_place = spec->project_mode == SPEC_PROJECT_RO ||
			spec->project_mode == SPEC_PROJECT_BIND;

	for (size_t i = 0; i < ARRAY_SIZE(needs_project); i++) {
		const struct option *o = option_given(p, needs_project[i]);

		/* What was refused has its own line already. */
		if (o && !p->refused[option_index(o)] &&
		    !option_given(p, "project.path"))
			complain_at(p, o, "needs a project");
	}
	if (spec->project && in_place && spec->n_inputs)
		complain_at(p, option_given(p, "inputs"),
			    "cannot be copied into a project that is shown "
			    "as it is");
	if (spec->project && spec->disk &&
	    spec->project_mode != SPEC_PROJECT_COPY)
		complain_at(p, option_given(p, "disk"),
			    "caps what the workdir holds, which with a project "
			    "needs project mode copy");
	if (!spec->project_at)
		return;
	if (option_given(p, "workdir"))
		complain_at(p, option_given(p, "project.at"),
			    "the project appears at the workdir: give one of "
			    "the two");
	free(spec->workdir);
	spec->workdir = xstrdup(spec->project_at);
}

static void check_mounts(struct parse *p)
{
	const struct spec *spec = p->spec;

	for (size_t i = 0; i < spec->n_mounts; i++)
		if (strcmp(spec->mounts[i].destination, spec->workdir) == 0)
			complain_at(p, option_given(p, "mounts"),
				    "%s is the workdir (--project shows a tree "
				    "there, --workdir moves it)",
				    spec->workdir);
}

/*
 * The payload of one run must not write the rules of the next: neither a file
 * that holds some nor a link to it may lie in what the run can write.
 */
static void check_apart(struct parse *p, const char *path, const char *name,
			const char *writable)
{
	char *auto_free tree = realpath(writable, NULL);
	auto_mounted struct mounted mounted = { 0 };

	if (!tree)
		return;
	if (mounted_read(&mounted, tree) < 0 || mounted_on_way(&mounted, path))
		complain_in(p, name,
			    "lies in %s, which the sandbox may write: "
			    "a run could change the rules of the next",
			    writable);
}

static void check_place(struct parse *p, const char *path, const char *name)
{
	const struct spec *spec = p->spec;

	if (!path)
		return;
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (spec->mounts[i].source && spec->mounts[i].read_write)
			check_apart(p, path, name, spec->mounts[i].source);
	if (spec->project && spec->project_mode == SPEC_PROJECT_BIND)
		check_apart(p, path, name, spec->project);
}

/* Files of ours on the host: one would overwrite the other. */
static void check_records(struct parse *p)
{
	const struct {
		const char *key, *path;
	} records[] = {
		{ "artifact.path", p->spec->artifact },
		{ "events", p->spec->events },
		{ "result", p->spec->result },
	};

	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		for (size_t k = 0; k < i; k++)
			if (records[i].path && records[k].path &&
			    strcmp(records[i].path, records[k].path) == 0)
				complain_at(p, option_given(p, records[i].key),
					    "%s is also the place of %s",
					    records[i].path, records[k].key);
}

/*
 * A tree that comes out may hold links to anywhere, and what we write after it
 * must not go by them.  A pattern brings no folder that is there already.
 */
static bool comes_with(const char *record, const struct spec_copy *output)
{
	char *auto_free folder = folder_of(record);

	if (output->glob)
		return !folder && path_under(record, output->to);
	return path_under(record, output->to) ||
	       (folder && path_under(folder, output->to));
}

static void check_outputs(struct parse *p)
{
	const struct spec *spec = p->spec;
	const struct {
		const char *key, *path;
	} records[] = { { "artifact.path", spec->artifact },
			{ "events", spec->events },
			{ "result", spec->result },
			{ "metrics_dir", spec->metrics_dir } };

	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		for (size_t k = 0; records[i].path && k < spec->n_outputs; k++)
			if (comes_with(records[i].path, &spec->outputs[k]))
				complain_at(p, option_given(p, records[i].key),
					    "%s is within %s, which the output "
					    "%s brings: name another place",
					    records[i].path,
					    spec->outputs[k].to,
					    spec->outputs[k].from);
}

static void check_caps(struct parse *p)
{
	static const char *const keys[] = { "memory", "cpu" };
	const struct spec *spec = p->spec;
	const struct option *disk = option_given(p, "disk");
	bool none = spec->cgroup == SPEC_CGROUP_NONE ||
		    spec->cgroup == SPEC_CGROUP_INHERIT;

	for (size_t i = 0; none && i < ARRAY_SIZE(keys); i++)
		if (option_given(p, keys[i]))
			complain_at(p, option_given(p, keys[i]),
				    "conflicts with --cgroup %s, which holds "
				    "nothing by itself",
				    spec->cgroup == SPEC_CGROUP_NONE
					? "none"
					: "inherit");
	/* Where the disk does not fit, writing to it would be the end rather
	 * than ENOSPC. */
	if (disk && !none && spec->disk >= spec->memory)
		complain_at(p, disk,
			    "is held in memory, of which there are %llu bytes: "
			    "it must be less (more: --memory)",
			    (unsigned long long)spec->memory);
}

static void check_json(struct parse *p)
{
	const struct option *json = option_given(p, "json");
	enum spec_action action = p->spec->action;

	if (json && action != SPEC_DOCTOR && action != SPEC_WHY &&
	    action != SPEC_SUGGEST)
		complain_at(p, json,
			    "goes with --doctor, --why and --suggest only");
}

static void refuse_options(struct parse *p, const char *action)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];

		if (o->key && option_given(p, o->key) == o)
			complain_at(p, o, "does not go with %s", action);
	}
}

/* No other option would tell these anything. */
static void check_alone(struct parse *p)
{
	static const struct {
		enum spec_action action;
		const char *flag;
	} alone[] = {
		{ SPEC_DOCTOR, "--doctor, which tries the defaults" },
		{ SPEC_GC, "--gc, which is about runs that are over" },
		{ SPEC_VERIFY_AUDIT, "--verify-audit, which is about one log" },
	};

	for (size_t row = 0; row < ARRAY_SIZE(alone); row++)
		if (p->spec->action == alone[row].action)
			refuse_options(p, alone[row].flag);
}

void spec_check(struct parse *p)
{
	check_json(p);
	check_alone(p);
	check_caps(p);
	check_network(p);
	check_permissive(p);
	default_ports(p->spec);
	check_report(p);
	check_apply(p);
	check_command(p);
	check_project(p);
	check_mounts(p);
	check_place(p, p->path, p->file);
	check_place(p, p->spec->seccomp, p->spec->seccomp);
	check_records(p);
	check_outputs(p);
}
