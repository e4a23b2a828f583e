/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the user asked for: argv and the JSON spec, through one table of
 * options, into one struct.  Nothing here looks at the host beyond reading the
 * spec and prompt files, and nothing has an effect.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "netrule.h"
#include "util.h"

#ifndef M9M_VERSION
#define M9M_VERSION "0.1.0"
#endif

/* Names in an archive: unless said otherwise, and at most. */
#define SPEC_ARTIFACT_FILES     2000000
#define SPEC_ARTIFACT_FILES_MAX 9000000

enum spec_action {
	SPEC_RUN,
	SPEC_HELP,
	SPEC_VERSION,
	SPEC_EXPLAIN,
	SPEC_PRINT_SPEC,
	SPEC_LIST_AGENTS,
	SPEC_VERIFY_AUDIT,
	SPEC_GC,
	SPEC_DOCTOR,
	SPEC_APPLY,
	SPEC_REPORT,
	SPEC_WHY,
	SPEC_SUGGEST,
};

enum spec_network {
	SPEC_NETWORK_DENY,
	SPEC_NETWORK_RESTRICTED, /* the agent profile's hosts only */
	SPEC_NETWORK_HOST,       /* the host's own network, warned about */
	SPEC_NETWORK_ALLOW,      /* the lists below */
};

enum spec_project {
	SPEC_PROJECT_OVERLAY, /* copy-on-write: the real tree is not touched */
	SPEC_PROJECT_COPY,
	SPEC_PROJECT_RO,
	SPEC_PROJECT_BIND, /* in place */
};

enum spec_when { SPEC_AUTO, SPEC_ALWAYS, SPEC_NEVER };

/* How CPU, memory and processes are capped. */
enum spec_cgroup {
	SPEC_CGROUP_AUTO, /* the first of these that can be had */
	SPEC_CGROUP_V2,
	SPEC_CGROUP_SYSTEMD,
	SPEC_CGROUP_V1,
	SPEC_CGROUP_INHERIT, /* none of ours: the caller's own has caps */
	SPEC_CGROUP_NONE,
};

/* An extra mount, in the order given. */
struct spec_mount {
	char *source; /* absolute host path; NULL for a tmpfs */
	char *destination;
	bool read_write;
};

struct spec_env {
	char *name;
	char *value; /* NULL: unset */
};

/* A file or tree that goes in (from: host) or comes out (to: host). */
struct spec_copy {
	char *from; /* in: absolute host path; out: relative to the workdir */
	char *to;   /* in: relative to the workdir; out: absolute host path */
	/* Out: `from` is a pattern, and `to` the folder of what matches. */
	bool glob;
	bool here;     /* a pattern whose folder was not named */
	bool optional; /* out: may be missing */
	bool of_file;  /* said by a spec: a flag of the same target wins */
};

struct spec_resolve {
	char name[NET_NAME_MAX];
	struct in6_addr addr;
};

/* A port of the host's loopback that leads to one inside. */
struct spec_publish {
	uint16_t host_port, port;
};

struct spec {
	enum spec_action action;
	bool json;   /* what the action prints */
	char *about; /* what the action is about: a file, a question */

	char *id;            /* label, or NULL */
	char *name;          /* that no other live run may have, or NULL */
	char *agent;         /* profile name, "none", or NULL: by base name */
	struct strv command; /* empty with a profile and a prompt */
	char *prompt;        /* or NULL; from prompt or prompt-file */
	bool verbose;        /* sandbox: {"verbose":true} */

	double cpu;      /* cores */
	uint64_t memory; /* bytes */
	uint64_t pids;
	enum spec_cgroup cgroup;
	uint64_t files;      /* open files per process */
	uint64_t disk;       /* bytes of the workdir, in memory; 0: no cap */
	uint64_t output;     /* bytes of stdout+stderr kept */
	uint64_t timeout_ms; /* 0: none */
	uint64_t grace_ms;

	enum spec_network network;
	struct net_rule *allow;
	size_t n_allow;
	uint16_t *ports; /* of rules without one; never empty: 443 */
	size_t n_ports;
	uint16_t *host_ports;
	size_t n_host_ports;
	struct spec_resolve *resolve;
	size_t n_resolve;
	uint16_t *tls_ports; /* where nothing but TLS may be spoken */
	size_t n_tls_ports;
	bool allow_ech; /* a hello is judged by its outer name */
	char *proxy;    /* a URL that proxy_parse takes, "env", or NULL */
	struct spec_publish *publish;
	size_t n_publish;

	char *workdir; /* inside; absolute, clean */
	char *project; /* absolute host path, or NULL */
	enum spec_project project_mode;
	char *project_at;    /* in place of workdir, or NULL */
	bool diff;           /* print the changes at the end */
	bool dry_run, force; /* of SPEC_APPLY */
	struct strv show;    /* of the project, though it would be hidden */
	struct spec_copy *inputs;
	size_t n_inputs;
	struct spec_copy *outputs;
	size_t n_outputs;
	bool artifact_off;
	uint64_t artifact_files, artifact_bytes; /* what it may hold; 0: any */
	char *artifact;    /* absolute host path, or NULL: the default place */
	char *compression; /* "zstd", "gzip", "none", or NULL: by suffix */

	struct spec_mount *mounts;
	size_t n_mounts;
	char *rootfs; /* absolute, or NULL */
	struct spec_env *env;
	size_t n_env;
	struct strv env_pass;
	bool clearenv; /* not even the variables we set ourselves */
	char *chdir;   /* inside, or NULL: the workdir */
	char *hostname;
	int64_t uid, gid; /* inside; -1: the default */
	bool die_with_parent;
	struct strv allowed_commands; /* asked for and empty: none */
	bool dangerous_commands;      /* may be on the list */
	bool workdir_exec;
	bool permissive; /* commands and network are observed, not closed */
	char *seccomp;   /* absolute path of a profile, or NULL */
	struct seccomp_profile *profile; /* what it says */

	char *events;  /* absolute path, "-" or NULL */
	int events_fd; /* -1: none */
	char *result;
	int result_fd;
	char *metrics_dir;      /* or NULL */
	enum spec_when summary; /* SPEC_AUTO: when stderr is a terminal */
	struct strv allow_degraded;

	/* Which rows of the option table were given; see spec_asked. */
	bool *asked;
};

/*
 * Fills `spec` from argv (and the file that --spec names; flags win over the
 * file, lists add up).  Every problem found is printed on `errors`, one line
 * each: "m9m-sandbox: FILE: $.json.path: what (mend)".
 * 0, or -1 when there was a problem; spec_free is due in either case, unless the
 * process ends.
 */
int spec_parse(struct spec *spec, int argc, char **argv, FILE *errors);
void spec_free(struct spec *spec);

/* Was this key ("memory", "network.hosts") or flag given by the user? */
bool spec_asked(const struct spec *spec, const char *key);

/* --help, --print-spec: the same table and the merged spec as JSON. */
void spec_print_help(FILE *out);
int spec_print(const struct spec *spec, FILE *out);
