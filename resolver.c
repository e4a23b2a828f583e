/* SPDX-License-Identifier: MIT */
#include "resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <pthread.h>
#include <resolv.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "err.h"
#include "lazy.h"
#include "netaddr.h"
#include "util.h"

/* One slow name takes one thread, since all who want it wait for one job. */
#define THREADS_MAX 8
#define STACK_SIZE  (256 * 1024)
#define IDLE_S      10

/* What the threads share; there is one relay in a process. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct resolver_job *todo, **todo_end;
	struct resolver_job *done;
	unsigned int threads, idle, queued;
	int event_fd;
} shared = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
	.todo_end = &shared.todo,
	.event_fd = -1,
};

/*** Preparation ***/

/*
 * The modules of the hosts line.  Confined, nothing executable can be mapped
 * any more: what is loaded now is found by its name then.  "files" and "dns"
 * are in the C library since glibc 2.34.
 */
static void load_modules(char *line)
{
	char *save = NULL;

	for (char *word = strtok_r(line, " \t", &save); word;
	     word = strtok_r(NULL, " \t", &save)) {
		auto_free char *file = NULL;

		if (word[strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_")])
			continue; /* [NOTFOUND=return] */
		if (strcmp(word, "files") == 0 || strcmp(word, "dns") == 0)
			continue;
		file = xasprintf("libnss_%s.so.2", word);
		lazy_open(file);
	}
}

void resolver_preload(void)
{
	auto_free char *text = read_file(AT_FDCWD, "/etc/nsswitch.conf", 65536,
					 NULL);
	char *save = NULL;

	/* One arena: each further one reserves 64 MiB of address space. */
	mallopt(M_ARENA_MAX, 1);
	if (!text)
		return;
	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, "#")] = '\0';
		line += strspn(line, " \t");
		if (strncmp(line, "hosts:", 6) == 0)
			load_modules(line + 6);
	}
}

int resolver_init(void)
{
	shared.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (shared.event_fd < 0)
		return fail(errno, "cannot make the resolver's event");
	return shared.event_fd;
}

/*** In the threads ***/

static void keep_answer(struct resolver_job *job, const struct addrinfo *ai)
{
	struct sockaddr_storage sa = { 0 };
	struct in6_addr addr;
	uint16_t port;

	memcpy(&sa, ai->ai_addr, ai->ai_addrlen);
	if (netaddr_from_socket(&sa, &addr, &port) < 0)
		return;
	/* No honest server is known to the world by such an address. */
	if (ai->ai_family == AF_INET6 && netaddr_is_v4(&addr)) {
		job->embedded = true;
		return;
	}
	for (size_t i = 0; i < job->n; i++)
		if (memcmp(&job->addrs[i], &addr, sizeof(addr)) == 0)
			return;
	if (job->n < RESOLVER_ADDRS)
		job->addrs[job->n++] = addr;
}

static void resolve(struct resolver_job *job)
{
	static const struct addrinfo hints = { .ai_family = AF_UNSPEC,
					       .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;

	/*
	 * "a.b" must not become "a.b.search.domain" when it does not exist:
	 * that is another host.  The search list is for names of one label.
	 */
	if (!(_res.options & RES_INIT))
		res_init();
	_res.options &= ~(unsigned long)RES_DNSRCH;
	job->error = getaddrinfo(job->name, NULL, &hints, &list);
	job->system = errno;
	if (job->error)
		return;
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
		keep_answer(job, ai);
	freeaddrinfo(list);
}

static struct resolver_job *next_job(void)
{
	struct resolver_job *job = shared.todo;

	shared.queued--;
	shared.todo = job->next;
	if (!shared.todo)
		shared.todo_end = &shared.todo;
	return job;
}

/* With the lock held; false when nothing came for long. */
static bool await_work(void)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += IDLE_S;
	shared.idle++;
	while (!shared.todo && rc == 0)
		rc = pthread_cond_timedwait(&shared.work, &shared.lock, &until);
	shared.idle--;
	return shared.todo != NULL;
}

static void *work(void *unused)
{
	static const uint64_t one = 1;

	pthread_mutex_lock(&shared.lock);
	while (shared.todo || await_work()) {
		struct resolver_job *job = next_job();

		pthread_mutex_unlock(&shared.lock);
		resolve(job);
		pthread_mutex_lock(&shared.lock);
		job->next = shared.done;
		shared.done = job;
		/* Full, it is readable already. */
		if (write(shared.event_fd, &one, sizeof(one)) < 0)
			continue;
	}
	shared.threads--;
	pthread_mutex_unlock(&shared.lock);
	return unused;
}

/*** In the loop ***/

static int add_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc = pthread_attr_init(&attr);

	if (rc != 0)
		return rc;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	rc = pthread_create(&thread, &attr, work, NULL);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		shared.threads++;
	return rc;
}

int resolver_submit(struct resolver_job *job)
{
	int rc = 0;

	pthread_mutex_lock(&shared.lock);
	if (shared.queued >= shared.idle && shared.threads < THREADS_MAX)
		rc = add_thread();
	/* Without a new thread the old ones come round to it. */
	if (shared.threads > 0) {
		rc = 0;
		job->next = NULL;
		*shared.todo_end = job;
		shared.todo_end = &job->next;
		shared.queued++;
		pthread_cond_signal(&shared.work);
	}
	pthread_mutex_unlock(&shared.lock);
	errno = rc;
	return rc ? -1 : 0;
}

struct resolver_job *resolver_take(void)
{
	struct resolver_job *job;
	uint64_t count;

	pthread_mutex_lock(&shared.lock);
	job = shared.done;
	if (job)
		shared.done = job->next;
	else if (read(shared.event_fd, &count, sizeof(count)) < 0)
		job = NULL; /* nothing was there, nothing to clear */
	pthread_mutex_unlock(&shared.lock);
	return job;
}
