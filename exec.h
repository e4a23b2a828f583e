/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The record of what was executed, and of which system calls were refused.
 *
 * Executions: observation, never enforcement.  Every one goes on to the kernel,
 * which decides.  A payload that means to can show one name and execute another
 * (it owns the memory that both of us read, and can make a file between two
 * looks); it cannot make the call uncounted.
 *
 * Refusals: the filter refuses, by asking.  There is one answer that lets a call
 * go on, and it is given to execve and execveat alone; without us the kernel
 * answers ENOSYS.
 */

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "event.h"
#include "exec_look.h"
#include "outcome.h"
#include "plan.h"
#include "seccomp.h"

/* Lines that executions may add to the logs of one run, which lie outside its
 * caps; what goes beyond is counted only. */
#define EXEC_EVENTS_MAX   200000
/* The same for one system call that is refused. */
#define EXEC_REFUSALS_MAX 16

/* Executions that are recorded together: the next one need not wait for the
 * record of the last, and the audit log is locked once for all.  Of a run whose
 * supervisor is killed so many at most are not told, of the last so many ms. */
#define EXEC_LATER_MAX 16
#define EXEC_LATER_MS  10

struct exec_hashes;

/* How often each call was refused; what finds no place is not told. */
struct exec_refusals {
	struct {
		int nr;
		uint64_t count;
	} calls[128];
	size_t n;
};

struct exec_recorder {
	const struct plan *plan;
	const struct strv *secrets; /* masked wherever they appear */
	struct event_log *log;
	struct outcome *outcome;
	struct exec_hashes *hashes;
	struct exec_place place;
	int listener_fd;     /* -1: nothing comes, or nothing comes any more */
	int program_fd;      /* the payload's own program (O_PATH), or -1 */
	struct stat program; /* as it was then */
	pid_t first;         /* the payload, inside */
	bool asked;
	bool told;
	struct err_record lost; /* an answer; with a status when it is set */
	uint64_t events;
	/* Answered, and not recorded yet. */
	struct exec_attempt later[EXEC_LATER_MAX];
	size_t n_later;
	uint64_t later_until; /* monotonic ms: then they are due; 0 none are */
	struct exec_refusals refusals;
	/* Somebody inside wants a socket, and waits for this to return. */
	void (*on_socket)(void *context);
	void *context;
};

/* The payload's side, as the last step of its set-up: takes the filter on and
 * hands its listener over.  By fail(); a kernel without listeners is no
 * failure, the filter then refuses by itself. */
int exec_install(int control_fd, const struct plan *plan);

void exec_open(struct exec_recorder *recorder, const struct plan *plan,
	       const struct strv *secrets, struct event_log *log,
	       struct outcome *outcome);
/* What exec_install sent: takes the descriptor over; error when it has none.  Of
 * the payload, pid is its number inside. */
void exec_listen(struct exec_recorder *recorder, int listener_fd, int error,
		 pid_t pid);
void exec_program(struct exec_recorder *recorder, int program_fd);
/* Answers one who waits; `revents` is what poll said of listener_fd.  When
 * `lost` is set somebody waits for ever.  Was it an execution? */
bool exec_serve(struct exec_recorder *recorder, short revents);
/* The same again and again, for less, while nothing else happens: until one of
 * `others` is ready, `until` has come (monotonic ms; 0: never), or there may be
 * other descriptors to wait for (exec_alone.c). */
void exec_serve_alone(struct exec_recorder *recorder,
		      const struct pollfd *others, size_t n, uint64_t until);
/* Records what was answered: due before any other event, which came after. */
void exec_settle(struct exec_recorder *recorder);
/* The payload's own execve succeeded. */
void exec_started(struct exec_recorder *recorder);
/* Is there work for an idle moment?  Does a piece of it. */
bool exec_has_work(const struct exec_recorder *recorder);
/* Milliseconds from now, as poll takes them, to `until` (0: never) or when there
 * is something to do here. */
int exec_timeout(const struct exec_recorder *recorder, uint64_t until);
void exec_work(struct exec_recorder *recorder);
/* A call that the filter refuses, answered and recorded (exec_refuse.c). */
void exec_refuse(struct exec_recorder *recorder,
		 const struct seccomp_notif *notif, int error);
/* The answer: `error`, or 0 to let the call go on.  Was somebody waiting for it
 * still? */
bool exec_answer(struct exec_recorder *recorder, uint64_t id, int error);
/* It could not be given, errno says why, and he waits. */
void exec_lose(struct exec_recorder *recorder);
void exec_close(struct exec_recorder *recorder);
