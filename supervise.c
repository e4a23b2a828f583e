/* SPDX-License-Identifier: MIT */
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cause.h"
#include "control.h"
#include "err.h"
#include "exec.h"
#include "output.h"
#include "sample.h"
#include "secret.h"
#include "straggler.h"
#include "stream.h"
#include "terminal.h"
#include "verdict.h"
#include "watch.h"

/*
 * Theory of operation
 *
 *	stdin  ---> IN  ---> pipe or pty of the payload
 *	stdout <--- OUT <--- pipe or pty	(tapped into stdout.log)
 *	stderr <--- ERR <--- pipe		(tapped into stderr.log)
 *
 * No descriptor of the caller's is ever inside: through /proc/self/fd a payload
 * could reopen it with rights of its own choosing.
 *
 * The run is over when all inside is dead (PID 1 is reaped: the kernel killed
 * what lived in its namespace; or PID 1 says that it has nobody left) and what
 * the payload wrote has been passed on.
 */

/* With the audit log locked, for which other runs wait. */
#define EVENTS_AT_ONCE 64
/* For PID 1 to end all others, before it is killed with them. */
#define KILL_MS        1000
/* For a reader of ours, when all is dead that was made to end. */
#define READER_MS      5000

enum stream_name { IN, OUT, ERR, STREAMS };

enum slot {
	SLOT_SIGNAL,
	SLOT_ERR,
	SLOT_CONTROL,
	SLOT_PID,
	SLOT_RELAY,
	SLOT_EVENTS,
	SLOT_USAGE,
	SLOT_EXEC, /* served first, apart from the others */
	SLOT_STREAMS,
	SLOT_SLOTS = SLOT_STREAMS + 2 * STREAMS,
};

struct loop {
	const struct supervision *run;
	struct outcome *outcome;
	struct stream streams[STREAMS];
	struct output output;
	struct terminal terminal;
	struct exec_recorder exec;
	struct watch watch;
	struct usage usage;
	struct sampler sampler;
	struct straggler straggler;
	int master_fd; /* of the payload's terminal; -1 none */
	bool relay_gone;
	bool network_wanted; /* a socket, where nothing is allowed */
	struct verdict verdict;
	uint64_t deadline; /* of the timeout; 0 none */
	uint64_t kill_at;  /* end of grace, of a reader's too; 0 none */
	uint64_t pid1_at;  /* PID 1's, which was told to kill; 0 none */
};

/*** The streams ***/

static void tap_output(void *context, const struct stream *stream,
		       const char *bytes, size_t len)
{
	struct loop *l = context;

	output_take(&l->output, stream == &l->streams[ERR], bytes, len);
}

static void open_output(struct loop *l, enum stream_name name, int from_fd,
			int to_fd)
{
	struct stream *stream = &l->streams[name];

	stream_open(stream, from_fd, to_fd);
	stream->owns_from = true;
	stream_share(stream);
	stream->tap = tap_output;
	stream->context = l;
}

static void open_streams(struct loop *l)
{
	struct child *child = l->run->child;
	const char *prompt = l->run->plan->prompt;

	stream_open(&l->streams[IN], prompt ? -1 : STDIN_FILENO,
		    take_fd(&child->stdin_fd));
	l->streams[IN].owns_to = true;
	open_output(l, OUT, take_fd(&child->stdout_fd), STDOUT_FILENO);
	open_output(l, ERR, take_fd(&child->stderr_fd), STDERR_FILENO);
	/* With a terminal of its own, what leads inside comes later: nothing
	 * is read from the caller's until it can be passed on. */
	if (l->streams[IN].to_fd < 0 || l->run->plan->pty)
		l->streams[IN].from_fd = -1;
	else
		fcntl(l->streams[IN].to_fd, F_SETFL, O_NONBLOCK);
	if (prompt)
		stream_feed(&l->streams[IN], prompt, strlen(prompt));
}

/* The payload's terminal arrived: both directions go through it. */
static void use_terminal(struct loop *l, int master)
{
	l->master_fd = master;
	if (terminal_start(&l->terminal, master) < 0)
		outcome_add_warning(l->outcome, "%s", err_get()->message);
	stream_close(&l->streams[IN]);
	stream_open(&l->streams[IN], STDIN_FILENO, master);
	/* The pipe in its place has no writer: its end may be seen already. */
	stream_close(&l->streams[OUT]);
	open_output(l, OUT, fcntl(master, F_DUPFD_CLOEXEC, 3), STDOUT_FILENO);
}

/*** Ends ***/

/*
 * Who is killed with PID 1 is in nobody's figures, so that PID 1 is asked first,
 * which reaps.  Before the payload runs, it does not listen.
 */
static void kill_all(struct loop *l)
{
	straggler_begin(&l->straggler);
	l->kill_at = 0;
	if (l->verdict.killed)
		return;
	l->verdict.killed = true;
	if (l->verdict.started &&
	    control_send(l->run->child->control_fd, CONTROL_KILL, 0, -1) == 0)
		l->pid1_at = now_ms(CLOCK_MONOTONIC) + KILL_MS;
	else
		ns_kill(l->run->child);
}

static void signal_payload(struct loop *l, int sig)
{
	l->verdict.signal_sent = sig;
	if (control_send(l->run->child->control_fd, CONTROL_SIGNAL, sig, -1) <
	    0)
		kill_all(l);
}

static void start_grace(struct loop *l)
{
	if (l->kill_at == 0)
		l->kill_at = now_ms(CLOCK_MONOTONIC) + l->run->plan->grace_ms;
}

static void fail_run(struct loop *l, const struct err_record *error)
{
	if (!l->verdict.failed)
		l->outcome->error = *error;
	l->verdict.failed = true;
	kill_all(l);
}

/* Does nobody live inside any more, PID 1 apart? */
static bool all_dead(const struct loop *l)
{
	return l->run->child->reaped || l->run->child->alone;
}

static void forsake_readers(struct loop *l)
{
	l->kill_at = 0;
	stream_forsake(&l->streams[OUT]);
	stream_forsake(&l->streams[ERR]);
}

static void note_timeout(struct loop *l)
{
	struct json_writer *e = event_begin(l->run->log, "timeout");

	l->deadline = 0;
	l->verdict.timed_out = true;
	json_write_number(e, "after_ms", l->run->plan->timeout_ms);
	event_end(l->run->log);
}

static void check_deadlines(struct loop *l)
{
	uint64_t now = now_ms(CLOCK_MONOTONIC);

	if (l->deadline && now >= l->deadline) {
		note_timeout(l);
		signal_payload(l, l->run->plan->stop_signal);
		start_grace(l);
	}
	if (l->pid1_at && now >= l->pid1_at) {
		l->pid1_at = 0;
		ns_kill(l->run->child);
	}
	if (l->kill_at && now >= l->kill_at && all_dead(l))
		forsake_readers(l);
	else if (l->kill_at && now >= l->kill_at)
		kill_all(l);
}

/* When the first of these is due; 0 none is. */
static uint64_t next_due(const struct loop *l)
{
	const uint64_t times[] = { l->deadline,       l->kill_at,
				   l->pid1_at,        l->watch.next,
				   l->straggler.next, l->sampler.next };
	uint64_t next = 0;

	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		if (times[i] && (next == 0 || times[i] < next))
			next = times[i];
	return next;
}

/* 0: something is due. */
static int next_timeout(const struct loop *l)
{
	return exec_timeout(&l->exec, next_due(l));
}

/* They are: no time matters any more, and nobody reads.  Only, whoever had it
 * end is not to wait for a reader that takes nothing. */
static void stop_clocks(struct loop *l)
{
	bool was_ended = l->verdict.timed_out || l->verdict.killed ||
			 l->kill_at;

	l->deadline = l->pid1_at = l->straggler.next = l->sampler.next = 0;
	l->kill_at = was_ended ? now_ms(CLOCK_MONOTONIC) + READER_MS : 0;
	stream_close(&l->streams[IN]);
}

/*** What the descriptors say ***/

static void on_signal(struct loop *l)
{
	struct signalfd_siginfo info;

	while (read(l->run->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		int sig = (int)info.ssi_signo;

		if (sig == SIGWINCH) {
			terminal_resize(l->master_fd);
			continue;
		}
		/* All is dead already, only a reader of ours is slow: leave. */
		if (all_dead(l)) {
			for (int i = 0; i < STREAMS; i++)
				stream_close(&l->streams[i]);
			continue;
		}
		signal_payload(l, sig);
		/* TERM and HUP mean the end; INT and QUIT are the payload's to
		 * read as it likes. */
		if (sig == SIGTERM || sig == SIGHUP)
			start_grace(l);
	}
}

static void on_err(struct loop *l)
{
	struct child *child = l->run->child;
	struct err_record record;

	if (err_receive(child->err_fd, &record)) {
		cause_add(&record);
		fail_run(l, &record);
	} else if (!l->verdict.failed) {
		l->verdict.started = true;
		exec_started(&l->exec);
	}
	cleanup_fd(&child->err_fd);
	child->err_fd = -1;
}

/*
 * When the payload was the last one alive, there is nothing left to wait for:
 * the kernel takes PID 1 and its mounts apart while we go on.
 */
static void on_exited(struct loop *l, const struct control_message *end)
{
	struct child *child = l->run->child;

	l->verdict.have_status = true;
	l->verdict.status = end->value;
	if (end->late && !l->verdict.timed_out)
		note_timeout(l);
	if (child->err_fd >= 0)
		on_err(l);
	if (!end->alone) {
		straggler_begin(&l->straggler);
		return;
	}
	child->alone = true;
	child->usage = end->usage;
	stop_clocks(l);
}

/* The listener is the last, the program the first. */
static void on_listener(struct loop *l, const struct control_message *m,
			int *fds, size_t n)
{
	int listener_fd = m->value == 0 && n > 0 ? take_fd(&fds[--n]) : -1;

	if (n > 0)
		exec_program(&l->exec, take_fd(&fds[0]));
	exec_listen(&l->exec, listener_fd, m->value, m->pid);
}

static void on_control(struct loop *l)
{
	struct child *child = l->run->child;
	struct control_message message;
	int fds[CONTROL_FDS];
	size_t n;

	if (control_receive_all(child->control_fd, &message, fds, &n) != 1) {
		cleanup_fd(&child->control_fd);
		child->control_fd = -1;
		return;
	}
	if (message.kind == CONTROL_EXITED) {
		on_exited(l, &message);
	} else if (message.kind == CONTROL_LISTENER) {
		on_listener(l, &message, fds, n);
	} else if (n > 0 && message.kind == CONTROL_TERMINAL) {
		use_terminal(l, take_fd(&fds[0]));
	} else if (n > 0 && message.kind == CONTROL_NETWORK &&
		   !l->verdict.started) {
		cleanup_fd(&child->net_fd);
		child->net_fd = take_fd(&fds[0]);
	}
	for (size_t i = 0; i < n; i++)
		cleanup_fd(&fds[i]);
}

static void on_relay(struct loop *l)
{
	static const struct err_record died = {
		.stage = "relay",
		.message = "the network relay died; the run was ended",
		.status = 125,
	};
	struct relay *relay = l->run->relay;
	struct net_event event;
	int rc = relay_read_event(relay, &event), n = 0;

	/* All that wait, with the audit log locked once for them. */
	if (rc == 1)
		event_hold(l->run->log);
	while (rc == 1) {
		secret_mask_net(l->run->secrets, &event);
		event_emit_net(l->run->log, &event,
			       outcome_add_net(l->outcome, &event));
		rc = ++n < EVENTS_AT_ONCE ? relay_read_event(relay, &event) : 0;
	}
	event_release(l->run->log);
	if (rc < 0) {
		l->relay_gone = true;
		fail_run(l, &died);
	}
}

/*
 * Somebody wants a socket where nothing is allowed.  Without a relay the policy
 * is the same, only that nobody sees what is tried.
 */
static void on_socket(void *context)
{
	struct loop *l = context;
	struct child *child = l->run->child;

	if (l->network_wanted)
		return;
	l->network_wanted = true;
	if (child->net_fd < 0)
		fail(0, "its namespace could not be opened");
	if (child->net_fd < 0 ||
	    relay_start_late(l->run->relay, &l->run->plan->net, child->net_fd) <
		0) {
		outcome_add_warning(
		    l->outcome, "attempts at the network are not recorded: %s",
		    err_get()->message);
		err_reset();
		relay_close(l->run->relay);
	}
	cleanup_fd(&child->net_fd);
	child->net_fd = -1;
}

/* PID 1 is dead, and so is all that lived in its namespace. */
static void on_pid(struct loop *l)
{
	struct child *child = l->run->child;

	/* Its last words may still wait. */
	while (child->control_fd >= 0)
		on_control(l);
	if (child->err_fd >= 0)
		on_err(l);
	if (wait4(child->pid, &child->status, WNOHANG, &child->usage) ==
	    child->pid)
		child->reaped = true;
	stop_clocks(l);
}

/* The reader of the events has room again for what it was slow on. */
static void on_events(struct loop *l)
{
	event_flush(l->run->log);
}

static void fail_to_watch(struct loop *l)
{
	fail_run(l, err_get());
	err_reset();
}

/* Samples one can do without; not the cap that is kept by looking. */
static void on_usage(struct loop *l)
{
	struct usage_answer answer;

	if (usage_take(&l->usage, &answer) < 0) {
		usage_close(&l->usage);
		if (l->run->cgroup->fallback)
			fail_to_watch(l);
		err_reset();
		return;
	}
	watch_take(&l->watch, &answer);
	sampler_take(&l->sampler, &answer);
	if (l->watch.over)
		kill_all(l);
}

static void (*const handlers[])(struct loop *) = {
	[SLOT_SIGNAL] = on_signal,   [SLOT_ERR] = on_err,
	[SLOT_CONTROL] = on_control, [SLOT_PID] = on_pid,
	[SLOT_RELAY] = on_relay,     [SLOT_EVENTS] = on_events,
	[SLOT_USAGE] = on_usage,
};

static bool is_over(const struct loop *l)
{
	return all_dead(l) && stream_done(&l->streams[OUT]) &&
	       stream_done(&l->streams[ERR]);
}

static void watch(const struct loop *l, struct pollfd fds[static SLOT_SLOTS])
{
	const struct child *child = l->run->child;
	const struct event_log *log = l->run->log;
	bool relay_over = all_dead(l) || l->relay_gone;
	const struct pollfd slots[SLOT_STREAMS] = {
		[SLOT_SIGNAL] = { l->run->signal_fd, POLLIN, 0 },
		[SLOT_ERR] = { child->err_fd, POLLIN, 0 },
		[SLOT_CONTROL] = { child->control_fd, POLLIN, 0 },
		[SLOT_PID] = { child->reaped ? -1 : child->pidfd, POLLIN, 0 },
		[SLOT_RELAY] = { relay_over ? -1 : l->run->relay->event_fd,
				 POLLIN, 0 },
		[SLOT_EVENTS] = { log->n_backlog ? log->user_fd : -1, POLLOUT,
				  0 },
		[SLOT_USAGE] = { all_dead(l) ? -1 : l->usage.fd, POLLIN, 0 },
		[SLOT_EXEC] = { l->exec.listener_fd, POLLIN, 0 },
	};

	memcpy(fds, slots, sizeof(slots));
	for (int i = 0; i < STREAMS; i++)
		stream_wants(&l->streams[i], &fds[SLOT_STREAMS + 2 * i]);
}

static bool is_ready(const struct pollfd *pfd)
{
	return pfd->fd >= 0 && pfd->revents;
}

/*
 * Until the payload runs, the user waits for PID 1.  It may be behind us on this
 * processor, and a poll that does not wait would not let it pass.
 */
static void work_aside(struct loop *l)
{
	if (!l->verdict.started)
		sched_yield();
	exec_work(&l->exec);
}

/* What was executed came before, and before what is due by the clock. */
static void serve_others(struct loop *l, struct pollfd fds[static SLOT_SLOTS])
{
	exec_settle(&l->exec);
	for (int i = 0; i < STREAMS; i++)
		stream_move(&l->streams[i], &fds[SLOT_STREAMS + 2 * i]);
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (is_ready(&fds[i]))
			handlers[i](l);
}

/* A process waits for each of these answers.  Was one of them all that there is
 * to do?  Then the next one may be as well. */
static bool serve_executions(struct loop *l,
			     struct pollfd fds[static SLOT_SLOTS], int n,
			     bool again)
{
	struct pollfd *asks = &fds[SLOT_EXEC];
	bool alone;

	if (is_ready(asks))
		exec_serve(&l->exec, asks->revents);
	alone = n == 1 && is_ready(asks) && next_timeout(l) != 0;
	if (alone && again) {
		asks->fd = -1;
		exec_serve_alone(&l->exec, fds, SLOT_SLOTS, next_due(l));
		alone = next_timeout(l) != 0;
	}
	if (l->exec.lost.status)
		fail_run(l, &l->exec.lost);
	return alone;
}

static void run_loop(struct loop *l)
{
	struct pollfd fds[SLOT_SLOTS];
	bool alone = false;
	int n;

	while (!is_over(l)) {
		watch(l, fds);
		n = poll(fds, SLOT_SLOTS, next_timeout(l));
		if (n < 0 && errno != EINTR)
			kill_all(l);
		alone = serve_executions(l, fds, n, alone);
		if (!alone)
			serve_others(l, fds);
		/* What nobody waits for has the moments that nobody needs. */
		if (fds[SLOT_EXEC].revents == 0 && exec_has_work(&l->exec))
			work_aside(l);
		if (watch_look(&l->watch) < 0)
			fail_to_watch(l);
		sampler_look(&l->sampler);
		straggler_look(&l->straggler, l->run, l->outcome);
		check_deadlines(l);
	}
}

void supervise(const struct supervision *run, struct outcome *outcome)
{
	struct loop l = {
		.run = run,
		.outcome = outcome,
		.master_fd = -1,
		.usage = USAGE_NONE,
	};

	if (run->plan->timeout_ms)
		l.deadline = now_ms(CLOCK_MONOTONIC) + run->plan->timeout_ms;
	exec_open(&l.exec, run->plan, run->secrets, run->log, outcome);
	l.exec.on_socket = on_socket;
	l.exec.context = &l;
	watch_open(&l.watch, run, outcome, &l.usage);
	sampler_open(&l.sampler, run, &l.usage);
	output_open(&l.output, run, outcome);
	open_streams(&l);
	run_loop(&l);
	usage_close(&l.usage);
	exec_close(&l.exec);
	terminal_restore(&l.terminal);
	for (int i = 0; i < STREAMS; i++)
		stream_close(&l.streams[i]);
	cleanup_fd(&l.master_fd);
	l.verdict.oom = l.watch.over;
	verdict_reach(&l.verdict, outcome);
	verdict_figures(&run->child->usage, &l.streams[OUT], &l.streams[ERR],
			outcome);
	output_close(&l.output);
}
