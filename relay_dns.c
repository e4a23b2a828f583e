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
#include "netaddr.h"
#include "util.h"

/* Of one turn of the loop: a flood of questions leaves room for the others. */
#define UDP_SHARE       512
#define TCP_CLIENTS_MAX 64

/*
 * Below a wildcard the sandbox makes names up as it likes, and each one that it
 * connects to is asked for in the world: data can leave in the labels.  So
 * their length is bounded, and their number by a budget that fills up again.
 */
#define MADE_UP_LENGTH 100
#define MADE_UP_BURST  256.0
#define MADE_UP_PER_S  0.5

/*** What is answered ***/

struct verdict {
	enum dns_rcode rcode;
	bool has_addr;
	struct in_addr addr;
	const char *rule, *reason;
	char remedy[160];
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
	*why = NULL;
	if (rule->kind == NET_RULE_WILDCARD) {
		if (strlen(text) - strlen(rule->name) - 1 > MADE_UP_LENGTH)
			*why = "too long a name below a wildcard: it could "
			       "carry data out";
		else if (!spend_budget(state))
			*why = "too many different names below a wildcard: "
			       "they could carry data out";
	}
	if (!*why) {
		name = names_add(&state->names, text);
		if (!name)
			*why = "too many different names";
	}
	if (!name)
		say_limit(state, text, *why);
	return name;
}

static void refuse_name(struct verdict *v, const struct dns_query *query)
{
	v->rcode = DNS_REFUSED;
	if (!query->name[0]) {
		v->reason = "not a host name";
		return;
	}
	v->reason = "the name is not allowed";
	snprintf(v->remedy, sizeof(v->remedy), "--allow %.140s", query->name);
}

static void answer_type(struct verdict *v, uint16_t type,
			const struct name *name)
{
	switch (type) {
	case DNS_A:
		v->has_addr = true;
		v->addr.s_addr = htonl(names_address(name));
		break;
	case DNS_AAAA:
	case DNS_HTTPS:
	case DNS_SVCB:
		break; /* it exists, and has nothing of this kind */
	default:
		v->rcode = DNS_REFUSED;
		v->reason = "this type of question is not answered";
	}
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
	snprintf(v->remedy, sizeof(v->remedy), "--host-port PORT");
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
		refuse_name(v, query);
		return;
	}
	v->rule = rule->text;
	name = admit(state, query->name, rule, &v->reason);
	if (!name) {
		v->rcode = DNS_REFUSED;
		return;
	}
	answer_type(v, query->type, name);
}

static void record(struct relay_state *state, const struct dns_query *query,
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
	relay_event_send(state, &event);
}

/* The answer to a message into out[]; 0: none. */
static size_t respond(struct relay_state *state, const uint8_t *message,
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
	record(state, &query, &v, transport);
	return dns_answer(message, &query, v.rcode, v.has_addr ? &v.addr : NULL,
			  out);
}

/*** UDP ***/

/*
 * All who ask share one queue in the kernel: who fills it takes the others'
 * places.  So it is emptied as fast as can be, and who asks too fast, by the
 * socket it asks from, is not answered: to drop a question costs a tenth of an
 * answer and its event.
 */
#define SOURCES      256
#define SOURCE_BURST 1000
#define SOURCE_PER_S 1000

struct source {
	uint64_t at; /* ms */
	uint64_t level;
};

struct udp {
	struct watch watch;
	struct relay_state *state;
	struct source sources[SOURCES];
	bool said;
};

static bool asks_too_fast(struct udp *udp, const struct sockaddr_storage *peer)
{
	uint64_t now = udp->state->loop.now, leaked;
	struct in6_addr addr = { 0 };
	uint16_t port = 0;
	uint32_t hash = 2166136261u;
	struct source *s;

	netaddr_from_socket(peer, &addr, &port);
	for (size_t i = 0; i < sizeof(addr); i++)
		hash = (hash ^ addr.s6_addr[i]) * 16777619u;
	hash = (hash ^ port) * 16777619u;
	s = &udp->sources[(hash ^ hash >> 16) % SOURCES];
	leaked = (now - s->at) * SOURCE_PER_S / 1000;
	s->level = leaked < s->level ? s->level - leaked : 0;
	s->at = now;
	if (s->level < SOURCE_BURST) {
		s->level++;
		return false;
	}
	if (!udp->said)
		relay_event_limit(udp->state, "dns", "",
				  "too many questions at once from one socket: "
				  "some are not answered");
	udp->said = true;
	return true;
}

union control {
	char room[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
		  CMSG_SPACE(sizeof(struct in_pktinfo))];
	struct cmsghdr align;
};

/*
 * The control data that came says which address was asked; sent back it is the
 * address that answers.  An interface index in it would be wrong for a source
 * that is local only by the route.
 */
static void aim_back(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	if (!c) {
		msg->msg_controllen = 0;
	} else if (c->cmsg_type == IPV6_PKTINFO &&
		   c->cmsg_level == IPPROTO_IPV6) {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof(info));
		info.ipi6_ifindex = 0;
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		msg->msg_controllen = CMSG_SPACE(sizeof(info));
	} else if (c->cmsg_type == IP_PKTINFO && c->cmsg_level == IPPROTO_IP) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof(info));
		info.ipi_ifindex = 0;
		info.ipi_spec_dst = info.ipi_addr;
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		msg->msg_controllen = CMSG_SPACE(sizeof(info));
	}
}

static bool answer_one(struct udp *udp)
{
	uint8_t message[DNS_MESSAGE_MAX + 1], out[DNS_ANSWER_MAX];
	struct sockaddr_storage peer;
	union control control;
	struct iovec iov = { message, sizeof(message) };
	struct msghdr msg = { .msg_name = &peer,
			      .msg_namelen = sizeof(peer),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(udp->watch.fd, &msg, MSG_DONTWAIT);

	/* An error here is an ICMP answer to an earlier answer of ours. */
	if (n < 0)
		return errno != EAGAIN;
	if (asks_too_fast(udp, &peer))
		return true;
	iov.iov_len = respond(udp->state, message, (size_t)n, out, "udp");
	iov.iov_base = out;
	if (iov.iov_len == 0)
		return true;
	aim_back(&msg);
	/* Who does not take the answer asks again. */
	if (sendmsg(udp->watch.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return errno != EAGAIN;
	return true;
}

static void udp_ready(struct watch *watch, uint32_t events)
{
	struct udp *udp = container_of(watch, struct udp, watch);

	(void)events;
	for (int i = 0; i < UDP_SHARE; i++) {
		if (relay_event_crowded(udp->state)) {
			relay_pause(udp->state);
			return;
		}
		if (!answer_one(udp))
			return;
	}
}

struct watch *relay_dns_udp(struct relay_state *state, int fd)
{
	struct udp *udp = xcalloc(1, sizeof(*udp));

	udp->state = state;
	udp->watch = (struct watch){ fd, udp_ready };
	return &udp->watch;
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
	size = respond(c->state, c->buffer + 2, len, out + 2, "tcp");
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
