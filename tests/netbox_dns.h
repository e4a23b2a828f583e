/* SPDX-License-Identifier: MIT */
#pragma once

/* Questions to the sandbox's name service. */

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

static size_t make_query(uint8_t *out, const char *name, uint16_t type)
{
	size_t n = 12;

	memcpy(out, "\xab\xcd\1\0\0\1\0\0\0\0\0\0", 12);
	for (const char *label = name; *label;) {
		size_t len = strcspn(label, ".");

		out[n++] = (uint8_t)len;
		memcpy(out + n, label, len);
		n += len;
		label += len + (label[len] == '.');
	}
	out[n++] = 0;
	out[n++] = (uint8_t)(type >> 8);
	out[n++] = (uint8_t)type;
	out[n++] = 0;
	out[n++] = 1;
	return n;
}

/* The rcode, or -1 without an answer; the address of an A record in *addr. */
static int read_answer(const uint8_t *a, ssize_t n, uint32_t *addr)
{
	*addr = 0;
	if (n < 12 || a[0] != 0xab || a[1] != 0xcd)
		return -1;
	if (a[7] == 1)
		*addr = (uint32_t)a[n - 4] << 24 | a[n - 3] << 16 |
			a[n - 2] << 8 | a[n - 1];
	return a[3] & 15;
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
