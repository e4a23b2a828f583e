/* SPDX-License-Identifier: MIT */

/* Masking of secrets, and reading a process that waits: this one. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec.h"
#include "exec_hash.h"
#include "exec_look.h"
#include "secret.h"
#include "tap.h"

static const struct mask {
	const char *text;
	bool cut;
	const char *want;
} masks[] = {
	{ "", false, "" },
	{ "nothing here", true, "nothing here" },
	{ "swordfish1", false, "***" },
	{ "a=swordfish1,swordfish1!", false, "a=***,***!" },
	{ "swordfishswordfish1", false, "swordfish***" },
	/* The longer one, not its beginning. */
	{ "swordfish1-long", false, "***" },
	{ "swordfish", false, "swordfish" },
	{ "a=swordfish", true, "a=***" },
	{ "a=swor", true, "a=***" },
	{ "a=swo", true, "a=swo" },
	{ "swordfish1 swor", true, "*** ***" },
};

static void test_mask(void)
{
	char *values[] = { (char *)"swordfish1", (char *)"swordfish1-long",
			   NULL };
	const struct strv secrets = { values, 2 }, none = { 0 };
	auto_free char *same = secret_mask(&none, "swordfish1", true);

	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		const struct mask *m = &masks[i];
		auto_free char *got = secret_mask(&secrets, m->text, m->cut);

		ok(strcmp(got, m->want) == 0, "\"%s\" becomes \"%s\": %s",
		   m->text, m->want, got);
	}
	ok(strcmp(same, "swordfish1") == 0, "without secrets nothing changes");
}

static void test_collect(void)
{
	char *env[] = { (char *)"LONG=0123456789", (char *)"SHORT=yes",
			(char *)"LONGER=not asked for", NULL };
	char *names[] = { (char *)"LONG", (char *)"SHORT", (char *)"NONE",
			  NULL };
	struct plan plan = { .env = { env, 3 } };
	struct spec spec = { .env_pass = { names, 3 } };
	auto_strv struct strv secrets = { 0 };

	secret_collect(&secrets, &plan, &spec);
	ok(secrets.n == 1 && strv_has(&secrets, "0123456789"),
	   "long values of passed variables are secrets, %zu", secrets.n);
}

static void look(struct exec_attempt *a, const char *path, char *const *argv)
{
	struct exec_place place;
	const uint64_t args[6] = { (uint64_t)(uintptr_t)path,
				   (uint64_t)(uintptr_t)argv };

	*a = EXEC_ATTEMPT_NONE;
	exec_place_open(&place);
	exec_look(a, &place, getpid(), args, false);
	exec_look_judge(a);
	exec_place_close(&place);
}

static const struct judged {
	const char *path;
	enum exec_verdict verdict;
	bool file;
} judgements[] = {
	{ "/bin/sh", EXEC_ALLOWED, true },
	{ "/bin/../bin/sh", EXEC_ALLOWED, true },
	{ "/usr/bin/no-such-program", EXEC_ABSENT, false },
	{ "/no/such/folder/at/all", EXEC_ABSENT, false },
	{ "no-such-program", EXEC_ABSENT, false },
	{ "/usr", EXEC_DENIED, true },
	{ "/etc/passwd", EXEC_DENIED, true },
	{ "/proc/self/exe", EXEC_ALLOWED, true },
	/* What our own view cannot follow is not called absent. */
	{ "link", EXEC_ALLOWED, false },
	{ "link/below", EXEC_ALLOWED, false },
};

static void test_judge(void)
{
	char *argv[] = { (char *)"x", NULL };

	for (size_t i = 0; i < ARRAY_SIZE(judgements); i++) {
		const struct judged *j = &judgements[i];
		struct exec_attempt a;

		look(&a, j->path, argv);
		ok(a.verdict == j->verdict && (a.file_fd >= 0) == j->file,
		   "%s: verdict %d, %s", j->path, a.verdict,
		   a.file_fd >= 0 ? "found" : "not found");
		exec_attempt_free(&a);
	}
}

/* Two pages of which only the first is there. */
static char *edge_of_memory(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *map = mmap(NULL, (size_t)page * 2, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(map + page, (size_t)page);
	return map + page;
}

static void test_memory(void)
{
	char *edge = edge_of_memory();
	char *many[EXEC_ARGS_MAX + 2] = { 0 }, big[4096] = { 0 };
	char *long_argv[] = { (char *)"x", big, (char *)"y", NULL };
	char *bad_argv[] = { (char *)"x", edge, NULL };
	struct exec_attempt a;

	memcpy(edge - 8, "/bin/sh", 8);
	memset(big, 'b', sizeof(big) - 1);
	for (size_t i = 0; i <= EXEC_ARGS_MAX; i++)
		many[i] = (char *)"a";
	look(&a, edge - 8, many);
	ok(strcmp(a.path, "/bin/sh") == 0 && !a.path_cut,
	   "a path that ends with the memory: %s", a.path);
	ok(a.argv.n == EXEC_ARGS_MAX && a.argv_cut, "%zu arguments", a.argv.n);
	exec_attempt_free(&a);
	memcpy(edge - 4, "/bin", 4);
	look(&a, edge - 4, long_argv);
	ok(strcmp(a.path, "/bin") == 0 && a.path_cut,
	   "a path that does not end: %s", a.path);
	ok(a.argv.n == 2 && a.argv_cut &&
	       strlen(a.argv.v[0]) + strlen(a.argv.v[1]) < EXEC_ARGS_BYTES,
	   "arguments that are too long, %zu", a.argv.n);
	exec_attempt_free(&a);
	look(&a, "/bin/sh", bad_argv);
	ok(a.argv.n == 1 && a.argv_cut, "an argument that is nowhere");
	exec_attempt_free(&a);
	look(&a, edge, NULL);
	ok(strcmp(a.path, "?") == 0 && a.reason, "a path that is nowhere");
	exec_attempt_free(&a);
	look(&a, "/bin/sh", NULL);
	ok(a.argv.n == 0 && !a.argv_cut, "no arguments at all");
	ok(a.pid == getpid() && a.outer_ppid == getppid(), "pid and parent");
	exec_attempt_free(&a);
}

/* Path and arguments side by side, as in a shell: read at once. */
static void test_side_by_side(void)
{
	static char page[4096] __attribute__((aligned(4096)));
	static char beyond[] = "beyond";
	char *argv[] = { page + 16, page + 32, NULL, NULL };
	struct exec_attempt a;

	strcpy(page, "/bin/sh");
	strcpy(page + 16, "sh");
	memset(page + 32, 'c', 200);
	look(&a, page, argv);
	ok(strcmp(a.path, "/bin/sh") == 0 && a.argv.n == 2 && !a.argv_cut &&
	       strcmp(a.argv.v[0], "sh") == 0 && strlen(a.argv.v[1]) == 200,
	   "a path and its arguments in one page, one of them longer");
	exec_attempt_free(&a);
	page[33] = '\0';
	argv[2] = beyond;
	look(&a, page, argv);
	ok(a.argv.n == 3 && strcmp(a.argv.v[1], "c") == 0 &&
	       strcmp(a.argv.v[2], beyond) == 0,
	   "and one that is elsewhere");
	exec_attempt_free(&a);
	/* Up to the page's end, where no next one is known of. */
	memcpy(page + 4093, "end", 3);
	argv[1] = page + 4093;
	argv[2] = NULL;
	look(&a, page, argv);
	ok(a.argv.n == 2 && strncmp(a.argv.v[1], "end", 3) == 0,
	   "and one that goes on in the next page");
	exec_attempt_free(&a);
}

/* To no sink. */
static struct event_log open_log(void)
{
	struct event_log log;

	event_open(&log, "run", NULL, NULL, NULL, -1);
	return log;
}

/* When all of it was executed. */
static const struct timespec then = { .tv_sec = 1000000000, .tv_nsec = 7 };

static void test_hash(void)
{
	struct event_log log = open_log();
	struct exec_hashes *hashes = exec_hash_new(&log, NULL);
	auto_fd int fd = open("/bin/sh", O_PATH | O_CLOEXEC);
	struct stat st;

	fstat(fd, &st);
	exec_hash_add(hashes, fd, &st, "/bin/sh", &then);
	exec_hash_add(hashes, fd, &st, "/bin/sh", &then);
	ok(hashes->n_jobs == 1, "a file is hashed once");
	while (exec_hash_pending(hashes))
		exec_hash_step(hashes);
	ok(log.seq == 1, "and told once, %llu", (unsigned long long)log.seq);
	ok(log.when.tv_sec == then.tv_sec && log.when.tv_nsec == then.tv_nsec,
	   "as of its execution");
	exec_hash_add(hashes, fd, &st, "/bin/sh", &then);
	ok(!exec_hash_pending(hashes), "and not again");
	/* Written anew, with all else as it was. */
	st.st_ctim.tv_nsec ^= 1;
	exec_hash_add(hashes, fd, &st, "/bin/sh", &then);
	ok(exec_hash_pending(hashes), "but when it was changed in between");
	while (exec_hash_pending(hashes))
		exec_hash_step(hashes);
	st.st_size = (off_t)EXEC_HASH_FILE_MAX + 1;
	exec_hash_add(hashes, fd, &st, "/bin/sh", &then);
	ok(!exec_hash_pending(hashes) && log.seq == 3 &&
	       log.when.tv_sec == then.tv_sec,
	   "one that is too big is told without");
	exec_hash_free(hashes);
	event_close(&log);
}

/* A payload's compiler makes thousands; each is told once for as long as there is
 * room, and beyond that we neither stop nor tell of none. */
static void test_many(void)
{
	struct event_log log = open_log();
	struct exec_hashes *hashes = exec_hash_new(&log, NULL);
	auto_fd int fd = open("/bin/sh", O_PATH | O_CLOEXEC);
	const unsigned many = EXEC_HASH_SEEN / 2;
	struct stat st;

	fstat(fd, &st);
	st.st_size = (off_t)EXEC_HASH_FILE_MAX + 1;
	for (unsigned i = 0; i < 2 * many; i++) {
		st.st_ino = 1 + i % many;
		exec_hash_add(hashes, fd, &st, "/bin/sh", &then);
	}
	ok(log.seq == many, "%u files are told once each: %llu", many,
	   (unsigned long long)log.seq);
	for (unsigned i = 0; i < EXEC_HASH_SEEN; i++) {
		st.st_ino = 1 + many + i;
		exec_hash_add(hashes, fd, &st, "/bin/sh", &then);
	}
	ok(log.seq == many + EXEC_HASH_SEEN, "and newcomers after them: %llu",
	   (unsigned long long)log.seq);
	exec_hash_free(hashes);
	event_close(&log);
}

static void read_all(struct exec_hashes *hashes)
{
	while (exec_hash_pending(hashes))
		exec_hash_step(hashes);
}

/* The program is read before it is executed, and told only then. */
static void test_expect(void)
{
	struct event_log log = open_log();
	struct exec_hashes *hashes = exec_hash_new(&log, NULL);
	auto_fd int fd = open("/bin/sh", O_PATH | O_CLOEXEC);
	auto_fd int other = open("/bin/cat", O_PATH | O_CLOEXEC);
	struct stat st;

	exec_hash_expect(hashes, "/bin/sh");
	read_all(hashes);
	ok(log.seq == 0, "what is expected is read and not told");
	fstat(fd, &st);
	exec_hash_add(hashes, fd, &st, "/bin/sh", &then);
	ok(log.seq == 1 && !exec_hash_pending(hashes) &&
	       log.when.tv_sec == then.tv_sec,
	   "its execution tells the hash at once");
	exec_hash_free(hashes);
	hashes = exec_hash_new(&log, NULL);
	exec_hash_expect(hashes, "/bin/sh");
	read_all(hashes);
	fstat(other, &st);
	exec_hash_add(hashes, other, &st, "/bin/cat", &then);
	ok(hashes->n_jobs == 1 && strcmp(hashes->jobs[0].path, "/bin/cat") == 0,
	   "another file takes its place");
	read_all(hashes);
	ok(log.seq == 2, "and is told");
	exec_hash_free(hashes);
	hashes = exec_hash_new(&log, NULL);
	exec_hash_expect(hashes, "/bin/sh");
	exec_hash_free(hashes);
	ok(log.seq == 2, "one that never ran is not told");
	event_close(&log);
}

static struct {
	const char *head; /* of the audit log */
	int looks, opens, locked;
} touched;

static void note_lock(void)
{
	auto_fd int fd = open(touched.head, O_RDWR | O_CLOEXEC);

	touched.locked += flock(fd, LOCK_EX | LOCK_NB) != 0;
}

static void note_open(int sig)
{
	touched.opens += sig == SIGIO;
	note_lock();
}

/* In the place of libc's: the first that a file system hears of a look. */
int fstatvfs(int fd, struct statvfs *out)
{
	struct statfs fs;

	if (touched.head) {
		touched.looks++;
		note_lock();
	}
	*out = (struct statvfs){ 0 };
	return fstatfs(fd, &fs);
}

/* One that waits to be recorded, of a file that tells when it is opened. */
static struct exec_attempt waiting_attempt(const char *path, int *lease_fd)
{
	struct exec_attempt a = { .path = xstrdup(path),
				  .target = xstrdup(path) };

	*lease_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0700);
	a.file_fd = open(path, O_PATH | O_CLOEXEC);
	exec_look_state(&a.file_fd, &a.st);
	signal(SIGIO, note_open);
	ok(fcntl(*lease_fd, F_SETLEASE, F_WRLCK) == 0, "a lease");
	return a;
}

/* A file system of the payload's may hang, and other runs want the log. */
static void test_unlocked(void)
{
	struct strv secrets = { 0 };
	struct plan plan = { 0 };
	struct outcome outcome = { 0 };
	struct event_log log;
	struct exec_recorder r = { .plan = &plan,
				   .secrets = &secrets,
				   .log = &log,
				   .outcome = &outcome };
	auto_fd int lease_fd = -1;

	ok(event_open(&log, "run", NULL, "audit", NULL, -1) == 0, "a log");
	r.hashes = exec_hash_new(&log, NULL);
	r.later[r.n_later++] = waiting_attempt("program", &lease_fd);
	touched.head = "audit.head";
	exec_settle(&r);
	touched.head = NULL;
	ok(log.seq == 2 && touched.looks == 1 && touched.opens == 1,
	   "its mount is looked at, and it is opened, once: %d, %d",
	   touched.looks, touched.opens);
	ok(touched.locked == 0, "while the audit log is anybody's");
	exec_hash_free(r.hashes);
	event_close(&log);
	outcome_free(&outcome);
	signal(SIGIO, SIG_DFL);
	unlink("program");
	unlink("audit");
	unlink("audit.head");
}

static int tell_fd;

static void *tell_thread(void *unused)
{
	pid_t thread = gettid();

	if (write(tell_fd, &thread, sizeof(thread)) == sizeof(thread))
		pause();
	return unused;
}

/* A child that waits to be killed, and its second thread. */
static pid_t start_waiting(pid_t *second)
{
	int fds[2];
	pthread_t thread;
	pid_t pid = pipe2(fds, O_CLOEXEC) < 0 ? -1 : fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		tell_fd = fds[1];
		if (pthread_create(&thread, NULL, tell_thread, NULL) == 0)
			pause();
		_exit(0);
	}
	close(fds[1]);
	ok(read(fds[0], second, sizeof(*second)) == sizeof(*second),
	   "a child with two threads");
	close(fds[0]);
	return pid;
}

static void end_waiting(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void compare_ids(struct exec_place *asked, pid_t pid, const char *what)
{
	struct exec_attempt a = EXEC_ATTEMPT_NONE, b = EXEC_ATTEMPT_NONE;
	struct exec_place read;

	exec_place_open(&read);
	exec_look_ids(&a, asked, pid);
	exec_look_ids(&b, &read, pid);
	ok(a.pid == b.pid && a.outer_ppid == b.outer_ppid,
	   "%s: %d of %d by the kernel, %d of %d by /proc", what, (int)a.pid,
	   (int)a.outer_ppid, (int)b.pid, (int)b.outer_ppid);
	ok(exec_look_inner(asked, pid) == a.pid &&
	       exec_look_inner(&read, pid) == a.pid,
	   "%s: the same when only one number is wanted", what);
	exec_place_close(&read);
}

static void test_ids(void)
{
	struct exec_place place;
	pid_t child, second = 0;

	exec_place_open(&place);
	place.ns_fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	compare_ids(&place, getpid(), "a process");
	child = start_waiting(&second);
	compare_ids(&place, second, "a second thread");
	compare_ids(&place, child, "a child");
	compare_ids(&place, child, "one more of the same parent");
	ok(place.old || place.children_fd >= 0 ||
	       access("/proc/thread-self/children", R_OK) < 0,
	   "whose list is kept");
	compare_ids(&place, child, "a child on the list");
	compare_ids(&place, second, "a thread, which is on no list");
	compare_ids(&place, getpid(), "a child of another");
	ok(place.children_fd < 0, "the list of a former parent is not");
	compare_ids(&place, child, "a child once more");
	end_waiting(child);
	/* As on a kernel that does not know the question. */
	cleanup_fd(&place.ns_fd);
	place.ns_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ok(exec_look_inner(&place, getpid()) == getpid() && place.old,
	   "a kernel that cannot be asked is read");
	exec_place_close(&place);
}

/* In a process of its own, and its last: what it starts from here on is in
 * another namespace, where in the end nothing can be started any more. */
static void test_ids_inside(void)
{
	int flags = CLONE_NEWPID | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
	struct exec_place place;
	pid_t first, child, threads[2];

	if (unshare(flags) < 0) {
		ok(true, "# SKIP no namespaces here");
		return;
	}
	exec_place_open(&place);
	first = start_waiting(&threads[0]);
	child = start_waiting(&threads[1]);
	place.ns_fd = exec_open_entry(&place, child, "ns/pid", O_RDONLY);
	compare_ids(&place, first, "the first inside");
	compare_ids(&place, child, "the next inside");
	ok(exec_look_inner(&place, child) == 3, "numbers are those inside");
	ok(place.old || exec_look_inner(&place, getpid()) == 0,
	   "one outside has no number inside");
	end_waiting(child);
	ok(exec_look_inner(&place, child) == 0, "nor has one that is gone");
	end_waiting(first);
	exec_place_close(&place);
}

/* The sanitizers have to start a process at the end, so ours stays outside. */
static int end_inside(void)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		test_ids_inside();
		status = done();
		fflush(stdout);
		_exit(status);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)
		   ? 99
		   : WEXITSTATUS(status);
}

int main(void)
{
	char dir[] = "/tmp/unit-exec.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) < 0 ||
	    symlink("/nowhere/at/all", "link") < 0)
		return 99;
	test_mask();
	test_collect();
	test_judge();
	test_memory();
	test_side_by_side();
	test_hash();
	test_many();
	test_expect();
	test_unlocked();
	test_ids();
	unlink("link");
	if (chdir("/") < 0 || rmdir(dir) < 0)
		return 99;
	return end_inside();
}
