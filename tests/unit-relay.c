/* SPDX-License-Identifier: MIT */
/* The relay, from sockets inside to servers on a host of the test's own. */
#include "netbox_dns.h"

#include <stdint.h>

#define BULK (24 * 1024 * 1024)

static const char *const rules[] = {
	"t.test:7001-7007", "t.test:443",
	"t.test:80",        "*.wild.test:7001",
	"127.0.0.2:7001",   "v6.test:7001",
	"other.test:7008",  "[2001:db8::5]:7001",
	"t.test:7009",      NULL,
};
static const char *const resolve[] = {
	"t.test",    "127.0.0.1",   "v6.test",   "::1", "other.test",
	"127.0.0.1", "a.wild.test", "127.0.0.1", NULL,
};

static bool has_v6;

/*** Servers ***/

static void greet(int fd)
{
	if (write_all(fd, "SSH-2.0-test\r\n", 14) == 0)
		box_echo(fd);
}

static void reset_now(int fd)
{
	struct linger now = { 1, 0 };
	char c;

	if (read(fd, &c, 1) == 1)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

/* What a server says to who asks for something else than HTTP, in two pieces. */
static const struct {
	const char *to;
	const char *first, *second;
} upgrades[] = {
	{ "websocket", "HTTP/1.1 1", "01 Switching\r\n" ACCEPT "\r\n" },
	{ "h2c", "HTTP/1.1 1", "01 Switching\r\n\r\n" },
	{ "refused", "HTTP/1.1 2", "00 OK\r\n\r\n" },
	{ "broken", "HTTP/1.1 1", NULL },
};

static void upgrade(int fd)
{
	char head[1000] = "";
	size_t n = 0;

	while (!strstr(head, "\r\n\r\n") && n < sizeof(head) - 1 &&
	       read(fd, head + n, 1) == 1)
		n++;
	for (size_t i = 0; i < ARRAY_SIZE(upgrades); i++) {
		const char *second = upgrades[i].second;

		if (!strstr(head, upgrades[i].to))
			continue;
		(void)!write(fd, upgrades[i].first, strlen(upgrades[i].first));
		usleep(10000);
		if (second && write_all(fd, second, strlen(second)) == 0)
			box_echo(fd);
	}
}

static void sleep_on(int fd)
{
	(void)fd;
	pause();
}

static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 2654435761u >> 13);
}

/* Here and there an octet is urgent. */
static void source(int fd)
{
	static uint8_t block[65536];

	for (size_t at = 0; at < BULK; at += sizeof(block)) {
		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = pattern(at + i);
		if (send(fd, block, 1, at % (BULK / 4) == 0 ? MSG_OOB : 0) <
			0 ||
		    write_all(fd, block + 1, sizeof(block) - 1) < 0)
			return;
	}
	shutdown(fd, SHUT_WR);
	while (read(fd, block, sizeof(block)) > 0)
		;
}

static uint64_t read_bulk(int fd)
{
	static uint8_t block[65536];
	uint64_t at = 0, wrong = 0;
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0)
		for (ssize_t i = 0; i < n; i++)
			wrong += block[i] != pattern(at++);
	return n < 0 || wrong ? 0 : at;
}

static void sink(int fd)
{
	uint64_t n = read_bulk(fd);

	(void)!write(fd, &n, sizeof(n));
}

/*** Connections ***/

static void test_echo(void)
{
	const struct net_event *e;
	uint64_t connection;
	char buffer[100];
	int fd = box_connect(fake("t.test"), 7001);

	ok(fd >= 0, "a connection to an allowed name");
	ok(write(fd, "hello", 5) == 5 && read(fd, buffer, 100) == 5 &&
	       !memcmp(buffer, "hello", 5),
	   "carries bytes both ways");
	shutdown(fd, SHUT_WR);
	ok(read(fd, buffer, 100) == 0, "and its end both ways");
	close(fd);
	e = box_event(NET_EVENT_CONNECT, "t.test");
	ok(e && e->port == 7001 && !strcmp(e->addr, "127.0.0.1") &&
	       !strcmp(e->rule, "t.test:7001-7007") && !e->error,
	   "it is told of");
	connection = e ? e->connection : 0;
	e = box_event(NET_EVENT_CLOSE, "t.test");
	ok(e && e->bytes_out == 5 && e->bytes_in == 5, "and its end, counted");
	ok(e && connection > 0 && e->connection == connection,
	   "by the same number");
}

/* Reads till the end: 0 in order, errno otherwise. */
static int how_it_ends(int fd)
{
	char buffer[4096];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		;
	n = n < 0 ? errno : 0;
	close(fd);
	return (int)n;
}

static void test_ways(void)
{
	static const struct {
		const char *what, *name;
		uint16_t port;
	} rows[] = {
		{ "a wildcard", "a.wild.test", 7001 },
		{ "a server on ::1", "v6.test", 7001 },
		{ "a named address", "127.0.0.2", 7001 },
		{ "the host's port", "host.m9m.internal", 7001 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool literal = rows[i].name[0] == '1';
		char c = 0;
		int fd;

		if (!has_v6 && !strcmp(rows[i].name, "v6.test"))
			continue;
		fd = box_connect(literal ? rows[i].name : fake(rows[i].name),
				 rows[i].port);
		ok(fd >= 0 && write(fd, "x", 1) == 1 && read(fd, &c, 1) == 1 &&
		       c == 'x',
		   "%s", rows[i].what);
		close(fd);
		ok(box_event(NET_EVENT_CLOSE, rows[i].name), "is told of");
	}
}

static void test_denied(void)
{
	static const struct {
		const char *what, *name, *remedy;
		uint16_t port;
	} rows[] = {
		{ "an address", "93.184.216.34", "--allow 93.184.216.34:443",
		  443 },
		{ "an IPv6 address", "2001:db8::1",
		  "--allow [2001:db8::1]:7001", 7001 },
		{ "the neighbour of an allowed one", "127.0.0.3",
		  "--allow 127.0.0.3:7001", 7001 },
		{ "another port of an allowed address", "127.0.0.2",
		  "--allow 127.0.0.2:80", 80 },
		{ "another port of a name", "other.test",
		  "--allow other.test:7001", 7001 },
		{ "another port of the host", "host.m9m.internal",
		  "--host-port 80", 80 },
		{ "an address that stands for nothing", "198.18.99.99", "",
		  443 },
		{ "metadata", "169.254.169.254", "--allow 169.254.169.254:80",
		  80 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct net_event *e;
		struct in6_addr addr;
		bool literal = net_addr_parse(rows[i].name, &addr) == 0;
		int fd, how;

		if (!has_v6 && literal && !netaddr_is_v4(&addr))
			continue;
		fd = box_connect(literal ? rows[i].name : fake(rows[i].name),
				 rows[i].port);
		how = fd < 0 ? errno : how_it_ends(fd);
		e = box_event(NET_EVENT_DENIED, rows[i].name);

		ok(how == ECONNRESET && e && e->port == rows[i].port &&
		       !strcmp(e->remedy, rows[i].remedy),
		   "%s: reset (%s), %s", rows[i].what, strerror(how),
		   e ? e->remedy : "not told of");
	}
}

static bool told_of(const char *peer, uint16_t port, const char *protocol,
		    const char *remedy)
{
	const struct net_event *e = box_event_at(NET_EVENT_DENIED, peer, port);

	return e && !strcmp(e->protocol, protocol) && e->reason[0] &&
	       !strcmp(e->remedy, remedy);
}

static void test_nobody_listens(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(443),
				  .sin_addr.s_addr = htonl(0x08080808) };
	int fd = box_connect("93.184.216.34", 22);
	char c;

	ok(fd < 0 && errno == ECONNREFUSED, "a port of no rule: refused");
	ok(told_of("93.184.216.34", 22, "tcp", "--allow 93.184.216.34:22"),
	   "and told of");
	ok(!has_v6 ||
	       (box_connect("2001:db8::7", 22) < 0 &&
		told_of("2001:db8::7", 22, "tcp", "--allow [2001:db8::7]:22")),
	   "over IPv6 too");
	ok(box_connect(fake("t.test"), 22) < 0 &&
	       told_of("t.test", 22, "tcp", "--allow t.test:22"),
	   "and by its name");
	fd = box_socket(AF_INET, SOCK_DGRAM);
	ok(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
	       send(fd, "x", 1, 0) == 1 && recv(fd, &c, 1, 0) < 0 &&
	       errno == ECONNREFUSED,
	   "UDP: refused at once");
	ok(told_of("8.8.8.8", 443, "udp", ""), "and told of");
	close(fd);
	ok(box_connect("127.0.0.1", 22) < 0, "its own loopback is its own");
	box_pump(50);
	for (size_t i = 0; i < box_n_events; i++)
		if (!strcmp(box_events[i].addr, "127.0.0.1") &&
		    box_events[i].kind == NET_EVENT_DENIED)
			ok(false, "and not told of");
}

static void test_failures(void)
{
	const struct net_event *e;
	char c;
	int fd = box_connect(fake("t.test"), 7007);

	ok(how_it_ends(fd) == ECONNRESET, "no server: reset");
	e = box_event(NET_EVENT_CONNECT, "t.test");
	ok(e && e->error == ECONNREFUSED && e->reason[0], "and told why");
	if (has_v6) {
		fd = box_connect("2001:db8::5", 7001);
		ok(how_it_ends(fd) == ECONNRESET, "no way: reset");
		e = box_event(NET_EVENT_CONNECT, "2001:db8::5");
		ok(e && e->error == ENETUNREACH, "and told why");
	}
	fd = box_connect(fake("t.test"), 7003);
	(void)!write(fd, "x", 1);
	ok(how_it_ends(fd) == ECONNRESET, "a server's reset is passed on");
	fd = box_connect(fake("t.test"), 7002);
	ok(read(fd, &c, 1) == 1 && c == 'S', "a server may speak first");
	close(fd);
}

/*** What is said ***/

static size_t hello(uint8_t *out, const char *name)
{
	size_t len = strlen(name), body = 51 - 9 + 1 + 9 + len, n = 43;

	memcpy(out, "\x16\3\1\0", 4);
	out[4] = (uint8_t)(body + 4);
	memcpy(out + 5, "\1\0\0", 3);
	out[8] = (uint8_t)body;
	memset(out + 9, 3, 34);
	memcpy(out + n, "\0\0\2\x13\1\1\0\0", 8);
	n += 8;
	out[n++] = (uint8_t)(9 + len);
	memcpy(out + n, "\0\0\0\0\0\0\0\0\0", 9);
	out[n + 3] = (uint8_t)(len + 5);
	out[n + 5] = (uint8_t)(len + 3);
	out[n + 8] = (uint8_t)len;
	memcpy(out + n + 9, name, len);
	return n + 9 + len;
}

static void test_sni(void)
{
	const struct net_event *e;
	uint8_t data[300], back[300];
	size_t n = hello(data, "t.test");
	int fd = box_connect(fake("t.test"), 443);

	for (size_t i = 0; i < 3; i++) { /* in three packets */
		(void)!write(fd, data + i * 20, i < 2 ? 20 : n - 40);
		usleep(5000);
	}
	ok(recv(fd, back, n, MSG_WAITALL) == (ssize_t)n &&
	       !memcmp(data, back, n),
	   "TLS for the name passes, whole");
	close(fd);
	e = box_event_at(NET_EVENT_CONNECT, "t.test", 443);
	ok(e && !strcmp(e->detail, "tls1.2"), "with its version: %s",
	   e ? e->detail : "");
	box_event(NET_EVENT_CLOSE, "t.test");
	n = hello(data, "evil.test");
	fd = box_connect(fake("t.test"), 443);
	(void)!write(fd, data, n);
	ok(how_it_ends(fd) == ECONNRESET, "TLS for another name is reset");
	e = box_event(NET_EVENT_DENIED, "t.test");
	ok(e && strstr(e->reason, "evil.test") && !e->remedy[0],
	   "and told of, with no flag that would not help: %s",
	   e ? e->reason : "");
	fd = box_connect(fake("t.test"), 443);
	(void)!write(fd, data, 30);
	shutdown(fd, SHUT_WR);
	ok(how_it_ends(fd) == ECONNRESET &&
	       box_event(NET_EVENT_DENIED, "t.test"),
	   "so is half a hello");
	fd = box_connect(fake("t.test"), 443);
	shutdown(fd, SHUT_WR);
	ok(how_it_ends(fd) == 0, "not a word at all is no crime");
}

static void test_host(void)
{
	static const char good[] = "GET / HTTP/1.1\r\nHost: t.test\r\n\r\n";
	static const char evil[] = "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n";
	const struct net_event *e;
	char back[200];
	int fd = box_connect(fake("t.test"), 80);

	(void)!write(fd, good, sizeof(good) - 1);
	ok(recv(fd, back, sizeof(good) - 1, MSG_WAITALL) ==
	       (ssize_t)sizeof(good) - 1,
	   "HTTP for the name passes");
	(void)!write(fd, evil, sizeof(evil) - 1);
	ok(how_it_ends(fd) == ECONNRESET, "the next request does not");
	e = box_event(NET_EVENT_DENIED, "t.test");
	ok(e && strstr(e->reason, "Host"), "and is told of: %s",
	   e ? e->reason : "");
	e = box_event(NET_EVENT_CLOSE, "t.test");
	fd = box_connect(fake("host.m9m.internal"), 7001);
	(void)!write(fd, evil, sizeof(evil) - 1);
	ok(recv(fd, back, sizeof(evil) - 1, MSG_WAITALL) ==
	       (ssize_t)sizeof(evil) - 1,
	   "the host's own ports are not listened in on");
	close(fd);
}

/* RFC 6455, section 1.3; what is said behind it waits for the answer. */
static int ask_upgrade(const char *to)
{
	auto_free char *text = xasprintf(
	    "GET / HTTP/1.1\r\nHost: t.test\r\nUpgrade: %s\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	    "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
	    to);
	int fd = box_connect(fake("t.test"), 7009);

	(void)!write(fd, text, strlen(text));
	return fd;
}

static bool hears(int fd, const char *text)
{
	char back[300];
	size_t n = strlen(text);

	return recv(fd, back, n, MSG_WAITALL) == (ssize_t)n &&
	       !memcmp(back, text, n);
}

static void test_upgrades(void)
{
	static const char more[] = "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n";
	int fd = ask_upgrade("websocket");
	const struct net_event *e;

	ok(hears(fd, upgrades[0].first) && hears(fd, upgrades[0].second) &&
	       hears(fd, more),
	   "a websocket, and what was said too early");
	shutdown(fd, SHUT_WR);
	ok(how_it_ends(fd) == 0, "and its end");
	ok(how_it_ends(ask_upgrade("h2c")) == ECONNRESET, "HTTP/2: reset");
	e = box_event(NET_EVENT_DENIED, "t.test");
	ok(e && strstr(e->reason, "HTTP upgrade"), "and told why: %s",
	   e ? e->reason : "");
	ok(how_it_ends(ask_upgrade("refused")) == ECONNRESET,
	   "a server that will not: HTTP as before");
	e = box_event(NET_EVENT_DENIED, "t.test");
	ok(e && strstr(e->reason, "another host"), "so it is judged: %s",
	   e ? e->reason : "");
	fd = ask_upgrade("broken");
	ok(hears(fd, upgrades[3].first), "half an answer passes at its end");
	close(fd);
}

/* A chunk that is not all there is let pass as far as it is. */
static void test_pieces(void)
{
	static const char *const pieces[] = {
		("POST / HTTP/1.1\r\nHost: t.test\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
		"c",
		"de\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: t.test\r\n\r\n",
	};
	int fd = box_connect(fake("t.test"), 80);
	size_t good = 0;

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
		good += write(fd, pieces[i], strlen(pieces[i])) > 0 &&
			hears(fd, pieces[i]);
	ok(good == ARRAY_SIZE(pieces), "chunks in pieces: %zu", good);
	close(fd);
	box_event_at(NET_EVENT_CLOSE, "t.test", 80);
}

/* Before the relay can look. */
static void test_words_and_end(void)
{
	int fd;

	kill(box_relay.pid, SIGSTOP);
	fd = box_connect("127.0.0.2", 7001);
	ok(fd >= 0 && write(fd, "x", 1) == 1 && shutdown(fd, SHUT_WR) == 0,
	   "a word and the end at once");
	kill(box_relay.pid, SIGCONT);
	ok(hears(fd, "x") && how_it_ends(fd) == 0, "both are passed on");
	box_event(NET_EVENT_CLOSE, "127.0.0.2");
}

/* More than one turn is for, and nothing comes after it. */
static void test_many_requests(void)
{
	static const char one[] = "GET / HTTP/1.1\r\nHost: t.test\r\n\r\n";
	const char *to = fake("t.test");
	uint64_t n;
	int fd;

	kill(box_relay.pid, SIGSTOP);
	fd = box_connect(to, 7006);
	for (int i = 0; i < 40; i++)
		(void)!write(fd, one, sizeof(one) - 1);
	shutdown(fd, SHUT_WR);
	kill(box_relay.pid, SIGCONT);
	ok(read(fd, &n, sizeof(n)) == sizeof(n),
	   "forty requests at once, and their end");
	close(fd);
	box_event_at(NET_EVENT_CLOSE, "t.test", 7006);
}

static bool was_told(enum net_event_kind kind, uint16_t port)
{
	for (size_t i = 0; i < box_n_events; i++)
		if (box_events[i].kind == kind && box_events[i].port == port)
			return true;
	return false;
}

/* Where the server is called before the client said a word. */
static void test_words(void)
{
	static const char evil[] = "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n";
	int fd = box_connect(fake("t.test"), 7002);
	char c;

	ok(read(fd, &c, 1) == 1 && write(fd, evil, sizeof(evil) - 1) > 0 &&
	       how_it_ends(fd) == ECONNRESET &&
	       box_event_at(NET_EVENT_DENIED, "t.test", 7002),
	   "another Host to one who spoke first: reset");
	ok(box_event_at(NET_EVENT_CLOSE, "t.test", 7002) != NULL,
	   "its end is told of, as the server's words passed");
	box_pump(50);
	box_n_events = 0;
	fd = box_connect(fake("t.test"), 7004);
	(void)!write(fd, evil, sizeof(evil) - 1);
	ok(how_it_ends(fd) == ECONNRESET &&
	       box_event_at(NET_EVENT_DENIED, "t.test", 7004),
	   "and to one who did not");
	fd = box_connect(fake("t.test"), 7001);
	ok(write(fd, "x", 1) == 1 && read(fd, &c, 1) == 1, "later");
	close(fd);
	box_event_at(NET_EVENT_CLOSE, "t.test", 7001);
	ok(!was_told(NET_EVENT_CONNECT, 7004) &&
	       !was_told(NET_EVENT_CLOSE, 7004),
	   "it is told of as refused, and not as a connection");
	box_n_events = 0;
	fd = box_connect(fake("t.test"), 7001);
	close(fd);
	ok(box_event_at(NET_EVENT_CONNECT, "t.test", 7001) &&
	       box_event_at(NET_EVENT_CLOSE, "t.test", 7001),
	   "one without a word is one");
}

/* A look at what came ends before such an octet: a head with one in it would
 * never be whole. */
static void test_urgent(void)
{
	static const char before[] = "GET / HTTP/1.1\r\nX: a";
	static const char after[] = "Host: evil.test\r\nHost: t.test\r\n\r\n";
	const struct net_event *e;
	char back[200];
	int fd = box_connect(fake("t.test"), 80);

	(void)!write(fd, before, sizeof(before) - 1);
	/* The reset may come in between: whoever sees it is the only one. */
	ok(send(fd, "\n", 1, MSG_OOB) < 0 ||
	       write(fd, after, sizeof(after) - 1) < 0 ||
	       send(fd, "x", 1, MSG_OOB) < 0 || how_it_ends(fd) == ECONNRESET,
	   "urgent data in a head: reset");
	e = box_event(NET_EVENT_DENIED, "t.test");
	ok(e && strstr(e->reason, "urgent"), "and told of: %s",
	   e ? e->reason : "");
	fd = box_connect(fake("t.test"), 7001);
	(void)!write(fd, "SSH-2.0-x\r\n", 11);
	ok(recv(fd, back, 11, MSG_WAITALL) == 11, "where nothing is judged");
	(void)!send(fd, "!", 1, MSG_OOB);
	(void)!write(fd, "yz", 2);
	ok(recv(fd, back, 3, MSG_WAITALL) == 3 && !memcmp(back, "!yz", 3),
	   "it passes in its place");
	close(fd);
	box_event_at(NET_EVENT_CLOSE, "t.test", 7001);
}

/*** Much of it ***/

static void send_bulk(int fd)
{
	static uint8_t block[65536];

	for (size_t at = 0; at < BULK; at += sizeof(block)) {
		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = pattern(at + i);
		if (write_all(fd, block, sizeof(block)) < 0)
			return;
	}
	shutdown(fd, SHUT_WR);
}

static void test_bulk(void)
{
	int fd = box_connect(fake("t.test"), 7005);
	uint64_t n;

	n = read_bulk(fd);
	ok(n == BULK, "%d MiB in, all right: %lu", BULK >> 20, n);
	close(fd);
	box_pump(50);
	fd = box_connect(fake("t.test"), 7006);
	send_bulk(fd);
	ok(read(fd, &n, sizeof(n)) == sizeof(n) && n == BULK,
	   "%d MiB out, all right, answered after the end: %lu", BULK >> 20, n);
	close(fd);
}

/* In the midst of it, when more is to be moved in this very turn. */
static void test_cut(void)
{
	static char block[65536];
	const struct linger now = { 1, 0 };
	char c;
	int fd;

	for (int i = 0; i < 30; i++) {
		fd = box_connect(fake("t.test"), 7005);
		for (int k = 0; k < 10 + i; k++)
			(void)!recv(fd, block, sizeof(block), MSG_WAITALL);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(fd);
	}
	fd = box_connect(fake("t.test"), 7001);
	ok(write(fd, "x", 1) == 1 && read(fd, &c, 1) == 1,
	   "who cuts it off disturbs nobody");
	close(fd);
	box_pump(100);
	box_n_events = 0;
}

static void test_slow_reader(void)
{
	static char block[65536];
	const struct linger now = { 1, 0 };
	const struct net_event *e;
	int slow = box_connect(fake("t.test"), 7004);
	size_t sent = 0;
	ssize_t n;
	char c;
	int fd;

	fcntl(slow, F_SETFL, O_NONBLOCK);
	for (int idle = 0; idle < 20; usleep(5000), idle++)
		while ((n = write(slow, block, sizeof(block))) > 0) {
			sent += (size_t)n;
			idle = 0;
		}
	ok(sent > sizeof(block) && sent < 64 << 20,
	   "who does not read stops the sender: %zu", sent);
	fd = box_connect(fake("t.test"), 7001);
	ok(write(fd, "x", 1) == 1 && read(fd, &c, 1) == 1, "and nobody else");
	close(fd);
	box_event(NET_EVENT_CLOSE, "t.test");
	setsockopt(slow, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(slow);
	e = box_event_at(NET_EVENT_CLOSE, "t.test", 7004);
	ok(e != NULL, "its reset is seen all the same");
}

static void test_many(void)
{
	enum { MANY = 400 };
	static int fds[MANY];
	const char *to = fake("t.test");
	int good = 0;
	char c;

	for (int i = 0; i < MANY; i++)
		fds[i] = box_connect(to, 7001);
	for (int i = 0; i < MANY; i++)
		good += write(fds[i], "x", 1) == 1;
	for (int i = 0; i < MANY; i++)
		good += read(fds[i], &c, 1) == 1;
	ok(good == 2 * MANY, "%d at once", MANY);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	good = 0;
	for (int i = 0; i < MANY; i++)
		good += box_event(NET_EVENT_CLOSE, "t.test") != NULL;
	ok(good == MANY, "each end is told of");
}

/*** The end ***/

static bool confined(const char *key, const char *value)
{
	auto_free char *path = xasprintf("/proc/%d/status", (int)box_relay.pid);
	auto_free char *text = read_file(AT_FDCWD, path, 65536, NULL);
	const char *at = text ? strstr(text, key) : NULL;

	return at && !strncmp(at + strlen(key), value, strlen(value));
}

static void test_confinement(bool root)
{
	ok(confined("\nCapEff:\t", "0000000000000000") &&
	       confined("\nCapPrm:\t", "0000000000000000"),
	   "the relay has no capabilities");
	ok(confined("\nNoNewPrivs:\t", "1") && confined("\nSeccomp:\t", "2"),
	   "no new privileges, and a filter");
	ok(!root || confined("\nUid:\t", "65534\t65534\t65534\t65534"),
	   "and is nobody when root started it");
}

static void test_stop(void)
{
	const struct net_event *e;
	int fd = box_connect(fake("t.test"), 7002);
	int status;
	char c;

	ok(read(fd, &c, 1) == 1, "a connection that is open");
	box_pump(100);
	box_n_events = 0;
	status = relay_stop(&box_relay);
	ok(status == 0, "the relay ends in order: %x", status);
	e = box_event_at(NET_EVENT_CLOSE, "t.test", 7002);
	ok(e && e->bytes_in >= 1, "its end is told of afterwards");
	ok(relay_read_event(&box_relay, &box_events[0]) == -1, "then no more");
	ok(how_it_ends(fd) == ECONNRESET, "and it is cut");
	relay_close(&box_relay);
	box_stop();
}

static void test_death(const struct net_policy *policy)
{
	struct net_event event;
	int fd;

	ok(box_start(policy) == 0, "another one");
	kill(box_relay.pid, SIGKILL);
	poll(&(struct pollfd){ box_relay.event_fd, POLLIN, 0 }, 1, 20000);
	ok(relay_read_event(&box_relay, &event) == -1,
	   "its death is seen on the socket");
	fd = box_connect("127.0.0.2", 7001);
	ok(fd < 0, "and opens nothing: %s", strerror(errno));
	ok(relay_stop(&box_relay) == SIGKILL, "and is its status");
	relay_close(&box_relay);
	box_stop();
}

static void test_deny(void)
{
	struct net_policy policy = { .mode = NET_DENY };
	char path[64];
	int fd, net_fd;

	ok(box_start(&policy) == 0 && box_relay.pid == -1, "deny needs none");
	fd = box_connect("93.184.216.34", 443);
	ok(fd < 0 && errno == ENETUNREACH, "the world is not there");
	fd = box_connect("127.0.0.1", 443);
	ok(fd < 0 && errno == ECONNREFUSED, "loopback is its own");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", box_child);
	net_fd = open(path, O_RDONLY | O_CLOEXEC);
	ok(net_fd >= 0 && relay_start_late(&box_relay, &policy, net_fd) == 0,
	   "but one can come late: %s", err_get() ? err_get()->message : "");
	close(net_fd);
	fd = box_connect("93.184.216.34", 443);
	ok(fd < 0 && errno == ECONNREFUSED, "the world is refused then");
	ok(box_event(NET_EVENT_DENIED, "93.184.216.34") != NULL,
	   "and that is told of");
	relay_stop(&box_relay);
	relay_close(&box_relay);
	box_stop();
}

static void start_servers(void)
{
	static const struct {
		const char *addr;
		uint16_t port;
		void (*serve)(int fd);
	} servers[] = {
		{ "127.0.0.1", 7001, box_echo },
		{ "127.0.0.2", 7001, box_echo },
		{ "::1", 7001, box_echo },
		{ "127.0.0.1", 7002, greet },
		{ "127.0.0.1", 7003, reset_now },
		{ "127.0.0.1", 7004, sleep_on },
		{ "127.0.0.1", 7005, source },
		{ "127.0.0.1", 7006, sink },
		{ "127.0.0.1", 7009, upgrade },
		{ "127.0.0.1", 443, box_echo },
		{ "127.0.0.1", 80, box_echo },
	};

	for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
		if (has_v6 || !strchr(servers[i].addr, ':'))
			box_server(servers[i].addr, servers[i].port,
				   servers[i].serve);
}

static void test_connections(void)
{
	test_echo();
	test_ways();
	test_denied();
	test_nobody_listens();
	test_failures();
	box_pump(100);
	box_n_events = 0;
	test_sni();
	test_host();
	test_upgrades();
	test_pieces();
	test_words_and_end();
	test_many_requests();
	test_words();
	test_urgent();
	test_bulk();
	box_pump(100);
	box_n_events = 0;
	test_cut();
	test_slow_reader();
	test_many();
}

int main(void)
{
	struct net_policy policy;
	bool root = geteuid() == 0;

	if (box_unshare(!root) < 0)
		return skipped("no network namespaces here");
	box_lo_up();
	has_v6 = box_has_v6();
	start_servers();
	box_policy(&policy, rules, resolve, 7001);
	if (!ok(box_start(&policy) == 0, "the relay takes the sockets: %s",
		err_get() ? err_get()->message : ""))
		return done();
	test_connections();
	test_confinement(root);
	test_stop();
	test_death(&policy);
	test_deny();
	netpol_free(&policy);
	box_end();
	return done();
}
