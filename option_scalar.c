/* SPDX-License-Identifier: MIT */
#include "option.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"
#include "proxy.h"
#include "text.h"

#define STRING_OR_NUMBER (cJSON_String | cJSON_Number)
#define BOOLEAN          (cJSON_True | cJSON_False)

/* What is quoted of a value in a message. */
#define SHOWN "\"%.80s\""

static void replace(const struct parse *p, const struct option *o, char *owned)
{
	char **field = option_field(p->spec, o);

	free(*field);
	*field = owned;
}

static cJSON *dump_string(const struct spec *spec, const struct option *o)
{
	return cJSON_CreateString(*(char **)option_field(spec, o));
}

static void clear_string(struct spec *spec, const struct option *o)
{
	char **field = option_field(spec, o);

	free(*field);
	*field = NULL;
}

static bool in_range(struct parse *p, const struct option *o, uint64_t value,
		     const char *text)
{
	if (value >= o->min && value <= o->max)
		return true;
	complain(p, SHOWN " is out of range (%lu to %lu)", text, o->min,
		 o->max);
	return false;
}

static void set_nothing(struct parse *p, const struct option *o,
			char *const *arg)
{
	(void)p, (void)o, (void)arg;
}

const struct option_type type_spec = { .set = set_nothing };
const struct option_type type_always = { .set = set_nothing };

static void set_action(struct parse *p, const struct option *o,
		       char *const *arg)
{
	enum spec_action action = (enum spec_action)o->min;

	(void)arg;
	if (p->spec->action != SPEC_RUN && p->spec->action != action)
		complain(p, "one action at a time");
	p->spec->action = action;
}

const struct option_type type_action = { .set = set_action };

static void set_action_about(struct parse *p, const struct option *o,
			     char *const *arg)
{
	/* The first would be forgotten: a log unchecked, a question unheard. */
	bool twice = p->spec->about && p->spec->action == o->min;

	if (arg[0][0] == '\0')
		complain(p, "is empty");
	else if (twice)
		complain(p, "is given twice: one at a time");
	set_action(p, o, arg);
	replace(p, o, xstrdup(arg[0]));
}

const struct option_type type_action_about = {
	.set = set_action_about,
	.clear = clear_string,
};

static void set_true(struct parse *p, const struct option *o, char *const *arg)
{
	(void)arg;
	*(bool *)option_field(p->spec, o) = true;
}

static void load_flag(struct parse *p, const struct option *o,
		      const cJSON *value)
{
	if (value->type & BOOLEAN)
		*(bool *)option_field(p->spec, o) = cJSON_IsTrue(value);
	else
		wrong_type(p, "true or false", value);
}

static cJSON *dump_flag(const struct spec *spec, const struct option *o)
{
	return cJSON_CreateBool(*(bool *)option_field(spec, o));
}

static void clear_flag(struct spec *spec, const struct option *o)
{
	*(bool *)option_field(spec, o) = false;
}

const struct option_type type_flag = {
	.set = set_true,
	.load = load_flag,
	.dump = dump_flag,
	.clear = clear_flag,
};

/* "artifact": false is --no-artifact; the other shapes are its group's. */
static void load_no_artifact(struct parse *p, const struct option *o,
			     const cJSON *value)
{
	if (cJSON_IsFalse(value))
		set_true(p, o, NULL);
	else
		wrong_type(p, "a path, false or an object", value);
}

static cJSON *dump_no_artifact(const struct spec *spec, const struct option *o)
{
	(void)o;
	return spec->artifact_off ? cJSON_CreateFalse() : NULL;
}

const struct option_type type_no_artifact = {
	.set = set_true,
	.load = load_no_artifact,
	.dump = dump_no_artifact,
	.clear = clear_flag,
};

static int find_choice(struct parse *p, const struct option *o,
		       const char *text)
{
	char list[128] = "";

	for (int i = 0; o->choices[i]; i++) {
		size_t n = strlen(list);

		if (strcmp(o->choices[i], text) == 0)
			return i;
		snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "",
			 o->choices[i]);
	}
	complain(p, SHOWN " is none of %s", text, list);
	return -1;
}

static void set_choice(struct parse *p, const struct option *o,
		       char *const *arg)
{
	int choice = find_choice(p, o, arg[0]);

	if (choice >= 0)
		*(unsigned int *)option_field(p->spec,
					      o) = (unsigned int)choice;
}

static cJSON *dump_choice(const struct spec *spec, const struct option *o)
{
	unsigned int choice = *(unsigned int *)option_field(spec, o);

	return cJSON_CreateString(o->choices[choice]);
}

static void clear_choice(struct spec *spec, const struct option *o)
{
	*(unsigned int *)option_field(spec, o) = 0;
}

const struct option_type type_choice = {
	.json = cJSON_String,
	.set = set_choice,
	.dump = dump_choice,
	.clear = clear_choice,
};

static void set_choice_name(struct parse *p, const struct option *o,
			    char *const *arg)
{
	if (find_choice(p, o, arg[0]) >= 0)
		replace(p, o, xstrdup(arg[0]));
}

const struct option_type type_choice_name = {
	.json = cJSON_String,
	.set = set_choice_name,
	.dump = dump_string,
	.clear = clear_string,
};

static void set_quiet(struct parse *p, const struct option *o, char *const *arg)
{
	(void)o, (void)arg;
	p->spec->summary = SPEC_NEVER;
}

const struct option_type type_quiet = { .set = set_quiet };

#define LABEL_MAX 128

/* The label goes into log lines, metrics and terminals. */
static void set_label(struct parse *p, const struct option *o, char *const *arg)
{
	size_t len = strlen(arg[0]);

	if (len == 0 || len > LABEL_MAX) {
		complain(p, "must have 1 to %d bytes", LABEL_MAX);
		return;
	}
	for (size_t i = 0; i < len;) {
		uint32_t cp;

		i += text_decode(arg[0] + i, len - i, &cp);
		if (cp == TEXT_INVALID || text_is_hidden(cp)) {
			complain(p,
				 SHOWN
				 " holds what cannot be seen, or is no UTF-8",
				 arg[0]);
			return;
		}
	}
	replace(p, o, xstrdup(arg[0]));
}

const struct option_type type_label = {
	.json = cJSON_String,
	.set = set_label,
	.dump = dump_string,
	.clear = clear_string,
};

/* It is part of a file's name. */
static void set_name(struct parse *p, const struct option *o, char *const *arg)
{
	size_t len = strlen(arg[0]);

	if (len == 0 || len > 64 || arg[0][0] == '-' || arg[0][0] == '.' ||
	    strspn(arg[0], "abcdefghijklmnopqrstuvwxyz"
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != len)
		complain(p,
			 SHOWN " is no name (1 to 64 letters, digits, "
			       "\"-._\")",
			 arg[0]);
	else
		replace(p, o, xstrdup(arg[0]));
}

const struct option_type type_name = {
	.json = cJSON_String,
	.set = set_name,
	.dump = dump_string,
	.clear = clear_string,
};

static void set_hostname(struct parse *p, const struct option *o,
			 char *const *arg)
{
	size_t len = strlen(arg[0]);

	if (len == 0 || len > 63 || arg[0][0] == '-' || arg[0][0] == '.' ||
	    strspn(arg[0], "abcdefghijklmnopqrstuvwxyz"
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != len)
		complain(p,
			 SHOWN " is no host name (1 to 63 letters, digits, "
			       "\"-.\")",
			 arg[0]);
	else
		replace(p, o, xstrdup(arg[0]));
}

const struct option_type type_hostname = {
	.json = cJSON_String,
	.set = set_hostname,
	.dump = dump_string,
	.clear = clear_string,
};

/* Messages must not show it: there may be a password in it. */
static void set_proxy(struct parse *p, const struct option *o, char *const *arg)
{
	struct proxy proxy = { .port = 0 };
	char why[256] = "";

	if (proxy_is_redacted(arg[0]))
		complain(p,
			 "has its password as --print-spec shows it: give the "
			 "password");
	else if (strcmp(arg[0], PROXY_ENV) != 0 &&
		 proxy_parse(arg[0], &proxy, why, sizeof(why)) < 0)
		complain(p, "cannot be used: %s", why);
	else
		replace(p, o, xstrdup(arg[0]));
	proxy_free(&proxy);
}

static cJSON *dump_proxy(const struct spec *spec, const struct option *o)
{
	char *auto_free shown = proxy_redacted(*(char **)option_field(spec, o));

	return cJSON_CreateString(shown);
}

const struct option_type type_proxy = {
	.json = cJSON_String,
	.set = set_proxy,
	.dump = dump_proxy,
	.clear = clear_string,
};

static void set_agent(struct parse *p, const struct option *o, char *const *arg)
{
	struct agent *agent;
	char *auto_free near = NULL;

	if (strcmp(arg[0], "none") == 0) {
		replace(p, o, xstrdup("none"));
		return;
	}
	agent = agent_find(arg[0]);
	if (agent) {
		replace(p, o, xstrdup(agent->name));
		agent_free(agent);
		return;
	}
	near = agent_suggest(arg[0]);
	if (near)
		complain(p, "no agent " SHOWN " (did you mean \"%s\"?)", arg[0],
			 near);
	else
		complain(p, "no agent " SHOWN " (see --list-agents)", arg[0]);
}

const struct option_type type_agent = {
	.json = cJSON_String,
	.set = set_agent,
	.dump = dump_string,
	.clear = clear_string,
};

static void set_prompt(struct parse *p, const struct option *o,
		       char *const *arg)
{
	/* No argument, and no string of a spec, is over PROMPT_MAX. */
	if (arg[0][0] == '\0')
		complain(p, "is empty");
	else
		replace(p, o, xstrdup(arg[0]));
}

const struct option_type type_prompt = {
	.json = cJSON_String,
	.set = set_prompt,
	.dump = dump_string,
	.clear = clear_string,
};

static void set_prompt_file(struct parse *p, const struct option *o,
			    char *const *arg)
{
	bool from_stdin = strcmp(arg[0], "-") == 0;
	char *auto_free path = from_stdin ? NULL : host_path(p, arg[0]);
	char *auto_free text = NULL;
	size_t len;

	if (!from_stdin && !path)
		return;
	text = from_stdin ? read_fd(STDIN_FILENO, PROMPT_MAX, &len)
			  : read_file(AT_FDCWD, path, PROMPT_MAX, &len);
	if (!text && errno == EFBIG)
		complain(p, "%s is over 1 MiB", arg[0]);
	else if (!text)
		complain(p, "cannot read %s: %s", arg[0], strerror(errno));
	else if (len == 0)
		complain(p, "%s is empty", arg[0]);
	else if (memchr(text, '\0', len))
		complain(p, "%s holds NUL bytes", arg[0]);
	else
		replace(p, o, take_ptr(&text));
}

const struct option_type type_prompt_file = { .set = set_prompt_file };

/* What is no nothing, yet too little to count: 0 would say "no limit". */
static bool is_too_small(const char *text, uint64_t value)
{
	return value == 0 && strpbrk(text, "123456789");
}

static void set_size(struct parse *p, const struct option *o, char *const *arg)
{
	uint64_t bytes;

	if (parse_size(arg[0], &bytes) < 0)
		complain(p,
			 SHOWN " is no size (bytes, or a number with k M G T "
			       "or Ki Mi Gi Ti)",
			 arg[0]);
	else if (is_too_small(arg[0], bytes))
		complain(p, SHOWN " is less than a byte", arg[0]);
	else if (in_range(p, o, bytes, arg[0]))
		*(uint64_t *)option_field(p->spec, o) = bytes;
}

static cJSON *dump_number(const struct spec *spec, const struct option *o)
{
	return cJSON_CreateNumber((double)*(uint64_t *)option_field(spec, o));
}

const struct option_type type_size = {
	.json = STRING_OR_NUMBER,
	.expects = "a size such as \"2Gi\", or bytes",
	.set = set_size,
	.dump = dump_number,
};

static void set_duration(struct parse *p, const struct option *o,
			 char *const *arg)
{
	uint64_t ms;

	if (parse_duration(arg[0], &ms) < 0)
		complain(p,
			 SHOWN " is no time (seconds, or numbers with h m s "
			       "ms)",
			 arg[0]);
	else if (is_too_small(arg[0], ms))
		complain(p, SHOWN " is less than a millisecond", arg[0]);
	else if (ms > o->max)
		complain(p, SHOWN " is too long (at most %lu h)", arg[0],
			 o->max / 3600000);
	else
		*(uint64_t *)option_field(p->spec, o) = ms;
}

static cJSON *dump_duration(const struct spec *spec, const struct option *o)
{
	uint64_t ms = *(uint64_t *)option_field(spec, o);
	char *auto_free text = NULL;

	if (ms % 1000 == 0)
		return cJSON_CreateNumber((double)ms / 1000);
	text = xasprintf("%lums", ms);
	return cJSON_CreateString(text);
}

const struct option_type type_duration = {
	.json = STRING_OR_NUMBER,
	.expects = "a time such as \"5m\", or seconds",
	.set = set_duration,
	.dump = dump_duration,
};

static void set_count(struct parse *p, const struct option *o, char *const *arg)
{
	uint64_t value;

	if (parse_u64(arg[0], &value) < 0)
		complain(p, SHOWN " is no whole number", arg[0]);
	else if (in_range(p, o, value, arg[0]))
		*(uint64_t *)option_field(p->spec, o) = value;
}

const struct option_type type_count = {
	.json = cJSON_Number,
	.set = set_count,
	.dump = dump_number,
};

static void set_cores(struct parse *p, const struct option *o, char *const *arg)
{
	const char *text = arg[0];
	char *end = NULL;
	double cores = 0;

	/* strtod also takes signs, spaces, hex and "inf". */
	if (*text && strspn(text, "0123456789.") == strlen(text))
		cores = strtod(text, &end);
	if (!end || *end || end == text)
		complain(p, SHOWN " is no number of cores (such as 2 or 0.5)",
			 text);
	else if (cores < 0.01 || cores > (double)o->max)
		complain(p, SHOWN " is out of range (0.01 to %lu)", text,
			 o->max);
	else
		*(double *)option_field(p->spec, o) = cores;
}

static cJSON *dump_cores(const struct spec *spec, const struct option *o)
{
	return cJSON_CreateNumber(*(double *)option_field(spec, o));
}

const struct option_type type_cores = {
	.json = cJSON_Number,
	.set = set_cores,
	.dump = dump_cores,
};

static void set_id(struct parse *p, const struct option *o, char *const *arg)
{
	uint64_t value;

	if (parse_u64(arg[0], &value) < 0)
		complain(p, SHOWN " is no whole number", arg[0]);
	else if (in_range(p, o, value, arg[0]))
		*(int64_t *)option_field(p->spec, o) = (int64_t)value;
}

static void clear_id(struct spec *spec, const struct option *o)
{
	*(int64_t *)option_field(spec, o) = -1;
}

const struct option_type type_id = {
	.json = cJSON_Number,
	.set = set_id,
	.dump = dump_number,
	.clear = clear_id,
};

static void set_fd(struct parse *p, const struct option *o, char *const *arg)
{
	uint64_t value;

	if (parse_u64(arg[0], &value) < 0)
		complain(p, SHOWN " is no descriptor", arg[0]);
	else if (!in_range(p, o, value, arg[0]))
		return;
	/* Now, before we open anything that could get this number. */
	else if (fcntl((int)value, F_GETFD) < 0)
		complain(p, "descriptor %lu is not open", value);
	else
		*(int *)option_field(p->spec, o) = (int)value;
}

static cJSON *dump_fd(const struct spec *spec, const struct option *o)
{
	return cJSON_CreateNumber(*(int *)option_field(spec, o));
}

static void clear_fd(struct spec *spec, const struct option *o)
{
	*(int *)option_field(spec, o) = -1;
}

const struct option_type type_fd = {
	.json = cJSON_Number,
	.set = set_fd,
	.dump = dump_fd,
	.clear = clear_fd,
};
