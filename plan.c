/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "codeless.h"
#include "err.h"
#include "netaddr.h"
#include "project.h"
#include "tree.h"

/* Inside, when the caller is root: any ordinary id does. */
#define DEFAULT_ID 1000

static const char default_path[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static int plan_agent(struct plan *plan, const struct spec *spec)
{
	const char *name = spec->agent;

	if (name && strcmp(name, "none") == 0)
		return 0;
	if (name == NULL && spec->command.n > 0) {
		plan->agent = agent_find(path_base(spec->command.v[0]));
		return 0;
	}
	plan->agent = agent_find(name ? name : "");
	if (plan->agent == NULL)
		return fail(0, "unknown agent profile \"%s\"",
			    name ? name : "");
	return 0;
}

/* Will this absolute path exist only inside: an input, a mount of the user's? */
static bool is_inside(const struct spec *spec, const char *path)
{
	if (path[0] != '/')
		return false;
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (path_under(path, spec->mounts[i].destination))
			return true;
	return path_under(path, spec->workdir);
}

/* Taken as it is: what it needs is the user's to show. */
static void take_inside(struct program *program, const struct strv *argv)
{
	program->path = xstrdup(argv->v[0]);
	for (size_t i = 0; i < argv->n; i++)
		strv_push(&program->argv, xstrdup(argv->v[i]));
}

/* Before anything is looked for in it. */
static int check_rootfs(const struct spec *spec)
{
	auto_fd int fd = -1;

	if (!spec->rootfs)
		return 0;
	fd = open(spec->rootfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return 0;
	fail(errno, "cannot read the root tree %s", spec->rootfs);
	return fail_remedy("--rootfs names a folder with a whole system in it");
}

static int plan_command(struct plan *plan, const struct spec *spec)
{
	const struct strv *argv = &spec->command;

	if (argv->n == 0)
		argv = &plan->agent->argv;
	plan->label = path_base(argv->v[0]);
	if (is_inside(spec, argv->v[0])) {
		take_inside(&plan->program, argv);
		return 0;
	}
	return program_resolve(&plan->program, argv, plan->agent, spec->rootfs);
}

static void plan_ids(struct plan *plan, const struct spec *spec,
		     const struct host *host)
{
	uid_t uid = host->uid ? host->uid : DEFAULT_ID;
	gid_t gid = host->uid ? host->gid : DEFAULT_ID;

	plan->host_uid = host->payload_uid;
	plan->host_gid = host->payload_gid;
	plan->uid = spec->uid >= 0 ? (uid_t)spec->uid : uid;
	plan->gid = spec->gid >= 0 ? (gid_t)spec->gid : gid;
}

static void set_env(struct strv *env, const char *name, const char *value)
{
	char *entry = xasprintf("%s=%s", name, value);
	size_t n = strlen(name);

	for (size_t i = 0; i < env->n; i++) {
		if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=') {
			free(env->v[i]);
			env->v[i] = entry;
			return;
		}
	}
	strv_push(env, entry);
}

static void unset_env(struct strv *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < env->n; i++) {
		if (strncmp(env->v[i], name, n) != 0 || env->v[i][n] != '=')
			continue;
		free(env->v[i]);
		memmove(&env->v[i], &env->v[i + 1],
			(env->n - i) * sizeof(*env->v));
		env->n--;
		return;
	}
}

/* Is `folder` an entry of the search path? */
static bool path_has(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	for (; path; path = strchr(path, ':') ? strchr(path, ':') + 1 : NULL)
		if (strncmp(path, folder, n) == 0 &&
		    (path[n] == ':' || path[n] == '\0'))
			return true;
	return false;
}

/* Appends the folder of an absolute path, once. */
static char *add_folder_of(char *path, const char *file, size_t len)
{
	auto_free char *folder = xstrndup(file, len);
	char *slash = strrchr(folder, '/');
	char *longer;

	*slash = '\0';
	if (slash == folder || path_has(path, folder))
		return path;
	longer = xasprintf("%s:%s", path, folder);
	free(path);
	return longer;
}

/* The default, and the folders of the program, its links and interpreter. */
static char *search_path(const struct plan *plan)
{
	const struct program *p = &plan->program;
	char *path = xstrdup(default_path);

	for (size_t i = 0; i < p->links.n; i++)
		path = add_folder_of(path, p->links.v[i],
				     strcspn(p->links.v[i], "\t"));
	for (size_t i = 0; i < p->show.n; i++)
		if (strcmp(p->show_why.v[i], "program") == 0 ||
		    strcmp(p->show_why.v[i], "interpreter") == 0)
			path = add_folder_of(path, p->show.v[i],
					     strlen(p->show.v[i]));
	return add_folder_of(path, p->path, strlen(p->path));
}

static void pass_env(struct plan *plan, const struct host *host,
		     const char *name)
{
	const char *value = host_getenv(host, name);

	if (value)
		set_env(&plan->env, name, value);
}

static void plan_base_env(struct plan *plan, const struct host *host)
{
	const char *lang = host_getenv(host, "LANG");
	const char *term = host_getenv(host, "TERM");
	auto_free char *path = search_path(plan);
	const struct {
		const char *name, *value;
	} base[] = {
		{ "PATH", path },       { "HOME", TREE_HOME },
		{ "USER", TREE_USER },  { "LOGNAME", TREE_USER },
		{ "SHELL", "/bin/sh" }, { "LANG", lang ? lang : "C.UTF-8" },
		{ "TMPDIR", "/tmp" },   { "TERM", term ? term : "dumb" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(base); i++)
		set_env(&plan->env, base[i].name, base[i].value);
	pass_env(plan, host, "TZ");
}

/* From empty: ours, the profile's, what the user passes, what the user sets. */
static void plan_env(struct plan *plan, const struct spec *spec,
		     const struct host *host)
{
	const struct agent *agent = plan->agent;

	if (!spec->clearenv)
		plan_base_env(plan, host);
	for (size_t i = 0; agent && i < agent->env.n; i++) {
		const char *entry = agent->env.v[i];
		size_t len = strcspn(entry, "=");
		auto_free char *name = xstrndup(entry, len);

		set_env(&plan->env, name, entry + len + 1);
	}
	for (size_t i = 0; agent && i < agent->env_pass.n; i++)
		pass_env(plan, host, agent->env_pass.v[i]);
	for (size_t i = 0; i < spec->env_pass.n; i++)
		pass_env(plan, host, spec->env_pass.v[i]);
	for (size_t i = 0; i < spec->n_env; i++) {
		if (spec->env[i].value)
			set_env(&plan->env, spec->env[i].name,
				spec->env[i].value);
		else
			unset_env(&plan->env, spec->env[i].name);
	}
	/* execve wants a vector, even an empty one. */
	if (plan->env.v == NULL)
		plan->env.v = xcalloc(1, sizeof(*plan->env.v));
}

static const enum cgroup_backend cgroup_choices[] = {
	[SPEC_CGROUP_AUTO] = CGROUP_AUTO,       [SPEC_CGROUP_V2] = CGROUP_V2,
	[SPEC_CGROUP_SYSTEMD] = CGROUP_SYSTEMD, [SPEC_CGROUP_V1] = CGROUP_V1,
	[SPEC_CGROUP_INHERIT] = CGROUP_INHERIT, [SPEC_CGROUP_NONE] = CGROUP_NOT,
};

static const struct {
	const char *key;
	unsigned int controller;
} caps[] = { { "memory", CGROUP_MEMORY },
	     { "cpu", CGROUP_CPU },
	     { "pids", CGROUP_PIDS } };

static void plan_limits(struct plan *plan, const struct spec *spec)
{
	const struct plan_rlimit limits[PLAN_RLIMITS] = {
		/* Counted within the sandbox's own user namespace, so that other
		 * processes of the uid do not matter (Linux 5.14+); one for
		 * PID 1. */
		{ RLIMIT_NPROC, "processes", spec->pids + 1 },
		{ RLIMIT_NOFILE, "open files", spec->files },
		/* Not 0: a core_pattern that is a pipe runs on the host, as
		 * root, even then.  1 stops pipe and file. */
		{ RLIMIT_CORE, "core dumps", 1 },
		/* No cap on CPU time holds a real-time process. */
		{ RLIMIT_RTPRIO, "real-time", 0 },
		{ RLIMIT_NICE, "nice", 0 },
		/* Counted among the caller's own outside, too: a part of what
		 * is usual there. */
		{ RLIMIT_MEMLOCK, "locked bytes", 8 << 20 },
		{ RLIMIT_MSGQUEUE, "queue bytes", 400 << 10 },
		{ RLIMIT_SIGPENDING, "signals", 8192 },
	};

	memcpy(plan->rlimits, limits, sizeof(limits));
	plan->cgroup = cgroup_choices[spec->cgroup];
	plan->caps = (struct cgroup_limits){ .memory = spec->memory,
					     .cpu = spec->cpu,
					     .pids = spec->pids + 1 };
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
		if (!spec_asked(spec, caps[i].key))
			plan->caps.spare |= caps[i].controller;
	/* Processes are limited without a cgroup as well. */
	plan->caps_degradable = strv_has(&spec->allow_degraded, "cgroup");
	plan->caps_asked = plan->cgroup != CGROUP_AUTO ||
			   spec_asked(spec, "memory") ||
			   spec_asked(spec, "cpu");
}

/* Such a rule counts where a name leads; who dials it meets the sandbox. */
static void warn_of_loopback(struct plan *plan, const struct spec *spec)
{
	for (size_t i = 0; i < spec->n_allow; i++) {
		const struct net_rule *rule = &spec->allow[i];
		const struct in6_addr *addr = &rule->addr;

		if (rule->kind != NET_RULE_CIDR ||
		    (netaddr_is_v4(addr) ? netaddr_v4(addr) >> 24 != 127
					 : !IN6_IS_ADDR_LOOPBACK(addr)))
			continue;
		strv_push(&plan->warnings,
			  xasprintf("%s: inside, loopback is the sandbox's "
				    "own; the host's is "
				    "host.m9m.internal, with --host-port",
				    rule->text));
	}
}

static void plan_warnings(struct plan *plan, const struct spec *spec,
			  const struct host *host)
{
	warn_of_loopback(plan, spec);
	if (plan->cgroup == CGROUP_NOT) {
		strv_push(&plan->degraded, xstrdup("cgroup"));
		strv_push(&plan->warnings,
			  xstrdup("CPU and memory are not capped: --cgroup "
				  "none"));
	}
	if (host->cores_leave)
		strv_push(&plan->warnings,
			  xstrdup("a crash inside is handed to the host's core "
				  "handler (kernel.core_pattern): one that is "
				  "a pipe is kept out where the hard limit of "
				  "core dumps (ulimit -Hc) is 1 or more"));
	if (spec->permissive) {
		strv_push(&plan->degraded, xstrdup("network-rules"));
		if (plan->commands.observed)
			strv_push(&plan->degraded, xstrdup("commands"));
		strv_push(&plan->warnings,
			  xstrdup("permissive: what no rule allows is let "
				  "through, and recorded with the rule that it "
				  "needs"));
	}
	if (spec->network == SPEC_NETWORK_HOST)
		strv_push(&plan->warnings,
			  xstrdup("the sandbox shares the host's network"));
	if (spec->network == SPEC_NETWORK_HOST && !netpol_scopes_sockets()) {
		strv_push(&plan->degraded, xstrdup("landlock"));
		strv_push(&plan->warnings,
			  xstrdup("abstract unix sockets of the host, such as "
				  "D-Bus's, can be reached: Linux 6.12 closes "
				  "them"));
	}
}

static int plan_artifact(struct plan *plan, const struct spec *spec,
			 const struct host *host)
{
	auto_free char *usual = NULL;

	plan->compression = ARTIFACT_ZSTD;
	plan->limits = (struct artifact_limits){ spec->artifact_files,
						 spec->artifact_bytes };
	plan->artifact_asked = spec->artifact != NULL;
	if (spec->artifact_off)
		return 0;
	usual = xasprintf("%s/artifacts/%s.tar.zst", host->state_dir,
			  host->run_id);
	if (spec->artifact == NULL) {
		plan->artifact = take_ptr(&usual);
		return 0;
	}
	/* What is in memory only cannot be kept where it is. */
	if (plan->disk)
		plan->rescue = take_ptr(&usual);
	plan->artifact = xstrdup(spec->artifact);
	if (spec->compression == NULL) {
		if (artifact_compression_of(plan->artifact,
					    &plan->compression) == 0)
			return 0;
		fail(0, "cannot tell the compression of %s from its name",
		     plan->artifact);
		return fail_remedy("name it .tar.zst, .tar.gz or .tar, or set "
				   "artifact.compression");
	}
	if (strcmp(spec->compression, "gzip") == 0)
		plan->compression = ARTIFACT_GZIP;
	else if (strcmp(spec->compression, "none") == 0)
		plan->compression = ARTIFACT_NONE;
	return 0;
}

static void plan_run(struct plan *plan, const struct spec *spec,
		     const struct host *host)
{
	plan->run_id = host->run_id;
	plan->id = spec->id;
	plan->workdir = xstrdup(spec->workdir);
	plan->cwd = xstrdup(spec->chdir ? spec->chdir : spec->workdir);
	plan->hostname = xstrdup(spec->hostname ? spec->hostname : "sandbox");
	plan->runs_dir = path_join(host->state_dir, "runs");
	plan->hashes_dir = path_join(host->state_dir, "hashes");
	plan->looks_dir = path_join(host->state_dir, "looks");
	plan->prompt = spec->prompt;
	plan->window = host->window;
	plan->landlock = host->landlock;
	plan->pty = host->stdin_tty && host->stdout_tty && !spec->prompt;
	plan->stop_signal = plan->agent ? plan->agent->stop_signal : SIGTERM;
	plan->die_with_parent = spec->die_with_parent;
	plan->verbose = spec->verbose;
	plan->timeout_ms = spec->timeout_ms;
	plan->grace_ms = spec->grace_ms;
	plan->output = spec->output;
	plan->namespaces = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS |
			   CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;
	if (plan->net.mode != NET_HOST)
		plan->namespaces |= CLONE_NEWNET;
}

static void free_filter(const struct seccomp_filter *filter)
{
	if (filter->code != seccomp_default.code)
		free((void *)(uintptr_t)filter->code);
}

static int forbid_code(struct seccomp_filter *filter)
{
	const struct seccomp_filter before = *filter;

	if (codeless_join(filter) < 0)
		return -1;
	free_filter(&before);
	return 0;
}

static int plan_filter(struct plan *plan, const struct spec *spec)
{
	plan->profile = spec->profile;
	plan->filter = seccomp_default;
	if (spec->profile && seccomp_build(spec->profile, &plan->filter) < 0)
		return -1;
	if (plan->commands.listed && forbid_code(&plan->filter) < 0)
		return -1;
	/* Who never makes one never needs a relay to record what it tries. */
	plan->filter.sockets = plan->net.mode == NET_DENY;
	return 0;
}

int plan_make(struct plan *plan, const struct spec *spec,
	      const struct host *host)
{
	*plan = (struct plan){ .disk = spec->disk };
	if (plan_agent(plan, spec) < 0 || check_rootfs(spec) < 0 ||
	    plan_command(plan, spec) < 0 ||
	    commands_plan(&plan->commands, &plan->program, spec, plan->agent) <
		0 ||
	    netpol_plan(&plan->net, spec, plan->agent) < 0 ||
	    plan_artifact(plan, spec, host) < 0 || plan_filter(plan, spec) < 0)
		return -1;
	plan_ids(plan, spec, host);
	plan_run(plan, spec, host);
	if (project_plan(plan, spec, host) < 0)
		return -1;
	plan_env(plan, spec, host);
	plan_limits(plan, spec);
	plan_warnings(plan, spec, host);
	return tree_plan(plan, spec, host);
}

void plan_free(struct plan *plan)
{
	for (size_t i = 0; i < plan->n_mounts; i++) {
		free(plan->mounts[i].destination);
		free(plan->mounts[i].source);
		free(plan->mounts[i].text);
	}
	free(plan->mounts);
	agent_free(plan->agent);
	program_free(&plan->program);
	commands_free(&plan->commands);
	strv_free(&plan->env);
	netpol_free(&plan->net);
	free_filter(&plan->filter);
	free(plan->cwd);
	free(plan->hostname);
	free(plan->runs_dir);
	free(plan->hashes_dir);
	free(plan->looks_dir);
	free(plan->workdir);
	project_free(&plan->project);
	free(plan->artifact);
	free(plan->rescue);
	strv_free(&plan->degraded);
	strv_free(&plan->warnings);
}
