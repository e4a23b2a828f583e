/* SPDX-License-Identifier: MIT */
#include "workdir.h"

#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "hostile.h"
#include "rmtree.h"

/* What happens in the middle of a removal; NULL: nothing.  True: the call fails,
 * with errno. */
static bool (*meanwhile)(const char *name);

int unlinkat(int fd, const char *name, int flags)
{
	if (meanwhile && meanwhile(name))
		return -1;
	return (int)syscall(SYS_unlinkat, fd, name, flags);
}

static struct workdir fresh(void)
{
	static int number;
	struct workdir wd = WORKDIR_NONE;
	char id[16];

	snprintf(id, sizeof(id), "run-%d", ++number);
	if (workdir_create(&wd, at("runs"), id, owner_uid(), owner_gid()) < 0 ||
	    workdir_make_work(&wd) < 0)
		die("workdir_create");
	return wd;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? 0 : st.st_mode & 07777;
}

static void test_create(void)
{
	struct workdir wd, again = WORKDIR_NONE;
	struct stat st;
	int fd;

	umask(0);
	ok(went_well(workdir_create(&wd, at("state/x/runs"), "abc", owner_uid(),
				    owner_gid())),
	   "made with its parents");
	ok(count_entries(at("state/x/runs")) == 1, "the journal is the first");
	ok(went_well(workdir_make_work(&wd)), "work/ follows");
	umask(022);
	ok(mode_of(at("state")) == 0700 && mode_of(at("state/x/runs")) == 0700,
	   "the parents are private, whatever the umask");
	ok(mode_of(at("state/x/runs/abc.journal")) == 0600 &&
	       mode_of(at("state/x/runs/abc.work")) == 0700 &&
	       count_entries(at("state/x/runs")) == 2,
	   "and so are the journal and work/; there is no more");
	ok(strcmp(wd.path, at("state/x/runs/abc.work")) == 0, "path %s",
	   wd.path);
	ok(fstat(wd.work_fd, &st) == 0 && st.st_uid == owner_uid() &&
	       st.st_gid == owner_gid(),
	   "work/ belongs to uid %u", owner_uid());
	ok(fcntl(wd.work_fd, F_GETFD) == FD_CLOEXEC &&
	       fcntl(wd.journal_fd, F_GETFD) == FD_CLOEXEC &&
	       fcntl(wd.runs_fd, F_GETFD) == FD_CLOEXEC,
	   "close on exec");
	fd = open(at("state/x/runs/abc.journal"), O_RDONLY);
	ok(flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK,
	   "locked while it lives");
	ok(did_fail(workdir_create(&again, at("state/x/runs"), "abc",
				   owner_uid(), owner_gid()),
		    "File exists") &&
	       again.journal_fd == -1 && exists(at("state/x/runs/abc.work")),
	   "a second one of that name fails and takes nothing along");
	ok(went_well(workdir_remove(&wd)), "removed");
	workdir_close(&wd);
	ok(flock(fd, LOCK_EX | LOCK_NB) == 0 && wd.journal_fd == -1 && !wd.path,
	   "the lock is dropped");
	close(fd);
	ok(count_entries(at("state/x/runs")) == 0, "nothing stays");
}

static void test_create_refused(void)
{
	struct workdir wd;

	put_dir(at("open"));
	chmod(at("open"), 0777);
	ok(did_fail(workdir_create(&wd, at("open"), "a", getuid(), getgid()),
		    "others can write"),
	   "a runs folder that others write to");
	chmod(at("open"), 01777);
	ok(did_fail(workdir_create(&wd, at("open"), "a", getuid(), getgid()),
		    "XDG_STATE_HOME"),
	   "sticky as well; the mend is named");
	ok(count_entries(at("open")) == 0, "nothing was made there");
	ok(did_fail(
	       workdir_create(&wd, "/proc/m9m/runs", "a", getuid(), getgid()),
	       "XDG_STATE_HOME"),
	   "a parent that cannot be written");
	put_file(at("file"), "", 0644);
	ok(did_fail(
	       workdir_create(&wd, at("file/runs"), "a", getuid(), getgid()),
	       "Not a directory"),
	   "a parent that is a file");
	if (geteuid() != 0) {
		ok(did_fail(
		       workdir_create(&wd, "/usr", "a", getuid(), getgid()),
		       "belongs to uid 0"),
		   "a folder of another uid");
		return;
	}
	put_dir(at("foreign"));
	chmod(at("foreign"), 0700);
	ok(chown(at("foreign"), OTHER, OTHER) == 0 &&
	       did_fail(workdir_create(&wd, at("foreign"), "a", 0, 0),
			"belongs to uid 65534"),
	   "a folder of another uid");
}

static bool same_stat(const char *path, mode_t mode, time_t mtime)
{
	struct stat st;

	return lstat(path, &st) == 0 && (st.st_mode & 07777) == mode &&
	       st.st_mtime == mtime && st.st_uid == owner_uid() &&
	       st.st_gid == owner_gid();
}

static void make_source(void)
{
	const struct timespec times[2] = { { STAMP, 0 }, { STAMP, 0 } };

	put_dir(at("src"));
	put_file(at("src/run.sh"), "#!/bin/sh\n", 0755);
	put_file(at("src/suid"), "s", 06755);
	put_file(at("src/quiet"), "q", 0400);
	put_link("/etc/passwd", at("src/out"));
	put_dir(at("src/ro"));
	put_file(at("src/ro/inner"), "inner\n", 0640);
	chmod(at("src/ro"), 0555);
	put_sparse(at("src/holes"), 1LL << 32, 1LL << 31);
	utimensat(AT_FDCWD, at("src/ro"), times, 0);
	utimensat(AT_FDCWD, at("src"), times, 0);
	put_link("src/run.sh", at("alias"));
}

static int copy_in(struct workdir *wd, const char *from, const char *to)
{
	const struct spec_copy one = { (char *)from, (char *)to };

	return workdir_copy_in(wd, &one, 1);
}

static void test_copy_in(void)
{
	struct workdir wd = fresh();
	char target[64] = "";
	struct stat st;

	make_source();
	if (fchdir(wd.work_fd) < 0)
		die("work");
	ok(went_well(copy_in(&wd, at("src"), "tree")), "a tree");
	ok(same_stat("tree/run.sh", 0755, STAMP) &&
	       holds("tree/run.sh", "#!/bin/sh\n"),
	   "mode, time, owner and bytes are kept");
	ok(same_stat("tree/suid", 0755, STAMP), "set-id bits are not");
	ok(same_stat("tree/ro", 0555, STAMP) && same_stat("tree", 0755, STAMP),
	   "directories too, one that is read-only among them");
	ok(readlink("tree/out", target, sizeof(target)) == 11 &&
	       lstat("tree/out", &st) == 0 && st.st_uid == owner_uid(),
	   "a link in a tree stays a link");
	ok(stat("tree/holes", &st) == 0 && st.st_size == 1LL << 32 &&
	       st.st_blocks < 1000,
	   "holes stay holes");
	ok(went_well(copy_in(&wd, at("alias"), "a/b/script")) &&
	       holds("a/b/script", "#!/bin/sh\n") &&
	       lstat("a/b/script", &st) == 0 && S_ISREG(st.st_mode) &&
	       same_stat("a/b/script", 0755, STAMP),
	   "a link that is named is followed");
	ok(lstat("a/b", &st) == 0 && st.st_uid == owner_uid(),
	   "folders on the way belong to the owner");
	ok(went_well(copy_in(&wd, "/proc/version", "version")) &&
	       stat("version", &st) == 0 && st.st_size > 10,
	   "a file of /proc says 0 bytes, and holds more");
	ok(did_fail(copy_in(&wd, at("src/quiet"), "tree/quiet"), "File exists"),
	   "no input replaces another");
	ok(went_well(copy_in(&wd, at("src/ro"), "tree/more/ro")) &&
	       holds("tree/more/ro/inner", "inner\n"),
	   "into a tree that is there");
	if (chdir(base) < 0)
		die(base);
	ok(went_well(workdir_remove(&wd)), "removed");
	workdir_close(&wd);
}

static void test_copy_in_refused(void)
{
	static const struct {
		const char *from, *to, *message;
	} rows[] = {
		{ "pipe", "p", "neither a file nor a directory" },
		{ "tree", "t", "tree/sub/pipe: it is a fifo" },
		{ "sockets", "s", "it is a socket" },
		{ "missing", "m", "No such file" },
		{ "plain", "../up", "below the workdir" },
		{ "plain", "a/../../up", "below the workdir" },
		{ "plain", "", "below the workdir" },
		{ "plain", "l/evil", "Not a directory" },
		{ "plain", "l", "File exists" },
		{ "deep", "d", "more than 256" },
		{ "runs", "r", "holds the runs" },
	};
	struct workdir wd = fresh();

	if (chdir(base) < 0)
		die(base);
	mkfifo("pipe", 0600);
	put_dir("tree");
	put_dir("tree/sub");
	mkfifo("tree/sub/pipe", 0600);
	put_dir("sockets");
	put_socket("sockets/x");
	put_file("plain", "plain\n", 0644);
	put_dir("outside");
	put_dir("deep");
	if (chdir("deep") < 0)
		die("deep");
	put_depth("d", 300);
	if (chdir(base) < 0)
		die(base);
	put_dir("links");
	put_link(at("outside"), "links/l");
	ok(went_well(copy_in(&wd, at("links"), "q")), "a tree with a link");
	if (symlinkat(at("outside"), wd.work_fd, "l") < 0)
		die("symlinkat");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ok(did_fail(copy_in(&wd, at("%s", rows[i].from), rows[i].to),
			    rows[i].message),
		   "%s to \"%s\" is refused", rows[i].from, rows[i].to);
	ok(did_fail(copy_in(&wd, at("plain"), "q/l/evil"), "Not a directory"),
	   "no link of an earlier input is followed");
	ok(did_fail(copy_in(&wd, "/proc/self/root/etc/hostname", "h"),
		    "symbolic links"),
	   "no magic link either");
	ok(count_entries(at("outside")) == 0, "nothing came outside");
	ok(did_fail(copy_in(&wd, "/dev/zero", "z"), "neither"), "no device");
	if (system("rm -rf deep") != 0)
		die("rm");
	ok(did_fail(copy_in(&wd, base, "whole"), "it is a "),
	   "the fifo is found in the whole as well");
	unlink("pipe");
	unlink("tree/sub/pipe");
	unlink("sockets/x");
	ok(went_well(copy_in(&wd, base, "again")),
	   "a tree that holds the runs");
	ok(faccessat(wd.work_fd, "again/plain", F_OK, 0) == 0 &&
	       faccessat(wd.work_fd, "again/runs", F_OK, 0) < 0,
	   "is copied without them");
	ok(went_well(workdir_remove(&wd)), "removed");
	workdir_close(&wd);
}

static void make_outputs(void)
{
	put_file("review.md", "fine\n", 06775);
	put_file("other", "other\n", 0600);
	put_link("review.md", "link");
	put_link("/etc", "etc");
	put_link("dist", "way");
	put_dir("dist");
	put_file("dist/app", "app\n", 0755);
	put_link("app", "dist/inside");
	put_dir("dist/locked");
	put_file("dist/locked/x", "x\n", 0);
	chmod("dist/locked", 0);
	put_dir("odd");
	mkfifo("odd/pipe", 0644);
	mkfifo("pipe", 0644);
	put_dir("away");
	put_link("../../..", "away/up");
}

static int copy_out(struct workdir *wd, const char *from, const char *to)
{
	const struct spec_copy one = { (char *)from, (char *)to };

	return workdir_copy_out(wd, &one, 1);
}

static void test_copy_out_refused(struct workdir *wd)
{
	static const struct {
		const char *from, *to, *message;
	} rows[] = {
		{ "missing", "o/m", "No such file" },
		{ "link", "o/l", "symbolic link" },
		{ "etc/passwd", "o/e", "symbolic link" },
		{ "way/app", "o/w", "a symbolic link is on the way" },
		{ "../../../x", "o/u", "cannot copy out" },
		{ "pipe", "o/p", "neither a file nor a directory" },
		{ "odd", "o/odd", "odd/pipe: it is a fifo" },
		{ "review.md", "o/folder", "Is a directory" },
		{ "dist", "o/file", "Not a directory" },
		{ "dist", "", "holds the runs" },
		{ "review.md", "o/file/x", "Not a directory" },
	};

	put_dir(at("o"));
	put_dir(at("o/folder"));
	put_file(at("o/file"), "old\n", 0644);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *to = *rows[i].to ? xstrdup(at("%s", rows[i].to))
						 : xstrdup(base);

		ok(did_fail(copy_out(wd, rows[i].from, to), rows[i].message),
		   "%s to %s is refused", rows[i].from, rows[i].to);
	}
	ok(holds(at("o/file"), "old\n") && count_entries(at("o")) == 2 &&
	       count_entries(at("o/folder")) == 0,
	   "what was there is whole, and nothing else is");
}

static void test_copy_out(void)
{
	struct workdir wd = fresh();
	auto_free char *missing = xstrdup(at("p/missing"));
	auto_free char *second = xstrdup(at("p/other"));
	auto_free char *third = xstrdup(at("p/dist"));
	struct spec_copy three[] = {
		{ (char *)"missing", missing },
		{ (char *)"other", second },
		{ (char *)"dist", third },
	};
	struct stat st;

	as_payload(&wd, make_outputs);
	test_copy_out_refused(&wd);
	umask(027);
	ok(went_well(copy_out(&wd, "review.md", at("p/q/review.md"))) &&
	       holds(at("p/q/review.md"), "fine\n"),
	   "a file, its folders made");
	ok(mode_of(at("p/q/review.md")) == 0750,
	   "no set-id bit, and the umask holds");
	umask(022);
	put_file(at("victim"), "victim\n", 0644);
	put_link(at("victim"), at("p/planted"));
	ok(went_well(copy_out(&wd, "other", at("p/planted"))) &&
	       holds(at("victim"), "victim\n") &&
	       holds(at("p/planted"), "other\n"),
	   "a link at the target is replaced, not followed");
	ok(did_fail(workdir_copy_out(&wd, three, 3), "missing") &&
	       holds(at("p/other"), "other\n") &&
	       holds(at("p/dist/app"), "app\n"),
	   "one is missing, the others come");
	ok(lstat(at("p/dist/inside"), &st) == 0 && S_ISLNK(st.st_mode) &&
	       mode_of(at("p/dist/locked")) == 0,
	   "a tree with links and what was locked");
	chmod(at("p/dist/locked"), 0700);
	ok(exists(at("p/dist/locked/x")), "is whole");
	put_file(at("p/dist/stale"), "", 0644);
	ok(went_well(copy_out(&wd, "dist", at("p/dist"))) &&
	       !exists(at("p/dist/stale")) && exists(at("p/dist/app")),
	   "a tree takes the place of another");
	ok(went_well(copy_out(&wd, "away", at("p/away"))),
	   "a tree with a link that leads out of it: warned of");
	ok(count_entries(at("p")) == 5, "no temporary name stays");
	ok(went_well(workdir_remove(&wd)), "removed");
	workdir_close(&wd);
}

static void make_abyss(void)
{
	make_hostile();
	put_depth("abyss", 3000);
	put_dir("wide");
	for (int i = 0; i < 3000; i++) {
		char name[64];

		snprintf(name, sizeof(name), "wide/%d", i);
		if (i % 3)
			put_file(name, "", 0);
		else
			put_dir(name);
		snprintf(name, sizeof(name), "wide/%d/x", i);
		if (i % 6 == 0)
			put_depth(name, 1);
	}
	put_link(at("outside"), "wide/link");
	/* As deep, and locked on the way down. */
	put_dir("barred");
	put_depth("barred/a", 1);
	chmod("barred/a", 0);
	chmod("barred", 0);
	chmod("wide", 0500);
	chmod(".", 0);
}

/* What the host's root can do to a workdir, and no payload can. */
static bool fix(int dir_fd, const char *name, int flag)
{
	auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW);
	int flags = 0;

	return fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
	       (flags |= flag, ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0);
}

static void make_fixed(void)
{
	put_dir("d");
	put_file("d/inner", "x", 0644);
	put_file("immutable", "x", 0400);
	put_file("append", "x", 0400);
	put_dir("d/e");
}

static void test_remove_fixed(void)
{
	struct workdir wd;

	if (geteuid() != 0)
		return;
	wd = fresh();
	as_payload(&wd, make_fixed);
	if (!fix(wd.work_fd, "immutable", FS_IMMUTABLE_FL)) {
		printf("# no immutable files here: %s\n", strerror(errno));
	} else {
		ok(unlinkat(wd.work_fd, "immutable", 0) < 0 && errno == EPERM,
		   "not even root removes an immutable file");
		ok(fix(wd.work_fd, "append", FS_APPEND_FL) &&
		       fix(wd.work_fd, "d/e", FS_IMMUTABLE_FL) &&
		       fix(wd.work_fd, "d", FS_APPEND_FL) &&
		       fix(wd.work_fd, ".", FS_IMMUTABLE_FL),
		   "append-only ones, folders of both");
	}
	ok(went_well(workdir_remove(&wd)) && !exists(wd.path), "removed");
	workdir_close(&wd);
}

/* Ids that are nobody's inside, as a tree has that root copied in. */
static void test_remove_foreign(void)
{
	struct workdir wd;

	if (geteuid() != 0)
		return;
	wd = fresh();
	as_payload(&wd, make_fixed);
	if (fchownat(wd.work_fd, "d/inner", 4000000000U, 12345, 0) < 0 ||
	    fchownat(wd.work_fd, "d/e", 1, 1, 0) < 0 ||
	    fchownat(wd.work_fd, "d", 0, 0, 0) < 0 ||
	    fchmodat(wd.work_fd, "d", 0, 0) < 0)
		die("chown");
	ok(went_well(workdir_remove(&wd)) && !exists(wd.path),
	   "files of four owners");
	workdir_close(&wd);
}

static void make_wide(void)
{
	char name[32];

	put_dir("wide");
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "wide/%d", i);
		if (link("f", name) < 0 && mkfifo(name, 0) < 0)
			die(name);
	}
}

static void test_remove_wide(void)
{
	struct workdir wd = fresh();
	uint64_t began;

	as_payload(&wd, make_wide);
	began = now_ms(CLOCK_MONOTONIC);
	ok(went_well(workdir_remove(&wd)) && !exists(wd.path), "20,000 names");
	printf("# in %llu ms\n",
	       (unsigned long long)(now_ms(CLOCK_MONOTONIC) - began));
	workdir_close(&wd);
}

static void test_remove(void)
{
	struct workdir wd = fresh();
	struct workdir other = fresh();
	auto_free char *moved = xasprintf("%s.moved", wd.path);
	struct rlimit files;

	if (!exists(at("outside")))
		put_dir(at("outside"));
	put_file(at("outside/keep"), "keep\n", 0644);
	as_payload(&wd, make_abyss);
	if (geteuid() == 0)
		mknodat(wd.work_fd, "null", S_IFCHR | 0666, makedev(1, 3));
	getrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 100, files.rlim_max });
	ok(went_well(workdir_remove(&wd)) && !exists(wd.path),
	   "3000 levels, mode 000, all kinds, with 100 descriptors");
	setrlimit(RLIMIT_NOFILE, &files);
	ok(holds(at("outside/keep"), "keep\n"), "no link was followed");
	workdir_close(&wd);

	wd = fresh();
	rename(wd.path, moved);
	ok(did_fail(workdir_remove(&wd), "No such file"), "moved away");
	rename(other.path, wd.path);
	ok(did_fail(workdir_remove(&wd), "was replaced") && exists(wd.path),
	   "what took its name is not ours to remove");
	rename(wd.path, other.path);
	ok(went_well(workdir_remove(&other)), "the other one");
	workdir_close(&wd);
	workdir_close(&other);
}

static bool is_stuck(const char *name)
{
	errno = ENOTEMPTY;
	return strcmp(name, "stuck") == 0;
}

/* Nobody alive can do that to a workdir; this is what holds if somebody does. */
static void test_remove_stuck(void)
{
	auto_fd int dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	put_dir(at("around"));
	put_dir(at("around/stuck"));
	meanwhile = is_stuck;
	ok(did_fail(rmtree_at(dir, "around", base), "cannot empty a directory"),
	   "one that is empty, and is not: it comes to an end");
	meanwhile = NULL;
	ok(went_well(rmtree_at(dir, "around", base)), "afterwards it goes");
}

/* Mounts in a namespace of our own: 77 where that cannot be had. */
static int mount_child(struct workdir *wd)
{
	auto_free char *path = xasprintf("%s/mnt", wd->path);
	auto_free char *file = xasprintf("%s/inside", path);

	if (!own_mounts() || mkdirat(wd->work_fd, "mnt", 0755) < 0 ||
	    mount("tmpfs", path, "tmpfs", 0, "size=64k") < 0)
		return 77;
	put_file(file, "", 0644);
	/* What is held is of the namespace before, where nothing is mounted. */
	close(wd->runs_fd);
	wd->runs_fd = open(at("runs"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(wd->work_fd);
	wd->work_fd = open(wd->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!did_fail(copy_out(wd, "mnt/inside", at("o/inside")),
		      "cross-device"))
		return 3;
	if (!did_fail(workdir_remove(wd), "cannot remove mnt"))
		return 1;
	return exists(file) ? 0 : 2;
}

static void test_remove_mount(void)
{
	struct workdir wd = fresh();
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(mount_child(&wd));
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		printf("# no mount namespace: not tried\n");
	else
		ok(status == 0, "a mount is not crossed (%d)", status);
	ok(went_well(workdir_remove(&wd)), "it goes when the mount is gone");
	workdir_close(&wd);
}

int main(void)
{
	umask(022);
	make_base();
	test_create();
	test_create_refused();
	test_copy_in();
	test_copy_in_refused();
	test_copy_out();
	test_remove();
	test_remove_fixed();
	test_remove_foreign();
	test_remove_wide();
	test_remove_stuck();
	test_remove_mount();
	ok(count_entries(at("runs")) == 2,
	   "one was moved away, its journal is there, no other left");
	if (chdir("/") < 0)
		die("/");
	drop_base();
	return done();
}
