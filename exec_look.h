/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a process that waits in execve is about to execute, read out of it.
 * All of it is the payload's word: another thread can change the memory between
 * our reading and the kernel's, so nothing may be allowed or refused by it.
 */

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "plan.h"
#include "util.h"

#define EXEC_PATH_MAX   4096
#define EXEC_ARGS_MAX   16
#define EXEC_ARGS_BYTES 1024

enum exec_verdict {
	EXEC_ALLOWED, /* nothing that we can see will stop it */
	EXEC_DENIED,  /* it is there and cannot be executed: see reason */
	EXEC_ABSENT,  /* there is no such file, as in a search along PATH */
};

struct exec_attempt {
	enum exec_verdict verdict;
	const char *reason; /* a literal, or NULL */
	char *remedy;       /* the flag that would allow it, or NULL */
	char *path;         /* as it was given, or of the descriptor */
	char *target;       /* the same, absolute */
	char *cwd;          /* NULL: unknown */
	struct strv argv;
	bool path_cut, argv_cut;
	pid_t pid, ppid; /* inside; 0 unknown */
	pid_t outer_ppid;
	int file_fd;   /* what will be executed (O_PATH); -1 unknown */
	bool writable; /* its mount is: such a file is on no list */
	struct stat st;
	struct timespec when;
};

#define EXEC_ATTEMPT_NONE ((struct exec_attempt){ .file_fd = -1 })

/*
 * Where to look, kept from one look to the next: the root is one for all inside,
 * since no filter of ours lets anybody change it.  A process that waits for an
 * answer keeps its number, so what was read is its own if it waits still; if not,
 * all of this is to be forgotten.
 */
struct exec_place {
	int proc_fd; /* the host's /proc */
	int root_fd; /* the sandbox's; -1 not seen yet */
	int ns_fd;   /* its pid namespace; -1 not seen yet */
	bool old;    /* the kernel tells numbers by /proc only */
	pid_t parent, parent_inner;
	uint64_t parent_until; /* parent_inner holds */
	int children_fd;       /* the parent's list of them, or -1 */
};

#define EXEC_PLACE_NONE                                                        \
	((struct exec_place){                                                  \
	    .proc_fd = -1, .root_fd = -1, .ns_fd = -1, .children_fd = -1 })

void exec_place_open(struct exec_place *place);
void exec_place_close(struct exec_place *place);

/* "PID/name" in /proc. */
struct exec_entry {
	char name[48];
};

struct exec_entry exec_entry(pid_t pid, const char *name);
/* The caller's to close; -1 with errno. */
int exec_open_entry(const struct exec_place *place, pid_t pid, const char *name,
		    int flags);

/*
 * All that is gone when the process goes on; the rest can wait.
 * arguments: those of the call; execveat has the descriptor before the path.
 */
void exec_look(struct exec_attempt *attempt, struct exec_place *place,
	       pid_t pid, const uint64_t arguments[6], bool at);
/* Fills pid and outer_ppid. */
void exec_look_ids(struct exec_attempt *attempt, struct exec_place *place,
		   pid_t pid);
/* The file that the process runs, as named inside; owned, or NULL. */
char *exec_look_program(const struct exec_place *place, pid_t pid);
/* The first thread of this one's process; 0 unknown. */
pid_t exec_look_first(const struct exec_place *place, pid_t pid);
/* The number inside of a process; 0 unknown. */
pid_t exec_look_inner(struct exec_place *place, pid_t pid);
/* The same of one that is asked for often. */
pid_t exec_look_parent(struct exec_place *place, pid_t pid);
/* Judges by st and by whether its mount lets anything be executed. */
void exec_look_file(struct exec_attempt *attempt, bool noexec);
/* Judges file_fd, by st. */
void exec_look_judge(struct exec_attempt *attempt);
/* The verdict again, where there is a list of commands (exec_list.c). */
void exec_list_judge(struct exec_attempt *attempt, const struct plan *plan);
/* The flag that would put a program of the host's folders, which a list hides, on
 * it (owned); NULL: there is none at this path. */
char *exec_list_flag(const struct commands *commands, const char *path);
/* What the file is now; closes *fd where that cannot be told. */
void exec_look_state(int *fd, struct stat *st);
void exec_attempt_free(struct exec_attempt *attempt);
