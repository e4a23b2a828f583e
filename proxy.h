/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An HTTP proxy that connections leave by: its URL, the CONNECT request and
 * the answer to it.  Pure, but for proxy_from_env, which reads what its name
 * says.  The credentials leave this module in the request only.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netrule.h"

/* The value that means "as the caller's own programs do". */
#define PROXY_ENV         "env"
#define PROXY_AUTH_MAX    1024 /* user:password */
#define PROXY_ANSWER_MAX  8192 /* octets of its head, with what is before it */
#define PROXY_REQUEST_MAX 4096

struct proxy {
	char host[NET_NAME_MAX]; /* canonical; "": addr */
	struct in6_addr addr;
	uint16_t port;
	char *authorization; /* base64 of user:password (owned), or NULL */
	/* What is reached without it (no_proxy); "*" is no rule but no proxy. */
	struct net_rule *direct;
	size_t n_direct;
};

/*
 * Parses http://[user[:password]@]HOST:PORT.  0, or -1 with a sentence for the
 * user in why[], in which no part of the credentials is.
 */
int proxy_parse(const char *url, struct proxy *proxy, char *why,
		size_t why_size);
/* By https_proxy, HTTPS_PROXY, http_proxy and no_proxy, NO_PROXY: 1; 0 when
 * they name none; -1 as proxy_parse. */
int proxy_from_env(struct proxy *proxy, char *why, size_t why_size);
void proxy_free(struct proxy *proxy);

/* Is this name (or with NULL this address) reached without it? */
bool proxy_passes_by(const struct proxy *proxy, const char *name,
		     const struct in6_addr *addr, uint16_t port);

/* "proxy.example:3128": what may be shown of it. */
char *proxy_shown(const struct proxy *proxy);
/* The URL without what is secret in it (owned). */
char *proxy_redacted(const char *url);
bool proxy_is_redacted(const char *url);

/* The request for `host` (a name, or an address in text); its length. */
size_t proxy_request(const struct proxy *proxy, const char *host, uint16_t port,
		     char out[static PROXY_REQUEST_MAX]);

/*
 * The head of the answer, and the interim ones (1xx) that come before it.  Above
 * 0: they take so many octets, *status is the answer's code.  0: more is needed.
 * -1: it is no HTTP, or too long.
 */
long proxy_answer(const uint8_t *data, size_t len, int *status);
/* What a status other than 2xx means (a literal). */
const char *proxy_refusal(int status);
