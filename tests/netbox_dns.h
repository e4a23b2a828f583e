/* SPDX-License-Identifier: MIT */
#pragma once

/* Questions to the sandbox's name service. */

#include "dns_wire.h"
#include "netbox.h"

__attribute__((unused)) static int dns_socket(const char *server)
{
	struct timeval patience = { .tv_sec = 2 };
	struct in6_addr ip = box_addr(server);
	struct sockaddr_storage sa;
	socklen_t len = netaddr_to_socket(&ip, 53, &sa);
	int fd = box_socket(sa.ss_family, SOCK_DGRAM);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&sa, len) < 0)
		box_die("dns");
	return fd;
}

static int ask_at(const char *server, const char *name, uint16_t type,
		  uint32_t *addr)
{
	uint8_t query[300], answer[600];
	size_t n = make_query(query, name, type);
	int fd = dns_socket(server);
	ssize_t got = -1;

	/* As every client does: a datagram may have found no room. */
	for (int tries = 0; got < 0 && tries < 5; tries++)
		if (write(fd, query, n) == (ssize_t)n)
			got = read(fd, answer, sizeof(answer));
	close(fd);
	return read_answer(answer, got, addr);
}

static int ask(const char *name, uint16_t type, uint32_t *addr)
{
	return ask_at(netpol_nameserver, name, type, addr);
}

/* The address that stands for the name, as text. */
__attribute__((unused)) static const char *fake(const char *name)
{
	static char text[INET_ADDRSTRLEN];
	struct in_addr in;
	uint32_t addr;

	if (ask(name, 1, &addr) != 0)
		return "0.0.0.0";
	in.s_addr = htonl(addr);
	inet_ntop(AF_INET, &in, text, sizeof(text));
	return text;
}
