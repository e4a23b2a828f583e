/* SPDX-License-Identifier: MIT */
#include "relay_state.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"
#include "ruleset.h"
#include "util.h"

#define NOBODY 65534

/*** Ids, capabilities, limits ***/

int relay_drop_ids(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct none[2] = { { 0 } };

	/* In a user namespace without a nobody, uid 0 is an ordinary user of
	 * the world outside (and EINVAL says so). */
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	     setresuid(NOBODY, NOBODY, NOBODY) < 0) &&
	    errno != EINVAL && errno != EPERM)
		return fail(errno, "cannot give up uid 0 in the relay");
	if (syscall(SYS_capset, &header, none) < 0)
		return fail(errno, "cannot drop the relay's capabilities");
	return 0;
}

static int set_limits(void)
{
	static const struct {
		int resource;
		rlim_t value;
	} limits[] = {
		/* 0 would not stop a core_pattern that is a program; 1 does. */
		{ RLIMIT_CORE, 1 },
		{ RLIMIT_FSIZE, 0 },
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_DATA, M9M_SANITIZED ? RLIM_INFINITY : 128UL << 20 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct rlimit limit = { limits[i].value, limits[i].value };
		struct rlimit now;

		if (getrlimit(limits[i].resource, &now) == 0 &&
		    now.rlim_max < limit.rlim_max)
			continue;
		if (setrlimit(limits[i].resource, &limit) < 0)
			return fail(errno, "cannot limit the relay");
	}
	return 0;
}

/*** Landlock: what the resolver reads, nothing else ***/

/*
 * A file is granted as it is now: one that is replaced later is not readable
 * any more, unless it is in one of the folders where resolver daemons keep it.
 */
static const struct {
	const char *path;
	uint64_t allowed;
} readable[] = {
	{ "/etc/resolv.conf", RULESET_READ_FILE },
	{ "/etc/hosts", RULESET_READ_FILE },
	{ "/etc/host.conf", RULESET_READ_FILE },
	{ "/etc/gai.conf", RULESET_READ_FILE },
	{ "/etc/nsswitch.conf", RULESET_READ_FILE },
	{ "/etc/services", RULESET_READ_FILE },
	{ "/run/systemd/resolve", RULESET_READ_FILE },
	{ "/run/NetworkManager", RULESET_READ_FILE },
	{ "/run/resolvconf", RULESET_READ_FILE },
};

static int grant(int ruleset, const char *path, uint64_t allowed)
{
	auto_fd int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return 0; /* not there: nothing to be read */
	if (ruleset_grant(ruleset, fd, allowed) < 0)
		return fail(errno, "cannot let the relay read %s", path);
	return 0;
}

static int close_files(void)
{
	const int version = ruleset_version();
	const struct ruleset_rights known = ruleset_known(
	    version, (struct ruleset_rights){
			 .fs = RULESET_FILES,
			 .net = RULESET_BIND_TCP,
			 .scoped = RULESET_SOCKETS | RULESET_SIGNALS,
		     });
	auto_fd int ruleset = -1;

	/* A kernel without it: the system call filter then stands alone. */
	if (version == 0)
		return 0;
	ruleset = ruleset_make(version, &known);
	if (ruleset < 0)
		return fail(errno, "cannot make the relay's Landlock rules");
	for (size_t i = 0; i < ARRAY_SIZE(readable); i++)
		if (grant(ruleset, readable[i].path, readable[i].allowed) < 0)
			return -1;
	if (ruleset_enter(ruleset) < 0)
		return fail(errno, "cannot put the relay under Landlock");
	return 0;
}

/*** System calls ***/

/* How a call is judged beyond its number. */
enum check {
	ALLOW,
	CHECK_SOCKET,   /* first argument: a family that is routed */
	CHECK_OPEN,     /* third: read only */
	CHECK_NO_EXEC,  /* third: no PROT_EXEC */
	CHECK_THREAD,   /* first: clone flags of a thread */
	CHECK_FIONREAD, /* second: this ioctl only */
	ANSWER_ENOSYS,
};

/* The busy ones first: a filter is read from its beginning. */
static const struct {
	int number;
	enum check check;
} calls[] = {
	/* moving bytes */
	{ SYS_recvfrom, ALLOW },
	{ SYS_sendto, ALLOW },
	{ SYS_splice, ALLOW },
	{ SYS_epoll_ctl, ALLOW },
	{ SYS_epoll_pwait, ALLOW },
#ifdef SYS_epoll_wait
	{ SYS_epoll_wait, ALLOW },
#endif
	{ SYS_accept4, ALLOW },
	{ SYS_close, ALLOW },
	{ SYS_shutdown, ALLOW },
	{ SYS_recvmsg, ALLOW },
	{ SYS_sendmsg, ALLOW },
	{ SYS_getsockname, ALLOW },
	{ SYS_setsockopt, ALLOW },
	{ SYS_getsockopt, ALLOW },
	{ SYS_pipe2, ALLOW },
	{ SYS_fcntl, ALLOW },
	/* reaching a server; asking for its name, and for the routes to it */
	{ SYS_socket, CHECK_SOCKET },
	{ SYS_connect, ALLOW },
	{ SYS_bind, ALLOW },
	{ SYS_sendmmsg, ALLOW },
#ifdef SYS_poll
	{ SYS_poll, ALLOW },
#endif
	{ SYS_ppoll, ALLOW },
	{ SYS_ioctl, CHECK_FIONREAD },
	{ SYS_uname, ALLOW },
	/* the files of the resolver */
	{ SYS_openat, CHECK_OPEN },
	{ SYS_read, ALLOW },
	{ SYS_write, ALLOW },  /* the resolver's eventfd */
	{ SYS_writev, ALLOW }, /* its questions over TCP */
	{ SYS_lseek, ALLOW },
	{ SYS_fstat, ALLOW },
	{ SYS_newfstatat, ALLOW },
	/* memory that is never executable */
	{ SYS_brk, ALLOW },
	{ SYS_mmap, CHECK_NO_EXEC },
	{ SYS_mprotect, CHECK_NO_EXEC },
	{ SYS_munmap, ALLOW },
	{ SYS_mremap, ALLOW },
	{ SYS_madvise, ALLOW },
	/* threads of the resolver */
	{ SYS_futex, ALLOW },
	{ SYS_clone, CHECK_THREAD },
	{ SYS_clone3, ANSWER_ENOSYS }, /* its flags cannot be seen from here */
	{ SYS_set_robust_list, ALLOW },
	{ SYS_rseq, ALLOW },
	{ SYS_rt_sigprocmask, ALLOW },
	{ SYS_exit, ALLOW },
	/* the rest of a life */
	{ SYS_exit_group, ALLOW },
	{ SYS_rt_sigaction, ALLOW },
	{ SYS_rt_sigreturn, ALLOW },
	{ SYS_restart_syscall, ALLOW },
	{ SYS_clock_gettime, ALLOW },
	{ SYS_gettimeofday, ALLOW },
	{ SYS_getpid, ALLOW },
	{ SYS_gettid, ALLOW },
	{ SYS_getrandom, ALLOW },
	{ SYS_sched_yield, ALLOW },
#if defined(__SANITIZE_ADDRESS__)
	{ SYS_sigaltstack, ALLOW },
	{ SYS_sched_getaffinity, ALLOW },
#endif
};

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#define X32_BIT  0x40000000u
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#define X32_BIT  0u
#else
#error "the relay's system call filter is for x86-64 and aarch64"
#endif

#define OK              SECCOMP_RET_ALLOW
#define NO(err)         (SECCOMP_RET_ERRNO | (err))
#define LOAD(field)     BPF_STMT(BPF_LD | BPF_W | BPF_ABS, field)
#define IF_EQ(k, t, f)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, t, f)
#define IF_SET(k, t, f) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, k, t, f)
#define RETURN(k)       BPF_STMT(BPF_RET | BPF_K, k)
/* Little-endian: the low half of an argument, and the high one. */
#define ARG(n)          LOAD(offsetof(struct seccomp_data, args[n]))
#define ARG_HIGH(n)     LOAD(offsetof(struct seccomp_data, args[n]) + 4)

#define THREAD_FLAGS                                                           \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |    \
	 CLONE_SYSVSEM)
#define CHECK_MAX 8

/* The tail of each check: every way through one returns. */
static const struct sock_filter checks[][CHECK_MAX] = {
	[CHECK_SOCKET] = { ARG(0), IF_EQ(AF_INET, 3, 0), IF_EQ(AF_INET6, 2, 0),
			   IF_EQ(AF_NETLINK, 1, 0), RETURN(NO(EAFNOSUPPORT)),
			   RETURN(OK) },
	[CHECK_OPEN] = { ARG(2),
			 IF_SET(O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND |
				    (O_TMPFILE & ~O_DIRECTORY),
				0, 1),
			 RETURN(NO(EACCES)), RETURN(OK) },
	[CHECK_NO_EXEC] = { ARG(2), IF_SET(PROT_EXEC, 0, 1), RETURN(NO(EPERM)),
			    RETURN(OK) },
	[CHECK_THREAD] = { ARG(0),
			   BPF_STMT(BPF_ALU | BPF_AND | BPF_K, THREAD_FLAGS),
			   IF_EQ(THREAD_FLAGS, 1, 0), RETURN(NO(EPERM)),
			   RETURN(OK) },
	[CHECK_FIONREAD] = { ARG(1), IF_EQ(FIONREAD, 1, 0), RETURN(NO(ENOTTY)),
			     RETURN(OK) },
	[ANSWER_ENOSYS] = { RETURN(NO(ENOSYS)) },
};

static size_t append_check(struct sock_filter *at, enum check check)
{
	size_t n = 0;

	while (n < CHECK_MAX && checks[check][n].code)
		n++;
	memcpy(at, checks[check], n * sizeof(*at));
	return n;
}

static size_t build(struct sock_filter *filter)
{
	static const struct sock_filter begin[] = {
		LOAD(offsetof(struct seccomp_data, arch)),
		IF_EQ(OUR_ARCH, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(offsetof(struct seccomp_data, nr)),
		IF_SET(X32_BIT, 0, 1),
		RETURN(SECCOMP_RET_KILL_PROCESS),
	};
	static const struct sock_filter allow[] = { RETURN(OK) };
	static const struct sock_filter refuse[] = { RETURN(NO(EPERM)) };
	size_t n = ARRAY_SIZE(begin);

	memcpy(filter, begin, sizeof(begin));
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct sock_filter *test = &filter[n++];
		size_t size = 1;

		if (calls[i].check == ALLOW)
			memcpy(filter + n, allow, sizeof(allow));
		else
			size = append_check(filter + n, calls[i].check);
		*test = (struct sock_filter)IF_EQ((uint32_t)calls[i].number, 0,
						  (uint8_t)size);
		n += size;
	}
	memcpy(filter + n, refuse, sizeof(refuse));
	return n + 1;
}

static int close_calls(void)
{
	struct sock_filter filter[16 + ARRAY_SIZE(calls) * (CHECK_MAX + 1)];
	struct sock_fprog program = {
		.len = (unsigned short)build(filter),
		.filter = filter,
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return fail(errno, "cannot filter the relay's system calls");
	return 0;
}

int relay_confine(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(errno, "cannot forbid the relay new privileges");
	if (set_limits() < 0 || close_files() < 0)
		return -1;
	return close_calls();
}
