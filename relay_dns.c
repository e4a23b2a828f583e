/* SPDX-License-Identifier: MIT */
#include "relay_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns.h"
#include "util.h"

#define TCP_CLIENTS_MAX 64

/*
 * Below a wildcard the sandbox makes names up as it likes, and each one that it
 * connects to is asked for in the world: data can leave in the labels.  So
 * their length is bounded, and their number by a budget that fills up again.
 */
#define MADE_UP_BURST 256.0
#define MADE_UP_PER_S 0.5

/*** What is answered ***/

struct verdict {
	enum dns_rcode rcode;
	bool has_addr;
	struct in_addr addr;
	const char *rule, *reason;
	char remedy[NET_FLAG_MAX];
};

static bool spend_budget(struct relay_state *state)
{
	uint64_t now = state->loop.now;

	if (state->name_budget_at == 0)
		state->name_budget = MADE_UP_BURST;
	else
		state->name_budget += (double)(now - state->name_budget_at) *
				      MADE_UP_PER_S / 1000;
	state->name_budget_at = now;
	if (state->name_budget > MADE_UP_BURST)
		state->name_budget = MADE_UP_BURST;
	if (state->name_budget < 1)
		return false;
	state->name_budget -= 1;
	return true;
}

static void say_limit(struct relay_state *state, const char *name,
		      const char *reason)
{
	/* Each refusal is an event of its own: the cap is told of once. */
	if (!state->said_budget)
		relay_event_limit(state, "dns", name, reason);
	state->said_budget = true;
}

/* The name that is bound to an address now, or NULL and *why. */
static struct name *admit(struct relay_state *state, const char *text,
			  const struct net_rule *rule, const char **why)
{
	struct name *name = names_find(&state->names, text);

	if (name)
		return name;
	*why = relay_made_up(rule, text);
	if (!*why && rule->kind == NET_RULE_WILDCARD && !spend_budget(state))
		*why = "too many different names below a wildcard: they could "
		       "carry data out";
	if (!*why) {
		name = names_add(&state->names, text);
		if (!name)
			*why = "too many different names";
	}
	if (!name)
		say_limit(state, text, *why);
	return name;
}

/* Of an allowed name; no flag lets any other question through. */
static bool is_answered(uint16_t type)
{
	return type == DNS_A || type == DNS_AAAA || type == DNS_HTTPS ||
	       type == DNS_SVCB;
}

static void refuse_name(const struct relay_state *state, struct verdict *v,
			const struct dns_query *query)
{
	v->rcode = DNS_REFUSED;
	if (!query->name[0]) {
		v->reason = "not a host name";
		return;
	}
	v->reason = "the name is not allowed";
	if (is_answered(query->type))
		relay_flag(state->policy, query->name, 0, v->remedy);
}

static void answer_type(struct verdict *v, uint16_t type,
			const struct name *name)
{
	if (!is_answered(type)) {
		v->rcode = DNS_REFUSED;
		v->reason = "this type of question is not answered";
		return;
	}
	/* Of the other types it has nothing, but it exists. */
	v->has_addr = type == DNS_A;
	if (v->has_addr)
		v->addr.s_addr = htonl(names_address(name));
}

static void judge_gateway(struct relay_state *state, struct verdict *v,
			  const struct dns_query *query)
{
	if (state->policy->n_host_ports > 0) {
		v->rule = "host_ports";
		answer_type(v, query->type, &state->names.gateway);
		return;
	}
	v->rcode = DNS_REFUSED;
	v->reason = "no port of the host is allowed";
	if (is_answered(query->type))
		relay_flag_host(state->policy, 0, v->remedy);
}

static void judge(struct relay_state *state, struct verdict *v,
		  const struct dns_query *query)
{
	const struct net_rule *rule;
	struct name *name;

	if (names_find(&state->names, query->name) == &state->names.gateway) {
		judge_gateway(state, v, query);
		return;
	}
	rule = relay_rule_naming(state->policy, query->name);
	if (!query->name[0] || !rule) {
		refuse_name(state, v, query);
		return;
	}
	v->rule = rule->text;
	if (rule == &relay_permissive && is_answered(query->type))
		relay_flag(state->policy, query->name, 0, v->remedy);
	name = admit(state, query->name, rule, &v->reason);
	if (!name) {
		v->rcode = DNS_REFUSED;
		return;
	}
	answer_type(v, query->type, name);
}

static bool record(struct relay_state *state, const struct dns_query *query,
		   const struct verdict *v, const char *transport)
{
	struct net_event event = { .kind = NET_EVENT_DNS, .port = 53 };
	char type[16];

	dns_type_name(query->type, type);
	memcpy(event.name, query->name[0] ? query->name : query->shown,
	       sizeof(event.name));
	if (v->has_addr)
		inet_ntop(AF_INET, &v->addr, event.addr, sizeof(event.addr));
	snprintf(event.protocol, sizeof(event.protocol), "%s", transport);
	memcpy(event.detail, type, sizeof(event.detail));
	snprintf(event.rule, sizeof(event.rule), "%s", v->rule ? v->rule : "");
	snprintf(event.reason, sizeof(event.reason), "%s",
		 v->reason ? v->reason : "");
	memcpy(event.remedy, v->remedy, sizeof(event.remedy));
	return relay_event_offer(state, &event);
}

/*
 * In a flood of names that are not allowed there is no answer where there is no
 * room for an event: to drop a question costs a tenth of both.  Who asks for
 * one that is allowed gets an answer all the while.
 */
size_t relay_dns_respond(struct relay_state *state, const uint8_t *message,
			 size_t len, uint8_t *out, const char *transport)
{
	struct verdict v = { .rcode = DNS_NOERROR };
	struct dns_query query;
	int rc = dns_parse(message, len, &query);

	if (rc < 0)
		return 0;
	if (rc > 0) {
		v.rcode = (enum dns_rcode)rc;
		v.reason = "a malformed or unusual question";
	} else {
		judge(state, &v, &query);
	}
	if (!record(state, &query, &v, transport) && v.rcode != DNS_NOERROR)
		return 0;
	return dns_answer(message, &query, v.rcode, v.has_addr ? &v.addr : NULL,
			  out);
}

/*** TCP ***/

struct tcp_client {
	struct watch watch;
	struct relay_state *state;
	struct timer timer;
	size_t n;
	uint8_t buffer[2 + DNS_MESSAGE_MAX];
};

static void drop(struct tcp_client *c)
{
	timer_stop(&c->timer);
	loop_close(&c->state->loop, &c->watch);
	c->state->n_dns_clients--;
	free(c);
}

void relay_dns_expired(struct timer *timer)
{
	drop(container_of(timer, struct tcp_client, timer));
}

/* One question out of the buffer; 1 answered, 0 not all of it is there, -1. */
static int answer_tcp(struct tcp_client *c)
{
	uint8_t out[2 + DNS_ANSWER_MAX];
	size_t len, size;

	if (c->n < 2)
		return 0;
	len = (size_t)c->buffer[0] << 8 | c->buffer[1];
	if (len > DNS_MESSAGE_MAX)
		return -1;
	if (c->n < 2 + len)
		return 0;
	size = relay_dns_respond(c->state, c->buffer + 2, len, out + 2, "tcp");
	c->n -= 2 + len;
	memmove(c->buffer, c->buffer + 2 + len, c->n);
	out[0] = (uint8_t)(size >> 8);
	out[1] = (uint8_t)size;
	/* Who asks without reading the answers has had enough of them. */
	if (size == 0 ||
	    send(c->watch.fd, out, 2 + size, MSG_DONTWAIT | MSG_NOSIGNAL) !=
		(ssize_t)(2 + size))
		return -1;
	return 1;
}

static void tcp_ready(struct watch *watch, uint32_t events)
{
	struct tcp_client *c = container_of(watch, struct tcp_client, watch);
	ssize_t n = recv(watch->fd, c->buffer + c->n, sizeof(c->buffer) - c->n,
			 MSG_DONTWAIT);
	int rc;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	c->n += (size_t)n;
	do
		rc = answer_tcp(c);
	while (rc > 0);
	if (rc < 0)
		drop(c);
	else
		timer_start(&c->state->loop, &c->state->dns_idle, &c->timer);
}

void relay_dns_accepted(struct relay_state *state, int fd)
{
	struct tcp_client *c;

	if (state->n_dns_clients >= TCP_CLIENTS_MAX) {
		close(fd);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->state = state;
	c->watch = (struct watch){ fd, tcp_ready };
	state->n_dns_clients++;
	if (loop_add(&state->loop, &c->watch, EPOLLIN) < 0) {
		drop(c);
		return;
	}
	timer_start(&state->loop, &state->dns_idle, &c->timer);
}
