/* SPDX-License-Identifier: MIT */
/*
 * What the relay dials: names through the host's own resolver, every answer
 * judged.  A host with a name server of the test's, and an "internet" of three
 * addresses behind a veth pair.
 */
#include "clock.h"
#include "netbox_dns.h"

#include <net/route.h>
#include <netlink/netlink.h>
#include <netlink/route/link/veth.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define PORT 7001

static const char *const rules[] = {
	"*.test:7001",    "good.test:7001",   "loop.test:7001",
	"dead.test:7001", "10.9.0.0/16:7001", NULL,
};
static const char *const resolve[] = { "pinned.test", "127.0.0.1", NULL };

/*** The name server ***/

static const struct {
	const char *name;
	const char *addrs[3]; /* none: NXDOMAIN; "": no answer at all */
	const char *later;    /* instead, from the second question on */
} zone[] = {
	{ "good.test", { "203.0.113.10" }, NULL },
	{ "six.test", { "2001:db8:1::10" }, NULL },
	{ "loop.test", { "127.0.0.1" }, NULL },
	{ "loop6.test", { "::1" }, NULL },
	{ "meta.test", { "169.254.169.254" }, NULL },
	{ "azure.test", { "168.63.129.16" }, NULL },
	{ "meta6.test", { "fd00:ec2::254" }, NULL },
	{ "private.test", { "10.1.2.3" }, NULL },
	{ "shared.test", { "100.64.0.1" }, NULL },
	{ "zero.test", { "0.0.0.0" }, NULL },
	{ "fake.test", { "198.18.1.0" }, NULL },
	{ "own.test", { "192.0.2.1" }, NULL },
	{ "own6.test", { "2001:db8::1" }, NULL },
	{ "mapped.test", { "::ffff:127.0.0.1" }, NULL },
	{ "nat64.test", { "64:ff9b::7f00:1" }, NULL },
	{ "sixtofour.test", { "2002:7f00:1::" }, NULL },
	{ "named.test", { "10.9.0.1" }, NULL },
	{ "mixed.test", { "127.0.0.1", "203.0.113.10" }, NULL },
	{ "hole.test", { "203.0.113.66", "203.0.113.10" }, NULL },
	{ "refused.test", { "203.0.113.11", "203.0.113.10" }, NULL },
	{ "half.test", { "203.0.113.66", "203.0.113.11" }, NULL },
	{ "two.test", { "203.0.113.10", "2001:db8:1::10" }, NULL },
	{ "turns.test",
	  { "2001:db8::2", "2001:db8:1::10", "203.0.113.10" },
	  NULL },
	{ "rebind.test", { "203.0.113.10" }, "127.0.0.1" },
	{ "dead.test", { "" }, NULL },
	{ "gone.test", { NULL }, NULL },
};

static int asked[2] = { -1, -1 }; /* the names that the server saw */

static int find_zone(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(zone); i++)
		if (strcasecmp(zone[i].name, name) == 0)
			return (int)i;
	return -1;
}

static size_t put_record(uint8_t *out, const struct in6_addr *addr)
{
	bool v4 = netaddr_is_v4(addr);
	size_t len = v4 ? 4 : 16;

	memcpy(out, "\xc0\x0c\0\1\0\1\0\0\0\0\0", 11);
	out[3] = v4 ? 1 : 28;
	out[11] = (uint8_t)len;
	memcpy(out + 12, addr->s6_addr + (v4 ? 12 : 0), len);
	return 12 + len;
}

/* IPv4 in IPv6 form is an AAAA record here. */
static bool is_type(const char *text, const struct in6_addr *addr, int type)
{
	bool v4 = netaddr_is_v4(addr) && !strchr(text, ':');

	return type == (v4 ? 1 : 28);
}

static size_t put_answers(uint8_t *message, size_t at, int row, int type,
			  bool again)
{
	const char *const later[3] = { zone[row].later };
	const char *const *addrs = again && later[0] ? later : zone[row].addrs;

	for (size_t i = 0; i < 3 && addrs[i]; i++) {
		struct in6_addr addr = box_addr(addrs[i]);
		size_t start = at;

		if (!is_type(addrs[i], &addr, type))
			continue;
		at += put_record(message + at, &addr);
		if (type == 28 && netaddr_is_v4(&addr)) {
			/* put_record took it for IPv4 */
			at = start + 12 + 16;
			message[start + 3] = 28;
			message[start + 11] = 16;
			memcpy(message + start + 12, &addr, 16);
		}
		message[7]++;
	}
	return at;
}

static size_t read_name(const uint8_t *message, char *name)
{
	size_t at = 12, n = 0;

	while (message[at]) {
		memcpy(name + n, message + at + 1, message[at]);
		n += message[at];
		name[n++] = '.';
		at += message[at] + 1u;
	}
	name[n ? n - 1 : 0] = '\0';
	return at + 1;
}

static void serve_names(int fd)
{
	static int seen[ARRAY_SIZE(zone)];

	for (;;) {
		uint8_t message[1024] = { 0 };
		struct sockaddr_in peer;
		socklen_t len = sizeof(peer);
		ssize_t n = recvfrom(fd, message, 512, 0,
				     (struct sockaddr *)&peer, &len);
		char name[256];
		size_t at;
		int row, type;

		if (n < 17)
			continue;
		at = read_name(message, name);
		type = message[at] << 8 | message[at + 1];
		at += 4;
		(void)!write(asked[1], name, strlen(name) + 1);
		row = find_zone(name);
		if (row >= 0 && zone[row].addrs[0] && !zone[row].addrs[0][0])
			continue;
		memset(message + 6, 0, 6);
		message[2] |= 0x80;
		message[3] = row < 0 || !zone[row].addrs[0] ? 0x83 : 0x80;
		if (row >= 0)
			at = put_answers(message, at, row, type,
					 seen[row] >= 2);
		if (row >= 0)
			seen[row]++;
		sendto(fd, message, at, 0, (struct sockaddr *)&peer, len);
	}
}

static void start_name_server(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(53),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, asked) < 0)
		box_die("name server");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve_names(fd);
	}
	box_servers[box_n_servers++] = pid;
	close(fd);
}

/* Did the name server see this name?  Forgets all it saw. */
static bool was_asked(const char *name)
{
	char seen[256];
	bool found = false;

	while (read(asked[0], seen, sizeof(seen)) > 0)
		found |= strcasecmp(seen, name) == 0;
	return found;
}

/*** The world ***/

static void say(int fd, const char *who)
{
	char c;

	if (write_all(fd, who, 1) < 0 || read(fd, &c, 1) < 0)
		return;
}

static void say_internet(int fd)
{
	say(fd, "I");
}

static void say_host(int fd)
{
	say(fd, "H");
}

static void set_v4(const char *dev, const char *addr, const char *mask)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };
	struct sockaddr_in sa = { .sin_family = AF_INET };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", dev);
	inet_pton(AF_INET, addr, &sa.sin_addr);
	memcpy(&ifr.ifr_addr, &sa, sizeof(sa));
	if (ioctl(fd, SIOCSIFADDR, &ifr) < 0)
		box_die(addr);
	inet_pton(AF_INET, mask, &sa.sin_addr);
	memcpy(&ifr.ifr_netmask, &sa, sizeof(sa));
	if (ioctl(fd, SIOCSIFNETMASK, &ifr) < 0)
		box_die(mask);
	ifr.ifr_flags = IFF_UP;
	if (!strchr(dev, ':') && ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		box_die(dev);
	close(fd);
}

struct in6_request {
	struct in6_addr addr;
	uint32_t prefix;
	int index;
};

static void set_v6(const char *dev, const char *addr)
{
	struct in6_request request = { box_addr(addr), 64,
				       (int)if_nametoindex(dev) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char path[100];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_dad",
		 dev);
	box_write(path, "0");
	if (ioctl(fd, SIOCSIFADDR, &request) < 0)
		box_die(addr);
	close(fd);
}

static void set_default(const char *v4, const char *v6, const char *dev)
{
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };
	struct in6_rtmsg route6 = { .rtmsg_gateway = box_addr(v6),
				    .rtmsg_flags = RTF_UP | RTF_GATEWAY,
				    .rtmsg_metric = 1,
				    .rtmsg_ifindex = (int)if_nametoindex(dev) };
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fd6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&route.rt_dst, &sa, sizeof(sa));
	memcpy(&route.rt_genmask, &sa, sizeof(sa));
	inet_pton(AF_INET, v4, &sa.sin_addr);
	memcpy(&route.rt_gateway, &sa, sizeof(sa));
	if (ioctl(fd, SIOCADDRT, &route) < 0 ||
	    ioctl(fd6, SIOCADDRT, &route6) < 0)
		box_die("default route");
	close(fd);
	close(fd6);
}

/* Behind the wire; says when it is ready. */
static void be_internet(int ready)
{
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0)
		box_die("internet");
	(void)!write(ready, "n", 1);
	(void)!read(ready, &c, 1); /* the wire is there */
	box_lo_up();
	set_v4("i0", "192.0.2.2", "255.255.255.0");
	set_v4("i0:1", "203.0.113.10", "255.255.255.255");
	set_v4("i0:2", "203.0.113.11", "255.255.255.255");
	set_v4("i0:3", "10.9.0.1", "255.255.255.255");
	set_v6("i0", "2001:db8::2");
	set_v6("i0", "2001:db8:1::10");
	box_server("203.0.113.10", PORT, say_internet);
	box_server("10.9.0.1", PORT, say_internet);
	box_server("2001:db8:1::10", PORT, say_internet);
	(void)!write(ready, "s", 1);
	pause();
}

static int make_wire(pid_t internet)
{
	struct nl_sock *sock = nl_socket_alloc();
	int rc = nl_connect(sock, NETLINK_ROUTE);

	if (rc == 0)
		rc = rtnl_link_veth_add(sock, "h0", "i0", internet);
	nl_socket_free(sock);
	if (rc < 0)
		return -1;
	set_v4("h0", "192.0.2.1", "255.255.255.0");
	set_v6("h0", "2001:db8::1");
	set_default("192.0.2.2", "2001:db8::2", "h0");
	return 0;
}

static int start_internet(void)
{
	int pair[2];
	char c;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		box_die("internet");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork();
	if (pid == 0)
		be_internet(pair[1]);
	box_servers[box_n_servers++] = pid;
	close(pair[1]);
	if (read(pair[0], &c, 1) != 1)
		box_die("internet");
	if (make_wire(pid) < 0)
		return -1;
	if (write(pair[0], "w", 1) != 1 || read(pair[0], &c, 1) != 1)
		box_die("internet");
	close(pair[0]);
	return 0;
}

/* Our own resolver's files over the machine's, for this process only. */
static int cover_files(void)
{
	static const struct {
		const char *path, *text;
	} files[] = {
		{ "/etc/resolv.conf", "nameserver 127.0.0.1\n"
				      "search evil.corp\n"
				      "options timeout:5 attempts:1\n" },
		{ "/etc/nsswitch.conf", "hosts: files dns\n" },
		{ "/etc/hosts", "127.0.0.1 localhost\n" },
	};
	char dir[] = "/tmp/m9m-resolve.XXXXXX";
	int rc = 0;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    !mkdtemp(dir))
		return -1;
	chmod(dir, 0755);
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(files); i++) {
		auto_free char *path = xasprintf("%s/%zu", dir, i);
		auto_fd int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC,
				      0644);

		fchmod(fd, 0644);
		rc = write_all(fd, files[i].text, strlen(files[i].text));
		if (rc == 0)
			rc = mount(path, files[i].path, NULL, MS_BIND, NULL);
		unlink(path);
	}
	rmdir(dir);
	return rc;
}

/*** The tests ***/

/* Who answers on this name: 'I', 'H', or 0 for a reset. */
static char who(const char *name)
{
	int fd = box_connect(fake(name), PORT);
	char c = 0;

	if (fd < 0 || read(fd, &c, 1) != 1)
		c = 0;
	close(fd);
	return c;
}

static void test_good(void)
{
	static const struct {
		const char *name, *what, *addr;
	} rows[] = {
		{ "good.test", "a name", "203.0.113.10" },
		{ "six.test", "a name with IPv6 only", "2001:db8:1::10" },
		{ "named.test", "a private address that a rule names",
		  "10.9.0.1" },
		{ "mixed.test", "the good one of two answers", "203.0.113.10" },
		{ "refused.test", "the next address after a refusal",
		  "203.0.113.10" },
		{ "hole.test", "the next one after silence", "203.0.113.10" },
		{ "turns.test", "the other family after a refusal",
		  "203.0.113.10" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t start = now_ms(CLOCK_MONOTONIC);
		char c = who(rows[i].name);
		const struct net_event *e = box_event(NET_EVENT_CONNECT,
						      rows[i].name);

		ok(c == 'I' && e && !strcmp(e->addr, rows[i].addr),
		   "%s: %s, %d ms", rows[i].what, e ? e->addr : "",
		   (int)(now_ms(CLOCK_MONOTONIC) - start));
	}
}

/* From now on it has to be asked: the relay sleeps till somebody comes. */
static void let_pass(uint64_t ms)
{
	clock_hands->ahead += ms;
	fake("good.test");
}

static void test_one_is_enough(void)
{
	int fd = box_connect(fake("two.test"), PORT);
	char c = 0;

	ok(read(fd, &c, 1) == 1 && c == 'I', "one of two servers answers");
	let_pass(250);
	let_pass(250);
	ok(recv(fd, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN &&
	       write(fd, "x", 1) == 1 && read(fd, &c, 1) == 0,
	   "the other one is not called any more");
	close(fd);
	box_event(NET_EVENT_CLOSE, "two.test");
}

static void test_one_is_silent(void)
{
	struct pollfd pfd = { .events = POLLIN };
	const struct net_event *e;
	char c;

	pfd.fd = box_connect(fake("half.test"), PORT);
	ok(poll(&pfd, 1, 600) == 0, "a refusal is not the end of all");
	let_pass(30000);
	ok(read(pfd.fd, &c, 1) < 0 && errno == ECONNRESET, "time is");
	e = box_event(NET_EVENT_CONNECT, "half.test");
	ok(e && e->error == ETIMEDOUT, "and that is told: %s",
	   e ? e->reason : "");
	close(pfd.fd);
}

static void test_refused(void)
{
	static const struct {
		const char *name, *why;
	} rows[] = {
		{ "loop.test", "loopback" },
		{ "loop6.test", "loopback" },
		{ "meta.test", "metadata" },
		{ "azure.test", "metadata" },
		{ "meta6.test", "metadata" },
		{ "private.test", "private" },
		{ "shared.test", "shared" },
		{ "zero.test", "this host" },
		{ "fake.test", "sandbox's own" },
		{ "own.test", "of this host" },
		{ "own6.test", "of this host" },
		{ "mapped.test", "IPv6 form" },
		{ "nat64.test", "NAT64" },
		{ "sixtofour.test", "6to4" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char c = who(rows[i].name);
		const struct net_event *e = box_event(NET_EVENT_DENIED,
						      rows[i].name);

		ok(c == 0 && e && strstr(e->reason, rows[i].why), "%s: %s",
		   rows[i].name, e ? e->reason : "not told of");
	}
	ok(who("pinned.test") == 'H', "what resolve names is dialled as it is");
}

static void test_questions(void)
{
	was_asked("");
	ok(!strcmp(fake("evil.example"), "0.0.0.0") &&
	       !was_asked("evil.example"),
	   "a denied name never leaves");
	ok(who("fresh.good.test") == 0 && was_asked("fresh.good.test"),
	   "an allowed one does, when it is dialled");
	was_asked("");
	clock_stop();
	ok(who("gone.test") == 0, "a name that is not there: reset");
	ok(!was_asked("gone.test.evil.corp"),
	   "and the search list is not tried");
	ok(who("gone.test") == 0 && !was_asked("gone.test"),
	   "who is at once back is told the same, and nobody asked");
	clock_hands->ahead += 2000;
	ok(who("gone.test") == 0 && was_asked("gone.test"),
	   "later it is asked for anew");
	clock_hands->held = 0;
	fake("good.test");
	ok(!was_asked("good.test"), "a mere question asks nobody");
}

static void test_rebinding(void)
{
	char first = who("rebind.test");
	char second;

	clock_hands->ahead += 2000; /* it is asked for anew */
	second = who("rebind.test");
	ok(first == 'I' && second == 0,
	   "a name that moves to loopback is dropped: %c %d", first, second);
}

static void test_dead(void)
{
	int fds[20];
	uint64_t start;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = box_connect(fake("dead.test"), PORT);
	start = now_ms(CLOCK_MONOTONIC);
	ok(who("x.good.test") == 0 && who("good.test") == 'I' &&
	       now_ms(CLOCK_MONOTONIC) - start < 4500,
	   "a dead name holds up nobody else");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	ok(who("good.test") == 'I', "nor do those who gave up on it");
}

static void test_no_answer(void)
{
	int fd = box_connect(fake("dead.test"), PORT);
	const struct net_event *e;
	char c;

	/* After this one it is being looked up. */
	who("good.test");
	box_pump(0);
	box_n_events = 0;
	clock_hands->ahead += 30000;
	fake("good.test");
	ok(read(fd, &c, 1) < 0 && errno == ECONNRESET, "it is given up");
	e = box_event(NET_EVENT_CONNECT, "dead.test");
	ok(e && e->error == ETIMEDOUT, "for that no answer came in time: %s",
	   e ? e->reason : "not told of");
	close(fd);
}

int main(void)
{
	struct net_policy policy;

	if (box_unshare(geteuid() != 0) < 0 || cover_files() < 0)
		return skipped("no network or mount namespaces here");
	box_lo_up();
	if (!box_has_v6() || start_internet() < 0) {
		box_end();
		return skipped("no IPv6 or no veth devices here");
	}
	start_name_server();
	box_server("127.0.0.1", PORT, say_host);
	box_server("192.0.2.1", PORT, say_host);
	box_policy(&policy, rules, resolve, 0);
	clock_shared = clock_init();
	if (!ok(box_start(&policy) == 0, "the relay takes the sockets: %s",
		err_get() ? err_get()->message : ""))
		return done();
	clock_shared = false;
	test_good();
	test_one_is_enough();
	test_one_is_silent();
	test_refused();
	test_questions();
	test_rebinding();
	test_dead();
	test_no_answer();
	ok(relay_stop(&box_relay) == 0, "the relay ends in order");
	relay_close(&box_relay);
	box_stop();
	netpol_free(&policy);
	box_end();
	return done();
}
