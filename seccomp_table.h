/* SPDX-License-Identifier: MIT */

/*
 * Which system calls the payload may make: rows, read from the top, the first
 * that fits decides.  Default deny: a call without a row gets ENOSYS, as on a
 * kernel that does not have it, so that programs take their fallback.
 *
 *   ALLOW(name)                  always
 *   ALLOW_IF(name, CONDITION)    and the next row of the same call otherwise
 *   DENY(error, name), DENY_IF(error, name, CONDITION)
 *   DENY_SOFT(error, name)       refused unless a profile of the user's allows
 *                                it: what it does stays within the sandbox
 *   DENY_QUIETLY(error, name)    soft, and not recorded: runtimes try it each
 *                                time they start
 *   ABSENT(name)                 ENOSYS, not recorded
 *   PRETEND_IF(name, CONDITION)  nothing is done, and success is said
 *   ASK(name)                    allowed, and recorded
 *   ..._NR(name, number)         newer than some libseccomp; from 424 on a
 *                                number is the same on every architecture
 *
 * A CONDITION is IS(argument, value), BITS(argument, mask, value),
 * BITS_ANY(argument, mask), IS_NULL(argument), or two of them.  Only the last,
 * which is of pointers, looks at all 64 bits: the other arguments named here are
 * `int` to the kernel, which drops the high half, so a rule that looked at it
 * would be passed by adding 1 << 32 (CVE-2019-10063).
 *
 * This file is included by seccomp_gen.c; calls that an architecture does not
 * have are left out there.
 */

/* clang-format off */

/* Files: opening, reading, writing, naming.  Which files: the mounts decide. */
ALLOW(access) ALLOW(chdir) ALLOW(chmod) ALLOW(chown) ALLOW(close)
ALLOW(close_range) ALLOW(copy_file_range) ALLOW(creat) ALLOW(dup) ALLOW(dup2)
ALLOW(dup3) ALLOW(faccessat) ALLOW(faccessat2) ALLOW(fadvise64)
ALLOW(fallocate) ALLOW(fchdir) ALLOW(fchmod) ALLOW(fchmodat)
ALLOW_NR(fchmodat2, 452) ALLOW(fchown) ALLOW(fchownat)
ALLOW(fdatasync) ALLOW(fgetxattr) ALLOW(flistxattr) ALLOW(flock)
ALLOW(fremovexattr) ALLOW(fsetxattr) ALLOW(fstat) ALLOW(fstatfs) ALLOW(fsync)
ALLOW(ftruncate) ALLOW(futimesat) ALLOW(getcwd) ALLOW(getdents)
ALLOW(getdents64) ALLOW(getxattr) ALLOW(lchown) ALLOW(lgetxattr) ALLOW(link)
ALLOW(linkat) ALLOW(listxattr) ALLOW(llistxattr) ALLOW(lremovexattr)
ALLOW(lseek) ALLOW(lsetxattr) ALLOW(lstat) ALLOW(mkdir) ALLOW(mkdirat)
ALLOW(newfstatat) ALLOW(open) ALLOW(openat) ALLOW(openat2) ALLOW(pread64)
ALLOW(preadv) ALLOW(preadv2) ALLOW(pwrite64) ALLOW(pwritev) ALLOW(pwritev2)
ALLOW(read) ALLOW(readahead) ALLOW(readlink) ALLOW(readlinkat) ALLOW(readv)
ALLOW(removexattr) ALLOW(rename) ALLOW(renameat) ALLOW(renameat2)
ALLOW(rmdir) ALLOW(sendfile) ALLOW(setxattr) ALLOW(splice) ALLOW(stat)
ALLOW(statfs) ALLOW(statx) ALLOW(symlink) ALLOW(symlinkat) ALLOW(sync)
ALLOW(sync_file_range) ALLOW(syncfs) ALLOW(tee) ALLOW(truncate) ALLOW(umask)
ALLOW(unlink) ALLOW(unlinkat) ALLOW(utime) ALLOW(utimensat) ALLOW(utimes)
ALLOW(write) ALLOW(writev) ALLOW_NR(cachestat, 451)
ALLOW_NR(setxattrat, 463) ALLOW_NR(getxattrat, 464)
ALLOW_NR(listxattrat, 465) ALLOW_NR(removexattrat, 466)

/* Whose file somebody has a lease of, or a delegation, is held up in opening it
 * for as long as the host allows (45 s), as often as it is taken: of the user's
 * own files, by way of a read-only mount, too. */
DENY_IF(EPERM, fcntl, IS(1, F_SETLEASE))
DENY_IF(EPERM, fcntl, IS(1, 0x410)) /* F_SETDELEG */
ALLOW(fcntl)

/* Nodes: fifos and plain files; a device or a socket by name is none of a
 * payload's business, and type 0 means a plain file. */
ALLOW_IF(mknod, BITS(1, S_IFMT, S_IFREG)) ALLOW_IF(mknod, BITS(1, S_IFMT, 0))
ALLOW_IF(mknod, BITS(1, S_IFMT, S_IFIFO)) DENY(EPERM, mknod)
ALLOW_IF(mknodat, BITS(2, S_IFMT, S_IFREG))
ALLOW_IF(mknodat, BITS(2, S_IFMT, 0))
ALLOW_IF(mknodat, BITS(2, S_IFMT, S_IFIFO)) DENY(EPERM, mknodat)

/* Memory.  memfd_create is an executable file system of one file: it goes when
 * there is a list of allowed commands.  Huge pages are one pool for the machine,
 * set aside for the host's databases, and no cap on memory counts them.  Chromium
 * tries all flags at once, and ends unless that is EINVAL. */
ALLOW(brk) ALLOW(madvise) ALLOW(membarrier)
DENY_IF(EINVAL, memfd_create, BITS_ANY(1, MFD_HUGETLB)) ALLOW(memfd_create)
ALLOW(mincore) ALLOW(mlock) ALLOW(mlock2) ALLOW(mlockall)
DENY_IF(ENOMEM, mmap, BITS_ANY(3, MAP_HUGETLB)) ALLOW(mmap) ALLOW(mprotect)
ALLOW(mremap) ALLOW(msync) ALLOW(munlock) ALLOW(munlockall) ALLOW(munmap)
ALLOW(pkey_alloc) ALLOW(pkey_free) ALLOW(pkey_mprotect)
ALLOW(remap_file_pages) ALLOW_NR(map_shadow_stack, 453) ALLOW_NR(mseal, 462)

/* Processes and threads: making, waiting, scheduling, ids.  A namespace made
 * inside would give capabilities over itself, the first step of most kernel
 * exploits.  clone3 has its flags in memory, where no filter can read them:
 * ENOSYS makes every libc fall back to clone. */
DENY_IF(EPERM, clone, BITS_ANY(0, NEW_NAMESPACES)) ALLOW(clone)
ABSENT(clone3)
DENY_IF(EPERM, unshare, BITS_ANY(0, NEW_NAMESPACES | NEW_TIME)) ALLOW(unshare)
ALLOW(arch_prctl) ALLOW(capget) ALLOW(capset) ASK(execve) ASK(execveat)
ALLOW(exit) ALLOW(exit_group) ALLOW(fork) ALLOW(getcpu) ALLOW(getegid)
ALLOW(geteuid) ALLOW(getgid) ALLOW(getgroups) ALLOW(getpgid) ALLOW(getpgrp)
ALLOW(getpid) ALLOW(getppid) ALLOW(getpriority) ALLOW(getresgid)
ALLOW(getresuid) ALLOW(getrlimit) ALLOW(getrusage) ALLOW(getsid) ALLOW(gettid)
ALLOW(getuid) ALLOW(ioprio_get) ALLOW(ioprio_set) ALLOW(pidfd_open)
ALLOW(prctl) ALLOW(process_mrelease) ALLOW(rseq)
ALLOW(sched_get_priority_max) ALLOW(sched_get_priority_min)
ALLOW(sched_getaffinity) ALLOW(sched_getattr) ALLOW(sched_getparam)
ALLOW(sched_getscheduler) ALLOW(sched_rr_get_interval)
ALLOW(sched_setaffinity) ALLOW(sched_setattr) ALLOW(sched_setparam)
ALLOW(sched_setscheduler) ALLOW(sched_yield) ALLOW(set_tid_address)
ALLOW(setfsgid) ALLOW(setfsuid) ALLOW(setgid) ALLOW(setgroups) ALLOW(setpgid)
ALLOW(setpriority) ALLOW(setregid) ALLOW(setresgid) ALLOW(setresuid)
ALLOW(setreuid) ALLOW(setsid) ALLOW(setuid) ALLOW(sysinfo)
ALLOW(times) ALLOW(uname) ALLOW(vfork) ALLOW(wait4) ALLOW(waitid)

/* PID 1 is our init, of the same uid: a limit on its CPU time or its files would
 * end it, and the run would look like a failure of the sandbox's. */
DENY_IF(EPERM, prlimit64, IS(0, 1))

/* Of core dumps a limit of 1 alone keeps a handler that is a pipe from being
 * started on the host, as root: it must not be lowered to 0, as many programs
 * do for their own safety, some of which end when they cannot. */
ALLOW_IF(prlimit64, IS_NULL(2))
PRETEND_IF(prlimit64, BOTH(IS(1, RLIMIT_CORE), IS_NULL(3)))
DENY_IF(EPERM, prlimit64, IS(1, RLIMIT_CORE)) ALLOW(prlimit64)
PRETEND_IF(setrlimit, IS(0, RLIMIT_CORE)) ALLOW(setrlimit)

/* What the kernel itself puts into a process that somebody outside probes. */
ALLOW_X86_64(uretprobe, 335) ALLOW_X86_64(uprobe, 336)

/* A process may tighten itself.  A notifying filter would let one process of
 * the payload answer for another's calls. */
DENY_IF(EPERM, seccomp, BOTH(IS(0, SECCOMP_SET_MODE_FILTER),
			     BITS_ANY(1, SECCOMP_FILTER_FLAG_NEW_LISTENER)))
ALLOW(seccomp) ALLOW(landlock_add_rule) ALLOW(landlock_create_ruleset)
ALLOW(landlock_restrict_self)

/* Personalities: the plain ones and the question.  READ_IMPLIES_EXEC would undo
 * noexec mounts, ADDR_NO_RANDOMIZE eases exploits. */
ALLOW_IF(personality, IS(0, 0)) ALLOW_IF(personality, IS(0, 0x8))
ALLOW_IF(personality, IS(0, 0x20000)) ALLOW_IF(personality, IS(0, 0x20008))
ALLOW_IF(personality, IS(0, 0xffffffff)) DENY(EPERM, personality)

/* Signals, timers, waiting, locks. */
ALLOW(alarm) ALLOW(clock_getres) ALLOW(clock_gettime) ALLOW(clock_nanosleep)
ALLOW(epoll_create) ALLOW(epoll_create1) ALLOW(epoll_ctl) ALLOW(epoll_pwait)
ALLOW(epoll_pwait2) ALLOW(epoll_wait) ALLOW(eventfd) ALLOW(eventfd2)
ALLOW(futex) ALLOW_NR(futex_waitv, 449) ALLOW_NR(futex_wake, 454)
ALLOW_NR(futex_wait, 455) ALLOW_NR(futex_requeue, 456) ALLOW(get_robust_list)
ALLOW(getitimer) ALLOW(getrandom) ALLOW(gettimeofday)
ALLOW(inotify_add_watch) ALLOW(inotify_init) ALLOW(inotify_init1)
ALLOW(inotify_rm_watch) ALLOW(kill) ALLOW(nanosleep) ALLOW(pause)
ALLOW(pidfd_send_signal) ALLOW(pipe) ALLOW(pipe2) ALLOW(poll) ALLOW(ppoll)
ALLOW(pselect6) ALLOW(restart_syscall) ALLOW(rt_sigaction)
ALLOW(rt_sigpending) ALLOW(rt_sigprocmask) ALLOW(rt_sigqueueinfo)
ALLOW(rt_sigreturn) ALLOW(rt_sigsuspend) ALLOW(rt_sigtimedwait)
ALLOW(rt_tgsigqueueinfo) ALLOW(select) ALLOW(set_robust_list)
ALLOW(setitimer) ALLOW(sigaltstack) ALLOW(signalfd) ALLOW(signalfd4)
ALLOW(tgkill) ALLOW(time) ALLOW(timer_create) ALLOW(timer_delete)
ALLOW(timer_getoverrun) ALLOW(timer_gettime) ALLOW(timer_settime)
ALLOW(timerfd_create) ALLOW(timerfd_gettime) ALLOW(timerfd_settime)
ALLOW(tkill)

/* Asynchronous I/O.  What the old kind may have is one number for the machine
 * (fs.aio-max-nr): a few calls take all of it from the host's databases.  The
 * operations of io_uring would bypass every row here. */
ALLOW(io_cancel) ALLOW(io_destroy) ALLOW(io_getevents) ALLOW(io_pgetevents)
DENY(ENOSYS, io_setup) ALLOW(io_submit)
DENY(ENOSYS, io_uring_setup) DENY(ENOSYS, io_uring_enter)
DENY(ENOSYS, io_uring_register)

/* System V and POSIX IPC: the IPC namespace is the payload's own. */
ALLOW(mq_getsetattr) ALLOW(mq_notify) ALLOW(mq_open) ALLOW(mq_timedreceive)
ALLOW(mq_timedsend) ALLOW(mq_unlink) ALLOW(msgctl) ALLOW(msgget) ALLOW(msgrcv)
ALLOW(msgsnd) ALLOW(semctl) ALLOW(semget) ALLOW(semop) ALLOW(semtimedop)
ALLOW(shmat) ALLOW(shmctl) ALLOW(shmdt)
DENY_IF(ENOMEM, shmget, BITS_ANY(2, SHM_HUGETLB)) ALLOW(shmget)

/* Sockets: unix, IPv4, IPv6 and the route netlink that getifaddrs asks.  The
 * exotic families (vsock, alg, packet, bluetooth, ...) reach past the network
 * namespace or into little used kernel code, and so do the exotic protocols of
 * the internet's (SCTP, DCCP, L2TP, SMC, UDP-Lite, ...): to ask for one has the
 * host load its module.  Go's listeners ask for MPTCP.  Protocol 0 is what the
 * type makes of it: 5 SCTP, 6 DCCP, and 10 another name for AF_PACKET. */
#define INTERNET BITS(0, ~(AF_INET ^ AF_INET6), AF_INET)
ALLOW_IF(socket, IS(0, AF_UNIX))
DENY_IF(EPROTONOSUPPORT, socket, BOTH(INTERNET, BITS_ANY(1, 0xc)))
ALLOW_IF(socket, BOTH(INTERNET, IS(2, 0)))
ALLOW_IF(socket, BOTH(INTERNET, IS(2, IPPROTO_TCP)))
ALLOW_IF(socket, BOTH(INTERNET, IS(2, IPPROTO_UDP)))
ALLOW_IF(socket, BOTH(INTERNET, IS(2, IPPROTO_ICMP)))
ALLOW_IF(socket, BOTH(INTERNET, IS(2, IPPROTO_ICMPV6)))
ALLOW_IF(socket, BOTH(INTERNET, IS(2, IPPROTO_MPTCP)))
DENY_IF(EPROTONOSUPPORT, socket, INTERNET)
ALLOW_IF(socket, BOTH(IS(0, AF_NETLINK), IS(2, NETLINK_ROUTE)))
DENY(EPERM, socket)
ALLOW_IF(socketpair, IS(0, AF_UNIX)) DENY(EPERM, socketpair)
ALLOW(accept) ALLOW(accept4) ALLOW(bind) ALLOW(connect) ALLOW(getpeername)
ALLOW(getsockname) ALLOW(getsockopt) ALLOW(listen) ALLOW(recvfrom)
ALLOW(recvmmsg) ALLOW(recvmsg) ALLOW(sendmmsg) ALLOW(sendmsg) ALLOW(sendto)
/* A key for TCP-AO names its hash, and the host loads the module of that name. */
DENY_IF(EPERM, setsockopt, BOTH(IS(1, IPPROTO_TCP), IS(2, 38)))
ALLOW(setsockopt) ALLOW(shutdown)

/* Terminals: typing for the user (TIOCSTI, TIOCLINUX paste), line disciplines,
 * the console and its keyboard.  Files: nobody could delete or read a tree
 * under verity or encryption that the payload chose.  A key for a file system
 * outlives the run, and to take the caller's away locks his files. */
DENY_IF(EPERM, ioctl, IS(1, TIOCSTI)) DENY_IF(EPERM, ioctl, IS(1, TIOCLINUX))
DENY_IF(EPERM, ioctl, IS(1, TIOCSETD)) DENY_IF(EPERM, ioctl, IS(1, TIOCCONS))
DENY_IF(EPERM, ioctl, BITS(1, 0xffffff00, 0x4b00)) /* KD... */
DENY_IF(EPERM, ioctl, BITS(1, 0xffffff00, 0x5600)) /* VT... */
DENY_IF(EPERM, ioctl, IS(1, FS_IOC_ENABLE_VERITY))
DENY_IF(EPERM, ioctl, IS(1, FS_IOC_SET_ENCRYPTION_POLICY))
DENY_IF(EPERM, ioctl, IS(1, FS_IOC_ADD_ENCRYPTION_KEY))
DENY_IF(EPERM, ioctl, IS(1, FS_IOC_REMOVE_ENCRYPTION_KEY))

/* Two files exchange their blocks, and no time of either tells of it.  Whoever
 * goes by times takes the file for what it was: the user's git, and the hashes of
 * programs that are kept (hash_cache.c). */
DENY_IF(EPERM, ioctl, BITS(1, 0xffff, 0x660f)) /* EXT4_IOC_MOVE_EXT */
DENY_IF(EPERM, ioctl, BITS(1, 0xffff, 0x586d)) /* XFS_IOC_SWAPEXT */
DENY_IF(EPERM, ioctl, BITS(1, 0xffff, 0xf509)) /* F2FS_IOC_MOVE_RANGE */

/* Bridges, VLANs, frame relay: of a socket of any kind, and before they ask for
 * a right they have the host load their module. */
DENY_IF(EPERM, ioctl, BITS(1, 0xfffffffe, SIOCGIFBR))
DENY_IF(EPERM, ioctl, BITS(1, 0xfffffffc, SIOCBRADDBR))
DENY_IF(EPERM, ioctl, BITS(1, 0xfffffffc, SIOCADDDLCI)) /* SIOC?IFVLAN */

/* Subvolumes and snapshots (btrfs, bcachefs) are the owner's to make, by way of
 * no mount: a snapshot has what a mask hides, one that is read-only cannot be
 * deleted, and to delete one by its number takes any of the file system.  What
 * copies share has btrfs's letter, too. */
ALLOW_IF(ioctl, IS(1, FICLONE)) ALLOW_IF(ioctl, IS(1, FICLONERANGE))
ALLOW_IF(ioctl, IS(1, FIDEDUPERANGE))
DENY_IF(EPERM, ioctl, BITS(1, 0xff00, 0x9400))
DENY_IF(EPERM, ioctl, BITS(1, 0xff00, 0xbc00))
ALLOW(ioctl)

/* From here on: known, refused, and said so.
 *
 * Reshaping the file tree and joining other namespaces. */
DENY(EPERM, mount) DENY(EPERM, umount2) DENY(EPERM, pivot_root)
DENY(EPERM, chroot) DENY(EPERM, setns) DENY(EPERM, fsopen) DENY(EPERM, fsconfig)
DENY(EPERM, fsmount) DENY(EPERM, fspick) DENY(EPERM, move_mount)
DENY(EPERM, open_tree) DENY_NR(EPERM, mount_setattr, 442)
DENY_NR(EPERM, statmount, 457) DENY_NR(EPERM, listmount, 458)
DENY_NR(EPERM, open_tree_attr, 467)

/* Files past their names: by handle, and watching a whole mount. */
DENY_SOFT(EPERM, name_to_handle_at) DENY(EPERM, open_by_handle_at)
DENY(EPERM, fanotify_init) DENY(EPERM, fanotify_mark)

/* Into other processes: of the payload, since PID 1 is undumpable and no other
 * can be named from inside. */
DENY_SOFT(EPERM, ptrace) DENY_SOFT(EPERM, process_vm_readv)
DENY_SOFT(EPERM, process_vm_writev) DENY_SOFT(EPERM, kcmp)
DENY_SOFT_NR(EPERM, process_madvise, 440) DENY_SOFT_NR(EPERM, pidfd_getfd, 438)

/* Key rings: the session's is shared through every namespace. */
DENY(EPERM, add_key) DENY(EPERM, request_key) DENY(EPERM, keyctl)

/* Kernel attack surface that no agent needs; vmsplice and userfaultfd are the
 * building blocks of most published exploits. */
DENY(EPERM, bpf) DENY(EPERM, perf_event_open) DENY(EPERM, userfaultfd)
DENY_SOFT(EPERM, vmsplice) DENY_SOFT(EPERM, modify_ldt)
DENY(EPERM, lookup_dcookie) DENY(EPERM, iopl) DENY(EPERM, ioperm)
DENY_SOFT_NR(ENOSYS, memfd_secret, 447)

/* Placing memory on nodes: other processes' too. */
DENY_SOFT(EPERM, migrate_pages) DENY_SOFT(EPERM, move_pages)
DENY_QUIETLY(EPERM, mbind) DENY_QUIETLY(EPERM, get_mempolicy)
DENY_QUIETLY(EPERM, set_mempolicy)
DENY_SOFT_NR(EPERM, set_mempolicy_home_node, 450)

/* The machine itself: time, names, modules, swap, quotas, accounting, logs. */
DENY(EPERM, acct) DENY(EPERM, adjtimex) DENY(EPERM, clock_adjtime)
DENY(EPERM, clock_settime) DENY(EPERM, delete_module)
DENY(EPERM, finit_module) DENY(EPERM, init_module) DENY(EPERM, kexec_file_load)
DENY(EPERM, kexec_load) DENY(EPERM, quotactl) DENY_NR(EPERM, quotactl_fd, 443)
DENY(EPERM, reboot) DENY(EPERM, setdomainname) DENY(EPERM, sethostname)
DENY(EPERM, settimeofday) DENY(EPERM, swapoff) DENY(EPERM, swapon)
DENY(EPERM, syslog) DENY(EPERM, vhangup)
