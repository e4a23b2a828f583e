/* SPDX-License-Identifier: MIT */
#include "relay_state.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util.h"

/*
 * The socket itself holds about 150; this is for a supervisor that is busy, and
 * for the end, when all connections are over at once: none of them is lost.
 */
#define QUEUE_MAX     16384
#define QUEUE_KEPT    16 /* slots; more of them are given back */
#define QUEUE_PART    64 /* of a turn's, sent before its end */
#define QUEUE_CROWDED 1024
#define QUEUE_OFFERED 512
#define FLUSH_STEP_MS 1000

static struct net_event *slot(struct event_queue *q, size_t i)
{
	return &q->ring[(q->head + i) % q->size];
}

static void grow(struct event_queue *q)
{
	size_t size = q->size ? q->size * 2 : QUEUE_KEPT;
	struct net_event *ring = xcalloc(size, sizeof(*ring));

	for (size_t i = 0; i < q->n; i++)
		ring[i] = *slot(q, i);
	free(q->ring);
	q->ring = ring;
	q->size = size;
	q->head = 0;
}

static bool put(struct event_queue *q, const struct net_event *event)
{
	return send(q->watch.fd, event, sizeof(*event),
		    MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(*event);
}

/* What was lost is told in the first datagram that fits again. */
static bool put_dropped(struct event_queue *q)
{
	struct net_event event = {
		.kind = NET_EVENT_LIMIT,
		.reason = "events were lost: they came faster than they could "
			  "be recorded",
		.dropped = q->dropped,
	};

	if (q->dropped == 0)
		return true;
	if (!put(q, &event))
		return false;
	q->dropped = 0;
	return true;
}

static void drain(struct event_queue *q)
{
	while (q->n > 0 && put(q, slot(q, 0))) {
		q->head = (q->head + 1) % q->size;
		q->n--;
	}
	if (q->n > 0 || !put_dropped(q))
		return;
	q->head = 0;
	if (q->size <= QUEUE_KEPT)
		return;
	free(q->ring);
	q->ring = NULL;
	q->size = 0;
}

/* Once for all of a turn: each time the supervisor would be woken. */
static void told(struct timer *timer)
{
	drain(container_of(timer, struct event_queue, timer));
}

static void ready(struct watch *watch, uint32_t events)
{
	struct relay_state *state = container_of(watch, struct relay_state,
						 events.watch);

	/* The supervisor shut its side or died: time to go. */
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		state->loop.stop = true;
	drain(&state->events);
}

int relay_event_init(struct relay_state *state, int event_fd)
{
	state->events.watch = (struct watch){ event_fd, ready };
	timer_list_init(&state->loop, &state->telling, 0, told);
	return loop_add(&state->loop, &state->events.watch,
			EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

void relay_event_send(struct relay_state *state, const struct net_event *event)
{
	struct event_queue *q = &state->events;

	if (q->n == QUEUE_MAX) {
		q->dropped++;
		return;
	}
	if (q->n == q->size)
		grow(q);
	*slot(q, q->n++) = *event;
	if (!timer_runs(&q->timer))
		timer_start(&state->loop, &state->telling, &q->timer);
	/* A turn can have more of them than may wait, of a supervisor that is
	 * not behind at all. */
	if (q->n % QUEUE_PART == 0)
		drain(q);
}

bool relay_event_offer(struct relay_state *state, const struct net_event *event)
{
	if (state->events.n >= QUEUE_OFFERED) {
		state->events.dropped++;
		return false;
	}
	relay_event_send(state, event);
	return true;
}

void relay_event_limit(struct relay_state *state, const char *protocol,
		       const char *name, const char *reason)
{
	struct net_event event = { .kind = NET_EVENT_LIMIT };

	snprintf(event.protocol, sizeof(event.protocol), "%s", protocol);
	snprintf(event.name, sizeof(event.name), "%s", name);
	snprintf(event.reason, sizeof(event.reason), "%s", reason);
	relay_event_send(state, &event);
}

bool relay_event_crowded(const struct relay_state *state)
{
	return state->events.n >= QUEUE_CROWDED;
}

void relay_event_flush(struct relay_state *state)
{
	struct event_queue *q = &state->events;
	struct pollfd pfd = { .fd = q->watch.fd, .events = POLLOUT };

	drain(q);
	while (q->n > 0 || q->dropped > 0) {
		pfd.revents = 0;
		if (poll(&pfd, 1, FLUSH_STEP_MS) <= 0 ||
		    (pfd.revents & (POLLERR | POLLHUP)))
			return;
		drain(q);
	}
}
