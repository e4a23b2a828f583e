/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * HTTP/1 requests on their way out: every head must be for the host that the
 * connection is for.  Strict, since what a lenient server would read otherwise
 * is a way to speak to somebody else.  Pure: takes buffers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP1_HEAD_MAX 32768
#define HTTP1_LINE_MAX 1024 /* of a chunk's size, of a trailer */

/*
 * The words of another protocol or of a body, as far as a lenient server may yet
 * read a request in them.
 */
struct http1_watch {
	bool over;   /* none can any more */
	bool body;   /* set by the caller: of one the beginning counts */
	bool heads;  /* a whole head came: what follows may be a body */
	bool later;  /* the first line of the head is over, */
	bool crlf;   /* also for a server that ends lines by CRLF only */
	bool words;  /* it has a blank in it */
	bool lower;  /* its first word is not of capitals */
	bool spaced; /* some line before this one has */
	/* Of this line: */
	bool filled, blank, colon;
	bool cr;         /* the last octet is the first of CRLF */
	uint8_t host;    /* octets of a field's name that match */
	uint8_t version; /* the same of what ends a request line */
	uint32_t size;   /* octets of the head */
};

enum http1_state {
	HTTP1_HEAD,
	HTTP1_BODY,      /* of a given length, as long as it is watched */
	HTTP1_CHUNK,     /* a chunk's size line */
	HTTP1_CHUNK_END, /* the line end after a chunk's data */
	HTTP1_TRAILER,
	HTTP1_UPGRADE, /* an upgrade was asked for: the server decides */
};

struct http1 {
	enum http1_state state;
	unsigned int trailers;
	int64_t left; /* of the body */
	struct http1_watch body;
	/* In HTTP1_UPGRADE: what a server that upgrades to a websocket says; ""
	 * where that was not asked for. */
	char accept[29];
	bool used; /* there was a request */
};

enum http1_guess {
	HTTP1_NO,
	HTTP1_YES,
	HTTP1_UNCLEAR, /* more is needed to tell */
	HTTP1_WORD,    /* a word so far, which may be a method: any word is */
};

/*
 * Could these bytes be the start of an HTTP/1 request, as any server takes it?
 * After HTTP1_WORD http1_word tells whether the word goes on, and
 * http1_after_word about what follows it.
 */
enum http1_guess http1_begins(const uint8_t *data, size_t len);
/* What Python's server splits words by; others, by spaces only. */
bool http1_is_blank(uint8_t c);
/* How many octets at the beginning can belong to a method. */
size_t http1_word(const uint8_t *data, size_t len);
/* Never HTTP1_WORD; len may not be 0.  `method`: the word was written as all
 * methods are that anybody knows, and none that went ahead was. */
enum http1_guess http1_after_word(const uint8_t *data, size_t len, bool method);

/*
 * Looks at what is about to pass, each octet once, from the first one on.  True:
 * it is a request, or has a field of one: that must not pass.
 */
bool http1_watch(struct http1_watch *watch, const uint8_t *data, size_t len);

/*
 * Judges what the client sends next.  Above 0: so many octets (of `data` and of
 * what follows it) may pass.  0: more is needed.  -1: refused, *why is a
 * literal that says why.
 */
int64_t http1_next(struct http1 *http, const uint8_t *data, size_t len,
		   const char *host, const char **why);

enum http1_answer {
	HTTP1_MORE,      /* more is needed to tell */
	HTTP1_STAYS,     /* HTTP as before */
	HTTP1_WEBSOCKET, /* it speaks that from now on */
	HTTP1_ELSE,      /* something that cannot be checked */
};

/*
 * In HTTP1_UPGRADE the client's bytes wait for the server's answer: what that
 * one, of `answer` from its first octet on, makes of the connection.
 */
enum http1_answer http1_answered(const struct http1 *http,
				 const uint8_t *answer, size_t len);
