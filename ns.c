/* SPDX-License-Identifier: MIT */
#include "ns.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cause.h"
#include "child.h"
#include "control.h"
#include "err.h"
#include "journal.h"

/*
 * Theory of operation
 *
 *	supervisor				child (PID 1 inside)
 *	clone3(user, pid) ------------------>	unshare(all the others)
 *	writes setgroups, uid_map, gid_map
 *	CONTROL_GO ------------------------->	takes its ids, runs its steps
 *	makes what it hands over
 *	CONTROL_SOURCES, CONTROL_CGROUP ---->	mounts and enters them
 *
 * A pidfd from the start, so that its pid cannot be mistaken later.  A network
 * namespace takes the kernel as long as all of the rest: the child makes its
 * own, while the supervisor writes the maps and makes what it hands over.
 */

const struct ns_kind ns_kinds[7] = {
	{ CLONE_NEWUSER, "user" },     { CLONE_NEWPID, "pid" },
	{ CLONE_NEWNS, "mount" },      { CLONE_NEWNET, "network" },
	{ CLONE_NEWUTS, "uts" },       { CLONE_NEWIPC, "ipc" },
	{ CLONE_NEWCGROUP, "cgroup" },
};

/* What a process cannot make for itself: the ids decide who owns the others,
 * and only a child can be the first process. */
#define AT_CLONE (CLONE_NEWUSER | CLONE_NEWPID)

/* Both sides' ends of what leads in and out, before clone. */
struct ends {
	int control[2];
	int err[2];
	int in[2];
	int out[2];
	int error[2];
};

static int make_pipe(int fds[2])
{
	if (pipe2(fds, O_CLOEXEC) < 0)
		return fail(errno, "cannot make a pipe");
	return 0;
}

/* /dev/stdin and its kin open a pipe anew, by its owner and mode. */
static int make_payload_pipe(int fds[2], const struct plan *plan)
{
	if (make_pipe(fds) < 0)
		return -1;
	if (fchown(fds[0], plan->host_uid, plan->host_gid) < 0)
		return cause_fail_to_give(errno, "a pipe", plan->host_uid);
	return 0;
}

static int make_ends(struct ends *e, const struct plan *plan, bool feed_stdin)
{
	if (control_pair(e->control) < 0 || make_pipe(e->err) < 0 ||
	    make_payload_pipe(e->out, plan) < 0 ||
	    make_payload_pipe(e->error, plan) < 0)
		return -1;
	return feed_stdin ? make_payload_pipe(e->in, plan) : 0;
}

static int fail_namespaces(int err, const char *what)
{
	const char *cause = cause_namespaces(err);

	fail(err, "%s", what);
	return cause ? fail_remedy("%s", cause) : -1;
}

static int write_map(pid_t pid, const char *file, const char *text)
{
	auto_free char *path = xasprintf("/proc/%d/%s", pid, file);
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		fail(errno, "cannot write %s", path);
		if (cause_setting())
			fail_remedy("%s", cause_setting());
		return -1;
	}
	return 0;
}

int ns_map_ids(pid_t pid, const struct plan *plan)
{
	auto_free char *uids = xasprintf("%u %u 1\n", plan->uid,
					 plan->host_uid);
	auto_free char *gids = xasprintf("%u %u 1\n", plan->gid,
					 plan->host_gid);

	/* Without rights over the outer ids, the kernel wants this first. */
	if (geteuid() != 0 && write_map(pid, "setgroups", "deny") < 0)
		return -1;
	if (write_map(pid, "uid_map", uids) < 0)
		return -1;
	return write_map(pid, "gid_map", gids);
}

int ns_take_ids(const struct plan *plan)
{
	/* As an ordinary user setgroups is denied and the ids fit already. */
	if (plan->host_uid != geteuid() && setgroups(0, NULL) < 0 &&
	    errno != EPERM)
		return fail(errno, "cannot drop the supplementary groups");
	if (setresgid(plan->gid, plan->gid, plan->gid) < 0 ||
	    setresuid(plan->uid, plan->uid, plan->uid) < 0)
		return fail(errno, "cannot become uid %u gid %u inside",
			    plan->uid, plan->gid);
	return 0;
}

static void close_pair(int fds[2])
{
	cleanup_fd(&fds[0]);
	cleanup_fd(&fds[1]);
}

static void close_ends(struct ends *e)
{
	close_pair(e->control);
	close_pair(e->err);
	close_pair(e->in);
	close_pair(e->out);
	close_pair(e->error);
}

/* Moves our ends into *child. */
static void keep_our_ends(struct child *child, struct ends *e)
{
	/* Through /proc/self/fd the payload can read its own output pipe: what
	 * poll announced may be gone, and a read that waits for more would keep
	 * us from its timeout for ever. */
	fcntl(e->out[0], F_SETFL, O_NONBLOCK);
	fcntl(e->error[0], F_SETFL, O_NONBLOCK);
	child->control_fd = take_fd(&e->control[0]);
	child->err_fd = take_fd(&e->err[0]);
	child->stdin_fd = take_fd(&e->in[1]);
	child->stdout_fd = take_fd(&e->out[0]);
	child->stderr_fd = take_fd(&e->error[0]);
}

int ns_unshare(const struct plan *plan)
{
	if (unshare((int)(plan->namespaces & ~AT_CLONE)) < 0)
		return fail_namespaces(errno, "cannot make the namespaces");
	return 0;
}

pid_t ns_clone(uint64_t flags, int *pidfd, int cgroup_fd)
{
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
	};
	long pid;

	/* Born in it: not an instant without caps. */
	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd;
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return fail_namespaces(errno,
				       "cannot clone into new namespaces");
	return (pid_t)pid;
}

static int clone_child(struct child *child, struct child_context *context,
		       struct ends *e)
{
	pid_t pid = ns_clone(AT_CLONE, &child->pidfd, context->cgroup->dir_fd);

	if (pid < 0)
		return -1;
	if (pid > 0) {
		child->pid = pid;
		return 0;
	}
	/* Our ends must not live on inside: a copy of the supervisor's side of
	 * the control socket would hide the supervisor's death. */
	cleanup_fd(&e->control[0]);
	cleanup_fd(&e->err[0]);
	cleanup_fd(&e->out[0]);
	cleanup_fd(&e->error[0]);
	cleanup_fd(&e->in[1]);
	_exit(child_main(context));
}

/*
 * By its pid and the time since the boot: a process of that pid that is older
 * than this is the one that we mean.  Once it is gone, so is all that lived in
 * its namespace.  And by the time of day, which tells the boot.
 */
static int note_init(const struct workdir *wd, pid_t pid)
{
	auto_free char *value = xasprintf(
	    "%d %llu %llu", pid, (unsigned long long)now_ms(CLOCK_BOOTTIME),
	    (unsigned long long)now_ms(CLOCK_REALTIME) / 1000);

	return journal_add(wd->journal_fd, "init", value);
}

static int spawn(struct child *child, struct child_context *context,
		 struct ends *e, bool feed_stdin)
{
	if (make_ends(e, context->plan, feed_stdin) < 0)
		return -1;
	context->control_fd = e->control[1];
	context->err_fd = e->err[1];
	context->stdin_fd = e->in[0];
	context->stdout_fd = e->out[1];
	context->stderr_fd = e->error[1];
	if (clone_child(child, context, e) < 0 ||
	    ns_map_ids(child->pid, context->plan) < 0)
		return -1;
	if (control_send(e->control[0], CONTROL_GO, 0, -1) < 0)
		return fail(errno, "cannot start the sandbox's PID 1");
	return 0;
}

static int open_binds(struct mount_sources *sources, const struct plan *plan)
{
	if (mount_open_binds(sources, plan) == 0)
		return 0;
	return errno == EMFILE
		   ? fail_remedy("each of %zu places takes an open file (of "
				 "--rootfs all that is in /, /etc, /home and "
				 "/var): raise the hard limit, ulimit -Hn",
				 plan->n_mounts)
		   : -1;
}

/* A child that is gone has said why by another way: it need not take more. */
static int hand_in(int control_fd, struct control_message *message,
		   const int *fds, size_t n)
{
	if (control_send_message(control_fd, message, fds, n) == 0 ||
	    errno == EPIPE || errno == ECONNRESET)
		return 0;
	return fail(errno, "cannot hand descriptors to the sandbox's PID 1");
}

static int send_sources(int control_fd, struct mount_sources *sources)
{
	struct control_message message = { .kind = CONTROL_SOURCES };
	int fds[CONTROL_FDS];
	const int *fd;
	size_t n = 0;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && (fd = mount_source(sources, i)); i++) {
		if (*fd < 0)
			continue;
		message.places[n] = i;
		fds[n++] = *fd;
		if (n == CONTROL_FDS) {
			rc = hand_in(control_fd, &message, fds, n);
			n = 0;
		}
	}
	message.value = CONTROL_LAST |
			(sources->project.copied ? CONTROL_COPIED : 0) |
			(sources->layered ? CONTROL_LAYERED : 0);
	return rc < 0 ? rc : hand_in(control_fd, &message, fds, n);
}

/* Where the child failed first, ours is what came of it: its word counts. */
static int give_up(struct child *child)
{
	struct err_record record;

	ns_kill(child);
	if (child->err_fd >= 0 && err_receive(child->err_fd, &record) == 1) {
		err_reset();
		err_set(&record);
	}
	ns_reap(child);
	return -1;
}

int ns_spawn(struct child *child, const struct plan *plan,
	     struct cgroup *cgroup, int relay_fd, bool feed_stdin)
{
	struct child_context context = { .plan = plan,
					 .cgroup = cgroup,
					 .relay_fd = relay_fd,
					 .terminal_fd = -1 };
	struct ends ends = {
		{ -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }
	};
	int rc = spawn(child, &context, &ends, feed_stdin);

	keep_our_ends(child, &ends);
	close_ends(&ends);
	return rc < 0 ? give_up(child) : 0;
}

int ns_supply(struct child *child, const struct plan *plan,
	      const struct project_tree *project, const struct workdir *wd)
{
	struct mount_sources sources = mount_no_sources(plan);
	int rc;

	sources.work_fd = wd->mount_fd >= 0 ? wd->mount_fd : wd->work_fd;
	sources.layered = wd->layers_fd >= 0;
	sources.project = *project;
	rc = note_init(wd, child->pid);
	if (rc == 0)
		rc = open_binds(&sources, plan);
	if (rc == 0)
		rc = send_sources(child->control_fd, &sources);
	mount_close_binds(&sources);
	return rc < 0 ? give_up(child) : 0;
}

int ns_admit(struct child *child, const struct cgroup *cgroup)
{
	struct control_message message = { .kind = CONTROL_CGROUP };
	int fds[ARRAY_SIZE(cgroup->dirs)];
	size_t n = 0;

	message.value = (cgroup_is_entered(cgroup) ? CONTROL_ENTERED : 0) |
			(cgroup_counts(cgroup) ? CONTROL_COUNTED : 0) |
			(cgroup->fallback ? CONTROL_FALLBACK : 0);
	for (size_t i = 0; i < cgroup->n_dirs; i++)
		if (cgroup->dirs[i].tasks_fd >= 0)
			fds[n++] = cgroup->dirs[i].tasks_fd;
	return hand_in(child->control_fd, &message, fds, n);
}

void ns_kill(struct child *child)
{
	if (child->pidfd >= 0 && !child->reaped)
		syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
}

void ns_reap(struct child *child)
{
	if (child->pid > 0 && !child->reaped) {
		ns_kill(child);
		while (wait4(child->pid, &child->status, 0, &child->usage) <
			   0 &&
		       errno == EINTR)
			;
		child->reaped = true;
	}
	cleanup_fd(&child->pidfd);
	cleanup_fd(&child->control_fd);
	cleanup_fd(&child->err_fd);
	cleanup_fd(&child->net_fd);
	cleanup_fd(&child->stdin_fd);
	cleanup_fd(&child->stdout_fd);
	cleanup_fd(&child->stderr_fd);
	child->pidfd = child->control_fd = child->err_fd = -1;
	child->net_fd = -1;
	child->stdin_fd = child->stdout_fd = child->stderr_fd = -1;
}
