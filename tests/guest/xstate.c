/* SPDX-License-Identifier: MIT */

/*
 * Preloaded into User-Mode Linux.  Its kernel keeps the vector registers of a
 * process in a buffer that was sized before AMX; a processor that has AMX needs
 * 8 KiB more, the host then refuses to set a part of them (EFAULT), and the
 * guest's init dies of it.  Here the part is laid over what the process has.
 */

#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define XSTATE_MAX 65536

static char whole[XSTATE_MAX];

static long xstate(int request, pid_t pid, struct iovec *part)
{
	struct iovec all = { whole, sizeof(whole) };

	if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &all) < 0)
		return -1;
	if (part->iov_len > all.iov_len)
		part->iov_len = all.iov_len;
	if (request == PTRACE_GETREGSET) {
		memcpy(part->iov_base, whole, part->iov_len);
		return 0;
	}
	memcpy(whole, part->iov_base, part->iov_len);
	return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &all);
}

/* As glibc declares it. */
long ptrace(enum __ptrace_request request, ...)
{
	va_list ap;
	long value = 0, result;
	pid_t pid;
	void *addr, *data;

	va_start(ap, request);
	pid = va_arg(ap, pid_t);
	addr = va_arg(ap, void *);
	data = va_arg(ap, void *);
	va_end(ap);
	if ((request == PTRACE_GETREGSET || request == PTRACE_SETREGSET) &&
	    addr == (void *)NT_X86_XSTATE)
		return xstate((int)request, pid, data);
	/* The system call stores what a peek reads, glibc's wrapper returns
	 * it. */
	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA ||
	    request == PTRACE_PEEKUSER)
		data = &value;
	result = syscall(SYS_ptrace, request, pid, addr, data);
	return result < 0 || data != &value ? result : value;
}
