/* SPDX-License-Identifier: MIT */
#include "seccomp_rows.h"

#include "seccomp.h"
#include "tests/tap.h"
#include "util.h"

#include "seccomp_filter.inc"

/*
 * The programs say what the rows say, read from the top: for every number, and
 * for each argument that the rows of a call look at every value at which one of
 * them could change its mind.  Those of both architectures, by interpreting
 * them.
 */

#define ARGS   6
#define VALUES 512

struct edges {
	uint64_t values[VALUES];
	size_t n;
};

/* A program, and the numbers of the rows on its architecture. */
struct side {
	const char *name;
	uint32_t arch;
	bool x32; /* numbers from 1 << 30 on are another ABI */
	bool floor;
	const int *numbers;
	struct seccomp_filter filter;
};

#define SIDE(name, arch, x32, floor, numbers, code)                            \
	{                                                                      \
		name, arch, x32, floor, numbers,                               \
		{                                                              \
			code, ARRAY_SIZE(code)                                 \
		}                                                              \
	}

static const struct side sides[] = {
	SIDE("x86_64", AUDIT_ARCH_X86_64, true, false, numbers_x86_64,
	     filter_x86_64),
	SIDE("x86_64, floor", AUDIT_ARCH_X86_64, true, true, numbers_x86_64,
	     floor_x86_64),
	SIDE("aarch64", AUDIT_ARCH_AARCH64, false, false, numbers_aarch64,
	     filter_aarch64),
	SIDE("aarch64, floor", AUDIT_ARCH_AARCH64, false, true, numbers_aarch64,
	     floor_aarch64),
};

static bool holds(const struct condition *c, const uint64_t args[static ARGS])
{
	uint64_t mask = c->wide ? UINT64_MAX : c->mask;
	uint64_t bits = args[c->arg] & mask;

	return !c->used || (c->any ? bits != 0 : bits == c->value);
}

static uint32_t by_rows(const struct side *side, const struct seccomp_data *d)
{
	uint32_t nr = (uint32_t)d->nr;

	if (d->arch != side->arch)
		return SECCOMP_RET_KILL_PROCESS;
	if (side->x32 && nr >= 0x40000000 && nr != 0xffffffff)
		return SECCOMP_RET_KILL_PROCESS;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];

		if (side->numbers[i] < 0 || side->numbers[i] != d->nr ||
		    !holds(&row->cond[0], (const uint64_t *)d->args) ||
		    !holds(&row->cond[1], (const uint64_t *)d->args))
			continue;
		return side->floor && row->soft ? SECCOMP_RET_ALLOW
						: row->action;
	}
	/* What -1 is to a tracer: no call. */
	if (side->floor && !(side->x32 && nr == 0xffffffff))
		return SECCOMP_RET_ALLOW;
	return SECCOMP_RET_ERRNO | ENOSYS;
}

static unsigned tried, wrong;

static void compare(const struct side *side, const struct seccomp_data *d)
{
	uint32_t is = seccomp_judge(&side->filter, d);
	uint32_t should_be = by_rows(side, d);

	tried++;
	if (is == should_be || wrong++ >= 10)
		return;
	printf("# %d(%#llx, %#llx, %#llx, %#llx): %#x, by the rows %#x\n",
	       d->nr, d->args[0], d->args[1], d->args[2], d->args[3], is,
	       should_be);
}

static void add_edge(struct edges *e, uint64_t value)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->values[i] == value)
			return;
	if (e->n < VALUES)
		e->values[e->n++] = value;
}

/* Around the value, in and beyond the mask, and with high bits set. */
static void add_edges(struct edges *e, const struct condition *c)
{
	const uint64_t value = c->value, outside = (uint32_t)~c->mask;
	const uint64_t edges[] = {
		value,           value + 1,          value - 1,
		value | outside, value ^ c->mask,    1ULL << 32 | value,
		c->mask,         c->mask & -c->mask, 1ULL << 63,
	};

	for (size_t i = 0; i < ARRAY_SIZE(edges); i++)
		add_edge(e, edges[i]);
}

/* Every combination, from this argument on. */
static void combine(const struct side *side, struct seccomp_data *d,
		    const struct edges edges[static ARGS], int arg)
{
	if (arg == ARGS) {
		compare(side, d);
		return;
	}
	for (size_t i = 0; i < edges[arg].n; i++) {
		d->args[arg] = edges[arg].values[i];
		combine(side, d, edges, arg + 1);
	}
}

static void try_number(const struct side *side, uint32_t arch, int nr)
{
	static struct edges edges[ARGS];
	struct seccomp_data d = { .nr = nr, .arch = arch };

	for (int i = 0; i < ARGS; i++) {
		edges[i].n = 0;
		add_edge(&edges[i], 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (int c = 0; c < 2; c++)
			if (side->numbers[i] == nr && rows[i].cond[c].used)
				add_edges(&edges[rows[i].cond[c].arg],
					  &rows[i].cond[c]);
	combine(side, &d, edges, 0);
}

static void try_side(const struct side *side)
{
	static const uint32_t others[] = { AUDIT_ARCH_I386, AUDIT_ARCH_ARM, 0 };
	static const int far[] = { 4096,       0x3fffffff, 0x40000000,
				   0x40000001, INT32_MAX,  INT32_MIN,
				   -2,         -1 };

	tried = wrong = 0;
	for (int nr = 0; nr < 1024; nr++) {
		try_number(side, side->arch, nr);
		for (size_t i = 0; i < ARRAY_SIZE(others); i++)
			try_number(side, others[i], nr);
	}
	for (size_t i = 0; i < ARRAY_SIZE(far); i++)
		try_number(side, side->arch, far[i]);
	ok(tried > 10000 && wrong == 0,
	   "%s: %u calls, %u of them not as the rows say", side->name, tried,
	   wrong);
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(sides); i++)
		try_side(&sides[i]);
	return done();
}
