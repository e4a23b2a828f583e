/* SPDX-License-Identifier: MIT */
/* What waits to be told, within a turn of the relay's loop and after it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay_state.h"
#include "tap.h"
#include "util.h"

/* One look at the name service's socket can find so many questions, and more is
 * told of in that turn. */
#define TURN    600
#define MAX     16384
#define OFFERED 512

static void stop(struct watch *watch, uint32_t events)
{
	struct loop *loop =
	    &container_of(watch, struct relay_state, resolved)->loop;

	(void)events;
	loop->stop = true;
	loop_close(loop, watch);
}

static void ignore(struct timer *timer)
{
	(void)timer;
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

/* More than there is room for: how much more is told, once. */
static void test_lost(struct relay_state *state, int fd)
{
	struct net_event event = { .kind = NET_EVENT_CONNECT };
	uint64_t sent = 0, got = 0, lost = 0, told = 0, before;

	while (state->events.n < OFFERED && relay_event_offer(state, &event))
		sent++;
	ok(!relay_event_offer(state, &event) && state->events.dropped == 1,
	   "what is only offered is kept up to a point");
	while (state->events.n < MAX) {
		relay_event_send(state, &event);
		sent++;
	}
	relay_event_send(state, &event);
	ok(state->events.n == MAX && state->events.dropped == 2,
	   "so much is kept of all");
	do {
		state->events.watch.ready(&state->events.watch, EPOLLOUT);
		for (before = got;
		     recv(fd, &event, sizeof(event), MSG_DONTWAIT) > 0;) {
			got += event.kind == NET_EVENT_CONNECT;
			told += event.kind == NET_EVENT_LIMIT;
			lost += event.dropped;
		}
	} while (got > before);
	ok(got == sent && state->events.size == 0, "all of that is told: %llu",
	   (unsigned long long)got);
	state->events.watch.ready(&state->events.watch, EPOLLOUT);
	ok(told == 1 && lost == 2 && recv(fd, &event, sizeof(event), 0) < 0,
	   "and how much was lost, once: %llu, %llu", (unsigned long long)told,
	   (unsigned long long)lost);
}

static void test_limit(struct relay_state *state)
{
	const struct net_event *e;

	relay_event_limit(state, "dns", "t.test", "enough");
	e = &state->events.ring[state->events.head];
	ok(state->events.n == 1 && e->kind == NET_EVENT_LIMIT &&
	       !strcmp(e->protocol, "dns") && !strcmp(e->name, "t.test") &&
	       !strcmp(e->reason, "enough") && e->dropped == 0,
	   "a limit is told of by what it is");
}

/* Nobody can be let in for a while: told of once, however often. */
static void test_starved(struct relay_state *state)
{
	const struct event_queue *q = &state->events;
	const struct net_event *e;
	size_t before = q->n;

	timer_list_init(&state->loop, &state->resuming, 1000, ignore);
	relay_starve(state, EMFILE);
	relay_starve(state, ENOMEM);
	e = &q->ring[(q->head + q->n - 1) % q->size];
	ok(q->n == before + 1 && e->kind == NET_EVENT_LIMIT &&
	       strstr(e->reason, strerror(EMFILE)),
	   "a want of descriptors is told of once: %s", e->reason);
	ok(state->paused, "and new ones wait");
	timer_stop(&state->resume);
	state->events.n = before;
}

/* At the end all is taken, by a reader that takes its time; one that is gone is
 * not waited for. */
static void test_flush(struct relay_state *state, int fds[2])
{
	struct net_event event = { .kind = NET_EVENT_CLOSE };
	uint64_t begin;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		size_t n = 0;

		close(fds[0]);
		usleep(20000);
		fcntl(fds[1], F_SETFL, 0);
		while (n <= TURN && recv(fds[1], &event, sizeof(event), 0) > 0)
			n++;
		_exit(n == TURN + 1 ? 0 : 1);
	}
	close(fds[1]);
	for (size_t i = 0; i < TURN; i++)
		relay_event_send(state, &event);
	relay_event_flush(state);
	ok(state->events.n == 0, "nothing is left");
	waitpid(pid, &status, 0);
	ok(status == 0, "all came");
	begin = now_ms(CLOCK_MONOTONIC);
	relay_event_send(state, &event);
	relay_event_flush(state);
	ok(now_ms(CLOCK_MONOTONIC) - begin < 500, "nobody is there: no wait");
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
	test_lost(&state, fds[1]);
	test_limit(&state);
	test_starved(&state);
	test_flush(&state, fds);
	return done();
}
