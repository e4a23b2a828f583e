/* SPDX-License-Identifier: MIT */
#include "workdir.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cause.h"
#include "err.h"
#include "journal.h"
#include "replace.h"
#include "rmtree.h"
#include "walk.h"

#define DIR_FLAGS   (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define WORK        "work"
#define LAYERS      "layers"
#define JOURNAL     "journal"
#define SCRATCH     "overlay"
#define GIT_SCRATCH "git-overlay"
/* For how long a collector may hold an empty journal. */
#define PATIENCE_MS 2000

const char *const workdir_logs[WORKDIR_LOGS] = { "events.jsonl", "stdout.log",
						 "stderr.log", "changes.json",
						 "changes.patch" };

/*** Names ***/

/* In RUNS. */
struct name {
	char s[64];
};

static struct name name_of(const char *run_id, const char *part)
{
	struct name name;

	snprintf(name.s, sizeof(name.s), "%s.%s", run_id, part);
	return name;
}

int workdir_make_log(struct workdir *wd, const char *log, int flags)
{
	wd->has_logs = true;
	return openat(wd->runs_fd, name_of(wd->run_id, log).s,
		      flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int workdir_open_log(const struct workdir *wd, const char *log)
{
	return openat(wd->runs_fd, name_of(wd->run_id, log).s,
		      O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

void workdir_drop_log(const struct workdir *wd, const char *log)
{
	(void)unlinkat(wd->runs_fd, name_of(wd->run_id, log).s, 0);
}

/* Where work/ is. */
static int work_parent(const struct workdir *wd)
{
	return wd->layers_fd >= 0 ? wd->layers_fd : wd->runs_fd;
}

static struct name work_name(const struct workdir *wd)
{
	const struct name inner = { WORK };

	return wd->layers_fd >= 0 ? inner : name_of(wd->run_id, WORK);
}

char *workdir_place(const char *runs_dir, const char *run_id, bool layered)
{
	return xasprintf("%s/%s%s", runs_dir, run_id,
			 layered ? "." LAYERS "/" WORK : "." WORK);
}

/* 20260102T030405Z-0123abcd: what we make, and nothing else, is ours. */
static bool is_run_id(const char *name, size_t len)
{
	static const char form[] = "ddddddddTddddddZ-xxxxxxxx";

	if (len != strlen(form))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (form[i] == 'd'   ? !isdigit(c)
		    : form[i] == 'x' ? !isxdigit(c)
				     : c != (unsigned char)form[i])
			return false;
	}
	return true;
}

static bool is_part(const char *part)
{
	return strcmp(part, JOURNAL) == 0 || strcmp(part, WORK) == 0 ||
	       strcmp(part, LAYERS) == 0;
}

/* Each has its journal and its workdir here. */
static void drop_doubles(struct strv *ids)
{
	size_t n = 0;

	strv_sort(ids);
	for (size_t i = 0; i < ids->n; i++)
		if (n > 0 && strcmp(ids->v[i], ids->v[n - 1]) == 0)
			free(ids->v[i]);
		else
			ids->v[n++] = ids->v[i];
	ids->n = n;
}

int workdir_list(int runs_fd, const char *own_id, struct strv *ids)
{
	struct walk_reader reader;
	struct walk_name entry;
	int fd = openat(runs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -1;
	walk_start(&reader, fd);
	while ((rc = walk_next(&reader, &entry)) == 1) {
		size_t len = strcspn(entry.name, ".");

		/* Without a part: a folder, of a version before. */
		if (is_run_id(entry.name, len) &&
		    (entry.name[len] == '\0' ||
		     is_part(entry.name + len + 1)) &&
		    (own_id == NULL || strncmp(entry.name, own_id, len) != 0))
			strv_push(ids, xstrndup(entry.name, len));
	}
	walk_end(&reader);
	drop_doubles(ids);
	return rc;
}

/*** Create ***/

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
 * -1 with errno.  ENOENT, EWOULDBLOCK: it is gone by now, or somebody else's.
 * The journal is the lock, since nothing of the payload's may be: what it can
 * open it can lock, and so seem to be alive for ever, or never to have been.
 */
static int lock(int runs_fd, const char *name, int fd)
{
	struct stat st, now;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0 ||
	    fstatat(runs_fd, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	/* Who held the lock before us may have taken the file away. */
	if (st.st_ino != now.st_ino || st.st_dev != now.st_dev) {
		errno = ENOENT;
		return -1;
	}
	return 0;
}

static int open_journal(const struct workdir *wd, int flags)
{
	return openat(wd->runs_fd, name_of(wd->run_id, JOURNAL).s,
		      O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
}

/*
 * Made and locked, before there is anything else of the run.  Between the two, a
 * collector of dead runs may take it for one, and away: then once more, as soon
 * as it is gone.
 */
static int make_journal(const struct workdir *wd)
{
	const struct name name = name_of(wd->run_id, JOURNAL);
	const struct timespec nap = { .tv_nsec = 1000000 };
	uint64_t end = 0;

	for (;;) {
		auto_fd int fd = open_journal(wd, O_CREAT | O_EXCL);

		if (fd < 0 && (errno != EEXIST || end == 0)) {
			fail(errno, "cannot make the workdir %s", wd->path);
			return fail_remedy("set XDG_STATE_HOME to a folder "
					   "that you can write to");
		}
		if (fd >= 0 && lock(wd->runs_fd, name.s, fd) == 0)
			return take_fd(&fd);
		if (fd >= 0 && errno != ENOENT && errno != EWOULDBLOCK) {
			fail(errno, "cannot lock the workdir %s", wd->path);
			unlinkat(wd->runs_fd, name.s, 0);
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

/* A directory of the payload's; `path`: for messages. */
static int make_given(const struct workdir *wd, int parent_fd, const char *name,
		      const char *path)
{
	auto_fd int fd = -1;

	if (mkdirat(parent_fd, name, 0700) < 0)
		return fail(errno, "cannot make %s", path);
	fd = openat(parent_fd, name, DIR_FLAGS);
	if (fd < 0)
		fail(errno, "cannot open %s", path);
	else if ((wd->uid != geteuid() || wd->gid != getegid()) &&
		 fchown(fd, wd->uid, wd->gid) < 0)
		cause_fail_to_give(errno, path, wd->uid);
	else
		return take_fd(&fd);
	(void)unlinkat(parent_fd, name, AT_REMOVEDIR);
	return -1;
}

/* Both descriptors are the workdir's from here on. */
static void set_place(struct workdir *wd, const char *runs_dir,
		      const char *run_id, int runs_fd)
{
	*wd = WORKDIR_NONE;
	wd->run_id = xstrdup(run_id);
	wd->path = workdir_place(runs_dir, run_id, false);
	wd->runs_fd = runs_fd;
}

int workdir_create(struct workdir *wd, const char *runs_dir, const char *run_id,
		   uid_t uid, gid_t gid)
{
	set_place(wd, runs_dir, run_id, workdir_open_runs(runs_dir));
	wd->uid = uid;
	wd->gid = gid;
	if (wd->runs_fd >= 0)
		wd->journal_fd = make_journal(wd);
	if (wd->journal_fd >= 0)
		wd->tag = replace_tag();
	if (wd->tag && journal_add(wd->journal_fd, "tag", wd->tag) == 0)
		return 0;
	if (wd->journal_fd >= 0)
		(void)workdir_remove(wd);
	workdir_close(wd);
	return -1;
}

int workdir_make_work(struct workdir *wd)
{
	wd->work_fd = make_given(wd, wd->runs_fd, work_name(wd).s, wd->path);
	return wd->work_fd < 0 ? -1 : 0;
}

/*** Layers ***/

static int move_work(const struct workdir *wd, int layers_fd)
{
	return renameat(wd->runs_fd, name_of(wd->run_id, WORK).s, layers_fd,
			WORK);
}

static void enter_layers(struct workdir *wd, int layers_fd)
{
	auto_free char *from = wd->path;
	auto_free char *runs = xstrndup(from,
					(size_t)(path_base(from) - from - 1));

	wd->path = workdir_place(runs, wd->run_id, true);
	wd->layers_fd = layers_fd;
}

/*
 * One folder for work/ and what has to be of one mount with it.  To pass, not to
 * list, for the payload's uid; and nobody else passes RUNS.
 */
static int make_layers(struct workdir *wd)
{
	const struct name name = name_of(wd->run_id, LAYERS);
	auto_fd int fd = -1;

	if (wd->layers_fd >= 0)
		return 0;
	if (mkdirat(wd->runs_fd, name.s, 0700) < 0)
		return fail(errno, "cannot make the folder %s beside %s",
			    name.s, wd->path);
	fd = openat(wd->runs_fd, name.s, DIR_FLAGS);
	if (fd < 0)
		fail(errno, "cannot open the folder %s beside %s", name.s,
		     wd->path);
	else if ((wd->uid != geteuid() && fchmod(fd, 0711) < 0) ||
		 move_work(wd, fd) < 0)
		fail(errno, "cannot move %s into the folder %s", wd->path,
		     name.s);
	else
		enter_layers(wd, take_fd(&fd));
	if (wd->layers_fd >= 0)
		return 0;
	(void)unlinkat(wd->runs_fd, name.s, AT_REMOVEDIR);
	return -1;
}

static int make_layer(const struct workdir *wd, const char *name)
{
	auto_free char *path = xasprintf(
	    "%.*s%s", (int)(path_base(wd->path) - wd->path), wd->path, name);
	auto_fd int fd = make_given(wd, wd->layers_fd, name, path);

	return fd < 0 ? -1 : 0;
}

int workdir_make_scratch(struct workdir *wd)
{
	return make_layers(wd) < 0 ? -1 : make_layer(wd, SCRATCH);
}

int workdir_make_git(struct workdir *wd)
{
	return make_layers(wd) < 0 || make_layer(wd, "git") < 0
		   ? -1
		   : make_layer(wd, GIT_SCRATCH);
}

static bool is_marked(const struct workdir *wd, const char *mark)
{
	struct stat st;

	return wd->layers_fd >= 0 &&
	       fstatat(wd->layers_fd, mark, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool workdir_was_copied(const struct workdir *wd)
{
	return is_marked(wd, SCRATCH "/copied");
}

bool workdir_git_is_fixed(const struct workdir *wd)
{
	return is_marked(wd, GIT_SCRATCH "/fixed");
}

/*** Of a dead run ***/

/*
 * Versions before had all of a run in a folder RUNS/RUNID, which was the lock.
 * That is what LAYERS is, but for our own files in it.  -1 with errno.
 */
static int take_old(const struct workdir *wd)
{
	const struct name layers = name_of(wd->run_id, LAYERS);
	auto_fd int old = openat(wd->runs_fd, wd->run_id, DIR_FLAGS);
	auto_fd int fd = -1;

	if (old >= 0 &&
	    (lock(wd->runs_fd, wd->run_id, old) < 0 ||
	     renameat(wd->runs_fd, wd->run_id, wd->runs_fd, layers.s) < 0))
		return -1;
	/* Also of a collector that was killed over it. */
	fd = openat(wd->runs_fd, layers.s, DIR_FLAGS);
	for (size_t i = 0; fd >= 0 && i <= WORKDIR_LOGS; i++) {
		const char *name = i < WORKDIR_LOGS ? workdir_logs[i] : JOURNAL;

		if (renameat(fd, name, wd->runs_fd,
			     name_of(wd->run_id, name).s) < 0 &&
		    errno != ENOENT)
			return -1;
	}
	return 0;
}

/* Is there anything else of it? */
static bool has_part(const struct workdir *wd)
{
	struct stat st;

	return fstatat(wd->runs_fd, name_of(wd->run_id, WORK).s, &st,
		       AT_SYMLINK_NOFOLLOW) == 0 ||
	       fstatat(wd->runs_fd, name_of(wd->run_id, LAYERS).s, &st,
		       AT_SYMLINK_NOFOLLOW) == 0;
}

/* Held, or -1 with errno. */
static int adopt_journal(const struct workdir *wd)
{
	auto_fd int fd = open_journal(wd, 0);

	if (fd < 0 && errno == ENOENT) {
		if (take_old(wd) < 0)
			return -1;
		fd = open_journal(wd, 0);
	}
	/* No run leaves that, but a machine that lost its power may. */
	if (fd < 0 && errno == ENOENT && has_part(wd))
		fd = open_journal(wd, O_CREAT | O_EXCL);
	if (fd < 0 || lock(wd->runs_fd, name_of(wd->run_id, JOURNAL).s, fd) < 0)
		return -1;
	return take_fd(&fd);
}

/* Whose work/ it is; without one there are our own logs at most. */
static int adopt_work(struct workdir *wd)
{
	const struct name layers = name_of(wd->run_id, LAYERS);
	auto_strv struct strv journal = journal_read(wd->journal_fd);
	const char *tag;
	struct stat st;
	size_t at = 0;
	int layers_fd;

	/* One that died before it had a tag has nothing by that name. */
	tag = journal_next(&journal, "tag", &at);
	wd->tag = xstrdup(tag ? tag : wd->run_id);
	wd->uid = geteuid();
	wd->gid = getegid();
	layers_fd = walk_open_dir(wd->runs_fd, layers.s, true, &st);
	if (layers_fd < 0 && errno != ENOENT)
		return fail(errno, "cannot open %s", layers.s);
	if (layers_fd >= 0)
		enter_layers(wd, layers_fd);
	/* It may have died before it had done so itself. */
	if (layers_fd >= 0 && move_work(wd, layers_fd) < 0 && errno != ENOENT)
		return fail(errno, "cannot move %s", wd->path);
	wd->work_fd = walk_open_dir(work_parent(wd), work_name(wd).s, true,
				    &st);
	if (wd->work_fd < 0 && errno == ENOENT)
		return 1;
	if (wd->work_fd < 0)
		return fail(errno, "cannot open %s", wd->path);
	wd->uid = st.st_uid;
	wd->gid = st.st_gid;
	return 1;
}

int workdir_adopt(struct workdir *wd, const char *runs_dir, int runs_fd,
		  const char *run_id)
{
	set_place(wd, runs_dir, run_id, fcntl(runs_fd, F_DUPFD_CLOEXEC, 0));
	if (wd->runs_fd < 0)
		return fail(errno, "cannot open %s", runs_dir);
	wd->has_logs = true;
	wd->journal_fd = adopt_journal(wd);
	if (wd->journal_fd >= 0)
		return adopt_work(wd);
	return errno == ENOENT || errno == EEXIST || errno == EWOULDBLOCK
		   ? 0
		   : fail(errno, "cannot lock %s in %s", run_id, runs_dir);
}

/*** The end ***/

/* Is it still what we made? */
static int check_same(const struct workdir *wd, int parent_fd, const char *name,
		      int fd)
{
	struct stat st, now;

	if (fstat(fd, &st) < 0 ||
	    fstatat(parent_fd, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(errno, "cannot look at %s", wd->path);
	return st.st_ino == now.st_ino && st.st_dev == now.st_dev
		   ? 0
		   : fail(0, "cannot remove %s: it was replaced", wd->path);
}

/*
 * Done in our own process, as root too: nothing is read, links are not
 * followed, mounts are not crossed, and each name is taken from a descriptor
 * that leads back to ours.  The owner of work/ could not remove it anyway: the
 * directory around it is not its own.
 */
int workdir_empty(struct workdir *wd)
{
	const struct name name = work_name(wd);
	int parent = work_parent(wd);

	/* A disk has no name there. */
	if (wd->work_fd >= 0 && wd->mount_fd < 0 &&
	    (check_same(wd, parent, name.s, wd->work_fd) < 0 ||
	     (unlinkat(parent, name.s, AT_REMOVEDIR) < 0 &&
	      rmtree_at(parent, name.s, wd->path) < 0)))
		return -1;
	cleanup_fd(&wd->work_fd);
	wd->work_fd = -1;
	return 0;
}

static int remove_part(const struct workdir *wd, const char *part)
{
	return rmtree_at(wd->runs_fd, name_of(wd->run_id, part).s, wd->path);
}

/*
 * The journal goes last: as long as there is anything of a run, it tells what
 * that is, and is what is locked.  What a kill leaves without one would be a run
 * to be archived.
 */
int workdir_remove(struct workdir *wd)
{
	const struct name layers = name_of(wd->run_id, LAYERS);

	if (workdir_empty(wd) < 0 ||
	    (wd->layers_fd >= 0 &&
	     (check_same(wd, wd->runs_fd, layers.s, wd->layers_fd) < 0 ||
	      remove_part(wd, LAYERS) < 0)))
		return -1;
	for (size_t i = 0; wd->has_logs && i < WORKDIR_LOGS; i++)
		if (remove_part(wd, workdir_logs[i]) < 0)
			return -1;
	return remove_part(wd, JOURNAL);
}

void workdir_close(struct workdir *wd)
{
	cleanup_fd(&wd->mount_fd);
	cleanup_fd(&wd->work_fd);
	cleanup_fd(&wd->layers_fd);
	/* The lock. */
	cleanup_fd(&wd->journal_fd);
	cleanup_fd(&wd->runs_fd);
	free(wd->path);
	free(wd->run_id);
	free(wd->tag);
	*wd = WORKDIR_NONE;
}
