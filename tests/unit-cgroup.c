/* SPDX-License-Identifier: MIT */
/*
 * unit-cgroup [auto|v2|systemd|v1]: what the machine offers, or that back end.
 * With `hold` after it: only makes a cgroup with a process in it, and waits to
 * be killed, for tests of what happens then.
 */
#include "cgroup_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "tap.h"
#include "util.h"

#define MIB (1024ULL * 1024)

static enum cgroup_backend choice = CGROUP_AUTO;

/*** Texts of the kernel's ***/

static const char v1_self[] = "9:name=systemd:/init\n8:pids:/\n"
			      "4:memory:/a/b\n3:cpuset:/\n"
			      "2:cpu,cpuacct:/x\n0::/user.slice/s.scope\n";
static const char mounts[] =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup "
    "rw,cpu,cpuacct\n"
    "35 31 0:32 /a /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup "
    "rw,memory\n"
    "39 31 0:36 /docker/1 /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw\n";

struct find_case {
	const char *self;
	const char *controller;
	int err; /* 0: found */
	const char *mount, *own;
};

static const struct find_case find_cases[] = {
	{ v1_self, "memory", 0, "/sys/fs/cgroup/memory",
	  "/sys/fs/cgroup/memory/b" },
	{ v1_self, "cpu", 0, "/sys/fs/cgroup/cpu,cpuacct",
	  "/sys/fs/cgroup/cpu,cpuacct/x" },
	{ v1_self, "cpuacct", 0, "/sys/fs/cgroup/cpu,cpuacct",
	  "/sys/fs/cgroup/cpu,cpuacct/x" },
	{ v1_self, NULL, 0, "/sys/fs/cgroup/unified",
	  "/sys/fs/cgroup/unified/user.slice/s.scope" },
	{ "0::/\n", NULL, 0, "/sys/fs/cgroup/unified",
	  "/sys/fs/cgroup/unified" },
	/* We are not below what is mounted. */
	{ v1_self, "pids", EXDEV, NULL, NULL },
	{ "4:memory:/ab\n", "memory", EXDEV, NULL, NULL },
	{ "0::/../other\n", NULL, EXDEV, NULL, NULL },
	/* Not mounted, not there, not a line. */
	{ v1_self, "cpuset", ENOENT, NULL, NULL },
	{ v1_self, "cp", ENOENT, NULL, NULL },
	{ "4:memory:/a\n", NULL, ENOENT, NULL, NULL },
	{ "nonsense\n", "memory", ENOENT, NULL, NULL },
	{ "", "memory", ENOENT, NULL, NULL },
};

static void test_find(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(find_cases); i++) {
		const struct find_case *c = &find_cases[i];
		struct cgroup_map map = { xstrdup(c->self), xstrdup(mounts) };
		struct cgroup_place place = { 0 };
		int rc = cgroup_find(&map, c->controller, &place);
		const char *name = c->controller ? c->controller : "v2";

		if (c->err)
			ok(rc < 0 && errno == c->err, "find %s: %s", name,
			   strerror(c->err));
		else
			ok(rc == 0 && strcmp(place.mount, c->mount) == 0 &&
			       strcmp(place.own, c->own) == 0,
			   "find %s: %s", name, c->own);
		cgroup_place_free(&place);
		cgroup_map_free(&map);
	}
}

/* One mount that is asked about, and all of them: the same is found. */
static void test_find_own(void)
{
	static const char *const controllers[] = { NULL, "memory", "cpu",
						   "pids", "none" };

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		struct cgroup_map map = { 0 }, listed = { 0 };
		struct cgroup_place place = { 0 }, want = { 0 };
		int rc, err;
		bool same;

		if (cgroup_map_read(&map, getpid()) < 0 ||
		    cgroup_map_read(&listed, getpid()) < 0)
			abort();
		listed.mounts = read_file(AT_FDCWD, "/proc/self/mountinfo",
					  1 << 20, NULL);
		rc = cgroup_find(&listed, controllers[i], &want);
		err = errno;
		same = cgroup_find(&map, controllers[i], &place) == rc &&
		       (rc == 0 ? strcmp(place.own, want.own) == 0 &&
				      strcmp(place.mount, want.mount) == 0
				: errno == err);
		ok(same, "find our own %s %s: %s",
		   controllers[i] ? controllers[i] : "v2",
		   map.mounts ? "in the list" : "by asking",
		   rc == 0 ? want.own : strerror(err));
		cgroup_place_free(&place);
		cgroup_place_free(&want);
		cgroup_map_free(&map);
		cgroup_map_free(&listed);
	}
}

static void test_numbers(const char *dir)
{
	auto_free char *path = path_join(dir, "file");
	auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	dprintf(out, "8388608\nuser_usec 17\nsystem_usec x\noom 3\n"
		     "oom_kill 2\n8:0 rbytes=5 wbytes=7 dbytes=1\n"
		     "8:16 rbytes=10 wbytes=70 xrbytes=9\n");
	close(out);
	ok(cgroup_read_u64(fd, "file") == 8388608, "a number");
	ok(cgroup_read_u64(fd, "none") == 0, "no file, no number");
	ok(cgroup_read_key(fd, "file", "user_usec") == 17, "a key");
	ok(cgroup_read_key(fd, "file", "system_usec") == 0, "no number");
	ok(cgroup_read_key(fd, "file", "oom_kill") == 2, "the whole key");
	ok(cgroup_read_key(fd, "file", "kill") == 0, "no such key");
	ok(cgroup_sum_key(fd, "file", "rbytes") == 15, "a sum");
	ok(cgroup_sum_key(fd, "file", "wbytes") == 77, "another");
	unlink(path);
}

static void test_names(void)
{
	static const struct {
		unsigned int bits;
		const char *text;
	} rows[] = {
		{ 0, "" },
		{ CGROUP_MEMORY, "memory" },
		{ CGROUP_MEMORY | CGROUP_CPU, "memory and cpu" },
		{ CGROUP_MEMORY | CGROUP_PIDS | CGROUP_CPU,
		  "memory, pids and cpu" },
		{ CGROUP_IO, "io" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ok(strcmp(cgroup_controller_names(rows[i].bits),
			  rows[i].text) == 0,
		   "named \"%s\"", rows[i].text);
}

/*** A process in the cgroup ***/

struct job {
	pid_t pid;
	int go_fd; /* closed: it goes on */
};

/* Tells why a step of the module failed; returns whether it went well. */
static bool well(int rc)
{
	if (rc < 0 && err_get())
		printf("# %s\n", err_get()->message);
	err_reset();
	return rc == 0;
}

/* As the program does it: all three ways in, then `body`. */
static struct job start(struct cgroup *cg, int (*body)(void))
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	struct job job;
	int gate[2], joined[2];
	char c;

	if (pipe2(gate, O_CLOEXEC) < 0 || pipe2(joined, O_CLOEXEC) < 0)
		abort();
	if (cg->dir_fd >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cg->dir_fd;
	}
	job.pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (job.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(gate[1]);
		if (cgroup_join(cg) < 0)
			_exit(99);
		close(joined[0]);
		close(joined[1]);
		(void)!read(gate[0], &c, 1);
		_exit(body());
	}
	if (job.pid < 0)
		printf("# clone3: %s\n", strerror(errno));
	close(gate[0]);
	close(joined[1]);
	(void)!read(joined[0], &c, 1);
	close(joined[0]);
	job.go_fd = gate[1];
	if (job.pid > 0)
		well(cgroup_enter(cg, job.pid));
	return job;
}

static int finish(struct job *job)
{
	int status = -1;

	close(job->go_fd);
	if (job->pid > 0)
		waitpid(job->pid, &status, 0);
	return status;
}

static int run(struct cgroup *cg, int (*body)(void))
{
	struct job job = start(cg, body);

	return finish(&job);
}

static int use_memory(void)
{
	const size_t size = 200 * MIB;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 98;
	for (size_t i = 0; i < size; i += 4096)
		((volatile char *)p)[i] = 1;
	return 0;
}

/* How many children there can be at once. */
static int use_pids(void)
{
	pid_t pids[50];
	int n = 0, i;

	for (; n < 50; n++) {
		pids[n] = fork();
		if (pids[n] < 0)
			break;
		if (pids[n] == 0) {
			pause();
			_exit(0);
		}
	}
	for (i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return n;
}

/* Hundredths of a core that it got over 600 ms. */
static int use_cpu(void)
{
	uint64_t end = now_ms(CLOCK_MONOTONIC) + 600;

	while (now_ms(CLOCK_MONOTONIC) < end)
		;
	return (int)(now_ms(CLOCK_PROCESS_CPUTIME_ID) / 6);
}

/* Before whatever else the machine does, if we may. */
static int use_cpu_first(void)
{
	sched_setscheduler(0, SCHED_FIFO,
			   &(struct sched_param){ .sched_priority = 1 });
	return use_cpu();
}

static int just_exit(void)
{
	return 0;
}

/* Leaves a tree behind that does not want to go. */
static int linger(void)
{
	for (int i = 0; i < 3; i++) {
		if (fork() != 0)
			continue;
		setsid();
		for (int sig = 1; sig < 32; sig++)
			signal(sig, SIG_IGN);
		if (i == 0)
			raise(SIGSTOP);
		for (;;)
			pause();
	}
	return 0;
}

/*** What a cgroup is good for ***/

static bool all_exist(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n_dirs; i++)
		if (access(cg->dirs[i].path, F_OK) < 0)
			return false;
	return cg->n_dirs > 0;
}

static bool make(struct cgroup *cg, const char *name,
		 struct cgroup_limits limits)
{
	auto_free char *id = xasprintf("unit-%s-%d", name, getpid());

	return well(cgroup_create(cg, id, &limits, choice, -1)) &&
	       well(cgroup_settle(cg));
}

static struct strv paths_of(const struct cgroup *cg)
{
	struct strv paths = { 0 };

	for (size_t i = 0; i < cg->n_dirs; i++)
		strv_push(&paths, xstrdup(cg->dirs[i].path));
	if (cg->leaf)
		strv_push(&paths, xstrdup(cg->leaf));
	return paths;
}

static bool sweep_all(const struct strv *paths)
{
	bool swept = true;

	for (size_t i = 0; i < paths->n; i++)
		swept = well(cgroup_sweep(paths->v[i])) && swept;
	return swept;
}

static void end(struct cgroup *cg, const char *what)
{
	auto_strv struct strv paths = paths_of(cg);
	bool gone = true;

	ok(well(cgroup_remove(cg)), "%s: removed", what);
	for (size_t i = 0; i < paths.n; i++)
		gone = gone && access(paths.v[i], F_OK) < 0;
	ok(gone && cg->backend == CGROUP_NOT, "%s: nothing is left", what);
}

static void test_memory(void)
{
	struct cgroup cg;
	struct cgroup_usage usage;
	int status;

	status = run(&CGROUP_NONE, use_memory);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	   "200 MiB can be had without a cap");
	if (!ok(make(&cg, "memory", (struct cgroup_limits){ 64 * MIB, 0, 0 }),
		"memory: made"))
		return;
	ok(all_exist(&cg), "memory: by %s", cgroup_backend_name(cg.backend));
	status = run(&cg, use_memory);
	cgroup_read_usage(&cg, &usage);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
	   "memory: killed at 64 MiB (%#x)", status);
	ok(usage.oom_kills >= 1, "memory: told as out of memory");
	ok(usage.memory_peak > 32 * MIB && usage.memory_peak <= 65 * MIB,
	   "memory: peak of %llu KiB",
	   (unsigned long long)usage.memory_peak / 1024);
	end(&cg, "memory");
}

static void test_pids(void)
{
	struct cgroup cg;
	struct cgroup_usage usage;
	int status = run(&CGROUP_NONE, use_pids);

	ok(WIFEXITED(status) && WEXITSTATUS(status) == 50,
	   "50 children can be had without a cap");
	if (!ok(make(&cg, "pids", (struct cgroup_limits){ 0, 0, 8 }),
		"pids: made"))
		return;
	status = run(&cg, use_pids);
	cgroup_read_usage(&cg, &usage);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 7,
	   "pids: 8 and no more (%#x)", status);
	ok(usage.pids_hit, "pids: told as hit");
	ok(usage.pids_peak == 0 || usage.pids_peak == 8, "pids: peak of %llu",
	   (unsigned long long)usage.pids_peak);
	ok(usage.oom_kills == 0, "pids: not out of memory");
	end(&cg, "pids");
}

static void test_cpu(void)
{
	struct cgroup cg;
	struct cgroup_usage usage;
	uint64_t throttled = 0;
	int status = run(&CGROUP_NONE, use_cpu_first);

	/* An ordinary user comes first in one of ten times. */
	for (int i = 0; i < 10 && WEXITSTATUS(status) <= 30; i++)
		status = run(&CGROUP_NONE, use_cpu_first);
	ok(WIFEXITED(status) && WEXITSTATUS(status) > 30,
	   "%d %% of a core without a cap", WEXITSTATUS(status));
	if (!ok(make(&cg, "cpu", (struct cgroup_limits){ 0, 0.1, 0 }),
		"cpu: made"))
		return;
	status = run(&cg, use_cpu);
	/* A guest whose host is busy sees its clock jump. */
	for (int i = 0; i < 5 && WEXITSTATUS(status) > 20; i++)
		status = run(&cg, use_cpu);
	cgroup_read_usage(&cg, &usage);
	ok(WIFEXITED(status) && WEXITSTATUS(status) <= 20,
	   "cpu: %d %% with a cap of 10 %%", WEXITSTATUS(status));
	ok(usage.cpu_user_ms + usage.cpu_sys_ms > 0 &&
	       usage.cpu_user_ms + usage.cpu_sys_ms < 1200,
	   "cpu: %llu + %llu ms used", (unsigned long long)usage.cpu_user_ms,
	   (unsigned long long)usage.cpu_sys_ms);
	for (size_t i = 0; i < cg.n_dirs; i++)
		throttled += cgroup_read_key(cg.dirs[i].fd, "cpu.stat",
					     "nr_throttled");
	ok(throttled > 0, "cpu: throttled %llu times",
	   (unsigned long long)throttled);
	end(&cg, "cpu");
}

static void test_kill(void)
{
	struct cgroup cg;
	bool empty;

	if (!ok(make(&cg, "kill", (struct cgroup_limits){ 0, 0, 64 }),
		"kill: made"))
		return;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	run(&cg, linger);
	ok(!cgroup_is_empty(cg.dirs[0].fd), "kill: some live on");
	ok(well(cgroup_kill(&cg)), "kill: killed");
	empty = true;
	for (size_t i = 0; i < cg.n_dirs; i++)
		empty = empty && cgroup_is_empty(cg.dirs[i].fd);
	ok(empty, "kill: nobody is left");
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		if (cg.backend == CGROUP_SYSTEMD)
			break; /* its keeper is our child, too */
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	end(&cg, "kill");
}

static void test_sweep(void)
{
	struct cgroup cg, again;
	struct job job;
	auto_strv struct strv paths = { 0 };
	auto_free char *id = xasprintf("unit-sweep-%d", getpid());
	int status;

	if (!ok(make(&cg, "sweep", (struct cgroup_limits){ 0, 0, 64 }),
		"sweep: made"))
		return;
	paths = paths_of(&cg);
	job = start(&cg, just_exit);
	/* v2's third place is taken as soon as we left it for a leaf. */
	if (cg.home == NULL && cg.backend != CGROUP_SYSTEMD) {
		ok((cgroup_create(&again, id,
				  &(struct cgroup_limits){ .pids = 64 }, choice,
				  -1) < 0 ||
		    cgroup_settle(&again) < 0) &&
		       again.n_dirs == 0 && all_exist(&cg),
		   "sweep: a second of the name fails");
		err_reset();
	}
	if (cg.home == NULL) {
		ok(sweep_all(&paths), "sweep: swept");
		ok(access(cg.dirs[0].path, F_OK) < 0, "sweep: gone");
		status = finish(&job);
		ok(WIFSIGNALED(status), "sweep: and so are its processes");
		ok(sweep_all(&paths), "sweep: twice does no harm");
	} else {
		finish(&job);
	}
	end(&cg, "sweep");
}

static void test_foreign_sweep(const char *dir)
{
	static const char *const cgroups[] = { "/sys/fs/cgroup",
					       "/sys/fs/cgroup/memory",
					       "/sys/fs/cgroup/pids", "." };
	auto_free char *ours = path_join(dir, "m9m-20261120T000000Z-0");

	mkdir(ours, 0700);
	ok(cgroup_sweep(ours) < 0 && access(ours, F_OK) == 0,
	   "sweep: not on another file system");
	rmdir(ours);
	for (size_t i = 0; i < ARRAY_SIZE(cgroups); i++) {
		err_reset();
		ok(access(cgroups[i], F_OK) < 0 || cgroup_sweep(cgroups[i]) < 0,
		   "sweep: not %s", cgroups[i]);
	}
	err_reset();
}

static char *own_cgroups(void)
{
	return read_file(AT_FDCWD, "/proc/self/cgroup", 65536, NULL);
}

/* Nothing to be had: that is told with what is missing, and what to do. */
static void test_refusal(void)
{
	const struct err_record *err = err_get();

	printf("# %s\n# %s\n", err->message, err->remedy);
	ok(strstr(err->message, "memory, pids and cpu") != NULL,
	   "the refusal names what cannot be limited");
	ok(err->remedy[0] != '\0', "and a remedy");
}

static int hold(void)
{
	struct cgroup cg;

	if (!make(&cg, "hold", (struct cgroup_limits){ .pids = 8 }))
		return 1;
	start(&cg, just_exit);
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	auto_free char *tmp = path_join(
	    getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", "cgroup.XXXXXX");
	auto_free char *before = own_cgroups();
	auto_free char *after = NULL;
	auto_free char *id = xasprintf("unit-probe-%d", getpid());
	struct cgroup cg;

	for (enum cgroup_backend b = CGROUP_AUTO; b <= CGROUP_V1; b++)
		if (argc > 1 && strcmp(cgroup_backend_name(b), argv[1]) == 0)
			choice = b;
	if (argc > 2 && strcmp(argv[2], "hold") == 0)
		return hold();
	if (mkdtemp(tmp) == NULL)
		return 1;
	test_find();
	test_find_own();
	test_numbers(tmp);
	test_names();
	test_foreign_sweep(tmp);
	rmdir(tmp);
	if (cgroup_create(&cg, id, &(struct cgroup_limits){ 64 * MIB, 1, 64 },
			  choice, -1) == 0) {
		ok(cg.backend == choice || choice == CGROUP_AUTO,
		   "the back end asked for");
		ok(well(cgroup_settle(&cg)), "settled");
		ok(WIFEXITED(run(&cg, just_exit)), "a process ran in it");
		end(&cg, "probe");
		test_memory();
		test_pids();
		test_cpu();
		test_kill();
		test_sweep();
	} else {
		test_refusal();
	}
	after = own_cgroups();
	ok(strcmp(before, after) == 0, "we are where we were");
	return done();
}
