/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Bytes from one descriptor to another through a bounded buffer, for a poll
 * loop: a slow reader stops the reading, never the loop.
 */

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_SIZE 32768

struct stream {
	int from_fd; /* -1: nothing more comes */
	int to_fd;   /* -1: what comes is only tapped */
	bool owns_from;
	bool owns_to;   /* closed when all is written */
	bool to_shared; /* somebody else's blocking descriptor: small writes */
	char *data;
	size_t start, end;
	uint64_t total; /* bytes read */
	int error;      /* errno of the write that ended it; 0 none */
	/* Sees every byte that was read; may be NULL. */
	void (*tap)(void *context, const struct stream *stream,
		    const char *bytes, size_t len);
	void *context;
};

/* Starts with `text` (borrowed) already read, or nothing (NULL). */
void stream_open(struct stream *stream, int from_fd, int to_fd);
void stream_feed(struct stream *stream, const char *text, size_t len);
/* Its to_fd is not ours alone; but no file keeps a writer waiting. */
void stream_share(struct stream *stream);

/* What to wait for: pfd[0] for reading, pfd[1] for writing (fd -1: nothing). */
void stream_wants(const struct stream *stream, struct pollfd pfd[2]);
/*
 * Moves what can be moved.  When nobody takes the bytes any more (EPIPE, a
 * terminal that hung up), the source is closed too, so that its writer learns
 * it.  When there is no room for them (a full disk), the rest is only tapped.
 */
void stream_move(struct stream *stream, const struct pollfd pfd[2]);
/* Waits for its reader no more: what comes is only tapped from here on. */
void stream_forsake(struct stream *stream);
/* Nothing comes and nothing waits to be written. */
bool stream_done(const struct stream *stream);
void stream_close(struct stream *stream);
