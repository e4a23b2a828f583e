/* SPDX-License-Identifier: MIT */
#include "netpol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netinet/tcp.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "err.h"
#include "handover.h"
#include "lazy.h"
#include "netpol_packets.h"
#include "ruleset.h"
#include "util.h"

/*
 * Theory of operation
 *
 *	payload --connect(198.18.1.0:443)--> listener [::]:443 inside
 *	                                          |  accept() by the relay
 *	                                          v
 *	relay (host's namespace) --connect()--> the real server
 *
 * The namespace has the loopback device only, and one route that makes every
 * address local to it.  So a connection to any address at all is to the
 * namespace itself: where a listener waits it is taken, with its original
 * destination as the local name of the accepted socket, elsewhere it is
 * refused at once.  A socket stays in the namespace it was made in whoever
 * holds it: the listeners go to the relay, and inside nobody has a way out.
 */

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

/* The kernel caps it at net.core.somaxconn. */
#define BACKLOG 4096

/* *net_fd as in netpol_apply: a socket's answer costs less than a way through
 * /proc. */
static int raise_loopback(int *net_fd)
{
	auto_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo" };

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return fail(errno, "cannot reach the loopback device");
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return fail(errno, "cannot bring the loopback device up");
	*net_fd = ioctl(fd, SIOCGSKNS);
	return 0;
}

/*
 * There is nothing here that could be congested.  BBR, where it is the host's
 * default, paces all the same: it costs bulk transfers a third.  Reno is in
 * every kernel, and any namespace may have it.  Where /proc cannot be written
 * they are slower.
 */
static void stop_pacing(void)
{
	auto_fd int fd = open("/proc/sys/net/ipv4/tcp_congestion_control",
			      O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, "reno", 4);
}

/*** The route ***/

static struct {
	__typeof__(nl_connect) *connect;
	__typeof__(nl_geterror) *geterror;
	__typeof__(nl_send_sync) *send_sync;
	__typeof__(nl_socket_alloc) *socket_alloc;
	__typeof__(nl_socket_free) *socket_free;
	__typeof__(nla_put_u32) *nla_put_u32;
	__typeof__(nlmsg_alloc_simple) *nlmsg_alloc_simple;
	__typeof__(nlmsg_append) *nlmsg_append;
	__typeof__(nlmsg_free) *nlmsg_free;
} nl;

static const struct lazy_symbol nl_symbols[] = {
	{ "nl_connect", &nl.connect },
	{ "nl_geterror", &nl.geterror },
	{ "nl_send_sync", &nl.send_sync },
	{ "nl_socket_alloc", &nl.socket_alloc },
	{ "nl_socket_free", &nl.socket_free },
	{ "nla_put_u32", &nl.nla_put_u32 },
	{ "nlmsg_alloc_simple", &nl.nlmsg_alloc_simple },
	{ "nlmsg_append", &nl.nlmsg_append },
	{ "nlmsg_free", &nl.nlmsg_free },
};

/*
 * "local ::/0 dev lo" or "local 0.0.0.0/0 dev lo": a destination of length 0
 * needs no RTA_DST.  By libnl-3 alone, loaded here: libnl-route takes 0.1 ms
 * more.  0, or a negative libnl error.
 */
static int add_route(struct nl_sock *sock, uint8_t family, uint32_t lo)
{
	struct rtmsg route = { .rtm_family = family,
			       .rtm_table = RT_TABLE_LOCAL,
			       .rtm_protocol = RTPROT_BOOT,
			       .rtm_scope = RT_SCOPE_HOST,
			       .rtm_type = RTN_LOCAL };
	struct nl_msg *msg = nl.nlmsg_alloc_simple(
	    RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_CREATE);
	int rc = msg ? nl.nlmsg_append(msg, &route, sizeof(route),
				       NLMSG_ALIGNTO)
		     : -NLE_NOMEM;

	if (rc == 0)
		rc = nl.nla_put_u32(msg, RTA_OIF, lo);
	if (rc < 0) {
		nl.nlmsg_free(msg);
		return rc;
	}
	return nl.send_sync(sock, msg); /* frees it */
}

static int make_all_local(void)
{
	unsigned int lo = if_nametoindex("lo");
	struct nl_sock *sock;
	int rc;

	if (lazy_load("libnl-3.so.200", nl_symbols, ARRAY_SIZE(nl_symbols)) < 0)
		return -1;
	sock = nl.socket_alloc();
	rc = sock ? nl.connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;
	if (rc == 0 && lo == 0)
		rc = -NLE_NODEV;
	if (rc == 0)
		rc = add_route(sock, AF_INET, lo);
	/* Without IPv6 in the kernel its addresses stay unreachable: that
	 * closes, and opens nothing. */
	if (rc == 0)
		add_route(sock, AF_INET6, lo);
	nl.socket_free(sock);
	if (rc < 0)
		return fail(0, "cannot make every address local: %s",
			    nl.geterror(rc));
	return 0;
}

/*** Sockets ***/

/* One for both families; IPv4 alone where the kernel has no IPv6. */
static int bind_any(int type, uint16_t port)
{
	static const int off = 0;
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port) };
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	int flags = type | SOCK_CLOEXEC | SOCK_NONBLOCK;
	auto_fd int fd = socket(AF_INET6, flags, 0);
	bool only_v4 = fd < 0 && errno == EAFNOSUPPORT;
	int rc;

	if (only_v4)
		fd = socket(AF_INET, flags, 0);
	else if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)))
		return fail(errno, "cannot serve both families on port %u",
			    port);
	if (fd < 0)
		return fail(errno, "cannot make a socket for port %u", port);
	rc = only_v4 ? bind(fd, (struct sockaddr *)&v4, sizeof(v4))
		     : bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	if (rc < 0)
		return fail(errno, "cannot bind port %u inside", port);
	return take_fd(&fd);
}

/* What is accepted inherits the option: a call less for each connection. */
static int listen_any(uint16_t port)
{
	static const int on = 1;
	auto_fd int fd = bind_any(SOCK_STREAM, port);

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* What is judged is what is read later: see flow.c. */
	if (setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return fail(errno, "cannot listen on port %u inside", port);
	return take_fd(&fd);
}

/* Answers must come from the address that was asked, whichever that was. */
static int dns_socket(void)
{
	static const int on = 1, room = 1 << 20;
	auto_fd int fd = bind_any(SOCK_DGRAM, 53);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) &&
	    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)))
		return fail(errno, "cannot learn which name server is asked");
	/* As much as the kernel gives: see relay_udp.c. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	/* An IPv6 address that is local by the route only is none to answer
	 * from, but for this.  Without IPv6 it fails, and nobody needs it. */
	setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	return take_fd(&fd);
}

static int add(int socket, struct handover_batch *batch,
	       enum handover_kind kind, uint16_t port, int fd)
{
	return fd < 0 ? -1 : handover_add(socket, batch, kind, port, fd);
}

/* Some containers have no raw sockets: then the relay says so. */
static int add_packets(const struct net_policy *policy, int socket,
		       struct handover_batch *batch)
{
	static const struct {
		int family;
		bool udp;
	} kinds[] = { { AF_INET, false },
		      { AF_INET, true },
		      { AF_INET6, false },
		      { AF_INET6, true } };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(kinds); i++) {
		int fd = netpol_packets(policy, kinds[i].family, kinds[i].udp);

		if (fd >= 0)
			rc = handover_add(
			    socket, batch,
			    kinds[i].udp ? HANDOVER_UDP : HANDOVER_SYNS, 0, fd);
	}
	return rc;
}

/*
 * A socket connects where it was made: so the relay, which is outside, reaches
 * what listens inside, and no process of ours need stay there for it.
 */
static int add_inlets(int socket_fd, struct handover_batch *batch)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < 2 * NETPOL_INLETS; i++) {
		int family = families[i % 2];
		int fd = socket(family,
				SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (fd < 0 && family == AF_INET6 && errno == EAFNOSUPPORT)
			continue;
		if (fd < 0)
			return fail(errno, "cannot make a socket inside");
		rc = handover_add(socket_fd, batch, HANDOVER_INLET, 0, fd);
	}
	return rc;
}

static int hand_over(const struct net_policy *policy, int socket)
{
	struct handover_batch batch = { .n = 0 };
	int rc = add(socket, &batch, HANDOVER_DNS_UDP, 53, dns_socket());

	if (rc == 0)
		rc = add_packets(policy, socket, &batch);
	if (rc == 0)
		rc = add(socket, &batch, HANDOVER_DNS_TCP, 53, listen_any(53));
	for (size_t i = 0; rc == 0 && i < policy->n_listen_ports; i++) {
		uint16_t port = policy->listen_ports[i];

		rc = add(socket, &batch, HANDOVER_LISTENER, port,
			 listen_any(port));
	}
	if (rc == 0 && policy->n_publish > 0)
		rc = add_inlets(socket, &batch);
	if (rc < 0) {
		handover_forget(&batch);
		return -1;
	}
	return handover_finish(socket, &batch);
}

int netpol_hand_over(const struct net_policy *policy, int sockets_fd)
{
	return make_all_local() < 0 ? -1 : hand_over(policy, sockets_fd);
}

/*** The host's network ***/

static const struct ruleset_rights scope = { .scoped = RULESET_SOCKETS };

bool netpol_scopes_sockets(void)
{
	return ruleset_known(ruleset_version(), scope).scoped != 0;
}

/*
 * Abstract unix sockets belong to the network namespace: with the host's come
 * its D-Bus and X11, and who talks to those runs commands outside.
 */
static int scope_sockets(void)
{
	auto_fd int ruleset = -1;

	/* The plan has said so. */
	if (!netpol_scopes_sockets())
		return 0;
	ruleset = ruleset_make(ruleset_version(), &scope);
	/* CAP_SYS_ADMIN, which we have here, stands for no_new_privs. */
	if (ruleset < 0 || ruleset_enter(ruleset) < 0)
		return fail(errno, "cannot close the host's abstract sockets");
	return 0;
}

int netpol_apply(const struct net_policy *policy, int sockets_fd, int *net_fd)
{
	if (policy->mode == NET_HOST)
		return scope_sockets();
	if (raise_loopback(net_fd) < 0)
		return -1;
	if (policy->mode != NET_RELAY)
		return 0;
	stop_pacing();
	return netpol_hand_over(policy, sockets_fd);
}
