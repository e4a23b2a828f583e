/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The audit log: the events of all runs, each line chained to the one before.
 *
 *	{"prev":"<SHA-256 of the line before, without its newline>","ts":...}
 *
 * The first line of a file says "begins":true; its "prev" is the last hash of
 * the file that stood in its place before (rotation), or 64 zeros.  FILE.head
 * holds the hash of the last line and the size up to its end: it is the lock of
 * all writers, it carries the chain over a rotation, and it tells of lines that
 * were cut off.  Whoever may write both files can make a new chain: against
 * that, keep a hash elsewhere (the result of each run has one).
 *
 * When audit_append returns the kernel has the line: it outlives any process,
 * ours included, but not a power cut; a sync for each line would make the
 * payload as slow as the disk.
 */

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "sha256.h"

/* What a line has beyond its event's own. */
#define AUDIT_PREFIX_MAX 96

/* Where the next line goes. */
struct audit_place {
	bool locked;
	bool written; /* and the head does not know of it */
	bool torn;    /* half a line stands there */
	char prev[SHA256_HEX];
	off_t size;
};

struct audit {
	char *path; /* NULL: there is none */
	int fd;
	int head_fd;
	dev_t dev; /* of fd: a rotation puts another file in its place */
	ino_t ino;
	char hash[SHA256_HEX]; /* of the last line written here; "" none */
	off_t size;            /* up to its end; 0: others may have written */
	bool impatient;        /* the lock could not be had last time */
	struct audit_place held;
};

#define AUDIT_NONE ((struct audit){ .fd = -1, .head_fd = -1 })

/* The folder is made (0700; root: 0750) if missing.  By fail(). */
int audit_open(struct audit *audit, const char *path);
/* One object, no newline.  0, or -1 with errno: no line, or half a line. */
int audit_append(struct audit *audit, const char *json);
/*
 * Around a few lines that are there at once: the lock is taken and the head
 * written once for all of them; each line is written when it is appended, as
 * ever.  Everybody else waits until the release, so nothing may be waited for
 * in between.  Who dies before it leaves lines that the next writer finds.
 */
void audit_hold(struct audit *audit);
void audit_release(struct audit *audit);
void audit_close(struct audit *audit);

/*
 * Checks a whole file and tells on `out` what it found.  0: unaltered as far as
 * the file can prove; 1: not; -1 by fail().
 */
int audit_verify(const char *path, FILE *out);

/* What audit.c and audit_verify.c know of FILE.head. */
struct audit_head {
	char hash[SHA256_HEX];
	unsigned long long size; /* of the log up to the end of that line */
};
/* "HASH SIZE\n"; hash is all zeros when there is no such thing. */
void audit_head_read(int head_fd, struct audit_head *head);
/* A stopped process that holds the lock stops nobody for long: false then. */
bool audit_lock(int head_fd, unsigned int patience_ms);
