/* SPDX-License-Identifier: MIT */
#include "option.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"

static const char *const node_keys[] = { "id", "type", "params", NULL };

struct place {
	cJSON *member;
	size_t position;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int by_key = strcmp(x->member->string, y->member->string);

	if (by_key)
		return by_key;
	return x->position < y->position ? -1 : 1;
}

/* Removes what repeats a key: readers differ in which one they believe. */
static void refuse_repeats(struct parse *p, cJSON *object, size_t n)
{
	struct place *places = xcalloc(n, sizeof(*places));
	cJSON *member = object->child;

	for (size_t i = 0; i < n; i++, member = member->next)
		places[i] = (struct place){ member, i };
	qsort(places, n, sizeof(*places), compare_places);
	for (size_t i = 1, first = 0; i < n; i++) {
		const char *key = places[first].member->string;
		size_t back;

		if (strcmp(key, places[i].member->string) != 0) {
			first = i;
			continue;
		}
		back = where_key(p, key);
		complain(p, "is there twice");
		where_back(p, back);
		cJSON_Delete(
		    cJSON_DetachItemViaPointer(object, places[i].member));
	}
	free(places);
}

/* The depth is bounded by json_read. */
static void refuse_duplicates(struct parse *p, cJSON *value)
{
	size_t index = 0;
	cJSON *item;

	if (cJSON_IsObject(value) && value->child && value->child->next)
		refuse_repeats(p, value, (size_t)cJSON_GetArraySize(value));
	if (!cJSON_IsObject(value) && !cJSON_IsArray(value))
		return;
	cJSON_ArrayForEach(item, value)
	{
		size_t back = item->string ? where_key(p, item->string)
					   : where_index(p, index++);

		refuse_duplicates(p, item);
		where_back(p, back);
	}
}

static void load_row(struct parse *p, const char *key, const cJSON *value)
{
	option_read(p, option_by_key(key), NULL, value);
}

static void short_network(struct parse *p, const cJSON *value)
{
	if (cJSON_IsString(value))
		load_row(p, "network.mode", value);
	else
		wrong_type(p, "a mode or an object", value);
}

static void short_artifact(struct parse *p, const cJSON *value)
{
	load_row(p, cJSON_IsString(value) ? "artifact.path" : "artifact",
		 value);
}

static void short_project(struct parse *p, const cJSON *value)
{
	if (cJSON_IsString(value))
		load_row(p, "project.path", value);
	else
		wrong_type(p, "a folder or an object", value);
}

static void short_sandbox(struct parse *p, const cJSON *value)
{
	if (cJSON_IsFalse(value))
		complain(p, "cannot be switched off: everything that this "
			    "program runs is sandboxed");
	else if (!cJSON_IsTrue(value))
		wrong_type(p, "true or an object", value);
}

/* Keys that hold an object of options, or one value for short. */
static const struct group {
	const char *key, *prefix;
	void (*load_short)(struct parse *p, const cJSON *value);
} groups[] = {
	{ "network", "network.", short_network },
	{ "artifact", "artifact.", short_artifact },
	{ "project", "project.", short_project },
	{ "sandbox", "sandbox.", short_sandbox },
};

static const struct group *find_group(const char *prefix, const char *key)
{
	for (size_t i = 0; *prefix == '\0' && i < ARRAY_SIZE(groups); i++)
		if (strcmp(groups[i].key, key) == 0)
			return &groups[i];
	return NULL;
}

static void load_object(struct parse *p, const char *prefix,
			const cJSON *object);

static void load_member(struct parse *p, const char *prefix,
			const cJSON *member)
{
	const struct group *group = find_group(prefix, member->string);
	const char *name = *prefix ? member->string
				   : option_key_alias(member->string);
	auto_free char *key = NULL;

	if (group && cJSON_IsObject(member)) {
		load_object(p, group->prefix, member);
		return;
	}
	if (group) {
		group->load_short(p, member);
		return;
	}
	/* "network.hosts" as one key is not network's hosts. */
	if (!strchr(name, '.')) {
		key = xasprintf("%s%s", prefix, name);
		if (option_by_key(key)) {
			load_row(p, key, member);
			return;
		}
	}
	complain_unknown(p, p->problems < PROBLEMS_SHOWN
				? option_near_key(prefix, member->string)
				: NULL);
}

static void load_object(struct parse *p, const char *prefix,
			const cJSON *object)
{
	const cJSON *member;

	cJSON_ArrayForEach(member, object)
	{
		size_t back = where_key(p, member->string);

		load_member(p, prefix, member);
		where_back(p, back);
	}
}

static bool is_node_key(const char *key)
{
	for (size_t i = 0; node_keys[i]; i++)
		if (strcmp(node_keys[i], key) == 0)
			return true;
	return false;
}

/* {"id","type","params"}: a node of an m9m workflow, options in params. */
static void load_node(struct parse *p, const cJSON *node)
{
	const cJSON *member;

	cJSON_ArrayForEach(member, node)
	{
		size_t back = where_key(p, member->string);

		if (!is_node_key(member->string))
			complain(p, "is not used here: of a node only id, type "
				    "and params are; options go into params");
		else if (strcmp(member->string, "params") != 0)
			load_member(p, "", member);
		else if (cJSON_IsObject(member))
			load_object(p, "", member);
		else
			wrong_type(p, "an object", member);
		where_back(p, back);
	}
}

cJSON *read_tree(struct parse *p, const char *text, size_t len)
{
	struct json_fault fault;
	char *auto_free where = NULL;
	cJSON *tree = NULL;

	snprintf(p->where, sizeof(p->where), "$");
	if (len > SPEC_FILE_MAX) {
		complain(p, "is over 1 MiB");
		return NULL;
	}
	tree = json_read_exact(text, len, &fault);
	if (!tree) {
		where = xasprintf("%s:%zu:%zu", p->file, fault.line,
				  fault.column);
		complain_in(p, where, "%s", fault.what);
		return NULL;
	}
	refuse_duplicates(p, tree);
	if (cJSON_IsObject(tree))
		return tree;
	wrong_type(p, "an object", tree);
	cJSON_Delete(tree);
	return NULL;
}

void spec_read_json(struct parse *p, const char *text, size_t len)
{
	cJSON *tree = read_tree(p, text, len);

	if (tree && cJSON_GetObjectItemCaseSensitive(tree, "params"))
		load_node(p, tree);
	else if (tree)
		load_object(p, "", tree);
	cJSON_Delete(tree);
}
