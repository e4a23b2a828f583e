/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a connection to a name may say: the client's bytes, judged before they
 * pass.  TLS must name the host, each HTTP/1 request must be for it; any other
 * protocol passes by address and port, unless some server could read a request
 * for another host in its words.  Pure: takes buffers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http1.h"
#include "netrule.h"

/* More than any message that is judged as a whole. */
#define INSPECT_WINDOW 65536
#define INSPECT_ALL    INT64_MAX

enum inspect_kind {
	INSPECT_UNKNOWN, /* nothing was said yet */
	INSPECT_TLS,     /* the hello passed, a second one may follow */
	INSPECT_HTTP1,
	INSPECT_OTHER,  /* as long as it may be HTTP to some server */
	INSPECT_OPAQUE, /* nothing more to be judged */
};

struct inspect {
	enum inspect_kind kind;
	bool plain_http; /* the port is one of plain HTTP */
	bool tls_only;   /* set by the caller: any other protocol is refused */
	bool allow_ech;  /* set by the caller: the outer name is enough */
	bool word;       /* one passed that may be a method of HTTP */
	struct http1 http;
	struct http1_watch watch; /* of what is neither TLS nor HTTP */
	uint16_t tls_version;     /* offered; 0: no TLS */
	bool tls_early;
};

/* Of a refusal. */
struct inspect_verdict {
	char reason[128];
	const char *remedy; /* the flag that would allow it; NULL: none */
};

void inspect_begin(struct inspect *inspect, uint16_t port);

/*
 * `data` is what the client sent and has not passed yet.  Above 0: so many
 * octets, beginning with these, may pass (INSPECT_ALL: whatever comes).
 * 0: more is needed.  -1: refused, with *verdict.  host NULL: a bare address,
 * with which only tls_only is of use.  `last`: there is no more,
 * then it is never 0 but for len 0.
 */
int64_t inspect_next(struct inspect *inspect, const uint8_t *data, size_t len,
		     bool last, const char *host,
		     struct inspect_verdict *verdict);

/* Is the server's answer awaited before the client's bytes can be judged? */
bool inspect_awaits_answer(const struct inspect *inspect);
/* Its first octets, if so.  1; 0: more are needed; -1: refused. */
int inspect_answer(struct inspect *inspect, const uint8_t *data, size_t len,
		   struct inspect_verdict *verdict);

/* Does the client speak first on this port, by all that is known of it? */
bool inspect_client_first(uint16_t port);
