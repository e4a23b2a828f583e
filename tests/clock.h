/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A clock that the test moves.  What is forked while clock_shared is set sees
 * it in place of the monotonic one, by this definition before libc's; the test
 * itself keeps the real one.  A process that waits by it has to be woken.
 */

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct {
	_Atomic uint64_t held; /* ms; 0: it goes on */
	_Atomic uint64_t ahead;
} * clock_hands;
static bool clock_shared;

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, ts);
	uint64_t ms;

	if (rc < 0 || clock != CLOCK_MONOTONIC || !clock_shared)
		return rc;
	ms = clock_hands->held;
	if (!ms)
		ms = (uint64_t)ts->tv_sec * 1000 +
		     (uint64_t)ts->tv_nsec / 1000000;
	ms += clock_hands->ahead;
	ts->tv_sec = (time_t)(ms / 1000);
	ts->tv_nsec = (long)(ms % 1000) * 1000000;
	return 0;
}

static bool clock_init(void)
{
	clock_hands = mmap(NULL, sizeof(*clock_hands), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return clock_hands != MAP_FAILED;
}

/* It stands, until `held` is 0 again; `ahead` moves it all the same. */
__attribute__((unused)) static void clock_stop(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	clock_hands->held = (uint64_t)ts.tv_sec * 1000 +
			    (uint64_t)ts.tv_nsec / 1000000;
}

/* From here on it goes as the test says, and all that runs runs in one order:
 * on one processor. */
__attribute__((unused)) static void clock_hold(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	clock_stop();
}
