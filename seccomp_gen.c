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

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seccomp_rows.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define SPANS_MAX 512

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

/* A test, and what brings its word into the accumulator. */
struct node {
	size_t load;   /* 0: it is there */
	uint32_t mask; /* 0: it is to be compared as it is */
	uint16_t test;
	uint32_t k;
	unsigned yes;
	unsigned no;
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
	struct {
		struct node node;
		unsigned label;
	} nodes[1024];
	unsigned n_nodes;
	struct span spans[SPANS_MAX];
	unsigned n_spans;
	uint32_t numbers; /* of calls that we know: they are below */
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

static bool same_node(const struct node *a, const struct node *b)
{
	return a->load == b->load && a->mask == b->mask && a->test == b->test &&
	       a->k == b->k && a->yes == b->yes && a->no == b->no;
}

/* Once for all who need it, be it for another call. */
static unsigned put_node(struct program *p, const struct node *node)
{
	unsigned label;

	for (unsigned i = 0; i < p->n_nodes; i++)
		if (same_node(&p->nodes[i].node, node))
			return p->nodes[i].label;
	if (p->n_nodes == COUNT(p->nodes))
		die("too many tests", "table");
	label = branch(p, node->test, node->k, node->yes, node->no);
	if (node->mask)
		label = put(p, BPF_ALU | BPF_AND | BPF_K, node->mask, 0, 0);
	if (node->load)
		label = load(p, node->load);
	p->nodes[p->n_nodes].node = *node;
	p->nodes[p->n_nodes++].label = label;
	return label;
}

static int number(const struct row *row, const struct arch *arch)
{
	int nr = row->nr;

	if (row->arch && row->arch != arch->audit)
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

/*** One call: its rows as a decision ***/

/* (word & mask) == value, of a word of the arguments. */
struct test {
	size_t offset;
	uint32_t mask;
	uint32_t value;
};

/* On the way to an instruction: what the tests before it said, and which word
 * the accumulator holds, as far as a mask has left it whole. */
struct way {
	struct {
		struct test test;
		bool holds;
	} known[32];
	size_t n_known;
	size_t held;
	uint32_t whole;
};

/* The tests of a row, and whether they are to hold. */
static size_t tests_of(const struct row *row, struct test tests[static 4],
		       bool want[static 4])
{
	size_t n = 0;

	for (size_t i = 0; i < COUNT(row->cond) && row->cond[i].used; i++) {
		const struct condition *c = &row->cond[i];
		/* Both machines are little endian: the low half is first. */
		size_t at = offsetof(struct seccomp_data, args) +
			    (size_t)c->arg * sizeof(uint64_t);

		want[n] = !c->any;
		tests[n++] = (struct test){ at, c->mask, c->value };
		if (!c->wide)
			continue;
		want[n] = true;
		tests[n++] = (struct test){ at + sizeof(uint32_t), c->mask, 0 };
	}
	return n;
}

enum answer { OPEN, YES, NO };

static enum answer answer_by(const struct test *known, bool holds,
			     const struct test *t)
{
	uint32_t both = known->mask & t->mask;

	if (known->offset != t->offset)
		return OPEN;
	if (!holds)
		return both == known->mask && (t->value & both) == known->value
			   ? NO
			   : OPEN;
	if ((known->value ^ t->value) & both)
		return NO;
	return both == t->mask ? YES : OPEN;
}

static enum answer answer_of(const struct way *way, const struct test *t)
{
	enum answer answer = OPEN;

	for (size_t i = 0; i < way->n_known && answer == OPEN; i++)
		answer = answer_by(&way->known[i].test, way->known[i].holds, t);
	return answer;
}

static void learn(struct way *way, const struct test *t, bool holds)
{
	if (way->n_known == COUNT(way->known))
		die("too many conditions of one call", "table");
	way->known[way->n_known].test = *t;
	way->known[way->n_known++].holds = holds;
}

/* What the accumulator needs for a test: nothing, where the one before it was of
 * the same word, and of no fewer of its bits. */
static struct node plan_node(struct way *way, const struct test *t)
{
	struct node node = { .test = BPF_JEQ, .k = t->value };

	if (way->held != t->offset || t->mask & ~way->whole) {
		node.load = t->offset;
		way->held = t->offset;
		way->whole = 0xffffffff;
	}
	if (t->mask != way->whole && t->value == 0) {
		node.test = BPF_JSET;
		node.k = t->mask;
	} else if (t->mask != way->whole) {
		node.mask = t->mask;
		way->whole = t->mask;
	}
	return node;
}

/*
 * From this row on, with its first tests passed.  What is known already is not
 * tested again: `socket` is asked for its family once, whatever the rows say.
 */
static unsigned decide(struct program *p, const struct row *row, size_t passed,
		       struct way way)
{
	struct test tests[4];
	bool want[4];
	size_t n = tests_of(row, tests, want);
	enum answer answer = OPEN;
	struct way ways[2];
	struct node node;

	for (; passed < n; passed++) {
		answer = answer_of(&way, &tests[passed]);
		if (answer != (want[passed] ? YES : NO))
			break;
	}
	if (passed == n)
		return verdict(p, row);
	if (answer != OPEN)
		return decide(p, row + 1, 0, way);
	node = plan_node(&way, &tests[passed]);
	for (int holds = 0; holds < 2; holds++) {
		/* JSET jumps where it does not hold. */
		bool jumps = holds == (node.test == BPF_JEQ);
		unsigned *to = jumps ? &node.yes : &node.no;

		ways[holds] = way;
		learn(&ways[holds], &tests[passed], holds);
		*to = holds == want[passed]
			  ? decide(p, row, passed + 1, ways[holds])
			  : decide(p, row + 1, 0, ways[holds]);
	}
	return put_node(p, &node);
}

static unsigned put_rows(struct program *p, const struct row *rows_of, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (rows_of[i].cond[0].used == (i == n - 1))
			die("the last row, and no other, has no condition",
			    rows_of->name);
	return decide(p, rows_of, 0, (struct way){ 0 });
}

/*** All calls ***/

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
	p->numbers = next;
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

/*** The search for a number ***/

/*
 * A start pays for it twice: the kernel checks, converts and compiles each
 * instruction (0.3 us), and follows each number through the program (6 ns a
 * step), to know those that it need not be run for.  All in steps, to find the
 * cheapest of all trees.
 */
#define INSTRUCTION 50

/* A call whose arguments are looked at runs the program each time, besides. */
#define ASKED 8

/* The spans from the first index to before the second. */
static struct tree {
	uint64_t weight; /* what passes here */
	uint64_t cost;
	unsigned split; /* those from here on are apart; 0: nothing is split */
	unsigned rest;  /* what differs from this one is picked out */
} trees[SPANS_MAX][SPANS_MAX + 1];

static bool is_return(const struct program *p, unsigned label)
{
	for (unsigned i = 0; i < p->n_returns; i++)
		if (p->returns[i].label == label)
			return true;
	return false;
}

static uint64_t weight_of(const struct program *p, unsigned i)
{
	uint32_t from = p->spans[i].from;
	uint32_t to = i + 1 < p->n_spans ? p->spans[i + 1].from : UINT32_MAX;

	if (from >= p->numbers)
		return 0;
	return (to < p->numbers ? to : p->numbers) - from +
	       (is_return(p, p->spans[i].label) ? 0 : ASKED);
}

static bool is_single(const struct program *p, unsigned i)
{
	return p->spans[i].from == UINT32_MAX ||
	       (i + 1 < p->n_spans &&
		p->spans[i + 1].from == p->spans[i].from + 1);
}

/* How many are to be picked out so that only those like `rest` are left; 0: it
 * cannot be, one of the others is more than a number. */
static unsigned picks(const struct program *p, unsigned lo, unsigned hi,
		      unsigned rest)
{
	unsigned n = 0;

	for (unsigned i = lo; i < hi; i++) {
		if (p->spans[i].label == p->spans[rest].label)
			continue;
		if (!is_single(p, i))
			return 0;
		n++;
	}
	return n;
}

static void improve(struct tree *tree, uint64_t cost, unsigned split,
		    unsigned rest)
{
	if (cost >= tree->cost)
		return;
	tree->cost = cost;
	tree->split = split;
	tree->rest = rest;
}

static void plan_tree(const struct program *p, unsigned lo, unsigned hi)
{
	struct tree *tree = &trees[lo][hi];
	uint64_t test = INSTRUCTION + (tree->weight = trees[lo][hi - 1].weight +
						      weight_of(p, hi - 1));

	tree->cost = UINT64_MAX;
	for (unsigned i = lo; i < hi && i < lo + 2; i++) {
		unsigned n = picks(p, lo, hi, i);

		if (n)
			improve(tree, n * test, 0, i);
	}
	for (unsigned i = lo + 1; i < hi; i++)
		improve(tree, test + trees[lo][i].cost + trees[i][hi].cost, i,
			0);
}

static void plan_search(const struct program *p)
{
	for (unsigned lo = 0; lo < p->n_spans; lo++)
		trees[lo][lo + 1] = (struct tree){ weight_of(p, lo), 0, 0, lo };
	for (unsigned len = 2; len <= p->n_spans; len++)
		for (unsigned lo = 0; lo + len <= p->n_spans; lo++)
			plan_tree(p, lo, lo + len);
}

static unsigned put_search(struct program *p, unsigned lo, unsigned hi)
{
	const struct tree *tree = &trees[lo][hi];
	unsigned label = p->spans[tree->rest].label, above;

	if (tree->split) {
		above = put_search(p, tree->split, hi);
		label = put_search(p, lo, tree->split);
		return branch(p, BPF_JGE, p->spans[tree->split].from, above,
			      label);
	}
	for (unsigned i = lo; i < hi; i++)
		if (p->spans[i].label != p->spans[tree->rest].label)
			label = branch(p, BPF_JEQ, p->spans[i].from,
				       p->spans[i].label, label);
	return label;
}

static void compile(struct program *p, const struct arch *arch)
{
	unsigned ours;

	returning(p, SECCOMP_RET_ALLOW);
	put_calls(p, arch);
	close_spans(p, arch);
	plan_search(p);
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

/* Of each row, for the test; -1: this architecture has none. */
static void print_numbers(const struct arch *arch)
{
	printf("\nstatic const int numbers_%s[] = {\n", arch->name);
	for (size_t i = 0; i < COUNT(rows); i++)
		printf("\t%d,\n", number(&rows[i], arch));
	printf("};\n");
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
	print_numbers(arch);
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
