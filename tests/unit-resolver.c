/* SPDX-License-Identifier: MIT */
/* The resolver's threads: every job comes back, once, with no more than there is
 * room for.  Whoever is asked is in here. */
#include "../resolver.h"

#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../netaddr.h"
#include "../netrule.h"
#include "../util.h"
#include "tap.h"

#define MANY        400
#define THREADS_MAX 8
#define CROWD       80

static struct resolver_job jobs[MANY];
static unsigned int seen[MANY];

/*** Who is asked ***/

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static unsigned int wrong_questions, lists;

static void add(struct addrinfo **list, const struct in6_addr *addr, bool v4)
{
	struct addrinfo *ai = xcalloc(1, sizeof(*ai));
	struct sockaddr_storage *sa = xcalloc(1, sizeof(*sa));
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_addr = *addr };

	ai->ai_addr = (struct sockaddr *)sa;
	if (v4) {
		ai->ai_addrlen = netaddr_to_socket(addr, 0, sa);
	} else {
		ai->ai_addrlen = sizeof(v6);
		memcpy(sa, &v6, sizeof(v6));
	}
	ai->ai_family = sa->ss_family;
	while (*list)
		list = &(*list)->ai_next;
	*list = ai;
}

/* So many, each twice. */
static void add_crowd(struct addrinfo **list)
{
	for (uint32_t i = 0; i < CROWD; i++) {
		struct in6_addr addr = netaddr_from_v4(0xc0000200 + i / 2);

		add(list, &addr, true);
	}
}

/* In place of the C library's. */
int getaddrinfo(const char *name, const char *service,
		const struct addrinfo *hints, struct addrinfo **list)
{
	struct in6_addr addr;

	*list = NULL;
	if (service || !hints || hints->ai_family != AF_UNSPEC ||
	    hints->ai_socktype != SOCK_STREAM || (_res.options & RES_DNSRCH))
		__atomic_add_fetch(&wrong_questions, 1, __ATOMIC_RELAXED);
	if (strcmp(name, "system.test") == 0) {
		errno = ENFILE;
		return EAI_SYSTEM;
	}
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	if (strcmp(name, "crowd.test") == 0)
		add_crowd(list);
	else if (net_addr_parse(name, &addr) == 0)
		add(list, &addr, strchr(name, ':') == NULL);
	if (*list)
		__atomic_add_fetch(&lists, 1, __ATOMIC_RELAXED);
	return *list ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
	__atomic_sub_fetch(&lists, 1, __ATOMIC_RELAXED);
	while (list) {
		struct addrinfo *next = list->ai_next;

		free(list->ai_addr);
		free(list);
		list = next;
	}
}

/*** Jobs ***/

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
	/* All threads are held up, and the rest has to wait. */
	pthread_mutex_lock(&gate);
	for (size_t i = 0; i < MANY; i++) {
		char name[40];

		snprintf(name, sizeof(name), "192.0.%zu.%zu", 2 + i / 200,
			 i % 200);
		jobs[i] = (struct resolver_job){ .error = -1 };
		if (!submit(&jobs[i], name))
			ok(false, "%s is taken", name);
	}
	threads = count_threads();
	pthread_mutex_unlock(&gate);
	ok(take(fd, MANY), "all of many come back");
	for (size_t i = 0; i < MANY; i++) {
		struct in6_addr addr;

		net_addr_parse(jobs[i].name, &addr);
		wrong += seen[i] != 1 || jobs[i].error || jobs[i].n != 1 ||
			 memcmp(&jobs[i].addrs[0], &addr, sizeof(addr)) != 0;
	}
	ok(wrong == 0, "each once, with its own answer: %zu", wrong);
	ok(threads == 1 + THREADS_MAX, "by few threads: %zu", threads);
	ok(!resolver_take() && !is_readable(fd, 0), "then there is no more");
	ok(!resolver_take(), "nor later");
}

static void test_crowd(int fd)
{
	struct resolver_job *job = &jobs[0];
	size_t good = 0;

	/* Another one is behind it. */
	memset(jobs, 0, 2 * sizeof(jobs[0]));
	ok(submit(job, "crowd.test") && take(fd, 1) && job->n == RESOLVER_ADDRS,
	   "of very many addresses some are taken: %zu", job->n);
	for (uint32_t i = 0; i < RESOLVER_ADDRS; i++)
		good += netaddr_v4(&job->addrs[i]) == 0xc0000200 + i;
	ok(good == RESOLVER_ADDRS, "the first ones, each once: %zu", good);
	good = 0;
	for (size_t i = 0; i < sizeof(jobs[1]); i++)
		good += ((const char *)&jobs[1])[i] == 0;
	ok(good == sizeof(jobs[1]), "and nothing beyond them");
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
	ok(submit(&jobs[0], "gone.test") && take(fd, 1) &&
	       jobs[0].error == EAI_NONAME && jobs[0].n == 0,
	   "what is not there is a failure");
	ok(submit(&jobs[0], "system.test") && take(fd, 1) &&
	       jobs[0].error == EAI_SYSTEM && jobs[0].system == ENFILE,
	   "one of the host's own says which");
	test_crowd(fd);
	test_one(fd, "192.0.2.8", "192.0.2.8");
	ok(wrong_questions == 0 && lists == 0,
	   "all were asked as they should be, and what they said is freed");
	return done();
}
