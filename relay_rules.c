/* SPDX-License-Identifier: MIT */
#include "relay_state.h"

#include <stdio.h>
#include <string.h>

#include "netaddr.h"

/* Below a wildcard: more could carry data out. */
#define MADE_UP_LENGTH 100

static char permissive_text[] = "permissive";

/* As a wildcard over all names: of these no more can be made up, either. */
const struct net_rule relay_permissive = { .kind = NET_RULE_WILDCARD,
					   .text = permissive_text };

static bool has_port(const uint16_t *ports, size_t n, uint16_t port)
{
	for (size_t i = 0; i < n; i++)
		if (ports[i] == port)
			return true;
	return false;
}

static bool lets_through(const struct net_policy *policy, uint16_t port)
{
	return policy->permissive &&
	       has_port(policy->listen_ports, policy->n_listen_ports, port);
}

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
	return lets_through(policy, port) ? &relay_permissive : NULL;
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
	const struct net_rule *found = NULL;

	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct net_rule *rule = &policy->rules[i];

		if (!net_rule_matches_name(rule, name))
			continue;
		if (rule->kind == NET_RULE_NAME)
			return rule;
		if (!found)
			found = rule;
	}
	return !found && policy->permissive ? &relay_permissive : found;
}

const struct spec_resolve *relay_resolve_entry(const struct net_policy *policy,
					       const char *name)
{
	for (size_t i = 0; i < policy->n_resolve; i++)
		if (strcmp(policy->resolve[i].name, name) == 0)
			return &policy->resolve[i];
	return NULL;
}

bool relay_host_port(const struct net_policy *policy, uint16_t port)
{
	return has_port(policy->host_ports, policy->n_host_ports, port);
}

bool relay_needs_tls(const struct net_policy *policy, uint16_t port)
{
	return has_port(policy->tls_ports, policy->n_tls_ports, port);
}

/* Inside, something else answers at these: such a rule is refused. */
static bool is_taken(const struct net_policy *policy, uint16_t port)
{
	for (size_t i = 0; i < policy->n_publish; i++)
		if (policy->publish[i].port == port)
			return true;
	return port == 53;
}

/* No rule takes such an address, or none leads anywhere: TCP is with one other,
 * and of a link-local IPv6 address nobody says the link. */
static bool is_nobody(const struct in6_addr *addr)
{
	if (netaddr_is_v4(addr))
		return netaddr_v4(addr) >> 24 == 0 ||
		       netaddr_v4(addr) >> 28 == 14 ||
		       netaddr_v4(addr) == INADDR_BROADCAST;
	return IN6_IS_ADDR_UNSPECIFIED(addr) || IN6_IS_ADDR_MULTICAST(addr) ||
	       IN6_IS_ADDR_LINKLOCAL(addr);
}

/* Who said deny has to unsay it: a mere --allow conflicts with that. */
static const char *mode_flag(const struct net_policy *policy)
{
	return policy->closed ? "--network allow " : "";
}

void relay_flag(const struct net_policy *policy, const char *what,
		uint16_t port, char flag[static NET_FLAG_MAX])
{
	char at[8] = "";

	flag[0] = '\0';
	if (is_taken(policy, port))
		return;
	if (port)
		snprintf(at, sizeof(at), ":%u", port);
	snprintf(flag, NET_FLAG_MAX, "%s--allow %s%s", mode_flag(policy), what,
		 at);
}

void relay_flag_addr(const struct net_policy *policy,
		     const struct in6_addr *addr, uint16_t port,
		     char flag[static NET_FLAG_MAX])
{
	char plain[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 2];
	bool v4 = netaddr_is_v4(addr);

	flag[0] = '\0';
	if (is_nobody(addr))
		return;
	netaddr_format(addr, plain);
	snprintf(text, sizeof(text), "%s%s%s", v4 ? "" : "[", plain,
		 v4 ? "" : "]");
	relay_flag(policy, text, port, flag);
}

void relay_flag_host(const struct net_policy *policy, uint16_t port,
		     char flag[static NET_FLAG_MAX])
{
	char text[8] = "PORT";

	flag[0] = '\0';
	if (is_taken(policy, port))
		return;
	if (port)
		snprintf(text, sizeof(text), "%u", port);
	snprintf(flag, NET_FLAG_MAX, "%s--host-port %s", mode_flag(policy),
		 text);
}

static void judge_gateway(const struct net_policy *policy, uint16_t port,
			  struct relay_verdict *v)
{
	if (relay_host_port(policy, port)) {
		v->rule = "host_ports";
		return;
	}
	v->reason = "this port of the host is not allowed";
	relay_flag_host(policy, port, v->remedy);
}

void relay_judge_name(const struct net_policy *policy, const char *name,
		      bool gateway, uint16_t port, struct relay_verdict *v)
{
	const struct net_rule *rule;

	if (gateway) {
		judge_gateway(policy, port, v);
		return;
	}
	rule = relay_rule_for_name(policy, name, port);
	v->rule = rule ? rule->text : NULL;
	if (!rule)
		v->reason = "this port is not allowed for the name";
	if (!rule || rule == &relay_permissive)
		relay_flag(policy, name, port, v->remedy);
}

/* Who names an address means it; but nobody named this one. */
static bool is_closed(int route_fd, const struct in6_addr *addr)
{
	return netaddr_special(addr) || netaddr_is_own(route_fd, addr);
}

void relay_judge_addr(const struct net_policy *policy, int route_fd,
		      const struct in6_addr *addr, uint16_t port,
		      struct relay_verdict *v)
{
	const struct net_rule *rule = relay_rule_for_addr(policy, addr, port);

	if (!rule && lets_through(policy, port) && !is_closed(route_fd, addr))
		rule = &relay_permissive;
	v->rule = rule ? rule->text : NULL;
	if (!rule)
		v->reason = "the address is not allowed";
	if (!rule || rule == &relay_permissive)
		relay_flag_addr(policy, addr, port, v->remedy);
}

const char *relay_made_up(const struct net_rule *rule, const char *name)
{
	return rule->kind == NET_RULE_WILDCARD &&
		       strlen(name) - strlen(rule->name) - 1 > MADE_UP_LENGTH
		   ? "too long a name below a wildcard: it could carry data "
		     "out"
		   : NULL;
}
