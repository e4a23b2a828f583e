/* SPDX-License-Identifier: MIT */
#include "cgroup_backend.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

/* What we make begins so: cgroup_sweep touches nothing else. */
#define NAME_PREFIX "m9m-"

/* In the order in which they are tried. */
struct backend {
	enum cgroup_backend id;
	const char *name;
	int (*create)(struct cgroup *, const struct cgroup_request *,
		      struct cgroup_refusal *);
	void (*usage)(const struct cgroup *, struct cgroup_usage *);
};

static const struct backend backends[] = {
	{ CGROUP_V2, "v2", cgroup_v2_create, cgroup_v2_usage },
	{ CGROUP_SYSTEMD, "systemd", cgroup_systemd_create, cgroup_v2_usage },
	{ CGROUP_V1, "v1", cgroup_v1_create, cgroup_v1_usage },
	/* Only by its name: it caps nothing by itself. */
	{ CGROUP_INHERIT, "inherit", cgroup_inherit_create,
	  cgroup_inherit_usage },
};

static const struct backend *find_backend(enum cgroup_backend id)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (backends[i].id == id)
			return &backends[i];
	return NULL;
}

const char *cgroup_backend_name(enum cgroup_backend id)
{
	const struct backend *backend = find_backend(id);

	if (backend)
		return backend->name;
	return id == CGROUP_AUTO ? "auto" : "none";
}

/*** Refusals ***/

int cgroup_refuse(struct cgroup_refusal *refusal, int err, const char *fmt, ...)
{
	size_t used;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(refusal->why, sizeof(refusal->why), fmt, ap);
	va_end(ap);
	used = strlen(refusal->why);
	if (err)
		snprintf(refusal->why + used, sizeof(refusal->why) - used,
			 ": %s", strerror(err));
	return -1;
}

const char *cgroup_controller_names(unsigned int controllers)
{
	static const char *const names[] = { "memory", "pids", "cpu", "cpuacct",
					     "io" };
	static char text[64];

	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t used = strlen(text);

		if (!(controllers & (1U << i)))
			continue;
		controllers &= ~(1U << i);
		snprintf(text + used, sizeof(text) - used, "%s%s",
			 used == 0     ? ""
			 : controllers ? ", "
				       : " and ",
			 names[i]);
	}
	return text;
}

/* systemd's remedy is the easiest to follow where there is one; else the
 * first. */
static const char *choose_remedy(const struct cgroup_refusal *refusals)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (backends[i].id == CGROUP_SYSTEMD && refusals[i].remedy)
			return refusals[i].remedy;
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (refusals[i].remedy)
			return refusals[i].remedy;
	return "--cgroup names one of v2, systemd and v1";
}

static int fail_all(const struct cgroup_request *request,
		    const struct cgroup_refusal *refusals)
{
	char text[(sizeof(refusals[0].why) + 32) * ARRAY_SIZE(backends)] = "";

	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (refusals[i].why[0])
			snprintf(text + strlen(text),
				 sizeof(text) - strlen(text), "%s%s: %s",
				 text[0] ? "; " : "", backends[i].name,
				 refusals[i].why);
	fail(0, "cannot make a cgroup that limits %s: %s",
	     cgroup_controller_names(request->needed), text);
	return fail_remedy("%s; --allow-degraded cgroup runs without hard caps",
			   choose_remedy(refusals));
}

/*** The module's verbs ***/

static unsigned int limited_controllers(const struct cgroup_limits *limits)
{
	return (limits->memory ? CGROUP_MEMORY : 0U) |
	       (limits->pids ? CGROUP_PIDS : 0U) |
	       (limits->cpu > 0 ? CGROUP_CPU : 0U);
}

static int try_all(struct cgroup *cg, const struct cgroup_request *request,
		   enum cgroup_backend choice)
{
	struct cgroup_refusal refusals[ARRAY_SIZE(backends)] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
		if (choice == CGROUP_AUTO ? backends[i].id == CGROUP_INHERIT
					  : backends[i].id != choice)
			continue;
		if (backends[i].create(cg, request, &refusals[i]) == 0) {
			cg->limits = *request->limits;
			return 0;
		}
		*cg = CGROUP_NONE;
		if (refusals[i].final)
			break;
	}
	return fail_all(request, refusals);
}

/* What the limits are no use without. */
static unsigned int needed_controllers(const struct cgroup_limits *limits)
{
	unsigned int wanted = limited_controllers(limits);
	unsigned int needed = wanted & ~limits->spare;

	return needed ? needed : wanted & CGROUP_MEMORY;
}

enum cgroup_backend cgroup_choose(enum cgroup_backend choice,
				  const struct cgroup_limits *limits)
{
	static const struct {
		unsigned int bit;
		const char *usual; /* place */
	} places[] = {
		{ CGROUP_MEMORY, "/sys/fs/cgroup/memory" },
		{ CGROUP_PIDS, "/sys/fs/cgroup/pids" },
		{ CGROUP_CPU, "/sys/fs/cgroup/cpu" },
	};
	unsigned int needed = needed_controllers(limits);
	struct statfs fs;

	if (choice != CGROUP_AUTO || needed == 0)
		return choice;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if ((needed & places[i].bit) &&
		    (statfs(places[i].usual, &fs) < 0 ||
		     fs.f_type != CGROUP_SUPER_MAGIC))
			return choice;
	return CGROUP_V1;
}

bool cgroup_comes_first(enum cgroup_backend choice)
{
	return choice == CGROUP_AUTO || choice == CGROUP_V2 ||
	       choice == CGROUP_SYSTEMD;
}

int cgroup_create(struct cgroup *cg, const char *run_id,
		  const struct cgroup_limits *limits,
		  enum cgroup_backend choice, int journal_fd)
{
	auto_free char *name = xasprintf(NAME_PREFIX "%s", run_id);
	struct cgroup_map map = { 0 };
	struct cgroup_request request = {
		.name = name,
		.run_id = run_id,
		.limits = limits,
		.map = &map,
		.wanted = limited_controllers(limits),
		.needed = needed_controllers(limits),
		.forced = choice != CGROUP_AUTO,
		.journal_fd = journal_fd,
	};
	int rc;

	*cg = CGROUP_NONE;
	if (choice == CGROUP_NOT)
		return 0;
	if (cgroup_map_read(&map, getpid()) < 0)
		rc = fail(errno, "cannot read the cgroups of our own process");
	else
		rc = try_all(cg, &request, choice);
	cgroup_map_free(&map);
	return rc;
}

int cgroup_settle(struct cgroup *cg)
{
	struct cgroup_refusal refusal = { 0 };

	if (cg->backend != CGROUP_V1 || cgroup_v1_settle(cg, &refusal) == 0)
		return 0;
	cgroup_drop_dirs(cg);
	*cg = CGROUP_NONE;
	fail(0, "%s", refusal.why);
	return refusal.remedy ? fail_remedy("%s", refusal.remedy) : -1;
}

bool cgroup_counts(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n_dirs; i++)
		if (cg->dirs[i].controllers & CGROUP_PIDS)
			return true;
	return false;
}

bool cgroup_is_entered(const struct cgroup *cg)
{
	return cg->n_dirs > 0 && cg->dir_fd < 0;
}

int cgroup_enter(struct cgroup *cg, pid_t pid)
{
	/* v2: the child was born in it; v1: it goes there by itself. */
	if (cg->backend != CGROUP_SYSTEMD || cg->dir_fd >= 0)
		return 0;
	return cgroup_systemd_enter(cg, pid);
}

int cgroup_join(struct cgroup *cg)
{
	int rc = 0;

	for (size_t i = 0; i < cg->n_dirs; i++) {
		struct cgroup_dir *dir = &cg->dirs[i];

		if (rc == 0 && dir->tasks_fd >= 0 &&
		    write(dir->tasks_fd, "0", 1) != 1)
			rc = fail(errno, "cannot enter the run's cgroup");
		cleanup_fd(&dir->tasks_fd);
		cleanup_fd(&dir->fd);
		dir->tasks_fd = dir->fd = -1;
	}
	cg->dir_fd = -1;
	return rc;
}

void cgroup_read_usage(const struct cgroup *cg, struct cgroup_usage *usage)
{
	const struct backend *backend = find_backend(cg->backend);

	*usage = (struct cgroup_usage){ 0 };
	if (backend)
		backend->usage(cg, usage);
}

static const struct figure {
	bool v1;
	unsigned int controller; /* v1: whose directory has it */
	const char *file, *key;  /* key NULL: the file is the number */
	uint64_t divisor;
	size_t field;
} figures[] = {
	{ false, 0, "memory.current", NULL, 1,
	  offsetof(struct cgroup_now, memory) },
	{ false, 0, "cpu.stat", "usage_usec", 1000,
	  offsetof(struct cgroup_now, cpu_ms) },
	{ false, 0, "pids.current", NULL, 1,
	  offsetof(struct cgroup_now, pids) },
	{ true, CGROUP_MEMORY, "memory.usage_in_bytes", NULL, 1,
	  offsetof(struct cgroup_now, memory) },
	{ true, CGROUP_CPUACCT, "cpuacct.usage", NULL, 1000000,
	  offsetof(struct cgroup_now, cpu_ms) },
	{ true, CGROUP_PIDS, "pids.current", NULL, 1,
	  offsetof(struct cgroup_now, pids) },
};

static void read_figure(const struct figure *f, int dir_fd,
			struct cgroup_now *now)
{
	uint64_t value = f->key ? cgroup_read_key(dir_fd, f->file, f->key)
				: cgroup_read_u64(dir_fd, f->file);

	*(uint64_t *)(void *)((char *)now + f->field) = value / f->divisor;
}

void cgroup_read_now(const struct cgroup *cg, struct cgroup_now *now)
{
	bool v1 = cg->backend == CGROUP_V1;

	*now = (struct cgroup_now){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		for (size_t j = 0; j < cg->n_dirs; j++)
			if (figures[i].v1 == v1 &&
			    (!v1 ||
			     cg->dirs[j].controllers & figures[i].controller))
				read_figure(&figures[i], cg->dirs[j].fd, now);
}

/* All of v1's directories hold the same processes; the one that can forbid
 * forks serves best. */
static const struct cgroup_dir *killing_dir(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n_dirs; i++)
		if (cg->dirs[i].controllers & CGROUP_PIDS)
			return &cg->dirs[i];
	return &cg->dirs[0];
}

int cgroup_kill(struct cgroup *cg)
{
	const struct cgroup_dir *dir = killing_dir(cg);

	if (cg->n_dirs == 0 || dir->fd < 0)
		return 0;
	if (cgroup_kill_dir(dir->fd, dir->path) < 0)
		return fail(errno, "cannot kill what is in %s", dir->path);
	return 0;
}

int cgroup_remove(struct cgroup *cg)
{
	int rc = 0;

	for (size_t i = 0; i < cg->n_dirs; i++) {
		const char *path = cg->dirs[i].path;

		/* Mostly all is dead by now, and the first try does. */
		if (cg->dirs[i].fd < 0 || rmdir(path) == 0 || errno == ENOENT)
			continue;
		if (cgroup_kill(cg) < 0 || cgroup_rmdir(path) < 0)
			rc = fail(errno, "cannot remove the cgroup %s", path);
	}
	if (cg->home && cgroup_v2_go_home(cg) < 0)
		rc = fail(errno, "cannot go back to our own cgroup");
	cgroup_systemd_close(cg);
	cgroup_drop_dirs(cg);
	*cg = CGROUP_NONE;
	return rc;
}

/*** After a crash ***/

static bool on_cgroupfs(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_type == CGROUP_SUPER_MAGIC ||
					 fs.f_type == CGROUP2_SUPER_MAGIC);
}

int cgroup_sweep(const char *path)
{
	const char *slash = strrchr(path, '/');
	auto_fd int fd = open(path,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0
				       : fail(errno, "cannot open %s", path);
	if (slash == NULL || !on_cgroupfs(fd) ||
	    strncmp(slash + 1, NAME_PREFIX, strlen(NAME_PREFIX)) != 0)
		return fail(0, "%s is not a cgroup of ours", path);
	if (cgroup_kill_dir(fd, path) < 0)
		return fail(errno, "cannot kill what is in %s", path);
	if (cgroup_rmdir(path) < 0)
		return fail(errno, "cannot remove the cgroup %s", path);
	return 0;
}
