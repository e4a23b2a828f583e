/* SPDX-License-Identifier: MIT */
#include "seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

/* FILTER, FLOOR, NAMES, FILTER_ARCH for the architecture of this build. */
#include "seccomp_filter.inc"

/* Linux 5.19: once somebody has taken a call, only a fatal signal ends its
 * wait.  A program with a busy timer would otherwise start over for ever, and
 * be recorded each time. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

const struct seccomp_filter seccomp_default = { FILTER, ARRAY_SIZE(FILTER),
						false };
const struct seccomp_filter seccomp_floor = { FLOOR, ARRAY_SIZE(FLOOR), false };

static const struct {
	int error;
	const char *remedy;
} remedies[] = {
	{ EINVAL, "the kernel needs CONFIG_SECCOMP_FILTER" },
	{ ENOSYS, "the kernel needs CONFIG_SECCOMP, or an outer filter forbids "
		  "seccomp(2)" },
	{ EPERM, "an outer filter forbids seccomp(2)" },
	{ EACCES, "no_new_privs is not in force" },
};

static int load(const struct sock_filter *code, size_t n, unsigned long flags)
{
	struct sock_fprog program = {
		.len = (unsigned short)n,
		/* The kernel copies it; the field just is not const. */
		.filter = (struct sock_filter *)code,
	};

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags,
			    &program);
}

/* What is answered to a question, as a verdict of its own. */
static uint32_t answer_to(uint32_t verdict)
{
	uint32_t error = verdict & SECCOMP_RET_DATA;

	if ((verdict & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_USER_NOTIF)
		return verdict;
	return error ? SECCOMP_RET_ERRNO | error : SECCOMP_RET_ALLOW;
}

static int load_answers(const struct seccomp_filter *filter)
{
	struct sock_filter code[BPF_MAXINSNS];

	for (size_t i = 0; i < filter->n; i++) {
		code[i] = filter->code[i];
		if (code[i].code == (BPF_RET | BPF_K))
			code[i].k = answer_to(code[i].k);
	}
	return load(code, filter->n, 0);
}

static int listen_to(const struct sock_filter *code, size_t n)
{
	unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
	int fd = load(code, n, flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);

	if (fd < 0 && errno == EINVAL)
		fd = load(code, n, flags);
	return fd;
}

/*
 * In front of a filter: who makes a socket of the internet (or else everybody
 * but him) is answered here, and the others go on to it.
 */
enum { FRONT_ANSWER = 7, FRONT_LEN };

static void put_front(struct sock_filter *code, bool internet, uint32_t answer)
{
	const uint8_t yes = internet ? FRONT_ANSWER : FRONT_LEN;
	const uint8_t no = internet ? FRONT_LEN : FRONT_ANSWER;
	const struct sock_filter front[FRONT_LEN] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_AUDIT_ARCH, 0,
			 (uint8_t)(no - 2)),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0,
			 (uint8_t)(no - 4)),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, (uint8_t)(yes - 6),
			 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6,
			 (uint8_t)(yes - 7), (uint8_t)(no - 7)),
		BPF_STMT(BPF_RET | BPF_K, answer),
	};

	memcpy(code, front, sizeof(front));
}

/* The kernel's own order: from the hardest on. */
static bool ends(uint32_t verdict)
{
	return (int32_t)verdict < (int32_t)SECCOMP_RET_ERRNO;
}

/*
 * Whom we answer lives on, and we ask before the filter has its say.  So what
 * of it ends whoever makes a socket goes by itself, and first: the kernel takes
 * the hardest word.  For no other call, since we have some to make.
 */
static int load_ends(const struct seccomp_filter *filter)
{
	struct sock_filter code[BPF_MAXINSNS];
	struct sock_filter *at = code + FRONT_LEN;

	put_front(code, false, SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < filter->n; i++) {
		at[i] = filter->code[i];
		if (at[i].code == (BPF_RET | BPF_K) && !ends(at[i].k))
			at[i].k = SECCOMP_RET_ALLOW;
	}
	return load(code, FRONT_LEN + filter->n, 0);
}

static int load_questions(const struct seccomp_filter *filter)
{
	struct sock_filter code[BPF_MAXINSNS];

	if (!filter->sockets || filter->n + FRONT_LEN > ARRAY_SIZE(code))
		return listen_to(filter->code, filter->n);
	if (filter->code != seccomp_default.code && load_ends(filter) < 0)
		return -1;
	put_front(code, true, SECCOMP_RET_USER_NOTIF);
	memcpy(code + FRONT_LEN, filter->code, filter->n * sizeof(*code));
	return listen_to(code, filter->n + FRONT_LEN);
}

int seccomp_apply(const struct seccomp_filter *filter, int *listener_fd,
		  int *error)
{
	if (listener_fd) {
		*listener_fd = load_questions(filter);
		*error = *listener_fd < 0 ? errno : 0;
		if (*listener_fd >= 0)
			return 0;
	}
	if (load_answers(filter) == 0)
		return 0;
	fail(errno, "cannot load the system call filter");
	for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
		if (remedies[i].error == errno)
			return fail_remedy("%s", remedies[i].remedy);
	return -1;
}

static bool holds(const struct sock_filter *i, uint32_t a)
{
	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return a == i->k;
	case BPF_JGT:
		return a > i->k;
	case BPF_JGE:
		return a >= i->k;
	default:
		return a & i->k;
	}
}

uint32_t seccomp_judge(const struct seccomp_filter *filter,
		       const struct seccomp_data *data)
{
	uint32_t a = 0;

	/* Jumps only go forward, so this ends. */
	for (size_t pc = 0; pc < filter->n; pc++) {
		const struct sock_filter *i = &filter->code[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k > sizeof(*data) - sizeof(a))
				return SECCOMP_RET_KILL_PROCESS;
			memcpy(&a, (const char *)data + i->k, sizeof(a));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += holds(i, a) ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			return SECCOMP_RET_KILL_PROCESS;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

bool seccomp_lets(const struct seccomp_filter *filter, int nr,
		  const uint64_t arguments[static 6])
{
	struct seccomp_data data = { .nr = nr, .arch = FILTER_AUDIT_ARCH };
	uint32_t verdict;

	memcpy(data.args, arguments, sizeof(data.args));
	verdict = seccomp_judge(filter, &data);
	return verdict == SECCOMP_RET_ALLOW || verdict == SECCOMP_RET_LOG;
}

char *seccomp_call_name(int nr)
{
	char key[16];
	const char *name;

	snprintf(key, sizeof(key), " %d:", nr);
	name = strstr(NAMES, key);
	if (!name)
		return NULL;
	name += strlen(key);
	return xstrndup(name, strcspn(name, " "));
}

const char *seccomp_arch(void)
{
	return FILTER_ARCH;
}
