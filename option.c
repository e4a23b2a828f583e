/* SPDX-License-Identifier: MIT */
#include "option.h"

#include <string.h>

#include "near.h"

#define FIELD(f) .offset = offsetof(struct spec, f)
#define HEADING(h)                                                             \
	{                                                                      \
		.help = (h)                                                    \
	}

static const char *const modes[] = { "deny", "restricted", "host", "allow",
				     NULL };
static const char *const project_modes[] = { "overlay", "copy", "ro", "bind",
					     NULL };
static const char *const whens[] = { "auto", "always", "never", NULL };
static const char *const cgroups[] = { "auto",    "v2",   "systemd", "v1",
				       "inherit", "none", NULL };
static const char *const compressions[] = { "zstd", "gzip", "none", NULL };
/* 1 PiB: whole numbers from 2^53 on are no longer exact in JSON. */
#define LARGEST_SIZE (1LL << 50)
/* Layers that a run may go without: the others are always there. */
static const char *const layers[] = { "cgroup", NULL };

/* In the order of --help and --print-spec. */
const struct option option_table[] = {
	HEADING("What to run:"),
	{ "agent", 0, "NAME", "agent", &type_agent, FIELD(agent),
	  .help = "agent profile, or none (by COMMAND's name)" },
	{ "prompt", 0, "TEXT", "prompt", &type_prompt, FIELD(prompt),
	  .help = "given to the agent on its stdin" },
	{ "prompt-file", 0, "FILE", "prompt", &type_prompt_file, FIELD(prompt),
	  .help = "the same, from a file (-: stdin)" },
	{ "spec", 0, "FILE", NULL, &type_spec,
	  .help = "options from a JSON file (-: stdin); flags win" },
	{ "id", 0, "LABEL", "id", &type_label, FIELD(id),
	  .help = "label of the run in events and results" },
	{ .key = "command", .type = &type_command, FIELD(command) },
	{ "name", 0, "NAME", "name", &type_name, FIELD(name),
	  .help = "refuse to run while another run has this name" },

	HEADING("Limits (SIZE: bytes, or 10k 2M 1Gi; TIME: 90, 5m, 1h30m):"),
	{ "cpu", 0, "N", "cpu", &type_cores, FIELD(cpu), 0, 4096,
	  .help = "cores, fractions allowed (2)" },
	{ "memory", 0, "SIZE", "memory", &type_size, FIELD(memory), 1 << 20,
	  LARGEST_SIZE, .help = "RAM and swap (2Gi); beyond it is killed" },
	{ "pids", 0, "N", "pids", &type_count, FIELD(pids), 1, 4194304,
	  .help = "processes and threads (512)" },
	{ "cgroup", 0, "KIND", "cgroup", &type_choice, FIELD(cgroup),
	  .choices = cgroups,
	  .help = "auto, or v2, systemd, v1, inherit, none" },
	{ "files", 0, "N", "files", &type_count, FIELD(files), 8, 1048576,
	  .help = "open files of each process (1024)" },
	{ "disk", 0, "SIZE", "disk", &type_size, FIELD(disk), 0, LARGEST_SIZE,
	  .help = "the workdir, held in memory then (none)" },
	{ "output", 0, "SIZE", "output", &type_size, FIELD(output), 0,
	  LARGEST_SIZE, .help = "stdout and stderr kept (10Mi)" },
	{ "timeout", 0, "TIME", "timeout", &type_duration, FIELD(timeout_ms), 0,
	  366ULL * 86400000, .help = "wall clock (none); exit status 124" },
	{ "grace", 0, "TIME", "grace", &type_duration, FIELD(grace_ms), 0,
	  3600000, .help = "from the polite signal to the kill (5s)" },

	HEADING("Network (nothing, unless asked for):"),
	{ "network", 0, "MODE", "network.mode", &type_choice, FIELD(network),
	  .choices = modes,
	  .help = "deny, restricted (the agent's API), host, allow" },
	{ "allow", 0, "HOST[:PORT]", "network.hosts", &type_hosts,
	  .help = "name, *.name, address or CIDR; means mode allow" },
	{ "allow-port", 0, "PORT", "network.ports", &type_ports, FIELD(ports),
	  .help = "port of hosts given without one (443)" },
	{ "host-port", 0, "PORT", "network.host_ports", &type_ports,
	  FIELD(host_ports),
	  .help = "host's loopback, as host.m9m.internal:PORT" },
	{ "resolve", 0, "NAME=ADDR", "network.resolve", &type_resolve,
	  .help = "where an allowed name is, without asking DNS" },
	{ "require-tls", 0, "PORT", "network.tls_ports", &type_ports,
	  FIELD(tls_ports),
	  .help = "port where nothing but TLS may be spoken" },
	{ "allow-ech", 0, NULL, "network.allow_ech", &type_flag,
	  FIELD(allow_ech),
	  .help = "TLS may hide its name (ECH): trust the one outside" },
	{ "proxy", 0, "URL", "network.proxy", &type_proxy, FIELD(proxy),
	  .help = "connect through this HTTP proxy, or env: as set" },
	{ "publish", 0, "[HOSTPORT:]PORT", "network.publish", &type_publish,
	  .help = "a port inside, reached from the host's loopback" },

	HEADING("Files (nothing of yours is visible, unless asked for):"),
	{ "project", 0, "DIR", "project.path", &type_host_path, FIELD(project),
	  .help = "your tree in the workdir; changes are kept apart" },
	{ "project-mode", 0, "MODE", "project.mode", &type_choice,
	  FIELD(project_mode), .choices = project_modes,
	  .help = "overlay (copy-on-write), copy, ro, bind (in place)" },
	{ "project-at", 0, "DIR", "project.at", &type_workdir,
	  FIELD(project_at), .help = "where it appears (the workdir)" },
	{ "show", 0, "FILE", "show", &type_show, FIELD(show),
	  .help = "of the project, though it looks like a secret" },
	{ "diff", 0, NULL, "diff", &type_flag, FIELD(diff),
	  .help = "print what was changed in it, as a patch" },
	{ "workdir", 0, "DIR", "workdir", &type_workdir, FIELD(workdir),
	  .help = "where the fresh, writable folder appears (/work)" },
	{ "input", 0, "SRC[:DEST]", "inputs", &type_inputs,
	  .help = "copied into the workdir before the start" },
	{ "output-file", 0, "NAME[:DEST]", "outputs", &type_outputs,
	  .help = "copied out of the workdir at the end; *, ? match" },
	{ "optional-output", 0, "NAME[:DEST]", "outputs", &type_optional_output,
	  .help = "the same, and no error if it is missing" },
	{ "artifact", 0, "FILE", "artifact.path", &type_host_path,
	  FIELD(artifact),
	  .help = "archive of the workdir: .tar.zst .tar.gz .tar" },
	{ .key = "artifact.compression",
	  .type = &type_choice_name,
	  FIELD(compression),
	  .choices = compressions },
	{ "artifact-bytes", 0, "SIZE", "artifact.bytes", &type_size,
	  FIELD(artifact_bytes), 0, LARGEST_SIZE,
	  .help = "what its files may come to (any)" },
	{ "artifact-files", 0, "N", "artifact.files", &type_count,
	  FIELD(artifact_files), 1, SPEC_ARTIFACT_FILES_MAX,
	  .help = "how many it may hold (2000000)" },
	{ "no-artifact", 0, NULL, "artifact", &type_no_artifact,
	  FIELD(artifact_off), .help = "no archive; the workdir is lost" },
	{ "bind", 0, "SRC DST", "mounts", &type_bind,
	  .help = "show SRC of the host at DST, writable" },
	{ "ro-bind", 0, "SRC DST", "mounts", &type_ro_bind,
	  .help = "the same, read-only" },
	{ "tmpfs", 0, "DST", "mounts", &type_tmpfs,
	  .help = "an empty, private file system at DST" },
	{ "rootfs", 0, "DIR", "rootfs", &type_host_path, FIELD(rootfs),
	  .help = "DIR's tree instead of the host's /usr and /etc" },

	HEADING("Process:"),
	{ "setenv", 0, "NAME VALUE", "env", &type_setenv,
	  .help = "set a variable; the environment starts empty" },
	{ "pass-env", 0, "NAME", "env_pass", &type_pass_env, FIELD(env_pass),
	  .help = "pass one of yours on; its value is not recorded" },
	{ "unsetenv", 0, "NAME", "unsetenv", &type_unsetenv,
	  .help = "take a variable away" },
	{ "clearenv", 0, NULL, "clearenv", &type_flag, FIELD(clearenv),
	  .help = "not even PATH, HOME, LANG and the like" },
	{ "chdir", 0, "DIR", "chdir", &type_inside_path, FIELD(chdir),
	  .help = "start there (the workdir)" },
	{ "hostname", 0, "NAME", "hostname", &type_hostname, FIELD(hostname),
	  .help = "host name inside" },
	{ "uid", 0, "N", "uid", &type_id, FIELD(uid), 1, UINT32_MAX - 1,
	  .help = "user id inside; never 0" },
	{ "gid", 0, "N", "gid", &type_id, FIELD(gid), 1, UINT32_MAX - 1,
	  .help = "group id inside; never 0" },
	{ "die-with-parent", 0, NULL, "die_with_parent", &type_flag,
	  FIELD(die_with_parent),
	  .help = "end when the process that started us ends" },
	{ "new-session", 0, NULL, NULL, &type_always,
	  .help = "always so; taken for bubblewrap's sake" },
	{ "allow-command", 0, "NAME", "allowed_commands", &type_commands,
	  FIELD(allowed_commands),
	  .help = "COMMAND and what is so named may run, nothing else" },
	{ "allow-no-commands", 0, NULL, "allowed_commands", &type_no_commands,
	  .help = "COMMAND itself, and what is named after this" },
	{ "allow-dangerous-commands", 0, NULL, "allow_dangerous_commands",
	  &type_flag, FIELD(dangerous_commands),
	  .help = "list shells, downloaders, package managers too" },
	{ "workdir-exec", 0, NULL, "workdir_exec", &type_flag,
	  FIELD(workdir_exec),
	  .help = "what is in the workdir may run, whatever the list" },
	{ "seccomp", 0, "FILE", "seccomp", &type_host_path, FIELD(seccomp),
	  .help = "system call profile, as Docker's, for the default" },
	{ "allow-degraded", 0, "LAYER", "allow_degraded", &type_layers,
	  FIELD(allow_degraded), .choices = layers,
	  .help = "run without it where it cannot be had: cgroup" },
	{ "permissive", 0, NULL, "permissive", &type_flag, FIELD(permissive),
	  .help = "let through and record what no rule allows" },

	HEADING("Records:"),
	{ "events", 0, "FILE", "events", &type_output_path, FIELD(events),
	  .help = "what happens, as JSON lines (-: stdout)" },
	{ "events-fd", 0, "N", "events_fd", &type_fd, FIELD(events_fd), 1,
	  INT_MAX, .help = "the same, to an open descriptor" },
	{ "result", 0, "FILE", "result", &type_output_path, FIELD(result),
	  .help = "how it ended, as one JSON object (-: stdout)" },
	{ "result-fd", 0, "N", "result_fd", &type_fd, FIELD(result_fd), 1,
	  INT_MAX, .help = "the same, to an open descriptor" },
	{ "summary", 0, "WHEN", "summary", &type_choice, FIELD(summary),
	  .choices = whens,
	  .help = "on stderr: always, never, auto (on a terminal)" },
	{ "quiet", 'q', NULL, "summary", &type_quiet, FIELD(summary),
	  .help = "--summary never" },
	{ "verbose", 0, NULL, "sandbox.verbose", &type_flag, FIELD(verbose),
	  .help = "output, and programs not found, become events" },
	{ "metrics-dir", 0, "DIR", "metrics_dir", &type_host_path,
	  FIELD(metrics_dir),
	  .help = "counters over all runs, for node_exporter" },

	HEADING("Instead of running:"),
	{ "explain", 0, NULL, NULL, &type_action, .min = SPEC_EXPLAIN,
	  .help = "print what would be done, step by step" },
	{ "why", 0, "WHAT", NULL, &type_action_about, FIELD(about),
	  .min = SPEC_WHY, .help = "may it have HOST:PORT, /PATH, COMMAND?" },
	{ "print-spec", 0, NULL, NULL, &type_action, .min = SPEC_PRINT_SPEC,
	  .help = "print the merged spec (env values as ***)" },
	{ "list-agents", 0, NULL, NULL, &type_action, .min = SPEC_LIST_AGENTS,
	  .help = "print the agent profiles" },
	{ "apply", 0, "FILE", NULL, &type_action_about, FIELD(about),
	  .min = SPEC_APPLY,
	  .help = "put a run's changes into the project here" },
	{ "dry-run", 0, NULL, NULL, &type_flag, FIELD(dry_run),
	  .help = "with --apply: only say what would be done" },
	{ "force", 0, NULL, NULL, &type_flag, FIELD(force),
	  .help = "with --apply: though files or changes get lost" },
	{ "report", 0, "FILE", NULL, &type_action_about, FIELD(about),
	  .min = SPEC_REPORT,
	  .help = "write an archive, result, or events as a page" },
	{ "gc", 0, NULL, NULL, &type_action, .min = SPEC_GC,
	  .help = "archive and remove what killed runs left" },
	{ "help", 'h', NULL, NULL, &type_action, .min = SPEC_HELP,
	  .help = "print this" },
	{ "version", 'V', NULL, NULL, &type_action, .min = SPEC_VERSION,
	  .help = "print the version" },
	{ "doctor", 0, NULL, NULL, &type_action, .min = SPEC_DOCTOR,
	  .help = "try all layers here: what works, and how to mend" },
	{ "json", 0, NULL, NULL, &type_flag, FIELD(json),
	  .help = "of --doctor, --why, --suggest: as JSON" },
	{ "suggest", 0, "FILE", NULL, &type_action_about, FIELD(about),
	  .min = SPEC_SUGGEST,
	  .help = "what to add for what an artifact or events show" },
	{ "verify-audit", 0, "FILE", NULL, &type_action_about, FIELD(about),
	  .min = SPEC_VERIFY_AUDIT,
	  .help = "was a line of this audit log altered or removed?" },
};

const size_t option_count = ARRAY_SIZE(option_table);

static const struct {
	const char *alias, *key;
} aliases[] = { { "type", "agent" } };

const char *option_key_alias(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (strcmp(aliases[i].alias, key) == 0)
			return aliases[i].key;
	return key;
}

const struct option *option_by_flag(const char *name, size_t len)
{
	for (size_t i = 0; i < option_count; i++) {
		const char *flag = option_table[i].flag;

		if (flag && strlen(flag) == len && memcmp(flag, name, len) == 0)
			return &option_table[i];
	}
	return NULL;
}

const struct option *option_by_letter(char letter)
{
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].letter && option_table[i].letter == letter)
			return &option_table[i];
	return NULL;
}

const struct option *option_by_key(const char *key)
{
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].key &&
		    strcmp(option_table[i].key, key) == 0)
			return &option_table[i];
	return NULL;
}

size_t option_index(const struct option *o)
{
	return (size_t)(o - option_table);
}

size_t option_arity(const struct option *o)
{
	size_t words = o->args != NULL;

	for (const char *c = o->args; c && *c; c++)
		words += *c == ' ';
	return words;
}

const char *option_near_flag(const char *name)
{
	struct near_match match = { .word = name };

	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].flag)
			near_offer(&match, option_table[i].flag);
	return match.best;
}

static bool is_word(const char *name, const char *word)
{
	while (*name && (*name == *word || (*name == '_' && *word == '-')))
		name++, word++;
	return *name == *word;
}

/* The word is right, its place is not, or it is a flag's: "network.hosts" for
 * both "hosts" and "allow". */
static const char *key_elsewhere(const char *name)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];
		const char *dot = o->key ? strchr(o->key, '.') : NULL;

		if (o->key && ((dot && strcmp(dot + 1, name) == 0) ||
			       (o->flag && is_word(name, o->flag))))
			return o->key;
	}
	return NULL;
}

const char *option_near_key(const char *prefix, const char *name)
{
	struct near_match match = { .word = name };
	size_t len = strlen(prefix);
	/* Groups have no row of their own. */
	static const char *const groups[] = { "network", "project", "sandbox",
					      "params" };

	for (size_t i = 0; i < option_count; i++) {
		const char *key = option_table[i].key;

		if (key && strncmp(key, prefix, len) == 0 &&
		    !strchr(key + len, '.'))
			near_offer(&match, key + len);
	}
	for (size_t i = 0; len == 0 && i < ARRAY_SIZE(groups); i++)
		near_offer(&match, groups[i]);
	for (size_t i = 0; len == 0 && i < ARRAY_SIZE(aliases); i++)
		near_offer(&match, aliases[i].alias);
	return !match.best && len == 0 ? key_elsewhere(name) : match.best;
}

static void print_row(const struct option *o, FILE *out)
{
	char left[64];
	int n = snprintf(left, sizeof(left), "  --%s", o->flag);

	if (o->letter)
		n += snprintf(left + n, sizeof(left) - (size_t)n, ", -%c",
			      o->letter);
	if (o->args)
		snprintf(left + n, sizeof(left) - (size_t)n, " %s", o->args);
	fprintf(out, "%-27s   %s\n", left, o->help);
}

void spec_print_help(FILE *out)
{
	fputs("Usage: m9m-sandbox [OPTION...] [--] COMMAND [ARG...]\n"
	      "       m9m-sandbox --spec FILE|- [OPTION...] [-- COMMAND "
	      "[ARG...]]\n\n"
	      "Runs an AI agent, or any command, in a throw-away sandbox.\n",
	      out);
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];

		if (!o->flag && o->help)
			fprintf(out, "\n%s\n", o->help);
		else if (o->flag)
			print_row(o, out);
	}
	fputs(
	    "\nExit status: the command's own; 128+N killed by signal N; "
	    "124 timeout;\n"
	    "125 the sandbox failed; 126 not executable; 127 not found.\n"
	    "\nExamples:\n"
	    "  m9m-sandbox --network restricted claude -p \"Say hello\"\n"
	    "  m9m-sandbox --input src --chdir /work/src --allow example.com make\n",
	    out);
}
