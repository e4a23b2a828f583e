/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cause.h"
#include "control.h"
#include "err.h"
#include "exec.h"
#include "fallback.h"
#include "init.h"
#include "landlock.h"
#include "layers.h"
#include "netpol.h"
#include "ns.h"

/*
 * Theory of operation
 *
 *	supervisor --clone3--> PID 1 --fork--> payload
 *
 * PID 1 builds the sandbox with the capabilities that its new user namespace
 * gave it, forks the payload, gives everything up, and from then on only reaps,
 * passes signals on and tells how the payload ended.  When it ends, the kernel
 * kills whatever else lives in the PID namespace.
 */

struct step {
	const char *name; /* becomes the stage of a failure */
	int (*run)(struct child_context *);
};

/*** PID 1: build the sandbox ***/

static int make_namespaces(struct child_context *c)
{
	return ns_unshare(c->plan);
}

static int take_identity(struct child_context *c)
{
	const struct plan *plan = c->plan;
	struct control_message message;

	if (control_receive(c->control_fd, &message, NULL) != 1 ||
	    message.kind != CONTROL_GO)
		return fail(0, "the supervisor went away");
	if (ns_take_ids(plan) < 0)
		return -1;
	/* After the ids: changing them clears it.  With the end of file of the
	 * control socket it makes the supervisor's death ours. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return fail(errno, "cannot tie our life to the supervisor's");
	/* Before anything of the payload runs: /proc/1 is not to be opened by
	 * it, since PID 1 is of the same uid. */
	if (prctl(PR_SET_DUMPABLE, layer_is_off("dumpable")) < 0)
		return fail(errno, "cannot become undumpable");
	return 0;
}

/* The session keyring passes through namespaces, with the caller's keys. */
static int leave_keyring(struct child_context *c)
{
	(void)c;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 &&
	    errno != ENOSYS)
		return fail(errno, "cannot leave the session keyring");
	return 0;
}

static int set_hostname(struct child_context *c)
{
	const char *name = c->plan->hostname, *cause;

	if (sethostname(name, strlen(name)) == 0)
		return 0;
	cause = cause_hostname(errno);
	fail(errno, "cannot set the host name");
	return cause ? fail_remedy("%s", cause) : -1;
}

/* The supervisor may want to look into it later, and then we are undumpable. */
static int set_network(struct child_context *c)
{
	auto_fd int net = -1;

	if (netpol_apply(&c->plan->net, c->relay_fd, &net) < 0)
		return -1;
	if (c->plan->net.mode == NET_DENY &&
	    control_send(c->control_fd, CONTROL_NETWORK, 0, net) < 0)
		return fail(errno, "cannot hand the network over");
	return 0;
}

static int take_sources(struct child_context *c)
{
	struct control_message message = { 0 };
	struct mount_sources *sources = &c->sources;
	int fds[CONTROL_FDS];
	size_t n;

	*sources = mount_no_sources(c->plan);
	while ((message.value & CONTROL_LAST) == 0) {
		if (control_receive_all(c->control_fd, &message, fds, &n) !=
			1 ||
		    message.kind != CONTROL_SOURCES)
			return fail(0, "the supervisor went away");
		for (size_t i = 0; i < n; i++)
			*mount_source(sources, message.places[i]) = fds[i];
	}
	sources->project.copied = message.value & CONTROL_COPIED;
	sources->layered = message.value & CONTROL_LAYERED;
	return 0;
}

/*
 * The supervisor makes v1's directories beside our first steps and sends what
 * leads into them.  Before the mounts: those are the first thing that takes
 * memory, and afterwards no namespace can be made.
 */
static int join_cgroup(struct child_context *c)
{
	struct cgroup *cg = c->cgroup;
	struct control_message message;
	int fds[CONTROL_FDS];
	size_t n;

	if (control_receive_all(c->control_fd, &message, fds, &n) != 1 ||
	    message.kind != CONTROL_CGROUP)
		return fail(0, "the supervisor went away");
	if (n > 0)
		cg->n_dirs = n;
	for (size_t i = 0; i < n; i++)
		cg->dirs[i] = (struct cgroup_dir){ .fd = -1,
						   .tasks_fd = fds[i] };
	cg->fallback = message.value & CONTROL_FALLBACK;
	c->counted = message.value & CONTROL_COUNTED;
	if (cgroup_join(cg) < 0)
		return -1;
	/* The first one began in the caller's cgroup: this one
	 * does not show the way from there. */
	if (message.value & CONTROL_ENTERED &&
	    c->plan->namespaces & CLONE_NEWCGROUP &&
	    unshare(CLONE_NEWCGROUP) < 0)
		return fail(errno, "cannot hide the cgroup's place");
	return 0;
}

static int set_mounts(struct child_context *c)
{
	return mount_build(c->plan, &c->sources);
}

/* The payload's terminal is in its own devpts; the supervisor relays it. */
static int make_terminal(struct child_context *c)
{
	auto_fd int master = -1;
	int unlock = 0;

	if (!c->plan->pty)
		return 0;
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return fail(errno, "cannot open a terminal");
	/* Before the payload can ask for it. */
	if (ioctl(master, TIOCSWINSZ, &c->plan->window) < 0)
		return fail(errno, "cannot set the terminal's size");
	c->terminal_fd = ioctl(master, TIOCGPTPEER,
			       O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c->terminal_fd < 0)
		return fail(errno, "cannot open the terminal's inner side");
	if (control_send(c->control_fd, CONTROL_TERMINAL, 0, master) < 0)
		return fail(errno, "cannot hand the terminal over");
	return 0;
}

static int drop_capabilities(struct child_context *c)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {
		{ 0 }
	};
	int rc = 0;

	(void)c;
	/* The bounding set first: dropping from it takes CAP_SETPCAP.  The
	 * kernel's own capabilities may go beyond those known here; EINVAL
	 * says where they end, and only there. */
	for (int cap = 0; rc == 0; cap++) {
		rc = prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
		if (rc < 0 && errno == EINVAL && cap > CAP_CHECKPOINT_RESTORE) {
			rc = 0;
			break;
		}
	}
	if (rc == 0)
		rc = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* libc has the function, and no header that says so. */
	if (rc == 0)
		rc = (int)syscall(SYS_capset, &header, none);
	if (rc < 0)
		return fail(errno, "cannot drop the capabilities");
	return 0;
}

static int forbid_privileges(struct child_context *c)
{
	(void)c;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(errno, "cannot set no_new_privs");
	return 0;
}

/*
 * The order is the argument: the namespaces while the ids are mapped outside; the
 * ids before all that will belong to them; keyring and names while the syscalls
 * are plain; network before mounts, because netlink needs nothing of the tree but
 * the host's libraries; the terminal from the new devpts; then every right goes,
 * before the payload's process exists, so that PID 1 and the payload are never
 * more than an ordinary process.
 */
static const struct step setup_steps[] = {
	{ "namespaces", make_namespaces },
	{ "identity", take_identity },
	{ "keyring", leave_keyring },
	{ "hostname", set_hostname },
	{ "network", set_network },
	{ "sources", take_sources },
	{ "cgroup", join_cgroup },
	{ "mounts", set_mounts },
	{ "terminal", make_terminal },
	{ "capabilities", drop_capabilities },
	{ "no_new_privs", forbid_privileges },
};

/*** The payload ***/

/* Numbers of what it has beyond 0 1 2, until its execve. */
enum { PAYLOAD_ERR = 3, PAYLOAD_CONTROL, PAYLOAD_KEPT };

static int place(int fd, int target)
{
	return dup2(fd, target) < 0 ? -1 : 0;
}

/*
 * The error pipe and the control socket alone stay, and close themselves on
 * exec.  By way of copies above, since either may be where the other goes.
 * PID 1's own numbers are in its memory, which is ours until then.
 */
static int keep_ours(struct child_context *c)
{
	int err_fd = fcntl(c->err_fd, F_DUPFD_CLOEXEC, PAYLOAD_KEPT);
	int control_fd = fcntl(c->control_fd, F_DUPFD_CLOEXEC, PAYLOAD_KEPT);

	if (err_fd < 0 || dup3(err_fd, PAYLOAD_ERR, O_CLOEXEC) < 0)
		return fail(errno, "cannot keep the error pipe");
	c->err_fd = PAYLOAD_ERR;
	if (control_fd < 0 || dup3(control_fd, PAYLOAD_CONTROL, O_CLOEXEC) < 0)
		return fail(errno, "cannot keep the control socket");
	if (close_range(PAYLOAD_KEPT, ~0U, 0) < 0)
		return fail(errno, "cannot close the other descriptors");
	return 0;
}

static int set_descriptors(struct child_context *c)
{
	auto_fd int null = -1;
	int in = c->stdin_fd, out = c->stdout_fd, error = c->stderr_fd;

	if (setsid() < 0)
		return fail(errno, "cannot start a session");
	if (c->terminal_fd >= 0) {
		if (ioctl(c->terminal_fd, TIOCSCTTY, 0) < 0)
			return fail(errno, "cannot take the terminal");
		in = out = error = c->terminal_fd;
	}
	if (in < 0) {
		null = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (null < 0)
			return fail(errno, "cannot open /dev/null");
		in = null;
	}
	if (place(in, STDIN_FILENO) < 0 || place(out, STDOUT_FILENO) < 0 ||
	    place(error, STDERR_FILENO) < 0)
		return fail(errno, "cannot set stdin, stdout and stderr");
	/* Now: its number may be one that the next step gives away. */
	cleanup_fd(&null);
	null = -1;
	return keep_ours(c);
}

static int set_signals(struct child_context *c)
{
	/* The kernel's own structure: nothing in it is SIG_DFL. */
	static const uint64_t by_default[8];
	sigset_t none;

	(void)c;
	/* What the caller ignores stays ignored through clone and exec.  glibc
	 * keeps two from signal(), and has posix_spawn() ignore them. */
	for (int sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, by_default, NULL,
			sizeof(by_default[0]));
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return fail(errno, "cannot unblock signals");
	return 0;
}

/* Where a cgroup limits processes, it is to be the one that says no: it counts
 * how often.  This one is the next in line. */
static rlim_t rlimit_of(const struct child_context *c,
			const struct plan_rlimit *r)
{
	return r->value + (c->counted && r->resource == RLIMIT_NPROC);
}

/* A hard limit that is lower already (sudo takes core dumps away) stays. */
static int set_rlimit(const struct child_context *c,
		      const struct plan_rlimit *r)
{
	rlim_t value = rlimit_of(c, r);
	struct rlimit limit;

	if (getrlimit(r->resource, &limit) < 0)
		return fail(errno, "cannot read the limit of %s", r->name);
	if (limit.rlim_max > value)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(r->resource, &limit) < 0)
		return fail(errno, "cannot limit %s to %llu", r->name,
			    (unsigned long long)value);
	return 0;
}

/*
 * Of open files: control.c says why the listener is to be sent before.  A profile
 * of the user's may forbid to do it then.
 */
static bool comes_last(const struct child_context *c,
		       const struct plan_rlimit *r)
{
	const uint64_t set[6] = { 0, RLIMIT_NOFILE, (uintptr_t)r, 0 };

	return r->resource == RLIMIT_NOFILE &&
	       seccomp_lets(&c->plan->filter, SYS_prlimit64, set);
}

static int set_those(const struct child_context *c, bool last)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->plan->rlimits); i++) {
		const struct plan_rlimit *r = &c->plan->rlimits[i];

		if (comes_last(c, r) == last && set_rlimit(c, r) < 0)
			return -1;
	}
	return 0;
}

static int set_rlimits(struct child_context *c)
{
	return set_those(c, false);
}

static int limit_files(struct child_context *c)
{
	return set_those(c, true);
}

/* linux/ioprio.h, which is no part of older headers */
#define IO_OF_PROCESS    1
#define IO_CLASS(ioprio) ((ioprio) >> 13)
#define IO_REAL_TIME     1

/*
 * That the caller comes before others is not for the payload to have: no quota
 * of a cgroup holds what is real-time back.
 */
static int give_way(struct child_context *c)
{
	static const struct sched_param none = { 0 };
	int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
	long io = syscall(SYS_ioprio_get, IO_OF_PROCESS, 0);

	(void)c;
	if ((policy == SCHED_FIFO || policy == SCHED_RR) &&
	    sched_setscheduler(0, SCHED_OTHER, &none) < 0)
		return fail(errno, "cannot leave real-time scheduling");
	if (getpriority(PRIO_PROCESS, 0) < 0 &&
	    setpriority(PRIO_PROCESS, 0, 0) < 0)
		return fail(errno, "cannot give up a priority");
	if (io >= 0 && IO_CLASS(io) == IO_REAL_TIME &&
	    syscall(SYS_ioprio_set, IO_OF_PROCESS, 0, 0) < 0)
		return fail(errno, "cannot leave real-time input and output");
	return 0;
}

static int enter_cwd(struct child_context *c)
{
	if (chdir(c->plan->cwd) < 0) {
		fail(errno, "cannot enter %s", c->plan->cwd);
		return fail_remedy("--chdir names a directory inside the "
				   "sandbox");
	}
	return 0;
}

static int wall_off(struct child_context *c)
{
	return landlock_apply(c->plan);
}

static int keep_pinned(struct child_context *c)
{
	return c->cgroup->fallback ? fallback_keep_pinned() : 0;
}

static int filter_calls(struct child_context *c)
{
	return exec_install(PAYLOAD_CONTROL, c->plan);
}

/*
 * Descriptors first, so that nothing later can leak one; seccomp last but for a
 * limit that it is asked about, since it may forbid the calls above
 * (no_new_privs lets it be loaded without rights).  Landlock after all that
 * opens files by path for itself, and in this process alone: PID 1 stays outside
 * of the domain, where the payload cannot signal it.
 * Who records what is executed and refused listens to that same filter: a second
 * one for it would never be asked, since the kernel takes an error before a
 * question.
 */
static const struct step payload_steps[] = {
	{ "descriptors", set_descriptors },
	{ "signals", set_signals },
	{ "rlimits", set_rlimits },
	{ "priority", give_way },
	{ "chdir", enter_cwd },
	{ "landlock", wall_off },
	{ "processors", keep_pinned },
	{ "seccomp", filter_calls },
	{ "files", limit_files },
};

static int run_steps(const struct step *steps, size_t n,
		     struct child_context *c)
{
	for (size_t i = 0; i < n; i++) {
		err_stage(steps[i].name);
		if (layer_is_off(steps[i].name))
			continue;
		if (steps[i].run(c) < 0) {
			/* A step that failed silently must not pass for one
			 * that worked. */
			fail(0, "step failed");
			return -1;
		}
	}
	return 0;
}

static void execute(const struct plan *plan)
{
	const char *path = plan->program.path;

	err_stage("exec");
	execve(path, plan->program.argv.v, plan->env.v);
	if (errno == ENOENT) {
		fail(errno, "cannot execute %s", path);
		fail_remedy("the file, its interpreter or its loader is not "
			    "visible inside; show it with --ro-bind");
		fail_status(127);
		return;
	}
	fail(errno, "cannot execute %s", path);
	fail_status(errno == EACCES || errno == ENOEXEC ? 126 : 125);
}

/* For the next process to begin on it; nothing is lost where that cannot be. */
static void stay_on_processor(struct child_context *c)
{
	int cpu = sched_getcpu();
	cpu_set_t one;

	if (cpu < 0 || cpu >= CPU_SETSIZE ||
	    sched_getaffinity(0, sizeof(c->processors), &c->processors) < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	c->stays = sched_setaffinity(0, sizeof(one), &one) == 0;
}

/*
 * For this process; each of the two does so.  To all there are, if that comes to
 * those it had: who was bound to none is to have those that its cpuset gets
 * later, too (before Linux 6.2 those that are online now).
 */
static int leave_processor(const struct child_context *c)
{
	cpu_set_t all, now;

	if (!c->stays)
		return 0;
	memset(&all, 0xff, sizeof(all));
	if (sched_setaffinity(0, sizeof(all), &all) == 0 &&
	    sched_getaffinity(0, sizeof(now), &now) == 0 &&
	    CPU_EQUAL(&now, &c->processors))
		return 0;
	if (sched_setaffinity(0, sizeof(c->processors), &c->processors) < 0)
		return fail(errno, "cannot leave a processor");
	return 0;
}

static int payload_main(struct child_context *c)
{
	if (leave_processor(c) == 0 &&
	    run_steps(payload_steps, ARRAY_SIZE(payload_steps), c) == 0)
		execute(c->plan);
	err_send(c->err_fd);
	return err_get()->status;
}

/*** PID 1 ***/

/*
 * vfork: until its execve the payload's process borrows our memory, a copy of
 * which would cost more than all of its steps.  And our processor, which has
 * nothing else to do: another one would have to wake first.
 */
static pid_t start_payload(struct child_context *c)
{
	pid_t pid;

	stay_on_processor(c);
	pid = vfork();
	if (pid == 0)
		_exit(payload_main(c));
	return leave_processor(c) < 0 ? -1 : pid;
}

int child_main(struct child_context *c)
{
	sigset_t chld;
	int signal_fd;
	pid_t payload;

	/* /proc/1/cmdline is open to the payload; ours may hold secrets. */
	title_set("m9m-sandbox");
	if (run_steps(setup_steps, ARRAY_SIZE(setup_steps), c) < 0) {
		err_send(c->err_fd);
		return 125;
	}
	err_stage("fork");
	/* All signals are blocked since the supervisor blocked them. */
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	signal_fd = signalfd(-1, &chld, SFD_CLOEXEC);
	payload = signal_fd < 0 ? -1 : start_payload(c);
	if (payload < 0) {
		fail(errno, "cannot start the payload's process");
		err_send(c->err_fd);
		return 125;
	}
	/* Closes our end of the error pipe too: its end of file now means that
	 * the payload's execve succeeded. */
	return init_run(c->control_fd, signal_fd, payload, c->plan);
}
