/* SPDX-License-Identifier: MIT */
/* Who asks the name service too fast: known by the port, dropped by the kernel
 * for a second.  Over the loopback device, by a clock that the test moves. */
#include "clock.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns.h"
#include "dns_wire.h"
#include "relay_state.h"
#include "tap.h"
#include "util.h"

#define PER_SECOND  500
#define CROWD       2000
#define IN_CROWD    8
#define REFUSED_MAX 1000
#define BLOCK       200 /* of ports in the filter: two instructions more */
/* So many find room in the socket at once. */
#define BATCH       100

static struct relay_state state;
static struct sockaddr_in server = { .sin_family = AF_INET };
static int server_fd, events_fd;

/*** One turn of the loop ***/

static void stop(struct watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	state.loop.stop = true;
}

static void turn(void)
{
	state.loop.stop = false;
	loop_run(&state.loop);
}

/*** Askers ***/

/* From this address and port; port 0: any. */
static int asker(uint32_t from, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = port,
				  .sin_addr.s_addr = htonl(from) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		ok(false, "an asker");
	return fd;
}

static size_t count_answers(int fd)
{
	uint8_t answer[600];
	uint32_t addr;
	ssize_t got;
	size_t n = 0;

	while ((got = recv(fd, answer, sizeof(answer), 0)) >= 0)
		n += read_answer(answer, got, &addr) == 0 && addr;
	return n;
}

/* Asks so often: how many answers there are. */
static size_t ask(int fd, size_t times)
{
	uint8_t query[300];
	size_t size = make_query(query, "t.test", DNS_A), n = 0;

	while (times > 0) {
		for (size_t i = 0; times > 0 && i < BATCH; i++, times--)
			(void)!send(fd, query, size, 0);
		turn();
		n += count_answers(fd);
	}
	return n;
}

/* How many ports the kernel drops questions of. */
static int dropped_ports(void)
{
	socklen_t len = 0;

	if (getsockopt(server_fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len) < 0)
		return -1;
	return len == 0 ? 0
			: (int)(len - 2 - 2 * ((len - 3) / (BLOCK + 2) + 1));
}

/* In all that is told till now. */
static size_t count_limits(void)
{
	struct net_event event;
	size_t n = 0;

	do {
		turn();
		while (recv(events_fd, &event, sizeof(event), MSG_DONTWAIT) > 0)
			n += strstr(event.reason, "too many questions") != NULL;
	} while (state.events.n > 0);
	return n;
}

/*** The tests ***/

static uint16_t port_of(int fd)
{
	struct sockaddr_in sa = { 0 };
	socklen_t len = sizeof(sa);

	getsockname(fd, (struct sockaddr *)&sa, &len);
	return sa.sin_port;
}

static void test_fast(void)
{
	int fd = asker(INADDR_LOOPBACK, 0), other;
	size_t answers = ask(fd, PER_SECOND), limits = count_limits();

	ok(answers == PER_SECOND && dropped_ports() == 0 && limits == 0,
	   "so many in a second are answered: %zu", answers);
	/* All of these are in the queue already. */
	answers = ask(fd, BATCH);
	limits = count_limits();
	ok(answers == 0 && dropped_ports() == 1 && limits == 1,
	   "more are not, and the port is dropped: %d, %zu", dropped_ports(),
	   limits);
	ok(ask(fd, BATCH) == 0 && dropped_ports() == 1, "once");
	other = asker(INADDR_LOOPBACK + 1, port_of(fd));
	ok(ask(other, 1) == 0, "whatever address it comes from");
	close(other);
	other = asker(INADDR_LOOPBACK, 0);
	ok(ask(other, 1) == 1, "others are answered");
	close(other);
	clock_hands->ahead += 500;
	other = asker(INADDR_LOOPBACK, 0);
	ask(other, PER_SECOND + BATCH);
	ok(dropped_ports() == 2, "another one's port is dropped, too");
	close(other);
	clock_hands->ahead += 499;
	ok(ask(fd, 1) == 0, "for a second");
	clock_hands->ahead += 1;
	turn();
	ok(dropped_ports() == 0 && ask(fd, PER_SECOND) == PER_SECOND,
	   "and no longer");
	close(fd);
	clock_hands->ahead += 1000;
}

/* Refused at the start of a second, forgiven with another one while that still
 * goes on: it does not fill the queue for the rest of it. */
static void test_again(void)
{
	int first = asker(INADDR_LOOPBACK, 0), fd = asker(INADDR_LOOPBACK, 0);
	uint64_t ms = (clock_hands->held + clock_hands->ahead) % 1000;

	clock_hands->ahead += 1000 - ms + 100;
	ask(first, PER_SECOND + 1);
	clock_hands->ahead += 950;
	ask(fd, PER_SECOND + 1);
	ok(dropped_ports() == 2, "two are too fast, the one later");
	clock_hands->ahead += 50;
	turn();
	ok(dropped_ports() == 0, "they are forgiven together");
	ok(ask(fd, 1) == 0 && dropped_ports() == 1,
	   "who goes on is dropped again");
	close(first);
	close(fd);
	clock_hands->ahead += 1000;
	turn();
	ok(dropped_ports() == 0, "and forgiven");
}

/* All too fast together: each has a few, and one that is new has them, too. */
static void test_crowd(void)
{
	int fds[CROWD / PER_SECOND], fd;
	size_t answers = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = asker(INADDR_LOOPBACK, 0);
		answers += ask(fds[i], PER_SECOND);
	}
	ok(answers == CROWD && dropped_ports() == 0,
	   "so many of all in a second are answered: %zu", answers);
	fd = asker(INADDR_LOOPBACK, 0);
	answers = ask(fd, IN_CROWD);
	ok(answers == IN_CROWD && dropped_ports() == 0,
	   "then so many of each: %zu", answers);
	answers = ask(fd, 1);
	ok(answers == 0 && dropped_ports() == 1,
	   "no more, and the port is dropped: %zu, %d", answers,
	   dropped_ports());
	ok(ask(fds[0], 1) == 0 && dropped_ports() == 2,
	   "who had more before has none now");
	clock_hands->ahead += 1000;
	turn();
	ok(dropped_ports() == 0 && ask(fd, IN_CROWD + 1) == IN_CROWD + 1,
	   "for a second");
	close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	clock_hands->ahead += 1000;
}

/* More than the filter has room for are not answered, all the same. */
static void test_many(void)
{
	static int fds[REFUSED_MAX + 6];
	const size_t first = CROWD / BATCH;
	size_t answers = 0, unanswered = 0;

	/* All open to the end: no port of theirs comes again. */
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = asker(INADDR_LOOPBACK, 0);
		answers += ask(fds[i], BATCH);
	}
	ok(answers == CROWD + (ARRAY_SIZE(fds) - first) * IN_CROWD,
	   "of many none has more: %zu", answers);
	ok(dropped_ports() == (int)(ARRAY_SIZE(fds) - first),
	   "the kernel drops %d of them", dropped_ports());
	for (size_t i = 0; i < first; i++)
		answers = ask(fds[i], 1);
	ok(answers == 0 && dropped_ports() == REFUSED_MAX,
	   "no more than %d of all", dropped_ports());
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		unanswered += ask(fds[i], 1) == 0;
	ok(unanswered == ARRAY_SIZE(fds), "none of them has an answer: %zu",
	   unanswered);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	ok(count_limits() == 0, "it was told of before");
	clock_hands->ahead += 1000;
	turn();
	ok(dropped_ports() == 0, "all are forgiven");
}

/* Else who asked would not take it. */
static void test_address(void)
{
	int fd;

	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 7);
	fd = asker(INADDR_LOOPBACK, 0);
	ok(ask(fd, 1) == 1, "the address that was asked is who answers");
	close(fd);
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static void test_odd_ones(void)
{
	int fd = asker(INADDR_LOOPBACK, 0);
	static uint8_t junk[9000];

	(void)!send(fd, junk, 0, 0);
	(void)!send(fd, junk, 11, 0);
	turn();
	ok(recv(fd, junk, sizeof(junk), 0) < 0, "what is none has no answer");
	(void)!send(fd, junk, sizeof(junk), 0);
	ok(ask(fd, 3) == 3, "nothing, much and little at once do not stop it");
	close(fd);
}

static bool open_all(void)
{
	static const int on = 1;
	socklen_t len = sizeof(server);
	int fds[2], ends[2];

	server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			   0);
	if (setsockopt(server_fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) <
		0 ||
	    bind(server_fd, (struct sockaddr *)&server, len) < 0 ||
	    getsockname(server_fd, (struct sockaddr *)&server, &len) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
		       0, fds) < 0 ||
	    pipe(ends) < 0)
		return false;
	close(ends[1]);
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	events_fd = fds[1];
	state.resolved = (struct watch){ ends[0], stop };
	return loop_init(&state.loop) == 0 &&
	       relay_event_init(&state, fds[0]) == 0 &&
	       relay_udp_open(&state, server_fd) == 0 &&
	       loop_add(&state.loop, &state.resolved, EPOLLIN) == 0;
}

int main(void)
{
	struct net_rule rule;
	struct net_policy policy = { .mode = NET_RELAY,
				     .rules = &rule,
				     .n_rules = 1 };
	struct rlimit files;
	char why[200];

	/* Of its own it has as many as it may. */
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (!clock_init() ||
	    net_rule_parse("t.test:443", &rule, why, sizeof(why)) < 0)
		return !ok(false, "a clock and a rule");
	clock_stop();
	clock_shared = true;
	names_init(&state.names);
	state.policy = &policy;
	if (!ok(open_all(), "a name service"))
		return done();
	test_fast();
	test_again();
	test_crowd();
	test_many();
	test_address();
	test_odd_ones();
	net_rule_free(&rule);
	return done();
}
