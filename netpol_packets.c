/* SPDX-License-Identifier: MIT */
#include "netpol_packets.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "netpol.h"
#include "util.h"

/*
 * Raw sockets rather than one packet socket, which the kernel closes only after
 * a grace period: ten milliseconds at the end of every run.
 *
 * They are shown all that the loopback device carries, so this runs for each
 * packet: a few instructions for one of an open connection.  What is of no
 * interest is left out here already, so that a busy client or a server inside
 * does not fill the queue.  With IPv4 a packet begins at the network header,
 * whose length goes to X; with IPv6 at that of TCP or UDP.
 */
#define HEADER       BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0)
#define NO_HEADER    BPF_STMT(BPF_LDX | BPF_IMM, 0)
#define LOAD8_X(at)  BPF_STMT(BPF_LD | BPF_B | BPF_IND, at)
#define LOAD16_X(at) BPF_STMT(BPF_LD | BPF_H | BPF_IND, at)
#define LOAD32(at)   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define AND(k)       BPF_STMT(BPF_ALU | BPF_AND | BPF_K, k)
#define RET(k)       BPF_STMT(BPF_RET | BPF_K, k)
#define NOT_IF(k)    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1), RET(0)
#define ONLY_IF(k)   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 1, 0), RET(0)
#define SYN          0x02
#define ACK          0x10

/* The two headers, at their longest. */
#define SNAP      80
/* More are sorted out by whoever reads the socket. */
#define PORTS_MAX 64

static const struct sock_filter v4[] = {
	HEADER, LOAD32(16), AND(0xff000000), NOT_IF(0x7f000000) /* loopback */
};
static const struct sock_filter v6[] = { NO_HEADER };
static const struct sock_filter tcp[] = { LOAD8_X(13), /* the flags */
					  AND(SYN | ACK), ONLY_IF(SYN),
					  LOAD16_X(2) };
/* Name service, either way. */
static const struct sock_filter udp[] = { LOAD16_X(0), NOT_IF(53), LOAD16_X(2),
					  NOT_IF(53) };
static const struct sock_filter take[] = { RET(SNAP) };

struct program {
	struct sock_filter code[ARRAY_SIZE(v4) + ARRAY_SIZE(tcp) +
				2 * (PORTS_MAX + 1) + ARRAY_SIZE(take)];
	unsigned short n;
};

static void append(struct program *p, const struct sock_filter *code, size_t n)
{
	memcpy(p->code + p->n, code, n * sizeof(*code));
	p->n = (unsigned short)(p->n + n);
}

static void append_port(struct program *p, uint16_t port)
{
	const struct sock_filter code[] = { NOT_IF(port) };

	append(p, code, ARRAY_SIZE(code));
}

static void build(struct program *p, const struct net_policy *policy,
		  int family, bool is_udp)
{
	if (family == AF_INET)
		append(p, v4, ARRAY_SIZE(v4));
	else
		append(p, v6, ARRAY_SIZE(v6));
	if (is_udp) {
		append(p, udp, ARRAY_SIZE(udp));
	} else {
		append(p, tcp, ARRAY_SIZE(tcp));
		append_port(p, 53);
		for (size_t i = 0; i < policy->n_listen_ports && i < PORTS_MAX;
		     i++)
			append_port(p, policy->listen_ports[i]);
	}
	append(p, take, ARRAY_SIZE(take));
}

static int attach(int fd, const struct net_policy *policy, int family,
		  bool is_udp)
{
	static const int on = 1;
	struct program p = { .n = 0 };
	struct sock_fprog program = { .filter = p.code };

	build(&p, policy, family, is_udp);
	program.len = p.n;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
		       sizeof(program)) < 0)
		return -1;
	return setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on));
}

int netpol_packets(const struct net_policy *policy, int family, bool is_udp)
{
	static const int on = 1;
	auto_fd int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
				is_udp ? IPPROTO_UDP : IPPROTO_TCP);

	if (fd < 0 || attach(fd, policy, family, is_udp) < 0)
		return -1;
	/* What comes begins beyond the header that has the destination. */
	if (family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0)
		return -1;
	return take_fd(&fd);
}
