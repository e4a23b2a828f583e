/* SPDX-License-Identifier: MIT */

/*
 * net serve PORT               prints "ready", then serves for ever
 * net down HOST PORT MIB       MiB per second received over one connection
 * net up HOST PORT MIB         ... sent
 * net connect HOST PORT COUNT  median microseconds from connect() to the first
 *                              byte of an answer, so that a relay's own dial
 *                              is in it
 * net greet PORT               prints "ready", then says one byte to each
 *                              connection and keeps it open
 * net brief PORT               prints "ready", then takes HELLO bytes of each
 *                              connection, says ANSWER and closes it
 * net rate HOST PORT COUNT     connections a second, each with a request, its
 *                              answer and both ends closed, eight at a time
 *                              (to a brief), for five seconds at most;
 *                              with NET_CONNECT, a request in full, each asks
 *                              a proxy for its way there
 * net hold HOST PORT COUNT     prints how many are open at once (to a greet),
 *                              and keeps them till its input ends
 */

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK     (256 * 1024)
#define MIB       (1024.0 * 1024.0)
#define AT_A_TIME 8
/* Of a figure: a way that is slow, or whose machine is, has one all the same. */
#define RATE_US   5e6
/* What a TLS client says first, and what it hears of a server that it has met
 * before, with a small page. */
#define HELLO     517
#define ANSWER    2048

/* What a client says first. */
struct request {
	char kind; /* 'd', 'u', 'c' */
	uint64_t bytes;
};

static char chunk[CHUNK];

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int push(int fd, uint64_t bytes)
{
	while (bytes) {
		size_t want = bytes < CHUNK ? (size_t)bytes : CHUNK;
		ssize_t n = send(fd, chunk, want, MSG_NOSIGNAL);

		if (n <= 0)
			return -1;
		bytes -= (uint64_t)n;
	}
	return 0;
}

static int pull(int fd, uint64_t bytes)
{
	while (bytes) {
		size_t want = bytes < CHUNK ? (size_t)bytes : CHUNK;
		ssize_t n = recv(fd, chunk, want, 0);

		if (n <= 0)
			return -1;
		bytes -= (uint64_t)n;
	}
	return 0;
}

static void answer(int fd)
{
	struct request request;

	if (recv(fd, &request, sizeof(request), MSG_WAITALL) != sizeof(request))
		return;
	if (request.kind == 'd')
		push(fd, request.bytes);
	else if (request.kind == 'c' || pull(fd, request.bytes) == 0)
		push(fd, 1);
}

static int listen_on(const char *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons(
					(uint16_t)strtol(port, NULL, 10)),
				    .sin_addr.s_addr = htonl(INADDR_ANY) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(fd, 4096) < 0) {
		perror("net: listen");
		return -1;
	}
	puts("ready");
	fflush(stdout);
	return fd;
}

static void all_files(void)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* A connection that waits costs the others nothing, whoever is slow. */
static int brief(const char *port)
{
	int fd = listen_on(port), poll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (fd < 0 || poll_fd < 0 ||
	    epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return 1;
	while (epoll_wait(poll_fd, &event, 1, -1) >= 0) {
		int client = event.data.fd;

		if (client == fd) {
			event.data.fd = client = accept(fd, NULL, NULL);
			epoll_ctl(poll_fd, EPOLL_CTL_ADD, client, &event);
			continue;
		}
		if (pull(client, HELLO) == 0)
			push(client, ANSWER);
		close(client);
	}
	return 1;
}

/* Those who went away are not noticed: it is there for one figure. */
static int greet(const char *port)
{
	int fd = listen_on(port);

	all_files();
	while (fd >= 0) {
		int client = accept(fd, NULL, NULL);

		if (client >= 0)
			push(client, 1);
	}
	return 1;
}

static int serve(const char *port)
{
	int fd = listen_on(port), one = 1;

	if (fd < 0)
		return 1;
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int client = accept(fd, NULL, NULL);

		if (client < 0)
			continue;
		setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (fork() == 0) {
			answer(client);
			_exit(0);
		}
		close(client);
	}
}

static struct addrinfo *look_up(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_family = AF_INET,
				  .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	int rc = getaddrinfo(host, port, &hints, &found);

	if (rc != 0)
		fprintf(stderr, "net: %s: %s\n", host, gai_strerror(rc));
	return found;
}

static int ask(const struct addrinfo *to, char kind, uint64_t bytes)
{
	struct request request = { .kind = kind, .bytes = bytes };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, to->ai_addr, to->ai_addrlen) < 0 ||
	    send(fd, &request, sizeof(request), MSG_NOSIGNAL) !=
		sizeof(request)) {
		perror("net: connect");
		close(fd);
		return -1;
	}
	return fd;
}

static int transfer(const struct addrinfo *to, char kind, double mib)
{
	uint64_t bytes = (uint64_t)(mib * MIB);
	double begin = now_us();
	int fd = ask(to, kind, bytes);
	int rc = fd < 0                ? -1
		 : kind == 'd'         ? pull(fd, bytes)
		 : push(fd, bytes) < 0 ? -1
				       : pull(fd, 1);

	if (rc < 0) {
		fprintf(stderr, "net: transfer broke: %s\n", strerror(errno));
		return 1;
	}
	printf("%.0f\n", mib / ((now_us() - begin) / 1e6));
	return 0;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int connects(const struct addrinfo *to, long count)
{
	double *us = calloc((size_t)count + 1, sizeof(*us));

	if (!us)
		return 1;
	/* The first pays for what is made once. */
	for (long i = 0; i <= count; i++) {
		double begin = now_us();
		int fd = ask(to, 'c', 0);

		if (fd < 0 || pull(fd, 1) < 0)
			return 1;
		us[i] = now_us() - begin;
		close(fd);
	}
	qsort(us + 1, (size_t)count, sizeof(*us), compare);
	printf("%.0f\n", us[1 + count / 2]);
	free(us);
	return 0;
}

/* Asks the proxy for the way on, if there is one. */
static int tunnel(int fd)
{
	static const char end[] = "\r\n\r\n";
	const char *request = getenv("NET_CONNECT");
	size_t seen = 0;
	char c;

	if (!request)
		return 0;
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		return -1;
	while (seen < sizeof(end) - 1) {
		if (recv(fd, &c, 1, 0) != 1)
			return -1;
		seen = c == end[seen] ? seen + 1 : c == end[0];
	}
	return 0;
}

static int reach(const struct addrinfo *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) == 0 &&
	    tunnel(fd) == 0)
		return fd;
	perror("net: reach");
	if (fd >= 0)
		close(fd);
	return -1;
}

static int meet(const struct addrinfo *to)
{
	int fd = reach(to);

	if (fd < 0 || pull(fd, 1) == 0)
		return fd;
	perror("net: meet");
	close(fd);
	return -1;
}

/* To the end of the answer: a connection that was cut is none. */
static int visit(const struct addrinfo *to)
{
	int fd = reach(to);
	bool whole = fd >= 0 && push(fd, HELLO) == 0 && pull(fd, ANSWER) == 0 &&
		     recv(fd, chunk, 1, 0) == 0;

	if (!whole)
		perror("net: visit");
	if (fd >= 0)
		close(fd);
	return whole ? 0 : -1;
}

static int visit_many(const struct addrinfo *to, long count, double until,
		      _Atomic long *visits)
{
	for (; count > 0 && now_us() < until; count--, (*visits)++)
		if (visit(to) < 0)
			return 1;
	return 0;
}

static int rate(const struct addrinfo *to, long count)
{
	_Atomic long *visits = mmap(NULL, sizeof(*visits),
				    PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double begin = now_us();
	int status, failed = visits == MAP_FAILED;

	for (int i = 0; !failed && i < AT_A_TIME; i++)
		if (fork() == 0)
			_exit(visit_many(to, count / AT_A_TIME, begin + RATE_US,
					 visits));
	for (int i = 0; i < AT_A_TIME; i++)
		failed |= wait(&status) < 0 || status != 0;
	if (!failed)
		printf("%.0f\n", (double)*visits / ((now_us() - begin) / 1e6));
	return failed;
}

static int hold(const struct addrinfo *to, long count)
{
	long open = 0;

	all_files();
	while (open < count && meet(to) >= 0)
		open++;
	printf("%ld\n", open);
	fflush(stdout);
	while (read(STDIN_FILENO, chunk, sizeof(chunk)) > 0)
		;
	return 0;
}

int main(int argc, char **argv)
{
	struct addrinfo *to;
	long n;

	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	if (argc == 3 && strcmp(argv[1], "greet") == 0)
		return greet(argv[2]);
	if (argc == 3 && strcmp(argv[1], "brief") == 0)
		return brief(argv[2]);
	if (argc != 5 || !(to = look_up(argv[2], argv[3])))
		return 2;
	n = strtol(argv[4], NULL, 10);
	if (strcmp(argv[1], "connect") == 0)
		return connects(to, n > 0 ? n : 1);
	if (strcmp(argv[1], "rate") == 0)
		return rate(to, n);
	if (strcmp(argv[1], "hold") == 0)
		return hold(to, n);
	return transfer(to, argv[1][0] == 'u' ? 'u' : 'd', (double)n);
}
