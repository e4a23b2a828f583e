/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Inside the cgroup module: what the back ends share.  A back end that cannot
 * be had is no failure yet, another one may do: it says why in a refusal.
 */

#include <stddef.h>

#include "cgroup.h"

/* Where the kernel says that we are, and what is mounted: read once at most. */
struct cgroup_map {
	char *self;   /* /proc/PID/cgroup */
	char *mounts; /* /proc/self/mountinfo, where no usual place will do */
};

struct cgroup_request {
	const char *name; /* of the directory: m9m-RUNID */
	const char *run_id;
	const struct cgroup_limits *limits;
	struct cgroup_map *map; /* of our own process */
	unsigned int wanted;    /* controllers that the limits take */
	unsigned int needed;    /* of these, without which it is no use */
	bool forced;            /* the user named this back end */
	int journal_fd;
};

struct cgroup_refusal {
	char why[192];
	const char *remedy; /* a literal, or NULL */
	bool final;         /* no other way would be right */
};

/* Fills the refusal, with strerror(err) unless 0; returns -1. */
int cgroup_refuse(struct cgroup_refusal *refusal, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*** cgroup_fs.c: files of the kernel's ***/

struct cgroup_place {
	char *mount; /* mount point */
	char *own;   /* directory of the process, below it */
};

/* -1 with errno. */
int cgroup_map_read(struct cgroup_map *map, pid_t pid);
void cgroup_map_free(struct cgroup_map *map);
/* The process's place in the hierarchy of a v1 controller, or of v2 (NULL).
 * 0; -1 with errno ENOENT (not mounted), EXDEV (out of sight), or another. */
int cgroup_find(struct cgroup_map *map, const char *controller,
		struct cgroup_place *place);
/* Why there is none, by errno; `what` begins the sentence. */
int cgroup_refuse_place(struct cgroup_refusal *refusal, const char *what);
void cgroup_place_free(struct cgroup_place *place);

/* Each -1 with errno. */
int cgroup_write(int dir_fd, const char *file, const char *text);
int cgroup_write_u64(int dir_fd, const char *file, uint64_t value);
/* 0 when there is no such file or no number in it. */
uint64_t cgroup_read_u64(int dir_fd, const char *file);
/* The value after `key` of a line "KEY VALUE"; 0 likewise. */
uint64_t cgroup_read_key(int dir_fd, const char *file, const char *key);
/* The sum of all "key=VALUE" in the file. */
uint64_t cgroup_sum_key(int dir_fd, const char *file, const char *key);

/* One more of cg->dirs, in the journal but not made yet (by fail()); makes it (-1
 * with errno). */
int cgroup_add_dir(struct cgroup *cg, const char *parent,
		   const struct cgroup_request *request,
		   unsigned int controllers);
int cgroup_make_dir(struct cgroup_dir *dir);
/* True once no process is in it. */
bool cgroup_is_empty(int dir_fd);
/* rmdir, again and again while it is busy, for at most two seconds. */
int cgroup_rmdir(const char *path);
/* As cgroup_kill, for one directory.  Returns -1 with errno. */
int cgroup_kill_dir(int dir_fd, const char *path);
/* Undoes cgroup_add_dir for all, quietly. */
void cgroup_drop_dirs(struct cgroup *cg);

/*** The back ends: 0, or -1 with the refusal filled and nothing left ***/

int cgroup_v1_create(struct cgroup *cg, const struct cgroup_request *request,
		     struct cgroup_refusal *refusal);
int cgroup_v1_settle(struct cgroup *cg, struct cgroup_refusal *refusal);
void cgroup_v1_usage(const struct cgroup *cg, struct cgroup_usage *usage);

int cgroup_v2_create(struct cgroup *cg, const struct cgroup_request *request,
		     struct cgroup_refusal *refusal);
void cgroup_v2_usage(const struct cgroup *cg, struct cgroup_usage *usage);
/* The cgroup below `parent`, which is ours to use. */
int cgroup_v2_below(struct cgroup *cg, const char *parent,
		    const struct cgroup_request *request,
		    struct cgroup_refusal *refusal);
/* Takes us back from the leaf that cgroup_v2_create moved us to. */
int cgroup_v2_go_home(struct cgroup *cg);

int cgroup_systemd_create(struct cgroup *cg,
			  const struct cgroup_request *request,
			  struct cgroup_refusal *refusal);
int cgroup_systemd_enter(struct cgroup *cg, pid_t pid);
void cgroup_systemd_close(struct cgroup *cg);

int cgroup_inherit_create(struct cgroup *cg,
			  const struct cgroup_request *request,
			  struct cgroup_refusal *refusal);
void cgroup_inherit_usage(const struct cgroup *cg, struct cgroup_usage *usage);

/* systemd is the manager here (sd_booted). */
bool cgroup_systemd_runs(void);
/* What to do where it gave this user too little. */
extern const char cgroup_systemd_remedy[];
