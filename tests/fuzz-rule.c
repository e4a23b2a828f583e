/* SPDX-License-Identifier: MIT */

/*
 * What a user writes about the network, of any bytes: a rule, a proxy's URL; and
 * a proxy's answer, whole and in two pieces.  The first octet says which.
 */

#include <stdlib.h>
#include <string.h>

#include "netaddr.h"
#include "netrule.h"
#include "proxy.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No rule is for everybody: who is far from each other is never in one. */
static void check_narrow(const struct net_rule *rule)
{
	static const char *const ends[][2] = {
		{ "9.9.9.9", "200.9.9.9" },
		{ "2001:db8::1", "fd00::1" },
		{ "::1", "fe80::1" },
	};
	struct in6_addr one, other;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		net_addr_parse(ends[i][0], &one);
		net_addr_parse(ends[i][1], &other);
		if (net_rule_matches_addr(rule, &one) &&
		    net_rule_matches_addr(rule, &other))
			abort();
	}
	if (net_rule_matches_name(rule, "a.example") &&
	    net_rule_matches_name(rule, "b.test"))
		abort();
}

static void check_rule(const char *text)
{
	struct net_rule rule;
	char why[160] = "", again[NET_NAME_MAX];

	if (net_rule_parse(text, &rule, why, sizeof(why)) < 0) {
		if (!why[0])
			abort(); /* a refusal says why */
		return;
	}
	if (strcmp(rule.text, text) != 0 || rule.port_lo > rule.port_hi)
		abort();
	/* One canonical form, which is its own. */
	if (rule.kind != NET_RULE_CIDR &&
	    (net_name_ascii(rule.name, strlen(rule.name), again) < 0 ||
	     strcmp(again, rule.name) != 0))
		abort();
	/* It speaks of the name itself, or of what is below it. */
	if (rule.kind == NET_RULE_NAME &&
	    !net_rule_matches_name(&rule, rule.name))
		abort();
	if (rule.kind == NET_RULE_WILDCARD &&
	    net_rule_matches_name(&rule, rule.name))
		abort();
	check_narrow(&rule);
	net_rule_free(&rule);
}

static void check_url(const char *text)
{
	char why[256] = "", request[PROXY_REQUEST_MAX];
	auto_free char *redacted = proxy_redacted(text);
	struct proxy proxy;
	size_t n, lines = 0;

	if (!redacted || strchr(redacted, '@') != strrchr(redacted, '@'))
		abort();
	if (proxy_parse(text, &proxy, why, sizeof(why)) < 0) {
		if (!why[0])
			abort();
		return;
	}
	n = proxy_request(&proxy, "a.example", 443, request);
	if (n == 0 || n > sizeof(request) || memchr(request, '\0', n))
		abort();
	/* Nothing in a URL makes a header of its own. */
	for (size_t i = 0; i < n; i++)
		lines += request[i] == '\n';
	if (lines > 5)
		abort();
	proxy_free(&proxy);
}

static void check_answer(const uint8_t *data, size_t size)
{
	int status = 0, early_status = 0;
	long whole = proxy_answer(data, size, &status);
	long early = proxy_answer(data, size / 2, &early_status);

	if (whole > (long)size || (whole > 0 && (status < 0 || status > 999)))
		abort();
	/* Undecided or refused at first, but never another answer. */
	if (early > 0 && (early != whole || early_status != status))
		abort();
	if (early < 0 && whole >= 0)
		abort();
	if (whole > 0)
		proxy_refusal(status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = size > 1
				   ? xstrndup((const char *)data + 1, size - 1)
				   : NULL;

	if (!text)
		return 0;
	if (data[0] % 3 == 0)
		check_rule(text);
	else if (data[0] % 3 == 1)
		check_url(text);
	else
		check_answer(data + 1, size - 1);
	return 0;
}
