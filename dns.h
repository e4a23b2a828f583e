/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * DNS messages: the one question of a query, and the answer to it.  Pure: takes
 * and fills buffers.  What is parsed here is hostile.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netrule.h"

#define DNS_MESSAGE_MAX 4096 /* longest query that is looked at */
#define DNS_ANSWER_MAX  512  /* no answer of ours is longer */

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16, /* needs EDNS to be said */
};

enum dns_type {
	DNS_A = 1,
	DNS_AAAA = 28,
	DNS_SVCB = 64,
	DNS_HTTPS = 65,
};

struct dns_query {
	uint16_t id;
	uint16_t flags;
	uint16_t type;
	uint16_t class;
	size_t question_end;      /* the header and the question, in octets */
	char name[NET_NAME_MAX];  /* canonical; "" if it is no host name */
	char shown[NET_NAME_MAX]; /* as asked, odd octets as '?': for events */
	bool edns;
};

/*
 * 0: a question was read.  Above: the dns_rcode to answer with (a question that
 * could not be read has question_end 12).  -1: not to be answered at all.
 */
int dns_parse(const uint8_t *message, size_t len, struct dns_query *query);

/*
 * Writes the answer to a query that dns_parse read; `addr` non-NULL: with one A
 * record.  Returns its length; out has DNS_ANSWER_MAX octets.
 */
size_t dns_answer(const uint8_t *message, const struct dns_query *query,
		  enum dns_rcode rcode, const struct in_addr *addr,
		  uint8_t *out);

/* "A", "HTTPS", "TYPE4711". */
void dns_type_name(uint16_t type, char out[static 16]);
