/* SPDX-License-Identifier: MIT */
#include "option.h"

#include <string.h>

#include "near.h"
#include "text.h"

__attribute__((format(printf, 3, 0))) static void
report(struct parse *p, const char *where, const char *fmt, va_list ap)
{
	char text[1024];
	char *auto_free line = NULL;
	char *auto_free safe = NULL;

	if (++p->problems > PROBLEMS_SHOWN || !p->errors)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	line = xasprintf("%s: %s", where, text);
	/* Keys and values may be another's: no line break, no escape. */
	safe = text_visible(line, true);
	fprintf(p->errors, "m9m-sandbox: %s\n", safe);
}

void complain(struct parse *p, const char *fmt, ...)
{
	const char *file = p->source == FROM_FILE ? p->file : NULL;
	char *auto_free where = file ? xasprintf("%s: %s", file, p->where)
				     : xstrdup(p->where);
	va_list ap;

	va_start(ap, fmt);
	report(p, where, fmt, ap);
	va_end(ap);
}

void complain_at(struct parse *p, const struct option *o, const char *fmt, ...)
{
	size_t i = option_index(o);
	char *auto_free where = p->from[i] == FROM_FILE
				    ? xasprintf("%s: %s", p->file,
						p->spelled[i])
				: o->flag ? xasprintf("--%s", o->flag)
					  : xstrdup("COMMAND");
	va_list ap;

	va_start(ap, fmt);
	report(p, where, fmt, ap);
	va_end(ap);
}

void complain_in(struct parse *p, const char *where, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(p, where, fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 2, 3))) static size_t extend(struct parse *p,
							   const char *fmt, ...)
{
	size_t length = strlen(p->where);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->where + length, sizeof(p->where) - length, fmt, ap);
	va_end(ap);
	return length;
}

/* Quoted where it would be read as something else: "" as none, "a.b" as two,
 * "cpu " as another. */
size_t where_key(struct parse *p, const char *key)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-";
	const char *cut = strlen(key) > 64 ? "..." : "";

	if (*key && key[strspn(key, plain)] == '\0')
		return extend(p, ".%.64s%s", key, cut);
	return extend(p, ".\"%.64s%s\"", key, cut);
}

size_t where_index(struct parse *p, size_t index)
{
	return extend(p, "[%zu]", index);
}

void where_back(struct parse *p, size_t length)
{
	p->where[length] = '\0';
}

static const struct {
	int type;
	const char *name;
} json_types[] = {
	{ cJSON_String, "a string" }, { cJSON_Number, "a number" },
	{ cJSON_True, "true" },       { cJSON_False, "false" },
	{ cJSON_Array, "an array" },  { cJSON_Object, "an object" },
	{ cJSON_NULL, "null" },
};

static const char *name_of(int type)
{
	for (size_t i = 0; i < ARRAY_SIZE(json_types); i++)
		if (json_types[i].type & type)
			return json_types[i].name;
	return "nothing";
}

void wrong_type(struct parse *p, const char *expects, const cJSON *value)
{
	complain(p, "must be %s, not %s", expects, name_of(value->type & 0xff));
}

#define EXACT_MAX 9007199254740992.0 /* 2^53 */

/*
 * A scalar as the text a user would have written after the flag: judged by the
 * same code.  NULL after a complaint: from 2^53 on a double is no longer the
 * number that was written, nor is anything so large meant.
 */
static const char *scalar_text(struct parse *p, const cJSON *value,
			       char number[32])
{
	double n = value->valuedouble;

	if (cJSON_IsString(value))
		return value->valuestring;
	if (!(n > -EXACT_MAX && n < EXACT_MAX)) {
		complain(p, "is a number beyond 2^53, larger than any that can "
			    "be given here");
		return NULL;
	}
	/* Not "-0", which is 0. */
	if (n == (double)(int64_t)n)
		snprintf(number, 32, "%lld", (long long)n);
	else
		snprintf(number, 32, "%.15g", n);
	return number;
}

static void set_scalar(struct parse *p, const struct option *o,
		       const cJSON *value)
{
	char number[32];
	const char *text = scalar_text(p, value, number);

	if (text)
		o->type->set(p, o, (char *[]){ (char *)(uintptr_t)text });
}

static void load_scalar(struct parse *p, const struct option *o,
			const cJSON *value)
{
	const char *expects = o->type->expects;

	if (!(value->type & o->type->json)) {
		wrong_type(p, expects ? expects : name_of(o->type->json),
			   value);
		return;
	}
	set_scalar(p, o, value);
}

bool too_many(struct parse *p, const cJSON *list)
{
	bool is = cJSON_GetArraySize(list) > LIST_MAX;

	if (is)
		complain(p, "has more than %d items", LIST_MAX);
	return is;
}

void load_list(struct parse *p, const struct option *o, const cJSON *value)
{
	const cJSON *item;
	size_t index = 0;

	if (!cJSON_IsArray(value)) {
		wrong_type(p, o->type->expects, value);
		return;
	}
	if (too_many(p, value))
		return;
	cJSON_ArrayForEach(item, value)
	{
		size_t back = where_index(p, index++);

		if (item->type & o->type->json)
			set_scalar(p, o, item);
		else
			wrong_type(p, name_of(o->type->json), item);
		where_back(p, back);
	}
}

void option_load(struct parse *p, const struct option *o, const cJSON *value)
{
	(o->type->load ? o->type->load : load_scalar)(p, o, value);
}

void complain_unknown(struct parse *p, const char *near)
{
	if (near)
		complain(p, "unknown key (did you mean \"%s\"?)", near);
	else
		complain(p, "unknown key");
}

const char *member_string(struct parse *p, const cJSON *object,
			  const char *name, bool needed)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
	size_t back;

	if (cJSON_IsString(member))
		return member->valuestring;
	if (!member && needed)
		complain(p, "\"%s\" is missing", name);
	if (member) {
		back = where_key(p, name);
		wrong_type(p, "a string", member);
		where_back(p, back);
	}
	return NULL;
}

void only_members(struct parse *p, const cJSON *object,
		  const char *const *names)
{
	const cJSON *member;

	cJSON_ArrayForEach(member, object)
	{
		struct near_match match = { .word = member->string };
		bool known = false;
		size_t back;

		for (size_t i = 0; names[i]; i++) {
			near_offer(&match, names[i]);
			known |= strcmp(names[i], member->string) == 0;
		}
		if (known)
			continue;
		back = where_key(p, member->string);
		complain_unknown(p, match.best);
		where_back(p, back);
	}
}
