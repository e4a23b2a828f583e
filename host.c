/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "ruleset.h"
#include "util.h"

/*
 * Started by root, a run gets a host id of its own: nobody's files, no other
 * run's processes.  The range is unused by systemd's own convention (containers
 * end at 1879048191, foreign ids start at 2147352576).
 */
#define RUN_ID_BASE  1879048192U
#define RUN_ID_COUNT 268304384U

/* The overflow id: all there is in a container that maps few ids. */
#define NOBODY 65534U

const char *host_getenv(const struct host *host, const char *name)
{
	size_t n = strlen(name);

	for (char **e = host->environ; *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

static char *make_run_id(uint32_t random)
{
	struct tm tm = utc_time(time(NULL));
	char stamp[32];

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	return xasprintf("%s-%08x", stamp, random);
}

/*
 * Is this id mapped in the user namespace that we were started in?  *outside,
 * which may be NULL, is what it is in the one around it.
 */
static bool id_is_mapped(const char *map_path, uint32_t id, uint32_t *outside)
{
	auto_free char *map = read_file(-1, map_path, 65536, NULL);
	char *rest = map;

	while (rest && *rest) {
		unsigned long first, base, count;
		int used = 0;

		if (sscanf(rest, "%lu %lu %lu%n", &first, &base, &count,
			   &used) != 3)
			return false;
		if (id >= first && id - first < count) {
			if (outside)
				*outside = (uint32_t)(base + (id - first));
			return true;
		}
		rest += used;
		rest += strspn(rest, " \n");
	}
	return false;
}

static bool both_mapped(uint32_t id)
{
	return id_is_mapped("/proc/self/uid_map", id, NULL) &&
	       id_is_mapped("/proc/self/gid_map", id, NULL);
}

/* Root of a namespace that an ordinary user made for itself (unshare -r)? */
static bool is_user_in_disguise(void)
{
	uint32_t outside = 0;

	return id_is_mapped("/proc/self/uid_map", 0, &outside) && outside != 0;
}

static void choose_payload_ids(struct host *host, uint32_t random)
{
	uint32_t id = RUN_ID_BASE + random % RUN_ID_COUNT;

	host->payload_uid = host->uid;
	host->payload_gid = host->gid;
	if (host->uid != 0)
		return;
	if (!both_mapped(id)) {
		id = NOBODY;
		/* No other id to be had: its own is no more than that
		 * user's. */
		if (!both_mapped(id) && is_user_in_disguise())
			return;
	}
	host->payload_uid = id;
	host->payload_gid = id;
}

static int find_state(struct host *host)
{
	const char *xdg = host_getenv(host, "XDG_STATE_HOME");
	const char *home = host_getenv(host, "HOME");

	if (xdg && xdg[0] == '/') {
		host->state_dir = path_join(xdg, "m9m-sandbox");
	} else if (host->uid == 0) {
		host->state_dir = xstrdup("/var/lib/m9m-sandbox");
		host->audit_path = xstrdup("/var/log/m9m-sandbox/audit.jsonl");
		return 0;
	} else if (home && home[0] == '/') {
		host->state_dir = path_join(home, ".local/state/m9m-sandbox");
	} else {
		fail(0, "no place for the state directory: HOME is not set "
			"to an absolute path");
		return fail_remedy("set HOME or XDG_STATE_HOME");
	}
	host->audit_path = path_join(host->state_dir, "audit.jsonl");
	return 0;
}

/*
 * A core handler that is a pipe is started on the host, as root, by whatever
 * crashes; a limit of 1 alone keeps it from us and from all that we start.  0
 * does not, and where that is the hard limit only root can raise it.  A handler
 * that is a socket (Linux 6.16) knows no limit.  False: it may be started.
 */
static bool keep_cores(void)
{
	const struct rlimit one = { 1, 1 };
	bool held = setrlimit(RLIMIT_CORE, &one) == 0;
	auto_free char *pattern = read_file(
	    AT_FDCWD, "/proc/sys/kernel/core_pattern", 4096, NULL);

	return !pattern || (pattern[0] != '@' && (pattern[0] != '|' || held));
}

/* Version 1 (Linux 5.13) refuses every rename between folders and has no right
 * that would allow it again: nothing can be built on it. */
static int landlock_version(void)
{
	int version = ruleset_version();

	return version < 2 ? 0 : version;
}

bool host_has_terminal(void)
{
	pid_t owner = tcgetpgrp(STDIN_FILENO);

	/* One that is not our session's stops nobody. */
	return isatty(STDIN_FILENO) && (owner < 0 || owner == getpgrp());
}

bool host_has_input(void)
{
	struct stat in, null;

	if (fstat(STDIN_FILENO, &in) < 0 ||
	    (isatty(STDIN_FILENO) && !host_has_terminal()))
		return false;
	return stat("/dev/null", &null) < 0 || !S_ISCHR(in.st_mode) ||
	       in.st_rdev != null.st_rdev;
}

bool host_lends_rights(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
						 0 };
	struct __user_cap_data_struct data[2] = { 0 };
	uint64_t permitted;

	if (getuid() != geteuid() || getgid() != getegid())
		return true;
	if (getuid() == 0 || syscall(SYS_capget, &head, data) < 0)
		return false;
	/* Across execve an ordinary user keeps its ambient ones and no others,
	 * and a file with some of its own clears those.  AT_SECURE says less:
	 * a security module that changes domains sets it, too. */
	permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	for (unsigned int cap = 0; permitted; cap++, permitted >>= 1)
		if (permitted & 1 &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) < 1)
			return true;
	return false;
}

/*
 * By the number of our child we write the ids of its namespace: in a /proc of
 * another PID namespace that would be somebody else's.
 */
static int check_proc(void)
{
	auto_free char *own = xasprintf("%d", getpid());
	char self[16];
	ssize_t n = readlink("/proc/self", self, sizeof(self) - 1);

	if (n < 0) {
		fail(errno, "cannot read /proc/self");
	} else {
		self[n] = '\0';
		if (strcmp(self, own) == 0)
			return 0;
		fail(0, "/proc is that of another PID namespace");
	}
	return fail_remedy("mount one at /proc, as unshare --mount-proc does");
}

int host_read(struct host *host)
{
	uint32_t random;

	*host = (struct host){ .uid = geteuid(),
			       .gid = getegid(),
			       .environ = environ,
			       .stdin_tty = host_has_terminal(),
			       .stdout_tty = isatty(STDOUT_FILENO) };
	if (check_proc() < 0)
		return -1;
	host->cores_leave = !keep_cores();
	host->landlock = landlock_version();
	if (host->stdin_tty)
		(void)ioctl(STDIN_FILENO, TIOCGWINSZ, &host->window);
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return fail(errno, "cannot get random bytes for the run id");
	host->root = xstrdup("/");
	host->run_id = make_run_id(random);
	choose_payload_ids(host, random);
	return find_state(host);
}

void host_free(struct host *host)
{
	free(host->root);
	free(host->state_dir);
	free(host->audit_path);
	free(host->run_id);
}
