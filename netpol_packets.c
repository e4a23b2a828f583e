/* SPDX-License-Identifier: MIT */
#include "netpol_packets.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23 /* Linux 4.20+ */
#endif

/* The two headers, at their longest (of IPv6 without extensions). */
#define SNAP 80

/*
 * The loopback device carries all that the sandbox does, so this runs for each
 * packet: a few instructions for one of an open connection.  Offsets are from
 * the network header.
 */
#define LOAD8(at)    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at)
#define LOAD16(at)   BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at)
#define LOAD8_X(at)  BPF_STMT(BPF_LD | BPF_B | BPF_IND, at)
#define LOAD16_X(at) BPF_STMT(BPF_LD | BPF_H | BPF_IND, at)
#define EQ(k, t, f)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, t, f)
#define SET(k, t, f) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, k, t, f)
#define GO(n)        BPF_STMT(BPF_JMP | BPF_JA, n)
#define RET(k)       BPF_STMT(BPF_RET | BPF_K, k)
#define SYN          0x02
#define ACK          0x10

/* clang-format off */
static struct sock_filter filter[] = {
	/*  0 */ LOAD16((uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
	/*  1 */ EQ(ETH_P_IPV6, 0, 3),
	/*  2 */ BPF_STMT(BPF_LDX | BPF_IMM, 40), /* X: where TCP begins */
	/*  3 */ LOAD8(6),
	/*  4 */ GO(5),
	/*  5 */ EQ(ETH_P_IP, 0, 13),
	/*  6 */ LOAD16(6),
	/*  7 */ SET(0x1fff, 11, 0), /* a later fragment */
	/*  8 */ BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	/*  9 */ LOAD8(9),
	/* 10 */ EQ(IPPROTO_TCP, 1, 0),
	/* 11 */ EQ(IPPROTO_UDP, 3, 7),
	/* 12 */ LOAD8_X(13),
	/* 13 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
	/* 14 */ EQ(SYN, 5, 4),
	/* 15 */ LOAD16_X(0), /* name service, either way */
	/* 16 */ EQ(53, 2, 0),
	/* 17 */ LOAD16_X(2),
	/* 18 */ EQ(53, 0, 1),
	/* 19 */ RET(0),
	/* 20 */ RET(SNAP),
};
/* clang-format on */

int netpol_packets(void)
{
	static const int on = 1;
	static const struct sock_fprog program = { ARRAY_SIZE(filter), filter };
	struct sockaddr_ll lo = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex("lo") };
	/* Protocol 0: nothing comes before the filter is there. */
	auto_fd int fd = socket(AF_PACKET,
				SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
		       sizeof(program)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on,
		       sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&lo, sizeof(lo)) < 0)
		return -1;
	return take_fd(&fd);
}
