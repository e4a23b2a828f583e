/* SPDX-License-Identifier: MIT */
#include "option.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "json.h"
#include "seccomp_profile.h"

/*
 * Docker's system call profiles, as moby, Podman and OCI runtimes read them:
 * entries that ask for capabilities never apply, since the payload has none;
 * names that are unknown here are left out; keys that are unknown are mistakes.
 */

#if defined(__x86_64__)
static const char machine[] = "amd64"; /* as Go has it */
#else
static const char machine[] = "arm64";
#endif

#define ERRNO_MAX 4095

static const char *const profile_keys[] = { "defaultAction",
					    "defaultErrnoRet",
					    "defaultErrno",
					    "architectures",
					    "archMap",
					    "syscalls",
					    "flags",
					    "listenerPath",
					    "listenerMetadata",
					    NULL };
static const char *const entry_keys[] = { "names",    "name",     "action",
					  "errnoRet", "errno",    "args",
					  "comment",  "includes", "excludes",
					  NULL };
static const char *const argument_keys[] = { "index", "value", "valueTwo", "op",
					     NULL };
static const char *const filter_keys[] = { "caps", "arches", "minKernel",
					   NULL };
static const char *const map_keys[] = { "architecture", "subArchitectures",
					NULL };

static const struct word {
	const char *name;
	uint32_t value;
	const char *refused; /* why it cannot be had */
} actions[] = {
	{ "SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW },
	{ "SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO },
	{ "SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD },
	{ "SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS },
	{ "SCMP_ACT_TRAP", SECCOMP_RET_TRAP },
	{ "SCMP_ACT_LOG", SECCOMP_RET_LOG },
	{ "SCMP_ACT_TRACE", 0, "nobody traces the payload here" },
	{ "SCMP_ACT_NOTIFY", 0,
	  "there is one listener, and it is the sandbox's own" },
}, compares[] = {
	{ "SCMP_CMP_NE", SECCOMP_NE }, { "SCMP_CMP_LT", SECCOMP_LT },
	{ "SCMP_CMP_LE", SECCOMP_LE }, { "SCMP_CMP_EQ", SECCOMP_EQ },
	{ "SCMP_CMP_GE", SECCOMP_GE }, { "SCMP_CMP_GT", SECCOMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SECCOMP_MASKED_EQ },
}, flags[] = {
	/* One thread loads it; a log of the kernel's is the kernel's to keep,
	 * and the mitigation is not ours to give up. */
	{ "SECCOMP_FILTER_FLAG_TSYNC", 0 },
	{ "SECCOMP_FILTER_FLAG_LOG", 0 },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", 0 },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 0,
	  "there is one listener, and it is the sandbox's own" },
};

struct reader {
	struct parse *p;
	struct seccomp_profile *profile;
	size_t entry;
};

/* A member as a value; where_back(*back) is due unless it is NULL. */
static const cJSON *enter(struct parse *p, const cJSON *object,
			  const char *name, size_t *back)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);

	if (member == NULL || cJSON_IsNull(member))
		return NULL;
	*back = where_key(p, name);
	return member;
}

/* A string that may be missing; NULL then, or after a complaint. */
static const char *read_member(struct parse *p, const cJSON *object,
			       const char *name)
{
	size_t back;
	const cJSON *value = enter(p, object, name, &back);

	if (!value)
		return NULL;
	if (!cJSON_IsString(value))
		wrong_type(p, "a string", value);
	where_back(p, back);
	return value->valuestring;
}

/* A word of a table; complains, and gives NULL. */
static const struct word *read_word(struct parse *p, const cJSON *value,
				    const struct word *words, size_t n)
{
	if (!cJSON_IsString(value)) {
		wrong_type(p, "a string", value);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i].name, value->valuestring) != 0)
			continue;
		if (!words[i].refused)
			return &words[i];
		complain(p, "%s cannot be had: %s", words[i].name,
			 words[i].refused);
		return NULL;
	}
	complain(p, "\"%s\" is unknown (one of %s, ...)", value->valuestring,
		 words[0].name);
	return NULL;
}

/* More may not come in a double as it was written.  But for all bits at once:
 * see json_read_exact. */
#define EXACT_MAX (0x1p53 - 1)

static bool read_number(struct parse *p, const cJSON *object, const char *name,
			double max, uint64_t *out)
{
	size_t back;
	const cJSON *value = enter(p, object, name, &back);
	double number = value ? value->valuedouble : 0;
	bool good;

	if (!value)
		return false;
	good = cJSON_IsNumber(value) && number >= 0 && number <= max &&
	       number == (double)(uint64_t)number;
	if (cJSON_IsNumber(value) && max == EXACT_MAX && number == 0x1p64)
		*out = UINT64_MAX;
	else if (good)
		*out = (uint64_t)number;
	else
		complain(p, "must be a whole number up to %.0f", max);
	where_back(p, back);
	return good;
}

/* Docker writes null for lists that are empty: for what is needed it is none. */
static void need(struct parse *p, const cJSON *object, const char *name)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);

	if (member == NULL || cJSON_IsNull(member))
		complain(p, "\"%s\" is missing", name);
}

static int errno_of(const char *name)
{
	for (int e = 1; e < 200; e++) {
		const char *known = strerrorname_np(e);

		if (known && strcmp(known, name) == 0)
			return e;
	}
	return -1;
}

/* The action with its error: by number, by name, or EPERM. */
static uint32_t with_error(struct parse *p, const cJSON *object,
			   uint32_t action, const char *number,
			   const char *name)
{
	uint64_t error = EPERM;
	bool given = read_number(p, object, number, ERRNO_MAX, &error);
	size_t back;
	const cJSON *value = enter(p, object, name, &back);
	int named;

	if (value) {
		named = cJSON_IsString(value) ? errno_of(value->valuestring)
					      : -1;
		if (named < 0)
			complain(p, "must be the name of an error, as EPERM");
		else if (given && error != (uint64_t)named)
			complain(p, "is not the number that %s says", number);
		else
			error = (uint64_t)named;
		where_back(p, back);
	}
	return action == SECCOMP_RET_ERRNO ? action | (uint32_t)error : action;
}

static uint32_t read_action(struct parse *p, const cJSON *object,
			    const char *key)
{
	size_t back;
	const cJSON *value = enter(p, object, key, &back);
	const struct word *word;

	if (!value) {
		complain(p, "\"%s\" is missing", key);
		return SECCOMP_RET_KILL_PROCESS;
	}
	word = read_word(p, value, actions, ARRAY_SIZE(actions));
	where_back(p, back);
	return word ? word->value : SECCOMP_RET_KILL_PROCESS;
}

/* Calls `each` for every item of a list that may be missing. */
static size_t each_item(struct reader *r, const cJSON *object, const char *key,
			void (*each)(struct reader *, const cJSON *, void *),
			void *context)
{
	struct parse *p = r->p;
	size_t back, n = 0;
	const cJSON *list = enter(p, object, key, &back), *item;

	if (!list)
		return 0;
	if (!cJSON_IsArray(list)) {
		wrong_type(p, "an array", list);
	} else if (!too_many(p, list)) {
		cJSON_ArrayForEach(item, list)
		{
			size_t here = where_index(p, n++);

			each(r, item, context);
			where_back(p, here);
		}
	}
	where_back(p, back);
	return n;
}

static void read_text(struct reader *r, const cJSON *item, void *context)
{
	const char **wanted = context;

	if (!cJSON_IsString(item))
		wrong_type(r->p, "a string", item);
	else if (wanted && *wanted && strcmp(item->valuestring, *wanted) == 0)
		*wanted = NULL; /* found */
}

/* "4.8": is the kernel as new? */
static bool is_kernel(struct parse *p, const char *text)
{
	struct utsname name;
	unsigned want[2], have[2];
	char rest;

	if (strspn(text, "0123456789.") != strlen(text) ||
	    sscanf(text, "%u.%u%c", &want[0], &want[1], &rest) != 2) {
		complain(p, "minKernel must be two numbers, as 4.8");
		return false;
	}
	uname(&name);
	if (sscanf(name.release, "%u.%u", &have[0], &have[1]) != 2)
		return false;
	return have[0] != want[0] ? have[0] > want[0] : have[1] >= want[1];
}

/*
 * What "includes" or "excludes" says of this machine, this kernel and no
 * capability at all: of the three, how many are asked and how many are so.
 */
struct matches {
	unsigned asked, met;
};

static struct matches read_filter(struct reader *r, const cJSON *entry,
				  const char *key)
{
	const char *ours = machine, *version;
	struct matches m = { 0, 0 };
	size_t back;
	const cJSON *filter = enter(r->p, entry, key, &back);

	if (!filter)
		return m;
	if (!cJSON_IsObject(filter)) {
		wrong_type(r->p, "an object", filter);
		where_back(r->p, back);
		return m;
	}
	only_members(r->p, filter, filter_keys);
	if (each_item(r, filter, "caps", read_text, NULL))
		m.asked++;
	if (each_item(r, filter, "arches", read_text, &ours)) {
		m.asked++;
		m.met += ours == NULL;
	}
	version = read_member(r->p, filter, "minKernel");
	if (version && *version) {
		m.asked++;
		m.met += is_kernel(r->p, version);
	}
	where_back(r->p, back);
	return m;
}

static void read_argument(struct reader *r, const cJSON *item, void *context)
{
	struct seccomp_rule *rule = context;
	struct seccomp_condition c = { 0 };
	const struct word *op = NULL;
	uint64_t index = 0;
	size_t back;
	const cJSON *value;

	if (!cJSON_IsObject(item)) {
		wrong_type(r->p, "an object", item);
		return;
	}
	only_members(r->p, item, argument_keys);
	need(r->p, item, "index");
	read_number(r->p, item, "index", 5, &index);
	need(r->p, item, "value");
	read_number(r->p, item, "value", EXACT_MAX, &c.value);
	read_number(r->p, item, "valueTwo", EXACT_MAX, &c.value_two);
	value = enter(r->p, item, "op", &back);
	if (value) {
		op = read_word(r->p, value, compares, ARRAY_SIZE(compares));
		where_back(r->p, back);
	}
	need(r->p, item, "op");
	if (rule->n_conditions == ARRAY_SIZE(rule->conditions)) {
		complain(r->p, "is the seventh condition");
		return;
	}
	c.index = (unsigned)index;
	c.compare = op ? op->value : SECCOMP_EQ;
	rule->conditions[rule->n_conditions++] = c;
}

static void add_rule(struct reader *r, const struct seccomp_rule *rule,
		     const char *name)
{
	struct seccomp_profile *profile = r->profile;

	if (profile->n_rules == SECCOMP_PROFILE_RULES) {
		complain(r->p, "makes more than %d rules",
			 SECCOMP_PROFILE_RULES);
		return;
	}
	if (profile->n_rules % 64 == 0)
		profile->rules = xrealloc_array(profile->rules,
						profile->n_rules + 64,
						sizeof(*profile->rules));
	profile->rules[profile->n_rules] = *rule;
	profile->rules[profile->n_rules++].name = xstrdup(name);
}

/* Two conditions on one argument are alternatives, as in runc. */
static bool are_alternatives(const struct seccomp_rule *rule)
{
	for (size_t i = 0; i < rule->n_conditions; i++)
		for (size_t k = 0; k < i; k++)
			if (rule->conditions[i].index ==
			    rule->conditions[k].index)
				return true;
	return false;
}

static void read_name(struct reader *r, const cJSON *item, void *context)
{
	const struct seccomp_rule *rule = context;
	struct seccomp_rule one = *rule;

	if (!cJSON_IsString(item)) {
		wrong_type(r->p, "a string", item);
		return;
	}
	if (!are_alternatives(rule)) {
		add_rule(r, rule, item->valuestring);
		return;
	}
	one.n_conditions = 1;
	for (size_t i = 0; i < rule->n_conditions; i++) {
		one.conditions[0] = rule->conditions[i];
		add_rule(r, &one, item->valuestring);
	}
}

static void check_name(struct reader *r, const cJSON *item, void *context)
{
	(void)context;
	read_text(r, item, NULL);
}

static void read_names(struct reader *r, const cJSON *entry,
		       struct seccomp_rule *rule, bool applies)
{
	const char *name = read_member(r->p, entry, "name");
	size_t n = each_item(r, entry, "names",
			     applies ? read_name : check_name, rule);
	cJSON one = { .type = cJSON_String };

	if (name && n)
		complain(r->p, "has both \"name\" and \"names\"");
	else if (!name)
		need(r->p, entry, "names");
	else if (applies) {
		one.valuestring = (char *)(uintptr_t)name;
		read_name(r, &one, rule);
	}
}

static void read_entry(struct reader *r, const cJSON *entry, void *context)
{
	struct seccomp_rule rule = { .nr = -1, .entry = r->entry++ };
	struct matches include, exclude;

	(void)context;
	if (!cJSON_IsObject(entry)) {
		wrong_type(r->p, "an object", entry);
		return;
	}
	if (rule.entry == SECCOMP_PROFILE_ENTRIES)
		complain(r->p, "is more than %d entries",
			 SECCOMP_PROFILE_ENTRIES);
	if (rule.entry >= SECCOMP_PROFILE_ENTRIES)
		return;
	only_members(r->p, entry, entry_keys);
	read_member(r->p, entry, "comment");
	rule.action = with_error(r->p, entry,
				 read_action(r->p, entry, "action"), "errnoRet",
				 "errno");
	each_item(r, entry, "args", read_argument, &rule);
	include = read_filter(r, entry, "includes");
	exclude = read_filter(r, entry, "excludes");
	read_names(r, entry, &rule,
		   include.met == include.asked && exclude.met == 0);
}

static void read_arch(struct reader *r, const cJSON *item, void *context)
{
	static const char prefix[] = "SCMP_ARCH_";

	(void)context;
	if (!cJSON_IsString(item))
		wrong_type(r->p, "a string", item);
	else if (strncmp(item->valuestring, prefix, strlen(prefix)) != 0)
		complain(r->p, "\"%s\" is no architecture (%sX86_64, ...)",
			 item->valuestring, prefix);
}

static void read_map(struct reader *r, const cJSON *item, void *context)
{
	size_t back;
	const cJSON *arch;

	if (!cJSON_IsObject(item)) {
		wrong_type(r->p, "an object", item);
		return;
	}
	only_members(r->p, item, map_keys);
	arch = enter(r->p, item, "architecture", &back);
	if (arch) {
		read_arch(r, arch, context);
		where_back(r->p, back);
	}
	each_item(r, item, "subArchitectures", read_arch, context);
}

static void read_flag(struct reader *r, const cJSON *item, void *context)
{
	(void)context;
	read_word(r->p, item, flags, ARRAY_SIZE(flags));
}

static void refuse_listener(struct parse *p, const cJSON *profile,
			    const char *key)
{
	const char *value = read_member(p, profile, key);
	size_t back = where_key(p, key);

	if (value && *value)
		complain(p, "cannot be had: there is one listener, and it is "
			    "the sandbox's own");
	where_back(p, back);
}

static void read_profile(struct reader *r, const cJSON *tree)
{
	struct parse *p = r->p;
	size_t listed, mapped;

	only_members(p, tree, profile_keys);
	r->profile->default_action = with_error(
	    p, tree, read_action(p, tree, "defaultAction"), "defaultErrnoRet",
	    "defaultErrno");
	/* Other ABIs are killed whatever a profile says of them. */
	listed = each_item(r, tree, "architectures", read_arch, NULL);
	mapped = each_item(r, tree, "archMap", read_map, NULL);
	if (listed && mapped)
		complain(p, "has both \"architectures\" and \"archMap\"");
	each_item(r, tree, "flags", read_flag, NULL);
	refuse_listener(p, tree, "listenerPath");
	refuse_listener(p, tree, "listenerMetadata");
	each_item(r, tree, "syscalls", read_entry, NULL);
}

struct seccomp_profile *spec_read_seccomp(struct parse *p, const char *text,
					  size_t len)
{
	struct reader r = { .p = p, .profile = xcalloc(1, sizeof(*r.profile)) };
	cJSON *tree = read_tree(p, text, len);

	if (tree)
		read_profile(&r, tree);
	cJSON_Delete(tree);
	return r.profile;
}

void spec_load_seccomp(struct parse *p)
{
	const char *path = p->spec->seccomp;
	struct parse inner = { .errors = p->errors,
			       .problems = p->problems,
			       .source = FROM_FILE,
			       .file = path };
	char *auto_free text = NULL;
	size_t len;

	if (!path)
		return;
	text = read_file(AT_FDCWD, path, SPEC_FILE_MAX, &len);
	if (!text) {
		complain_at(
		    p, option_given(p, "seccomp"), "cannot read %s: %s", path,
		    errno == EFBIG ? "it is over 1 MiB" : strerror(errno));
		return;
	}
	p->spec->profile = spec_read_seccomp(&inner, text, len);
	p->spec->profile->path = xstrdup(path);
	p->problems = inner.problems;
}
