/* SPDX-License-Identifier: MIT */
/* The relay's name service, asked from inside. */
#include "names.h"
#include "netbox_dns.h"

static const char *const rules[] = { "t.test:7001", "*.wild.test:7001",
				     "kept.wild.test:7001", NULL };
static const char *const resolve[] = { NULL };

static void test_dns(void)
{
	static const struct {
		const char *name;
		uint16_t type;
		int rcode;
		bool has_addr;
	} rows[] = {
		{ "t.test", 1, 0, true },
		{ "T.TeSt", 1, 0, true },
		{ "t.test", 28, 0, false },
		{ "t.test", 65, 0, false },
		{ "t.test", 64, 0, false },
		{ "t.test", 16, 5, false },
		{ "t.test", 15, 5, false },
		{ "t.test", 255, 5, false },
		{ "a.wild.test", 1, 0, true },
		{ "b.a.wild.test", 1, 0, true },
		{ "wild.test", 1, 5, false },
		{ "evil.test", 1, 5, false },
		{ "x.t.test", 1, 5, false },
		{ "evil.test", 28, 5, false },
		{ "1.0.18.198.in-addr.arpa", 12, 5, false },
		{ "host.m9m.internal", 1, 0, true },
	};
	uint32_t addr, again;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int rc = ask(rows[i].name, rows[i].type, &addr);

		ok(rc == rows[i].rcode && (addr != 0) == rows[i].has_addr &&
		       (!addr || addr >> 17 == 0xc6120000 >> 17),
		   "%s type %u: %d, %08x", rows[i].name, rows[i].type, rc,
		   addr);
	}
	ask("t.test", 1, &addr);
	ask("a.wild.test", 1, &again);
	ok(addr != again, "two names, two addresses");
	ask("t.test", 1, &again);
	ok(addr == again, "one name, one address");
	ask("host.docker.internal", 1, &addr);
	ask("host.m9m.internal", 1, &again);
	ok(addr == again, "the host has one address by both names");
	ok(ask_at("8.8.8.8", "t.test", 1, &addr) == 0 && addr,
	   "any name server is ours, and answers from its address");
	ok(!box_has_v6() ||
	       ask_at("2001:4860:4860::8888", "evil.test", 1, &addr) == 5,
	   "over IPv6 too");
}

static void test_dns_events(void)
{
	const struct net_event *e = box_event(NET_EVENT_DNS, "evil.test");

	ok(e && strstr(e->reason, "not allowed") &&
	       !strcmp(e->remedy, "--allow evil.test") &&
	       !strcmp(e->detail, "A") && !strcmp(e->protocol, "udp"),
	   "a denied question is told of, with its mend");
	e = box_event(NET_EVENT_DNS, "a.wild.test");
	ok(e && !e->reason[0] && !strcmp(e->rule, "*.wild.test:7001") &&
	       !strncmp(e->addr, "198.18.", 7),
	   "an allowed one with its rule and address");
}

/*** Over TCP ***/

/* A question behind its length, padded to so many octets; where it ends. */
static uint8_t *put_question(uint8_t *out, const char *name, size_t size)
{
	size_t n = make_query(out + 2, name, 1);

	if (size < n)
		size = n;
	memset(out + 2 + n, 0, size - n);
	out[0] = (uint8_t)(size >> 8);
	out[1] = (uint8_t)size;
	return out + 2 + size;
}

/* The next answer is whole, and of this name. */
static bool hears_of(int fd, const char *name)
{
	uint8_t answer[2 + 512];
	uint32_t addr, right;
	size_t n;

	if (recv(fd, answer, 2, MSG_WAITALL) != 2)
		return false;
	n = (size_t)answer[0] << 8 | answer[1];
	return n <= sizeof(answer) && ask(name, 1, &right) == 0 &&
	       recv(fd, answer, n, MSG_WAITALL) == (ssize_t)n &&
	       read_answer(answer, (ssize_t)n, &addr) == 0 && addr == right;
}

/* Not only when it has been silent for long. */
static bool is_closed(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	ssize_t n;
	uint8_t c;

	if (poll(&pfd, 1, 5000) != 1)
		return false;
	n = read(fd, &c, 1);
	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void test_dns_tcp(void)
{
	static uint8_t buffer[3 * 5000];
	uint8_t *end = put_question(buffer, "t.test", 0);
	size_t n = (size_t)(end - buffer);
	int fd = box_connect(netpol_nameserver, 53);
	const struct net_event *e;

	for (size_t at = 0, k = 1; at<n; at += k, k = n - at> 7 ? 7 : n - at) {
		ok(write(fd, buffer + at, k) == (ssize_t)k, "to %zu", at + k);
		usleep(5000);
	}
	ok(hears_of(fd, "t.test"), "a question in pieces is answered");
	do
		e = box_event(NET_EVENT_DNS, "t.test");
	while (e && strcmp(e->protocol, "tcp") != 0);
	ok(e != NULL, "and told of as over TCP");
	/* Two and a half, then the rest. */
	end = put_question(buffer, "a.wild.test", 0);
	end = put_question(end, "t.test", 0);
	n = (size_t)(put_question(end, "b.a.wild.test", 0) - buffer);
	(void)!write(fd, buffer, n - 9);
	ok(hears_of(fd, "a.wild.test") && hears_of(fd, "t.test"),
	   "each of several has its own answer");
	(void)!write(fd, buffer + n - 9, 9);
	ok(hears_of(fd, "b.a.wild.test"), "what came early is kept");
	n = (size_t)(put_question(buffer, "t.test", 4096) - buffer);
	ok(write(fd, buffer, n) == (ssize_t)n && hears_of(fd, "t.test"),
	   "4 KiB are one");
	put_question(buffer, "t.test", 4097);
	(void)!write(fd, buffer, 2);
	ok(is_closed(fd), "more are not");
	close(fd);
	fd = box_connect(netpol_nameserver, 53);
	n = (size_t)(put_question(buffer, "t.test", 0) - buffer);
	buffer[4] |= 0x80;
	(void)!write(fd, buffer, n);
	ok(is_closed(fd), "who answers instead of asking is gone");
	close(fd);
	/* More than there are places. */
	for (int i = 0; i < 100; i++)
		close(box_connect(netpol_nameserver, 53));
	fd = box_connect(netpol_nameserver, 53);
	n = (size_t)(put_question(buffer, "t.test", 0) - buffer);
	(void)!write(fd, buffer, n);
	ok(hears_of(fd, "t.test"), "who went away has left its place");
	close(fd);
}

static void test_dns_garbage(void)
{
	uint8_t junk[5000];
	int fd = dns_socket(netpol_nameserver);
	uint32_t addr;

	srand(1);
	for (int i = 0; i < 300; i++) {
		size_t n = (size_t)rand() % 600;

		for (size_t k = 0; k < n; k++)
			junk[k] = (uint8_t)rand();
		(void)!send(fd, junk, n, MSG_DONTWAIT);
	}
	(void)!send(fd, junk, sizeof(junk), MSG_DONTWAIT);
	close(fd);
	ok(ask("t.test", 1, &addr) == 0, "garbage does not stop it");
	box_pump(50);
}

static void test_wildcard_caps(void)
{
	int refused = 0;
	char name[200];
	uint32_t addr;

	memset(name, 'x', sizeof(name));
	name[60] = '.';
	strcpy(name + 101, ".wild.test");
	ok(ask(name, 1, &addr) == 5, "a long name below a wildcard is refused");
	ok(box_event(NET_EVENT_LIMIT, name), "and a limit is told of");
	strcpy(name + 100, ".wild.test");
	ok(ask(name, 1, &addr) == 0, "one of a hundred octets is not");
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "n%d.wild.test", i);
		refused += ask(name, 1, &addr) == 5;
	}
	ok(refused > 20 && refused < 100, "so are too many of them: %d",
	   refused);
	ok(ask("n1.wild.test", 1, &addr) == 0, "known ones still answer");
	ok(ask("kept.wild.test", 1, &addr) == 0,
	   "so does one that a rule names by itself");
}

/* Every address that there is to give: none stands for two names, ever. */
static void test_names_full(void)
{
	static struct names names;
	struct name *first, *gateway;
	uint32_t last = 0;
	size_t n = 0, good = 0;
	char text[32];

	names_init(&names);
	gateway = names_find(&names, NAMES_GATEWAY);
	for (;;) {
		struct name *name;

		snprintf(text, sizeof(text), "n%zu.test", n);
		name = names_add(&names, text);
		if (!name)
			break;
		good += names_address(name) > last &&
			names_in_range(names_address(name)) &&
			names_address(name) != names_address(gateway);
		last = names_address(name);
		n++;
	}
	ok(n == NAMES_MAX && good == n, "%zu names, each with its own", n);
	ok(!names_find(&names, text), "the one too many has none");
	first = names_find(&names, "n0.test");
	ok(first && names_by_address(&names, names_address(first)) == first,
	   "the first one has its own still");
	ok(!names_by_address(&names, last + 1) &&
	       !names_by_address(&names, names_address(first) - 1),
	   "and beside them nothing stands for a name");
}

int main(void)
{
	struct net_policy policy;

	if (box_unshare(geteuid() != 0) < 0)
		return skipped("no network namespaces here");
	box_lo_up();
	box_policy(&policy, rules, resolve, 7001);
	if (!ok(box_start(&policy) == 0, "the relay takes the sockets: %s",
		err_get() ? err_get()->message : ""))
		return done();
	test_names_full();
	test_dns();
	test_dns_events();
	test_dns_tcp();
	test_dns_garbage();
	test_wildcard_caps();
	ok(relay_stop(&box_relay) == 0, "the relay ends in order");
	relay_close(&box_relay);
	box_stop();
	box_end();
	netpol_free(&policy);
	return done();
}
