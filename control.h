/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The words between the supervisor and the sandbox's PID 1: one SOCK_SEQPACKET
 * pair, small messages, most with one descriptor or none.  Its end of file means
 * that the other side is dead.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

enum control_kind {
	CONTROL_GO = 1,  /* to the child: ids are mapped, begin */
	CONTROL_SOURCES, /* to the child: what it mounts, by its `places` (see
			     mount_source); value is of enum control_sources */
	CONTROL_CGROUP, /* to the child: the `tasks` files to enter; value is of
			     enum control_cgroup */
	CONTROL_SIGNAL, /* to the child: value is a signal for the payload */
	CONTROL_KILL,   /* to the child: all in its namespace is to end */
	CONTROL_NETWORK,  /* from the child: its network namespace */
	CONTROL_TERMINAL, /* from the child: the master of its pty */
	CONTROL_LISTENER, /* from the payload: its program, O_PATH, if it is
			     there; its pid inside; last, who executes, or value
			     is why not, an errno */
	CONTROL_DISK,     /* from the disk's helper: the mount */
	CONTROL_EXITED,   /* from the child: value is the payload's wait status,
			   usage that of all that was reaped; once more
			   when what was left behind is dead */
};

enum control_sources {
	CONTROL_LAST = 1,    /* those were all */
	CONTROL_COPIED = 2,  /* the project is a copy in the workdir */
	CONTROL_LAYERED = 4, /* the workdir is where its layers are */
};

enum control_cgroup {
	CONTROL_ENTERED = 1,  /* it was not born in it */
	CONTROL_COUNTED = 2,  /* it limits processes */
	CONTROL_FALLBACK = 4, /* there is none, but what comes nearest */
};

/* Descriptors that one message can carry. */
#define CONTROL_FDS 32

struct control_message {
	uint32_t kind;
	int32_t value;
	int32_t pid;    /* LISTENER */
	uint32_t alone; /* EXITED: PID 1 has nobody left, and ends too */
	uint32_t late;  /* EXITED: it was PID 1 that ended it, in time */
	uint32_t places[CONTROL_FDS]; /* SOURCES: by descriptor */
	struct rusage usage;
};

/* Makes the pair, both close-on-exec; by fail(). */
int control_pair(int fds[2]);
/* Sends; fd is -1 or goes along.  0, or -1 with errno.  SIGNAL and KILL wait for
 * nobody (EAGAIN). */
int control_send(int socket, enum control_kind kind, int value, int fd);
int control_send_message(int socket, struct control_message *message,
			 const int *fds, size_t n);
/*
 * Receives: 1; 0 at the end of file; -1 with errno.  *fd is the descriptor that
 * came along (owned by the caller) or -1; fd may be NULL: then it is closed.
 */
int control_receive(int socket, struct control_message *message, int *fd);
/* The same with all that came along, owned by the caller. */
int control_receive_all(int socket, struct control_message *message,
			int fds[static CONTROL_FDS], size_t *n);
