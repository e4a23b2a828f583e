/* SPDX-License-Identifier: MIT */
#include "workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "copy.h"
#include "err.h"
#include "journal.h"
#include "replace.h"
#include "rmtree.h"
#include "walk.h"

#define DIR_FLAGS   (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define WORK        "work"
#define SCRATCH     "overlay"
#define GIT_SCRATCH "git-overlay"
/* For how long a collector may hold an empty directory. */
#define PATIENCE_MS 2000

static int open_how(int dir_fd, const char *path, uint64_t flags,
		    uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC,
				.resolve = resolve };

	return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

/* --- create ------------------------------------------------------------- */

/*
 * Under a sticky directory such as /tmp anybody may have made RUNS before us,
 * and in one that others write to they could swap a run for another.
 */
static int check_runs(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(errno, "cannot look at %s", path);
	if (st.st_uid != geteuid())
		fail(0, "cannot keep runs in %s: it belongs to uid %u", path,
		     st.st_uid);
	else if (st.st_mode & 022)
		fail(0, "cannot keep runs in %s: others can write to it", path);
	else
		return 0;
	return fail_remedy("set XDG_STATE_HOME to a folder that is yours "
			   "alone");
}

int workdir_open_runs(const char *path)
{
	auto_fd int fd = walk_make_dirs(path, 0700);

	if (fd < 0)
		return fail_remedy("set XDG_STATE_HOME to a folder that you "
				   "can write to");
	if (check_runs(fd, path) < 0)
		return -1;
	return take_fd(&fd);
}

/*
 * Opens RUNS/RUNID and takes its lock; -1 with errno.  ENOENT, EWOULDBLOCK: it
 * is gone by now, or somebody else's.
 */
static int open_locked(int runs_fd, const char *run_id)
{
	auto_fd int fd = openat(runs_fd, run_id, DIR_FLAGS);
	struct stat st, now;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0 ||
	    fstatat(runs_fd, run_id, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	/* Who held the lock before us may have taken the directory away. */
	if (st.st_ino != now.st_ino || st.st_dev != now.st_dev) {
		errno = ENOENT;
		return -1;
	}
	return take_fd(&fd);
}

/*
 * Made, held and locked.  Between the first and the last, a collector of dead
 * runs may take it for one, and away: then once more, as soon as it is gone.
 */
static int make_run_dir(const struct workdir *wd)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	uint64_t end = 0;
	int fd;

	for (;;) {
		bool made = mkdirat(wd->runs_fd, wd->run_id, 0700) == 0;

		if (!made && (errno != EEXIST || end == 0)) {
			fail(errno, "cannot make the workdir %s", wd->path);
			return fail_remedy("set XDG_STATE_HOME to a folder "
					   "that you can write to");
		}
		fd = made ? open_locked(wd->runs_fd, wd->run_id) : -1;
		if (fd >= 0)
			return fd;
		if (made && errno != ENOENT && errno != EWOULDBLOCK) {
			fail(errno, "cannot lock the workdir %s", wd->path);
			unlinkat(wd->runs_fd, wd->run_id, AT_REMOVEDIR);
			return -1;
		}
		if (end == 0)
			end = now_ms(CLOCK_MONOTONIC) + PATIENCE_MS;
		if (now_ms(CLOCK_MONOTONIC) >= end)
			return fail(0,
				    "cannot lock the workdir %s: somebody "
				    "else holds it",
				    wd->path);
		nanosleep(&nap, NULL);
	}
}

static int fail_to_give(const struct workdir *wd, const char *name)
{
	int err = errno;

	fail(err, "cannot give %s/%s to uid %u", wd->path, name, wd->uid);
	return err == EINVAL
		   ? fail_remedy("this user namespace has no other id than "
				 "root's: start it outside, or map uid and gid "
				 "%u there too",
				 wd->uid)
		   : -1;
}

/* A directory of the payload's. */
static int make_given(const struct workdir *wd, const char *name)
{
	auto_fd int fd = -1;

	if (mkdirat(wd->run_fd, name, 0700) < 0)
		return fail(errno, "cannot make %s/%s", wd->path, name);
	fd = openat(wd->run_fd, name, DIR_FLAGS);
	if (fd < 0)
		return fail(errno, "cannot open %s/%s", wd->path, name);
	if ((wd->uid != geteuid() || wd->gid != getegid()) &&
	    fchown(fd, wd->uid, wd->gid) < 0)
		return fail_to_give(wd, name);
	return take_fd(&fd);
}

/* What a failure half way leaves. */
static void undo(struct workdir *wd)
{
	if (wd->run_fd >= 0)
		(void)rmtree_at(wd->runs_fd, wd->run_id, wd->path);
	workdir_close(wd);
}

int workdir_create(struct workdir *wd, const char *runs_dir, const char *run_id,
		   uid_t uid, gid_t gid)
{
	*wd = WORKDIR_NONE;
	wd->path = path_join(runs_dir, run_id);
	wd->run_id = xstrdup(run_id);
	wd->uid = uid;
	wd->gid = gid;
	wd->runs_fd = workdir_open_runs(runs_dir);
	if (wd->runs_fd >= 0)
		wd->run_fd = make_run_dir(wd);
	if (wd->run_fd >= 0)
		wd->journal_fd = journal_open(wd->run_fd);
	if (wd->journal_fd >= 0)
		wd->tag = replace_tag();
	if (wd->tag && journal_add(wd->journal_fd, "tag", wd->tag) == 0)
		wd->work_fd = make_given(wd, WORK);
	if (wd->work_fd >= 0)
		return 0;
	undo(wd);
	return -1;
}

/* To pass, not to list; and nobody else passes RUNS. */
static int let_pass(const struct workdir *wd)
{
	if (wd->uid != geteuid() && fchmod(wd->run_fd, 0711) < 0)
		return fail(errno, "cannot open %s to uid %u", wd->path,
			    wd->uid);
	return 0;
}

int workdir_make_scratch(struct workdir *wd)
{
	auto_fd int fd = make_given(wd, SCRATCH);

	return fd < 0 ? -1 : let_pass(wd);
}

int workdir_make_git(struct workdir *wd)
{
	auto_fd int upper = make_given(wd, "git");
	auto_fd int scratch = upper < 0 ? -1 : make_given(wd, GIT_SCRATCH);

	return scratch < 0 ? -1 : let_pass(wd);
}

static bool is_marked(const struct workdir *wd, const char *mark)
{
	struct stat st;

	return fstatat(wd->run_fd, mark, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool workdir_was_copied(const struct workdir *wd)
{
	return is_marked(wd, SCRATCH "/copied");
}

bool workdir_git_is_fixed(const struct workdir *wd)
{
	return is_marked(wd, GIT_SCRATCH "/fixed");
}

/* Whose work/ it is; without one there are our own logs at most. */
static int adopt_work(struct workdir *wd)
{
	auto_strv struct strv journal = journal_read(wd->run_fd);
	const char *tag;
	struct stat st;
	size_t at = 0;

	/* One that died before it had a tag has nothing by that name. */
	tag = journal_next(&journal, "tag", &at);
	wd->tag = xstrdup(tag ? tag : wd->run_id);
	wd->uid = geteuid();
	wd->gid = getegid();
	wd->work_fd = walk_open_dir(wd->run_fd, WORK, true, &st);
	if (wd->work_fd < 0 && errno == ENOENT)
		return 1;
	if (wd->work_fd < 0)
		return fail(errno, "cannot open %s/" WORK, wd->path);
	wd->uid = st.st_uid;
	wd->gid = st.st_gid;
	return 1;
}

int workdir_adopt(struct workdir *wd, const char *runs_dir, int runs_fd,
		  const char *run_id)
{
	*wd = WORKDIR_NONE;
	wd->run_fd = open_locked(runs_fd, run_id);
	if (wd->run_fd < 0 && (errno == ENOENT || errno == EWOULDBLOCK))
		return 0;
	if (wd->run_fd < 0)
		return fail(errno, "cannot lock %s in %s", run_id, runs_dir);
	wd->path = path_join(runs_dir, run_id);
	wd->run_id = xstrdup(run_id);
	wd->runs_fd = fcntl(runs_fd, F_DUPFD_CLOEXEC, 0);
	if (wd->runs_fd < 0)
		return fail(errno, "cannot open %s", runs_dir);
	return adopt_work(wd);
}

/* --- what goes in ------------------------------------------------------- */

static struct copy_rules rules_in(const struct workdir *wd, const char *from)
{
	struct copy_rules rules = {
		.what = from, .uid = wd->uid, .gid = wd->gid, .mask = 0777
	};
	struct stat st;

	rules.own = wd->uid != geteuid() || wd->gid != getegid();
	/* An input such as $HOME may hold the runs: not into themselves. */
	if (fstat(wd->runs_fd, &st) == 0) {
		rules.skip_device = st.st_dev;
		rules.skip_inode = st.st_ino;
	}
	return rules;
}

/* Opens work/name/..., made if missing; closes `parent_fd`. */
static int enter_made(const struct workdir *wd, int parent_fd, const char *name,
		      const struct copy_rules *rules)
{
	auto_fd int parent = parent_fd;
	auto_fd int fd = -1;
	bool made = mkdirat(parent, name, 0700) == 0;

	if (!made && errno != EEXIST)
		return fail(errno, "cannot make %s in the workdir", name);
	fd = openat(parent, name, DIR_FLAGS);
	if (fd < 0)
		return fail(errno, "cannot open %s in the workdir", name);
	if (made && rules->own && fchown(fd, wd->uid, wd->gid) < 0)
		return fail(errno, "cannot give %s to uid %u", name, wd->uid);
	return take_fd(&fd);
}

/*
 * The folder in work/ that `to` is in, and the last name of `to`.  Names are
 * taken one at a time, so that no link of an earlier input is followed.
 */
static int open_target(const struct workdir *wd, const char *to,
		       const struct copy_rules *rules, char **last)
{
	auto_free char *copy = xstrdup(to);
	auto_fd int fd = fcntl(wd->work_fd, F_DUPFD_CLOEXEC, 0);
	char *save, *name = strtok_r(copy, "/", &save);

	if (fd < 0)
		return fail(errno, "cannot open the workdir");
	while (name) {
		char *next = strtok_r(NULL, "/", &save);

		if (strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
			break;
		if (next == NULL) {
			*last = xstrdup(name);
			return take_fd(&fd);
		}
		fd = enter_made(wd, take_fd(&fd), name, rules);
		if (fd < 0)
			return -1;
		name = next;
	}
	return fail(0, "cannot copy %s to \"%s\": not a name below the workdir",
		    rules->what, to);
}

static int copy_dir_in(const struct workdir *wd, int from_fd,
		       const struct stat *st, int parent_fd, const char *name,
		       struct copy_rules *rules)
{
	auto_fd int from = from_fd;
	int to;

	if (st->st_ino == rules->skip_inode && st->st_dev == rules->skip_device)
		return fail(0, "cannot copy %s: it holds the runs themselves",
			    rules->what);
	to = enter_made(wd, fcntl(parent_fd, F_DUPFD_CLOEXEC, 0), name, rules);
	if (to < 0)
		return -1;
	return copy_tree(take_fd(&from), st, to, rules);
}

static int refuse_input(int err, const char *from, const char *why)
{
	fail(err, "cannot copy input %s%s", from, why);
	return fail_remedy("an input is a file or a folder that is there, and "
			   "that you may read");
}

/*
 * The kind is looked at before the file is opened, since to open a device can
 * be an act.  A link is followed: the user named it.
 */
static int open_input(const char *from, struct stat *st)
{
	auto_fd int held = open_how(AT_FDCWD, from, O_PATH,
				    RESOLVE_NO_MAGICLINKS);
	auto_fd int fd = -1;
	struct stat before;

	if (held < 0 || fstat(held, &before) < 0)
		return refuse_input(errno, from, "");
	if (!S_ISREG(before.st_mode) && !S_ISDIR(before.st_mode))
		return refuse_input(0, from,
				    ": neither a file nor a directory");
	fd = open_how(AT_FDCWD, from, O_RDONLY | O_NONBLOCK | O_NOCTTY,
		      RESOLVE_NO_MAGICLINKS);
	if (fd < 0 || fstat(fd, st) < 0)
		return refuse_input(errno, from, "");
	if (st->st_ino != before.st_ino || st->st_dev != before.st_dev)
		return refuse_input(0, from, ": it is being changed");
	return take_fd(&fd);
}

static int copy_one_in(const struct workdir *wd, const struct spec_copy *input)
{
	struct copy_rules rules = rules_in(wd, input->from);
	struct stat st = { 0 };
	auto_fd int from = open_input(input->from, &st);
	auto_free char *name = NULL;
	auto_fd int parent = -1;

	if (from < 0)
		return -1;
	parent = open_target(wd, input->to, &rules, &name);
	if (parent < 0 || name == NULL)
		return -1;
	if (S_ISDIR(st.st_mode))
		return copy_dir_in(wd, take_fd(&from), &st, parent, name,
				   &rules);
	return copy_file(from, &st, parent, name, &rules);
}

int workdir_copy_in(struct workdir *wd, const struct spec_copy *inputs,
		    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (copy_one_in(wd, &inputs[i]) == 0)
			continue;
		return workdir_is_full(wd)
			   ? fail_remedy("the inputs need more than --disk "
					 "allows")
			   : -1;
	}
	return 0;
}

/* --- the end ------------------------------------------------------------ */

/* Is RUNS/RUNID, are its contents, still what we made? */
static int check_same(const struct workdir *wd)
{
	const struct {
		int parent_fd, fd;
		const char *name;
	} held[] = {
		{ wd->runs_fd, wd->run_fd, wd->run_id },
		{ wd->run_fd, wd->work_fd, WORK },
	};

	/* A disk has no name there. */
	for (size_t i = 0; i < (wd->mount_fd < 0 ? 2U : 1U); i++) {
		struct stat st, now;

		if (held[i].fd < 0)
			continue;
		if (fstat(held[i].fd, &st) < 0 ||
		    fstatat(held[i].parent_fd, held[i].name, &now,
			    AT_SYMLINK_NOFOLLOW) < 0)
			return fail(errno, "cannot look at %s", wd->path);
		if (st.st_ino != now.st_ino || st.st_dev != now.st_dev)
			return fail(0, "cannot remove %s: it was replaced",
				    wd->path);
	}
	return 0;
}

/*
 * Done in our own process, as root too: nothing is read, links are not
 * followed, mounts are not crossed, and each name is taken from a descriptor
 * that leads back to ours.  The owner of work/ could not remove the directory
 * around it anyway.
 */
int workdir_empty(struct workdir *wd)
{
	if (check_same(wd) < 0 || rmtree_at(wd->run_fd, WORK, wd->path) < 0)
		return -1;
	cleanup_fd(&wd->work_fd);
	wd->work_fd = -1;
	return 0;
}

/* The journal last: what a kill leaves without one is a run to be archived. */
static int empty_run_dir(const struct workdir *wd)
{
	struct walk_reader reader;
	struct walk_name entry;
	struct stat st;
	int fd = walk_reopen_dir(wd->run_fd, true, &st), rc;

	if (fd < 0)
		return fail(errno, "cannot open %s", wd->path);
	walk_start(&reader, fd);
	while ((rc = walk_next(&reader, &entry)) == 1)
		if (strcmp(entry.name, JOURNAL) != 0 &&
		    rmtree_at(wd->run_fd, entry.name, wd->path) < 0)
			break;
	walk_end(&reader);
	if (rc < 0)
		return fail(errno, "cannot read %s", wd->path);
	return rc == 1 ? -1 : rmtree_at(wd->run_fd, JOURNAL, wd->path);
}

int workdir_remove(struct workdir *wd)
{
	if (workdir_empty(wd) < 0 || check_same(wd) < 0 ||
	    empty_run_dir(wd) < 0)
		return -1;
	return rmtree_at(wd->runs_fd, wd->run_id, wd->path);
}

void workdir_close(struct workdir *wd)
{
	cleanup_fd(&wd->journal_fd);
	cleanup_fd(&wd->mount_fd);
	cleanup_fd(&wd->work_fd);
	cleanup_fd(&wd->run_fd);
	cleanup_fd(&wd->runs_fd);
	free(wd->path);
	free(wd->run_id);
	free(wd->tag);
	*wd = WORKDIR_NONE;
}
