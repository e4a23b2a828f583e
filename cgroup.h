/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One cgroup for one run: hard caps by the kernel, what was used, and an end
 * for all that is in it.  It is made below the caller's own cgroup (or beside
 * it, where the caller may), so that no cap on the caller is escaped, and the
 * machine's own cgroups stay as they are.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum cgroup_backend {
	CGROUP_NOT,     /* there is none; as a choice: make none */
	CGROUP_AUTO,    /* as a choice: the first of the next three that can be
			   had (see cgroup_choose) */
	CGROUP_V2,      /* a subtree that we may write */
	CGROUP_SYSTEMD, /* a scope that systemd hands over to us */
	CGROUP_V1,
	CGROUP_INHERIT, /* as a choice: none of ours, but the caller's has caps */
};

enum {
	CGROUP_MEMORY = 1,
	CGROUP_PIDS = 2,
	CGROUP_CPU = 4,
	CGROUP_CPUACCT = 8, /* v1; v2 counts in every cgroup */
	CGROUP_IO = 16,
};

struct cgroup_limits {
	uint64_t memory; /* bytes of RAM and swap; 0: none */
	double cpu;      /* cores; 0: none */
	uint64_t pids;   /* processes and threads, PID 1 included; 0: none */
	/* Controllers whose limit nobody asked for: it is set where it can be
	 * had, and on v1, where each costs a directory, where it would matter. */
	unsigned int spare;
	unsigned int patience_ms; /* for systemd's answers; 0: five seconds */
};

struct cgroup_usage {
	uint64_t memory_peak; /* bytes; 0: unknown, as are the next five */
	uint64_t pids_peak;
	uint64_t cpu_user_ms, cpu_sys_ms;
	uint64_t io_read, io_written; /* bytes */
	uint64_t oom_kills;
	bool pids_hit; /* a fork was refused */
};

/* What is used at this moment; 0: unknown. */
struct cgroup_now {
	uint64_t memory; /* bytes */
	uint64_t cpu_ms; /* since the start */
	uint64_t pids;   /* processes and threads, PID 1 included */
};

/* v1 has a hierarchy for each of memory, pids, cpu and cpuacct. */
#define CGROUP_DIRS 4

struct cgroup_dir {
	unsigned int controllers;
	char *path;
	int fd;       /* -1: not made yet */
	int tasks_fd; /* v1: open for the child to write itself into; -1 */
};

struct cgroup_scope;

struct cgroup {
	enum cgroup_backend backend;
	int dir_fd; /* to clone into (CLONE_INTO_CGROUP); -1: another way */
	struct cgroup_dir dirs[CGROUP_DIRS];
	size_t n_dirs;
	bool fallback; /* of CGROUP_NOT: caps by other means, fallback.h */
	struct cgroup_limits limits;
	unsigned int missing; /* controllers: a spare limit is not there */
	/* v2: the cgroup that we left for a leaf of it, to make it a parent. */
	char *home, *leaf;
	unsigned int home_enabled; /* controllers to switch off again there */
	struct cgroup_scope *scope;
};

#define CGROUP_NONE ((struct cgroup){ .backend = CGROUP_NOT, .dir_fd = -1 })

/* "v2", "systemd", "v1", "inherit"; "none" for CGROUP_NOT. */
const char *cgroup_backend_name(enum cgroup_backend backend);

/* "memory and cpu", into a static buffer. */
const char *cgroup_controller_names(unsigned int controllers);

/* The choice, or, of CGROUP_AUTO, CGROUP_V1 where that has what the limits take:
 * a controller that v1 has v2 has not, nor systemd for us. */
enum cgroup_backend cgroup_choose(enum cgroup_backend choice,
				  const struct cgroup_limits *limits);
/* Is the cgroup to be there before the child, which may be born in it?  To one of
 * v1 the child goes by itself. */
bool cgroup_comes_first(enum cgroup_backend choice);

/*
 * Makes the cgroup with its limits.  By fail(), with what each way lacked and
 * the remedy; then *cg is CGROUP_NONE.  If it comes first, call it before other
 * processes are started: being alone in one's cgroup is one of the ways.  Each
 * directory is in the journal, as "cgroup PATH", before it is made.
 */
int cgroup_create(struct cgroup *cg, const char *run_id,
		  const struct cgroup_limits *limits,
		  enum cgroup_backend choice, int journal_fd);

/*
 * v1's directories are made only here, since they may come as late as this: in
 * the time that the child takes for its own set-up.  By fail(); then *cg is
 * CGROUP_NONE.
 */
int cgroup_settle(struct cgroup *cg);

/*
 * The ways in, all of them before anything of the payload runs:
 *   the clone itself, into dir_fd, where that is not -1;
 *   cgroup_enter, by the parent;
 *   cgroup_join, by the child, with the tasks_fd that cgroup_settle opened.  It
 *   closes the child's copies of our descriptors, so that it is due in every
 *   child.
 * Call all three: each does nothing where it is not the way.  By fail().
 */
int cgroup_enter(struct cgroup *cg, pid_t pid);
int cgroup_join(struct cgroup *cg);
/* Does it limit processes? */
bool cgroup_counts(const struct cgroup *cg);
/* Does the child come to it after its birth?  Then its first cgroup namespace
 * shows the way from above. */
bool cgroup_is_entered(const struct cgroup *cg);

/* Counters so far; what cannot be read is 0.  Good until cgroup_remove. */
void cgroup_read_usage(const struct cgroup *cg, struct cgroup_usage *usage);
void cgroup_read_now(const struct cgroup *cg, struct cgroup_now *now);

/* Kills all that is inside and waits, bounded, until it is empty; by fail(). */
int cgroup_kill(struct cgroup *cg);
/* Removes what cgroup_create made; waits, bounded, for the last processes to
 * go.  By fail(); *cg is CGROUP_NONE in either case. */
int cgroup_remove(struct cgroup *cg);

/* Of a run that was killed: kills what is still in this directory of ours, and
 * removes it, if there is one.  By fail(). */
int cgroup_sweep(const char *path);
