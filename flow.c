/* SPDX-License-Identifier: MIT */
#include "conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls.h"
#include "util.h"

/*
 * Theory of operation
 *
 * Two ways to move bytes.  Little ones are peeked at, sent, and then taken from
 * the receive queue: what the other side did not take stays in the kernel, so
 * a slow reader costs no memory of ours, and what must be judged first can
 * wait where it is.  A direction that keeps the window full, and has nothing
 * left to be judged, gets a pipe and is spliced: the bytes never come up here.
 *
 * Urgent bytes are bytes as all others, in their place (SO_OOBINLINE): what is
 * looked at twice is the same then, whatever comes meanwhile.  Splice stops
 * before one for ever, so where there was one it is copied.
 *
 * Edge-triggered: `readable` and `writable` stay true until a call says EAGAIN.
 */

/* Rounds of one direction before the others have their turn. */
#define SHARE         8
#define BULK_AFTER    2
#define PIPE_SIZE     (512 * 1024)
#define SPLICE_LENGTH (1024 * 1024)

enum moved {
	MOVED,   /* something */
	STALLED, /* until the next event */
	BROKEN,  /* the connection must be reset */
	REFUSED, /* it was, and is gone */
};

void flow_init(struct flow *flow)
{
	*flow = (struct flow){ .pipe = { -1, -1 } };
}

void flow_free(struct relay_state *state, struct flow *flow)
{
	if (flow->pipe[0] < 0)
		return;
	close(flow->pipe[0]);
	close(flow->pipe[1]);
	flow->pipe[0] = flow->pipe[1] = -1;
	state->n_pipes--;
}

/* It may have one: while an answer is looked at, that is of no use. */
static void get_pipe(struct relay_state *state, struct flow *flow)
{
	if (flow->pipe[0] >= 0 || state->n_pipes >= state->max_pipes ||
	    pipe2(flow->pipe, O_NONBLOCK | O_CLOEXEC) < 0)
		return;
	state->n_pipes++;
	/* Beyond the user's share the kernel says no: then it is a small one.
	 */
	fcntl(flow->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
}

/* The sender is done and everything passed: so is this direction. */
static enum moved finish(struct flow *flow, struct end *to)
{
	flow->eof = flow->done = true;
	return shutdown(to->watch.fd, SHUT_WR) < 0 && errno != ENOTCONN ? BROKEN
									: MOVED;
}

/*** What may pass ***/

static bool awaits_answer(const struct conn *c)
{
	return c->inspect && inspect_awaits_answer(c->inspect);
}

/*
 * How many of the `n` octets in the window may go to the server: 0 when more is
 * needed, -1 when the connection was refused.
 */
static ssize_t approve(struct conn *c, struct flow *flow, size_t n)
{
	struct inspect_verdict verdict = { .reason = "" };
	int64_t pass;

	if (flow != &c->out || !c->inspect)
		return (ssize_t)n;
	if (flow->allowed == 0) {
		pass = inspect_next(c->inspect, c->state->window, n,
				    c->client.hup || n == INSPECT_WINDOW,
				    c->name ? c->name->text : NULL, &verdict);
		if (pass < 0) {
			/* Words for another host are refused whatever else
			 * is allowed. */
			conn_deny(c, verdict.reason,
				  verdict.remedy ? verdict.remedy : "");
			return -1;
		}
		flow->allowed = pass;
	}
	if (c->inspect->tls_version)
		c->detail = tls_version_name(c->inspect->tls_version);
	if (flow->allowed == INSPECT_ALL)
		free(take_ptr(&c->inspect));
	return (int64_t)n < flow->allowed ? (ssize_t)n : (ssize_t)flow->allowed;
}

/* The server's first words decide what a client that asked to upgrade does. */
static enum moved heed_answer(struct conn *c, size_t n)
{
	struct inspect_verdict verdict = { .reason = "" };
	int rc = inspect_answer(c->inspect, c->state->window, n, &verdict);

	if (rc < 0) {
		conn_deny(c, verdict.reason, "");
		return REFUSED;
	}
	return rc > 0 ? MOVED : STALLED;
}

/*** Copying ***/

/* Takes what was sent from the receive queue, without copying it again. */
static bool discard(int fd, size_t n)
{
	while (n > 0) {
		ssize_t taken = recv(fd, NULL, n, MSG_TRUNC | MSG_DONTWAIT);

		if (taken <= 0)
			return false;
		n -= (size_t)taken;
	}
	return true;
}

static enum moved judge_incoming(struct conn *c, struct flow *flow,
				 struct end *from, size_t *n)
{
	ssize_t pass;

	if (flow == &c->in && awaits_answer(c)) {
		enum moved rc = heed_answer(c, *n);

		if (rc == STALLED && !from->hup) {
			from->readable = false;
			return STALLED;
		}
		if (rc == REFUSED)
			return REFUSED;
	}
	pass = approve(c, flow, *n);
	if (pass < 0)
		return REFUSED;
	*n = (size_t)pass;
	if (pass > 0)
		return MOVED;
	/* Of a server that is done none will come. */
	if (awaits_answer(c))
		return c->in.done ? BROKEN : STALLED;
	from->readable = false;
	return STALLED;
}

static enum moved copy(struct conn *c, struct flow *flow, struct end *from,
		       struct end *to)
{
	uint8_t *window = c->state->window;
	ssize_t there, sent;
	size_t n;
	enum moved rc;

	there = recv(from->watch.fd, window, INSPECT_WINDOW,
		     MSG_PEEK | MSG_DONTWAIT);
	if (there < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return BROKEN;
		from->readable = errno == EINTR;
		return from->readable ? MOVED : STALLED;
	}
	if (there == 0)
		return finish(flow, to);
	n = (size_t)there;
	rc = judge_incoming(c, flow, from, &n);
	if (rc != MOVED)
		return rc;
	sent = send(to->watch.fd, window, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return BROKEN;
		to->writable = errno == EINTR;
		return to->writable ? MOVED : STALLED;
	}
	if (!discard(from->watch.fd, (size_t)sent))
		return BROKEN;
	flow->bytes += (uint64_t)sent;
	if (c->inspect && flow == &c->out)
		flow->allowed -= sent;
	conn_announce(c, 0, "");
	if ((size_t)sent < n)
		to->writable = false;
	/* A short read empties a stream; of new bytes there is a new edge. */
	else if (there < INSPECT_WINDOW && there == sent && !from->hup &&
		 !from->urgent)
		from->readable = false;
	flow->bulk = there == INSPECT_WINDOW ? flow->bulk + 1 : 0;
	if (flow->bulk >= BULK_AFTER && (flow == &c->in || !c->inspect) &&
	    !from->urgent)
		get_pipe(c->state, flow);
	return MOVED;
}

/*** Splicing ***/

static enum moved fill_pipe(struct flow *flow, struct end *from)
{
	ssize_t n = splice(from->watch.fd, NULL, flow->pipe[1], NULL,
			   SPLICE_LENGTH, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	if (n == 0) {
		flow->eof = true;
		return MOVED;
	}
	if (n > 0) {
		flow->in_pipe += (uint32_t)n;
		return MOVED;
	}
	if (errno != EAGAIN && errno != EINTR) {
		/* Said once only: the next call would say end of file. */
		flow->broken = true;
		from->readable = false;
		return STALLED;
	}
	/* With something in the pipe it may be the pipe that is full. */
	if (errno == EAGAIN && flow->in_pipe == 0)
		from->readable = false;
	return STALLED;
}

static enum moved empty_pipe(struct flow *flow, struct end *to)
{
	ssize_t n = splice(flow->pipe[0], NULL, to->watch.fd, NULL,
			   flow->in_pipe, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	if (n > 0) {
		flow->in_pipe -= (uint32_t)n;
		flow->bytes += (uint64_t)n;
		return MOVED;
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return BROKEN;
	if (n < 0 && errno == EAGAIN)
		to->writable = false;
	return STALLED;
}

static enum moved splice_through(struct conn *c, struct flow *flow,
				 struct end *from, struct end *to)
{
	enum moved in = STALLED, out = STALLED;

	if (from->readable && !flow->eof && !awaits_answer(c) && !from->urgent)
		in = fill_pipe(flow, from);
	if (flow->in_pipe > 0 && to->writable)
		out = empty_pipe(flow, to);
	if (out == BROKEN || (flow->broken && flow->in_pipe == 0))
		return BROKEN;
	if (flow->eof && flow->in_pipe == 0) {
		flow_free(c->state, flow);
		return finish(flow, to);
	}
	if (flow->in_pipe == 0)
		timer_start(&c->state->loop, &c->state->pipe_idle,
			    &c->pipe_timer);
	return in == MOVED || out == MOVED ? MOVED : STALLED;
}

/* A pipe is memory of the kernel's: an idle connection needs none. */
void flow_pipe_expired(struct timer *timer)
{
	struct conn *c = container_of(timer, struct conn, pipe_timer);
	struct flow *flows[] = { &c->in, &c->out };

	for (size_t i = 0; i < ARRAY_SIZE(flows); i++) {
		if (flows[i]->in_pipe > 0)
			continue;
		flow_free(c->state, flows[i]);
		flows[i]->bulk = 0;
	}
}

/*** Both ways ***/

static bool can_move(const struct flow *flow, const struct end *from,
		     const struct end *to)
{
	if (flow->done)
		return false;
	if (flow->in_pipe > 0 && to->writable)
		return true;
	return from->readable && to->writable && !flow->eof;
}

static enum moved run(struct conn *c, struct flow *flow, struct end *from,
		      struct end *to, int *share)
{
	enum moved rc = STALLED;

	while (can_move(flow, from, to) && (*share)-- > 0) {
		bool spliced = flow->pipe[0] >= 0 &&
			       (flow->in_pipe > 0 ||
				(!awaits_answer(c) && !from->urgent));

		rc = spliced ? splice_through(c, flow, from, to)
			     : copy(c, flow, from, to);
		if (rc != MOVED)
			break;
	}
	return rc;
}

bool flow_run(struct conn *c)
{
	int share_in = SHARE, share_out = SHARE;
	enum moved rc = run(c, &c->in, &c->server, &c->client, &share_in);

	if (rc == MOVED || rc == STALLED)
		rc = run(c, &c->out, &c->client, &c->server, &share_out);
	if (rc == REFUSED)
		return true;
	if (rc == BROKEN || (c->in.done && c->out.done)) {
		conn_close(c);
		return true;
	}
	c->last_active = c->state->loop.now;
	if (share_in < 0 || share_out < 0)
		timer_start(&c->state->loop, &c->state->again, &c->again);
	return false;
}

int flow_judge(struct conn *c)
{
	ssize_t n = recv(c->client.watch.fd, c->state->window, INSPECT_WINDOW,
			 MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0) {
		conn_failed(c, errno, "the client went away");
		return -1;
	}
	if (n == 0)
		return 1;
	n = approve(c, &c->out, (size_t)n);
	if (n < 0)
		return -1;
	return n > 0;
}
