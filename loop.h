/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The relay's event loop: descriptors by epoll, and timers in lists of one
 * delay each, which keeps them sorted for nothing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#define LOOP_BATCH 64

struct watch {
	int fd;
	void (*ready)(struct watch *watch, uint32_t events);
};

struct timer {
	struct timer *prev, *next; /* NULL: not running */
	uint64_t due;
};

struct timer_list {
	uint64_t delay; /* ms */
	void (*expired)(struct timer *timer);
	struct timer head;
	struct timer_list *sibling;
};

struct loop {
	int epoll_fd;
	uint64_t now; /* ms, monotonic, as of the last wake-up */
	bool stop;
	struct timer_list *timers;
	struct epoll_event batch[LOOP_BATCH];
	int at, n; /* of the batch */
};

/* The object that a member is in. */
#define container_of(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* By fail(). */
int loop_init(struct loop *loop);
/* Until loop->stop; by fail() when epoll itself fails. */
int loop_run(struct loop *loop);

/* 0, or -1 with errno. */
int loop_add(struct loop *loop, struct watch *watch, uint32_t events);
int loop_change(struct loop *loop, struct watch *watch, uint32_t events);
/* Closes the descriptor; no event of it comes any more.  Safe on fd -1. */
void loop_close(struct loop *loop, struct watch *watch);
/* No event of it comes any more: the descriptor, which is the caller's now. */
int loop_release(struct loop *loop, struct watch *watch);
/* Another watch takes the descriptor over, with its registration. */
int loop_move(struct loop *loop, struct watch *from, struct watch *to,
	      uint32_t events);

void timer_list_init(struct loop *loop, struct timer_list *list, uint64_t delay,
		     void (*expired)(struct timer *timer));
/* (Re)starts it. */
void timer_start(struct loop *loop, struct timer_list *list,
		 struct timer *timer);
void timer_stop(struct timer *timer);
bool timer_runs(const struct timer *timer);
