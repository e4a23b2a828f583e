/* SPDX-License-Identifier: MIT */

/*
 * What is kept of a look for secrets: used while every folder is as it was, and
 * forgotten with whatever could make the next look find something else.
 */

#include "looked.h"

#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>

#include "hidden.h"
#include "hostile.h"

/* Of what was made just now it is not known whether its stamp will change. */
static time_t ahead;

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, ts);

	ts->tv_sec += clock == CLOCK_REALTIME ? ahead : 0;
	return rc;
}

static const struct strv none;

/* At the end of all changes. */
#define HIDES "a/b/x.key a/.ssh "

/* The hidden paths, and whether they were known.  As a run does, it keeps them. */
static char *look(const struct strv *shown, unsigned int how, bool *known)
{
	auto_fd int fd = open(at("p"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct hidden hidden;
	char *list = xstrdup("");
	int rc = hidden_find(&hidden, fd, shown, how, at("looks"));
	const struct strv *const lists[] = { &hidden.files, &hidden.folders };

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(lists); i++)
		for (size_t k = 0; k < lists[i]->n; k++) {
			char *longer = xasprintf("%s%s ", list, lists[i]->v[k]);

			free(list);
			list = longer;
		}
	*known = hidden.looked.known;
	looked_keep(&hidden.looked);
	hidden_free(&hidden);
	return list;
}

static void expect(const char *what, const char *wanted, bool known)
{
	bool was_known;
	auto_free char *list = look(&none, 0, &was_known);

	ok(strcmp(list, wanted) == 0 && was_known == known,
	   "%s: %s, hidden: %s", what, was_known ? "known" : "looked for",
	   list);
}

/* After a change: found at once, and known from then on. */
static void expect_new(const char *what, const char *wanted)
{
	expect(what, wanted, false);
	expect(what, wanted, true);
}

static void test_changes(void)
{
	expect_new("a tree without secrets", "");
	put_file(at("p/a/b/text"), "", 0644);
	expect_new("a file that is none", "");
	put_file(at("p/a/b/.env"), "", 0644);
	expect_new("a new one, deep", "a/b/.env ");
	put_dir(at("p/a/.ssh"));
	expect_new("a new folder", "a/b/.env a/.ssh ");
	if (rename(at("p/a/b/text"), at("p/a/b/id_rsa")) < 0)
		die("rename");
	expect_new("a name that changed", "a/b/.env a/b/id_rsa a/.ssh ");
	if (unlink(at("p/a/b/.env")) < 0)
		die("unlink");
	expect_new("one that went", "a/b/id_rsa a/.ssh ");
	if (rename(at("p/a/b"), at("b")) < 0)
		die("rename");
	put_dir(at("p/a/b"));
	put_file(at("p/a/b/x.key"), "", 0600);
	expect_new("another folder in its place", HIDES);
}

static char *place(void)
{
	DIR *dir = opendir(at("looks"));
	struct dirent *entry;
	char *path = NULL;

	while (dir && !path && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			path = xstrdup(at("looks/%s", entry->d_name));
	if (dir)
		closedir(dir);
	return path;
}

static void test_place(void)
{
	auto_free char *path = NULL;
	struct stat st;

	path = place();
	if (path == NULL || stat(path, &st) < 0)
		die("place");
	ok((st.st_mode & 0777) == 0600, "nobody else reads it");
	for (off_t len = st.st_size - 1; len >= 0; len -= 7) {
		if (truncate(path, len) < 0)
			die("truncate");
		expect("half of it", HIDES, false);
	}
	expect("whole again", HIDES, true);
	if (chmod(at("looks"), 0777) < 0)
		die("chmod");
	expect("a folder that others write", HIDES, false);
	expect("a folder that others write", HIDES, false);
	if (chmod(at("looks"), 0700) < 0)
		die("chmod");
}

/* A megabyte of folders' names. */
static void test_too_long(void)
{
	auto_free char *path = place();
	auto_free char *deep = xstrdup(at("p/long"));
	struct stat st;

	put_dir(deep);
	for (int i = 0; i < 510; i++) {
		auto_free char *folder = xasprintf("%s/%0250d", deep, i);
		char *above = deep;

		put_dir(folder);
		if (i >= 10)
			continue;
		deep = take_ptr(&folder);
		free(above);
	}
	expect("too much to keep", HIDES, false);
	ok(path && stat(path, &st) == 0 && st.st_size < 1024, "is not written");
	if (rename(at("p/long"), at("long")) < 0)
		die("rename");
	expect_new("without it", HIDES);
}

/* What a folder's stamp does not tell of. */
static void test_lapsed(void)
{
	auto_strv struct strv shown = { 0 };
	bool known;

	ahead = 0;
	put_file(at("p/new"), "", 0644);
	expect("a folder as young as the look", HIDES, false);
	expect("a folder as young as the look", HIDES, false);
	ahead = 10;
	put_file(at("p/.npmrc"), "registry=x", 0644);
	expect("what its text decides", HIDES, false);
	expect("what its text decides", HIDES, false);
	if (unlink(at("p/.npmrc")) < 0)
		die("unlink");
	expect_new("without it", HIDES);
	strv_push(&shown, xstrdup("x"));
	free(look(&shown, 0, &known));
	ok(!known, "with --show it is looked for");
	free(look(&none, HIDDEN_WHOLE, &known));
	ok(!known, "so it is where all is looked through");
	free(look(&none, HIDDEN_DOORS, &known));
	ok(!known, "and where doors are");
	put_file(at("p/.m9mignore"), "secret\n", 0644);
	put_file(at("p/secret"), "", 0644);
	expect("with a list of the user's", "a/b/x.key secret a/.ssh ", false);
	expect("with a list of the user's", "a/b/x.key secret a/.ssh ", false);
}

int main(void)
{
	struct statfs fs;

	umask(022);
	make_base();
	if (statfs(base, &fs) < 0)
		die("statfs");
	if (fs.f_type != EXT4_SUPER_MAGIC && fs.f_type != XFS_SUPER_MAGIC &&
	    fs.f_type != BTRFS_SUPER_MAGIC && fs.f_type != TMPFS_MAGIC) {
		drop_base();
		return skipped("a file system of which nothing is kept");
	}
	ahead = 10;
	put_dir(at("p"));
	put_dir(at("p/a"));
	put_dir(at("p/a/b"));
	test_changes();
	test_place();
	test_too_long();
	test_lapsed();
	drop_base();
	return done();
}
