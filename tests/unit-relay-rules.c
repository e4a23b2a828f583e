/* SPDX-License-Identifier: MIT */
/* What the policy says to one attempt, and which flag would allow it. */
#include "relay_state.h"

#include <string.h>

#include "netaddr.h"
#include "tap.h"
#include "util.h"

#define ANY "permissive"

enum kind { NAME, HOST, ADDR };

struct row {
	enum kind kind;
	const char *what;
	uint16_t port;
	const char *rule; /* NULL: refused */
	const char *flag;
};

static const char *const texts[] = { "t.test:443", "*.wild.test:443",
				     "kept.wild.test:443", "192.0.2.0/24:443" };

static const struct row strict[] = {
	{ NAME, "t.test", 443, "t.test:443", "" },
	{ NAME, "t.test", 80, NULL, "--allow t.test:80" },
	{ NAME, "t.test", 53, NULL, "" },
	{ NAME, "t.test", 5000, NULL, "" }, /* published */
	{ NAME, "t.test", 5001, NULL, "" },
	{ NAME, "a.wild.test", 443, "*.wild.test:443", "" },
	{ NAME, "x.test", 443, NULL, "--allow x.test:443" },
	{ HOST, "", 8080, "host_ports", "" },
	{ HOST, "", 443, NULL, "--host-port 443" },
	{ HOST, "", 5000, NULL, "" },
	{ ADDR, "192.0.2.7", 443, "192.0.2.0/24:443", "" },
	{ ADDR, "192.0.2.7", 80, NULL, "--allow 192.0.2.7:80" },
	{ ADDR, "192.0.2.7", 5000, NULL, "" },
	{ ADDR, "198.51.100.7", 443, NULL, "--allow 198.51.100.7:443" },
	{ ADDR, "2001:db8::7", 443, NULL, "--allow [2001:db8::7]:443" },
	/* No rule takes these, or they are nobody. */
	{ ADDR, "0.1.2.3", 443, NULL, "" },
	{ ADDR, "1.0.0.0", 443, NULL, "--allow 1.0.0.0:443" },
	{ ADDR, "223.255.255.255", 443, NULL, "--allow 223.255.255.255:443" },
	{ ADDR, "224.0.0.1", 443, NULL, "" },
	{ ADDR, "239.255.255.255", 443, NULL, "" },
	{ ADDR, "240.0.0.1", 443, NULL, "--allow 240.0.0.1:443" },
	{ ADDR, "255.255.255.255", 443, NULL, "" },
	{ ADDR, "::", 443, NULL, "" },
	{ ADDR, "::1", 443, NULL, "--allow [::1]:443" },
	{ ADDR, "fe80::1", 443, NULL, "" },
	{ ADDR, "ff02::1", 443, NULL, "" },
};

static const struct row closed[] = {
	{ NAME, "x.test", 443, NULL, "--network allow --allow x.test:443" },
	{ HOST, "", 81, NULL, "--network allow --host-port 81" },
	{ ADDR, "1.1.1.1", 443, NULL, "--network allow --allow 1.1.1.1:443" },
};

static const struct row permissive[] = {
	{ NAME, "t.test", 443, "t.test:443", "" },
	{ NAME, "x.test", 443, ANY, "--allow x.test:443" },
	{ NAME, "x.test", 80, ANY, "--allow x.test:80" },
	{ NAME, "x.test", 81, NULL, "--allow x.test:81" },
	{ HOST, "", 443, NULL, "--host-port 443" },
	{ ADDR, "192.0.2.7", 443, "192.0.2.0/24:443", "" },
	{ ADDR, "198.51.100.7", 443, ANY, "--allow 198.51.100.7:443" },
	{ ADDR, "198.51.100.7", 81, NULL, "--allow 198.51.100.7:81" },
	{ ADDR, "127.0.0.1", 443, NULL, "--allow 127.0.0.1:443" },
	{ ADDR, "10.1.2.3", 443, NULL, "--allow 10.1.2.3:443" },
	{ ADDR, "169.254.169.254", 80, NULL, "--allow 169.254.169.254:80" },
	{ ADDR, "fd00:ec2::254", 80, NULL, "--allow [fd00:ec2::254]:80" },
};

static void judge(const struct net_policy *policy, int route_fd,
		  const struct row *row, size_t n)
{
	for (; n > 0; row++, n--) {
		struct relay_verdict v = { .reason = NULL };
		struct in6_addr addr;

		if (row->kind != ADDR)
			relay_judge_name(policy, row->what, row->kind == HOST,
					 row->port, &v);
		else if (net_addr_parse(row->what, &addr) == 0)
			relay_judge_addr(policy, route_fd, &addr, row->port,
					 &v);
		ok((row->rule ? v.rule && !strcmp(v.rule, row->rule)
			      : !v.rule) &&
		       !v.reason == !!row->rule && !strcmp(v.remedy, row->flag),
		   "%s%s port %u: %s, \"%s\"", row->what,
		   row->kind == HOST ? "the host's" : "", row->port,
		   v.rule ? v.rule : v.reason, v.remedy);
	}
}

static const char *naming(const struct net_policy *policy, const char *name)
{
	const struct net_rule *rule = relay_rule_naming(policy, name);

	return rule ? rule->text : "none";
}

static void test_naming(struct net_policy *policy)
{
	ok(!strcmp(naming(policy, "a.wild.test"), "*.wild.test:443") &&
	       !strcmp(naming(policy, "kept.wild.test"), "kept.wild.test:443"),
	   "a name is named by itself first");
	ok(!strcmp(naming(policy, "x.test"), "none"), "or by none");
	policy->permissive = true;
	ok(!strcmp(naming(policy, "x.test"), ANY) &&
	       !strcmp(naming(policy, "a.wild.test"), "*.wild.test:443"),
	   "where all may be asked for, too");
	policy->permissive = false;
}

static void test_made_up(const struct net_policy *policy)
{
	char name[103];

	memset(name, 'a', sizeof(name));
	name[102] = '\0';
	ok(relay_made_up(&relay_permissive, name) &&
	       !relay_made_up(&relay_permissive, name + 1),
	   "so much may be made up");
	ok(!relay_made_up(&policy->rules[0], name), "of a wildcard only");
}

static void test_flags(const struct net_policy *policy)
{
	char flag[NET_FLAG_MAX];

	relay_flag(policy, "t.test", 0, flag);
	ok(!strcmp(flag, "--allow t.test"), "a flag for a name: %s", flag);
	relay_flag_host(policy, 0, flag);
	ok(!strcmp(flag, "--host-port PORT"), "for the host: %s", flag);
}

int main(void)
{
	static uint16_t listen[] = { 80, 443 }, host[] = { 8080 };
	static struct spec_publish publish[] = { { 9000, 5000 },
						 { 9001, 5001 } };
	static struct net_rule rules[ARRAY_SIZE(texts)];
	struct net_policy policy = {
		.mode = NET_RELAY,
		.rules = rules,
		.n_rules = ARRAY_SIZE(rules),
		.listen_ports = listen,
		.n_listen_ports = ARRAY_SIZE(listen),
		.host_ports = host,
		.n_host_ports = ARRAY_SIZE(host),
		.publish = publish,
		.n_publish = ARRAY_SIZE(publish),
	};
	int route_fd = netaddr_route_open();
	char why[200];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (net_rule_parse(texts[i], &rules[i], why, sizeof(why)) < 0)
			return !ok(false, "%s: %s", texts[i], why);
	judge(&policy, route_fd, strict, ARRAY_SIZE(strict));
	test_naming(&policy);
	test_made_up(&policy);
	test_flags(&policy);
	policy.closed = true;
	judge(&policy, route_fd, closed, ARRAY_SIZE(closed));
	policy.closed = false;
	policy.permissive = true;
	judge(&policy, route_fd, permissive, ARRAY_SIZE(permissive));
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		net_rule_free(&rules[i]);
	return done();
}
