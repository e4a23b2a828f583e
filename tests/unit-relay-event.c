/* SPDX-License-Identifier: MIT */
/* What waits to be told, within a turn of the relay's loop and after it. */
#include <sys/socket.h>
#include <unistd.h>

#include "relay_state.h"
#include "tap.h"
#include "util.h"

/* One look at the name service's socket can find so many questions, and more is
 * told of in that turn. */
#define TURN 600

static void stop(struct watch *watch, uint32_t events)
{
	struct loop *loop =
	    &container_of(watch, struct relay_state, resolved)->loop;

	(void)events;
	loop->stop = true;
	loop_close(loop, watch);
}

static size_t read_ids(int fd, uint64_t *next)
{
	struct net_event event;
	size_t n = 0;

	while (recv(fd, &event, sizeof(event), MSG_DONTWAIT) ==
	       (ssize_t)sizeof(event)) {
		if (event.duration_ms != *next)
			ok(false, "event %llu is the next",
			   (unsigned long long)*next);
		*next = event.duration_ms + 1;
		n++;
	}
	return n;
}

/* Nobody reads: what the payload causes more of waits, and comes in again when
 * the supervisor is there.  What ends is told meanwhile. */
static void test_crowd(struct relay_state *state, int fd, uint64_t *next)
{
	uint64_t first = *next, sent = first;

	state->max_conns = 1;
	while (relay_has_room(state) && sent < first + 10 * (uint64_t)TURN)
		relay_event_send(state,
				 &(struct net_event){ .duration_ms = sent++ });
	ok(relay_event_crowded(state) && !relay_has_room(state),
	   "a crowd of %zu keeps new ones out", state->events.n);
	ok(state->events.n > TURN, "what one turn brings is none");
	relay_event_send(state, &(struct net_event){ .duration_ms = sent++ });
	do
		state->events.watch.ready(&state->events.watch, EPOLLOUT);
	while (read_ids(fd, next) > 0);
	ok(*next == sent && state->events.dropped == 0, "none of it is lost");
	ok(!relay_event_crowded(state) && relay_has_room(state),
	   "and then there is room again");
}

int main(void)
{
	static struct relay_state state;
	uint64_t next = 0;
	size_t taken = 0;
	int fds[2], end[2];

	if (!ok(loop_init(&state.loop) == 0 &&
		    socketpair(AF_UNIX,
			       SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			       fds) == 0 &&
		    relay_event_init(&state, fds[0]) == 0,
		"a queue"))
		return done();
	for (size_t i = 0; i < TURN; i++) {
		struct net_event event = { .kind = NET_EVENT_DNS,
					   .duration_ms = i };

		relay_event_offer(&state, &event);
	}
	ok(state.events.dropped == 0, "a busy turn loses nothing: %llu",
	   (unsigned long long)state.events.dropped);
	taken = read_ids(fds[1], &next);
	ok(taken > 0 && taken < TURN, "what fits was sent: %zu", taken);
	do
		state.events.watch.ready(&state.events.watch, EPOLLOUT);
	while (read_ids(fds[1], &next) > 0);
	ok(next == TURN, "all are told, in order: %llu",
	   (unsigned long long)next);
	/* A single one waits for the turn's end, and no longer. */
	relay_event_send(&state, &(struct net_event){ .duration_ms = next });
	ok(read_ids(fds[1], &next) == 0, "one waits");
	if (ok(pipe(end) == 0, "a pipe")) {
		state.resolved = (struct watch){ end[0], stop };
		close(end[1]);
		loop_add(&state.loop, &state.resolved, EPOLLIN);
		loop_run(&state.loop);
	}
	ok(read_ids(fds[1], &next) == 1, "for the end of the turn");
	test_crowd(&state, fds[1], &next);
	return done();
}
