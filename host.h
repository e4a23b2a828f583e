/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Facts about the host that a plan depends on, read once.  Tests hand fixed
 * ones to plan_make instead.
 */

#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/types.h>

struct host {
	uid_t uid; /* the caller's */
	gid_t gid;
	char *root;        /* "/"; a fixture tree in tests */
	char *state_dir;   /* .../m9m-sandbox: runs/, artifacts/, looks/ */
	char *audit_path;  /* .../audit.jsonl */
	char *run_id;      /* sorts by time, unique */
	uid_t payload_uid; /* host id that the payload will have */
	gid_t payload_gid;
	bool cores_leave; /* a crash inside reaches the host's core handler */
	int landlock;     /* version of the interface; 0: none to build on */
	bool stdin_tty;   /* see host_has_terminal() */
	bool stdout_tty;
	struct winsize window; /* of the terminal, if there is one */
	char **environ;        /* borrowed */
};

/*
 * Does our file lend the caller rights that he does not have (setuid, setgid,
 * capabilities)?  All that he asks for would be done with them.
 */
bool host_lends_rights(void);

/* Limits the core dumps of this process and its children, too: see host.c.  By
 * fail() (no home for the state directory). */
int host_read(struct host *host);
void host_free(struct host *host);
/* Standard input is a terminal that we may read.  A job in the background may
 * not, and to set the terminal's mode would stop the whole run. */
bool host_has_terminal(void);
/* Is there anything to feed?  /dev/null has an equal inside. */
bool host_has_input(void);
/* Value in host->environ, or NULL. */
const char *host_getenv(const struct host *host, const char *name);
