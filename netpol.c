/* SPDX-License-Identifier: MIT */
#include "netpol.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "netaddr.h"
#include "util.h"

/* Each takes a socket inside and a descriptor of the relay. */
#define LISTEN_MAX  1024
#define PUBLISH_MAX 64

const char netpol_nameserver[] = "198.18.0.1";

/*** Rules ***/

static void add_rule(struct net_policy *policy, const struct net_rule *rule,
		     uint16_t lo, uint16_t hi)
{
	struct net_rule *added;

	policy->rules = xrealloc_array(policy->rules, policy->n_rules + 1,
				       sizeof(*policy->rules));
	added = &policy->rules[policy->n_rules++];
	*added = *rule;
	added->text = xstrdup(rule->text);
	added->port_lo = lo;
	added->port_hi = hi;
}

/* A rule without ports speaks of the policy's: one rule for each of these. */
static void add_rule_ports(struct net_policy *policy,
			   const struct net_rule *rule, const struct spec *spec)
{
	static const uint16_t https[] = { 443 };
	const uint16_t *ports = spec->n_ports ? spec->ports : https;
	size_t n_ports = spec->n_ports ? spec->n_ports : ARRAY_SIZE(https);

	if (rule->port_lo != 0) {
		add_rule(policy, rule, rule->port_lo, rule->port_hi);
		return;
	}
	for (size_t i = 0; i < n_ports; i++)
		add_rule(policy, rule, ports[i], ports[i]);
}

static int add_agent_hosts(struct net_policy *policy, const struct agent *agent,
			   const struct spec *spec)
{
	if (!agent) {
		fail(0, "network \"restricted\" needs an agent profile");
		return fail_remedy("name one with --agent, or list the hosts "
				   "with --allow HOST[:PORT]");
	}
	for (size_t i = 0; i < agent->hosts.n; i++) {
		struct net_rule rule;
		char why[160];

		if (net_rule_parse(agent->hosts.v[i], &rule, why, sizeof(why)) <
		    0)
			return fail(0, "the profile of %s allows \"%s\": %s",
				    agent->name, agent->hosts.v[i], why);
		add_rule_ports(policy, &rule, spec);
		net_rule_free(&rule);
	}
	return 0;
}

static void add_hosts(struct net_policy *policy, const struct spec *spec)
{
	for (size_t i = 0; i < spec->n_allow; i++)
		add_rule_ports(policy, &spec->allow[i], spec);
}

/*** Ports ***/

static int by_port(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static void *copy(const void *from, size_t n, size_t size)
{
	void *to = n ? xcalloc(n, size) : NULL;

	if (n)
		memcpy(to, from, n * size);
	return to;
}

/* Where a permissive run can connect, beside the ports of the spec: each is
 * taken from what listens inside, so these are few. */
static const uint16_t permissive_ports[] = { 22, 80, 443, 9418 };

/* The union of all ports that something is allowed on. */
static int collect_ports(struct net_policy *policy, const struct spec *spec)
{
	auto_free uint8_t *wanted = NULL;
	size_t n = 0;

	/* Most runs: a walk over all ports would be a tenth of their start. */
	if (policy->n_rules + policy->n_host_ports == 0 && !policy->permissive)
		return 0;
	wanted = xcalloc(65536, 1);
	for (size_t i = 0; i < policy->n_rules; i++)
		for (uint32_t port = policy->rules[i].port_lo;
		     port <= policy->rules[i].port_hi; port++)
			wanted[port] = 1;
	for (size_t i = 0; i < policy->n_host_ports; i++)
		wanted[policy->host_ports[i]] = 1;
	for (size_t i = 0; policy->permissive && i < spec->n_ports; i++)
		wanted[spec->ports[i]] = 1;
	for (size_t i = 0;
	     policy->permissive && i < ARRAY_SIZE(permissive_ports); i++)
		wanted[permissive_ports[i]] = 1;
	if (wanted[53])
		return fail(0, "port 53 cannot be allowed: inside, the "
			       "sandbox's own name service answers there");
	for (size_t port = 0; port < 65536; port++)
		n += wanted[port];
	if (n > LISTEN_MAX) {
		fail(0, "the network rules cover %zu ports, more than %d", n,
		     LISTEN_MAX);
		return fail_remedy("narrow the port ranges");
	}
	policy->listen_ports = xcalloc(n, sizeof(uint16_t));
	for (size_t port = 0; port < 65536; port++)
		if (wanted[port])
			policy->listen_ports[policy->n_listen_ports++] =
			    (uint16_t)port;
	return 0;
}

static int add_publish(struct net_policy *policy, const struct spec *spec)
{
	policy->n_publish = spec->n_publish;
	policy->publish = copy(spec->publish, spec->n_publish,
			       sizeof(*spec->publish));
	if (policy->n_publish > PUBLISH_MAX)
		return fail(0, "%zu ports are to be published, more than %d",
			    policy->n_publish, PUBLISH_MAX);
	for (size_t i = 0; i < policy->n_publish; i++) {
		uint16_t port = policy->publish[i].port;

		if (port == 53 ||
		    (policy->n_listen_ports &&
		     bsearch(&port, policy->listen_ports,
			     policy->n_listen_ports, sizeof(port), by_port))) {
			fail(0,
			     "port %u cannot be published: inside, the "
			     "sandbox's own way out listens there",
			     port);
			return fail_remedy("have the service listen on another "
					   "port than those that are allowed");
		}
	}
	return 0;
}

/*** The way out ***/

static int add_proxy(struct net_policy *policy, const struct spec *spec)
{
	struct proxy proxy;
	char why[256] = "";
	int rc;

	if (!spec->proxy)
		return 0;
	if (strcmp(spec->proxy, PROXY_ENV) == 0)
		rc = proxy_from_env(&proxy, why, sizeof(why));
	else
		rc = proxy_parse(spec->proxy, &proxy, why, sizeof(why)) < 0 ? -1
									    : 1;
	if (rc < 0) {
		fail(0, "cannot use the proxy: %s", why);
		return fail_remedy("mend https_proxy, or name the proxy with "
				   "--proxy http://HOST:PORT");
	}
	if (rc > 0) {
		policy->proxy = xcalloc(1, sizeof(proxy));
		*policy->proxy = proxy;
	}
	return 0;
}

int netpol_plan(struct net_policy *policy, const struct spec *spec,
		const struct agent *agent)
{
	*policy = (struct net_policy){ .mode = NET_DENY };
	switch (spec->network) {
	case SPEC_NETWORK_DENY:
		policy->closed = spec_asked(spec, "network.mode");
		break;
	case SPEC_NETWORK_HOST:
		policy->mode = NET_HOST;
		return 0;
	case SPEC_NETWORK_RESTRICTED:
		if (add_agent_hosts(policy, agent, spec) < 0)
			return -1;
		add_hosts(policy, spec);
		break;
	case SPEC_NETWORK_ALLOW:
		add_hosts(policy, spec);
		break;
	}
	policy->permissive = spec->permissive;
	policy->n_resolve = spec->n_resolve;
	policy->resolve = copy(spec->resolve, spec->n_resolve,
			       sizeof(*spec->resolve));
	policy->n_host_ports = spec->n_host_ports;
	policy->host_ports = copy(spec->host_ports, spec->n_host_ports,
				  sizeof(uint16_t));
	if (policy->n_host_ports > 0)
		qsort(policy->host_ports, policy->n_host_ports,
		      sizeof(uint16_t), by_port);
	policy->n_tls_ports = spec->n_tls_ports;
	policy->tls_ports = copy(spec->tls_ports, spec->n_tls_ports,
				 sizeof(uint16_t));
	policy->allow_ech = spec->allow_ech;
	if (add_proxy(policy, spec) < 0)
		return -1;
	if (collect_ports(policy, spec) < 0 || add_publish(policy, spec) < 0)
		return -1;
	/* Nothing is allowed: then nobody need listen either. */
	if (policy->n_rules + policy->n_host_ports + policy->n_publish > 0 ||
	    policy->permissive)
		policy->mode = NET_RELAY;
	return 0;
}

void netpol_free(struct net_policy *policy)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		net_rule_free(&policy->rules[i]);
	free(policy->rules);
	free(policy->resolve);
	free(policy->host_ports);
	free(policy->listen_ports);
	free(policy->tls_ports);
	free(policy->publish);
	if (policy->proxy)
		proxy_free(policy->proxy);
	free(policy->proxy);
	*policy = (struct net_policy){ 0 };
}

/*** What it says ***/

static void explain_rule(const struct net_rule *rule, FILE *out)
{
	char addr[INET6_ADDRSTRLEN];
	unsigned int bits = rule->prefix;

	switch (rule->kind) {
	case NET_RULE_NAME:
		fprintf(out, "  allow %s", rule->name);
		break;
	case NET_RULE_WILDCARD:
		fprintf(out, "  allow *.%s", rule->name);
		break;
	case NET_RULE_CIDR:
		netaddr_format(&rule->addr, addr);
		if (netaddr_is_v4(&rule->addr))
			bits -= 96;
		fprintf(out, "  allow %s", addr);
		if (rule->prefix < 128)
			fprintf(out, "/%u", bits);
		break;
	}
	if (rule->port_lo == rule->port_hi)
		fprintf(out, " port %u\n", rule->port_lo);
	else
		fprintf(out, " ports %u-%u\n", rule->port_lo, rule->port_hi);
}

static void explain_proxy(const struct proxy *proxy, FILE *out)
{
	auto_free char *shown = proxy_shown(proxy);

	fprintf(out, "  connect through the proxy %s%s\n", shown,
		proxy->authorization ? " (with credentials)" : "");
	for (size_t i = 0; i < proxy->n_direct; i++)
		fprintf(out, "  without it to %s\n", proxy->direct[i].text);
}

static void explain_permissive(const struct net_policy *policy, FILE *out)
{
	fputs("  let through and record everything else on ports", out);
	for (size_t i = 0; i < policy->n_listen_ports; i++)
		fprintf(out, " %u", policy->listen_ports[i]);
	fputs(",\n  but private, local and metadata addresses and this host\n",
	      out);
}

static void explain_relay(const struct net_policy *policy, FILE *out)
{
	char addr[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < policy->n_rules; i++)
		explain_rule(&policy->rules[i], out);
	for (size_t i = 0; i < policy->n_host_ports; i++)
		fprintf(out,
			"  allow host.m9m.internal port %u (the host's "
			"loopback)\n",
			policy->host_ports[i]);
	for (size_t i = 0; i < policy->n_resolve; i++) {
		netaddr_format(&policy->resolve[i].addr, addr);
		fprintf(out, "  resolve %s to %s\n", policy->resolve[i].name,
			addr);
	}
	for (size_t i = 0; i < policy->n_tls_ports; i++)
		fprintf(out, "  require TLS on port %u\n",
			policy->tls_ports[i]);
	if (policy->allow_ech)
		fputs("  allow TLS that hides its server name (ECH): what else "
		      "is served\n  behind an allowed name can be reached\n",
		      out);
	if (policy->proxy)
		explain_proxy(policy->proxy, out);
	for (size_t i = 0; i < policy->n_publish; i++)
		fprintf(out,
			"  publish port %u inside as port %u of the host's "
			"loopback\n",
			policy->publish[i].port, policy->publish[i].host_port);
	if (policy->permissive)
		explain_permissive(policy, out);
	else if (policy->n_rules + policy->n_host_ports > 0)
		fputs("  deny everything else\n", out);
	else
		fputs("  deny everything, and record what is tried\n", out);
}

void netpol_explain(const struct net_policy *policy, FILE *out)
{
	switch (policy->mode) {
	case NET_DENY:
		fputs("  deny everything, and record what is tried\n", out);
		break;
	case NET_RELAY:
		explain_relay(policy, out);
		break;
	case NET_HOST:
		fputs("  the host's own network, all of it\n", out);
		break;
	}
}
