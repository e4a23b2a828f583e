/* SPDX-License-Identifier: MIT */
/* When the relay gives up waiting, to the millisecond: by a clock that the test
 * moves.  What ends is seen at the sockets, as a client sees it. */
#include "clock.h"
#include "netbox_dns.h"

#include <dirent.h>
#include <netinet/tcp.h>

#define CONNECTING  30000
#define FIRST_WORDS 300
#define LASTING     (60 * 1000)
#define IDLE        (60 * 60 * 1000)
#define PIPE_IDLE   1000
#define DNS_IDLE    10000
#define FORGIVING   1000
#define UDP_SILENCE 5000
#define REST        500
#define REST_MAX    (2 * 60 * 1000)

enum {
	ECHO = 7001,
	MUTE, /* takes connections, and that is all */
	DEAD, /* takes none: no packet is answered */
	BULK,
	ENDS, /* at the first word */
	PROXY,
	DOOR,
	INSIDE, /* what is published at it */
};

static const char *const rules[] = {
	"t.test:443", "t.test:7001-7005", "greet.test:443", "*.wild.test", NULL,
};
static const char *const resolve[] = {
	"t.test", "127.0.0.1", "greet.test", "127.0.0.2", NULL,
};

/*** Time ***/

static int fence = -1; /* to the name service, by TCP */

/*
 * All that was sent has been seen, and what was due is over.  The second answer
 * is of a later turn of the relay's loop than the first one, as it takes one
 * question a turn from here; and on the one processor of ours what is sent
 * arrives in that order.
 */
static void settle(void)
{
	uint8_t query[2 + 300] = { 0 }, answer[600];
	size_t n = make_query(query + 2, "t.test", 1);

	query[1] = (uint8_t)n;
	for (int i = 0; i < 2; i++)
		if (write_all(fence, query, n + 2) < 0 ||
		    read(fence, answer, sizeof(answer)) <= 2)
			box_die("fence");
}

static void pass(uint64_t ms)
{
	settle();
	clock_hands->ahead += ms;
	settle();
}

static bool quiet(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 0;
}

/* Lets all but the last millisecond pass, and that one: it must not end before.
 * Reads till it ends: 0 in order, errno otherwise; -1: it ended too early. */
static int ends_after(int fd, uint64_t ms)
{
	char buffer[4096];
	ssize_t n;
	bool early;

	pass(ms - 1);
	early = !quiet(fd);
	pass(1);
	while ((n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0)
		;
	n = n < 0 ? errno : 0;
	close(fd);
	return early ? -1 : (int)n;
}

/*** Servers ***/

static void greet(int fd)
{
	if (write_all(fd, "220 hello\r\n", 11) == 0)
		box_echo(fd);
}

static void stay_mute(int fd)
{
	(void)fd;
	pause();
}

/* So much that it is spliced; what comes after a word is the end of it. */
static void pour(int fd)
{
	static char block[65536];

	for (int i = 0; i < 160; i++)
		if (write_all(fd, block, sizeof(block)) < 0)
			return;
	box_echo(fd);
}

static void end(int fd)
{
	char c;

	if (read(fd, &c, 1) == 1 && shutdown(fd, SHUT_WR) == 0)
		pause();
}

/* One connection fills the queue of a server that accepts none, and the kernel
 * drops what comes then. */
static void start_dead_server(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(DEAD),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, 0) < 0 ||
	    connect(filler, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		box_die("dead server");
}

/*** The way to the server ***/

static bool gave_up(const char *name, uint16_t port)
{
	const struct net_event *e = box_event_at(NET_EVENT_CONNECT, name, port);

	return e && e->error == ETIMEDOUT &&
	       !strcmp(e->reason, "no answer in time");
}

static void test_connecting(void)
{
	int fd = box_connect(fake("t.test"), DEAD);

	ok(ends_after(fd, CONNECTING) == ECONNRESET,
	   "a server that answers no packet: thirty seconds, then a reset");
	ok(gave_up("t.test", DEAD), "and it is told of as that");
}

static void test_first_words(void)
{
	struct pollfd pfd = { .events = POLLIN };
	int fd = box_connect(fake("greet.test"), 443);

	pass(FIRST_WORDS - 1);
	ok(quiet(fd), "a client's port: the server is not called at once");
	pass(1);
	pfd.fd = fd;
	ok(poll(&pfd, 1, 10000) == 1,
	   "but when the client says nothing, and it may speak");
	close(fd);
}

static void test_half_hello(void)
{
	int fd = box_connect(fake("t.test"), 443);
	const struct net_event *e;

	(void)!write(fd, "\x16\3\1\0\x80\1", 6);
	settle();
	pass(FIRST_WORDS);
	pass(CONNECTING / 2);
	(void)!write(fd, "\0", 1);
	ok(ends_after(fd, CONNECTING / 2) == ECONNRESET,
	   "half a hello: thirty seconds, however it drips");
	e = box_event(NET_EVENT_DENIED, "t.test");
	ok(e && strstr(e->reason, "did not finish its first words"),
	   "and it is told of as that");
}

/*** Open connections ***/

static int talk(int fd)
{
	char c;

	return write(fd, "x", 1) == 1 && read(fd, &c, 1) == 1 ? fd : -1;
}

/* A socket of the relay's to this port, in this state (TCP_ESTABLISHED...): in
 * how many hundredths of a second the kernel will ask whether the server is
 * alive, 0 when it does not mean to; -1: there is none. */
static int asks_in(uint16_t port, unsigned int state)
{
	auto_free char *text = read_file(AT_FDCWD, "/proc/self/net/tcp",
					 1 << 20, NULL);
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n")) != NULL) {
		unsigned int to, in, kind, when;

		if (sscanf(line, "%*d: %*x:%*x %*x:%x %x %*x:%*x %x:%x", &to,
			   &in, &kind, &when) == 4 &&
		    to == port && in == state)
			return kind == 2 ? (int)when : 0;
	}
	return -1;
}

static void test_keepalive(void)
{
	int fd = talk(box_connect(fake("t.test"), ECHO));
	int when;

	pass(LASTING - 1);
	ok(fd >= 0 && asks_in(ECHO, TCP_ESTABLISHED) == 0,
	   "a connection of a moment costs no call more");
	pass(1);
	when = asks_in(ECHO, TCP_ESTABLISHED);
	ok(when > 6000 && when <= 12000,
	   "one that lasts: a dead server is asked for in time: %d", when);
	close(fd);
	box_event(NET_EVENT_CLOSE, "t.test");
}

static void test_idle(void)
{
	int silent = box_connect(fake("t.test"), MUTE);
	int halved = box_connect(fake("t.test"), MUTE);
	int spoke = talk(box_connect(fake("t.test"), ECHO));
	const struct net_event *e;

	shutdown(halved, SHUT_WR);
	/* The kernel may take its time to say that it has arrived. */
	while (asks_in(MUTE, TCP_FIN_WAIT2) < 0)
		settle();
	pass(LASTING);
	pass(IDLE / 2);
	talk(spoke);
	ok(ends_after(silent, IDLE / 2) == ECONNRESET,
	   "an hour of silence: a reset");
	e = box_event_at(NET_EVENT_CLOSE, "t.test", MUTE);
	ok(e && e->duration_ms >= IDLE && e->duration_ms < 2 * IDLE,
	   "its end is told of, after %lu ms", e ? e->duration_ms : 0);
	ok(ends_after(halved, 1) == -1 &&
	       box_event_at(NET_EVENT_CLOSE, "t.test", MUTE),
	   "and of one with half an end");
	pass(1);
	ok(quiet(spoke) && talk(spoke) == spoke,
	   "not of one with a word in that hour");
	/* It is looked at once an hour. */
	pass(IDLE - 1);
	ok(quiet(spoke), "nor with one in the next");
	ok(ends_after(spoke, IDLE) == ECONNRESET, "till there is none");
	box_event_at(NET_EVENT_CLOSE, "t.test", ECHO);
}

/* -1: only root can see the relay's. */
static int count_pipes(void)
{
	auto_free char *path = xasprintf("/proc/%d/fd", (int)box_relay.pid);
	DIR *dir = opendir(path);
	const struct dirent *entry;
	char target[64];
	int n = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)) != NULL)
		n += readlinkat(dirfd(dir), entry->d_name, target,
				sizeof(target)) > 5 &&
		     !memcmp(target, "pipe:", 5);
	closedir(dir);
	return n;
}

static void test_pipes(void)
{
	static char buffer[160 * 65536];
	int before = count_pipes();
	int fd = box_connect(fake("t.test"), BULK);

	ok(recv(fd, buffer, sizeof(buffer), MSG_WAITALL) == sizeof(buffer),
	   "much at once");
	settle();
	ok(before < 0 || count_pipes() > before, "goes by a pipe");
	pass(PIPE_IDLE - 1);
	ok(before < 0 || count_pipes() > before, "which stays for a second");
	pass(1);
	ok(before < 0 || count_pipes() == before, "and no longer");
	ok(talk(fd) == fd, "bytes move without it");
	close(fd);
	box_event(NET_EVENT_CLOSE, "t.test");
}

static void ask_upgrade(int fd, const char *more)
{
	auto_free char *text = xasprintf("GET / HTTP/1.1\r\nHost: t.test\r\n"
					 "Upgrade: x\r\n\r\n%s",
					 more);

	if (write_all(fd, text, strlen(text)) < 0)
		box_die("upgrade");
	settle();
}

/* The pipe is full when the next words of the server's are to be looked at. */
static void test_pipe_is_there(void)
{
	static char buffer[160 * 65536];
	int before = count_pipes();
	int fd = box_connect(fake("t.test"), BULK);
	int little = 65536;

	/* Else all of it may be on our side already. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	while (quiet(fd))
		settle();
	ask_upgrade(fd, "");
	ok(recv(fd, buffer, sizeof(buffer), MSG_WAITALL) == sizeof(buffer),
	   "much at once, and a question in the middle");
	pass(PIPE_IDLE);
	ok(before < 0 || count_pipes() == before, "a pipe is made once: %d, %d",
	   before, count_pipes());
	close(fd);
	box_event(NET_EVENT_CLOSE, "t.test");
}

/* What follows a question that nobody will answer. */
static void test_no_upgrade(void)
{
	int fd = box_connect(fake("t.test"), ENDS);

	ask_upgrade(fd, "more");
	ok(box_event_at(NET_EVENT_CLOSE, "t.test", ENDS),
	   "a server that ends without an answer ends it");
	close(fd);
}

/*** Questions ***/

static void test_dns_clients(void)
{
	enum { PLACES = 63 }; /* and the fence */
	int fds[PLACES], more, early = 0, over = 0;
	char c;

	for (int i = 0; i < PLACES; i++) {
		fds[i] = box_connect(netpol_nameserver, 53);
		(void)!write(fds[i], "\0", 1);
	}
	settle();
	more = box_connect(netpol_nameserver, 53);
	ok(read(more, &c, 1) == 0, "who holds all places keeps others out");
	close(more);
	pass(DNS_IDLE - 1);
	for (int i = 0; i < PLACES; i++)
		early += !quiet(fds[i]);
	pass(1);
	for (int i = 0; i < PLACES; i++) {
		over += recv(fds[i], &c, 1, MSG_DONTWAIT) == 0;
		close(fds[i]);
	}
	ok(early == 0 && over == PLACES, "for ten seconds: %d, %d", early,
	   over);
	more = box_connect(netpol_nameserver, 53);
	settle();
	ok(quiet(more), "then there is room again");
	close(more);
}

static bool answered(int fd, const uint8_t *query, size_t n)
{
	uint8_t answer[600];

	while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
	if (write(fd, query, n) != (ssize_t)n)
		return false;
	settle();
	return recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0;
}

static void test_fast_asker(void)
{
	int fd = dns_socket(netpol_nameserver);
	uint8_t query[300];
	size_t n = make_query(query, "t.test", 1);
	int asked = 0;

	while (asked < 1000 && answered(fd, query, n))
		asked++;
	ok(asked == 500 && box_event(NET_EVENT_LIMIT, ""),
	   "who asks too often in a second is not answered: %d", asked);
	pass(FORGIVING - 1);
	ok(!answered(fd, query, n), "till a second later");
	pass(1);
	ok(answered(fd, query, n), "and then again");
	close(fd);
}

static int times_told(const char *addr)
{
	int n = 0;

	settle();
	while (box_pump(0), box_n_events > 0) {
		for (size_t i = 0; i < box_n_events; i++)
			n += box_events[i].kind == NET_EVENT_DENIED &&
			     !strcmp(box_events[i].addr, addr);
		box_n_events = 0;
	}
	return n;
}

static void test_udp(void)
{
	static const char addr[] = "192.0.2.7";
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(123) };
	int fd = box_socket(AF_INET, SOCK_DGRAM), told;

	inet_pton(AF_INET, addr, &sa.sin_addr);
	(void)!sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, sizeof(sa));
	told = times_told(addr);
	pass(UDP_SILENCE - 1);
	for (int i = 0; i < 9; i++)
		(void)!sendto(fd, "x", 1, 0, (struct sockaddr *)&sa,
			      sizeof(sa));
	ok(told == 1 && times_told(addr) == 0,
	   "UDP to the same peer is told of once in five seconds");
	pass(1);
	(void)!sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, sizeof(sa));
	ok(times_told(addr) == 1, "and then again");
	close(fd);
}

static void test_made_up(void)
{
	char name[64];
	uint32_t addr;
	int given = 0;

	do
		snprintf(name, sizeof(name), "n%d.wild.test", given);
	while (ask(name, 1, &addr) == 0 && given++ < 1000);
	ok(given == 256, "so many names can be made up at once: %d", given);
	pass(1999);
	ok(ask("a.wild.test", 1, &addr) == 5, "none in two seconds");
	pass(1);
	ok(ask("a.wild.test", 1, &addr) == 0 &&
	       ask("b.wild.test", 1, &addr) == 5,
	   "but one");
}

/*** A published port ***/

static int listen_inside(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(INSIDE),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = box_socket(AF_INET, SOCK_STREAM), little = 1;

	/* What does not read soon takes no more. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, 10) < 0)
		box_die("inside");
	return fd;
}

/* From the host; its own port in *port. */
static int enter(uint16_t *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(DOOR),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		box_die("door");
	*port = ntohs(sa.sin_port);
	return fd;
}

/* A client that is gone has only said its end, as far as we can see. */
static void test_gone_client(int listener)
{
	uint16_t port;
	int client = enter(&port);
	int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	int when;
	char c;

	close(client);
	pass(LASTING);
	when = asks_in(port, TCP_CLOSE_WAIT);
	ok(when > 6000 && when <= 12000,
	   "a client that may be gone is asked for: %d", when);
	ok(recv(server, &c, 1, MSG_DONTWAIT) == 0, "its end was passed on");
	close(server);
	box_event_at(NET_EVENT_CLOSE, "127.0.0.1", INSIDE);
}

static bool is_reset(int fd)
{
	struct pollfd pfd = { .fd = fd };

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLERR);
}

static void test_rest(int listener)
{
	static char much[30000];
	uint16_t port;
	int client = enter(&port);
	int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	shutdown(server, SHUT_WR);
	ok(write_all(client, much, sizeof(much)) == 0 && !is_reset(server),
	   "a service that ends and does not read");
	close(client);
	ok(box_event_at(NET_EVENT_CLOSE, "127.0.0.1", INSIDE),
	   "its client is done");
	pass(REST_MAX - REST);
	ok(!is_reset(server), "it has its time to read");
	pass(REST);
	ok(is_reset(server), "and no more");
	close(server);
}

static void test_published(void)
{
	int listener = listen_inside();

	test_gone_client(listener);
	test_rest(listener);
	close(listener);
}

/*** The proxy ***/

static void test_proxy(void)
{
	int fd = box_connect(fake("t.test"), ECHO);

	settle();
	ok(ends_after(fd, CONNECTING) == ECONNRESET && gave_up("t.test", ECHO),
	   "a proxy that never answers: thirty seconds in all");
}

/*** The whole ***/

static bool start(const struct net_policy *policy)
{
	int rc;

	clock_shared = true;
	rc = box_start(policy);
	clock_shared = false;
	fence = box_connect(netpol_nameserver, 53);
	return ok(rc == 0, "the relay takes the sockets: %s",
		  rc < 0 ? err_get()->message : "");
}

static void stop(void)
{
	close(fence);
	ok(relay_stop(&box_relay) == 0, "the relay ends in order");
	relay_close(&box_relay);
	box_stop();
	box_n_events = 0;
}

static void start_servers(void)
{
	box_server("127.0.0.1", ECHO, box_echo);
	box_server("127.0.0.1", MUTE, stay_mute);
	box_server("127.0.0.1", BULK, pour);
	box_server("127.0.0.1", ENDS, end);
	box_server("127.0.0.1", PROXY, stay_mute);
	box_server("127.0.0.1", 443, box_echo);
	box_server("127.0.0.2", 443, greet);
	start_dead_server();
}

int main(void)
{
	struct net_policy policy;

	if (box_unshare(geteuid() != 0) < 0)
		return skipped("no network namespaces here");
	if (!clock_init())
		box_die("clock");
	clock_hold();
	box_lo_up();
	start_servers();
	box_policy(&policy, rules, resolve, 0);
	policy.publish = xcalloc(1, sizeof(*policy.publish));
	policy.publish[0] = (struct spec_publish){ DOOR, INSIDE };
	policy.n_publish = 1;
	if (!start(&policy))
		return done();
	test_connecting();
	test_first_words();
	test_half_hello();
	test_keepalive();
	test_idle();
	test_pipes();
	test_pipe_is_there();
	test_no_upgrade();
	test_dns_clients();
	test_fast_asker();
	test_udp();
	test_made_up();
	test_published();
	stop();
	policy.proxy = xcalloc(1, sizeof(*policy.proxy));
	policy.proxy->addr = netaddr_from_v4(INADDR_LOOPBACK);
	policy.proxy->port = PROXY;
	/* An address that is resolved by the user goes past it. */
	policy.n_resolve = 0;
	if (start(&policy)) {
		test_proxy();
		stop();
	}
	netpol_free(&policy);
	box_end();
	return done();
}
