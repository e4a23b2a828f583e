/* SPDX-License-Identifier: MIT */
/* Addresses that no name may lead to: each range to its edges, no further; what
 * the kernel's answer about one means; their other forms. */
#include "../netaddr.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../netrule.h"
#include "../util.h"
#include "tap.h"

static const struct {
	const char *first, *last; /* the range; last NULL: only one */
	const char *what;         /* NULL: anybody's */
} ranges[] = {
	{ "0.0.0.0", "0.255.255.255", "this host" },
	{ "1.0.0.0", "9.255.255.255", NULL },
	{ "10.0.0.0", "10.255.255.255", "private" },
	{ "11.0.0.0", "100.63.255.255", NULL },
	{ "100.64.0.0", "100.127.255.255", "carrier" },
	{ "100.128.0.0", "126.255.255.255", NULL },
	{ "127.0.0.0", "127.255.255.255", "loopback" },
	{ "128.0.0.0", "168.63.129.15", NULL },
	{ "168.63.129.16", NULL, "metadata" },
	{ "168.63.129.17", "169.253.255.255", NULL },
	{ "169.254.0.0", "169.254.169.253", "link-local" },
	{ "169.254.169.254", NULL, "metadata" },
	{ "169.254.169.255", "169.254.255.255", "link-local" },
	{ "169.255.0.0", "172.15.255.255", NULL },
	{ "172.16.0.0", "172.31.255.255", "private" },
	{ "172.32.0.0", "191.255.255.255", NULL },
	{ "192.0.0.0", "192.0.0.255", "protocol" },
	{ "192.0.1.0", "192.88.98.255", NULL },
	{ "192.88.99.0", "192.88.99.255", "6to4 relay" },
	{ "192.88.100.0", "192.167.255.255", NULL },
	{ "192.168.0.0", "192.168.255.255", "private" },
	{ "192.169.0.0", "198.17.255.255", NULL },
	{ "198.18.0.0", "198.19.255.255", "sandbox's own" },
	{ "198.20.0.0", "223.255.255.255", NULL },
	{ "224.0.0.0", "239.255.255.255", "multicast" },
	{ "240.0.0.0", "255.255.255.255", "reserved" },
	{ "::", NULL, "unspecified" },
	{ "::1", NULL, "loopback" },
	{ "::2", "::ffff:ffff", "outdated IPv6" },
	{ "::1:0:0", "::fffe:ffff:ffff", NULL },
	{ "::ffff:0:0:0", "::ffff:0:ffff:ffff", "translated" },
	{ "64:ff9a:ffff::", NULL, NULL },
	{ "64:ff9b::", "64:ff9b::ffff:ffff", "NAT64" },
	{ "64:ff9b:1::", "64:ff9b:1:ffff::", "NAT64" },
	{ "64:ff9b:2::", "ff::", NULL },
	{ "100::", "100::ffff:ffff:ffff:ffff", "discard" },
	{ "100:0:0:1::", "2000:ffff::", NULL },
	{ "2001::", "2001:0:ffff::", "Teredo" },
	{ "2001:1::", "2001:ffff::", NULL },
	{ "2002::", "2002:ffff::", "6to4 form" },
	{ "2003::", "fbff:ffff::", NULL },
	{ "fc00::", "fd00:ec2::253", "ULA" },
	{ "fd00:ec2::254", NULL, "metadata" },
	{ "fd00:ec2::255", "fdff:ffff::", "ULA" },
	{ "fe00::", "fe7f:ffff::", NULL },
	{ "fe80::", "febf:ffff::", "link-local" },
	{ "fec0::", "feff:ffff::", "site-local" },
	{ "ff00::", "ffff:ffff::", "multicast" },
};

static void check(const char *text, const char *what)
{
	struct in6_addr addr;
	const char *special;

	if (!ok(net_addr_parse(text, &addr) == 0, "%s is an address", text))
		return;
	special = netaddr_special(&addr);
	ok(what ? special && strstr(special, what) : !special, "%s: %s", text,
	   special ? special : "anybody's");
}

/*** The host's own ***/

/* What the kernel says, and whether a connection is kept from there. */
static const struct {
	const char *what;
	uint16_t kind;
	int error;
	uint8_t type;
	uint32_t cut; /* octets that are missing */
	bool own;
} routes[] = {
	{ "a way out", RTM_NEWROUTE, 0, RTN_UNICAST, 0, false },
	{ "the host", RTM_NEWROUTE, 0, RTN_LOCAL, 0, true },
	{ "all on the wire", RTM_NEWROUTE, 0, RTN_BROADCAST, 0, true },
	{ "a group", RTM_NEWROUTE, 0, RTN_MULTICAST, 0, true },
	{ "the next of some", RTM_NEWROUTE, 0, RTN_ANYCAST, 0, true },
	{ "nowhere, told", RTM_NEWROUTE, 0, RTN_UNREACHABLE, 0, false },
	{ "nowhere", RTM_NEWROUTE, 0, RTN_BLACKHOLE, 0, false },
	{ "forbidden", RTM_NEWROUTE, 0, RTN_PROHIBIT, 0, false },
	{ "half a way out", RTM_NEWROUTE, 0, RTN_UNICAST, 1, true },
	{ "another matter", RTM_NEWLINK, 0, RTN_UNICAST, 0, true },
	{ "no network", NLMSG_ERROR, -ENETUNREACH, 0, 0, false },
	{ "no host", NLMSG_ERROR, -EHOSTUNREACH, 0, 0, false },
	{ "no such question", NLMSG_ERROR, -EINVAL, 0, 0, true },
	{ "not to us", NLMSG_ERROR, -EPERM, 0, 0, true },
	{ "no error", NLMSG_ERROR, 0, 0, 0, true },
};

static void test_own(void)
{
	const struct in6_addr addr = netaddr_from_v4(0xc0000207);
	int fds[2];

	ok(netaddr_is_own(-1, &addr), "who cannot ask is kept away");
	if (!ok(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0,
		"a kernel of our own"))
		return;
	ok(netaddr_is_own(fds[0], &addr), "and so is who gets no answer");
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		struct {
			struct nlmsghdr header;
			union {
				struct rtmsg route;
				struct nlmsgerr error;
			};
		} answer = { .header.nlmsg_type = routes[i].kind };
		size_t n = sizeof(answer.header) + sizeof(answer.route);

		if (routes[i].kind == NLMSG_ERROR) {
			answer.error.error = routes[i].error;
			n = sizeof(answer);
		} else {
			answer.route.rtm_type = routes[i].type;
		}
		n -= routes[i].cut;
		ok(send(fds[1], &answer, n, 0) == (ssize_t)n &&
		       netaddr_is_own(fds[0], &addr) == routes[i].own,
		   "%s", routes[i].what);
	}
	close(fds[0]);
	close(fds[1]);
}

/*** Other forms ***/

static void test_sockets(void)
{
	static const struct {
		const char *text;
		int family;
	} rows[] = { { "192.0.2.7", AF_INET }, { "2001:db8::7", AF_INET6 } };
	struct sockaddr_storage sa;
	struct in6_addr addr, back;
	uint16_t port;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[INET6_ADDRSTRLEN];
		socklen_t len;

		port = 0;
		memset(&sa, 0xff, sizeof(sa));
		net_addr_parse(rows[i].text, &addr);
		len = netaddr_to_socket(&addr, 443, &sa);
		ok(sa.ss_family == rows[i].family &&
		       len == (sa.ss_family == AF_INET
				   ? sizeof(struct sockaddr_in)
				   : sizeof(struct sockaddr_in6)) &&
		       netaddr_from_socket(&sa, &back, &port) == 0 &&
		       port == 443 && !memcmp(&addr, &back, sizeof(addr)),
		   "%s to a socket's and back", rows[i].text);
		ok(((struct sockaddr_in6 *)&sa)->sin6_scope_id == 0 ||
		       sa.ss_family == AF_INET,
		   "with no link");
		netaddr_format(&addr, text);
		ok(!strcmp(text, rows[i].text), "and to a text");
	}
	sa = (struct sockaddr_storage){ .ss_family = AF_UNIX };
	ok(netaddr_from_socket(&sa, &back, &port) == -1, "no other family");
}

static void test_with_port(void)
{
	auto_free char *name = netaddr_with_port("h.example", 80);
	auto_free char *v6 = netaddr_with_port("2001:db8::7", 80);

	ok(!strcmp(name, "h.example:80") && !strcmp(v6, "[2001:db8::7]:80"),
	   "with a port: %s, %s", name, v6);
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		check(ranges[i].first, ranges[i].what);
		if (ranges[i].last)
			check(ranges[i].last, ranges[i].what);
	}
	test_own();
	test_sockets();
	test_with_port();
	return done();
}
