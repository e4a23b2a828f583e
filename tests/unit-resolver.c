/* SPDX-License-Identifier: MIT */
/* The resolver's threads: every job comes back, once.  The names are addresses:
 * nobody is asked. */
#include "../resolver.h"

#include <dirent.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "../netrule.h"
#include "../util.h"
#include "tap.h"

#define MANY        400
#define THREADS_MAX 8

static struct resolver_job jobs[MANY];
static unsigned int seen[MANY];

static bool is_readable(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1;
}

static size_t count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n - 2; /* "." and ".." */
}

/* Till so many are back; false: they are not in ten seconds. */
static bool take(int fd, size_t n)
{
	while (n > 0) {
		const struct resolver_job *job = resolver_take();

		if (job) {
			seen[job - jobs]++;
			n--;
		} else if (!is_readable(fd, 10000)) {
			return false;
		}
	}
	return true;
}

static bool submit(struct resolver_job *job, const char *name)
{
	snprintf(job->name, sizeof(job->name), "%s", name);
	return resolver_submit(job) == 0;
}

static void test_one(int fd, const char *name, const char *expected)
{
	struct resolver_job *job = &jobs[0];
	struct in6_addr addr;

	*job = (struct resolver_job){ .error = -1 };
	net_addr_parse(expected, &addr);
	ok(submit(job, name) && take(fd, 1) && job->error == 0 && job->n == 1 &&
	       !memcmp(&job->addrs[0], &addr, sizeof(addr)) && !job->embedded,
	   "%s", name);
}

static void test_many(int fd)
{
	size_t wrong = 0, threads;

	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < MANY; i++) {
		char name[40];

		snprintf(name, sizeof(name), "192.0.%zu.%zu", 2 + i / 200,
			 i % 200);
		jobs[i] = (struct resolver_job){ .error = -1 };
		if (!submit(&jobs[i], name))
			ok(false, "%s is taken", name);
	}
	threads = count_threads();
	ok(take(fd, MANY), "all of many come back");
	for (size_t i = 0; i < MANY; i++) {
		struct in6_addr addr;

		net_addr_parse(jobs[i].name, &addr);
		wrong += seen[i] != 1 || jobs[i].error || jobs[i].n != 1 ||
			 memcmp(&jobs[i].addrs[0], &addr, sizeof(addr)) != 0;
	}
	ok(wrong == 0, "each once, with its own answer: %zu", wrong);
	ok(threads <= 1 + THREADS_MAX, "by few threads: %zu", threads);
	ok(!resolver_take() && !is_readable(fd, 0), "then there is no more");
	ok(!resolver_take(), "nor later");
}

int main(void)
{
	int fd = resolver_init();

	ok(fd >= 0 && !resolver_take() && !is_readable(fd, 0), "no work");
	test_one(fd, "192.0.2.7", "192.0.2.7");
	test_one(fd, "2001:db8::7", "2001:db8::7");
	ok(count_threads() == 2, "by one thread: %zu", count_threads());
	test_many(fd);
	jobs[0] = (struct resolver_job){ .error = -1 };
	ok(submit(&jobs[0], "::ffff:192.0.2.7") && take(fd, 1) &&
	       jobs[0].error == 0 && jobs[0].n == 0 && jobs[0].embedded,
	   "IPv4 in IPv6 form is none, and that is said");
	jobs[0] = (struct resolver_job){ .error = -1 };
	ok(submit(&jobs[0], "fe80::7%nolink") && take(fd, 1) &&
	       jobs[0].error == EAI_NONAME && jobs[0].n == 0,
	   "what is no name is a failure");
	test_one(fd, "192.0.2.8", "192.0.2.8");
	return done();
}
