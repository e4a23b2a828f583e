/* SPDX-License-Identifier: MIT */
#include "relay_state.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>

#include "conn.h"
#include "netaddr.h"
#include "util.h"

#define SHARE          64
/* UDP has no first packet: the same peer again is told of after this. */
#define UDP_SILENCE_MS 5000
#define UDP_RECENT     32

struct target {
	struct in6_addr addr;
	uint16_t port;
};

struct packets {
	struct watch watch;
	struct relay_state *state;
	bool udp;
	uint32_t drops; /* of the socket's, told already */
	struct {
		struct target target;
		uint64_t at;
	} recent[UDP_RECENT];
	size_t next;
};

/* A packet as its socket shows it. */
struct packet {
	uint8_t bytes[80];
	size_t n;
	bool v6; /* addr is known, and the bytes begin beyond its header */
	struct in6_addr addr;
};

/* Where it goes; false: of no interest. */
static bool read_target(const struct packet *p, struct target *t)
{
	size_t ports = 0;
	uint32_t v4;

	if (p->v6) {
		t->addr = p->addr;
	} else if (p->n >= 20 && p->bytes[0] >> 4 == 4) {
		memcpy(&v4, p->bytes + 16, 4);
		t->addr = netaddr_from_v4(ntohl(v4));
		ports = (size_t)(p->bytes[0] & 15) * 4;
	} else {
		return false;
	}
	if (p->n < ports + 4)
		return false;
	t->port = (uint16_t)(p->bytes[ports + 2] << 8 | p->bytes[ports + 3]);
	return true;
}

/* The sandbox's own loopback is its own business. */
static bool is_inside(const struct in6_addr *addr)
{
	return netaddr_is_v4(addr) ? netaddr_v4(addr) >> 24 == 127
				   : IN6_IS_ADDR_LOOPBACK(addr);
}

static bool is_listened_to(const struct net_policy *policy, uint16_t port)
{
	for (size_t i = 0; i < policy->n_listen_ports; i++)
		if (policy->listen_ports[i] == port)
			return true;
	return port == 53;
}

static bool was_told(struct packets *packets, const struct target *t)
{
	uint64_t now = packets->state->loop.now;

	for (size_t i = 0; i < UDP_RECENT; i++)
		if (packets->recent[i].at &&
		    now - packets->recent[i].at < UDP_SILENCE_MS &&
		    packets->recent[i].target.port == t->port &&
		    memcmp(&packets->recent[i].target.addr, &t->addr,
			   sizeof(t->addr)) == 0)
			return true;
	packets->recent[packets->next].target = *t;
	packets->recent[packets->next].at = now;
	packets->next = (packets->next + 1) % UDP_RECENT;
	return false;
}

static void look_at(struct packets *packets, const struct packet *p)
{
	struct relay_state *state = packets->state;
	struct target t;

	if (!read_target(p, &t) || is_inside(&t.addr))
		return;
	if (packets->udp ? was_told(packets, &t)
			 : is_listened_to(state->policy, t.port))
		return;
	conn_refused(state, &t.addr, t.port, packets->udp);
}

/* What the socket's buffer had no room for. */
static void count_lost(struct packets *packets)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);

	if (getsockopt(packets->watch.fd, SOL_SOCKET, SO_MEMINFO, info, &len) <
		0 ||
	    len < sizeof(info))
		return;
	packets->state->events.dropped += info[SK_MEMINFO_DROPS] -
					  packets->drops;
	packets->drops = info[SK_MEMINFO_DROPS];
}

/* False: none waits. */
static bool receive(int fd, struct packet *p)
{
	union {
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { p->bytes, sizeof(p->bytes) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);
	struct in6_pktinfo info;

	p->n = n < 0 ? 0 : (size_t)n;
	p->v6 = c && c->cmsg_level == IPPROTO_IPV6 &&
		c->cmsg_type == IPV6_PKTINFO;
	if (p->v6) {
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		p->addr = info.ipi6_addr;
	}
	return n >= 0 || errno == EINTR;
}

static void packets_ready(struct watch *watch, uint32_t events)
{
	struct packets *packets = container_of(watch, struct packets, watch);
	struct packet packet;

	(void)events;
	for (int i = 0; i < SHARE; i++) {
		if (relay_event_crowded(packets->state)) {
			relay_pause(packets->state);
			break;
		}
		if (!receive(watch->fd, &packet))
			break;
		look_at(packets, &packet);
	}
	count_lost(packets);
}

struct watch *relay_packets(struct relay_state *state, int fd, bool udp)
{
	struct packets *packets = xcalloc(1, sizeof(*packets));

	packets->watch = (struct watch){ fd, packets_ready };
	packets->state = state;
	packets->udp = udp;
	state->has_packets = true;
	return &packets->watch;
}
