/* SPDX-License-Identifier: MIT */
/* What the relay has given up, by trying: first that each goes without that. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay_state.h"
#include "ruleset.h"
#include "tap.h"
#include "util.h"

#define AT(path) AT_FDCWD, (long)(path)

/* Calls, and the errno of each (0: none) before and after. */
static const struct {
	const char *what;
	long call[7];
	int before, after;
	bool files; /* Landlock's: without it as before */
} rows[] = {
	{ "another program", { SYS_execve, (long)"/" }, EACCES, EPERM },
	{ "a process", { SYS_clone, SIGCHLD }, 0, EPERM },
	{ "one by clone3", { SYS_clone3 }, EINVAL, ENOSYS },
	{ "a signal", { SYS_kill }, 0, EPERM },
	{ "another's memory", { SYS_ptrace, 0xffff }, ESRCH, EPERM },
	{ "other ids", { SYS_setresuid, -1, -1, -1 }, 0, EPERM },
	{ "its own state", { SYS_prctl, PR_GET_NAME }, EFAULT, EPERM },
	{ "its limits", { SYS_prlimit64, 0, RLIMIT_CORE }, 0, EPERM },
	{ "a namespace", { SYS_unshare }, 0, EPERM },
	{ "another's namespace", { SYS_setns, -1 }, EBADF, EPERM },
	{ "memory with a name", { SYS_memfd_create, (long)"" }, 0, EPERM },
	{ "code",
	  { SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1 },
	  0,
	  EPERM },
	{ "memory",
	  { SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1 },
	  0,
	  0 },
	{ "a socket", { SYS_socket, AF_INET, SOCK_STREAM }, 0, 0 },
	{ "a local one",
	  { SYS_socket, AF_UNIX, SOCK_STREAM },
	  0,
	  EAFNOSUPPORT },
	{ "to listen", { SYS_listen, -1 }, EBADF, EPERM },
	{ "a device's ear", { SYS_ioctl, 1, FIOCLEX }, 0, ENOTTY },
	{ "to write", { SYS_openat, AT("/dev/null"), O_WRONLY }, 0, EACCES },
	{ "to make a file",
	  { SYS_openat, AT("/dev/shm"), O_TMPFILE | O_RDWR, 0600 },
	  0,
	  EACCES },
	{ "to make a folder", { SYS_mkdirat, AT("/") }, EEXIST, EPERM },
	{ "to remove", { SYS_unlinkat, AT("/none/x") }, ENOENT, EPERM },
	{ "to rename",
	  { SYS_renameat2, AT("/none/x"), AT("/none/y") },
	  ENOENT,
	  EPERM },
	{ "to read a file",
	  { SYS_openat, AT("/etc/passwd") },
	  0,
	  EACCES,
	  true },
	{ "to read a folder",
	  { SYS_openat, AT("/"), O_DIRECTORY },
	  0,
	  EACCES,
	  true },
	{ "the resolver's files", { SYS_openat, AT("/etc/hosts") }, 0, 0 },
};

#define ROWS ARRAY_SIZE(rows)

static int attempt(const long c[7])
{
	long rc = syscall(c[0], c[1], c[2], c[3], c[4], c[5], c[6]);

	if (c[0] == SYS_clone && rc == 0)
		_exit(0);
	return rc < 0 ? errno : 0;
}

/* A port of the host's: nobody but the relay's own peers may wait for anyone. */
static int take_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? errno : 0;
}

/* In a process that waits for the end of `go` when it has said all. */
static _Noreturn void try_all(bool confine, int said, int go)
{
	int results[ROWS + 1];
	char c;

	if (confine && (relay_drop_ids() < 0 || relay_confine() < 0))
		_exit(1);
	for (size_t i = 0; i < ROWS; i++)
		results[i] = attempt(rows[i].call);
	results[ROWS] = take_port();
	if (write(said, results, sizeof(results)) != sizeof(results) ||
	    read(go, &c, 1) != 0)
		_exit(2);
	_exit(0);
}

/* Who may not ask for another's limits may still read of them. */
static void check_limits(pid_t pid)
{
	static const struct {
		const char *name;
		unsigned long most;
	} limits[] = {
		{ "Max core file size", 1 },
		{ "Max file size", 0 },
		{ "Max locked memory", 0 },
		{ "Max msgqueue size", 0 },
		{ "Max data size", M9M_SANITIZED ? ULONG_MAX : 128 << 20 },
	};
	auto_free char *path = xasprintf("/proc/%d/limits", (int)pid);
	auto_free char *text = read_file(AT_FDCWD, path, 65536, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		const char *at = text ? strstr(text, limits[i].name) : NULL;
		unsigned long soft = ULONG_MAX, hard = ULONG_MAX;

		if (at)
			sscanf(at + strlen(limits[i].name), "%lu %lu", &soft,
			       &hard);
		ok(soft <= limits[i].most && hard <= limits[i].most, "%s: %lu",
		   limits[i].name, hard);
	}
}

static void check_tries(bool confine)
{
	int results[ROWS + 1], said[2], go[2], status;
	int version = ruleset_version();
	pid_t pid;

	if (pipe2(said, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
		exit(99);
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		try_all(confine, said[1], go[0]);
	}
	close(said[1]);
	if (!ok(read(said[0], results, sizeof(results)) == sizeof(results),
		confine ? "the relay tries all" : "somebody else does"))
		exit(1);
	if (confine)
		check_limits(pid);
	close(go[1]);
	ok(waitpid(pid, &status, 0) == pid && status == 0, "to the end");
	for (size_t i = 0; i < ROWS; i++) {
		bool closed = confine && (!rows[i].files || version > 0);
		int want = closed ? rows[i].after : rows[i].before;

		ok(results[i] == want, "%s: %s", rows[i].what,
		   results[i] ? strerror(results[i]) : "can be had");
	}
	ok(results[ROWS] == (confine && version >= 4 ? EACCES : 0),
	   "a port: %s",
	   results[ROWS] ? strerror(results[ROWS]) : "can be had");
	close(said[0]);
	close(go[0]);
}

/* Numbers of another table of calls are no way round. */
static void check_other_abi(void)
{
#ifdef __x86_64__
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (relay_drop_ids() < 0 || relay_confine() < 0)
			_exit(1);
		syscall(0x40000000 | SYS_getpid);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		exit(99);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
	   "a call of the x32 kind is the end: %x", status);
#endif
}

int main(void)
{
	check_tries(false);
	check_tries(true);
	check_other_abi();
	return done();
}
