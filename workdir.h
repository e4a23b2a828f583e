/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What one run has on the host, in RUNS (0700, ours):
 *
 *	RUNID.journal	what else it has, here and elsewhere (journal.h); locked
 *			for as long as it lives; the first to be made and the
 *			last to go
 *	RUNID.work	the payload's workdir, work/ in all that follows
 *	RUNID.layers	of some projects: a folder with work/ in it and what
 *			must be of one mount with it
 *	RUNID.LOG	of a run with an archive: see workdir_logs
 *
 * No folder around all of them: to remove one can be to wait for the disk, and is
 * for a run of a few milliseconds the largest part of its end.  Everything is
 * reached from descriptors held since creation; no link that the payload made is
 * ever followed.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec.h"

struct workdir {
	char *path; /* of work/, for the user */
	char *run_id;
	/* In the names that files have beside the ones they will replace: a
	 * secret of this run, or who knows them could be there first. */
	char *tag;
	int runs_fd;    /* RUNS */
	int journal_fd; /* RUNS/RUNID.journal, locked */
	int layers_fd;  /* RUNS/RUNID.layers; -1: none */
	int work_fd;    /* work/, or the root of mount_fd */
	/* A disk of its own, to be mounted as work/, which is not in RUNS then;
	 * -1: none. */
	int mount_fd;
	bool has_logs; /* there may be some */
	uid_t uid;     /* host owner of work/ and all that the payload makes */
	gid_t gid;
};

#define WORKDIR_NONE                                                           \
	((struct workdir){ .runs_fd = -1,                                      \
			   .journal_fd = -1,                                   \
			   .layers_fd = -1,                                    \
			   .work_fd = -1,                                      \
			   .mount_fd = -1 })

/* Files of the run itself, in their order in the archive. */
#define WORKDIR_LOGS 5
extern const char *const workdir_logs[WORKDIR_LOGS];

/* RUNS, made if missing, which must be ours alone: a descriptor, or -1 by
 * fail(). */
int workdir_open_runs(const char *runs_dir);

/* All runs in RUNS but our own (or NULL): -1 with errno. */
int workdir_list(int runs_fd, const char *own_id, struct strv *ids);

/* Where work/ is; owned. */
char *workdir_place(const char *runs_dir, const char *run_id, bool layered);

/* Makes the journal, with its parents (0700), and holds it locked: there is no
 * work/ yet.  By fail(). */
int workdir_create(struct workdir *wd, const char *runs_dir, const char *run_id,
		   uid_t uid, gid_t gid);

/* Makes work/ in RUNS; by fail(). */
int workdir_make_work(struct workdir *wd);

/*
 * Makes an empty file system of `bytes` bytes, and one file for each 4 KiB of
 * them, to be work/: in memory, gone with our descriptors.  By fail().
 */
int workdir_use_disk(struct workdir *wd, uint64_t bytes);
/* Is there a disk, and no room or no file left on it? */
bool workdir_is_full(const struct workdir *wd);

/* One of workdir_logs: a descriptor, or -1 with errno.  flags: O_WRONLY, O_RDWR,
 * O_APPEND. */
int workdir_make_log(struct workdir *wd, const char *log, int flags);
/* For reading. */
int workdir_open_log(const struct workdir *wd, const char *log);
/* Removes it, if it is there. */
void workdir_drop_log(const struct workdir *wd, const char *log);

/*
 * Makes overlay/, where overlayfs works while work/ is its upper layer, with work/
 * in RUNID.layers, and lets the payload's uid pass to both; by fail().
 */
int workdir_make_scratch(struct workdir *wd);
/* The same for a git directory: git/ and git-overlay/. */
int workdir_make_git(struct workdir *wd);
/* Did the sandbox's side copy the project, since it could not be laid? */
bool workdir_was_copied(const struct workdir *wd);
/* Did it show the git directory read-only for that? */
bool workdir_git_is_fixed(const struct workdir *wd);

/*
 * Takes over what a dead run left, and its lock: 1; 0 when it lives or is gone
 * by now; -1 by fail().  work_fd is -1 where there is no workdir (any more), and
 * uid:gid are its owner's.
 */
int workdir_adopt(struct workdir *wd, const char *runs_dir, int runs_fd,
		  const char *run_id);

/*
 * Copies each input (file or tree; reflink where the file system can) to its
 * place below work/, owned by uid:gid.  Links inside a tree are copied as
 * links.  Sockets, devices and fifos are refused.  By fail().
 */
int workdir_copy_in(struct workdir *wd, const struct spec_copy *inputs,
		    size_t n);

/*
 * Copies each output (regular file or tree) to the host, each replaced
 * atomically (temporary name, fsync, rename).  Links are not followed out of
 * work/: a link as the output itself, or on the way to it, is refused.
 * What matches a pattern has a name of the payload's, so it replaces no folder, a
 * file only in a folder that was named, and is no control file (review.h).  None
 * takes the place of another.
 * The payload is dead by now.  A missing one, or a pattern that nothing matches,
 * is an error unless it is optional; the others are still copied.  By fail(),
 * which names the first.
 */
int workdir_copy_out(struct workdir *wd, const struct spec_copy *outputs,
		     size_t n);

/*
 * Adds the paths below work_fd that match, sorted: * ? [] \ within one level, no
 * link followed, hidden names only where a dot is asked for.  By fail().
 */
int workdir_glob(int work_fd, const char *pattern, struct strv *matches);

/* Into the journal, for whoever finds us killed: where outputs will go, as far
 * as it is known by now.  By fail(). */
int workdir_note_outputs(const struct workdir *wd,
			 const struct spec_copy *outputs, size_t n);
/* What a copy to this place may have left half done when it was killed.  By fail()
 * where what it had set aside cannot have its name back. */
int workdir_tidy_output(const char *to, const char *tag);

/* Deletes work/ with all in it, and no more. */
int workdir_empty(struct workdir *wd);

/*
 * Deletes all that the run has in RUNS, whatever the payload left there (mode 000,
 * any depth), by descriptors.  By fail(); what could not be removed stays, and the
 * journal with it.
 */
int workdir_remove(struct workdir *wd);

/* Closes the descriptors and drops the lock; what is there stays as it is. */
void workdir_close(struct workdir *wd);
