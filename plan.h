/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What will be done: the spec and the host's facts, resolved into a constant
 * list of steps.  Making it has no side effect; --explain prints it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "agent.h"
#include "artifact.h"
#include "cgroup.h"
#include "command.h"
#include "gitdir.h"
#include "hidden.h"
#include "host.h"
#include "netpol.h"
#include "program.h"
#include "seccomp.h"
#include "seccomp_profile.h"
#include "spec.h"

enum plan_mount_kind {
	PLAN_DIR,     /* a directory on our own tmpfs */
	PLAN_FILE,    /* a read-only file with `text`; over the one of a tree
		       * that is not ours */
	PLAN_SYMLINK, /* to `source` */
	PLAN_BIND,    /* `source` of the host, with all below it */
	PLAN_WORKDIR, /* the run's own directory */
	PLAN_PROJECT, /* the user's tree; writable: with workdir laid over it */
	PLAN_GIT,     /* its git directory; writable: a layer that is dropped;
		       * `text` is added to its configuration */
	PLAN_TMPFS,   /* private, `size` bytes */
	PLAN_PROC,
	PLAN_DEVPTS,
	PLAN_READ_ONLY, /* what is at `destination` over itself, read-only */
	PLAN_MASK,      /* empty file or directory over `destination` */
	PLAN_HOLD, /* what is at `destination` over itself, to stay there */
	PLAN_SEAL, /* the mount at `destination`, now read-only */
};

enum plan_mount_flag {
	PLAN_RW = 1,
	PLAN_NOEXEC = 2,
	PLAN_DEVICE = 4,   /* a device node: no nodev */
	PLAN_OPTIONAL = 8, /* skipped if the host has no such thing */
};

struct plan_mount {
	enum plan_mount_kind kind;
	char *destination; /* absolute, clean */
	char *source;
	char *text;
	unsigned int flags;
	uint64_t size;
	mode_t mode;
};

struct plan_rlimit {
	int resource;
	const char *name;
	rlim_t value;
};

#define PLAN_RLIMITS 8

struct plan_project {
	char *path; /* without links; NULL: there is none */
	enum spec_project mode;
	bool roots; /* it is root's, and the payload's ids stand for root's */
	bool git;
	struct gitdir elsewhere; /* where its git directory is, if not in it */
	char *git_at;            /* inside; NULL: it is not shown */
	struct hidden hidden;
};

struct plan {
	const char *run_id;
	const char *id;
	const char *label;   /* what to call the run: the command's base name */
	struct agent *agent; /* or NULL */
	struct program program;
	struct commands commands; /* what may be executed */
	struct strv env;          /* NAME=VALUE, complete */
	char *cwd;
	char *hostname;
	struct winsize window;
	bool pty;           /* a terminal of its own */
	const char *prompt; /* on stdin, or NULL */
	int stop_signal;    /* the polite one */
	bool die_with_parent;
	bool verbose;

	uid_t host_uid, uid; /* outside, inside */
	gid_t host_gid, gid;
	uint64_t namespaces;       /* CLONE_NEW* */
	int landlock;              /* version in force; 0: none */
	struct plan_mount *mounts; /* in order */
	size_t n_mounts;
	struct plan_rlimit rlimits[PLAN_RLIMITS];
	enum cgroup_backend cgroup; /* CGROUP_NOT: none is made */
	bool caps_asked;            /* and are refused if they cannot be had */
	bool caps_degradable;       /* unless the user allows a fallback */
	struct cgroup_limits caps;
	uint64_t disk; /* bytes of a workdir in memory; 0: on the host's disk */
	struct net_policy net;
	struct seccomp_filter filter; /* of system calls */
	/* It is made of this one (then owned here), or the default: NULL. */
	const struct seccomp_profile *profile;

	uint64_t timeout_ms, grace_ms;
	uint64_t output;

	char *runs_dir, *hashes_dir, *looks_dir;
	char *workdir; /* inside */
	struct plan_project project;
	bool artifact_asked;
	char *artifact; /* host path, or NULL: none */
	char *rescue;   /* a second place for it, or NULL */
	enum artifact_compression compression;
	struct artifact_limits limits;

	struct strv degraded; /* layers that are missing by the user's word */
	struct strv warnings;
};

/* By fail(); plan_free is due in either case, unless the process ends.  Borrows
 * from spec and host. */
int plan_make(struct plan *plan, const struct spec *spec,
	      const struct host *host);
void plan_free(struct plan *plan);

/* --explain: the whole plan as text. */
void plan_explain(const struct plan *plan, FILE *out);
