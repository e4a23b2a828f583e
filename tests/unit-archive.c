/* SPDX-License-Identifier: MIT */

/*
 * What a hostile tree may try with its archive: to make it endless, to bring in
 * what is not its own, to write elsewhere when it is unpacked, to take memory.
 */

#include "artifact.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/xattr.h>

#include "archive.h"
#include "progress.h"
#include "tarball.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED 0
#endif

static char *out; /* the archive at hand */

static bool members(const char *what)
{
	return run("tar -tf '%s' --quoting-style=escape "
		   "--warning=no-unknown-keyword | %s",
		   out, what);
}

/* --- limits ------------------------------------------------------------- */

static void make_nine(void)
{
	char name[32];

	put_dir("a");
	put_dir("a/b");
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "a/%d", i);
		put_file(name, "1234567890", 0644);
	}
	put_link("a", "l");
	put_sparse("s", 1000, 0);
}

static void test_limits(void)
{
	static const struct {
		struct artifact_limits limits;
		const char *message, *remedy; /* NULL: it is written */
	} rows[] = {
		{ { .files = 9 } },
		{ { .files = 8 }, "more than 8 files", "--artifact-files" },
		{ { .bytes = 1050 } },
		{ { .bytes = 1049 },
		  "more than 1049 bytes",
		  "--artifact-bytes" },
		{ { .files = 1, .bytes = 1 }, "more than", "--artifact-" },
		{ { 0 } },
	};
	struct artifact a;

	begin(NULL);
	as_payload(&wd, make_nine);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int rc;

		allowed = rows[i].limits;
		rc = write_to(out, &a);
		if (rows[i].message == NULL) {
			ok(went_well(rc), "row %zu: within the limits", i);
			unlink(out);
			artifact_free(&a);
			continue;
		}
		ok(rc < 0 && failed_with(rows[i].message) &&
		       failed_with(rows[i].remedy),
		   "row %zu: %s", i, rows[i].message);
		err_reset();
		ok(count_entries(at("out")) == 0 && exists(wd.path),
		   "no half of it, and the workdir is there");
	}
	allowed = (struct artifact_limits){ 0 };
	end();
}

/* --- the same tree ------------------------------------------------------ */

static void stamp(const char *path)
{
	const struct timespec times[2] = { { STAMP, 5 }, { STAMP, 5 } };

	if (utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0)
		die(path);
}

static void put_numbers(int from, int step)
{
	char name[32];

	put_dir("d");
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "d/%d", (from + i * step) % 500);
		put_file(name, name, 0644);
	}
	put_link("d", "link");
	put_file("one", "1", 0644);
	if (link("one", "two") < 0)
		die("link");
	stamp("link");
	stamp("d");
	stamp(".");
}

static void make_upwards(void)
{
	put_numbers(0, 1);
}

/* Other inodes, another order in the directory, other times of access. */
static void make_jumping(void)
{
	put_file("first", "", 0644);
	put_numbers(7, 499);
	unlink("first");
	stamp(".");
}

static void test_same(void)
{
	static void (*const makes[])(void) = { make_upwards, make_jumping };
	auto_free char *paths[2] = { xstrdup(at("out/1.tar.zst")),
				     xstrdup(at("out/2.tar.zst")) };
	struct artifact a;

	for (int i = 0; i < 2; i++) {
		begin(makes[i]);
		ok(went_well(write_to(paths[i], &a)), "tree %d", i);
		artifact_free(&a);
		end();
	}
	ok(same_bytes(paths[0], paths[1]), "made otherwise, the same bytes");
	unlink(paths[0]);
	unlink(paths[1]);
	free(take_ptr(&paths[1]));
}

/* --- what is not of the tree -------------------------------------------- */

static void make_attributes(void)
{
	put_file("marked", "x\n", 0644);
	if (setxattr("marked", "user.evil", "payload", 7, 0) < 0)
		printf("# no attributes here: %s\n", strerror(errno));
}

static void test_attributes(void)
{
	const char caps[20] = { 1, 0, 0, 2, [4] = (char)0xff };
	struct artifact a;

	begin(make_attributes);
	if (geteuid() == 0 &&
	    setxattr(at("runs/%s.work/marked", wd.run_id),
		     "security.capability", caps, sizeof(caps), 0) < 0)
		printf("# no file capabilities: %s\n", strerror(errno));
	ok(went_well(write_to(out, &a)), "a file with attributes");
	ok(run("! grep -qaE 'SCHILY|LIBARCHIVE.xattr|evil|payload' '%s'", out),
	   "neither they nor capabilities are in the archive");
	artifact_free(&a);
	unlink(out);
	end();
}

static void make_links(void)
{
	char name[32];

	put_file("one", "once\n", 0644);
	put_dir("many");
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		if (link("one", name) < 0)
			die(name);
	}
}

static void test_links(void)
{
	struct artifact a;

	begin(make_links);
	ok(went_well(write_to(out, &a)) && a.files == 10001,
	   "10,000 links to one file");
	ok(members("grep -c . | grep -qx 10004") &&
	       run("tar -tvf '%s' | grep -c '^h' | grep -qx 10000", out),
	   "are links");
	artifact_free(&a);
	unlink(out);
	end();
}

/* --- changed while it is read ------------------------------------------- */

#define ROUNDS 10

static void swap(void)
{
	/* Till it is killed. */
	for (;;)
		renameat2(AT_FDCWD, "door", AT_FDCWD, "wall", RENAME_EXCHANGE);
}

/* Somebody who is alive against all promises, in the workdir. */
static pid_t start_changer(void (*change)(void))
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid != 0)
		return pid;
	if (fchdir(wd.work_fd) == 0 &&
	    (geteuid() != 0 || setresuid(wd.uid, wd.uid, wd.uid) == 0))
		change();
	_exit(1);
}

static void end_changer(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	ok(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status),
	   "it was at work to the end");
}

static void make_door(void)
{
	put_dir("door");
	put_file("door/secret", "mine\n", 0644);
	put_link(at("outside"), "wall");
}

static void test_swap(void)
{
	struct artifact a;
	int written = 0, leaked = 0;
	pid_t pid;

	put_dir(at("outside"));
	put_file(at("outside/secret"), "NOT-OF-THE-TREE\n", 0644);
	begin(make_door);
	ok(holds(at("runs/%s.work/wall/secret", wd.run_id),
		 "NOT-OF-THE-TREE\n"),
	   "by its path the link leads outside");
	pid = start_changer(swap);
	for (int i = 0; i < ROUNDS; i++) {
		if (write_to(out, &a) == 0) {
			written++;
			leaked += !run("! grep -qa NOT-OF-THE-TREE '%s'", out);
			unlink(out);
		}
		artifact_free(&a);
		err_reset();
	}
	end_changer(pid);
	ok(leaked == 0, "swapped all the time: of %d archives none leaks",
	   written);
	end();
}

#define FILE_SIZE 3000000

/* Into a pipe, which holds it up in the middle of the file: 0, 1 a failure. */
static int write_to_pipe(int fd, int pipe_fd)
{
	struct pack pack;
	struct tarball *t;
	struct tarball_count count;
	int rc = -1;

	if (pack_open(&pack, ARTIFACT_NONE, pipe_fd, "pipe") < 0)
		return 2;
	t = tarball_open(&pack, &(struct artifact_limits){ 0 });
	if (t && tarball_add_file(t, "file", fd) == 0)
		rc = tarball_finish(t, &count);
	tarball_free(t);
	pack_free(&pack);
	if (rc == 0)
		return 0;
	return failed_with("cannot archive file: No data available") ? 1 : 3;
}

static void test_size(off_t becomes, int wanted, const char *what)
{
	int fd, pipes[2], status;
	char *buf = malloc(1 << 16);
	ssize_t n;
	off_t got;
	pid_t pid;

	put_noise(at("file"), FILE_SIZE);
	fd = open(at("file"), O_RDWR | O_CLOEXEC);
	if (fd < 0 || pipe(pipes) < 0)
		die("pipe");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(pipes[0]);
		_exit(write_to_pipe(fd, pipes[1]));
	}
	close(pipes[1]);
	/* The header is on its way, and so is the length. */
	got = read(pipes[0], buf, 512);
	if (ftruncate(fd, becomes) < 0)
		die("ftruncate");
	while ((n = read(pipes[0], buf, 1 << 16)) > 0)
		got += n;
	ok(waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == wanted,
	   "%s", what);
	ok(wanted || got == 512 + (FILE_SIZE + 511) / 512 * 512 + 1024,
	   "%lld bytes came", (long long)got);
	close(pipes[0]);
	close(fd);
	unlink(at("file"));
	free(buf);
}

/* --- unpacked ----------------------------------------------------------- */

/* Links that lead where others could write, by every way that tar has. */
static void make_traps(void)
{
	put_link("..", "up");
	put_link("../../victim", "aside");
	put_link(at("victim"), "there");
	put_link(at("victim/file"), "a");
	put_dir("b");
	put_link("../a", "b/a");
	put_dir("aside ");
	put_file("aside /file", "trap\n", 0666);
	put_file("a ", "trap\n", 0666);
	put_file("..a", "trap\n", 06777);
	put_dir("...");
	put_file(".../file", "trap\n", 0666);
	put_file("--directory=..", "trap\n", 0666);
	put_file("C:\\file", "trap\n", 0666);
	if (link("there", "hard") < 0 || link("a", "b/hard") < 0)
		die("link to a link");
}

static const struct {
	const char *name, *command;
} readers[] = {
	{ "tar", "tar -xpf" },
	{ "bsdtar", "bsdtar -xpf" },
	{ "python3", "python3 -c 'import sys, tarfile\n"
		     "tarfile.open(sys.argv[1]).extractall()'" },
};

static void test_unpacked(void)
{
	struct artifact a;

	put_dir(at("victim"));
	put_file(at("victim/file"), "victim\n", 0644);
	begin(make_traps);
	put_dir(at("place"));
	ok(went_well(write_to(out, &a)), "a tree of traps");
	artifact_free(&a);
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		auto_free char *dir = xstrdup(at("place/%s", readers[i].name));

		if (!run("command -v %s >/dev/null", readers[i].name)) {
			printf("# %s: not installed\n", readers[i].name);
			continue;
		}
		put_dir(dir);
		/* Twice: the second time the links are there. */
		for (int turn = 0; turn < 2; turn++)
			(void)run("cd '%s' && %s '%s' 2>/dev/null", dir,
				  readers[i].command, out);
		ok(exists(at("place/%s/work/b", readers[i].name)),
		   "%s unpacks it", readers[i].name);
		ok(holds(at("victim/file"), "victim\n") &&
		       count_entries(at("victim")) == 1 &&
		       run("[ \"$(stat -c %%a '%s')\" = 644 ]",
			   at("victim/file")),
		   "what the links name is as it was");
		ok(count_entries(dir) == 2 && count_entries(at("place")) == 1,
		   "and all is below work/, but run.json");
		if (!run("rm -rf '%s'", dir))
			die(dir);
	}
	unlink(out);
	end();
}

/* --- no room ------------------------------------------------------------- */

static void make_some(void)
{
	put_noise("noise", 300000);
	put_file("text", "text\n", 0644);
}

/* Written up to a length, and not one byte more. */
static bool stops_at(const char *path, rlim_t length)
{
	const struct rlimit small = { length, RLIM_INFINITY };
	struct rlimit before;
	struct artifact a;
	bool good;
	int rc;

	getrlimit(RLIMIT_FSIZE, &before);
	setrlimit(RLIMIT_FSIZE, &small);
	rc = write_to(path, &a);
	setrlimit(RLIMIT_FSIZE, &before);
	good = did_fail(rc, "cannot write the archive") && a.path == NULL &&
	       count_entries(at("out")) == 0 && exists(wd.path);
	artifact_free(&a);
	return good;
}

static void test_every_length(void)
{
	static const char *const names[] = { "l.tar", "l.tar.gz", "l.tar.zst" };

	begin(make_some);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		auto_free char *path = xstrdup(at("out/%s", names[i]));
		struct artifact whole, again;
		int wrong = 0, tries = 0;

		ok(went_well(write_to(path, &whole)), "%s", names[i]);
		unlink(path);
		for (rlim_t n = 0; n < whole.bytes; n += 1 + whole.bytes / 9) {
			wrong += !stops_at(path, n);
			tries++;
		}
		wrong += !stops_at(path, whole.bytes - 1);
		ok(wrong == 0 && tries > 8,
		   "no room after any of %d lengths: no archive, no half of it",
		   tries);
		ok(went_well(write_to(path, &again)) &&
		       strcmp(whole.sha256, again.sha256) == 0,
		   "and then the same one");
		unlink(path);
		artifact_free(&whole);
		artifact_free(&again);
	}
	end();
}

/* --- how far it is ------------------------------------------------------ */

static void test_progress(void)
{
	struct progress p;
	char got[200] = "";
	int fds[2];
	ssize_t n;

	if (pipe2(fds, O_NONBLOCK) < 0)
		die("pipe");
	progress_start(&p, fds[1], "packing", 5000);
	progress_tell(&p, 1, 1 << 20, 5999);
	progress_end(&p);
	ok(read(fds[0], got, sizeof(got)) < 0, "nothing in the first second");
	progress_start(&p, fds[1], "packing", 5000);
	progress_tell(&p, 2, 3 << 19, 6000);
	progress_tell(&p, 3, 3 << 20, 6199);
	n = read(fds[0], got, sizeof(got) - 1);
	got[n < 0 ? 0 : n] = '\0';
	ok(strcmp(got, "\rpacking: 2 files, 1.5 MiB\033[K") == 0,
	   "a line, and the next one later");
	progress_tell(&p, 3, 3 << 20, 6200);
	progress_end(&p);
	n = read(fds[0], got, sizeof(got) - 1);
	got[n < 0 ? 0 : n] = '\0';
	ok(strcmp(got, "\rpacking: 3 files, 3.0 MiB\033[K\r\033[K") == 0,
	   "that is gone at the end");
	progress_start(&p, -1, "packing", 0);
	progress_tell(&p, 1, 1, 10000);
	progress_end(&p);
	ok(read(fds[0], got, sizeof(got)) < 0, "nobody looks: nothing");
	close(fds[0]);
	close(fds[1]);
}

/* However little room a terminal has, and whether anybody reads it or not. */
static void test_progress_stuck(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	int slave = -1, status = 0;
	pid_t pid;

	if (master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0)
		slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	if (slave < 0)
		die("a terminal");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct progress p;

		alarm(5);
		progress_start(&p, progress_open(slave), "packing", 0);
		for (uint64_t i = 1; i < 5000; i++)
			progress_tell(&p, i, i, i * PROGRESS_AFTER_MS);
		progress_end(&p);
		_exit(p.fd < 0);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "a terminal that nobody reads holds nothing");
	ok(!(fcntl(slave, F_GETFL) & O_NONBLOCK),
	   "and is as it was to all who have it");
	close(slave);
	close(master);
}

/* --- memory ------------------------------------------------------------- */

#define MEMORY_KIB (32 * 1024)

static void make_large(void)
{
	char name[64];
	int fd;

	put_dir("wide");
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "wide/%d-a-name-of-some-length",
			 i);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		if (fd < 0)
			die(name);
		close(fd);
	}
	put_sparse("giant", 50LL << 30, 49LL << 30);
	fd = open("giant", O_WRONLY);
	for (off_t at_ = 0; at_ < 200; at_++)
		if (pwrite(fd, "x", 1, at_ << 27) != 1)
			die("giant");
	close(fd);
	put_noise("noise", 40 << 20);
}

static int write_alone(void)
{
	struct rusage usage;
	struct artifact a;

	/* What we have ourselves counts for who is forked from us. */
	if (write_to(out, &a) < 0 || getrusage(RUSAGE_CHILDREN, &usage) < 0)
		return 1;
	printf("# 20,000 names, 50 GiB of holes, 40 MiB of noise: %ld KiB\n",
	       usage.ru_maxrss);
	fflush(stdout);
	return usage.ru_maxrss > MEMORY_KIB ? 2 : 0;
}

static void test_memory(void)
{
	int status;
	pid_t pid;

	if (SANITIZED) {
		printf("# the sanitizer has memory of its own\n");
		return;
	}
	begin(NULL);
	as_payload(&wd, make_large);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(write_alone());
	ok(waitpid(pid, &status, 0) == pid && status == 0,
	   "at most %d KiB are taken", MEMORY_KIB);
	unlink(out);
	end();
}

int main(void)
{
	umask(022);
	make_base();
	put_dir(at("out"));
	out = xstrdup(at("out/a.tar"));
	test_limits();
	test_same();
	test_attributes();
	test_links();
	test_swap();
	test_size(FILE_SIZE + 70000, 0, "a file that grows: as it was");
	test_size(1000, 1, "a file that shrinks is told, not padded");
	test_unpacked();
	test_every_length();
	test_progress();
	test_progress_stuck();
	free(out);
	out = xstrdup(at("out/a.tar.zst"));
	test_memory();
	free(out);
	drop_base();
	return done();
}
