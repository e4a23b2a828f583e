/* SPDX-License-Identifier: MIT */
#include "relay_state.h"

#include <string.h>

static bool covers_port(const struct net_rule *rule, uint16_t port)
{
	return port >= rule->port_lo && port <= rule->port_hi;
}

const struct net_rule *relay_rule_for_name(const struct net_policy *policy,
					   const char *name, uint16_t port)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (covers_port(&policy->rules[i], port) &&
		    net_rule_matches_name(&policy->rules[i], name))
			return &policy->rules[i];
	return NULL;
}

const struct net_rule *relay_rule_for_addr(const struct net_policy *policy,
					   const struct in6_addr *addr,
					   uint16_t port)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (covers_port(&policy->rules[i], port) &&
		    net_rule_matches_addr(&policy->rules[i], addr))
			return &policy->rules[i];
	return NULL;
}

const struct net_rule *relay_rule_naming(const struct net_policy *policy,
					 const char *name)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (net_rule_matches_name(&policy->rules[i], name))
			return &policy->rules[i];
	return NULL;
}

const struct spec_resolve *relay_resolve_entry(const struct net_policy *policy,
					       const char *name)
{
	for (size_t i = 0; i < policy->n_resolve; i++)
		if (strcmp(policy->resolve[i].name, name) == 0)
			return &policy->resolve[i];
	return NULL;
}

static bool has_port(const uint16_t *ports, size_t n, uint16_t port)
{
	for (size_t i = 0; i < n; i++)
		if (ports[i] == port)
			return true;
	return false;
}

bool relay_host_port(const struct net_policy *policy, uint16_t port)
{
	return has_port(policy->host_ports, policy->n_host_ports, port);
}

bool relay_needs_tls(const struct net_policy *policy, uint16_t port)
{
	return has_port(policy->tls_ports, policy->n_tls_ports, port);
}
