/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A world of its own for network tests: this process in a fresh network
 * namespace that plays the host, servers in it, a relay, and a sandbox's
 * network namespace whose sockets the test holds itself.  No packet can leave.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../err.h"
#include "../netaddr.h"
#include "../relay.h"
#include "../util.h"
#include "tap.h"

static struct relay box_relay = RELAY_NONE;
static int box_factory = -1; /* makes sockets in the sandbox's namespace */
static pid_t box_child = -1;
/* IPV6_FREEBIND, since Linux 4.15. */
#define BOX_IPV6_FREEBIND 78

static pid_t box_servers[32];
static size_t box_n_servers;

__attribute__((unused)) static void box_die(const char *what)
{
	const struct err_record *e = err_get();

	printf("Bail out! %s: %s (%s)\n", what, strerror(errno),
	       e ? e->message : "no record");
	exit(1);
}

static void box_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		box_die(path);
	close(fd);
}

/* 0, or -1 when the machine does not let us. */
static int box_unshare(bool user)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWNET | (user ? CLONE_NEWUSER : 0)) < 0)
		return -1;
	if (!user)
		return 0;
	box_write("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	box_write("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	box_write("/proc/self/gid_map", map);
	return 0;
}

static void box_lo_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		box_die("lo up");
	close(fd);
}

/* Some kernels have no IPv6: what is about it is left out then. */
__attribute__((unused)) static bool box_has_v6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static struct in6_addr box_addr(const char *text)
{
	struct in6_addr addr;

	if (net_addr_parse(text, &addr) < 0)
		box_die(text);
	return addr;
}

/* A server's part: what comes goes back, and so does its end. */
__attribute__((unused)) static void box_echo(int fd)
{
	char buffer[65536];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		if (write_all(fd, buffer, (size_t)n) < 0)
			return;
	shutdown(fd, SHUT_WR);
}

/* Runs serve(fd) in a process for each connection to addr:port. */
__attribute__((unused)) static void box_server(const char *addr, uint16_t port,
					       void (*serve)(int fd))
{
	static const int on = 1;
	struct in6_addr ip = box_addr(addr);
	struct sockaddr_storage sa;
	socklen_t len = netaddr_to_socket(&ip, port, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* A new IPv6 address can be bound only some moments later. */
	if (sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, BOX_IPV6_FREEBIND, &on,
			   sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, 1024) < 0)
		box_die("server");
	/* What the servers leave behind comes to us. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork();
	if (pid != 0) {
		close(fd);
		box_servers[box_n_servers++] = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (conn >= 0 && fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(conn);
			_exit(0);
		}
		if (conn >= 0)
			close(conn);
	}
}

static void box_send_fd(int socket, int fd)
{
	char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { &(char){ 0 }, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = room,
			      .msg_controllen = sizeof(room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(socket, &msg, 0) < 0)
		_exit(1);
}

static int box_receive_fd(int socket)
{
	char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { &(char){ 0 }, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = room,
			      .msg_controllen = sizeof(room) };
	int fd;

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) <= 0 ||
	    !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* The sandbox's side: a namespace, the policy in it, sockets on demand. */
static _Noreturn void box_inside(const struct net_policy *policy, int factory)
{
	int wanted[2], net = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (box_unshare(true) < 0 ||
	    netpol_apply(policy, box_relay.sockets_fd, &net) < 0) {
		printf("# inside: %s\n",
		       err_get() ? err_get()->message : "unshare");
		fflush(stdout);
		_exit(1);
	}
	box_send_fd(factory, factory);
	while (recv(factory, wanted, sizeof(wanted), 0) == sizeof(wanted)) {
		int fd = socket(wanted[0], wanted[1] | SOCK_CLOEXEC, 0);

		if (fd < 0)
			_exit(1);
		box_send_fd(factory, fd);
		close(fd);
	}
	_exit(0);
}

/* 0; -1 when a relay or the inside failed (err_get has it, perhaps). */
static int box_start(const struct net_policy *policy)
{
	int pair[2], ready;

	if ((policy->mode == NET_RELAY &&
	     relay_start(&box_relay, policy) < 0) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		box_die("start");
	/* A test's client may be reset in the midst of what it says. */
	signal(SIGPIPE, SIG_IGN);
	fflush(stdout);
	box_child = fork();
	if (box_child == 0) {
		close(pair[0]);
		box_inside(policy, pair[1]);
	}
	close(pair[1]);
	box_factory = pair[0];
	relay_handed_over(&box_relay);
	ready = box_receive_fd(box_factory);
	if (ready < 0)
		return -1;
	close(ready);
	return 0;
}

static int box_socket(int family, int type)
{
	int wanted[2] = { family, type };

	if (send(box_factory, wanted, sizeof(wanted), 0) < 0)
		box_die("factory");
	return box_receive_fd(box_factory);
}

/* Connected from inside, or -1 with errno. */
__attribute__((unused)) static int box_connect(const char *addr, uint16_t port)
{
	struct timeval patience = { .tv_sec = 10 };
	struct in6_addr ip = box_addr(addr);
	struct sockaddr_storage sa;
	socklen_t len = netaddr_to_socket(&ip, port, &sa);
	int fd = box_socket(sa.ss_family, SOCK_STREAM);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&sa, len) == 0)
		return fd;
	len = (socklen_t)errno;
	close(fd);
	errno = (int)len;
	return -1;
}

static void box_stop(void)
{
	close(box_factory);
	box_factory = -1;
	kill(box_child, SIGKILL);
	waitpid(box_child, NULL, 0);
}

/* Whatever the test started, at any depth, is gone and reaped after this. */
static void box_end(void)
{
	for (size_t i = 0; i < box_n_servers; i++)
		kill(box_servers[i], SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/*** Events ***/

static struct net_event box_events[8192];
static size_t box_n_events;

static void box_pump(int ms)
{
	struct pollfd pfd = { .fd = box_relay.event_fd, .events = POLLIN };

	if (box_n_events == ARRAY_SIZE(box_events))
		box_n_events = 0;
	if (box_relay.event_fd >= 0)
		poll(&pfd, 1, ms);
	while (box_n_events < ARRAY_SIZE(box_events) &&
	       relay_read_event(&box_relay, &box_events[box_n_events]) == 1)
		box_n_events++;
}

/* An event of this kind about this peer (name or address) and port (0: any);
 * it is taken.  NULL after long without. */
static const struct net_event *box_event_at(enum net_event_kind kind,
					    const char *peer, uint16_t port)
{
	static struct net_event found;
	uint64_t until = now_ms(CLOCK_MONOTONIC) + 20000;

	do {
		for (size_t i = 0; i < box_n_events; i++) {
			struct net_event *e = &box_events[i];

			if (e->kind != kind || (port && e->port != port) ||
			    (strcmp(e->name, peer) != 0 &&
			     strcmp(e->addr, peer) != 0))
				continue;
			found = *e;
			memmove(e, e + 1, (--box_n_events - i) * sizeof(*e));
			return &found;
		}
		box_pump(50);
	} while (now_ms(CLOCK_MONOTONIC) < until);
	return NULL;
}

__attribute__((unused)) static const struct net_event *
box_event(enum net_event_kind kind, const char *peer)
{
	return box_event_at(kind, peer, 0);
}

/*** Policies from text ***/

__attribute__((unused)) static void box_policy(struct net_policy *policy,
					       const char *const *rules,
					       const char *const *resolve,
					       uint16_t host_port)
{
	struct net_rule parsed[32] = { 0 };
	struct spec_resolve entries[32] = { 0 };
	uint16_t ports[] = { 443 };
	struct spec spec = { .network = SPEC_NETWORK_ALLOW,
			     .allow = parsed,
			     .ports = ports,
			     .n_ports = 1,
			     .host_ports = &host_port,
			     .n_host_ports = host_port != 0,
			     .resolve = entries };
	char why[200];

	for (; *rules; rules++)
		if (net_rule_parse(*rules, &parsed[spec.n_allow++], why,
				   sizeof(why)) < 0)
			box_die(why);
	for (; *resolve; resolve += 2) {
		struct spec_resolve *r = &entries[spec.n_resolve++];

		net_name_canonical(resolve[0], strlen(resolve[0]), r->name);
		r->addr = box_addr(resolve[1]);
	}
	if (netpol_plan(policy, &spec, NULL) < 0)
		box_die("plan");
	for (size_t i = 0; i < spec.n_allow; i++)
		net_rule_free(&parsed[i]);
}
