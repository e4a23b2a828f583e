/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The record of what was executed.  Observation, never enforcement: every call
 * goes on to the kernel, which decides.  A payload that means to can show one
 * name and execute another (it owns the memory that both of us read, and can
 * make a file between two looks); it cannot make the call uncounted.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "event.h"
#include "outcome.h"
#include "plan.h"

/* Lines that executions may add to the logs of one run, which lie outside its
 * caps; what goes beyond is counted only. */
#define EXEC_EVENTS_MAX 200000

struct exec_hashes;

struct exec_recorder {
	const struct plan *plan;
	const struct strv *secrets; /* masked wherever they appear */
	struct event_log *log;
	struct outcome *outcome;
	struct exec_hashes *hashes;
	int listener_fd; /* -1: nothing comes, or nothing comes any more */
	int program_fd;  /* the payload's own program (O_PATH), or -1 */
	pid_t first;     /* inside; -1: it asked, and has not started yet */
	bool asked;
	bool told;
	uint64_t events;
};

/* The payload's side, between the last step of its set-up and its filter: takes
 * the recorder's filter on and hands its listener over.  By fail() when the
 * supervisor is gone; a kernel that will not is no failure. */
int exec_install(int control_fd, const char *program);

void exec_open(struct exec_recorder *recorder, const struct plan *plan,
	       const struct strv *secrets, struct event_log *log,
	       struct outcome *outcome);
/* What exec_install sent: takes the descriptor over; error when it has none. */
void exec_listen(struct exec_recorder *recorder, int listener_fd, int error);
void exec_program(struct exec_recorder *recorder, int program_fd);
/* Answers who waits, a bounded number of them. */
void exec_serve(struct exec_recorder *recorder);
/* The payload's own execve succeeded. */
void exec_started(struct exec_recorder *recorder);
/* Is there work for an idle moment?  Does a piece of it. */
bool exec_has_work(const struct exec_recorder *recorder);
void exec_work(struct exec_recorder *recorder);
void exec_close(struct exec_recorder *recorder);
