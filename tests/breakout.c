/* SPDX-License-Identifier: MIT */

/*
 * breakout: tries to execute, or to map as code, what is not on the list of
 * allowed commands (itself and cat).  With /work/uname, /work/lib.so: a program
 * and a library that are not, copied by who starts it.
 */

#include <stdint.h>
#include <sys/mman.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/shm.h>

#include "tests/attack.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char loader[] =
#if defined(__x86_64__)
    "/lib64/ld-linux-x86-64.so.2";
#else
    "/lib/ld-linux-aarch64.so.1";
#endif

/* What uname and our own mark print. */
static const char uname_says[] = "Linux";
static const char mark[] = "the-mark";

/*** What is executed ***/

struct
try {
	const char *path;
	const char *argv[6];
	const char *env[2];
	int dirfd; /* with at: execveat */
	bool at;
	int flags;
};

static void start_try(const void *what)
{
	const struct try *t = what;

	if (t->at)
		syscall(SYS_execveat, t->dirfd, t->path, t->argv, t->env,
			t->flags);
	else
		execve(t->path, (char *const *)t->argv, (char *const *)t->env);
}

static void output_of(struct try t, char *out, size_t size)
{
	if (t.argv[0] == NULL)
		t.argv[0] = t.path;
	attack_output(out, size, start_try, &t);
}

static bool says(const char *text, struct try t)
{
	char out[65536];

	output_of(t, out, sizeof(out));
	return strstr(out, text) != NULL;
}

/* Copies a file; false when it cannot be. */
static bool copy(const char *from, int to)
{
	char buf[65536];
	int fd = open(from, O_RDONLY);
	ssize_t n = -1;

	while (fd >= 0 && to >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		if (write(to, buf, (size_t)n) != n)
			return false;
	if (fd >= 0)
		close(fd);
	return n == 0;
}

static bool copy_to(const char *from, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	bool done = copy(from, fd);

	if (fd >= 0)
		close(fd);
	return done;
}

/* A copy of this program, which is static, and prints the mark. */
static bool run_copy(const char *path)
{
	return copy_to("/proc/self/exe", path) &&
	       says(mark, (struct try){ path, { path, "--mark" } });
}

/*** Executing ***/

static bool exec_path(void)
{
	return says(uname_says, (struct try){ "/usr/bin/uname" });
}

static bool exec_dirfd(void)
{
	return says(uname_says,
		    (struct try){ "uname", .dirfd = open("/usr/bin", O_PATH),
				  .at = true });
}

static bool exec_descriptor(void)
{
	return says(uname_says,
		    (struct try){ "",
				  { "uname" },
				  .dirfd = open("/usr/bin/uname", O_PATH),
				  .at = true,
				  .flags = AT_EMPTY_PATH });
}

static bool exec_proc_fd(void)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d",
		 open("/usr/bin/uname", O_RDONLY));
	return says(uname_says, (struct try){ path });
}

static bool exec_proc_root(void)
{
	return says(uname_says,
		    (struct try){ "/proc/self/root/usr/bin/uname" });
}

static bool exec_visible(void)
{
	return says("git version", (struct try){ "/usr/lib/git-core/git",
						 { "git", "version" } });
}

static bool exec_work(void)
{
	return run_copy("/work/copy");
}

static bool exec_tmp(void)
{
	return run_copy("/tmp/copy");
}

static bool exec_shm(void)
{
	return run_copy("/dev/shm/copy");
}

static bool exec_home(void)
{
	return run_copy("/home/agent/copy");
}

static bool exec_renamed(void)
{
	return copy_to("/proc/self/exe", "/work/before") &&
	       rename("/work/before", "/work/cat") == 0 &&
	       says(mark, (struct try){ "/work/cat", { "cat", "--mark" } });
}

static bool exec_symlink(void)
{
	return copy_to("/proc/self/exe", "/work/target") &&
	       (symlink("/work/target", "/work/rg") == 0 || errno == EEXIST) &&
	       says(mark, (struct try){ "/work/rg", { "rg", "--mark" } });
}

static bool exec_hardlink(void)
{
	return copy_to("/proc/self/exe", "/work/first") &&
	       (link("/work/first", "/work/second") == 0 || errno == EEXIST) &&
	       says(mark, (struct try){ "/work/second", { "x", "--mark" } });
}

static bool exec_nameless(void)
{
	int fd = open("/work", O_TMPFILE | O_RDWR, 0755);
	char path[32];
	int again;

	if (!copy("/proc/self/exe", fd))
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY);
	close(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", again);
	return says(mark, (struct try){ path, { "x", "--mark" } });
}

static bool exec_script(void)
{
	char self[4096], text[5000];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int fd = open("/work/script", O_WRONLY | O_CREAT | O_TRUNC, 0755);

	self[n > 0 ? n : 0] = '\0';
	snprintf(text, sizeof(text), "#!%s --mark\n", self);
	if (write(fd, text, strlen(text)) < 0)
		return false;
	close(fd);
	return says(mark, (struct try){ "/work/script" });
}

/*** By the loader ***/

static bool load(const char *program, const char *text)
{
	return says(text, (struct try){ loader, { "ld.so", program } });
}

static bool loader_hidden(void)
{
	return load("/usr/bin/uname", uname_says);
}

static bool loader_copy(void)
{
	return load("/work/uname", uname_says);
}

static bool loader_visible(void)
{
	return says(
	    "git version",
	    (struct try){ loader,
			  { "ld.so", "/usr/lib/git-core/git", "version" } });
}

/* cat is allowed, and shows what is mapped as code in it. */
static bool maps_code(const char *name, struct try t)
{
	char out[65536], *save = NULL;

	output_of(t, out, sizeof(out));
	for (char *line = strtok_r(out, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (strstr(line, name) && strstr(line, " r-x"))
			return true;
	return false;
}

static bool mapped(const char *variable, const char *name)
{
	return maps_code(name, (struct try){ "/usr/bin/cat",
					     { "cat", "/proc/self/maps" },
					     { variable } });
}

static bool preload(void)
{
	return mapped("LD_PRELOAD=/work/lib.so", "/work/lib.so");
}

static bool preload_option(void)
{
	return maps_code("/work/lib.so",
			 (struct try){ loader,
				       { "ld.so", "--preload", "/work/lib.so",
					 "/usr/bin/cat", "/proc/self/maps" } });
}

static bool library_path(void)
{
	char cat[64] = "/lib/x86_64-linux-gnu/libc.so.6";

	if (access(cat, R_OK) < 0)
		snprintf(cat, sizeof(cat), "/lib/aarch64-linux-gnu/libc.so.6");
	return copy_to(cat, "/work/libc.so.6") &&
	       mapped("LD_LIBRARY_PATH=/work", "/work/libc.so.6");
}

/* A library of the system's that no allowed program is linked with. */
static bool preload_system(void)
{
	return mapped("LD_PRELOAD=libz.so.1", "libz.so.1");
}

static bool map_file(void)
{
	int fd = open("/work/lib.so", O_RDONLY);

	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) !=
	       MAP_FAILED;
}

static bool map_then_protect(void)
{
	int fd = open("/work/lib.so", O_RDONLY);
	void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);

	return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

/* noexec alone makes the kernel leave that personality out of account. */
static bool map_by_personality(void)
{
	int fd = open("/work/lib.so", O_RDONLY);
	char line[512];
	FILE *maps;

	if (personality(READ_IMPLIES_EXEC) < 0 ||
	    mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		return false;
	maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, "/work/lib.so") && strstr(line, " r-x"))
			return true;
	return false;
}

/*** By memory ***/

static int memory_file(const char *from, unsigned int flags)
{
	int fd = (int)syscall(SYS_memfd_create, "x", flags);

	return fd >= 0 && copy(from, fd) ? fd : -1;
}

static bool memory_exec(void)
{
	return says(mark,
		    (struct try){ "",
				  { "x", "--mark" },
				  .dirfd = memory_file("/proc/self/exe", 0),
				  .at = true,
				  .flags = AT_EMPTY_PATH });
}

static bool memory_proc(void)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d",
		 memory_file("/proc/self/exe", 0));
	return says(mark, (struct try){ path, { "x", "--mark" } });
}

static bool memory_load(unsigned int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d",
		 memory_file("/work/uname", flags));
	return load(path, uname_says);
}

static bool memory_loader(void)
{
	return memory_load(0);
}

static bool memory_sealed(void)
{
	return memory_load(8 /* MFD_NOEXEC_SEAL */);
}

static bool memory_map(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE,
		    memory_file("/work/lib.so", 0), 0) != MAP_FAILED;
}

static bool memory_shared(void)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700);
	void *p = shmat(id, NULL, SHM_EXEC);

	shmctl(id, IPC_RMID, NULL);
	return p != (void *)-1;
}

static bool memory_shared_high(void)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700);
	long p = syscall(SYS_shmat, id, NULL, SHM_EXEC | 1UL << 32);

	shmctl(id, IPC_RMID, NULL);
	return p != -1;
}

/* Past the protection of a mapping that is code already. */
static bool memory_own_code(void)
{
	int fd = open("/proc/self/mem", O_RDWR);
	uintptr_t here = (uintptr_t)&memory_own_code;
	char byte;

	return pread(fd, &byte, 1, (off_t)here) == 1 &&
	       pwrite(fd, &byte, 1, (off_t)here) == 1;
}

/*** By a file system of one's own ***/

static bool own_file_system(void)
{
	return attack_own_user(CLONE_NEWUSER | CLONE_NEWNS) &&
	       mount("x", "/tmp", "tmpfs", 0, NULL) == 0 &&
	       run_copy("/tmp/copy");
}

/* As root of a namespace of one's own, from which what came along is locked. */
static bool own_flags(void)
{
	return attack_own_user(CLONE_NEWUSER | CLONE_NEWNS) &&
	       mount(NULL, "/work", NULL,
		     MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV, NULL) == 0 &&
	       run_copy("/work/remounted");
}

static const struct attack attacks[] = {
	{ "exec-path", exec_path },
	{ "exec-dirfd", exec_dirfd },
	{ "exec-descriptor", exec_descriptor },
	{ "exec-proc-fd", exec_proc_fd },
	{ "exec-proc-root", exec_proc_root },
	{ "exec-visible", exec_visible },
	{ "exec-work", exec_work },
	{ "exec-tmp", exec_tmp },
	{ "exec-shm", exec_shm },
	{ "exec-home", exec_home },
	{ "exec-renamed", exec_renamed },
	{ "exec-symlink", exec_symlink },
	{ "exec-hardlink", exec_hardlink },
	{ "exec-nameless", exec_nameless },
	{ "exec-script", exec_script },
	{ "loader-hidden", loader_hidden },
	{ "loader-copy", loader_copy },
	{ "loader-visible", loader_visible },
	{ "preload", preload },
	{ "preload-option", preload_option },
	{ "preload-system", preload_system },
	{ "library-path", library_path },
	{ "map-file", map_file },
	{ "map-then-protect", map_then_protect },
	{ "map-by-personality", map_by_personality },
	{ "memory-exec", memory_exec },
	{ "memory-proc", memory_proc },
	{ "memory-loader", memory_loader },
	{ "memory-sealed", memory_sealed },
	{ "memory-map", memory_map },
	{ "memory-shared", memory_shared },
	{ "memory-shared-high", memory_shared_high },
	{ "memory-own-code", memory_own_code },
	{ "own-file-system", own_file_system },
	{ "own-flags", own_flags },
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--mark") == 0) {
		puts(mark);
		return 0;
	}
	attack_all(attacks, COUNT(attacks));
	return 0;
}
