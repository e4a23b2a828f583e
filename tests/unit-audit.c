/* SPDX-License-Identifier: MIT */
#include "audit.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "tap.h"
#include "util.h"

static char dir[256];
static char *report; /* of the last verify() */

static char *in_dir(const char *name)
{
	return path_join(dir, name);
}

static char *slurp(const char *path, size_t *len)
{
	char *text = read_file(AT_FDCWD, path, 64 * 1024 * 1024, len);

	return text ? text : xstrdup("");
}

static void spill(const char *path, const char *text, size_t len)
{
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			      0600);

	if (write_all(fd, text, len) != 0)
		ok(false, "cannot write %s", path);
}

static int verify(const char *path)
{
	size_t size;
	FILE *out;
	int rc;

	free(report);
	report = NULL;
	out = open_memstream(&report, &size);
	rc = audit_verify(path, out);
	fclose(out);
	printf("# %s\n", report);
	if (rc < 0)
		err_reset();
	return rc;
}

static void write_lines(const char *path, int n, const char *who)
{
	struct audit audit;

	if (audit_open(&audit, path) != 0)
		_exit(1);
	for (int i = 0; i < n; i++) {
		auto_free char *json = xasprintf("{\"who\":\"%s\",\"n\":%d}",
						 who, i);

		if (audit_append(&audit, json) != 0)
			_exit(2);
	}
	audit_close(&audit);
}

static void test_chain(void)
{
	auto_free char *path = in_dir("chain/deep/audit.jsonl");
	auto_free char *head = xasprintf("%s.head", path);
	auto_free char *text = NULL;
	struct stat st;

	write_lines(path, 2, "a");
	write_lines(path, 3, "b");
	ok(verify(path) == 0 && strstr(report, "5 lines, as they were written"),
	   "two runs make one chain");
	ok(strstr(report, "begins: new") != NULL, "it says where it begins");
	text = slurp(path, NULL);
	ok(strncmp(text, "{\"prev\":\"0000000000000000", 25) == 0 &&
	       strstr(text, "0\",\"begins\":true,\"who\":\"a\",\"n\":0}\n"),
	   "the first line says that it is");
	ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600 &&
	       stat(head, &st) == 0 && (st.st_mode & 0777) == 0600,
	   "both files are private");
	ok(verify("/nonexistent") < 0, "a missing file is an error");
}

/*** Whatever is done to a log, and what is said of it ***/

#define LINES 40

struct lines {
	char *v[LINES + 2];
	size_t n;
};

static void flip(struct lines *l)
{
	char *digit = strstr(l->v[19], "\"n\":");

	digit[4] = digit[4] == '1' ? '2' : '1';
}

static void flip_prev(struct lines *l)
{
	l->v[19][12] = l->v[19][12] == 'a' ? 'b' : 'a';
}

static void flip_last(struct lines *l)
{
	char *who = strstr(l->v[LINES - 1], "\"x\"");

	who[1] = 'y';
}

static void drop(struct lines *l, size_t i)
{
	free(l->v[i]);
	memmove(l->v + i, l->v + i + 1, (l->n - i) * sizeof(l->v[0]));
	l->n--;
}

static void drop_middle(struct lines *l)
{
	drop(l, 19);
}

static void drop_first(struct lines *l)
{
	drop(l, 0);
}

static void drop_last(struct lines *l)
{
	drop(l, LINES - 1);
}

static void drop_all(struct lines *l)
{
	while (l->n)
		free(l->v[--l->n]);
}

static void add(struct lines *l)
{
	memmove(l->v + 20, l->v + 19, (l->n - 19) * sizeof(l->v[0]));
	l->v[19] = xstrdup("{\"who\":\"forged\"}");
	l->n++;
}

static void add_twin(struct lines *l)
{
	memmove(l->v + 20, l->v + 19, (l->n - 19) * sizeof(l->v[0]));
	l->v[19] = xstrdup(l->v[20]);
	l->n++;
}

static void add_last(struct lines *l)
{
	l->v[l->n++] = xstrdup("{\"who\":\"forged\"}");
}

static void swap(struct lines *l)
{
	char *line = l->v[19];

	l->v[19] = l->v[20];
	l->v[20] = line;
}

static void cut(struct lines *l)
{
	l->v[LINES - 1][strlen(l->v[LINES - 1]) / 2] = '\0';
}

static void cut_middle(struct lines *l)
{
	l->v[19][90] = '\0';
}

static const struct harm {
	const char *name;
	void (*do_it)(struct lines *l);
	const char *said;
} harms[] = {
	{ "altered", flip, "line 21: does not follow" },
	{ "altered link", flip_prev, "line 20: does not follow" },
	{ "altered last", flip_last, "line 40: is not the one" },
	{ "removed", drop_middle, "line 20: does not follow" },
	{ "removed first", drop_first, "line 1: is not the first" },
	{ "removed last", drop_last, "line 39: is the last, but" },
	{ "removed all", drop_all, "line 0: there is none" },
	{ "inserted", add, "line 20: is no line" },
	{ "inserted twin", add_twin, "line 21: does not follow" },
	{ "appended", add_last, "line 41: is no line" },
	{ "reordered", swap, "line 20: does not follow" },
	{ "cut within the last", cut, "line 40: is no line" },
	{ "cut within a line", cut_middle, "line 21: does not follow" },
};

static void split(char *text, struct lines *l)
{
	char *save = NULL;

	l->n = 0;
	for (char *line = strtok_r(text, "\n", &save); line && l->n < LINES;
	     line = strtok_r(NULL, "\n", &save))
		l->v[l->n++] = xstrdup(line);
}

static void join(const char *path, const struct lines *l)
{
	FILE *file = fopen(path, "we");

	for (size_t i = 0; i < l->n; i++)
		fprintf(file, "%s\n", l->v[i]);
	fclose(file);
}

static void test_harms(void)
{
	auto_free char *path = in_dir("harm.jsonl");
	auto_free char *head = xasprintf("%s.head", path);
	size_t len, head_len;
	auto_free char *text = NULL, *head_text = NULL;

	write_lines(path, LINES, "x");
	text = slurp(path, &len);
	head_text = slurp(head, &head_len);
	for (size_t i = 0; i < ARRAY_SIZE(harms); i++) {
		auto_free char *copy = xstrdup(text);
		struct lines l;
		int whole;

		spill(path, text, len);
		spill(head, head_text, head_len);
		whole = verify(path);
		split(copy, &l);
		harms[i].do_it(&l);
		join(path, &l);
		ok(whole == 0 && verify(path) == 1 &&
		       strstr(report, harms[i].said),
		   "%s is found", harms[i].name);
		/* What the next run adds does not heal it. */
		write_lines(path, 1, "later");
		ok(l.n == 0 || verify(path) == 1, "and stays found");
		for (size_t k = 0; k < l.n; k++)
			free(l.v[k]);
	}
}

static void test_no_head(void)
{
	auto_free char *path = in_dir("headless.jsonl");
	auto_free char *head = xasprintf("%s.head", path);

	write_lines(path, 3, "a");
	unlink(head);
	ok(verify(path) == 0 && strstr(report, "no ") &&
	       strstr(report, "only a hash kept elsewhere"),
	   "without a head it says what it cannot prove");
	write_lines(path, 3, "b");
	ok(verify(path) == 0 && strstr(report, "6 lines"),
	   "the chain goes on from the last line");
	spill(head, "rubbish", 7);
	write_lines(path, 1, "c");
	ok(verify(path) == 0 && strstr(report, "7 lines"),
	   "and from behind a damaged head");
}

/*** Ends that nobody meant ***/

static void test_torn(void)
{
	auto_free char *path = in_dir("torn.jsonl");
	auto_free char *text = NULL;
	auto_fd int fd = -1;

	write_lines(path, 2, "a");
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	ok(write_all(fd, "{\"prev\":\"12", 11) == 0, "half a line");
	ok(verify(path) == 1 && strstr(report, "line 3: is cut off"),
	   "is told");
	write_lines(path, 2, "b");
	text = slurp(path, NULL);
	ok(strstr(text, "\n{\"prev\":\"12\n{\"prev\":\"") &&
	       !strstr(text, "\n\n"),
	   "the torn line is ended first");
	ok(verify(path) == 1 && strstr(report, "line 3: is no line") &&
	       !strstr(report, "line 4"),
	   "and the chain goes on behind it");
}

/* A writer dies between its line and the head. */
static void test_behind(void)
{
	auto_free char *path = in_dir("behind.jsonl");
	auto_free char *head = xasprintf("%s.head", path);
	auto_free char *text = NULL;
	size_t len;

	write_lines(path, 2, "a");
	text = slurp(head, &len);
	write_lines(path, 1, "killed");
	spill(head, text, len);
	ok(verify(path) == 0 && strstr(report, "1 at the end by a run"),
	   "a head that is behind");
	write_lines(path, 2, "b");
	ok(verify(path) == 0 && strstr(report, "5 lines"), "is passed");
}

/* The writer knows what it wrote, and does not read it again. */
static void test_cut_while_open(void)
{
	auto_free char *path = in_dir("open.jsonl");
	struct audit audit;
	struct stat st;

	ok(audit_open(&audit, path) == 0, "a log that stays open");
	for (int i = 0; i < 3; i++)
		audit_append(&audit, "{\"who\":\"a\",\"n\":1}");
	ok(verify(path) == 0 && strstr(report, "3 lines, as"), "holds");
	write_lines(path, 1, "another");
	audit_append(&audit, "{\"who\":\"a\",\"n\":1}");
	ok(verify(path) == 0 && strstr(report, "5 lines, as"),
	   "also when another has written meanwhile");
	ok(stat(path, &st) == 0 && truncate(path, st.st_size - 20) == 0,
	   "an end that is cut off");
	audit_append(&audit, "{\"who\":\"a\",\"n\":1}");
	ok(verify(path) == 1, "shows");
	audit_close(&audit);
}

/*** Lines that come together ***/

static int wait_all(void)
{
	int failed = 0, status;

	while (wait(&status) > 0)
		failed += status != 0;
	return failed;
}

static int occurrences(const char *text, const char *of)
{
	int n = 0;

	while ((text = strstr(text, of)) != NULL) {
		text += strlen(of);
		n++;
	}
	return n;
}

static int append_to(struct audit *audit, int n)
{
	int failed = 0;

	while (n-- > 0)
		failed += audit_append(audit, "{\"who\":\"held\"}") != 0;
	return failed;
}

static void test_hold(void)
{
	auto_free char *path = in_dir("hold.jsonl");
	auto_free char *text = NULL, *head = xasprintf("%s.head", path);
	auto_fd int fd = -1;
	struct audit audit;

	write_lines(path, 1, "a");
	fd = open(head, O_RDWR | O_CLOEXEC);
	audit_open(&audit, path);
	audit_hold(&audit);
	ok(append_to(&audit, 3) == 0, "three lines of one hold");
	text = slurp(path, NULL);
	ok(occurrences(text, "held") == 3, "each stands there at once");
	ok(!audit_lock(fd, 0), "meanwhile nobody else writes");
	audit_release(&audit);
	write_lines(path, 2, "b");
	ok(append_to(&audit, 1) == 0 && verify(path) == 0 &&
	       strstr(report, "7 lines, as they were written"),
	   "others go on after it, and so do we");
	audit_close(&audit);
}

/* Killed between its lines and the release. */
static void test_hold_death(void)
{
	auto_free char *path = in_dir("hold-death.jsonl");
	struct audit audit;

	write_lines(path, 1, "a");
	if (fork() == 0) {
		audit_open(&audit, path);
		audit_hold(&audit);
		_exit(append_to(&audit, 3));
	}
	ok(wait_all() == 0 && verify(path) == 0 &&
	       strstr(report, "3 at the end by a run"),
	   "a hold that was never released leaves whole lines");
	write_lines(path, 2, "b");
	ok(verify(path) == 0 && strstr(report, "6 lines"),
	   "behind which the chain goes on");
}

/* A line that found no room in the midst of a hold. */
static void test_hold_full(void)
{
	auto_free char *path = in_dir("hold-full.jsonl");
	struct rlimit limit, tight;
	struct audit audit;
	struct stat st;

	write_lines(path, 1, "a");
	audit_open(&audit, path);
	audit_hold(&audit);
	append_to(&audit, 1);
	fstat(audit.fd, &st);
	getrlimit(RLIMIT_FSIZE, &limit);
	tight = limit;
	tight.rlim_cur = (rlim_t)st.st_size + 20;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &tight);
	ok(append_to(&audit, 1) == 1, "a full disk within a hold is said");
	setrlimit(RLIMIT_FSIZE, &limit);
	ok(append_to(&audit, 2) == 0, "later lines find their place");
	audit_release(&audit);
	audit_close(&audit);
	ok(verify(path) == 1 && strstr(report, "line 3: is no line") &&
	       !strstr(report, "line 4"),
	   "behind the half of the one that was lost");
}

/*** Many at once, and rotation ***/

static void fork_writers(const char *path, int n, int lines)
{
	for (int i = 0; i < n; i++)
		if (fork() == 0) {
			auto_free char *who = xasprintf("w%d", i);

			write_lines(path, lines, who);
			_exit(0);
		}
}

static void test_concurrent(void)
{
	auto_free char *path = in_dir("many.jsonl");

	fork_writers(path, 50, 100);
	ok(wait_all() == 0, "50 writers end well");
	ok(verify(path) == 0 && strstr(report, "5000 lines, as"),
	   "5000 whole lines in one chain");
}

/* Until the file `stop` is there; counts its lines. */
static void write_until(const char *path, const char *stop, atomic_int *lines)
{
	while (access(stop, F_OK) != 0) {
		write_lines(path, 20, "w");
		atomic_fetch_add(lines, 20);
	}
	_exit(0);
}

/* logrotate renames the file under those who write. */
static void test_rotation(void)
{
	auto_free char *path = in_dir("rotated.jsonl");
	auto_free char *all = in_dir("all.jsonl");
	auto_free char *stop = in_dir("stop");
	auto_free char *command = NULL, *want = NULL;
	atomic_int *lines = mmap(NULL, sizeof(*lines), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 5; i++)
		if (fork() == 0)
			write_until(path, stop, lines);
	for (int rotations = 0; rotations < 20;) {
		auto_free char *to = xasprintf("%s.%02d", path, rotations);
		struct stat st;

		if (stat(path, &st) == 0 && st.st_size > 5000 &&
		    rename(path, to) == 0)
			rotations++;
		usleep(1000);
	}
	spill(stop, "", 0);
	ok(wait_all() == 0, "five writers end well");
	write_lines(path, 1, "last");
	command = xasprintf("cat %s.[0-9]* %s >%s", path, path, all);
	want = xasprintf(": %d lines, as", *lines + 1);
	ok(system(command) == 0 && verify(all) == 0 && strstr(report, want),
	   "21 files make one chain with all lines");
	ok(verify(path) == 0 && strstr(report, "begins: after "),
	   "the last says what it follows");
	ok(truncate(path, 0) == 0, "copytruncate");
	write_lines(path, 2, "anew");
	ok(verify(path) == 0 && strstr(report, "2 lines, as") &&
	       strstr(report, "begins: after "),
	   "begins after what was there");
}

/* Somebody holds the lock and sleeps: the run goes on. */
static void test_stuck_lock(void)
{
	auto_free char *path = in_dir("stuck.jsonl");
	auto_free char *head = xasprintf("%s.head", path);
	auto_fd int fd = -1;
	uint64_t before;

	write_lines(path, 1, "a");
	fd = open(head, O_RDONLY | O_CLOEXEC);
	flock(fd, LOCK_EX);
	before = now_ms(CLOCK_MONOTONIC);
	write_lines(path, 100, "b");
	ok(now_ms(CLOCK_MONOTONIC) - before < 10000, "a stuck lock is passed");
	flock(fd, LOCK_UN);
	ok(verify(path) == 0 && strstr(report, "101 lines"),
	   "and the lines are there");
}

static void test_refusals(void)
{
	auto_free char *path = in_dir("closed.jsonl");
	auto_free char *head = xasprintf("%s.head", path);
	auto_free char *victim = in_dir("victim");
	struct audit audit;

	ok(symlink(victim, head) == 0 && audit_open(&audit, path) != 0 &&
	       audit.fd < 0 && audit.head_fd < 0,
	   "a link in place of the head is refused");
	ok(access(victim, F_OK) != 0, "nothing was made through it");
	err_reset();
	unlink(head);
	ok(mkfifo(head, 0600) == 0 && audit_open(&audit, path) != 0,
	   "so is a fifo");
	err_reset();
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	auto_free char *remove = NULL;

	snprintf(dir, sizeof(dir), "%s/m9m-audit.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return 1;
	test_chain();
	test_harms();
	test_no_head();
	test_torn();
	test_behind();
	test_cut_while_open();
	test_hold();
	test_hold_death();
	test_hold_full();
	test_concurrent();
	test_rotation();
	test_stuck_lock();
	test_refusals();
	free(report);
	remove = xasprintf("rm -rf '%s'", dir);
	ok(system(remove) == 0, "nothing is left");
	return done();
}
