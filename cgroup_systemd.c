/* SPDX-License-Identifier: MIT */
#include "cgroup_backend.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

/*
 * Theory of operation
 *
 *	supervisor	StartTransientUnit(scope, Delegate, PIDs=keeper)
 *	    |
 *	    +--- keeper	holds the scope while it is empty otherwise
 *	    +--- child
 *
 *	.../m9m-sandbox-ID.scope/keeper		the keeper
 *	.../m9m-sandbox-ID.scope/m9m-ID		the child, with the limits
 *
 * Where we may not make a cgroup, systemd may, for its own users: a scope that
 * is delegated, in which all goes on as for v2.  A scope exists for as long as
 * somebody is in it; the payload's end would take its counters along, so that
 * a process of ours stays until they are read.  The supervisor itself is left
 * where it is: whoever stops the unit that it belongs to stops it, and with it
 * all of this.  Killed, it leaves nothing: the keeper dies with it, and systemd
 * removes the empty scope.
 *
 * Between cgroups whose common parent is not ours no process of ours may be
 * moved or cloned, not even by its owner: systemd does it
 * (AttachProcessesToUnit), while the child waits.
 *
 * A bus can hang at any point, its first greeting included.  So nothing is
 * called that waits by itself: a message goes out, and we look for the answer
 * as long as we have patience.
 *
 * libsystemd is loaded only here.  Linked, it would take 3 ms of every start;
 * spoken by ourselves, D-Bus would be more code than all of this module.
 */

#define PATIENCE_MS  5000
#define SYSTEMD      "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER      "org.freedesktop.systemd1.Manager"

const char cgroup_systemd_remedy[] =
    "ask systemd for it: the user needs a user manager (loginctl enable-linger "
    "USER, then log in again) and its controllers: `[Service]` `Delegate=cpu "
    "cpuset io memory pids` in "
    "/etc/systemd/system/user@.service.d/delegate.conf";

/* Its bus leads out of our PID namespace. */
static const char blind[] = "the manager on the bus does not see our processes";
static const char hang_remedy[] =
    "systemd or its bus hangs: see `systemctl status` (`systemctl --user "
    "status`), or leave it out with --cgroup none";

/*** libsystemd, as far as we need it: its ABI does not change ***/

struct sd_bus;
struct sd_bus_message;
struct sd_bus_slot;

struct sd_error {
	const char *name;
	const char *message;
	int need_free;
};

struct sd_api {
	int (*open_user)(struct sd_bus **bus);
	int (*open_system)(struct sd_bus **bus);
	int (*new)(struct sd_bus **bus);
	int (*set_address)(struct sd_bus *bus, const char *address);
	int (*set_bus_client)(struct sd_bus *bus, int yes);
	int (*start)(struct sd_bus *bus);
	int (*get_fd)(struct sd_bus *bus);
	void (*close)(struct sd_bus *bus);
	struct sd_bus *(*unref)(struct sd_bus *bus);
	int (*match)(struct sd_bus *bus, struct sd_bus_slot **slot,
		     const char *sender, const char *path,
		     const char *interface, const char *member,
		     int (*callback)(struct sd_bus_message *, void *,
				     struct sd_error *),
		     int (*installed)(struct sd_bus_message *, void *,
				      struct sd_error *),
		     void *data);
	int (*call)(struct sd_bus *bus, struct sd_bus_slot **slot,
		    const char *destination, const char *path,
		    const char *interface, const char *member,
		    int (*callback)(struct sd_bus_message *, void *,
				    struct sd_error *),
		    void *data, const char *types, ...);
	int (*read)(struct sd_bus_message *m, const char *types, ...);
	const struct sd_error *(*get_error)(struct sd_bus_message *m);
	int (*process)(struct sd_bus *bus, struct sd_bus_message **m);
	int (*wait)(struct sd_bus *bus, uint64_t usec);
};

#define ENTRY(field, symbol)                                                   \
	{                                                                      \
		offsetof(struct sd_api, field), "sd_bus_" symbol               \
	}

static const struct {
	size_t offset;
	const char *symbol;
} api_symbols[] = {
	ENTRY(open_user, "open_user"),
	ENTRY(open_system, "open_system"),
	ENTRY(new, "new"),
	ENTRY(set_address, "set_address"),
	ENTRY(set_bus_client, "set_bus_client"),
	ENTRY(start, "start"),
	ENTRY(get_fd, "get_fd"),
	ENTRY(close, "close"),
	ENTRY(unref, "unref"),
	ENTRY(match, "match_signal_async"),
	ENTRY(call, "call_method_async"),
	ENTRY(read, "message_read"),
	ENTRY(get_error, "message_get_error"),
	ENTRY(process, "process"),
	ENTRY(wait, "wait"),
};

struct cgroup_scope {
	struct sd_api api;
	struct sd_bus *bus;
	char *unit;
	pid_t keeper;
	char *keeper_dir;
	unsigned int patience_ms;
	uint64_t deadline;
	bool answered;   /* our call */
	char error[128]; /* of its answer; "": none */
	bool done;       /* the job of our unit */
	bool failed;
};

/* Never unloaded: what it registered at exit would be gone. */
static int load(struct sd_api *api, struct cgroup_refusal *refusal)
{
	void *library = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);

	if (library == NULL)
		return cgroup_refuse(refusal, 0, "%s", dlerror());
	for (size_t i = 0; i < ARRAY_SIZE(api_symbols); i++) {
		void *entry = dlsym(library, api_symbols[i].symbol);

		if (entry == NULL)
			return cgroup_refuse(refusal, 0,
					     "libsystemd is too old: no %s",
					     api_symbols[i].symbol);
		memcpy((char *)api + api_symbols[i].offset, &entry,
		       sizeof(entry));
	}
	return 0;
}

bool cgroup_systemd_runs(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

/*** The bus ***/

/* XDG_RUNTIME_DIR and the like are missing after su, or under cron: the place
 * is known nevertheless. */
static int open_known(struct cgroup_scope *s)
{
	auto_free char *address = xasprintf("unix:path=/run/user/%u/bus",
					    geteuid());
	int rc = s->api.new(&s->bus);

	if (rc >= 0)
		rc = s->api.set_address(s->bus, address);
	if (rc >= 0)
		rc = s->api.set_bus_client(s->bus, 1);
	if (rc >= 0)
		rc = s->api.start(s->bus);
	return rc;
}

/* A process is a number there: from another PID namespace it would be somebody
 * else, whom the manager would put into our scope. */
static bool is_far_away(struct cgroup_scope *s)
{
	struct ucred peer = { .pid = -1 };
	socklen_t len = sizeof(peer);

	(void)getsockopt(s->api.get_fd(s->bus), SOL_SOCKET, SO_PEERCRED, &peer,
			 &len);
	return peer.pid == 0;
}

static int open_bus(struct cgroup_scope *s, struct cgroup_refusal *refusal)
{
	int rc;

	if (geteuid() == 0) {
		rc = s->api.open_system(&s->bus);
	} else {
		rc = s->api.open_user(&s->bus);
		if (rc < 0)
			rc = open_known(s);
	}
	if (rc >= 0 && is_far_away(s))
		return cgroup_refuse(refusal, 0, "%s", blind);
	if (rc >= 0)
		return 0;
	refusal->remedy = cgroup_systemd_remedy;
	return cgroup_refuse(refusal, -rc, "cannot reach the %s bus",
			     geteuid() == 0 ? "system" : "user's");
}

static int take_result(struct sd_bus_message *m, void *data,
		       struct sd_error *error)
{
	struct cgroup_scope *s = data;
	const char *path, *unit, *result;
	uint32_t id;

	(void)error;
	if (s->api.read(m, "uoss", &id, &path, &unit, &result) >= 0 &&
	    strcmp(unit, s->unit) == 0) {
		s->done = true;
		s->failed = strcmp(result, "done") != 0;
	}
	return 0;
}

static int take_answer(struct sd_bus_message *m, void *data,
		       struct sd_error *error)
{
	struct cgroup_scope *s = data;
	const struct sd_error *sent = s->api.get_error(m);

	(void)error;
	s->answered = true;
	if (sent)
		snprintf(s->error, sizeof(s->error), "%s",
			 sent->message ? sent->message : sent->name);
	return 0;
}

static void begin(struct cgroup_scope *s)
{
	s->deadline = now_ms(CLOCK_MONOTONIC) + s->patience_ms;
	s->answered = false;
	s->error[0] = '\0';
}

/* Until that is so; it is a member of *s. */
static int await(struct cgroup_scope *s, const bool *what)
{
	while (!*what) {
		uint64_t now = now_ms(CLOCK_MONOTONIC);
		int rc = s->api.process(s->bus, NULL);

		if (rc < 0)
			return rc;
		if (rc > 0)
			continue;
		if (now >= s->deadline)
			return -ETIMEDOUT;
		rc = s->api.wait(s->bus, (s->deadline - now) * 1000);
		if (rc < 0 && rc != -EINTR)
			return rc;
	}
	return s->error[0] ? -EREMOTEIO : 0;
}

/* Why that came to nothing; good until the next call. */
static const char *reason(const struct cgroup_scope *s, int rc)
{
	static char text[sizeof(s->error)];

	if (rc == -EREMOTEIO)
		snprintf(text, sizeof(text), "%s", s->error);
	else if (rc == -ETIMEDOUT)
		snprintf(text, sizeof(text), "no answer within %u ms",
			 s->patience_ms);
	else
		snprintf(text, sizeof(text), "%s", strerror(-rc));
	return text;
}

static int start_scope(struct cgroup_scope *s, struct cgroup_refusal *refusal)
{
	int rc;

	begin(s);
	rc = s->api.match(s->bus, NULL, SYSTEMD, MANAGER_PATH, MANAGER,
			  "JobRemoved", take_result, NULL, s);
	/* The limits are files of ours below the scope; TasksMax is lifted,
	 * since systemd sets one by itself. */
	if (rc >= 0)
		rc = s->api.call(
		    s->bus, NULL, SYSTEMD, MANAGER_PATH, MANAGER,
		    "StartTransientUnit", take_answer, s, "ssa(sv)a(sa(sv))",
		    s->unit, "fail", 5, /* properties: */
		    "Description", "s", "a run of m9m-sandbox", /**/
		    "Delegate", "b", 1,                         /**/
		    "TasksMax", "t", UINT64_MAX,                /**/
		    "CollectMode", "s", "inactive-or-failed",   /**/
		    "PIDs", "au", 1, (uint32_t)s->keeper, 0);
	if (rc >= 0)
		rc = await(s, &s->answered);
	if (rc >= 0)
		rc = await(s, &s->done);
	if (rc >= 0 && s->failed)
		rc = -ECANCELED;
	if (rc >= 0)
		return 0;
	refusal->remedy = rc == -ETIMEDOUT ? hang_remedy
					   : cgroup_systemd_remedy;
	return cgroup_refuse(refusal, 0, "cannot start %s: %s", s->unit,
			     reason(s, rc));
}

/*** The keeper ***/

__attribute__((noreturn)) static void keep(void)
{
	sigset_t all;

	/* Whatever is sent to our process group is not meant for it. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	close_range(0, ~0U, 0);
	title_set("m9m-sandbox: keeps a cgroup");
	for (;;)
		pause();
}

static int start_keeper(struct cgroup_scope *s, struct cgroup_refusal *refusal)
{
	pid_t parent = getpid();

	s->keeper = fork();
	if (s->keeper < 0)
		return cgroup_refuse(refusal, errno, "cannot fork");
	if (s->keeper > 0)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(0);
	keep();
}

static void stop_keeper(struct cgroup_scope *s)
{
	if (s->keeper <= 0)
		return;
	kill(s->keeper, SIGKILL);
	while (waitpid(s->keeper, NULL, 0) < 0 && errno == EINTR)
		;
	s->keeper = -1;
}

/* Into a leaf, so that the scope can be a parent. */
static int move_keeper(struct cgroup_scope *s, const char *scope,
		       struct cgroup_refusal *refusal)
{
	auto_free char *procs = xasprintf("%s/keeper/cgroup.procs", scope);

	s->keeper_dir = path_join(scope, "keeper");
	if (mkdir(s->keeper_dir, 0755) < 0)
		return cgroup_refuse(refusal, errno, "cannot make %s",
				     s->keeper_dir);
	if (cgroup_write_u64(AT_FDCWD, procs, (uint64_t)s->keeper) < 0)
		return cgroup_refuse(refusal, errno, "cannot write %s", procs);
	return 0;
}

/*** The scope ***/

/* May a process of ours be cloned from our own cgroup into `target`?  Only if
 * the cgroup above both is ours. */
static bool may_clone(const char *own, const char *target)
{
	auto_free char *common = xstrdup(own);
	auto_free char *procs = NULL;

	while (common[0] && !path_under(target, common))
		*strrchr(common, '/') = '\0';
	procs = xasprintf("%s/cgroup.procs", common);
	return faccessat(AT_FDCWD, procs, W_OK, AT_EACCESS) == 0;
}

/* Where a process is on v2, owned; or NULL with the refusal. */
static char *place_of(pid_t pid, struct cgroup_refusal *refusal)
{
	struct cgroup_place place = { 0 };
	struct cgroup_map map = { 0 };
	char *own = NULL;

	if (cgroup_map_read(&map, pid) < 0 ||
	    cgroup_find(&map, NULL, &place) < 0)
		cgroup_refuse(refusal, errno, "cannot find the cgroup v2 of %d",
			      pid);
	else
		own = take_ptr(&place.own);
	cgroup_place_free(&place);
	cgroup_map_free(&map);
	return own;
}

/* Fills the scope that systemd made, as v2 does a subtree of ours. */
static int fill_scope(struct cgroup *cg, const struct cgroup_request *request,
		      struct cgroup_refusal *refusal)
{
	struct cgroup_scope *s = cg->scope;
	auto_free char *own = place_of(getpid(), refusal);
	auto_free char *scope = place_of(s->keeper, refusal);

	if (own == NULL || scope == NULL)
		return -1;
	/* That process was not ours, after all. */
	if (strcmp(strrchr(scope, '/') + 1, s->unit) != 0)
		return cgroup_refuse(refusal, 0, "%s", blind);
	if (move_keeper(s, scope, refusal) < 0 ||
	    cgroup_v2_below(cg, scope, request, refusal) < 0)
		return -1;
	if (!may_clone(own, cg->dirs[0].path))
		cg->dir_fd = -1;
	return 0;
}

int cgroup_systemd_create(struct cgroup *cg,
			  const struct cgroup_request *request,
			  struct cgroup_refusal *refusal)
{
	struct cgroup_scope *s;

	/* A bus of the host's in a container leads to a manager that knows our
	 * processes by other numbers. */
	if (!cgroup_systemd_runs())
		return cgroup_refuse(refusal, 0, "does not run here");
	s = cg->scope = xcalloc(1, sizeof(*s));
	s->keeper = -1;
	s->patience_ms = request->limits->patience_ms
			     ? request->limits->patience_ms
			     : PATIENCE_MS;
	s->unit = xasprintf("m9m-sandbox-%s.scope", request->run_id);
	if (load(&s->api, refusal) == 0 && open_bus(s, refusal) == 0 &&
	    start_keeper(s, refusal) == 0 && start_scope(s, refusal) == 0 &&
	    fill_scope(cg, request, refusal) == 0) {
		cg->backend = CGROUP_SYSTEMD;
		return 0;
	}
	cgroup_systemd_close(cg);
	return -1;
}

int cgroup_systemd_enter(struct cgroup *cg, pid_t pid)
{
	struct cgroup_scope *s = cg->scope;
	const char *path = cg->dirs[0].path;
	const char *name = strrchr(path, '/');
	struct cgroup_refusal refusal = { 0 };
	auto_free char *now = NULL;
	int rc;

	begin(s);
	rc = s->api.call(s->bus, NULL, SYSTEMD, MANAGER_PATH, MANAGER,
			 "AttachProcessesToUnit", take_answer, s, "ssau",
			 s->unit, name, 1, (uint32_t)pid);
	if (rc >= 0)
		rc = await(s, &s->answered);
	if (rc < 0) {
		fail(0, "cannot enter %s: %s", path, reason(s, rc));
		return rc == -ETIMEDOUT ? fail_remedy("%s", hang_remedy) : -1;
	}
	/* It counts only once the kernel says so. */
	now = place_of(pid, &refusal);
	if (now == NULL || strcmp(now, path) != 0)
		return fail(0, "systemd did not move the payload into %s",
			    path);
	return 0;
}

/* systemd removes the scope when the last process of it is gone; its leaf is
 * ours. */
void cgroup_systemd_close(struct cgroup *cg)
{
	struct cgroup_scope *s = cg->scope;

	if (s == NULL)
		return;
	stop_keeper(s);
	if (s->keeper_dir)
		rmdir(s->keeper_dir);
	if (s->bus) {
		/* Without waiting until all is sent. */
		s->api.close(s->bus);
		s->api.unref(s->bus);
	}
	free(s->keeper_dir);
	free(s->unit);
	free(s);
	cg->scope = NULL;
}
