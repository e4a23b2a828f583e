/* SPDX-License-Identifier: MIT */
#include "option.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"

static const char *const node_keys[] = { "id", "type", "params", NULL };

struct place {
	struct json *member;
	size_t position;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int by_key = strcmp(x->member->key, y->member->key);

	if (by_key)
		return by_key;
	return x->position < y->position ? -1 : 1;
}

/* Removes what repeats a key: readers differ in which one they believe. */
static void refuse_repeats(struct parse *p, struct json *object, size_t n)
{
	struct place *places = xcalloc(n, sizeof(*places));
	struct json *member = object->child;

	for (size_t i = 0; i < n; i++, member = member->next)
		places[i] = (struct place){ member, i };
	qsort(places, n, sizeof(*places), compare_places);
	for (size_t i = 1, first = 0; i < n; i++) {
		const char *key = places[first].member->key;
		size_t back;

		if (strcmp(key, places[i].member->key) != 0) {
			first = i;
			continue;
		}
		back = where_key(p, key);
		complain(p, "is there twice");
		where_back(p, back);
		json_free(json_take(object, places[i].member));
	}
	free(places);
}

/* The depth is bounded by json_read. */
static void refuse_duplicates(struct parse *p, struct json *value)
{
	size_t index = 0;
	struct json *item;

	if (json_is(value, JSON_OBJECT) && value->child && value->child->next)
		refuse_repeats(p, value, json_count(value));
	if (!json_is(value, JSON_OBJECT) && !json_is(value, JSON_ARRAY))
		return;
	json_each(item, value) {
		size_t back = item->key ? where_key(p, item->key)
					: where_index(p, index++);

		refuse_duplicates(p, item);
		where_back(p, back);
	}
}

static void load_row(struct parse *p, const char *key, const struct json *value)
{
	option_read(p, option_by_key(key), NULL, value);
}

static void short_network(struct parse *p, const struct json *value)
{
	if (json_is(value, JSON_STRING))
		load_row(p, "network.mode", value);
	else
		wrong_type(p, "a mode or an object", value);
}

static void short_artifact(struct parse *p, const struct json *value)
{
	load_row(p, json_is(value, JSON_STRING) ? "artifact.path" : "artifact",
		 value);
}

static void short_project(struct parse *p, const struct json *value)
{
	if (json_is(value, JSON_STRING))
		load_row(p, "project.path", value);
	else
		wrong_type(p, "a folder or an object", value);
}

static void short_sandbox(struct parse *p, const struct json *value)
{
	if (json_is(value, JSON_FALSE))
		complain(p, "cannot be switched off: everything that this "
			    "program runs is sandboxed");
	else if (!json_is(value, JSON_TRUE))
		wrong_type(p, "true or an object", value);
}

/* Keys that hold an object of options, or one value for short. */
static const struct group {
	const char *key, *prefix;
	void (*load_short)(struct parse *p, const struct json *value);
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
			const struct json *object);

static void load_member(struct parse *p, const char *prefix,
			const struct json *member)
{
	const struct group *group = find_group(prefix, member->key);
	const char *name = *prefix ? member->key
				   : option_key_alias(member->key);
	auto_free char *key = NULL;

	if (group && json_is(member, JSON_OBJECT)) {
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
				? option_near_key(prefix, member->key)
				: NULL);
}

static void load_object(struct parse *p, const char *prefix,
			const struct json *object)
{
	const struct json *member;

	json_each(member, object) {
		size_t back = where_key(p, member->key);

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
static void load_node(struct parse *p, const struct json *node)
{
	const struct json *member;

	json_each(member, node) {
		size_t back = where_key(p, member->key);

		if (!is_node_key(member->key))
			complain(p, "is not used here: of a node only id, type "
				    "and params are; options go into params");
		else if (strcmp(member->key, "params") != 0)
			load_member(p, "", member);
		else if (json_is(member, JSON_OBJECT))
			load_object(p, "", member);
		else
			wrong_type(p, "an object", member);
		where_back(p, back);
	}
}

struct json *read_tree(struct parse *p, const char *text, size_t len)
{
	struct json_fault fault;
	char *auto_free where = NULL;
	struct json *tree = NULL;

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
	if (json_is(tree, JSON_OBJECT))
		return tree;
	wrong_type(p, "an object", tree);
	json_free(tree);
	return NULL;
}

void spec_read_json(struct parse *p, const char *text, size_t len)
{
	struct json *tree = read_tree(p, text, len);

	if (tree && json_get(tree, "params"))
		load_node(p, tree);
	else if (tree)
		load_object(p, "", tree);
	json_free(tree);
}
