/* SPDX-License-Identifier: MIT */
#include "workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy.h"
#include "err.h"

/*
 * What goes in: the user's files, which may be anything, to places that the
 * user named; the payload is not there yet.
 */

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
	fd = openat(parent, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
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
	auto_fd int held = open_resolve(AT_FDCWD, from, O_PATH,
					RESOLVE_NO_MAGICLINKS);
	auto_fd int fd = -1;
	struct stat before;

	if (held < 0 || fstat(held, &before) < 0)
		return refuse_input(errno, from, "");
	if (!S_ISREG(before.st_mode) && !S_ISDIR(before.st_mode))
		return refuse_input(0, from,
				    ": neither a file nor a directory");
	fd = open_resolve(AT_FDCWD, from, O_RDONLY | O_NONBLOCK | O_NOCTTY,
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
