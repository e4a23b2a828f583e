/* SPDX-License-Identifier: MIT */

/*
 * intruder: tries to leave by way of namespaces, kernel interfaces, PID 1, the
 * terminal, and what is only shown (/shown, a tree that the mounts alone, or
 * Landlock alone, protect).
 */

#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "tests/attack.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HIGH     (1UL << 32) /* what the kernel drops of an int */

/* compat: newer than some headers */
#define NR_CLONE3       435
#define NR_PIDFD_OPEN   434
#define NR_PIDFD_GETFD  438
#define NR_IO_URING     425
#define NR_FSOPEN       430
#define NR_OPEN_TREE    428
#define NR_MEMFD_SECRET 447

/*** Namespaces ***/

static bool own_user(void)
{
	return attack_own_user(CLONE_NEWUSER);
}

static bool own_user_by_clone(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid > 0;
}

static bool own_user_by_clone3(void)
{
	uint64_t args[8] = { CLONE_NEWUSER, 0, 0, 0, SIGCHLD };
	long pid = syscall(NR_CLONE3, args, sizeof(args));

	if (pid == 0)
		_exit(0);
	return pid > 0;
}

static bool own_network(void)
{
	return attack_own_user(CLONE_NEWUSER | CLONE_NEWNET);
}

static bool own_mount(void)
{
	return attack_own_user(CLONE_NEWUSER | CLONE_NEWNS) &&
	       mount("x", "/tmp", "tmpfs", 0, NULL) == 0;
}

static bool own_mount_by_fd(void)
{
	return attack_own_user(CLONE_NEWUSER | CLONE_NEWNS) &&
	       syscall(NR_FSOPEN, "tmpfs", 0) >= 0;
}

static bool own_tree(void)
{
	return attack_own_user(CLONE_NEWUSER | CLONE_NEWNS) &&
	       syscall(NR_OPEN_TREE, AT_FDCWD, "/",
		       0x8001 /* clone, recursive */) >= 0;
}

static bool own_root(void)
{
	return attack_own_user(CLONE_NEWUSER) && chroot("/tmp") == 0;
}

/*** Kernel interfaces ***/

static bool has_socket(long family, long type, long protocol)
{
	return syscall(SYS_socket, family, type, protocol) >= 0;
}

static bool socket_alg(void)
{
	return has_socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static bool socket_alg_high(void)
{
	return has_socket((long)(HIGH | AF_ALG), SOCK_SEQPACKET, 0);
}

static bool socket_vsock(void)
{
	return has_socket(AF_VSOCK, SOCK_STREAM, 0);
}

static bool socket_udplite(void)
{
	return has_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
}

static bool socket_diag(void)
{
	return has_socket(AF_NETLINK, SOCK_RAW, 4 /* SOCK_DIAG */);
}

static bool socket_uevent(void)
{
	return has_socket(AF_NETLINK, SOCK_RAW, 15 /* KOBJECT_UEVENT */);
}

/* Does it get as far as the module, or to the loading of it?  EPERM is what the
 * filter says. */
static bool module_answers(unsigned long request)
{
	char buf[4096] = { 0 };

	return ioctl(socket(AF_UNIX, SOCK_DGRAM, 0), request, buf) >= 0 ||
	       errno != EPERM;
}

static bool module_bridge(void)
{
	return module_answers(SIOCGIFBR);
}

static bool module_vlan(void)
{
	return module_answers(HIGH | SIOCGIFVLAN);
}

/* One number is for the whole machine: fs.aio-max-nr. */
static bool call_aio(void)
{
	aio_context_t context = 0;

	return syscall(SYS_io_setup, 1, &context) == 0;
}

/* One pool is for the whole machine: vm.nr_hugepages.  NORESERVE: it may be
 * empty. */
static bool memory_huge(void)
{
	return mmap(NULL, 2 << 20, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_HUGETLB,
		    -1, 0) != MAP_FAILED;
}

static bool memory_huge_file(void)
{
	return syscall(SYS_memfd_create, "x", HIGH | MFD_HUGETLB) >= 0;
}

static bool call_bpf(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY,
				.key_size = 4,
				.value_size = 4,
				.max_entries = 1 };

	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)) >= 0;
}

static bool call_perf(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = PERF_COUNT_SW_TASK_CLOCK,
					.exclude_kernel = 1 };

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) >= 0;
}

static bool call_userfault(void)
{
	return syscall(SYS_userfaultfd, 1 /* user mode only */) >= 0;
}

static bool call_uring(void)
{
	struct io_uring_params params = { 0 };

	return syscall(NR_IO_URING, 1, &params) >= 0;
}

static bool call_keyring(void)
{
	return syscall(SYS_add_key, "user", "x", "y", 1, -3) > 0;
}

static bool call_handle(void)
{
	struct {
		struct file_handle head;
		char room[128];
	} handle = { .head.handle_bytes = 128 };
	int mount_id;

	return name_to_handle_at(AT_FDCWD, "/tmp", &handle.head, &mount_id,
				 0) == 0;
}

static bool call_vmsplice(void)
{
	char byte = 'x';
	struct iovec part = { &byte, 1 };
	int ends[2];

	return pipe(ends) == 0 && vmsplice(ends[1], &part, 1, 0) == 1;
}

static bool call_personality(void)
{
	return personality(ADDR_NO_RANDOMIZE) >= 0;
}

static bool call_secret_memory(void)
{
	return syscall(NR_MEMFD_SECRET, 0) >= 0;
}

/* A child that waits, for those who look into processes. */
static pid_t victim(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(10);
		pause();
		_exit(0);
	}
	return pid;
}

static bool call_ptrace(void)
{
	pid_t pid = victim();
	bool ran = ptrace(PTRACE_SEIZE, pid, 0, 0) == 0;

	kill(pid, SIGKILL);
	return ran;
}

static bool call_read_process(void)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { (void *)&call_ptrace, 1 };
	pid_t pid = victim();
	bool ran = process_vm_readv(pid, &to, 1, &from, 1, 0) == 1;

	kill(pid, SIGKILL);
	return ran;
}

static bool call_take_descriptor(void)
{
	pid_t pid = victim();
	long fd = syscall(NR_PIDFD_OPEN, pid, 0);
	bool ran = syscall(NR_PIDFD_GETFD, fd, 0, 0) >= 0;

	kill(pid, SIGKILL);
	return ran;
}

static bool call_compare(void)
{
	return syscall(SYS_kcmp, getpid(), getpid(), 2, 0, 0) >= 0;
}

#if defined(__x86_64__)
static bool other_abi_32(void)
{
	long pid = 20; /* getpid */

	__asm__ volatile("int $0x80" : "+a"(pid) : : "memory");
	return pid == getpid();
}
#endif

/*** PID 1, of the same uid ***/

static bool opens(const char *path, int flags)
{
	return open(path, flags) >= 0;
}

static bool init_memory(void)
{
	return opens("/proc/1/mem", O_RDWR);
}

static bool init_environment(void)
{
	return opens("/proc/1/environ", O_RDONLY);
}

static bool init_program(void)
{
	char buf[256];

	return readlink("/proc/1/exe", buf, sizeof(buf)) > 0;
}

static bool init_descriptors(void)
{
	char buf[256];

	return readlink("/proc/1/fd/0", buf, sizeof(buf)) > 0;
}

static bool init_root(void)
{
	return opens("/proc/1/root/etc", O_RDONLY);
}

static bool init_namespace(void)
{
	return opens("/proc/1/ns/mnt", O_RDONLY);
}

static bool init_limits(void)
{
	struct rlimit limit;

	return prlimit(1, RLIMIT_NOFILE, NULL, &limit) == 0 &&
	       prlimit(1, RLIMIT_NOFILE, &limit, NULL) == 0;
}

static bool init_traced(void)
{
	return ptrace(PTRACE_SEIZE, 1, 0, 0) == 0;
}

static bool init_signal(void)
{
	return kill(1, SIGUSR1) == 0;
}

/*** The host's kernel, as /proc shows it ***/

static bool shows(const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY);

	return fd >= 0 && read(fd, &byte, 1) == 1;
}

static bool proc_symbols(void)
{
	return shows("/proc/kallsyms");
}

static bool proc_command_line(void)
{
	return shows("/proc/cmdline");
}

static bool proc_interrupts(void)
{
	return shows("/proc/interrupts");
}

static bool proc_disks(void)
{
	return shows("/proc/diskstats");
}

static bool proc_key_users(void)
{
	return shows("/proc/key-users");
}

/* Has the kernel watch the whole machine for as long as this is open. */
static bool proc_pressure(void)
{
	static const char trigger[] = "some 500000 2000000";
	int fd = open("/proc/pressure/cpu", O_RDWR);

	return fd >= 0 &&
	       write(fd, trigger, sizeof(trigger)) == sizeof(trigger);
}

/*** The terminal ***/

static bool type_into(unsigned long request)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), unlock = 0, slave;
	char key = 'x';

	setsid();
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return false;
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	return slave >= 0 && ioctl(slave, TIOCSCTTY, 0) == 0 &&
	       syscall(SYS_ioctl, slave, request, &key) == 0;
}

static bool terminal_input(void)
{
	return type_into(TIOCSTI);
}

static bool terminal_input_high(void)
{
	return type_into(HIGH | TIOCSTI);
}

/*** A tree that is shown read-only, whose modes let everybody write ***/

static bool shown_write(void)
{
	int fd = open("/shown/write", O_WRONLY | O_APPEND);

	return fd >= 0 && write(fd, "x", 1) == 1;
}

static bool shown_truncate(void)
{
	return truncate("/shown/truncate", 0) == 0;
}

static bool shown_create(void)
{
	return open("/shown/created", O_CREAT | O_EXCL | O_WRONLY, 0644) >= 0;
}

static bool shown_folder(void)
{
	return mkdir("/shown/folder", 0755) == 0;
}

static bool shown_link(void)
{
	return symlink("x", "/shown/link") == 0;
}

static bool shown_fifo(void)
{
	return mkfifo("/shown/fifo", 0644) == 0;
}

static bool shown_rename(void)
{
	return rename("/shown/rename", "/shown/renamed") == 0;
}

static bool shown_remove(void)
{
	return unlink("/shown/remove") == 0;
}

static const struct attack attacks[] = {
	{ "own-user", own_user },
	{ "own-user-by-clone", own_user_by_clone },
	{ "own-user-by-clone3", own_user_by_clone3 },
	{ "own-network", own_network },
	{ "own-mount", own_mount },
	{ "own-mount-by-fd", own_mount_by_fd },
	{ "own-tree", own_tree },
	{ "own-root", own_root },
	{ "socket-alg", socket_alg },
	{ "socket-alg-high", socket_alg_high },
	{ "socket-vsock", socket_vsock },
	{ "socket-udplite", socket_udplite },
	{ "socket-diag", socket_diag },
	{ "socket-uevent", socket_uevent },
	{ "call-bpf", call_bpf },
	{ "call-perf", call_perf },
	{ "call-userfault", call_userfault },
	{ "call-io-uring", call_uring },
	{ "call-aio", call_aio },
	{ "memory-huge", memory_huge },
	{ "memory-huge-file", memory_huge_file },
	{ "module-bridge", module_bridge },
	{ "module-vlan", module_vlan },
	{ "call-keyring", call_keyring },
	{ "call-handle", call_handle },
	{ "call-vmsplice", call_vmsplice },
	{ "call-personality", call_personality },
	{ "call-secret-memory", call_secret_memory },
	{ "call-ptrace", call_ptrace },
	{ "call-read-process", call_read_process },
	{ "call-take-descriptor", call_take_descriptor },
	{ "call-compare", call_compare },
#if defined(__x86_64__)
	{ "other-abi-32", other_abi_32 },
#endif
	{ "init-memory", init_memory },
	{ "init-environment", init_environment },
	{ "init-program", init_program },
	{ "init-descriptors", init_descriptors },
	{ "init-root", init_root },
	{ "init-namespace", init_namespace },
	{ "init-limits", init_limits },
	{ "init-traced", init_traced },
	{ "init-signal", init_signal },
	{ "proc-symbols", proc_symbols },
	{ "proc-command-line", proc_command_line },
	{ "proc-interrupts", proc_interrupts },
	{ "proc-disks", proc_disks },
	{ "proc-key-users", proc_key_users },
	{ "proc-pressure", proc_pressure },
	{ "terminal-input", terminal_input },
	{ "terminal-input-high", terminal_input_high },
	{ "shown-write", shown_write },
	{ "shown-truncate", shown_truncate },
	{ "shown-create", shown_create },
	{ "shown-folder", shown_folder },
	{ "shown-link", shown_link },
	{ "shown-fifo", shown_fifo },
	{ "shown-rename", shown_rename },
	{ "shown-remove", shown_remove },
};

int main(void)
{
	attack_all(attacks, COUNT(attacks));
	return 0;
}
