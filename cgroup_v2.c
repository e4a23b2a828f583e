/* SPDX-License-Identifier: MIT */
#include "cgroup_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "journal.h"
#include "util.h"

/*
 * Where the run's cgroup is made
 *
 * Controllers reach a cgroup only if its parent has them in subtree_control,
 * and a parent with them may hold no process (but for the root of all).  Our
 * own cgroup holds us, so that there are three places:
 *
 *	/		  we are in the root of all: below it
 *	P/us  P/m9m-ID	  we sit in a leaf of a subtree that is ours: beside us
 *	P/m9m-ID-supervisor  P/m9m-ID	we are alone in P: into a leaf of it,
 *			  and back at the end
 *
 * Beside us only where our own cgroup has no limit, since a cgroup beside it
 * would escape that; and on a machine that systemd manages only in what it
 * delegated: what is not, it rearranges as it likes, the caps included.
 */

#define CPU_PERIOD_US 100000
#define CPU_QUOTA_MIN 1000
#define IO_WEIGHT     "50" /* of 100, which everybody else has */

static const char owner_remedy[] =
    "let root give this user a cgroup: mkdir CGROUP CGROUP/leaf; chown -R USER "
    "CGROUP; enable the controllers in cgroup.subtree_control of its parent; "
    "and start from a shell that was moved into CGROUP/leaf";
static const char container_remedy[] =
    "the container's cgroup is read-only: docker run --security-opt "
    "writable-cgroups=true (Docker 28; before it --privileged), podman run "
    "--security-opt unmask=/sys/fs/cgroup";
static const char crowd_remedy[] =
    "other processes are in the same cgroup and would have to leave it: start "
    "this one in a cgroup of its own, or move all of them into a leaf: "
    "`mkdir CGROUP/init; for p in $(cat CGROUP/cgroup.procs); do echo $p "
    ">CGROUP/init/cgroup.procs; done`";

struct controller {
	const char *name;
	unsigned int bit;
};

static const struct controller controllers[] = {
	{ "memory", CGROUP_MEMORY },
	{ "pids", CGROUP_PIDS },
	{ "cpu", CGROUP_CPU },
	{ "io", CGROUP_IO },
};

static const char *delegate_remedy(void)
{
	return cgroup_systemd_runs() ? cgroup_systemd_remedy : owner_remedy;
}

/*** Limits ***/

/* A file that older kernels or configurations lack may be missing. */
static int write_optional(int fd, const char *file, const char *text)
{
	return cgroup_write(fd, file, text) < 0 && errno != ENOENT ? -1 : 0;
}

static int limit_memory(int fd, uint64_t bytes)
{
	/* Without CONFIG_SWAP there is no memory.swap.max, and no swap. */
	if (cgroup_write_u64(fd, "memory.max", bytes) < 0 ||
	    write_optional(fd, "memory.swap.max", "0") < 0)
		return -1;
	/* All or nothing: half a tree of processes is of no use to anybody,
	 * and the run's status is clear. */
	return write_optional(fd, "memory.oom.group", "1");
}

static int limit_cpu(int fd, double cores)
{
	unsigned long long quota = (unsigned long long)(cores * CPU_PERIOD_US +
							0.5);
	char text[48];

	snprintf(text, sizeof(text), "%llu %d",
		 quota < CPU_QUOTA_MIN ? CPU_QUOTA_MIN : quota, CPU_PERIOD_US);
	return cgroup_write(fd, "cpu.max", text);
}

static int limit(const struct cgroup_dir *dir,
		 const struct cgroup_limits *limits,
		 struct cgroup_refusal *refusal)
{
	unsigned int todo = dir->controllers;

	if ((todo & CGROUP_MEMORY) && limit_memory(dir->fd, limits->memory) < 0)
		return cgroup_refuse(refusal, errno,
				     "cannot limit memory in %s", dir->path);
	if ((todo & CGROUP_PIDS) &&
	    cgroup_write_u64(dir->fd, "pids.max", limits->pids) < 0)
		return cgroup_refuse(refusal, errno,
				     "cannot limit processes in %s", dir->path);
	if ((todo & CGROUP_CPU) && limit_cpu(dir->fd, limits->cpu) < 0)
		return cgroup_refuse(refusal, errno, "cannot limit cpu in %s",
				     dir->path);
	/* A good neighbour, where the disk has shares at all. */
	(void)cgroup_write(dir->fd, "io.weight", IO_WEIGHT);
	return 0;
}

/*** Controllers ***/

/* Those named in a file such as cgroup.controllers. */
static unsigned int listed(int fd, const char *file)
{
	auto_free char *text = read_file(fd, file, 4096, NULL);
	unsigned int found = 0;
	char *rest = text;

	for (char *word; rest && (word = strsep(&rest, " \n"));)
		for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
			if (strcmp(word, controllers[i].name) == 0)
				found |= controllers[i].bit;
	return found;
}

/* "+memory +pids", in one write: all of them or none. */
static int switch_controllers(int fd, char sign, unsigned int bits)
{
	char text[64] = "";

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if (controllers[i].bit & bits)
			snprintf(text + strlen(text),
				 sizeof(text) - strlen(text), " %c%s", sign,
				 controllers[i].name);
	if (text[0] == '\0')
		return 0;
	return cgroup_write(fd, "cgroup.subtree_control", text + 1);
}

/* Makes the children of `parent` have what is needed, and the rest too if that
 * is to be had.  *enabled: what was switched on for it; *had: what they have. */
static int enable(int fd, const char *parent,
		  const struct cgroup_request *request,
		  struct cgroup_refusal *refusal, unsigned int *enabled,
		  unsigned int *had)
{
	unsigned int have = listed(fd, "cgroup.controllers");
	unsigned int on = listed(fd, "cgroup.subtree_control");
	unsigned int lacking = request->needed & ~have;
	unsigned int missing = request->needed & ~on;

	*enabled = have & ~on;
	if (lacking) {
		refusal->remedy = delegate_remedy();
		return cgroup_refuse(refusal, 0, "%s does not have %s", parent,
				     cgroup_controller_names(lacking));
	}
	*had = on | *enabled;
	if (*enabled == 0 || switch_controllers(fd, '+', *enabled) == 0)
		return 0;
	*enabled = missing;
	*had = on | missing;
	if (switch_controllers(fd, '+', missing) == 0)
		return 0;
	if (errno == EBUSY)
		refusal->remedy = crowd_remedy;
	return cgroup_refuse(refusal, errno, "cannot enable %s below %s",
			     cgroup_controller_names(missing), parent);
}

int cgroup_v2_below(struct cgroup *cg, const char *parent,
		    const struct cgroup_request *request,
		    struct cgroup_refusal *refusal)
{
	auto_fd int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned int enabled = 0, had = 0;

	if (fd < 0)
		return cgroup_refuse(refusal, errno, "cannot open %s", parent);
	if (enable(fd, parent, request, refusal, &enabled, &had) < 0)
		return -1;
	cg->home_enabled = enabled;
	cg->missing = request->wanted & ~had;
	if (cgroup_add_dir(cg, parent, request, request->wanted & had) < 0 ||
	    cgroup_make_dir(&cg->dirs[0]) < 0) {
		int err = errno;

		cgroup_drop_dirs(cg);
		errno = err;
		refusal->final = errno == EEXIST;
		return cgroup_refuse(refusal, errno, "cannot make %s/%s",
				     parent, request->name);
	}
	if (limit(&cg->dirs[0], request->limits, refusal) < 0) {
		cgroup_drop_dirs(cg);
		return -1;
	}
	cg->dir_fd = cg->dirs[0].fd;
	return 0;
}

/*** May we use this directory? ***/

static bool ends_with(const char *s, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len >= n && memcmp(s + len - n, end, n) == 0;
}

static bool marked(const char *path, const char *attribute)
{
	char value[2];

	return getxattr(path, attribute, value, sizeof(value)) == 1 &&
	       value[0] == '1';
}

/*
 * The innermost unit that `path` is in decides: it has to be delegated, and not
 * to a user's manager, which is as particular as systemd itself.  The marks are
 * systemd's: user.delegate since 251, trusted.delegate for root's eyes.
 */
static bool is_delegated(const char *path)
{
	auto_free char *unit = xstrdup(path);
	const char *name;
	size_t len;

	for (char *slash; (slash = strrchr(unit, '/')); *slash = '\0') {
		name = slash + 1;
		len = strlen(name);
		if (ends_with(name, len, ".slice"))
			return false;
		if (!ends_with(name, len, ".service") &&
		    !ends_with(name, len, ".scope"))
			continue;
		return strncmp(name, "user@", 5) != 0 &&
		       (marked(unit, "user.delegate") ||
			marked(unit, "trusted.delegate"));
	}
	return false;
}

static int may_write(const char *dir, struct cgroup_refusal *refusal)
{
	static const char *const files[] = { "", "/cgroup.procs",
					     "/cgroup.subtree_control" };
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		auto_free char *path = xasprintf("%s%s", dir, files[i]);

		if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0)
			continue;
		err = errno;
		refusal->remedy = err == EROFS ? container_remedy
					       : delegate_remedy();
		return cgroup_refuse(refusal, err, "cannot write %s", path);
	}
	return 0;
}

static int may_use(const char *dir, const struct cgroup_request *request,
		   struct cgroup_refusal *refusal)
{
	if (may_write(dir, refusal) < 0)
		return -1;
	if (request->forced || !cgroup_systemd_runs() || is_delegated(dir))
		return 0;
	/* No remedy: systemd itself is asked next. */
	return cgroup_refuse(refusal, 0, "%s is systemd's own", dir);
}

/* The root of all has no cgroup.events. */
static bool is_root(const char *dir)
{
	auto_free char *events = path_join(dir, "cgroup.events");

	return access(events, F_OK) < 0;
}

static bool is_limited(const char *dir)
{
	static const char *const files[] = { "memory.max", "memory.high",
					     "pids.max", "cpu.max" };
	auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < ARRAY_SIZE(files); i++) {
		auto_free char *text = read_file(fd, files[i], 4096, NULL);

		if (text && strncmp(text, "max", 3) != 0)
			return true;
	}
	return false;
}

/*** The three places ***/

static int beside(struct cgroup *cg, const struct cgroup_place *place,
		  const struct cgroup_request *request,
		  struct cgroup_refusal *refusal)
{
	auto_free char *dir = xstrdup(place->own);
	bool limited = false;

	while (!limited && strcmp(dir, place->mount) != 0) {
		struct cgroup_refusal one = { 0 };
		int rc;

		limited = is_limited(dir);
		*strrchr(dir, '/') = '\0';
		rc = may_use(dir, request, &one);
		if (rc == 0 && limited)
			rc = cgroup_refuse(&one, 0,
					   "a cgroup in %s would escape our "
					   "own one's limits",
					   dir);
		else if (rc == 0)
			rc = cgroup_v2_below(cg, dir, request, &one);
		if (rc == 0)
			return 0;
		/* The nearest one's reason is the one to tell. */
		if (refusal->why[0] == '\0' || one.final)
			*refusal = one;
		if (one.final)
			return -1;
	}
	return -1;
}

static bool is_alone(const char *dir)
{
	auto_free char *path = path_join(dir, "cgroup.procs");
	auto_free char *text = read_file(AT_FDCWD, path, 65536, NULL);
	char *end = NULL;

	return text && strtol(text, &end, 10) == getpid() &&
	       strcmp(end, "\n") == 0;
}

static int move_self(const char *dir)
{
	auto_free char *path = path_join(dir, "cgroup.procs");

	return cgroup_write(AT_FDCWD, path, "0");
}

int cgroup_v2_go_home(struct cgroup *cg)
{
	auto_free char *home = take_ptr(&cg->home);
	auto_free char *leaf = take_ptr(&cg->leaf);
	auto_fd int fd = -1;

	if (home == NULL)
		return 0;
	/* The run's cgroup is gone, so that nobody needs the controllers. */
	fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || switch_controllers(fd, '-', cg->home_enabled) < 0 ||
	    move_self(home) < 0)
		return -1;
	return cgroup_rmdir(leaf);
}

static int in_own(struct cgroup *cg, const char *own,
		  const struct cgroup_request *request,
		  struct cgroup_refusal *refusal)
{
	auto_free char *leaf = xasprintf("%s/%s-supervisor", own,
					 request->name);

	if (journal_add(request->journal_fd, "cgroup", leaf) < 0 ||
	    mkdir(leaf, 0755) < 0)
		return cgroup_refuse(refusal, errno, "cannot make %s", leaf);
	if (move_self(leaf) < 0) {
		cgroup_refuse(refusal, errno, "cannot move to %s", leaf);
		rmdir(leaf);
		return -1;
	}
	cg->home = xstrdup(own);
	cg->leaf = take_ptr(&leaf);
	if (cgroup_v2_below(cg, own, request, refusal) == 0)
		return 0;
	cgroup_v2_go_home(cg);
	return -1;
}

/* On a machine that has its controllers on v1, v2 has none of them. */
static bool lacks_all(const char *mount, const struct cgroup_request *request,
		      struct cgroup_refusal *refusal)
{
	auto_fd int fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned int have = fd < 0 ? 0 : listed(fd, "cgroup.controllers");

	if ((request->needed & ~have) == 0)
		return false;
	cgroup_refuse(refusal, 0, "%s is without %s", mount,
		      cgroup_controller_names(request->needed & ~have));
	return true;
}

static int choose(struct cgroup *cg, const struct cgroup_place *place,
		  const struct cgroup_request *request,
		  struct cgroup_refusal *refusal)
{
	struct cgroup_refusal own = { 0 };

	if (lacks_all(place->mount, request, refusal))
		return -1;
	if (!is_root(place->own) && beside(cg, place, request, refusal) == 0)
		return 0;
	if (refusal->final)
		return -1;
	if (may_use(place->own, request, &own) < 0) {
		if (refusal->why[0] == '\0')
			*refusal = own;
		return -1;
	}
	refusal->remedy = NULL;
	if (is_root(place->own))
		return cgroup_v2_below(cg, place->own, request, refusal);
	if (is_alone(place->own))
		return in_own(cg, place->own, request, refusal);
	refusal->remedy = crowd_remedy;
	return cgroup_refuse(refusal, 0, "%s holds other processes, too",
			     place->own);
}

int cgroup_v2_create(struct cgroup *cg, const struct cgroup_request *request,
		     struct cgroup_refusal *refusal)
{
	struct cgroup_place place = { 0 };
	int rc;

	if (cgroup_find(request->map, NULL, &place) < 0)
		rc = cgroup_refuse_place(refusal, "");
	else
		rc = choose(cg, &place, request, refusal);
	if (rc == 0)
		cg->backend = CGROUP_V2;
	cgroup_place_free(&place);
	return rc;
}

void cgroup_v2_usage(const struct cgroup *cg, struct cgroup_usage *usage)
{
	int fd = cg->dirs[0].fd;

	/* Linux 5.19+ and 6.1+ */
	usage->memory_peak = cgroup_read_u64(fd, "memory.peak");
	usage->pids_peak = cgroup_read_u64(fd, "pids.peak");
	usage->pids_hit = cgroup_read_key(fd, "pids.events", "max");
	usage->oom_kills = cgroup_read_key(fd, "memory.events", "oom_kill");
	usage->cpu_user_ms = cgroup_read_key(fd, "cpu.stat", "user_usec") /
			     1000;
	usage->cpu_sys_ms = cgroup_read_key(fd, "cpu.stat", "system_usec") /
			    1000;
	usage->io_read = cgroup_sum_key(fd, "io.stat", "rbytes");
	usage->io_written = cgroup_sum_key(fd, "io.stat", "wbytes");
}
