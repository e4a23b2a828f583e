/* SPDX-License-Identifier: MIT */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"
#include "exec_hash.h"
#include "exec_look.h"
#include "secret.h"

/*
 * Theory of operation
 *
 *	payload's process		supervisor
 *	seccomp(NEW_LISTENER) ------->	CONTROL_LISTENER
 *	execve ---------------------->	its words are in the plan already
 *	  <----------------------------	continue
 *	... any descendant:
 *	execve ---------------------->	reads path, arguments, cwd, file
 *	  <----------------------------	continue
 *					then: event, account, hash
 *	mount, ptrace, ... ---------->	exec_refuse.c
 *	  <----------------------------	EPERM
 *
 * Nothing waits for us but an answer: what takes longer than reading comes
 * after it.  With the supervisor the listener is gone, and the kernel answers
 * for us with ENOSYS.
 */

/* compat: newer than some headers */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS _IOW('!', 4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

#ifndef AT_EXECVE_CHECK
#define AT_EXECVE_CHECK 0x10000 /* Linux 6.14 */
#endif

/* The structures of a newer kernel may be longer than those of our headers. */
union request {
	struct seccomp_notif notif;
	char room[512];
};

union answer {
	struct seccomp_notif_resp resp;
	char room[512];
};

/*
 * While PID 1 builds the sandbox there is nothing else to do.  Where the program
 * is on the host, by the mount that it is shown with; if it is another file in
 * the end, nothing is lost.
 */
static void expect_program(struct exec_recorder *r)
{
	const struct plan *plan = r->plan;
	const struct plan_mount *shown = NULL;
	auto_free char *path = NULL;

	for (size_t i = 0; i < plan->n_mounts; i++)
		if (path_under(plan->program.path, plan->mounts[i].destination))
			shown = &plan->mounts[i];
	if (shown == NULL || shown->kind != PLAN_BIND)
		return;
	path = xasprintf("%s%s", shown->source,
			 plan->program.path + strlen(shown->destination));
	exec_hash_expect(r->hashes, path);
}

void exec_open(struct exec_recorder *r, const struct plan *plan,
	       const struct strv *secrets, struct event_log *log,
	       struct outcome *outcome)
{
	*r = (struct exec_recorder){ .plan = plan,
				     .secrets = secrets,
				     .log = log,
				     .outcome = outcome,
				     .hashes = exec_hash_new(log,
							     plan->hashes_dir),
				     .listener_fd = -1,
				     .place = EXEC_PLACE_NONE,
				     .program_fd = -1 };
	expect_program(r);
}

static const struct {
	int error;
	const char *reason;
} reasons[] = {
	{ EBUSY, "an outer sandbox records them already" },
	{ EPERM, "an outer filter forbids seccomp(2) listeners" },
	{ EACCES, "an outer filter forbids seccomp(2) listeners" },
	{ ENOSYS, "an outer filter forbids seccomp(2)" },
	{ EINVAL, "the kernel has no seccomp listeners" },
	{ EOPNOTSUPP, "the profile of --seccomp refuses sendmsg" },
};

/* Linux 6.6: who asks and who answers take turns on one processor, in place of
 * waking another one up. */
static void take_turns(const struct exec_recorder *r, bool on)
{
	ioctl(r->listener_fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
	      on ? SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP : 0UL);
}

void exec_listen(struct exec_recorder *r, int listener_fd, int error, pid_t pid)
{
	const char *reason = strerror(error);

	r->listener_fd = listener_fd;
	r->first = pid;
	if (listener_fd >= 0) {
		take_turns(r, true);
		return;
	}
	/* What is not recorded need not be read either. */
	exec_hash_free(r->hashes);
	r->hashes = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].error == error)
			reason = reasons[i].reason;
	outcome_add_warning(r->outcome,
			    "commands and refused system calls are not "
			    "recorded: %s",
			    reason);
}

void exec_program(struct exec_recorder *r, int program_fd)
{
	cleanup_fd(&r->program_fd);
	r->program_fd = program_fd;
	exec_look_state(&r->program_fd, &r->program);
}

/*** The record ***/

static void write_masked(const struct exec_recorder *r, struct json_writer *e,
			 const char *key, const char *text, bool cut)
{
	auto_free char *clean = secret_mask(r->secrets, text, cut);

	json_write_string(e, key, clean);
}

static const char *const verdict_names[] = {
	[EXEC_ALLOWED] = "allowed",
	[EXEC_DENIED] = "denied",
	[EXEC_ABSENT] = "absent",
};

static void emit(struct exec_recorder *r, const struct exec_attempt *a,
		 bool first)
{
	struct json_writer *e = event_begin_at(r->log, "exec", &a->when, first);

	write_masked(r, e, "path", a->path, a->path_cut);
	json_write_open(e, "argv", '[');
	for (size_t i = 0; i < a->argv.n; i++)
		write_masked(r, e, NULL, a->argv.v[i],
			     a->argv_cut && i + 1 == a->argv.n);
	json_write_close(e, ']');
	if (a->argv_cut)
		json_write_bool(e, "argv_cut", true);
	if (a->pid)
		json_write_number(e, "pid", (uint64_t)a->pid);
	if (a->ppid)
		json_write_number(e, "ppid", (uint64_t)a->ppid);
	if (a->cwd)
		write_masked(r, e, "cwd", a->cwd, false);
	json_write_string(e, "verdict", verdict_names[a->verdict]);
	if (a->reason)
		json_write_string(e, "reason", a->reason);
	if (a->remedy)
		write_masked(r, e, "remedy", a->remedy, false);
	event_end(r->log);
}

static void emit_limit(struct exec_recorder *r, const struct timespec *when)
{
	struct json_writer *e = event_begin_at(r->log, "limit", when, false);

	json_write_string(e, "what", "exec");
	json_write_string(e, "reason", "further executions are counted only");
	event_end(r->log);
}

/* The arguments in words, as the account has them. */
static char *words(const struct exec_recorder *r, const struct exec_attempt *a)
{
	char *line = NULL;

	for (size_t i = 1; i < a->argv.n; i++) {
		auto_free char *before = line;
		auto_free char *word = secret_mask(r->secrets, a->argv.v[i],
						   a->argv_cut &&
						       i + 1 == a->argv.n);

		line = xasprintf("%s%s%s", before ? before : "",
				 before ? " " : "", word);
	}
	return line;
}

/* True: an execution of what was not executed before. */
static bool account(struct exec_recorder *r, const struct exec_attempt *a)
{
	auto_free char *path = secret_mask(
	    r->secrets, a->target ? a->target : a->path, a->path_cut);
	auto_free char *args = words(r, a);
	auto_free char *remedy =
	    a->remedy ? secret_mask(r->secrets, a->remedy, a->path_cut) : NULL;

	switch (a->verdict) {
	case EXEC_ALLOWED:
		return outcome_add_command(r->outcome, path, args);
	case EXEC_DENIED:
		r->outcome->exec_denied++;
		outcome_add_denial(r->outcome, "exec", path, a->reason, remedy);
		break;
	case EXEC_ABSENT:
		r->outcome->exec_absent++;
		break;
	}
	return false;
}

static void record(struct exec_recorder *r, const struct exec_attempt *a)
{
	bool first = account(r, a);

	/* Shells and execvp try one folder of PATH after the other. */
	if (a->verdict == EXEC_ABSENT && !r->plan->verbose)
		return;
	if (first || r->events < EXEC_EVENTS_MAX)
		emit(r, a, first);
	if (r->events == EXEC_EVENTS_MAX)
		emit_limit(r, &a->when);
	r->events++;
}

static void hash(struct exec_recorder *r, const struct exec_attempt *a)
{
	auto_free char *path = NULL;

	if (a->file_fd < 0 || a->verdict != EXEC_ALLOWED)
		return;
	path = secret_mask(r->secrets, a->target ? a->target : a->path,
			   a->path_cut);
	exec_hash_add(r->hashes, a->file_fd, &a->st, path, &a->when);
}

/* As an attempt whose words are in the plan: the process that made it shared
 * its memory with PID 1, which nobody may look into. */
static void copy_plan(struct exec_attempt *a, const struct plan *plan)
{
	size_t left = EXEC_ARGS_BYTES;

	a->path = xstrdup(plan->program.path);
	a->target = xstrdup(plan->program.path);
	a->cwd = xstrdup(plan->cwd);
	for (size_t i = 0; i < plan->program.argv.n && !a->argv_cut; i++) {
		const char *word = plan->program.argv.v[i];

		if (i == EXEC_ARGS_MAX || left < 2) {
			a->argv_cut = true;
			break;
		}
		a->argv_cut = strlen(word) >= left;
		strv_push(&a->argv, xstrndup(word, left - 1));
		left -= strlen(a->argv.v[i]);
	}
}

void exec_started(struct exec_recorder *r)
{
	struct exec_attempt a = EXEC_ATTEMPT_NONE;

	if (!r->asked || r->told)
		return;
	r->told = true;
	copy_plan(&a, r->plan);
	clock_gettime(CLOCK_REALTIME, &a.when);
	a.pid = r->first;
	a.ppid = 1;
	a.file_fd = take_fd(&r->program_fd);
	a.st = r->program;
	exec_look_judge(&a);
	/* It did run. */
	a.verdict = EXEC_ALLOWED;
	a.reason = NULL;
	record(r, &a);
	hash(r, &a);
	exec_attempt_free(&a);
}

/*** Questions and answers ***/

void exec_lose(struct exec_recorder *r)
{
	r->lost = (struct err_record){ .stage = "record", .status = 125 };
	snprintf(r->lost.message, sizeof(r->lost.message),
		 "cannot answer a system call that waits: %s; the run was "
		 "ended",
		 strerror(errno));
}

/* ENOENT: it was killed meanwhile, or a signal came before we read.  After any
 * other failure somebody would wait for ever. */
bool exec_answer(struct exec_recorder *r, uint64_t id, int error)
{
	union answer answer = { .resp = { .id = id, .error = -error } };
	int rc;

	if (error == 0)
		answer.resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	do
		rc = ioctl(r->listener_fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	while (rc < 0 && errno == EINTR);
	if (rc < 0 && errno != ENOENT)
		exec_lose(r);
	return rc == 0;
}

static void serve_first(struct exec_recorder *r,
			const struct seccomp_notif *notif)
{
	r->asked = true;
	exec_answer(r, notif->id, 0);
}

/* Whether it might be executed; no kernel executes anything then. */
static bool only_asks(const struct seccomp_notif *notif)
{
	return notif->data.nr == SYS_execveat &&
	       (notif->data.args[4] & AT_EXECVE_CHECK);
}

static void serve_exec(struct exec_recorder *r,
		       const struct seccomp_notif *notif)
{
	struct exec_attempt a = EXEC_ATTEMPT_NONE;
	bool last = r->n_later + 1 == EXEC_LATER_MAX;
	bool waited;

	if (only_asks(notif)) {
		exec_answer(r, notif->id, 0);
		return;
	}
	exec_look(&a, &r->place, (pid_t)notif->pid,
		  (const uint64_t *)notif->data.args,
		  notif->data.nr == SYS_execveat);
	/* He is not to wait behind the record of all of them. */
	if (last)
		take_turns(r, false);
	waited = exec_answer(r, notif->id, 0);
	if (last)
		take_turns(r, true);
	/* An answer that is taken after all was read: it was of who asked, who
	 * waited until then; the number did not go to another process. */
	if (!waited) {
		exec_place_close(&r->place);
		exec_attempt_free(&a);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &a.when);
	a.ppid = exec_look_parent(&r->place, a.outer_ppid);
	if (r->n_later == 0)
		r->later_until = now_ms(CLOCK_MONOTONIC) + EXEC_LATER_MS;
	r->later[r->n_later++] = a;
	if (r->n_later == EXEC_LATER_MAX)
		exec_settle(r);
}

void exec_settle(struct exec_recorder *r)
{
	if (r->n_later == 0)
		return;
	for (size_t i = 0; i < r->n_later; i++) {
		struct exec_attempt *a = &r->later[i];

		if (a->path == NULL)
			a->path = xstrdup("?");
		exec_look_judge(a);
		exec_list_judge(a, r->plan);
	}
	/* Nothing of the payload's is touched meanwhile: its file system may
	 * hang, and other runs wait for the audit log. */
	event_hold(r->log);
	for (size_t i = 0; i < r->n_later; i++)
		record(r, &r->later[i]);
	event_release(r->log);
	for (size_t i = 0; i < r->n_later; i++) {
		hash(r, &r->later[i]);
		exec_attempt_free(&r->later[i]);
	}
	r->n_later = 0;
	r->later_until = 0;
}

/*
 * What to answer: the filter's own word, run over the kernel's copy of the
 * arguments.  Whatever it said, only an execution may go on; and a socket that
 * was asked about although the filter has nothing against it.
 */
static int error_of(const struct exec_recorder *r,
		    const struct seccomp_notif *notif)
{
	uint32_t verdict = seccomp_judge(&r->plan->filter, &notif->data);
	int nr = notif->data.nr;

	if (verdict == SECCOMP_RET_USER_NOTIF &&
	    (nr == SYS_execve || nr == SYS_execveat))
		return 0;
	if ((verdict == SECCOMP_RET_ALLOW || verdict == SECCOMP_RET_LOG) &&
	    nr == SYS_socket)
		return 0;
	return verdict & SECCOMP_RET_DATA ? (int)(verdict & SECCOMP_RET_DATA)
					  : ENOSYS;
}

static bool serve_one(struct exec_recorder *r,
		      const struct seccomp_notif *notif)
{
	int error = error_of(r, notif);

	/* Whoever asks now descends from the first. */
	if (r->asked)
		exec_started(r);
	/* Most runs are one program, of which all is known. */
	if ((r->asked || error) && r->place.proc_fd < 0)
		exec_place_open(&r->place);
	if (error) {
		exec_settle(r);
		exec_refuse(r, notif, error);
		return false;
	}
	if (notif->data.nr == SYS_socket) {
		r->on_socket(r->context);
		exec_answer(r, notif->id, 0);
		return false;
	}
	if (r->asked)
		serve_exec(r, notif);
	else
		serve_first(r, notif);
	return r->lost.status == 0;
}

bool exec_serve(struct exec_recorder *r, short revents)
{
	union request request;

	/* One at a time: signals, deadlines and output have their turn between
	 * any two.  Without one in waiting the call would block. */
	if (revents & POLLIN) {
		memset(&request, 0, sizeof(request));
		if (ioctl(r->listener_fd, SECCOMP_IOCTL_NOTIF_RECV, &request) ==
		    0)
			return serve_one(r, &request.notif);
		if (errno != ENOENT && errno != EINTR)
			exec_lose(r);
		return false;
	}
	/* End of file: all who could ask are dead. */
	cleanup_fd(&r->listener_fd);
	r->listener_fd = -1;
	return false;
}

/*** Idle moments, and the end ***/

bool exec_has_work(const struct exec_recorder *r)
{
	return exec_hash_pending(r->hashes);
}

void exec_work(struct exec_recorder *r)
{
	exec_hash_step(r->hashes);
}

int exec_timeout(const struct exec_recorder *r, uint64_t until)
{
	if (exec_has_work(r))
		return 0;
	if (until == 0 || (r->later_until && r->later_until < until))
		until = r->later_until;
	return timeout_until(until);
}

void exec_close(struct exec_recorder *r)
{
	exec_settle(r);
	cleanup_fd(&r->listener_fd);
	cleanup_fd(&r->program_fd);
	exec_place_close(&r->place);
	exec_hash_free(r->hashes);
	r->listener_fd = r->program_fd = -1;
	r->hashes = NULL;
}
