/* SPDX-License-Identifier: MIT */
#include "answer.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "util.h"

/* Of the output; a final object that is longer is not read. */
#define TAIL_MAX (256 * 1024)
#define TEXT_MAX (64 * 1024)

void answer_keep(struct answer_tail *tail, const char *bytes, size_t len)
{
	if (!tail->bytes)
		tail->bytes = xcalloc(2, TAIL_MAX);
	if (len > TAIL_MAX) {
		bytes += len - TAIL_MAX;
		len = TAIL_MAX;
		tail->cut = true;
	}
	/* Half of the buffer goes at a time, so that a byte moves once. */
	if (tail->len + len > 2 * TAIL_MAX) {
		memmove(tail->bytes, tail->bytes + tail->len - TAIL_MAX,
			TAIL_MAX);
		tail->len = TAIL_MAX;
		tail->cut = true;
	}
	memcpy(tail->bytes + tail->len, bytes, len);
	tail->len += len;
}

static const cJSON *get(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *string_of(const cJSON *object, const char *key)
{
	const char *s = cJSON_GetStringValue(get(object, key));

	return s ? s : "";
}

/* Whole and of a size that a count can have; what is not is not counted. */
static void count(int64_t *sum, const cJSON *object, const char *key)
{
	double n = cJSON_GetNumberValue(get(object, key));

	if (!(n >= 0 && n < 1e15))
		return;
	*sum = (*sum == ANSWER_UNKNOWN ? 0 : *sum) + (int64_t)n;
}

static void set_text(struct agent_answer *a, const char *text)
{
	size_t len = strlen(text);

	a->truncated = len > TEXT_MAX;
	if (a->truncated)
		for (len = TEXT_MAX; (text[len] & 0xc0) == 0x80; len--)
			;
	free(a->text);
	a->text = xstrndup(text, len);
}

/* {"type":"result","is_error":false,"result":"...","num_turns":3,
 *  "total_cost_usd":0.1,"usage":{...}} */
static void read_claude(struct agent_answer *a, const cJSON *line)
{
	const cJSON *usage = get(line, "usage");
	double cost = cJSON_GetNumberValue(get(line, "total_cost_usd"));

	a->failed = cJSON_IsTrue(get(line, "is_error"));
	set_text(a, string_of(line, "result"));
	a->turns = a->tokens_in = a->tokens_cached = a->tokens_out =
	    ANSWER_UNKNOWN;
	count(&a->turns, line, "num_turns");
	count(&a->tokens_in, usage, "input_tokens");
	count(&a->tokens_in, usage, "cache_creation_input_tokens");
	count(&a->tokens_in, usage, "cache_read_input_tokens");
	count(&a->tokens_cached, usage, "cache_read_input_tokens");
	count(&a->tokens_out, usage, "output_tokens");
	a->cost_usd = cost >= 0 && cost < 1e9 ? cost : -1;
}

static void read_message(struct agent_answer *a, const cJSON *line)
{
	const cJSON *item = get(line, "item");

	if (strcmp(string_of(item, "type"), "agent_message") == 0)
		set_text(a, string_of(item, "text"));
}

static void read_turn(struct agent_answer *a, const cJSON *line)
{
	const cJSON *usage = get(line, "usage");

	a->turns = (a->turns == ANSWER_UNKNOWN ? 0 : a->turns) + 1;
	a->failed = false;
	count(&a->tokens_in, usage, "input_tokens");
	count(&a->tokens_cached, usage, "cached_input_tokens");
	count(&a->tokens_out, usage, "output_tokens");
}

static void read_failure(struct agent_answer *a, const cJSON *line)
{
	const char *message = string_of(get(line, "error"), "message");

	a->failed = true;
	if (*message)
		set_text(a, message);
}

static const struct {
	const char *type;
	void (*read)(struct agent_answer *answer, const cJSON *line);
	bool ends; /* with it the agent has said what counts */
} lines[] = {
	{ "result", read_claude, true },
	{ "item.completed", read_message, false },
	{ "turn.completed", read_turn, true },
	{ "turn.failed", read_failure, true },
};

static void read_line(struct agent_answer *a, const char *text, size_t len)
{
	struct json_fault fault;
	cJSON *line;
	const char *type;

	/* Most of what an agent prints is not this. */
	if (len == 0 || text[0] != '{' || !memmem(text, len, "\"type\"", 6))
		return;
	line = json_read(text, len, &fault);
	type = string_of(line, "type");
	for (size_t i = 0; line && i < ARRAY_SIZE(lines); i++)
		if (strcmp(lines[i].type, type) == 0) {
			lines[i].read(a, line);
			a->found |= lines[i].ends;
		}
	cJSON_Delete(line);
}

void answer_read(struct agent_answer *a, struct answer_tail *tail)
{
	const char *text = tail->bytes, *stop = text + tail->len;

	*a = (struct agent_answer){ .turns = ANSWER_UNKNOWN,
				    .tokens_in = ANSWER_UNKNOWN,
				    .tokens_cached = ANSWER_UNKNOWN,
				    .tokens_out = ANSWER_UNKNOWN,
				    .cost_usd = -1 };
	while (text && text < stop) {
		size_t room = (size_t)(stop - text);
		const char *end = memchr(text, '\n', room);
		size_t len = end ? (size_t)(end - text) : room;

		/* The first line of a cut tail has no beginning. */
		if (!tail->cut)
			read_line(a, text,
				  len && text[len - 1] == '\r' ? len - 1 : len);
		tail->cut = false;
		text += len + 1;
	}
	free(tail->bytes);
	*tail = (struct answer_tail){ 0 };
	if (!a->found || (a->text && !*a->text)) {
		free(a->text);
		a->text = NULL;
	}
}
