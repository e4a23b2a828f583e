/* SPDX-License-Identifier: MIT */
#include "netaddr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

bool netaddr_is_v4(const struct in6_addr *addr)
{
	return memcmp(addr, mapped, sizeof(mapped)) == 0;
}

struct in6_addr netaddr_from_v4(uint32_t host_order)
{
	uint32_t wire = htonl(host_order);
	struct in6_addr addr;

	memcpy(addr.s6_addr, mapped, sizeof(mapped));
	memcpy(addr.s6_addr + 12, &wire, sizeof(wire));
	return addr;
}

uint32_t netaddr_v4(const struct in6_addr *addr)
{
	uint32_t wire;

	memcpy(&wire, addr->s6_addr + 12, sizeof(wire));
	return ntohl(wire);
}

void netaddr_format(const struct in6_addr *addr, char out[INET6_ADDRSTRLEN])
{
	if (netaddr_is_v4(addr))
		inet_ntop(AF_INET, addr->s6_addr + 12, out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, addr, out, INET6_ADDRSTRLEN);
}

char *netaddr_with_port(const char *host, unsigned int port)
{
	bool v6 = strchr(host, ':') != NULL;

	return xasprintf("%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

socklen_t netaddr_to_socket(const struct in6_addr *addr, uint16_t port,
			    struct sockaddr_storage *out)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port),
				   .sin6_addr = *addr };

	memset(out, 0, sizeof(*out));
	if (netaddr_is_v4(addr)) {
		v4.sin_addr.s_addr = htonl(netaddr_v4(addr));
		memcpy(out, &v4, sizeof(v4));
		return sizeof(v4);
	}
	memcpy(out, &v6, sizeof(v6));
	return sizeof(v6);
}

int netaddr_from_socket(const struct sockaddr_storage *in,
			struct in6_addr *addr, uint16_t *port)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (in->ss_family == AF_INET) {
		memcpy(&v4, in, sizeof(v4));
		*addr = netaddr_from_v4(ntohl(v4.sin_addr.s_addr));
		*port = ntohs(v4.sin_port);
		return 0;
	}
	if (in->ss_family != AF_INET6)
		return -1;
	memcpy(&v6, in, sizeof(v6));
	*addr = v6.sin6_addr;
	*port = ntohs(v6.sin6_port);
	return 0;
}

/*
 * Ranges that lead to the host, its neighbours or a translator that hides
 * such an address.  Documentation ranges are not here: they lead nowhere.
 */
static const struct {
	uint8_t net[16];
	uint8_t bits;
	const char *what;
} special[] = {
#define V4(a, b, c, d, bits, what)                                             \
	{                                                                      \
		{ [10] = 0xff, [11] = 0xff, a, b, c, d }, 96 + (bits), what    \
	}
	V4(0, 0, 0, 0, 8, "an address of \"this host\""),
	V4(10, 0, 0, 0, 8, "a private address (RFC 1918)"),
	V4(100, 64, 0, 0, 10, "a carrier's shared address (RFC 6598)"),
	V4(127, 0, 0, 0, 8, "a loopback address"),
	V4(169, 254, 169, 254, 32, "the cloud metadata address"),
	/* Azure's, though it looks like anybody's. */
	V4(168, 63, 129, 16, 32, "the cloud metadata address"),
	V4(169, 254, 0, 0, 16, "a link-local address"),
	V4(172, 16, 0, 0, 12, "a private address (RFC 1918)"),
	V4(192, 0, 0, 0, 24, "a protocol assignment (RFC 6890)"),
	V4(192, 88, 99, 0, 24, "a 6to4 relay address"),
	V4(192, 168, 0, 0, 16, "a private address (RFC 1918)"),
	V4(198, 18, 0, 0, 15, "one of the sandbox's own addresses"),
	V4(224, 0, 0, 0, 4, "a multicast address"),
	V4(240, 0, 0, 0, 4, "a reserved or broadcast address"),
#undef V4
	{ { 0 }, 128, "the unspecified address" },
	{ { [15] = 1 }, 128, "a loopback address" },
	{ { 0 }, 96, "an IPv4 address in an outdated IPv6 form" },
	{ { [8] = 0xff, 0xff }, 96, "an IPv4 address in translated form" },
	{ { 0, 0x64, 0xff, 0x9b }, 96, "an IPv4 address in NAT64 form" },
	{ { 0, 0x64, 0xff, 0x9b, 0, 1 }, 48, "an IPv4 address in NAT64 form" },
	{ { 1 }, 64, "a discard-only address" },
	{ { 0x20, 1 }, 32, "an IPv4 address in Teredo form" },
	{ { 0x20, 2 }, 16, "an IPv4 address in 6to4 form" },
	{ { 0xfd, 0, 0x0e, 0xc2, [14] = 2, [15] = 0x54 },
	  128,
	  "the cloud metadata address" },
	{ { 0xfc }, 7, "a unique local address (ULA)" },
	{ { 0xfe, 0x80 }, 10, "a link-local address" },
	{ { 0xfe, 0xc0 }, 10, "a site-local address" },
	{ { 0xff }, 8, "a multicast address" },
};

static bool inside(const uint8_t *addr, const uint8_t *net, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (memcmp(addr, net, whole) != 0)
		return false;
	return rest == 0 || ((addr[whole] ^ net[whole]) >> (8 - rest)) == 0;
}

const char *netaddr_special(const struct in6_addr *addr)
{
	for (size_t i = 0; i < ARRAY_SIZE(special); i++)
		if (inside(addr->s6_addr, special[i].net, special[i].bits))
			return special[i].what;
	return NULL;
}

int netaddr_route_open(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

struct route_request {
	struct nlmsghdr header;
	struct rtmsg route;
	struct rtattr attr;
	uint8_t addr[16];
};

static ssize_t fill(struct route_request *req, const struct in6_addr *addr)
{
	bool v4 = netaddr_is_v4(addr);
	size_t len = v4 ? 4 : 16;

	*req = (struct route_request){
		.header = { .nlmsg_type = RTM_GETROUTE,
			    .nlmsg_flags = NLM_F_REQUEST },
		.route = { .rtm_family = v4 ? AF_INET : AF_INET6,
			   .rtm_dst_len = (uint8_t)(len * 8) },
		.attr = { .rta_len = (unsigned short)RTA_LENGTH(len),
			  .rta_type = RTA_DST },
	};
	memcpy(req->addr, addr->s6_addr + (v4 ? 12 : 0), len);
	req->header.nlmsg_len =
	    (uint32_t)(offsetof(struct route_request, addr) + len);
	return (ssize_t)req->header.nlmsg_len;
}

bool netaddr_is_own(int route_fd, const struct in6_addr *addr)
{
	struct route_request req;
	ssize_t len = fill(&req, addr);
	struct {
		struct nlmsghdr header;
		union {
			struct rtmsg route;
			struct nlmsgerr error;
			char room[1024];
		};
	} answer;

	/* The kernel answers before send() returns: this never waits. */
	if (send(route_fd, &req, (size_t)len, 0) != len)
		return true;
	len = recv(route_fd, &answer, sizeof(answer), MSG_DONTWAIT);
	if (len < (ssize_t)(sizeof(answer.header) + sizeof(answer.route)))
		return true;
	/* No way there at all is for connect() to say. */
	if (answer.header.nlmsg_type == NLMSG_ERROR)
		return answer.error.error != -ENETUNREACH &&
		       answer.error.error != -EHOSTUNREACH;
	return answer.header.nlmsg_type != RTM_NEWROUTE ||
	       (answer.route.rtm_type != RTN_UNICAST &&
		answer.route.rtm_type != RTN_UNREACHABLE &&
		answer.route.rtm_type != RTN_BLACKHOLE &&
		answer.route.rtm_type != RTN_PROHIBIT);
}
