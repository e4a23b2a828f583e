/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The one way to fail.  A fallible function returns 0 (or a descriptor) and
 * leaves by `return fail(...)` on error.  The first failure of a process is
 * its failure: later ones, from code that unwinds, do not replace it.
 */

struct err_record {
	char stage[32];    /* the phase or step that was running */
	char message[512]; /* "verb object: strerror", no program name */
	char
	    remedy[512]; /* what the user can do; empty when nothing is known */
	int status;      /* exit status this failure asks for: 125, 126, 127 */
};

/* Names the phase that runs from here on; `name` must be a literal. */
void err_stage(const char *name);

/*
 * Records "message: strerror(err)" (no strerror when err is 0) for the current
 * stage and returns -1, with errno set to `err`.
 */
int fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds what the user can do to the failure just recorded; returns -1. */
int fail_remedy(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Asks for another exit status (126, 127) than 125; returns -1. */
int fail_status(int status);

/* The recorded failure, or NULL. */
const struct err_record *err_get(void);
/* Takes a failure of another process for our own; keeps an earlier one. */
void err_set(const struct err_record *record);
void err_reset(void);

/* Writes the recorded failure, if any, to `fd`, whole (child and helpers). */
void err_send(int fd);
/* Reads what err_send wrote.  Returns 1 if there was one, 0 on end of file. */
int err_receive(int fd, struct err_record *record);

/* Prints "m9m-sandbox: warning: ..." on stderr, within a second or not yet. */
void warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Waits for the reader of what was not printed yet. */
void warn_rest(void);
