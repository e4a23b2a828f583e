/* SPDX-License-Identifier: MIT */
#include "dns.h"

#include <stdio.h>
#include <string.h>

#include "util.h"

#define HEADER      12
#define FLAG_QR     0x8000
#define FLAG_AA     0x0400
#define FLAG_RD     0x0100
#define FLAG_RA     0x0080
#define OPCODE_MASK 0x7800
#define CLASS_IN    1
#define TYPE_OPT    41
#define LABEL_MAX   63
#define EDNS_SIZE   1232 /* what the world agreed on as safe */
#define TTL         60
/* A query has an OPT record, a signature perhaps: more is a game. */
#define EXTRA_MAX   4

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint8_t *put16(uint8_t *p, unsigned int value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
	return p + 2;
}

/*** Queries ***/

/*
 * The name at *at, dotted and raw, into text[256] (*len octets).  No question
 * needs a compression pointer: there is nothing before it to point to, and
 * without pointers there are no loops.
 */
static int read_name(const uint8_t *message, size_t size, size_t *at,
		     char *text, size_t *len)
{
	size_t n = 0;

	for (;;) {
		size_t label;

		if (*at >= size)
			return -1;
		label = message[(*at)++];
		if (label == 0)
			break;
		/* 255 octets in all, lengths and the root's zero included. */
		if (label > LABEL_MAX || label > size - *at ||
		    n + label + 1 > 254)
			return -1;
		memcpy(text + n, message + *at, label);
		*at += label;
		n += label;
		text[n++] = '.';
	}
	*len = n;
	return 0;
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/*
 * A dot inside a label looks like two labels once the name is dotted: such a
 * name is no host name, or the two would be one.
 */
static bool has_inner_dot(const uint8_t *wire)
{
	for (size_t label = *wire; label != 0; label = *wire) {
		if (memchr(wire + 1, '.', label))
			return true;
		wire += label + 1;
	}
	return false;
}

static void set_name(struct dns_query *query, const uint8_t *wire,
		     const char *text, size_t len)
{
	/* Without the last dot: read_name() lets 253 octets through. */
	size_t shown = len > 1 ? len - 1 : len;

	if (has_inner_dot(wire) || net_name_ascii(text, len, query->name) < 0)
		query->name[0] = '\0';
	if (len == 0) {
		memcpy(query->shown, ".", 2);
		return;
	}
	for (size_t i = 0; i < shown; i++)
		query->shown[i] = is_plain(text[i]) ? text[i] : '?';
	query->shown[shown] = '\0';
}

/* One record of the additional section: 0, or an rcode. */
static int read_extra(const uint8_t *message, size_t size, size_t *at,
		      struct dns_query *query)
{
	char text[256];
	size_t len, data;
	uint16_t type;

	if (read_name(message, size, at, text, &len) < 0 || size - *at < 10)
		return DNS_FORMERR;
	type = get16(message + *at);
	data = get16(message + *at + 8);
	if (type == TYPE_OPT) {
		if (query->edns || len != 0)
			return DNS_FORMERR;
		query->edns = true;
		if (message[*at + 5] != 0)
			return DNS_BADVERS;
	}
	*at += 10;
	if (data > size - *at)
		return DNS_FORMERR;
	*at += data;
	return 0;
}

static int read_question(const uint8_t *message, size_t size, size_t *at,
			 struct dns_query *query)
{
	char text[256];
	size_t len;

	if (read_name(message, size, at, text, &len) < 0 || size - *at < 4)
		return DNS_FORMERR;
	set_name(query, message + HEADER, text, len);
	query->type = get16(message + *at);
	query->class = get16(message + *at + 2);
	*at += 4;
	query->question_end = *at;
	return 0;
}

int dns_parse(const uint8_t *message, size_t len, struct dns_query *query)
{
	size_t at = HEADER;
	unsigned int extra;
	int rc;

	*query = (struct dns_query){ .question_end = HEADER };
	if (len < HEADER)
		return -1;
	query->id = get16(message);
	query->flags = get16(message + 2);
	/* Answering answers is how two servers keep each other busy. */
	if (query->flags & FLAG_QR)
		return -1;
	if (query->flags & OPCODE_MASK)
		return DNS_NOTIMP;
	if (len > DNS_MESSAGE_MAX || get16(message + 4) != 1 ||
	    get16(message + 6) != 0 || get16(message + 8) != 0)
		return DNS_FORMERR;
	rc = read_question(message, len, &at, query);
	extra = get16(message + 10);
	if (rc == 0 && extra > EXTRA_MAX)
		return DNS_FORMERR;
	while (rc == 0 && extra-- > 0)
		rc = read_extra(message, len, &at, query);
	if (rc == 0 && query->class != CLASS_IN)
		return DNS_REFUSED;
	return rc;
}

/*** Answers ***/

static uint8_t *put_address(uint8_t *p, const struct in_addr *addr)
{
	p = put16(p, 0xc000 | HEADER); /* the name of the question */
	p = put16(p, DNS_A);
	p = put16(p, CLASS_IN);
	p = put16(p, 0);
	p = put16(p, TTL);
	p = put16(p, sizeof(*addr));
	memcpy(p, addr, sizeof(*addr));
	return p + sizeof(*addr);
}

static uint8_t *put_opt(uint8_t *p, enum dns_rcode rcode)
{
	*p++ = 0; /* the root */
	p = put16(p, TYPE_OPT);
	p = put16(p, EDNS_SIZE);
	p = put16(p, (unsigned int)rcode >> 4 << 8);
	p = put16(p, 0);
	return put16(p, 0);
}

size_t dns_answer(const uint8_t *message, const struct dns_query *query,
		  enum dns_rcode rcode, const struct in_addr *addr,
		  uint8_t *out)
{
	bool question = query->question_end > HEADER;
	unsigned int flags = FLAG_QR | FLAG_AA | FLAG_RA |
			     (query->flags & (FLAG_RD | OPCODE_MASK));
	uint8_t *p = out;

	p = put16(p, query->id);
	p = put16(p, flags | ((unsigned int)rcode & 15));
	p = put16(p, question);
	p = put16(p, addr != NULL);
	p = put16(p, 0);
	p = put16(p, query->edns);
	/* At most 255 + 4 octets, as they came: clients compare the case. */
	memcpy(p, message + HEADER, query->question_end - HEADER);
	p += query->question_end - HEADER;
	if (addr)
		p = put_address(p, addr);
	if (query->edns)
		p = put_opt(p, rcode);
	return (size_t)(p - out);
}

void dns_type_name(uint16_t type, char out[static 16])
{
	static const struct {
		uint16_t type;
		const char *name;
	} names[] = {
		{ 1, "A" },       { 2, "NS" },     { 5, "CNAME" },
		{ 6, "SOA" },     { 10, "NULL" },  { 12, "PTR" },
		{ 15, "MX" },     { 16, "TXT" },   { 28, "AAAA" },
		{ 33, "SRV" },    { 35, "NAPTR" }, { 43, "DS" },
		{ 48, "DNSKEY" }, { 52, "TLSA" },  { 64, "SVCB" },
		{ 65, "HTTPS" },  { 252, "AXFR" }, { 255, "ANY" },
		{ 257, "CAA" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].type == type) {
			snprintf(out, 16, "%s", names[i].name);
			return;
		}
	}
	snprintf(out, 16, "TYPE%u", type);
}
