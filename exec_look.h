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

#include "command.h"
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
	int file_fd; /* what will be executed (O_PATH); -1 unknown */
	struct stat st;
};

#define EXEC_ATTEMPT_NONE ((struct exec_attempt){ .file_fd = -1 })

/*
 * /proc/PID of a process or thread; -1 with errno.  What is read through it is
 * of that process or fails: it never becomes another one's.
 */
int exec_look_open(pid_t pid);
/*
 * All that is gone when the process goes on; the rest can wait.
 * arguments: those of the call; execveat has the descriptor before the path.
 */
void exec_look(struct exec_attempt *attempt, int proc_fd, pid_t pid,
	       const uint64_t arguments[6], bool at);
/* Fills pid and outer_ppid. */
void exec_look_ids(struct exec_attempt *attempt, int proc_fd);
/* The file that the process runs, as named inside; owned, or NULL. */
char *exec_look_program(int proc_fd);
/* The number inside of a process; 0 unknown. */
pid_t exec_look_inner(pid_t pid);
/* Judges file_fd and fills st. */
void exec_look_judge(struct exec_attempt *attempt);
/* The verdict again, where there is a list of commands (exec_list.c). */
void exec_list_judge(struct exec_attempt *attempt,
		     const struct commands *commands, const char *workdir);
void exec_attempt_free(struct exec_attempt *attempt);
