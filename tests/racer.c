/* SPDX-License-Identifier: MIT */

/*
 * racer FOLDER: executes one path again and again while a thread swaps what it
 * leads to, between /usr/bin/true and a copy of this program.  It goes on until
 * the ends were not all the same, or MOST of them were.  One line for each way:
 * NAME, how often the copy ran, how often true did, how often neither.
 * racer --swap FOLDER: swaps FOLDER/p and FOLDER/q until it is killed.
 * Without arguments this is the copy, and tells so by its exit status.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define COPY_RAN 42
#define TRIES    150
#define MOST     3000
#define SWAPPED  77 /* a descriptor */

static char program[] = "/usr/bin/true";
static char copy[] = "././././.copy";
_Static_assert(sizeof(program) == sizeof(copy),
	       "one is written over the other");

static char path[sizeof(program)];
static char folder[256];
static int fds[2];
static atomic_bool over;

/*** What is swapped ***/

static void exchange(const char *one, const char *other)
{
	syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 2U);
}

static void swap_links(bool odd)
{
	(void)odd;
	exchange("p", "q");
}

static void swap_folders(bool odd)
{
	(void)odd;
	exchange("d", "e");
}

static void swap_files(bool odd)
{
	(void)odd;
	exchange("f", "g");
}

static void swap_memory(bool odd)
{
	memcpy(path, odd ? copy : program, sizeof(path));
}

static void swap_descriptors(bool odd)
{
	dup2(fds[odd], SWAPPED);
}

static void swap_cwd(bool odd)
{
	(void)!chdir(odd ? folder : "/usr/bin");
}

/* What others swap meanwhile. */
static void wait_for_others(bool odd)
{
	(void)odd;
	sched_yield();
}

static const struct race {
	const char *name;
	const char *path;
	void (*swap)(bool odd);
} races[] = {
	{ "link", "p", swap_links },
	{ "folder", "d/true", swap_folders },
	{ "file", "f", swap_files },
	{ "memory", path, swap_memory },
	{ "descriptor", "/proc/self/fd/77", swap_descriptors },
	{ "shared", "/shared/p", wait_for_others },
	/* The last: the others' paths start in the folder. */
	{ "cwd", "./true", swap_cwd },
};

/*** One race ***/

static void *swap_on(void *arg)
{
	const struct race *race = arg;

	for (bool odd = false; !over; odd = !odd)
		race->swap(odd);
	return NULL;
}

static int execute(void *arg)
{
	const struct race *race = arg;
	char *const argv[] = { program, NULL };

	execv(race->path, argv);
	_exit(errno == EFAULT ? 3 : 2);
}

static void run_race(const struct race *race)
{
	static char stack[64 * 1024] __attribute__((aligned(16)));
	/* With the same memory, descriptors and folder as the thread. */
	const int flags = CLONE_VM | CLONE_VFORK | CLONE_FS | CLONE_FILES |
			  SIGCHLD;
	int copies = 0, programs = 0, neither = 0, same = 0, status = 0;
	pthread_t thread;

	over = false;
	race->swap(false);
	if (pthread_create(&thread, NULL, swap_on, (void *)race) != 0)
		exit(99);
	for (int i = 0; i < TRIES || (same == i && i < MOST); i++) {
		pid_t pid = clone(execute, stack + sizeof(stack), flags,
				  (void *)race);

		if (pid < 0 || waitpid(pid, &status, __WALL) != pid)
			exit(99);
		if (WIFEXITED(status) && WEXITSTATUS(status) == COPY_RAN)
			copies++;
		else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			programs++;
		else
			neither++;
		if (copies == i + 1 || programs == i + 1 || neither == i + 1)
			same = i + 1;
	}
	over = true;
	pthread_join(thread, NULL);
	printf("%s %d %d %d\n", race->name, copies, programs, neither);
}

static void copy_file(const char *from, const char *to)
{
	static char bytes[4 * 1024 * 1024];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t n = read(in, bytes, sizeof(bytes));

	if (n <= 0 || write(out, bytes, (size_t)n) != n)
		exit(98);
	close(in);
	close(out);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return COPY_RAN;
	if (argc == 3) {
		if (strcmp(argv[1], "--swap") != 0 || chdir(argv[2]) < 0)
			return 97;
		for (;;)
			swap_links(false);
	}
	if (chdir(argv[1]) < 0 || !getcwd(folder, sizeof(folder)))
		return 97;
	copy_file("/proc/self/exe", copy);
	copy_file("/proc/self/exe", "true");
	copy_file("/proc/self/exe", "g");
	copy_file(program, "f");
	if (symlink(program, "p") < 0 || symlink(copy, "q") < 0 ||
	    symlink("/usr/bin", "d") < 0 || symlink(folder, "e") < 0)
		return 96;
	fds[0] = open(program, O_RDONLY | O_CLOEXEC);
	fds[1] = open(copy, O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof(races) / sizeof(*races); i++)
		run_race(&races[i]);
	return 0;
}
