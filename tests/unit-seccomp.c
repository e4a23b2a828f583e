/* SPDX-License-Identifier: MIT */
#include "seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"
#include "util.h"

#include "seccomp_filter.inc"

#define BAD  1UL                 /* no address; as a number, harmless */
#define NONE ((unsigned long)-1) /* no descriptor, no process */
#define HIGH (1UL << 32)         /* what the kernel drops from an int */

/* Refused without the filter too, unless the caller is root. */
#define ROOT true
/* A profile of the user's may allow it: the floor does. */
#define SOFT .soft = true

struct attempt {
	const char *name;
	long nr;
	unsigned long args[6];
	int error; /* with the filter; without, anything but this */
	bool root;
	bool soft;
};

#define CALL(name) #name, SYS_##name

/*
 * Arguments that the kernel refuses for their own sake (EFAULT, EBADF, EINVAL)
 * or that harm nobody, so that each call can be shown to get through without
 * the filter, as root, on a machine that is in use.
 */
static const struct attempt attempts[] = {
	/* namespaces; CLONE_THREAD alone is EINVAL */
	{ "clone NEWUSER", SYS_clone, { CLONE_NEWUSER | CLONE_THREAD }, EPERM },
	{ "clone NEWNS", SYS_clone, { CLONE_NEWNS | CLONE_THREAD }, EPERM },
	{ "clone NEWPID", SYS_clone, { CLONE_NEWPID | CLONE_THREAD }, EPERM },
	{ "clone NEWNET", SYS_clone, { CLONE_NEWNET | CLONE_THREAD }, EPERM },
	{ "clone NEWUSER high",
	  SYS_clone,
	  { HIGH | CLONE_NEWUSER | CLONE_THREAD },
	  EPERM },
	{ CALL(clone3), { BAD, 64 }, ENOSYS },
	{ "unshare NEWUSER", SYS_unshare, { CLONE_NEWUSER | 1 }, EPERM },
	{ "unshare NEWNS", SYS_unshare, { CLONE_NEWNS | 1 }, EPERM },
	{ "unshare NEWTIME", SYS_unshare, { 0x80 | 1 }, EPERM },
	{ "unshare NEWUSER high",
	  SYS_unshare,
	  { HIGH | CLONE_NEWUSER },
	  EPERM },
	{ CALL(setns), { NONE, 0 }, EPERM },
	/* mounts */
	{ CALL(mount), { BAD, BAD, BAD, 0, 0 }, EPERM },
	{ CALL(umount2), { BAD, 0 }, EPERM, ROOT },
	{ CALL(pivot_root), { BAD, BAD }, EPERM, ROOT },
	{ CALL(chroot), { BAD }, EPERM },
	{ "fsopen", 430, { BAD, 0 }, EPERM, ROOT },
	{ "fsconfig", 431, { NONE, 0, 0, 0, 0 }, EPERM },
	{ "fsmount", 432, { NONE, 0, 0 }, EPERM, ROOT },
	{ "fspick", 433, { NONE, BAD, 0 }, EPERM, ROOT },
	{ "open_tree", 428, { NONE, BAD, 0 }, EPERM },
	{ "move_mount", 429, { NONE, BAD, NONE, BAD, 0 }, EPERM, ROOT },
	{ "mount_setattr", 442, { NONE, BAD, 0, BAD, 0 }, EPERM },
	{ "statmount", 457, { BAD, BAD, 0, 0 }, EPERM },
	{ "listmount", 458, { BAD, BAD, 0, 0 }, EPERM },
	/* limits of our init; outside, PID 1 is root's */
	{ "prlimit64 of PID 1",
	  SYS_prlimit64,
	  { 1, 7, 0, 0 },
	  EPERM,
	  .root = true },
	{ "prlimit64 of PID 1 high",
	  SYS_prlimit64,
	  { HIGH | 1, 7, 0, 0 },
	  EPERM,
	  .root = true },
	/* leases of the user's files */
	{ "fcntl F_SETLEASE", SYS_fcntl, { NONE, F_SETLEASE, F_WRLCK }, EPERM },
	{ "fcntl F_SETLEASE high",
	  SYS_fcntl,
	  { NONE, HIGH | F_SETLEASE, F_WRLCK },
	  EPERM },
	{ "fcntl F_SETDELEG", SYS_fcntl, { NONE, 0x410, BAD }, EPERM },
	/* sockets; type -1 is EINVAL in every family */
	{ "socket VSOCK", SYS_socket, { AF_VSOCK, NONE, 0 }, EPERM },
	{ "socket ALG", SYS_socket, { AF_ALG, NONE, 0 }, EPERM },
	{ "socket PACKET", SYS_socket, { AF_PACKET, NONE, 0 }, EPERM },
	{ "socket BLUETOOTH", SYS_socket, { AF_BLUETOOTH, NONE, 0 }, EPERM },
	{ "socket KEY", SYS_socket, { AF_KEY, NONE, 0 }, EPERM },
	{ "socket SCTP",
	  SYS_socket,
	  { AF_INET, NONE, IPPROTO_SCTP },
	  EPROTONOSUPPORT },
	{ "socket DCCP",
	  SYS_socket,
	  { AF_INET6, NONE, IPPROTO_DCCP },
	  EPROTONOSUPPORT },
	{ "socket L2TP", SYS_socket, { AF_INET, NONE, 115 }, EPROTONOSUPPORT },
	{ "socket SMC", SYS_socket, { AF_INET, NONE, 256 }, EPROTONOSUPPORT },
	{ "socket UDP-Lite",
	  SYS_socket,
	  { AF_INET6, NONE, IPPROTO_UDPLITE },
	  EPROTONOSUPPORT },
	{ "socket raw",
	  SYS_socket,
	  { AF_INET, NONE, IPPROTO_RAW },
	  EPROTONOSUPPORT },
	{ "socket SCTP high",
	  SYS_socket,
	  { HIGH | AF_INET, NONE, HIGH | IPPROTO_SCTP },
	  EPROTONOSUPPORT },
	{ "socket netlink audit",
	  SYS_socket,
	  { AF_NETLINK, NONE, NETLINK_AUDIT },
	  EPERM },
	{ "socket netlink uevent",
	  SYS_socket,
	  { AF_NETLINK, NONE, NETLINK_KOBJECT_UEVENT },
	  EPERM },
	{ "socket VSOCK high",
	  SYS_socket,
	  { HIGH | AF_VSOCK, NONE, 0 },
	  EPERM },
	{ "socket ALG high", SYS_socket, { HIGH | AF_ALG, NONE, 0 }, EPERM },
	{ "socket PACKET high",
	  SYS_socket,
	  { HIGH | AF_PACKET, NONE, 0 },
	  EPERM },
	{ "socket netlink audit high",
	  SYS_socket,
	  { HIGH | AF_NETLINK, NONE, HIGH | NETLINK_AUDIT },
	  EPERM },
	{ "socketpair TIPC", SYS_socketpair, { AF_TIPC, NONE, 0, BAD }, EPERM },
	{ "socketpair TIPC high",
	  SYS_socketpair,
	  { HIGH | AF_TIPC, NONE, 0, BAD },
	  EPERM },
	/* terminals */
	{ "ioctl TIOCSTI", SYS_ioctl, { NONE, 0x5412, BAD }, EPERM },
	{ "ioctl TIOCLINUX", SYS_ioctl, { NONE, 0x541c, BAD }, EPERM },
	{ "ioctl TIOCSTI high",
	  SYS_ioctl,
	  { NONE, HIGH | 0x5412, BAD },
	  EPERM },
	{ "ioctl TIOCLINUX high",
	  SYS_ioctl,
	  { NONE, HIGH | 0x541c, BAD },
	  EPERM },
	{ "ioctl TIOCSETD", SYS_ioctl, { NONE, 0x5423, BAD }, EPERM },
	/* what loads a module of the host's */
	{ "ioctl SIOCGIFBR", SYS_ioctl, { NONE, 0x8940, BAD }, EPERM },
	{ "ioctl SIOCSIFBR high",
	  SYS_ioctl,
	  { NONE, HIGH | 0x8941, BAD },
	  EPERM },
	{ "ioctl SIOCBRADDBR", SYS_ioctl, { NONE, 0x89a0, BAD }, EPERM },
	{ "ioctl SIOCBRDELIF", SYS_ioctl, { NONE, 0x89a3, BAD }, EPERM },
	{ "ioctl SIOCGIFVLAN high",
	  SYS_ioctl,
	  { NONE, HIGH | 0x8982, BAD },
	  EPERM },
	{ "ioctl SIOCSIFVLAN", SYS_ioctl, { NONE, 0x8983, BAD }, EPERM },
	{ "ioctl SIOCADDDLCI", SYS_ioctl, { NONE, 0x8980, BAD }, EPERM },
	{ "TCP_AO_ADD_KEY", SYS_setsockopt, { NONE, 6, 38, BAD, 1 }, EPERM },
	{ "TCP_AO_ADD_KEY high",
	  SYS_setsockopt,
	  { NONE, HIGH | 6, HIGH | 38, BAD, 1 },
	  EPERM },
	/* file systems within file systems */
	{ "ioctl BTRFS_IOC_SUBVOL_CREATE",
	  SYS_ioctl,
	  { NONE, 0x5000940e, BAD },
	  EPERM },
	{ "ioctl BTRFS_IOC_SNAP_CREATE_V2 high",
	  SYS_ioctl,
	  { NONE, HIGH | 0x50009417, BAD },
	  EPERM },
	{ "ioctl BTRFS_IOC_SNAP_DESTROY_V2",
	  SYS_ioctl,
	  { NONE, 0x5000943f, BAD },
	  EPERM },
	{ "ioctl BCH_IOCTL_SUBVOLUME_CREATE",
	  SYS_ioctl,
	  { NONE, 0x4020bc10, BAD },
	  EPERM },
	{ "ioctl TIOCCONS", SYS_ioctl, { NONE, 0x541d, BAD }, EPERM },
	{ "ioctl KDSETLED", SYS_ioctl, { NONE, 0x4b32, BAD }, EPERM },
	{ "ioctl VT_ACTIVATE", SYS_ioctl, { NONE, 0x5606, BAD }, EPERM },
	{ "ioctl VT_ACTIVATE high",
	  SYS_ioctl,
	  { NONE, HIGH | 0x5606, BAD },
	  EPERM },
	{ "ioctl ENABLE_VERITY", SYS_ioctl, { NONE, 0x40806685, BAD }, EPERM },
	{ "ioctl SET_ENCRYPTION_POLICY",
	  SYS_ioctl,
	  { NONE, 0x800c6613, BAD },
	  EPERM },
	{ "ioctl ADD_ENCRYPTION_KEY",
	  SYS_ioctl,
	  { NONE, 0xc0506617, BAD },
	  EPERM },
	{ "ioctl REMOVE_ENCRYPTION_KEY high",
	  SYS_ioctl,
	  { NONE, HIGH | 0xc0406618, BAD },
	  EPERM },
	{ "ioctl EXT4_IOC_MOVE_EXT",
	  SYS_ioctl,
	  { NONE, 0xc028660f, BAD },
	  EPERM },
	{ "ioctl XFS_IOC_SWAPEXT",
	  SYS_ioctl,
	  { NONE, 0xc0c0586d, BAD },
	  EPERM },
	{ "ioctl F2FS_IOC_MOVE_RANGE high",
	  SYS_ioctl,
	  { NONE, HIGH | 0xc020f509, BAD },
	  EPERM },
	/* other processes, keys, and what exploits are made of */
	{ CALL(bpf), { 0, BAD, 8 }, EPERM, ROOT },
	{ CALL(perf_event_open), { BAD, 0, 0, 0, 0 }, EPERM },
	{ CALL(userfaultfd), { 1 | 0x40000000 }, EPERM },
	{ CALL(io_setup), { 1, BAD }, ENOSYS },
	{ "io_uring_setup", 425, { 1, BAD }, ENOSYS },
	{ "io_uring_enter", 426, { NONE, 0, 0, 0, 0, 0 }, ENOSYS },
	{ "io_uring_register", 427, { NONE, 0, 0, 0 }, ENOSYS },
	{ CALL(keyctl), { NONE, 0, 0, 0, 0 }, EPERM },
	{ CALL(add_key), { BAD, BAD, 0, 0, 0 }, EPERM },
	{ CALL(request_key), { BAD, BAD, 0, 0 }, EPERM },
	{ CALL(ptrace), { 4095, NONE, 0, 0 }, EPERM, SOFT },
	{ CALL(process_vm_readv), { NONE, 0, 0, 0, 0, 1 }, EPERM, SOFT },
	{ CALL(process_vm_writev), { NONE, 0, 0, 0, 0, 1 }, EPERM, SOFT },
	{ "process_madvise", 440, { NONE, 0, 0, 0, 1 }, EPERM, SOFT },
	{ "pidfd_getfd", 438, { NONE, 0, 0 }, EPERM, SOFT },
	{ CALL(kcmp), { NONE, NONE, 0, 0, 0 }, EPERM, SOFT },
	{ CALL(name_to_handle_at), { NONE, BAD, BAD, BAD, NONE }, EPERM, SOFT },
	{ CALL(open_by_handle_at), { NONE, BAD, 0 }, EPERM, ROOT },
	{ CALL(fanotify_init), { NONE, 0 }, EPERM, ROOT },
	{ CALL(fanotify_mark), { NONE, 0, 0, NONE, BAD }, EPERM },
	{ CALL(vmsplice), { NONE, BAD, 1, 0 }, EPERM, SOFT },
	{ "memfd_secret", 447, { NONE }, ENOSYS, SOFT },
	{ "seccomp listener",
	  SYS_seccomp,
	  { SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, BAD },
	  EPERM },
	{ "seccomp listener high",
	  SYS_seccomp,
	  { HIGH | SECCOMP_SET_MODE_FILTER,
	    HIGH | SECCOMP_FILTER_FLAG_NEW_LISTENER, BAD },
	  EPERM },
	{ "personality READ_IMPLIES_EXEC",
	  SYS_personality,
	  { READ_IMPLIES_EXEC },
	  EPERM },
	{ "personality READ_IMPLIES_EXEC high",
	  SYS_personality,
	  { HIGH | READ_IMPLIES_EXEC },
	  EPERM },
	{ "personality NO_RANDOMIZE",
	  SYS_personality,
	  { ADDR_NO_RANDOMIZE },
	  EPERM },
	{ "mknodat device", SYS_mknodat, { NONE, BAD, S_IFCHR, 0 }, EPERM },
	{ "mknodat device high",
	  SYS_mknodat,
	  { NONE, BAD, HIGH | S_IFBLK, 0 },
	  EPERM },
	{ "mknodat socket", SYS_mknodat, { NONE, BAD, S_IFSOCK, 0 }, EPERM },
	/* huge pages, which are no memory that is capped */
	{ "mmap huge",
	  SYS_mmap,
	  { 0, 2 << 20, PROT_READ,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_HUGETLB, NONE },
	  ENOMEM },
	{ "memfd_create huge high",
	  SYS_memfd_create,
	  { BAD, HIGH | MFD_HUGETLB },
	  EINVAL },
	{ "shmget huge", SYS_shmget, { 0, 0, SHM_HUGETLB | 0600 }, ENOMEM },
	{ CALL(mbind), { 0, 0, 4095, 0, 0, 0 }, EPERM, SOFT },
	{ CALL(migrate_pages), { NONE, 0, 0, 0 }, EPERM, SOFT },
	{ CALL(move_pages), { NONE, 0, 0, 0, 0, 0 }, EPERM, SOFT },
	{ CALL(set_mempolicy), { 4095, 0, 0 }, EPERM, SOFT },
	{ CALL(get_mempolicy), { 0, 0, 0, 0, NONE }, EPERM, SOFT },
	/* the machine */
	{ CALL(acct), { BAD }, EPERM, ROOT },
	{ CALL(adjtimex), { BAD }, EPERM },
	{ CALL(clock_adjtime), { 0, BAD }, EPERM },
	{ CALL(clock_settime), { 0, BAD }, EPERM },
	{ CALL(settimeofday), { BAD, 0 }, EPERM },
	{ CALL(delete_module), { BAD, 0 }, EPERM, ROOT },
	{ CALL(init_module), { BAD, 1, BAD }, EPERM, ROOT },
	{ CALL(finit_module), { NONE, BAD, 0 }, EPERM, ROOT },
	{ CALL(kexec_load), { 0, 1, BAD, NONE }, EPERM, ROOT },
	{ CALL(quotactl), { NONE, BAD, 0, 0 }, EPERM },
	{ CALL(reboot), { BAD, BAD, BAD, BAD }, EPERM, ROOT },
	{ CALL(sethostname), { BAD, 4 }, EPERM, ROOT },
	{ CALL(setdomainname), { BAD, 4 }, EPERM, ROOT },
	{ CALL(swapon), { BAD, 0 }, EPERM, ROOT },
	{ CALL(swapoff), { BAD }, EPERM, ROOT },
	{ CALL(syslog), { 4095, 0, 0 }, EPERM, ROOT },
#ifdef __x86_64__
	{ "mknod device", SYS_mknod, { BAD, S_IFCHR, 0 }, EPERM },
	{ CALL(modify_ldt), { 0, BAD, 0 }, EPERM, SOFT },
	{ CALL(iopl), { 4 }, EPERM },
	{ CALL(ioperm), { 0, 0, 0 }, EPERM },
#endif
};

/* Runs `body` in a child, under a filter or none: its wait status. */
static int in_child(const struct seccomp_filter *filter,
		    int (*body)(const void *), const void *arg)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setsid();
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (filter && seccomp_apply(filter, NULL, NULL) < 0)
			_exit(255);
		_exit(body(arg));
	}
	waitpid(pid, &status, 0);
	return status;
}

static int make_attempt(const void *arg)
{
	const struct attempt *a = arg;

	errno = 0;
	return syscall(a->nr, a->args[0], a->args[1], a->args[2], a->args[3],
		       a->args[4], a->args[5]) < 0
		   ? errno
		   : 0;
}

static uint32_t judge(const struct seccomp_filter *filter,
		      const struct attempt *a)
{
	struct seccomp_data data = { .nr = (int)a->nr,
				     .arch = FILTER_AUDIT_ARCH };

	for (size_t i = 0; i < ARRAY_SIZE(a->args); i++)
		data.args[i] = a->args[i];
	return seccomp_judge(filter, &data);
}

/* The floor refuses for good what reaches beyond the sandbox, and that alone. */
static void try_floor(const struct attempt *a, int open)
{
	int floor = in_child(&seccomp_floor, make_attempt, a);
	uint32_t verdict = judge(&seccomp_floor, a);

	if (a->soft) {
		ok(floor == open && verdict == SECCOMP_RET_ALLOW,
		   "%s: gets through the floor (status %#x)", a->name,
		   (unsigned)floor);
		return;
	}
	ok(WIFEXITED(floor) && WEXITSTATUS(floor) == a->error,
	   "%s: stopped by the floor (status %#x)", a->name, (unsigned)floor);
	ok((verdict & SECCOMP_RET_DATA) == (unsigned)a->error,
	   "%s: the floor says so (%#x)", a->name, verdict);
}

static void try_attempts(void)
{
	unsigned not_here = 0;

	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		const struct attempt *a = &attempts[i];
		int open = in_child(NULL, make_attempt, a);
		int shut = in_child(&seccomp_default, make_attempt, a);

		ok(WIFEXITED(shut) && WEXITSTATUS(shut) == a->error,
		   "%s: %s with the filter (status %#x)", a->name,
		   strerrorname_np(a->error), (unsigned)shut);
		ok((judge(&seccomp_default, a) & SECCOMP_RET_DATA) ==
		       (unsigned)a->error,
		   "%s: the answer to the question is the same", a->name);
		try_floor(a, open);
		/* A kernel without the call, or a caller without the right. */
		if (WEXITSTATUS(open) == ENOSYS ||
		    (a->root && geteuid() != 0)) {
			not_here++;
			continue;
		}
		ok(WIFEXITED(open) && WEXITSTATUS(open) != a->error,
		   "%s: gets through without it (errno %d)", a->name,
		   WEXITSTATUS(open));
	}
	printf("# %u attempts could not be shown without the filter here\n",
	       not_here);
	ok(not_here < ARRAY_SIZE(attempts) / 3, "most of them could");
}

/* --- what must go on working --------------------------------------------- */

static void *thread_body(void *arg)
{
	return arg;
}

static int use_threads(const void *arg)
{
	pthread_t thread;
	void *result = NULL;

	if (pthread_create(&thread, NULL, thread_body, (void *)arg) != 0)
		return 1;
	pthread_join(thread, &result);
	return result != arg;
}

static int use_fork_exec(const void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", arg, (char *)NULL);
		_exit(99);
	}
	return waitpid(pid, &status, 0) != pid || status;
}

static int use_memory(const void *arg)
{
	int rwx = PROT_READ | PROT_WRITE | PROT_EXEC;
	void *p = mmap(NULL, 4096, rwx, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int id = shmget(IPC_PRIVATE, 4096, 0600);
	int memfd = memfd_create("x", MFD_CLOEXEC);

	(void)arg;
	shmctl(id, IPC_RMID, NULL);
	return p == MAP_FAILED || id < 0 || memfd < 0 ||
	       mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0;
}

static int use_sockets(const void *arg)
{
	static const int families[] = { AF_UNIX, AF_INET, AF_INET6 };
	struct ifaddrs *addrs;
	int pair[2];

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (socket(families[i], SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 &&
		    errno != EAFNOSUPPORT)
			return 1;
	if (socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) < 0 ||
	    socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP) < 0)
		return 5;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		return 2;
	if (socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) < 0)
		return 3;
	if (getifaddrs(&addrs) < 0)
		return 4;
	freeifaddrs(addrs);
	return 0;
}

static int use_events(const void *arg)
{
	sigset_t set;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };

	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	return epoll_ctl(epoll, EPOLL_CTL_ADD, eventfd(1, 0), &event) < 0 ||
	       epoll_wait(epoll, &event, 1, 1000) != 1 ||
	       timerfd_create(CLOCK_MONOTONIC, 0) < 0 ||
	       signalfd(-1, &set, 0) < 0 || inotify_init1(0) < 0 ||
	       syscall(SYS_pidfd_open, getpid(), 0) < 0;
}

static int use_files(const void *arg)
{
	char dir[] = "/tmp/unit-seccomp.XXXXXX";
	char fifo[64];
	int rc;

	(void)arg;
	if (!mkdtemp(dir))
		return 1;
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	rc = mkfifo(fifo, 0600) < 0 || mknod(fifo, S_IFREG, 0) == 0 ||
	     personality(0xffffffff) < 0;
	unlink(fifo);
	rmdir(dir);
	return rc;
}

/* A payload may stack its own filter. */
static int use_own_filter(const void *arg)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { 1, &allow };

	(void)arg;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0;
}

static int use_unknown(const void *arg)
{
	(void)arg;
	return syscall(9999) != -1 || errno != ENOSYS || syscall(-1) != -1 ||
	       errno != ENOSYS;
}

static const struct {
	const char *name;
	int (*body)(const void *);
	const void *arg;
} uses[] = {
	{ "threads", use_threads, "value" },
	{ "fork, exec, pipes", use_fork_exec, "echo a | tr a b | grep -q b" },
	{ "memory, memfd, shm, JIT", use_memory, NULL },
	{ "sockets, getifaddrs", use_sockets, NULL },
	{ "epoll, eventfd, timerfd, signalfd, inotify, pidfd", use_events,
	  NULL },
	{ "fifo, personality query", use_files, NULL },
	{ "a filter of its own", use_own_filter, NULL },
	{ "numbers that do not exist", use_unknown, NULL },
};

static void try_uses(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
		int open = in_child(NULL, uses[i].body, uses[i].arg);
		int shut = in_child(&seccomp_default, uses[i].body,
				    uses[i].arg);

		ok(open == 0, "%s: work at all (status %#x)", uses[i].name,
		   (unsigned)open);
		ok(shut == 0, "%s: work with the filter (status %#x)",
		   uses[i].name, (unsigned)shut);
	}
}

/* --- other ABIs ---------------------------------------------------------- */

#ifdef __x86_64__
static int call_int80(const void *arg)
{
	long rc;

	(void)arg;
	/* i386's getpid */
	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(20L) : "memory");
	return rc != getpid();
}

static int call_x32(const void *arg)
{
	(void)arg;
	syscall(0x40000000 | SYS_getpid);
	return 0;
}

static void try_abis(void)
{
	int open = in_child(NULL, call_int80, NULL);
	int shut = in_child(&seccomp_default, call_int80, NULL);

	if (open == 0)
		ok(WIFSIGNALED(shut) && WTERMSIG(shut) == SIGSYS,
		   "int 0x80 works without the filter and is killed with it");
	else
		printf("# no i386 calls on this kernel\n");
	open = in_child(NULL, call_x32, NULL);
	shut = in_child(&seccomp_default, call_x32, NULL);
	ok(open == 0 && WIFSIGNALED(shut) && WTERMSIG(shut) == SIGSYS,
	   "x32 numbers are killed");
}
#else
static void try_abis(void)
{
}
#endif

/* --- the program of the other architecture, by interpreting it ------------ */

#define ALLOWED  SECCOMP_RET_ALLOW
#define ERROR(e) (SECCOMP_RET_ERRNO | (e))
#define TELL(e)  (SECCOMP_RET_USER_NOTIF | (e))
#define ARM      AUDIT_ARCH_AARCH64

static const struct {
	const char *what;
	uint32_t arch;
	int nr;
	uint64_t args[3];
	uint32_t want;
	uint32_t floor;
} arm_rows[] = {
	{ "read", ARM, 63, { 0 }, ALLOWED, ALLOWED },
	{ "openat", ARM, 56, { 0 }, ALLOWED, ALLOWED },
	{ "execve", ARM, 221, { 0 }, TELL(0), TELL(0) },
	{ "execveat", ARM, 281, { 0 }, TELL(0), TELL(0) },
	{ "io_setup, number 0", ARM, 0, { 0 }, TELL(ENOSYS), TELL(ENOSYS) },
	{ "mount", ARM, 40, { 0 }, TELL(EPERM), TELL(EPERM) },
	{ "ptrace", ARM, 117, { 0 }, TELL(EPERM), ALLOWED },
	{ "bpf", ARM, 280, { 0 }, TELL(EPERM), TELL(EPERM) },
	{ "io_uring_setup", ARM, 425, { 0 }, TELL(ENOSYS), TELL(ENOSYS) },
	{ "clone for a thread", ARM, 220, { 0x3d0f00 }, ALLOWED, ALLOWED },
	{ "clone NEWUSER",
	  ARM,
	  220,
	  { HIGH | CLONE_NEWUSER | SIGCHLD },
	  TELL(EPERM),
	  TELL(EPERM) },
	{ "clone3", ARM, 435, { 0 }, ERROR(ENOSYS), ERROR(ENOSYS) },
	{ "socket inet", ARM, 198, { AF_INET, 1, 0 }, ALLOWED, ALLOWED },
	{ "socket mptcp",
	  ARM,
	  198,
	  { AF_INET, 1, IPPROTO_MPTCP },
	  ALLOWED,
	  ALLOWED },
	{ "socket icmp6",
	  ARM,
	  198,
	  { AF_INET6, 2, IPPROTO_ICMPV6 },
	  ALLOWED,
	  ALLOWED },
	{ "socket sctp",
	  ARM,
	  198,
	  { HIGH | AF_INET6, 1, IPPROTO_SCTP },
	  TELL(EPROTONOSUPPORT),
	  TELL(EPROTONOSUPPORT) },
	{ "socket of SCTP's type",
	  ARM,
	  198,
	  { AF_INET, HIGH | SOCK_SEQPACKET, 0 },
	  TELL(EPROTONOSUPPORT),
	  TELL(EPROTONOSUPPORT) },
	{ "socket of DCCP's type",
	  ARM,
	  198,
	  { AF_INET6, SOCK_DCCP | SOCK_CLOEXEC, 0 },
	  TELL(EPROTONOSUPPORT),
	  TELL(EPROTONOSUPPORT) },
	{ "socket packet by its old name",
	  ARM,
	  198,
	  { AF_INET, SOCK_PACKET, 0x300 },
	  TELL(EPROTONOSUPPORT),
	  TELL(EPROTONOSUPPORT) },
	{ "socket inet with flags",
	  ARM,
	  198,
	  { AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0 },
	  ALLOWED,
	  ALLOWED },
	{ "socket vsock",
	  ARM,
	  198,
	  { HIGH | AF_VSOCK, 1, 0 },
	  TELL(EPERM),
	  TELL(EPERM) },
	{ "socket route", ARM, 198, { AF_NETLINK, 3, 0 }, ALLOWED, ALLOWED },
	{ "socket audit",
	  ARM,
	  198,
	  { AF_NETLINK, 3, 9 },
	  TELL(EPERM),
	  TELL(EPERM) },
	{ "ioctl TCGETS", ARM, 29, { 0, 0x5401 }, ALLOWED, ALLOWED },
	{ "ioctl FICLONE", ARM, 29, { 0, 0x40049409 }, ALLOWED, ALLOWED },
	{ "ioctl FICLONERANGE", ARM, 29, { 0, 0x4020940d }, ALLOWED, ALLOWED },
	{ "ioctl FIDEDUPERANGE", ARM, 29, { 0, 0xc0189436 }, ALLOWED, ALLOWED },
	{ "ioctl BTRFS_IOC_SNAP_CREATE",
	  ARM,
	  29,
	  { 0, 0x50009401 },
	  TELL(EPERM),
	  TELL(EPERM) },
	{ "fcntl F_GETFL", ARM, 25, { 0, F_GETFL }, ALLOWED, ALLOWED },
	{ "fcntl F_SETLEASE",
	  ARM,
	  25,
	  { 0, HIGH | F_SETLEASE },
	  TELL(EPERM),
	  TELL(EPERM) },
	{ "ioctl TIOCSTI",
	  ARM,
	  29,
	  { 0, HIGH | 0x5412 },
	  TELL(EPERM),
	  TELL(EPERM) },
	{ "a number of the future", ARM, 2000, { 0 }, ERROR(ENOSYS), ALLOWED },
	{ "32-bit arm",
	  AUDIT_ARCH_ARM,
	  3,
	  { 0 },
	  SECCOMP_RET_KILL_PROCESS,
	  SECCOMP_RET_KILL_PROCESS },
	{ "x86-64",
	  AUDIT_ARCH_X86_64,
	  0,
	  { 0 },
	  SECCOMP_RET_KILL_PROCESS,
	  SECCOMP_RET_KILL_PROCESS },
};

static const struct seccomp_filter arm_default = { filter_aarch64,
						   ARRAY_SIZE(filter_aarch64) };
static const struct seccomp_filter arm_floor = { floor_aarch64,
						 ARRAY_SIZE(floor_aarch64) };

static void interpret_rows(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(arm_rows); i++) {
		struct seccomp_data data = { .nr = arm_rows[i].nr,
					     .arch = arm_rows[i].arch };
		uint32_t got, floor;

		memcpy(data.args, arm_rows[i].args, sizeof(arm_rows[i].args));
		got = seccomp_judge(&arm_default, &data);
		floor = seccomp_judge(&arm_floor, &data);
		ok(got == arm_rows[i].want, "aarch64: %s: %#x",
		   arm_rows[i].what, got);
		ok(floor == arm_rows[i].floor, "aarch64 floor: %s: %#x",
		   arm_rows[i].what, floor);
	}
}

/* --- the kernel's bitmap ------------------------------------------------- */

/*
 * Does the verdict depend on the number alone?  As the kernel decides it
 * (seccomp_is_const_allow): a look at an argument ends it.  Only such calls
 * pass without running the filter, from Linux 5.11 on.
 */
static bool is_constant(const struct seccomp_filter *f, int nr, uint32_t arch)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < f->n; pc++) {
		const struct sock_filter *i = &f->code[pc];
		bool yes = false;

		switch (i->code) {
		case BPF_RET | BPF_K:
			return i->k == SECCOMP_RET_ALLOW;
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k != offsetof(struct seccomp_data, nr) &&
			    i->k != offsetof(struct seccomp_data, arch))
				return false;
			a = i->k ? arch : (uint32_t)nr;
			continue;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= i->k;
			break;
		default:
			return false;
		}
		pc += yes ? i->jt : i->jf;
	}
	return false;
}

/* But for mmap, of which the flags are looked at. */
static const long hot[] = {
	SYS_read,  SYS_write,   SYS_openat,       SYS_close, SYS_munmap,
	SYS_futex, SYS_getppid, SYS_newfstatat,   SYS_lseek, SYS_epoll_pwait,
	SYS_wait4, SYS_sendmsg, SYS_rt_sigaction,
};

static void try_bitmap(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(hot); i++)
		ok(is_constant(&seccomp_default, (int)hot[i],
			       FILTER_AUDIT_ARCH) &&
		       is_constant(&seccomp_floor, (int)hot[i],
				   FILTER_AUDIT_ARCH),
		   "call %ld passes without running a filter", hot[i]);
	ok(!is_constant(&seccomp_default, SYS_execve, FILTER_AUDIT_ARCH) &&
	       !is_constant(&seccomp_default, SYS_socket, FILTER_AUDIT_ARCH),
	   "execve and socket do not");
}

/* A listener that is gone lets nothing through. */
static int ask_nobody(const void *arg)
{
	int listener_fd, error;

	(void)arg;
	if (seccomp_apply(&seccomp_default, &listener_fd, &error) < 0)
		return 1;
	/* An outer sandbox has the only one. */
	if (listener_fd < 0)
		return 0;
	close(listener_fd);
	if (syscall(SYS_unshare, CLONE_NEWUSER) == 0 || errno != ENOSYS)
		return 2;
	execl("/bin/true", "true", (char *)NULL);
	return errno == ENOSYS ? 0 : 3;
}

static void try_names(void)
{
	char *auto_free mount = seccomp_call_name(SYS_mount);
	char *auto_free ioctl = seccomp_call_name(SYS_ioctl);
	char *auto_free none = seccomp_call_name(6);

	ok(mount && strcmp(mount, "mount") == 0 && ioctl &&
	       strcmp(ioctl, "ioctl") == 0 && !none,
	   "refused calls have names");
}

int main(void)
{
	ok(strcmp(seccomp_arch(), FILTER_ARCH) == 0, "it is for %s",
	   seccomp_arch());
	try_attempts();
	try_uses();
	try_abis();
	interpret_rows();
	try_bitmap();
	ok(in_child(NULL, ask_nobody, NULL) == 0,
	   "without its listener the filter refuses");
	try_names();
	return done();
}
