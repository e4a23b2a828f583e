/* SPDX-License-Identifier: MIT */
#include "answer.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "util.h"

#define CLAUDE                                                                 \
	"{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,"     \
	"\"num_turns\":3,\"result\":\"All is well.\",\"total_cost_usd\":"      \
	"0.0125,\"usage\":{\"input_tokens\":10,"                               \
	"\"cache_creation_input_tokens\":5,\"cache_read_input_tokens\":7,"     \
	"\"output_tokens\":9}}\n"
#define MESSAGE(text)                                                          \
	"{\"type\":\"item.completed\",\"item\":{\"id\":\"i\",\"type\":"        \
	"\"agent_message\",\"text\":\"" text "\"}}\n"
#define TURN                                                                   \
	"{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":100,"        \
	"\"cached_input_tokens\":40,\"output_tokens\":20}}\n"

static const struct row {
	const char *name, *output, *text;
	bool found, failed;
	int64_t turns, in, cached, out;
	double cost;
} rows[] = {
	{ "Claude", CLAUDE, "All is well.", true, false, 3, 22, 7, 9, 0.0125 },
	{ "Claude behind other output",
	  "hello\n{\"type\":\"assistant\"}\n" CLAUDE, "All is well.", true,
	  false, 3, 22, 7, 9, 0.0125 },
	{ "Claude that failed",
	  "{\"type\":\"result\",\"is_error\":true,\"result\":\"API 403\"}",
	  "API 403", true, true, ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN,
	  ANSWER_UNKNOWN, -1 },
	{ "Codex", MESSAGE("first") MESSAGE("last") TURN, "last", true, false,
	  1, 100, 40, 20, -1 },
	{ "Codex, two turns", MESSAGE("a") TURN MESSAGE("b") TURN, "b", true,
	  false, 2, 200, 80, 40, -1 },
	{ "Codex that failed",
	  "{\"type\":\"turn.failed\",\"error\":{\"message\":\"no key\"}}\r\n",
	  "no key", true, true, ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN,
	  ANSWER_UNKNOWN, -1 },
	{ "a turn that did not end", MESSAGE("half"), NULL, false, false,
	  ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN, -1 },
	{ "nothing", "", NULL, false, false, ANSWER_UNKNOWN, ANSWER_UNKNOWN,
	  ANSWER_UNKNOWN, ANSWER_UNKNOWN, -1 },
	{ "text", "type result\n{\"type\":\"other\"}\n{}\n[1]\n", NULL, false,
	  false, ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN,
	  -1 },
	{ "no JSON", "{\"type\":\"result\",\"result\":\"x\n", NULL, false,
	  false, ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN,
	  -1 },
	{ "figures that are none",
	  "{\"type\":\"result\",\"result\":7,\"num_turns\":-1,"
	  "\"total_cost_usd\":-3,\"usage\":{\"input_tokens\":1e300,"
	  "\"output_tokens\":\"9\"}}\n",
	  NULL, true, false, ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN,
	  ANSWER_UNKNOWN, -1 },
};

static void read_output(struct agent_answer *a, const char *text, size_t piece)
{
	struct answer_tail tail = { 0 };

	for (size_t len = strlen(text); len > 0;) {
		size_t n = len < piece ? len : piece;

		answer_keep(&tail, text, n);
		text += n;
		len -= n;
	}
	answer_read(a, &tail);
}

static void test_rows(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct agent_answer a;

		read_output(&a, r->output, 13);
		ok(a.found == r->found && a.failed == r->failed &&
		       a.turns == r->turns && a.tokens_in == r->in &&
		       a.tokens_cached == r->cached && a.tokens_out == r->out &&
		       (a.cost_usd < 0 ? r->cost < 0 : a.cost_usd == r->cost) &&
		       (r->text ? a.text && strcmp(a.text, r->text) == 0
				: a.text == NULL),
		   "%s: %s", r->name, a.text ? a.text : "(none)");
		free(a.text);
	}
}

/* Megabytes before it, and an answer that is too long itself. */
static void test_long(void)
{
	static char text[3000000];
	struct agent_answer a;

	memset(text, 'x', sizeof(text) - 1);
	for (size_t i = 99; i < sizeof(text); i += 100)
		text[i] = '\n';
	strcpy(text + 2999000, "\n" CLAUDE);
	for (size_t piece = 1000; piece < 1000000; piece *= 10) {
		read_output(&a, text, piece);
		ok(a.found && strcmp(a.text, "All is well.") == 0,
		   "at the end of 3 MB, by %zu", piece);
		free(a.text);
	}
	/* A line that began before the tail is none. */
	memset(text, 'x', sizeof(text) - 1);
	strcpy(text + 2999000, CLAUDE);
	read_output(&a, text, 65536);
	ok(!a.found && !a.text, "a cut line is not read");
	snprintf(text, sizeof(text),
		 "{\"type\":\"result\",\"result\":\"%0*d\"}", 100000, 7);
	read_output(&a, text, 65536);
	ok(a.found && a.truncated && strlen(a.text) == 65536,
	   "a long answer is cut");
	free(a.text);
}

int main(void)
{
	test_rows();
	test_long();
	return done();
}
