/* SPDX-License-Identifier: MIT */
/* Addresses that no name may lead to: each range to its edges, no further. */
#include "../netaddr.h"

#include <string.h>

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

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		check(ranges[i].first, ranges[i].what);
		if (ranges[i].last)
			check(ranges[i].last, ranges[i].what);
	}
	return done();
}
