/* SPDX-License-Identifier: MIT */
/* Rules: what is accepted, what it then matches, and what is refused why. */
#include "../netrule.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "../util.h"
#include "tap.h"

static const struct {
	const char *text;
	enum net_rule_kind kind;
	const char *name;
	unsigned int prefix, lo, hi;
} good[] = {
	{ "example.com", NET_RULE_NAME, "example.com", 0, 0, 0 },
	{ "EXAMPLE.Com.", NET_RULE_NAME, "example.com", 0, 0, 0 },
	{ "api.x.com:443", NET_RULE_NAME, "api.x.com", 0, 443, 443 },
	{ "api.x.com:8000-8010", NET_RULE_NAME, "api.x.com", 0, 8000, 8010 },
	{ "db", NET_RULE_NAME, "db", 0, 0, 0 },
	{ "my_host.corp", NET_RULE_NAME, "my_host.corp", 0, 0, 0 },
	{ "09.aAzZ-_9.Z", NET_RULE_NAME, "09.aazz-_9.z", 0, 0, 0 },
	{ "x.0abc", NET_RULE_NAME, "x.0abc", 0, 0, 0 },
	{ "x.ax1", NET_RULE_NAME, "x.ax1", 0, 0, 0 },
	{ "x.0x1g", NET_RULE_NAME, "x.0x1g", 0, 0, 0 },
	{ "*.corp", NET_RULE_WILDCARD, "corp", 0, 0, 0 },
	{ "*.example.com", NET_RULE_WILDCARD, "example.com", 0, 0, 0 },
	{ "*.internal:22", NET_RULE_WILDCARD, "internal", 0, 22, 22 },
	{ "10.0.0.0/8", NET_RULE_CIDR, NULL, 104, 0, 0 },
	{ "64:ff9b::a00:0/104", NET_RULE_CIDR, NULL, 104, 0, 0 },
	{ "64:ff9b:1::/56", NET_RULE_CIDR, NULL, 56, 0, 0 },
	{ "2002::/24", NET_RULE_CIDR, NULL, 24, 0, 0 },
	{ "2001::/40", NET_RULE_CIDR, NULL, 40, 0, 0 },
	{ "2000::/16", NET_RULE_CIDR, NULL, 16, 0, 0 },
	/* Beside what leads to IPv4. */
	{ "::fffe:0:0/97", NET_RULE_CIDR, NULL, 97, 0, 0 },
	{ "64:ff9b::1:0:0/97", NET_RULE_CIDR, NULL, 97, 0, 0 },
	{ "64:ff9b:0:8000::/49", NET_RULE_CIDR, NULL, 49, 0, 0 },
	{ "2003::/17", NET_RULE_CIDR, NULL, 17, 0, 0 },
	{ "2001:1::/33", NET_RULE_CIDR, NULL, 33, 0, 0 },
	{ "203.0.113.7", NET_RULE_CIDR, NULL, 128, 0, 0 },
	{ "203.0.113.7:22", NET_RULE_CIDR, NULL, 128, 22, 22 },
	{ "203.0.113.0/24:5432", NET_RULE_CIDR, NULL, 120, 5432, 5432 },
	{ "::1", NET_RULE_CIDR, NULL, 128, 0, 0 },
	{ "2001:db8::/32", NET_RULE_CIDR, NULL, 32, 0, 0 },
	{ "[2001:db8::1]:443", NET_RULE_CIDR, NULL, 128, 443, 443 },
	{ "[::1]", NET_RULE_CIDR, NULL, 128, 0, 0 },
	{ "[2001:db8::]/32", NET_RULE_CIDR, NULL, 32, 0, 0 },
	{ "db:1-65535", NET_RULE_NAME, "db", 0, 1, 65535 },
	{ "[2001:db8::]/32:443", NET_RULE_CIDR, NULL, 32, 443, 443 },
	{ "[2001:db8::/32]:1-2", NET_RULE_CIDR, NULL, 32, 1, 2 },
	{ "::ffff:1.2.3.4", NET_RULE_CIDR, NULL, 128, 0, 0 },
};

static const struct {
	const char *text, *why;
} bad[] = {
	{ "", "empty" },
	{ "*", "everything" },
	{ "*:443", "everything" },
	{ "0.0.0.0/0", "everything" },
	{ "::/0", "everything" },
	{ "0.0.0.0", "everything" },
	{ "0.0.0.0/32", "everything" },
	{ "0.0.0.0/8", "everything" },
	{ "0.1.2.0/24", "everything" },
	{ "::/128", "everything" },
	{ "::/64", "everything" },
	{ "::", "everything" },
	{ "128.0.0.0/1", "everything" },
	{ "2000::/3", "everything" },
	{ "::ffff:0:0/96", "prefix" },
	{ "64::/16", "everything" },
	{ "64:ff9b::/96", "everything" },
	{ "64:ff9a::/31", "everything" },
	{ "64:ff9b::/103", "everything" },
	{ "64:ff9b::8000:0/97", "everything" },
	{ "64:ff9b:1::/55", "everything" },
	{ "64:ff9b:1:8000::/49", "everything" },
	{ "2002::/16", "everything" },
	{ "2002::/23", "everything" },
	{ "2002:8000::/17", "everything" },
	{ "2001::/39", "everything" },
	{ "2001:0:8000::/33", "everything" },
	{ "2000::/15", "everything" },
	{ "10.0.0.0/7", "everything" },
	{ "*.com", "top-level" },
	{ "a.*.com", "first label" },
	{ "x*.example.com", "first label" },
	{ "*x.example.com", "first label" },
	{ "*.*.com", "first label" },
	{ "10.1.2.3/8", "10.0.0.0/8" },
	{ "10.255.255.255/9", "10.128.0.0/9" },
	{ "2001:db8::1/33", "2001:db8::/33" },
	{ "10.0.0.0/33", "from 0 to 32" },
	{ "10.0.0.0/", "from 0 to 32" },
	{ "10.0.0/8", "not an address" },
	{ "127.1", "not a valid" },
	{ "2130706433", "not a valid" },
	{ "0x7f.1", "not a valid" },
	{ "0x7f000001", "not a valid" },
	{ "010.0.0.1", "not a valid" },
	{ "example.com.0x1", "not a valid" },
	{ "localhost", "host_ports" },
	{ "a.localhost", "host_ports" },
	{ "*.localhost:80", "host_ports" },
	{ "https://example.com", "URL" },
	{ "fe80::1%eth0", "zone" },
	{ "evil%00.example.com", "zone" },
	{ "a..b", "not a valid" },
	{ ".example.com", "not a valid" },
	{ "-a.example.com", "not a valid" },
	{ "a-.example.com", "not a valid" },
	{ "exa mple.com", "space" },
	{ "example.com\1x", "control" },
	{ "example.com:0", "1 to 65535" },
	{ "example.com:65536", "1 to 65535" },
	{ "example.com:", "1 to 65535" },
	{ "example.com:*", "1 to 65535" },
	{ "example.com:90-80", "backwards" },
	{ "example.com:+80", "1 to 65535" },
	{ "[::1", "without" },
	{ "[::1]x", "PORT" },
	{ "example.com:80:90", "IPv6" },
	{ "example.com/24", "not an address" },
};

static const struct {
	const char *rule, *subject;
	bool match;
} matches[] = {
	{ "trusted.net", "trusted.net", true },
	{ "trusted.net", "nottrusted.net", false },
	{ "trusted.net", "a.trusted.net", false },
	{ "trusted.net", "trusted.net.evil.com", false },
	{ "*.trusted.net", "a.trusted.net", true },
	{ "*.trusted.net", "a.b.trusted.net", true },
	{ "*.trusted.net", "trusted.net", false },
	{ "*.trusted.net", "nottrusted.net", false },
	{ "*.trusted.net", "a.trusted.net.evil.com", false },
	{ "*.trusted.net", ".trusted.net", false },
	{ "10.0.0.0/8", "10.255.0.1", true },
	{ "10.0.0.0/8", "11.0.0.1", false },
	{ "192.168.4.0/22", "192.168.7.255", true },
	{ "192.168.4.0/22", "192.168.8.0", false },
	{ "203.0.113.7", "203.0.113.7", true },
	{ "203.0.113.7", "203.0.113.8", false },
	{ "203.0.113.7", "::ffff:203.0.113.7", true },
	{ "2001:db8::/32", "2001:db8:1::1", true },
	{ "2001:db8::/32", "2001:db9::1", false },
	{ "2001:db8::/32", "10.0.0.1", false },
	{ "10.0.0.0/8", "::a00:1", false },
};

static void test_good(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct net_rule rule;
		char why[200] = "";
		int rc = net_rule_parse(good[i].text, &rule, why, sizeof(why));

		ok(rc == 0 && rule.kind == good[i].kind &&
		       rule.port_lo == good[i].lo &&
		       rule.port_hi == good[i].hi &&
		       rule.prefix == good[i].prefix &&
		       (!good[i].name || !strcmp(rule.name, good[i].name)) &&
		       !strcmp(rule.text, good[i].text) &&
		       net_rule_is_one_host(&rule) ==
			   (good[i].kind == NET_RULE_NAME ||
			    good[i].prefix == 128),
		   "%s is a rule (%s)", good[i].text, why);
		net_rule_free(&rule);
	}
}

static void test_bad(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct net_rule rule;
		char why[200] = "";
		int rc = net_rule_parse(bad[i].text, &rule, why, sizeof(why));

		ok(rc == -1 && strstr(why, bad[i].why), "refused: %s: %s",
		   bad[i].text, why);
		if (rc == 0)
			net_rule_free(&rule);
	}
}

static void test_matches(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(matches); i++) {
		struct net_rule rule;
		struct in6_addr addr;
		char why[200];
		bool match;

		if (!ok(net_rule_parse(matches[i].rule, &rule, why,
				       sizeof(why)) == 0,
			"%s is a rule", matches[i].rule))
			continue;
		match = net_addr_parse(matches[i].subject, &addr) == 0
			    ? net_rule_matches_addr(&rule, &addr)
			    : net_rule_matches_name(&rule, matches[i].subject);
		ok(match == matches[i].match, "%s %s %s", matches[i].rule,
		   matches[i].match ? "matches" : "does not match",
		   matches[i].subject);
		net_rule_free(&rule);
	}
}

static void test_lengths(void)
{
	char name[300], out[NET_NAME_MAX];

	memset(name, 'a', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	ok(net_name_canonical(name, 253, out) == 0, "253 octets are a name");
	ok(net_name_canonical(name, 254, out) == -1, "254 octets are none");
	memset(out, 'x', sizeof(out));
	ok(net_name_canonical("a.example", 9, out) == 0 &&
	       !strcmp(out, "a.example"),
	   "a label of 1");
	name[63] = 'a';
	ok(net_name_canonical(name, 70, out) == -1, "a label of 64 is refused");
	ok(net_name_canonical("evil\0.google.com", 16, out) == -1,
	   "a NUL is refused");
	ok(net_name_canonical(".", 1, out) == -1, "the root is no host");
	ok(net_name_ascii("b\xc3\xbc"
			  "cher.de",
			  10, out) == -1,
	   "names off the wire are ASCII");
}

static void test_idna(void)
{
	static const char bucher[] = "b\xc3\xbc"
				     "cher.de";
	bool there = dlopen("libidn2.so.0", RTLD_NOW) != NULL;
	struct net_rule rule;
	char why[200] = "", out[NET_NAME_MAX];
	int rc = net_rule_parse("*.B\xc3\xbc"
				"cher.example",
				&rule, why, sizeof(why));

	ok((rc == 0) == there, "IDNA is libidn2's: %s", why);
	if (rc == 0)
		ok(!strcmp(rule.name, "xn--bcher-kva.example"), "IDNA: %s",
		   rule.name);
	else
		ok(strstr(why, "xn--") != NULL, "without libidn2: %s", why);
	net_rule_free(&rule);
	ok(net_name_canonical(bucher, strlen(bucher), out) ==
		   (there ? 0 : -1) &&
	       (!there || !strcmp(out, "xn--bcher-kva.de")),
	   "of a name without a rule");
	ok(net_name_canonical("b\xff.de", 5, out) == -1, "if it is UTF-8");
	rc = net_rule_parse("b\xff.de", &rule, why, sizeof(why));
	ok(rc == -1 && strstr(why, there ? "not a valid" : "xn--"),
	   "and of a rule: %s", why);
	/* U+FF0E, a full stop to IDNA: whatever it becomes is what is matched. */
	rc = net_rule_parse("evil.com\xef\xbc\x8e"
			    "example.org",
			    &rule, why, sizeof(why));
	ok(rc == -1 || !strcmp(rule.name, "evil.com.example.org"),
	   "a full-width stop is a label boundary or refused");
	if (rc == 0)
		net_rule_free(&rule);
}

int main(void)
{
	test_good();
	test_bad();
	test_matches();
	test_lengths();
	test_idna();
	return done();
}
