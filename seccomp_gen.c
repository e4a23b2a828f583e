/* SPDX-License-Identifier: MIT */

/*
 * Build tool: seccomp_table.h to BPF, for every architecture we support, as C
 * source on stdout (build/seccomp_filter.inc).
 *
 * libseccomp knows the numbers; the program is laid out here, because no rule
 * of libseccomp can say "these arguments, else EPERM" under another default,
 * and its merging of rules was wrong before 2.6.1 (GHSA-4q85-33p6-j5g6).
 *
 *     arch?  -> binary search of the number -> allow, ENOSYS, refuse
 *                                          \-> conditions of that call
 *
 * Two programs for each architecture: the default, and the floor below a
 * profile of the user's, which lets through whatever no row refuses for good.
 *
 * To refuse is SECCOMP_RET_USER_NOTIF with the error in the bits that the kernel
 * does not read; to allow and record is the same with 0 (seccomp.h).
 *
 * A BPF jump only goes forward, so the program is written from its end: what a
 * jump needs to know is there already.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/fscrypt.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* compat: newer than some headers */
#ifndef FS_IOC_ENABLE_VERITY
#define FS_IOC_ENABLE_VERITY 0x40806685
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

#define NEW_TIME 0x80 /* CLONE_NEWTIME; in clone() these bits are a signal */
#define NEW_NAMESPACES                                                         \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |         \
	 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

struct condition {
	bool used;
	bool any;  /* some bit of the mask, not (argument & mask) == value */
	bool wide; /* all 64 bits, a pointer: NULL */
	int arg;
	uint32_t mask;
	uint32_t value;
};

struct row {
	const char *name;
	int nr;        /* -1: libseccomp knows */
	uint32_t arch; /* 0: all */
	bool soft;     /* not in the floor */
	uint32_t action;
	struct condition cond[2];
};

/* The table's words. */
#define E(error)    (SECCOMP_RET_ERRNO | (error))
#define TELL(error) (SECCOMP_RET_USER_NOTIF | (error))
#define IS(a, v)                                                               \
	{                                                                      \
		true, .arg = (a), .mask = 0xffffffff, .value = (v)             \
	}
#define BITS(a, m, v)                                                          \
	{                                                                      \
		true, .arg = (a), .mask = (m), .value = (v)                    \
	}
#define BITS_ANY(a, m)                                                         \
	{                                                                      \
		true, .any = true, .arg = (a), .mask = (m)                     \
	}
#define IS_NULL(a)                                                             \
	{                                                                      \
		true, .wide = true, .arg = (a), .mask = 0xffffffff             \
	}
#define BOTH(one, two) one, two
#define ROW(name, nr, arch, soft, action, ...)                                 \
	{ #name, nr, arch, soft, action, { __VA_ARGS__ } },
#define ALLOW(name)        ROW(name, -1, 0, false, SECCOMP_RET_ALLOW)
#define ALLOW_NR(name, nr) ROW(name, nr, 0, false, SECCOMP_RET_ALLOW)
#define ALLOW_X86_64(name, nr)                                                 \
	ROW(name, nr, SCMP_ARCH_X86_64, false, SECCOMP_RET_ALLOW)
#define ALLOW_IF(name, ...)                                                    \
	ROW(name, -1, 0, false, SECCOMP_RET_ALLOW, __VA_ARGS__)
#define ASK(name)                ROW(name, -1, 0, false, TELL(0))
#define ABSENT(name)             ROW(name, -1, 0, false, E(ENOSYS))
#define PRETEND_IF(name, ...)    ROW(name, -1, 0, false, E(0), __VA_ARGS__)
#define DENY(error, name)        ROW(name, -1, 0, false, TELL(error))
#define DENY_NR(error, name, nr) ROW(name, nr, 0, false, TELL(error))
#define DENY_IF(error, name, ...)                                              \
	ROW(name, -1, 0, false, TELL(error), __VA_ARGS__)
#define DENY_SOFT(error, name)        ROW(name, -1, 0, true, TELL(error))
#define DENY_SOFT_NR(error, name, nr) ROW(name, nr, 0, true, TELL(error))
#define DENY_QUIETLY(error, name)     ROW(name, -1, 0, true, E(error))

static const struct row rows[] = {
#include "seccomp_table.h"
};

static const struct arch {
	const char *name;
	const char *macro;
	uint32_t scmp;
	uint32_t audit;
	bool
	    x32; /* numbers from 1 << 30 on are another ABI under the same arch */
} arches[] = {
	{ "x86_64", "__x86_64__", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, true },
	{ "aarch64", "__aarch64__", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64 },
};

/* From this number on, up to the next span, go to `label`. */
struct span {
	uint32_t from;
	unsigned label;
};

/* A program under construction, last instruction first; a label is the index
 * of an instruction in this order, and jumps go to lower ones. */
struct program {
	struct sock_filter code[4096];
	unsigned n;
	struct {
		uint32_t action;
		unsigned label;
	} returns[16];
	unsigned n_returns;
	struct span spans[1024];
	unsigned n_spans;
	bool floor;
};

static void die(const char *what, const char *name)
{
	fprintf(stderr, "seccomp_gen: %s: %s\n", name, what);
	exit(1);
}

static unsigned put(struct program *p, uint16_t code, uint32_t k, unsigned jt,
		    unsigned jf)
{
	if (p->n == COUNT(p->code) || jt > 255 || jf > 255)
		die("program too long", "bpf");
	p->code[p->n] = (struct sock_filter){ code, (uint8_t)jt, (uint8_t)jf,
					      k };
	return p->n++;
}

/* A label that an instruction placed at most `ahead` later can reach: itself,
 * or a jump to it (a conditional jump spans 255 instructions). */
static unsigned reachable(struct program *p, unsigned label, unsigned ahead)
{
	if (p->n + ahead - label <= 255)
		return label;
	return put(p, BPF_JMP | BPF_JA, p->n - label - 1, 0, 0);
}

static unsigned branch(struct program *p, uint16_t test, uint32_t k,
		       unsigned yes, unsigned no)
{
	yes = reachable(p, yes, 2);
	no = reachable(p, no, 1);
	return put(p, BPF_JMP | test | BPF_K, k, p->n - yes - 1, p->n - no - 1);
}

static unsigned load(struct program *p, size_t offset)
{
	return put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static unsigned returning(struct program *p, uint32_t action)
{
	for (unsigned i = 0; i < p->n_returns; i++)
		if (p->returns[i].action == action)
			return p->returns[i].label;
	if (p->n_returns == COUNT(p->returns))
		die("too many different actions", "table");
	p->returns[p->n_returns].action = action;
	p->returns[p->n_returns].label = put(p, BPF_RET | BPF_K, action, 0, 0);
	return p->returns[p->n_returns++].label;
}

static unsigned test_half(struct program *p, const struct condition *c,
			  size_t offset, unsigned yes, unsigned no)
{
	if (c->any) {
		branch(p, BPF_JSET, c->mask, yes, no);
	} else {
		branch(p, BPF_JEQ, c->value, yes, no);
		if (c->mask != 0xffffffff)
			put(p, BPF_ALU | BPF_AND | BPF_K, c->mask, 0, 0);
	}
	return load(p, offset);
}

static unsigned test_condition(struct program *p, const struct condition *c,
			       unsigned yes, unsigned no)
{
	/* The low half of the argument: both machines are little endian. */
	size_t low = offsetof(struct seccomp_data, args) +
		     (size_t)c->arg * sizeof(uint64_t);

	yes = test_half(p, c, low, yes, no);
	return c->wide ? test_half(p, c, low + sizeof(uint32_t), yes, no) : yes;
}

static int number(const struct row *row, const struct arch *arch)
{
	int nr = row->nr;

	if (row->arch && row->arch != arch->scmp)
		return -1;
	if (nr >= 0)
		return nr;
	nr = seccomp_syscall_resolve_name_arch(arch->scmp, row->name);
	if (nr == __NR_SCMP_ERROR)
		die("unknown system call", row->name);
	/* A negative number stands for a call this architecture has not. */
	return nr < 0 ? -1 : nr;
}

static unsigned verdict(struct program *p, const struct row *row)
{
	bool waived = p->floor && row->soft;

	return returning(p, waived ? SECCOMP_RET_ALLOW : row->action);
}

/* All rows of one call, written from the last one up. */
static unsigned put_rows(struct program *p, const struct row *first, size_t n)
{
	unsigned label = verdict(p, &first[n - 1]);

	if (first[n - 1].cond[0].used)
		die("the last row has a condition", first->name);
	for (size_t i = n - 1; i-- > 0;) {
		const struct condition *c = first[i].cond;
		unsigned otherwise = label;
		unsigned yes = verdict(p, &first[i]);

		if (!c[0].used)
			die("rows after one without condition", first->name);
		if (c[1].used)
			yes = test_condition(p, &c[1], yes, otherwise);
		label = test_condition(p, &c[0], yes, otherwise);
	}
	return label;
}

static void add_span(struct program *p, uint32_t from, unsigned label)
{
	if (p->n_spans == COUNT(p->spans))
		die("too many system calls", "table");
	p->spans[p->n_spans++] = (struct span){ from, label };
}

static int compare_spans(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

static void put_calls(struct program *p, const struct arch *arch)
{
	size_t n;

	for (size_t i = 0; i < COUNT(rows); i += n) {
		int nr = number(&rows[i], arch);

		for (n = 1; i + n < COUNT(rows); n++)
			if (strcmp(rows[i].name, rows[i + n].name) != 0)
				break;
		if (nr >= 0)
			add_span(p, (uint32_t)nr, put_rows(p, &rows[i], n));
	}
	qsort(p->spans, p->n_spans, sizeof(p->spans[0]), compare_spans);
	for (unsigned i = 1; i < p->n_spans; i++)
		if (p->spans[i].from == p->spans[i - 1].from)
			die("two places in the table", "a system call");
}

/* Fills the gaps with the default and joins neighbours that go the same way. */
static void close_spans(struct program *p, const struct arch *arch)
{
	static struct span out[2 * COUNT(p->spans)];
	unsigned absent = returning(p, E(ENOSYS));
	unsigned other = p->floor ? returning(p, SECCOMP_RET_ALLOW) : absent;
	uint32_t next = 0;
	size_t n = 0;

	for (unsigned i = 0; i < p->n_spans; i++) {
		if (p->spans[i].from > next)
			out[n++] = (struct span){ next, other };
		out[n++] = p->spans[i];
		next = p->spans[i].from + 1;
	}
	out[n++] = (struct span){ next, other };
	if (arch->x32) {
		out[n++] = (struct span){
			0x40000000, returning(p, SECCOMP_RET_KILL_PROCESS)
		};
		/* -1 is what a tracer writes to skip a call; not x32's. */
		out[n++] = (struct span){ 0xffffffff, absent };
	}
	p->n_spans = 0;
	for (size_t i = 0; i < n; i++)
		if (!i || out[i].label != p->spans[p->n_spans - 1].label)
			add_span(p, out[i].from, out[i].label);
}

static unsigned put_search(struct program *p, unsigned lo, unsigned hi)
{
	unsigned mid = lo + (hi - lo) / 2, below, above;

	if (hi - lo == 1)
		return p->spans[lo].label;
	above = put_search(p, mid, hi);
	below = put_search(p, lo, mid);
	return branch(p, BPF_JGE, p->spans[mid].from, above, below);
}

static void compile(struct program *p, const struct arch *arch)
{
	unsigned ours;

	returning(p, SECCOMP_RET_ALLOW);
	put_calls(p, arch);
	close_spans(p, arch);
	put_search(p, 0, p->n_spans);
	ours = load(p, offsetof(struct seccomp_data, nr));
	branch(p, BPF_JEQ, arch->audit, ours,
	       returning(p, SECCOMP_RET_KILL_PROCESS));
	load(p, offsetof(struct seccomp_data, arch));
}

static void print(const struct program *p, const struct arch *arch)
{
	printf("\nstatic const struct sock_filter %s_%s[] = {\n",
	       p->floor ? "floor" : "filter", arch->name);
	for (unsigned i = p->n; i-- > 0;)
		printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", p->code[i].code,
		       p->code[i].jt, p->code[i].jf, p->code[i].k);
	printf("};\n");
}

/* The names of what is refused and recorded, for the record: " 165:mount ...".
 * One string: an array would take three times the room. */
static void print_names(const struct arch *arch)
{
	const char *before = "";

	printf("\n#define NAMES_%s \\\n\t\" ", arch->name);
	for (size_t i = 0; i < COUNT(rows); i++) {
		int nr = number(&rows[i], arch);

		if (nr < 0 || rows[i].action == SECCOMP_RET_ALLOW ||
		    strcmp(rows[i].name, before) == 0)
			continue;
		before = rows[i].name;
		printf("%d:%s ", nr, before);
	}
	printf("\"\n");
}

static void print_arch(const struct arch *arch)
{
	static struct program programs[2];

	for (size_t i = 0; i < COUNT(programs); i++) {
		programs[i] = (struct program){ .floor = i == 1 };
		compile(&programs[i], arch);
		print(&programs[i], arch);
	}
	print_names(arch);
}

int main(void)
{
	printf("/* Made from seccomp_table.h by seccomp_gen.c. */\n");
	for (size_t i = 0; i < COUNT(arches); i++)
		print_arch(&arches[i]);
	for (size_t i = 0; i < COUNT(arches); i++)
		printf("\n#%s defined(%s)\n#define FILTER filter_%s\n"
		       "#define FLOOR floor_%s\n#define NAMES NAMES_%s\n"
		       "#define FILTER_ARCH \"%s\"\n"
		       "#define FILTER_AUDIT_ARCH 0x%08x\n",
		       i ? "elif" : "if", arches[i].macro, arches[i].name,
		       arches[i].name, arches[i].name, arches[i].name,
		       arches[i].audit);
	printf("#else\n#error \"no system call table for this machine\"\n"
	       "#endif\n");
	return fflush(stdout) || ferror(stdout);
}
