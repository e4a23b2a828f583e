/* SPDX-License-Identifier: MIT */
#include "relay_state.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dns.h"
#include "err.h"
#include "netaddr.h"
#include "util.h"

/*
 * Theory of operation
 *
 * All who ask share one queue in the kernel, of a few hundred questions: who
 * fills it takes the others' places, and does so in a millisecond when the
 * relay is not running.  So
 *	- the queue is emptied as fast as can be, also while nobody else is let
 *	  in, and of what is found there only questions for allowed names must be
 *	  answered (relay_dns_respond());
 *	- a socket that asks too fast is known by its port, and for a second the
 *	  kernel drops what comes from there before it is in the queue, at the
 *	  asker's expense.  Which address it asks from is its own choice, as
 *	  every address is local;
 *	- where all together ask too fast, a few questions of each are enough to
 *	  be too fast: a resolver has a new socket for each name.
 * A flood from yet more sockets can still take places; the resolver inside is
 * told to ask five times.
 */

/* Of one turn of the loop: all that the queue holds. */
#define SHARE       512
/* In one second: of one socket; of all, and of one when all have so many. */
#define PER_SECOND  500
#define CROWD       2000
#define IN_CROWD    8
/* So many ports the kernel's filter has room for: it takes 8 bytes for each,
 * twice while it is changed, of the 20 KiB that a socket's options may take. */
#define REFUSED_MAX 1000
#define REFUSED_MS  1000
#define PORTS       65536

struct asker {
	uint32_t second;
	uint32_t n : 31;      /* in that second */
	uint32_t refused : 1; /* its port is, until all are forgiven */
};

struct udp {
	struct watch watch;
	struct relay_state *state;
	struct asker *askers; /* by port: pages come as they are touched */
	struct asker all;
	uint16_t refused[REFUSED_MAX];
	size_t n_refused, n_filtered; /* the filter knows of these */
	struct timer_list forgiving;
	struct timer forgive;
	bool said;
};

/*** Who asks too fast ***/

#define BLOCK      200 /* A jump reaches 255 instructions. */
#define BLOCKS     ((REFUSED_MAX + BLOCK - 1) / BLOCK)
#define FILTER_MAX (REFUSED_MAX + 2 * BLOCKS + 2)

/* A datagram begins with its UDP header here, that with the source. */
static size_t write_filter(const struct udp *udp, struct sock_filter *filter)
{
	size_t n = 0, left;

	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0);
	for (size_t i = 0; i < udp->n_refused; i += BLOCK) {
		left = udp->n_refused - i;
		if (left > BLOCK)
			left = BLOCK;
		for (size_t k = 0; k < left; k++)
			filter[n++] = (struct sock_filter)BPF_JUMP(
			    BPF_JMP | BPF_JEQ | BPF_K, udp->refused[i + k],
			    (uint8_t)(left - k), 0);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	}
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ~0u);
	return n;
}

/* Without the memory for it the socket is as it was: that is no harm. */
static void set_filter(struct udp *udp)
{
	struct sock_filter filter[FILTER_MAX];
	struct sock_fprog program = { .filter = filter };
	static const int unused = 0;

	udp->n_filtered = udp->n_refused;
	if (udp->n_refused == 0) {
		setsockopt(udp->watch.fd, SOL_SOCKET, SO_DETACH_FILTER, &unused,
			   sizeof(unused));
		return;
	}
	program.len = (unsigned short)write_filter(udp, filter);
	setsockopt(udp->watch.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
		   sizeof(program));
}

static void forgive_expired(struct timer *timer)
{
	struct udp *udp = container_of(timer, struct udp, forgive);

	/* Who goes on in the same second is to be refused again. */
	for (size_t i = 0; i < udp->n_refused; i++)
		udp->askers[udp->refused[i]].refused = false;
	udp->n_refused = 0;
	set_filter(udp);
}

static void refuse(struct udp *udp, uint16_t port, const char *reason)
{
	if (!udp->said)
		relay_event_limit(udp->state, "dns", "", reason);
	udp->said = true;
	if (udp->n_refused == REFUSED_MAX)
		return;
	if (udp->n_refused == 0)
		timer_start(&udp->state->loop, &udp->forgiving, &udp->forgive);
	udp->refused[udp->n_refused++] = port;
	udp->askers[port].refused = true;
}

/* How many it has asked in this second. */
static uint32_t count(struct asker *asker, uint32_t second)
{
	if (asker->second != second)
		asker->n = 0;
	asker->second = second;
	return ++asker->n;
}

static bool asks_too_fast(struct udp *udp, const struct sockaddr_storage *peer)
{
	uint32_t second = (uint32_t)(udp->state->loop.now / 1000), n;
	bool crowd = count(&udp->all, second) > CROWD;
	struct in6_addr addr;
	struct asker *asker;
	uint16_t port = 0;

	netaddr_from_socket(peer, &addr, &port);
	asker = &udp->askers[port];
	n = count(asker, second);
	if (n <= (crowd ? IN_CROWD : PER_SECOND))
		return false;
	/* More may have been in the queue already. */
	if (!asker->refused)
		refuse(
		    udp, port,
		    n > PER_SECOND
			? "too many questions at once from one socket: some "
			  "are not answered"
			: "too many questions at once: some are not answered");
	return true;
}

/*** Questions and answers ***/

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
	iov.iov_len = relay_dns_respond(udp->state, message, (size_t)n, out,
					"udp");
	iov.iov_base = out;
	if (iov.iov_len == 0)
		return true;
	aim_back(&msg);
	/* Who does not take the answer asks again. */
	if (sendmsg(udp->watch.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return errno != EAGAIN;
	return true;
}

static void ready(struct watch *watch, uint32_t events)
{
	struct udp *udp = container_of(watch, struct udp, watch);

	(void)events;
	for (int i = 0; i < SHARE && answer_one(udp); i++)
		;
	if (udp->n_filtered != udp->n_refused)
		set_filter(udp);
}

int relay_udp_open(struct relay_state *state, int fd)
{
	struct udp *udp = xcalloc(1, sizeof(*udp));

	udp->state = state;
	udp->watch = (struct watch){ fd, ready };
	udp->askers = xcalloc(PORTS, sizeof(*udp->askers));
	timer_list_init(&state->loop, &udp->forgiving, REFUSED_MS,
			forgive_expired);
	if (loop_add(&state->loop, &udp->watch, EPOLLIN) < 0)
		return fail(errno, "cannot watch the name service's socket");
	return 0;
}
