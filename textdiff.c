/* SPDX-License-Identifier: MIT */
#include "textdiff.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/*
 * Myers' greedy O(ND) search, which keeps one row of furthest points for each
 * number of edits to find its way back.  The rows take memory by the square, so
 * the search gives up at EDITS_MAX: what lies between the equal lines at the
 * start and the end is then replaced as a whole, which is right, if not small.
 */
#define EDITS_MAX 1500
#define CONTEXT   3

struct line {
	const char *s;
	size_t len; /* with its newline */
	uint64_t hash;
};

struct text {
	struct line *lines;
	size_t n;
	bool *changed; /* removed from the old, or added to the new */
};

static uint64_t hash_of(const char *s, size_t len)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 1099511628211ULL;
	return h;
}

static void split(struct text *t, const char *s, size_t len)
{
	size_t n = 0, at = 0;

	for (size_t i = 0; i < len; i++)
		n += s[i] == '\n';
	t->lines = xcalloc(n + 1, sizeof(*t->lines));
	t->changed = xcalloc(n + 1, sizeof(*t->changed));
	while (at < len) {
		const char *end = memchr(s + at, '\n', len - at);
		size_t take = end ? (size_t)(end - s) + 1 - at : len - at;

		t->lines[t->n++] = (struct line){ s + at, take,
						  hash_of(s + at, take) };
		at += take;
	}
}

static bool same(const struct line *a, const struct line *b)
{
	return a->hash == b->hash && a->len == b->len &&
	       memcmp(a->s, b->s, a->len) == 0;
}

/* The part of both texts that is not equal at the start or at the end. */
struct span {
	const struct line *a, *b;
	long n, m;
	bool *removed, *added;
};

/* Along the diagonal k, after d edits, with the row of d - 1. */
static long step(const struct span *s, const int *row, int d, int k)
{
	bool down = k == -d || (k != d && row[k - 1] < row[k + 1]);
	long x = down ? row[k + 1] : row[k - 1] + 1;

	while (x < s->n && x - k < s->m && same(&s->a[x], &s->b[x - k]))
		x++;
	return x;
}

/* rows[d] is the row after d edits, reached at its middle. */
static void walk_back(const struct span *s, int *const *rows, int d)
{
	long x = s->n, y = s->m;

	for (; d > 0; d--) {
		const int *row = rows[d - 1] + d + 1;
		int k = (int)(x - y);
		bool down = k == -d || (k != d && row[k - 1] < row[k + 1]);
		int from = down ? k + 1 : k - 1;
		long px = row[from], py = px - from;

		if (down)
			s->added[py] = true;
		else
			s->removed[px] = true;
		x = px;
		y = py;
	}
}

static bool search(const struct span *s, int **rows)
{
	long most = s->n + s->m < EDITS_MAX ? s->n + s->m : EDITS_MAX;

	/* Each row has room for the diagonals -d-1 to d+1, and is copied to
	 * the next with one more on either side. */
	rows[0] = xcalloc(5, sizeof(int));
	rows[0][2] = (int)step(s, (const int[]){ 0, 0, 0 } + 1, 0, 0);
	if (rows[0][2] >= s->n && rows[0][2] >= s->m)
		return true;
	for (int d = 1; d <= most; d++) {
		const int *before = rows[d - 1] + d + 1;
		int *now;

		rows[d] = xcalloc(2 * (size_t)d + 5, sizeof(int));
		now = rows[d] + d + 2;
		for (int k = -d; k <= d; k += 2) {
			now[k] = (int)step(s, before, d, k);
			if (now[k] >= s->n && now[k] - k >= s->m) {
				walk_back(s, rows, d);
				return true;
			}
		}
	}
	return false;
}

static void compare(struct text *a, struct text *b)
{
	size_t start = 0, end = 0;
	struct span s;
	int **rows;

	while (start < a->n && start < b->n &&
	       same(&a->lines[start], &b->lines[start]))
		start++;
	while (end < a->n - start && end < b->n - start &&
	       same(&a->lines[a->n - 1 - end], &b->lines[b->n - 1 - end]))
		end++;
	s = (struct span){
		a->lines + start,           b->lines + start,
		(long)(a->n - start - end), (long)(b->n - start - end),
		a->changed + start,         b->changed + start
	};
	rows = xcalloc(EDITS_MAX + 1, sizeof(*rows));
	if (s.n == 0 || s.m == 0 || !search(&s, rows)) {
		memset(s.removed, true, (size_t)s.n);
		memset(s.added, true, (size_t)s.m);
	}
	for (size_t d = 0; d <= EDITS_MAX; d++)
		free(rows[d]);
	free(rows);
}

static void print_line(FILE *out, char mark, const struct line *line)
{
	fputc(mark, out);
	fwrite(line->s, 1, line->len, out);
	if (line->s[line->len - 1] != '\n')
		fputs("\n\\ No newline at end of file\n", out);
}

/* Of a hunk: [a, a_end) of the old and [b, b_end) of the new. */
static void print_hunk(FILE *out, const struct text *old, size_t a,
		       size_t a_end, const struct text *new, size_t b,
		       size_t b_end)
{
	/* An empty range is named by the line before it. */
	fprintf(out, "@@ -%zu,%zu +%zu,%zu @@\n", a_end > a ? a + 1 : a,
		a_end - a, b_end > b ? b + 1 : b, b_end - b);
	while (a < a_end || b < b_end) {
		if (a < a_end && old->changed[a])
			print_line(out, '-', &old->lines[a++]);
		else if (b < b_end && new->changed[b])
			print_line(out, '+', &new->lines[b++]);
		else
			print_line(out, ' ', &old->lines[a++]), b++;
	}
}

static void print_hunks(FILE *out, const struct text *old,
			const struct text *new)
{
	size_t a = 0, b = 0;

	while (a < old->n || b < new->n) {
		size_t from, equal = 0, a_end, b_end;

		if (!(a < old->n && old->changed[a]) &&
		    !(b < new->n &&new->changed[b])) {
			a++, b++;
			continue;
		}
		from = a < CONTEXT ? a : CONTEXT;
		for (a_end = a, b_end = b;
		     equal <= 2 * CONTEXT &&
		     (a_end < old->n || b_end < new->n);) {
			if (a_end < old->n && old->changed[a_end])
				a_end++, equal = 0;
			else if (b_end < new->n &&new->changed[b_end])
				b_end++, equal = 0;
			else
				a_end++, b_end++, equal++;
		}
		equal = equal > CONTEXT ? equal - CONTEXT : 0;
		print_hunk(out, old, a - from, a_end - equal, new, b - from,
			   b_end - equal);
		a = a_end - equal;
		b = b_end - equal;
	}
}

void textdiff_print(FILE *out, const char *old_text, size_t old_len,
		    const char *new_text, size_t new_len)
{
	struct text old = { 0 }, new = { 0 };

	split(&old, old_text, old_len);
	split(&new, new_text, new_len);
	compare(&old, &new);
	print_hunks(out, &old, &new);
	free(old.lines);
	free(old.changed);
	free(new.lines);
	free(new.changed);
}
