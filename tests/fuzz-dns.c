/* SPDX-License-Identifier: MIT */

/* A DNS message of any bytes: read, and answered in every way. */

#include <stdlib.h>
#include <string.h>

#include "dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const struct dns_query *q)
{
	char again[NET_NAME_MAX];

	if (q->name[0] && (net_name_ascii(q->name, strlen(q->name), again) ||
			   strcmp(q->name, again) != 0))
		abort(); /* one canonical form */
	for (const char *p = q->shown; *p; p++)
		if (*p <= ' ' || *p >= 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct in_addr addr = { 0x010012c6 };
	uint8_t out[DNS_ANSWER_MAX];
	struct dns_query q;
	int rc = dns_parse(data, size, &q);
	char type[16];

	if (rc < 0)
		return 0;
	check_name(&q);
	dns_type_name(q.type, type);
	if (q.question_end > size ||
	    dns_answer(data, &q, (enum dns_rcode)rc, rc ? NULL : &addr, out) >
		sizeof(out))
		abort();
	/* An answer is no question. */
	return dns_parse(out, dns_answer(data, &q, DNS_REFUSED, NULL, out),
			 &q) >= 0
		   ? (abort(), 0)
		   : 0;
}
