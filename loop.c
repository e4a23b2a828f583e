/* SPDX-License-Identifier: MIT */
#include "loop.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

int loop_init(struct loop *loop)
{
	*loop = (struct loop){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	loop->now = now_ms(CLOCK_MONOTONIC);
	if (loop->epoll_fd < 0)
		return fail(errno, "cannot make an epoll instance");
	return 0;
}

static int control(struct loop *loop, int op, struct watch *watch,
		   uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(loop->epoll_fd, op, watch->fd, &event);
}

int loop_add(struct loop *loop, struct watch *watch, uint32_t events)
{
	return control(loop, EPOLL_CTL_ADD, watch, events);
}

int loop_change(struct loop *loop, struct watch *watch, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, watch, events);
}

/* What was reported of it in this batch must not be dispatched any more. */
static void forget(struct loop *loop, const struct watch *watch)
{
	for (int i = loop->at; i < loop->n; i++)
		if (loop->batch[i].data.ptr == watch)
			loop->batch[i].data.ptr = NULL;
}

int loop_release(struct loop *loop, struct watch *watch)
{
	if (watch->fd < 0)
		return -1;
	forget(loop, watch);
	/* Explicitly: a copy of the descriptor may live in another process. */
	control(loop, EPOLL_CTL_DEL, watch, 0);
	return take_fd(&watch->fd);
}

void loop_close(struct loop *loop, struct watch *watch)
{
	int fd = loop_release(loop, watch);

	cleanup_fd(&fd);
}

int loop_move(struct loop *loop, struct watch *from, struct watch *to,
	      uint32_t events)
{
	forget(loop, from);
	to->fd = take_fd(&from->fd);
	return loop_change(loop, to, events);
}

/*** Timers ***/

void timer_list_init(struct loop *loop, struct timer_list *list, uint64_t delay,
		     void (*expired)(struct timer *timer))
{
	list->delay = delay;
	list->expired = expired;
	list->head.prev = list->head.next = &list->head;
	list->sibling = loop->timers;
	loop->timers = list;
}

bool timer_runs(const struct timer *timer)
{
	return timer->next != NULL;
}

void timer_stop(struct timer *timer)
{
	if (!timer->next)
		return;
	timer->prev->next = timer->next;
	timer->next->prev = timer->prev;
	timer->next = timer->prev = NULL;
}

static void append(struct timer *head, struct timer *timer)
{
	timer->next = head;
	timer->prev = head->prev;
	timer->prev->next = timer;
	head->prev = timer;
}

void timer_start(struct loop *loop, struct timer_list *list,
		 struct timer *timer)
{
	timer_stop(timer);
	timer->due = loop->now + list->delay;
	append(&list->head, timer);
}

/* Milliseconds till the first one is due; -1: none runs. */
static int next_due(const struct loop *loop)
{
	uint64_t first = UINT64_MAX;

	for (struct timer_list *l = loop->timers; l; l = l->sibling)
		if (l->head.next != &l->head && l->head.next->due < first)
			first = l->head.next->due;
	if (first == UINT64_MAX)
		return -1;
	return first <= loop->now ? 0 : (int)(first - loop->now);
}

/*
 * Those that are due go to a list of their own first: what is started again
 * meanwhile waits for the next turn, and what is stopped leaves either list.
 */
static void expire_list(const struct loop *loop, struct timer_list *list)
{
	struct timer due = { .prev = &due, .next = &due };
	struct timer *timer;

	while (list->head.next != &list->head &&
	       list->head.next->due <= loop->now) {
		timer = list->head.next;
		timer_stop(timer);
		append(&due, timer);
	}
	while (due.next != &due) {
		timer = due.next;
		timer_stop(timer);
		list->expired(timer);
	}
}

static void expire(struct loop *loop)
{
	for (struct timer_list *l = loop->timers; l; l = l->sibling)
		expire_list(loop, l);
}

int loop_run(struct loop *loop)
{
	while (!loop->stop) {
		loop->n = epoll_wait(loop->epoll_fd, loop->batch, LOOP_BATCH,
				     next_due(loop));
		if (loop->n < 0 && errno != EINTR)
			return fail(errno, "cannot wait for events");
		loop->now = now_ms(CLOCK_MONOTONIC);
		for (loop->at = 0; loop->at < loop->n;) {
			struct epoll_event *event = &loop->batch[loop->at++];
			struct watch *watch = event->data.ptr;

			if (watch)
				watch->ready(watch, event->events);
		}
		loop->at = loop->n = 0;
		expire(loop);
	}
	return 0;
}
