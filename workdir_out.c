/* SPDX-License-Identifier: MIT */
#include "workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy.h"
#include "err.h"
#include "journal.h"
#include "replace.h"
#include "review.h"
#include "rmtree.h"
#include "text.h"
#include "walk.h"

/*
 * What comes out.  The payload is dead, but it shaped the tree: the way to a
 * source allows no link, no mount and no "..".  What is made on the host is
 * complete and on the disk before it has its name.
 */

/* What was written so far, and what each came from. */
struct written {
	struct strv to, from;
};

struct output {
	const struct workdir *wd;
	const char *from;
	const char *to;
	const struct spec_copy *glob; /* the pattern that found it, or NULL */
	struct written *written;
	struct replace_names names; /* of `to` */
	int dir_fd;                 /* the folder of `to` */
	struct stat st;
};

static int open_beneath(int work_fd, const char *path, uint64_t flags)
{
	return open_resolve(work_fd, path, flags | O_NOFOLLOW,
			    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
				RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
}

static int refuse_source(const char *from, int err)
{
	if (err == ELOOP)
		return fail(0,
			    "cannot copy out %s: a symbolic link is on the "
			    "way",
			    from);
	fail(err, "cannot copy out %s", from);
	return err == ENOENT ? fail_remedy("the run left nothing of that name "
					   "in its workdir")
			     : -1;
}

/* Looked at before it is opened: it may be a fifo, or a device's node. */
static int open_source(struct output *out)
{
	struct stat *st = &out->st;
	auto_fd int held = open_beneath(out->wd->work_fd, out->from, O_PATH);
	int fd;

	if (held < 0 || fstat(held, st) < 0)
		return refuse_source(out->from, errno);
	if (S_ISLNK(st->st_mode))
		return refuse_source(out->from, ELOOP);
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		return fail(0,
			    "cannot copy out %s: neither a file nor a "
			    "directory",
			    out->from);
	fd = open_beneath(out->wd->work_fd, out->from,
			  O_RDONLY | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? refuse_source(out->from, errno) : fd;
}

/* A tree takes the place of another as a whole, so not of one we live in. */
static int check_target(const struct output *out)
{
	auto_free char *cwd = getcwd(NULL, 0);

	if (!S_ISDIR(out->st.st_mode))
		return 0;
	if (path_under(out->wd->path, out->to) ||
	    (cwd && path_under(cwd, out->to)))
		return fail(0,
			    "cannot replace %s by the output %s: it holds "
			    "the runs or the current folder",
			    out->to, out->from);
	return 0;
}

/* Of the links on the way none may have come out of the workdir just now. */
static int check_way(const struct output *out)
{
	auto_strv struct strv places = { 0 }, links = { 0 };

	walk_way(out->names.folder, &places, &links);
	for (size_t i = 0; i < links.n; i++)
		for (size_t k = 0; k < out->written->to.n; k++)
			if (path_under(links.v[i], out->written->to.v[k]))
				return fail(0,
					    "cannot copy out %s to %s: a "
					    "symbolic link that the output %s "
					    "brought is on the way",
					    out->from, out->to,
					    out->written->from.v[k]);
	return 0;
}

static int open_folder(struct output *out)
{
	if (replace_names(&out->names, out->to, out->wd->tag) < 0)
		return fail(0,
			    "cannot copy %s to \"%s\": not the absolute "
			    "path of a file",
			    out->from, out->to);
	if (check_way(out) < 0)
		return -1;
	out->dir_fd = walk_make_dirs(out->names.folder, 0777);
	return out->dir_fd < 0
		   ? fail_remedy("--output-file NAME:DEST brings it elsewhere")
		   : 0;
}

static bool is_there(const struct output *out, struct stat *st)
{
	return fstatat(out->dir_fd, out->names.name, st, AT_SYMLINK_NOFOLLOW) ==
	       0;
}

/*
 * The payload chose this name.  So it brings no file that the user's tools obey,
 * and nothing of the user's goes for it but a file in a folder that was named
 * for what matches.
 */
static int check_match(const struct output *out)
{
	const char *control = review_path(out->names.name);
	struct stat st;
	bool folder;

	if (control == NULL && S_ISDIR(out->st.st_mode))
		control = review_link(out->names.name);
	if (control) {
		fail(0, "cannot copy out %s for the pattern %s: %s", out->from,
		     out->glob->from, control);
		return fail_remedy(
		    "name it, without a pattern, if you want it");
	}
	if (!is_there(out, &st))
		return 0;
	folder = S_ISDIR(out->st.st_mode) || S_ISDIR(st.st_mode);
	if (!folder && !out->glob->here)
		return 0;
	fail(EEXIST, "cannot copy out %s for the pattern %s to %s", out->from,
	     out->glob->from, out->to);
	return fail_remedy(folder ? "a folder is replaced only by one that is "
				    "named without a pattern"
				  : "add \":.\" to the pattern if files of the "
				    "current folder may be replaced");
}

/* By whatever links it is named: where it really goes. */
static char *real_target(const struct output *out)
{
	auto_free char *folder = realpath(fd_path(out->dir_fd).s, NULL);

	return folder ? path_join(folder, out->names.name) : xstrdup(out->to);
}

/* Beside another in one folder is fine; in the place of it is not. */
static int check_written(const struct output *out, const char *target)
{
	struct stat st;

	for (size_t i = 0; i < out->written->to.n; i++) {
		const char *was = out->written->to.v[i];

		if (path_under(was, target) ||
		    (path_under(target, was) && is_there(out, &st)))
			return fail(0,
				    "cannot copy out %s to %s: the output %s "
				    "went there",
				    out->from, out->to,
				    out->written->from.v[i]);
	}
	return 0;
}

static int copy_to_temp(struct output *out, int from_fd)
{
	auto_fd int from = from_fd;
	mode_t mask = umask(077);
	struct copy_rules rules = { .what = out->from,
				    .unlock = true,
				    .mask = 0777 & ~mask };
	int to;

	umask(mask);
	if (!S_ISDIR(out->st.st_mode))
		return copy_file(from, &out->st, out->dir_fd, out->names.temp,
				 &rules);
	if (mkdirat(out->dir_fd, out->names.temp, 0700) < 0)
		return fail(errno, "cannot make a folder beside %s", out->to);
	to = openat(out->dir_fd, out->names.temp,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return fail(errno, "cannot open a folder beside %s", out->to);
	if (copy_tree(take_fd(&from), &out->st, to, &rules) < 0)
		return -1;
	if (rules.links_out) {
		auto_free char *shown = text_visible(out->from, true);

		warn("the output %s holds symbolic links that lead out of it",
		     shown);
	}
	return 0;
}

/* One syncfs is cheaper than thousands of fsyncs. */
static int sync_temp(const struct output *out)
{
	auto_fd int fd = openat(out->dir_fd, out->names.temp,
				O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || (S_ISDIR(out->st.st_mode) ? syncfs(fd) : fsync(fd)) < 0)
		return fail(errno, "cannot write %s to the disk", out->to);
	return 0;
}

static int set_aside(const struct output *out)
{
	auto_free char *old = xasprintf("%s.old", out->names.temp);

	/* NFS and some others cannot exchange: there is a moment with none. */
	if (renameat(out->dir_fd, out->names.name, out->dir_fd, old) < 0)
		return -1;
	if (renameat(out->dir_fd, out->names.temp, out->dir_fd,
		     out->names.name) < 0) {
		int err = errno;

		(void)renameat(out->dir_fd, old, out->dir_fd, out->names.name);
		errno = err;
		return -1;
	}
	return rmtree_at(out->dir_fd, old, out->to);
}

/* The new one gets the name; what had it before ends as `temp`, or is gone. */
static int install(const struct output *out)
{
	struct stat st;

	if (S_ISDIR(out->st.st_mode) && is_there(out, &st)) {
		if (!S_ISDIR(st.st_mode))
			return fail(ENOTDIR, "cannot replace %s", out->to);
		if (renameat2(out->dir_fd, out->names.temp, out->dir_fd,
			      out->names.name, RENAME_EXCHANGE) == 0)
			return rmtree_at(out->dir_fd, out->names.temp, out->to);
		if (errno == EINVAL && set_aside(out) == 0)
			return 0;
		return fail(errno, "cannot replace %s", out->to);
	}
	if (renameat(out->dir_fd, out->names.temp, out->dir_fd,
		     out->names.name) < 0)
		return fail(errno, "cannot replace %s", out->to);
	return 0;
}

static int write_output(struct output *out, int from_fd)
{
	auto_fd int from = from_fd;
	auto_free char *target = real_target(out);

	if (check_written(out, target) < 0 ||
	    (out->glob && check_match(out) < 0))
		return -1;
	if (copy_to_temp(out, take_fd(&from)) < 0 || sync_temp(out) < 0 ||
	    install(out) < 0) {
		(void)rmtree_at(out->dir_fd, out->names.temp, out->to);
		return -1;
	}
	/* The copy is there; some file systems cannot sync a folder. */
	(void)fsync(out->dir_fd);
	strv_push(&out->written->to, take_ptr(&target));
	strv_push(&out->written->from, xstrdup(out->from));
	return 0;
}

static bool is_missing(const struct workdir *wd, const char *from)
{
	auto_fd int fd = open_beneath(wd->work_fd, from, O_PATH);

	return fd < 0 && errno == ENOENT;
}

static int copy_one_out(struct output *out)
{
	auto_fd int from = open_source(out);
	int rc;

	if (from < 0 || check_target(out) < 0)
		return -1;
	out->dir_fd = -1;
	rc = open_folder(out);
	if (rc == 0 && out->names.temp)
		rc = write_output(out, take_fd(&from));
	cleanup_fd(&out->dir_fd);
	replace_names_free(&out->names);
	return rc;
}

/*
 * Nothing in its place: it was set aside, and that is all.  Where a rename cannot
 * exchange, which is why it was, there may be none that replaces nothing.  As
 * long as nothing is in its place, it is all that its owner has.
 */
static int put_back(const struct output *out)
{
	auto_free char *old = xasprintf("%s.old", out->names.temp);
	struct stat st;
	int err;

	if (renameat2(out->dir_fd, old, out->dir_fd, out->names.name,
		      RENAME_NOREPLACE) == 0)
		return 0;
	err = errno;
	if (err == EINVAL && !is_there(out, &st)) {
		if (renameat(out->dir_fd, old, out->dir_fd, out->names.name) ==
		    0)
			return 0;
		err = errno;
	}
	if (is_there(out, &st))
		return rmtree_at(out->dir_fd, old, out->to);
	if (fstatat(out->dir_fd, old, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return fail(err, "cannot give %s/%s its name %s back",
			    out->names.folder, old, out->to);
	return 0;
}

int workdir_tidy_output(const char *to, const char *tag)
{
	struct output out = { .to = to, .dir_fd = -1 };
	int rc = 0;

	if (replace_names(&out.names, to, tag) == 0)
		out.dir_fd = open(out.names.folder,
				  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out.dir_fd >= 0) {
		rc = put_back(&out);
		if (rmtree_at(out.dir_fd, out.names.temp, to) < 0)
			rc = -1;
	}
	cleanup_fd(&out.dir_fd);
	replace_names_free(&out.names);
	return rc;
}

int workdir_note_outputs(const struct workdir *wd,
			 const struct spec_copy *outputs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!outputs[i].glob &&
		    journal_add(wd->journal_fd, "output", outputs[i].to) < 0)
			return -1;
	return 0;
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The name is the payload's.  Whoever finds us killed has to know it. */
static int copy_match_out(const struct workdir *wd,
			  const struct spec_copy *glob, const char *from,
			  struct written *written)
{
	auto_free char *to = path_join(glob->to, last_name(from));
	struct output out = { .wd = wd,
			      .from = from,
			      .to = to,
			      .glob = glob,
			      .written = written };

	if (journal_add(wd->journal_fd, "output", to) < 0)
		return -1;
	return copy_one_out(&out);
}

static int copy_matches_out(const struct workdir *wd,
			    const struct spec_copy *glob,
			    struct written *written)
{
	auto_strv struct strv matches = { 0 };
	int rc = workdir_glob(wd->work_fd, glob->from, &matches);

	if (rc == 0 && matches.n == 0 && !glob->optional) {
		fail(0, "cannot copy out %s: nothing matches", glob->from);
		return fail_remedy("the run left nothing of that name in its "
				   "workdir");
	}
	for (size_t i = 0; i < matches.n; i++)
		if (copy_match_out(wd, glob, matches.v[i], written) < 0)
			rc = -1;
	return rc;
}

static int copy_named_out(const struct workdir *wd,
			  const struct spec_copy *copy, struct written *written)
{
	struct output out = {
		.wd = wd, .from = copy->from, .to = copy->to, .written = written
	};

	if (copy->optional && is_missing(wd, copy->from))
		return 0;
	return copy_one_out(&out);
}

int workdir_copy_out(struct workdir *wd, const struct spec_copy *outputs,
		     size_t n)
{
	struct written written = { 0 };
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		if ((outputs[i].glob
			 ? copy_matches_out(wd, &outputs[i], &written)
			 : copy_named_out(wd, &outputs[i], &written)) < 0)
			rc = -1;
	strv_free(&written.to);
	strv_free(&written.from);
	return rc;
}
