/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a run came to: filled while it goes by whoever sees a thing happen, read
 * at the end by the result and the summary.  Everything the payload can make
 * many of is grouped and bounded here, so that no payload can make the account
 * of itself too long to keep or to read; the events have each single one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer.h"
#include "artifact.h"
#include "changes_record.h"
#include "cgroup.h"
#include "err.h"
#include "relay.h"
#include "sha256.h"
#include "util.h"

#define OUTCOME_GROUPS_MAX    64
/* The layer without which nobody could see what was connected to. */
#define OUTCOME_LAYER_NETWORK "network-namespace"

enum outcome_status {
	OUTCOME_OK,      /* exit status 0 */
	OUTCOME_FAILED,  /* another one, or a signal of its own */
	OUTCOME_TIMEOUT, /* the time was up */
	OUTCOME_OOM,     /* out of its memory cap */
	OUTCOME_KILLED,  /* by a signal that we were sent and passed on */
	OUTCOME_DENIED,  /* its program may not be executed */
	OUTCOME_ERROR,   /* ours: see `error` */
};

struct outcome_connection {
	char *name; /* NULL for a bare address */
	char *addr; /* the first one dialled; may be NULL */
	uint16_t port;
	bool inbound; /* to a published port */
	uint64_t count;
	uint64_t failed; /* of these, allowed but not established */
	uint64_t bytes_out;
	uint64_t bytes_in;
};

struct outcome_denial {
	const char *kind; /* "dns", "connect", "exec", "seccomp": a literal */
	char *what;       /* name, name:port, path, system call */
	char *reason;
	char *remedy; /* the flag that would allow it, or NULL */
	uint64_t count;
};

struct outcome_command {
	char *path;
	char *args; /* of the first execution, in words; or NULL */
	uint64_t count;
};

struct outcome {
	enum outcome_status status;
	int exit_code;      /* our own: the payload's, 128+N, 124, 125... */
	int payload_code;   /* -1: it did not exit by itself */
	int payload_signal; /* 0: none */
	bool started;       /* the payload's execve succeeded */
	struct err_record error; /* stage and message "": none */

	char *started_at; /* RFC 3339 with nanoseconds; owned */
	uint64_t duration_ms;
	uint64_t cpu_user_ms;
	uint64_t cpu_sys_ms;
	uint64_t memory_peak; /* bytes of the largest process; 0 unknown */
	uint64_t pids_peak;   /* 0 unknown */
	uint64_t io_read, io_written; /* bytes of the disks; 0 unknown */

	uint64_t stdout_bytes; /* what it wrote, kept or not */
	uint64_t stderr_bytes;
	bool output_truncated; /* less was kept than was written */

	uint64_t dns_allowed, dns_denied;
	uint64_t connect_allowed, connect_denied;
	uint64_t bytes_out, bytes_in;
	uint64_t exec_allowed, exec_denied;
	uint64_t exec_absent; /* attempts at files that are not there */

	/* Each at most OUTCOME_GROUPS_MAX; `more_` counts what found no group. */
	struct outcome_connection *connections;
	size_t n_connections;
	uint64_t more_connections;
	struct outcome_denial *denials;
	size_t n_denials;
	uint64_t more_denials;
	struct outcome_command *commands;
	size_t n_commands;
	uint64_t more_commands;

	struct agent_answer answer; /* the agent's word, masked */

	struct changes_summary changes;
	int patch_fd; /* of the changes, to be shown at the end; -1 none */
	struct artifact artifact;
	char *audit_path;            /* NULL: nothing was written there */
	char audit_hash[SHA256_HEX]; /* of the run's last line there */
	char *kept_workdir; /* why it was kept is in error or warnings */
	struct strv warnings;
	struct strv degraded;
	struct strv limits; /* caps that were reached: "disk", "pids" */
	struct strv layers; /* names in force: "user-namespace", "landlock:7" */
};

#define OUTCOME_NONE ((struct outcome){ .payload_code = -1, .patch_fd = -1 })

/* "ok", "failed", ... as in the result. */
const char *outcome_status_name(enum outcome_status status);

/* Counts a network event and groups it; a LIMIT becomes a warning.  True: a
 * connection to where there was none before. */
bool outcome_add_net(struct outcome *outcome, const struct net_event *event);
/* `kind` is a literal; remedy may be NULL or "".  Counts nothing else. */
void outcome_add_denial(struct outcome *outcome, const char *kind,
			const char *what, const char *reason,
			const char *remedy);
/* What a cgroup counted, where it did, is better than what we know. */
void outcome_add_usage(struct outcome *outcome,
		       const struct cgroup_usage *usage);
/* True if this cap was not known to be reached yet; `what` is a literal. */
bool outcome_add_limit(struct outcome *outcome, const char *what);
/* An execution that was allowed; args may be NULL.  True: the first of this
 * path. */
bool outcome_add_command(struct outcome *outcome, const char *path,
			 const char *args);
/* Said once, however often it is added; bounded like the groups. */
void outcome_add_warning(struct outcome *outcome, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* "not in the archive: 3 files or folders", `of` behind the archive and `more` at
 * the end; owned. */
char *outcome_left_out(const char *of, uint64_t n, const char *more);
void outcome_free(struct outcome *outcome);
