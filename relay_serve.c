/* SPDX-License-Identifier: MIT */
#include "relay_state.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "err.h"
#include "handover.h"
#include "netaddr.h"
#include "resolver.h"
#include "util.h"

/* Of one turn of the loop. */
#define ACCEPT_SHARE 64
#define PAUSE_MS     20
#define DNS_IDLE_MS  10000
#define GIVE_UP_MS   5000

#define FILES_MAX  32768 /* 12,000 connections and some pipes */
#define CONNS_MAX  12000
#define PIPES_MAX  512
/* The name service's clients over TCP, 64; what each thread of the resolver has
 * open; the relay's own. */
#define FILES_MISC 128

/*** Listeners ***/

struct listener {
	struct watch watch;
	struct relay_state *state;
	bool dns;
};

bool relay_has_room(struct relay_state *state)
{
	if (relay_event_crowded(state))
		return false;
	if (state->n_conns < state->max_conns) {
		state->said_full &= state->n_conns > state->max_conns / 2;
		return true;
	}
	if (!state->said_full)
		relay_event_limit(state, "tcp", "",
				  "too many connections at once: new ones wait "
				  "till others end");
	state->said_full = true;
	return false;
}

static void accept_one(struct listener *l, int fd)
{
	if (l->dns)
		relay_dns_accepted(l->state, fd);
	else
		conn_accepted(l->state, fd);
}

static void listener_ready(struct watch *watch, uint32_t events)
{
	struct listener *l = container_of(watch, struct listener, watch);

	(void)events;
	for (int i = 0; i < ACCEPT_SHARE; i++) {
		int fd;

		if (!relay_has_room(l->state)) {
			relay_pause(l->state);
			return;
		}
		fd = accept4(watch->fd, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			accept_one(l, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			relay_starve(l->state, errno);
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

static void set_listening(struct relay_state *state, uint32_t events)
{
	for (size_t i = 0; i < state->n_listeners; i++)
		loop_change(&state->loop, state->listeners[i], events);
}

void relay_pause(struct relay_state *state)
{
	if (!state->paused)
		set_listening(state, 0);
	state->paused = true;
	timer_start(&state->loop, &state->resuming, &state->resume);
}

/* Out of descriptors or memory: what waits can wait on. */
void relay_starve(struct relay_state *state, int error)
{
	auto_free char *reason = xasprintf("new connections wait till one can "
					   "be taken: %s",
					   strerror(error));

	if (!state->said_starved)
		relay_event_limit(state, "tcp", "", reason);
	state->said_starved = true;
	relay_pause(state);
}

static void resume_expired(struct timer *timer)
{
	struct relay_state *state = container_of(timer, struct relay_state,
						 resume);

	if (!relay_has_room(state)) {
		timer_start(&state->loop, &state->resuming, timer);
		return;
	}
	state->paused = false;
	set_listening(state, EPOLLIN);
}

/*** Sockets from inside ***/

static struct watch *make_listener(struct relay_state *state, int fd, bool dns)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	l->watch = (struct watch){ fd, listener_ready };
	l->state = state;
	l->dns = dns;
	return &l->watch;
}

int relay_listen(struct relay_state *state, struct watch *watch)
{
	state->listeners = xrealloc_array(state->listeners,
					  state->n_listeners + 1,
					  sizeof(*state->listeners));
	state->listeners[state->n_listeners++] = watch;
	if (loop_add(&state->loop, watch, EPOLLIN) < 0)
		return fail(errno, "cannot watch a listening socket");
	return 0;
}

static int take_socket(struct relay_state *state,
		       const struct handover_item *item, int fd)
{
	struct watch *watch;

	switch (item->kind) {
	case HANDOVER_DNS_UDP:
		return relay_udp_open(state, fd);
	case HANDOVER_INLET:
		relay_inlet_give(state, fd);
		return 0;
	case HANDOVER_SYNS:
	case HANDOVER_UDP:
		watch = relay_packets(state, fd, item->kind == HANDOVER_UDP);
		break;
	case HANDOVER_DNS_TCP:
	case HANDOVER_LISTENER:
		watch = make_listener(state, fd,
				      item->kind == HANDOVER_DNS_TCP);
		break;
	default:
		close(fd);
		return fail(0, "a socket of an unknown kind was handed over");
	}
	return relay_listen(state, watch);
}

static int take_batch(struct relay_state *state, struct handover_batch *batch)
{
	int rc = 0;

	for (uint32_t i = 0; i < batch->n; i++) {
		if (rc == 0)
			rc = take_socket(state, &batch->items[i],
					 batch->fds[i]);
		else
			close(batch->fds[i]);
	}
	return rc;
}

static void sockets_ready(struct watch *watch, uint32_t events)
{
	struct relay_state *state = container_of(watch, struct relay_state,
						 sockets);
	struct handover_batch batch;
	int rc = handover_receive(watch->fd, &batch);

	(void)events;
	if (rc < 0)
		fail(errno, "cannot receive the sandbox's sockets");
	if (rc == 1 && (take_batch(state, &batch) < 0 ||
			(batch.last && relay_publish_begin(state) < 0)))
		rc = -1;
	if (rc < 0) {
		handover_answer(watch->fd, err_get());
		_exit(125);
	}
	if (rc == 1)
		handover_answer(watch->fd, NULL);
	if (rc == 1 && batch.last && !state->has_packets)
		relay_event_limit(state, "", "",
				  "attempts at ports of no rule are not "
				  "recorded: no raw socket can be had here");
	/* From here on nobody can hand it anything any more. */
	if (rc == 0 || batch.last)
		loop_close(&state->loop, watch);
}

/*** Life and death ***/

static void set_caps(struct relay_state *state)
{
	struct rlimit files, wanted;
	size_t room, taken;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		files.rlim_max = files.rlim_cur = 1024;
	/* Root can have more than its shell was given, and still can here. */
	wanted = (struct rlimit){ FILES_MAX, FILES_MAX };
	if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
		files = wanted;
	if (files.rlim_max > FILES_MAX)
		files.rlim_max = FILES_MAX;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	room = files.rlim_max;
	state->max_pipes = room / 64 < PIPES_MAX ? room / 64 : PIPES_MAX;
	/* Two for each connection; what else is open comes off first.  However
	 * little is left, one connection at a time can be tried. */
	taken = 2 * state->max_pipes + FILES_MISC +
		state->policy->n_listen_ports;
	if (state->policy->n_publish > 0)
		taken += 2 * (NETPOL_INLETS + state->policy->n_publish);
	room = room > taken + 2 ? room - taken : 2;
	state->max_conns = room / 2 < CONNS_MAX ? room / 2 : CONNS_MAX;
}

static int prepare(struct relay_state *state, int sockets_fd, int event_fd)
{
	int resolved;

	set_caps(state);
	if (loop_init(&state->loop) < 0)
		return -1;
	resolved = resolver_init();
	if (resolved < 0)
		return -1;
	state->route_fd = netaddr_route_open();
	if (state->route_fd < 0)
		return fail(errno, "cannot ask for the host's addresses");
	names_init(&state->names);
	conn_init(state);
	dial_init(state);
	timer_list_init(&state->loop, &state->dns_idle, DNS_IDLE_MS,
			relay_dns_expired);
	timer_list_init(&state->loop, &state->resuming, PAUSE_MS,
			resume_expired);
	state->window = xcalloc(1, INSPECT_WINDOW);
	state->resolved.fd = resolved;
	state->sockets = (struct watch){ sockets_fd, sockets_ready };
	if (relay_publish_open(state) < 0 ||
	    relay_event_init(state, event_fd) < 0 ||
	    loop_add(&state->loop, &state->resolved, EPOLLIN) < 0 ||
	    loop_add(&state->loop, &state->sockets, EPOLLIN) < 0)
		return fail(errno, "cannot watch the relay's own sockets");
	return 0;
}

/* After the last change of ids, which clears it. */
static int die_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0) < 0)
		return fail(errno, "cannot tie the relay to the supervisor");
	if (getppid() != parent)
		return fail(0, "the supervisor went away");
	return 0;
}

/*
 * Whoever is about to hand sockets over finds the reason there.  We stay until
 * it was taken: to the supervisor a relay that is gone is a failure itself, and
 * with unread sockets in the queue our end would wipe the answer out.
 */
_Noreturn void relay_give_up(int sockets_fd)
{
	struct pollfd pfd = { .fd = sockets_fd }; /* POLLHUP comes unasked */

	if (handover_answer(sockets_fd, err_get()) == 0)
		(void)poll(&pfd, 1, GIVE_UP_MS);
	_exit(125);
}

_Noreturn void relay_serve(const struct net_policy *policy, pid_t parent,
			   int sockets_fd, int event_fd)
{
	static struct relay_state state;

	state.policy = policy;
	resolver_preload();
	if (prepare(&state, sockets_fd, event_fd) < 0 || relay_drop_ids() < 0 ||
	    die_with(parent) < 0 || relay_confine() < 0)
		relay_give_up(sockets_fd);
	if (loop_run(&state.loop) < 0)
		_exit(125);
	conn_close_all(&state);
	relay_event_flush(&state);
	_exit(0);
}
