/* SPDX-License-Identifier: MIT */
#include "relay_state.h"

#include <errno.h>
#include <linux/if_packet.h>
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
	struct {
		struct target target;
		uint64_t at;
	} recent[UDP_RECENT];
	size_t next;
};

/* Where a packet (from its network header on) goes; false: of no interest. */
static bool read_target(const uint8_t *p, size_t n, struct target *t, bool *udp)
{
	size_t ports;
	uint32_t v4;

	if (n >= 20 && p[0] >> 4 == 4) {
		memcpy(&v4, p + 16, 4);
		t->addr = netaddr_from_v4(ntohl(v4));
		ports = (size_t)(p[0] & 15) * 4;
		*udp = p[9] == IPPROTO_UDP;
	} else if (n >= 40 && p[0] >> 4 == 6) {
		memcpy(&t->addr, p + 24, 16);
		ports = 40;
		*udp = p[6] == IPPROTO_UDP;
	} else {
		return false;
	}
	if (n < ports + 4)
		return false;
	t->port = (uint16_t)(p[ports + 2] << 8 | p[ports + 3]);
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

static void look_at(struct packets *packets, const uint8_t *p, size_t n)
{
	struct relay_state *state = packets->state;
	struct target t;
	bool udp;

	if (!read_target(p, n, &t, &udp) || is_inside(&t.addr))
		return;
	if (udp ? was_told(packets, &t) : is_listened_to(state->policy, t.port))
		return;
	conn_refused(state, &t.addr, t.port, udp);
}

/* What the socket's buffer had no room for. */
static void count_lost(struct packets *packets)
{
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);

	if (getsockopt(packets->watch.fd, SOL_PACKET, PACKET_STATISTICS, &stats,
		       &len) == 0)
		packets->state->events.dropped += stats.tp_drops;
}

static void packets_ready(struct watch *watch, uint32_t events)
{
	struct packets *packets = container_of(watch, struct packets, watch);
	uint8_t packet[128];

	(void)events;
	for (int i = 0; i < SHARE; i++) {
		ssize_t n;

		if (relay_event_crowded(packets->state)) {
			relay_pause(packets->state);
			break;
		}
		n = recv(watch->fd, packet, sizeof(packet), MSG_DONTWAIT);
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			look_at(packets, packet, (size_t)n);
	}
	count_lost(packets);
}

struct watch *relay_packets(struct relay_state *state, int fd)
{
	struct packets *packets = xcalloc(1, sizeof(*packets));

	packets->watch = (struct watch){ fd, packets_ready };
	packets->state = state;
	state->has_packets = true;
	return &packets->watch;
}
