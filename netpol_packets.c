/* SPDX-License-Identifier: MIT */
#include "netpol_packets.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "util.h"

/*
 * Raw sockets rather than one packet socket, which the kernel closes only after
 * a grace period: ten milliseconds at the end of every run.
 *
 * They are shown all that the loopback device carries, so this runs for each
 * packet: a few instructions for one of an open connection.  With IPv4 a packet
 * begins at the network header, whose length goes to X; with IPv6 at that of
 * TCP or UDP.
 */
#define HEADER       BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0)
#define NO_HEADER    BPF_STMT(BPF_LDX | BPF_IMM, 0)
#define LOAD8_X(at)  BPF_STMT(BPF_LD | BPF_B | BPF_IND, at)
#define LOAD16_X(at) BPF_STMT(BPF_LD | BPF_H | BPF_IND, at)
#define EQ(k, t, f)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, t, f)
#define RET(k)       BPF_STMT(BPF_RET | BPF_K, k)
#define SYN          0x02
#define ACK          0x10

/* The two headers, at their longest. */
#define SNAP 80

static const struct sock_filter tcp[] = {
	LOAD8_X(13), /* the flags */
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
	EQ(SYN, 0, 1),
	RET(SNAP),
	RET(0),
};

static const struct sock_filter udp[] = {
	LOAD16_X(0), /* name service, either way */
	EQ(53, 3, 0), LOAD16_X(2), EQ(53, 1, 0), RET(SNAP), RET(0),
};

static int attach(int fd, int family, bool is_udp)
{
	static const int on = 1;
	const struct sock_filter *rest = is_udp ? udp : tcp;
	size_t n = is_udp ? ARRAY_SIZE(udp) : ARRAY_SIZE(tcp);
	struct sock_filter filter[1 + ARRAY_SIZE(udp)] = {
		family == AF_INET ? (struct sock_filter)HEADER
				  : (struct sock_filter)NO_HEADER
	};
	struct sock_fprog program = { (unsigned short)(n + 1), filter };

	memcpy(filter + 1, rest, n * sizeof(*rest));
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
		       sizeof(program)) < 0)
		return -1;
	return setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on));
}

int netpol_packets(int family, bool is_udp)
{
	static const int on = 1;
	auto_fd int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
				is_udp ? IPPROTO_UDP : IPPROTO_TCP);

	if (fd < 0 || attach(fd, family, is_udp) < 0)
		return -1;
	/* What comes begins beyond the header that has the destination. */
	if (family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0)
		return -1;
	return take_fd(&fd);
}
