/* SPDX-License-Identifier: MIT */
#include "option.h"

/* What is copied in and out, and what is mounted. */

#include <stdlib.h>
#include <string.h>

/* The list of copies in or out: a vector and its length. */
struct copies {
	struct spec_copy **v;
	size_t *n;
};

static struct copies inputs_of(struct spec *spec)
{
	return (struct copies){ &spec->inputs, &spec->n_inputs };
}

static struct copies outputs_of(struct spec *spec)
{
	return (struct copies){ &spec->outputs, &spec->n_outputs };
}

static void free_copy(const struct spec_copy *copy)
{
	free(copy->from);
	free(copy->to);
}

/* The one of this very target, or NULL; patterns may share a folder. */
static struct spec_copy *same_target(struct copies list,
				     const struct spec_copy *copy)
{
	struct spec_copy *all = *list.v;

	for (size_t i = 0; !copy->glob && i < *list.n; i++)
		if (!all[i].glob && strcmp(all[i].to, copy->to) == 0)
			return &all[i];
	return NULL;
}

/* Takes its strings over.  A flag takes the place of what the file says of the
 * same target; otherwise there is one of each. */
static void add_copy(struct parse *p, struct copies list, struct spec_copy copy)
{
	struct spec_copy *old;

	if (!copy.from || !copy.to) {
		free_copy(&copy);
		return;
	}
	copy.of_file = p->source == FROM_FILE;
	old = same_target(list, &copy);
	if (old && (copy.of_file || !old->of_file)) {
		complain(p, "%s is the target of another one, too", copy.to);
		free_copy(&copy);
		return;
	}
	if (old) {
		free_copy(old);
		*old = copy;
		return;
	}
	*list.v = xrealloc_array(*list.v, *list.n + 1, sizeof(**list.v));
	(*list.v)[(*list.n)++] = copy;
}

static void add_input(struct parse *p, const char *from, const char *to)
{
	char *source = host_path(p, from);
	const char *slash = source ? strrchr(source, '/') : NULL;

	if (!source)
		return;
	if (!to && (slash[1] == '\0' || path_climbs(slash))) {
		complain(p, "\"%.80s\" has no name of its own: say SRC:DEST",
			 from);
		free(source);
		return;
	}
	add_copy(
	    p, inputs_of(p->spec),
	    (struct spec_copy){ .from = source,
				.to = workdir_path(p, to ? to : slash + 1) });
}

/* A target that ends in a slash is a folder. */
static char *output_target(struct parse *p, const char *name, const char *to)
{
	char *auto_free target = NULL;

	name = path_base(name);
	if (!to)
		target = xstrdup(name);
	else if (*to && to[strlen(to) - 1] == '/')
		target = path_join(to, name);
	else
		target = xstrdup(to);
	return host_path(p, target);
}

static void add_output(struct parse *p, const char *from, const char *to,
		       bool optional)
{
	struct spec_copy copy = { .from = workdir_path(p, from),
				  .optional = optional };

	if (!copy.from)
		return;
	copy.glob = strpbrk(copy.from, "*?[") != NULL;
	copy.here = copy.glob && !to;
	if (strstr(copy.from, "**")) {
		complain(p,
			 "\"%.80s\": ** is not understood (name a folder, "
			 "or each level)",
			 from);
		free(copy.from);
		return;
	}
	/* What matches goes into a folder, by its own name. */
	copy.to = copy.glob ? host_path(p, to ? to : ".")
			    : output_target(p, copy.from, to);
	add_copy(p, outputs_of(p->spec), copy);
}

/*
 * The name inside holds no colon, the host's path may: so the colon that counts
 * is the last one of SRC:DEST and the first one of NAME:DEST.
 */
static void set_input(struct parse *p, const struct option *o, char *const *arg)
{
	const char *colon = strrchr(arg[0], ':');
	size_t len = colon ? (size_t)(colon - arg[0]) : strlen(arg[0]);
	char *auto_free from = xstrndup(arg[0], len);

	(void)o;
	add_input(p, from, colon ? colon + 1 : NULL);
}

static void set_output(struct parse *p, const struct option *o,
		       char *const *arg)
{
	const char *colon = strchr(arg[0], ':');
	size_t len = colon ? (size_t)(colon - arg[0]) : strlen(arg[0]);
	char *auto_free from = xstrndup(arg[0], len);

	add_output(p, from, colon ? colon + 1 : NULL,
		   o->type == &type_optional_output);
}

/* An array whose items are strings for `set` or objects for `add`. */
static void load_items(struct parse *p, const struct option *o,
		       const cJSON *value, const char *expects,
		       void (*add)(struct parse *p, const struct option *o,
				   const cJSON *object))
{
	const cJSON *item;
	size_t index = 0;

	if (!cJSON_IsArray(value)) {
		wrong_type(p, "an array", value);
		return;
	}
	if (too_many(p, value))
		return;
	cJSON_ArrayForEach(item, value)
	{
		size_t back = where_index(p, index++);

		if (cJSON_IsObject(item))
			add(p, o, item);
		else if (cJSON_IsString(item) && o->type->json)
			o->type->set(p, o, (char *[]){ item->valuestring });
		else
			wrong_type(p, expects, item);
		where_back(p, back);
	}
}

static void load_copy(struct parse *p, const struct option *o,
		      const cJSON *object)
{
	/* An input has no use for the last one: the first two are its own. */
	static const char *const in[] = { "from", "to", NULL };
	static const char *const out[] = { "from", "to", "optional", NULL };
	bool inputs = o->type == &type_inputs;
	const cJSON *optional = cJSON_GetObjectItemCaseSensitive(object,
								 out[2]);
	const char *from, *to;
	size_t before = p->problems;

	only_members(p, object, inputs ? in : out);
	from = member_string(p, object, in[0], true);
	to = member_string(p, object, in[1], false);
	if (!inputs && optional && !cJSON_IsBool(optional)) {
		size_t back = where_key(p, out[2]);

		wrong_type(p, "true or false", optional);
		where_back(p, back);
	}
	if (p->problems > before)
		return;
	if (inputs)
		add_input(p, from, to);
	else
		add_output(p, from, to, cJSON_IsTrue(optional));
}

static void load_copies(struct parse *p, const struct option *o,
			const cJSON *value)
{
	load_items(p, o, value, "\"SRC:DEST\" or {\"from\", \"to\"}",
		   load_copy);
}

static cJSON *dump_copies(struct copies list)
{
	cJSON *array = cJSON_CreateArray();

	for (size_t i = 0; i < *list.n; i++) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "from", (*list.v)[i].from);
		/* Named, the folder's files may be replaced. */
		if (!(*list.v)[i].here)
			cJSON_AddStringToObject(item, "to", (*list.v)[i].to);
		if ((*list.v)[i].optional)
			cJSON_AddTrueToObject(item, "optional");
		cJSON_AddItemToArray(array, item);
	}
	return array;
}

static void clear_copies(struct copies list)
{
	for (size_t i = 0; i < *list.n; i++)
		free_copy(&(*list.v)[i]);
	free(*list.v);
	*list.v = NULL;
	*list.n = 0;
}

static cJSON *dump_inputs(const struct spec *spec, const struct option *o)
{
	(void)o;
	return dump_copies(inputs_of((struct spec *)(uintptr_t)spec));
}

static cJSON *dump_outputs(const struct spec *spec, const struct option *o)
{
	(void)o;
	return dump_copies(outputs_of((struct spec *)(uintptr_t)spec));
}

static void clear_inputs(struct spec *spec, const struct option *o)
{
	(void)o;
	clear_copies(inputs_of(spec));
}

static void clear_outputs(struct spec *spec, const struct option *o)
{
	(void)o;
	clear_copies(outputs_of(spec));
}

const struct option_type type_inputs = {
	.json = cJSON_String,
	.set = set_input,
	.load = load_copies,
	.dump = dump_inputs,
	.clear = clear_inputs,
};

const struct option_type type_outputs = {
	.json = cJSON_String,
	.set = set_output,
	.load = load_copies,
	.dump = dump_outputs,
	.clear = clear_outputs,
};

/* Of one list: the row before it reads the key, and prints it. */
const struct option_type type_optional_output = {
	.json = cJSON_String,
	.set = set_output,
};

/* `source` NULL: a tmpfs. */
static void add_mount(struct parse *p, const char *source,
		      const char *destination, bool read_write)
{
	struct spec *spec = p->spec;
	char *auto_free from = source ? host_path(p, source) : NULL;
	char *auto_free to = inside_path(p, destination);

	if (!to || (source && !from))
		return;
	if (strcmp(to, "/") == 0)
		complain(p, "a mount over / would replace the whole sandbox "
			    "(use rootfs)");
	else if (path_under(to, "/proc"))
		complain(p,
			 "%s: a mount over /proc could show the host's "
			 "processes",
			 to);
	else if (from && read_write && strcmp(from, "/") == 0)
		complain(p, "all of the host, writable, is no sandbox");
	else {
		spec->mounts = xrealloc_array(spec->mounts, spec->n_mounts + 1,
					      sizeof(*spec->mounts));
		spec->mounts[spec->n_mounts++] = (struct spec_mount){
			.source = take_ptr(&from),
			.destination = take_ptr(&to),
			.read_write = read_write,
		};
	}
}

static void set_bind(struct parse *p, const struct option *o, char *const *arg)
{
	(void)o;
	add_mount(p, arg[0], arg[1], true);
}

static void set_ro_bind(struct parse *p, const struct option *o,
			char *const *arg)
{
	(void)o;
	add_mount(p, arg[0], arg[1], false);
}

static void set_tmpfs(struct parse *p, const struct option *o, char *const *arg)
{
	(void)o;
	add_mount(p, NULL, arg[0], true);
}

static bool is_tmpfs(struct parse *p, const cJSON *object)
{
	const char *type = member_string(p, object, "type", false);
	size_t back;

	if (type && strcmp(type, "bind") != 0 && strcmp(type, "tmpfs") != 0) {
		back = where_key(p, "type");
		complain(p, "\"%.80s\" is none of bind, tmpfs", type);
		where_back(p, back);
	}
	return type && strcmp(type, "tmpfs") == 0;
}

static void load_mount(struct parse *p, const struct option *o,
		       const cJSON *object)
{
	static const char *const names[] = { "source", "destination",
					     "readWrite", "type", NULL };
	const cJSON *rw = cJSON_GetObjectItemCaseSensitive(object, names[2]);
	size_t before = p->problems, back;
	const char *source, *destination;
	bool tmpfs;

	(void)o;
	only_members(p, object, names);
	tmpfs = is_tmpfs(p, object);
	source = member_string(p, object, names[0], !tmpfs);
	destination = member_string(p, object, names[1], true);
	if (rw && !cJSON_IsBool(rw)) {
		back = where_key(p, names[2]);
		wrong_type(p, "true or false", rw);
		where_back(p, back);
	}
	if (tmpfs && (source || cJSON_IsFalse(rw)))
		complain(p, "a tmpfs has no source and is writable");
	if (p->problems == before)
		add_mount(p, source, destination, tmpfs || cJSON_IsTrue(rw));
}

static void load_mounts(struct parse *p, const struct option *o,
			const cJSON *value)
{
	load_items(p, o, value, "{\"source\", \"destination\"}", load_mount);
}

static cJSON *dump_mounts(const struct spec *spec, const struct option *o)
{
	cJSON *array = cJSON_CreateArray();

	(void)o;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct spec_mount *mount = &spec->mounts[i];
		cJSON *item = cJSON_CreateObject();

		if (mount->source)
			cJSON_AddStringToObject(item, "source", mount->source);
		else
			cJSON_AddStringToObject(item, "type", "tmpfs");
		cJSON_AddStringToObject(item, "destination",
					mount->destination);
		if (mount->source)
			cJSON_AddBoolToObject(item, "readWrite",
					      mount->read_write);
		cJSON_AddItemToArray(array, item);
	}
	return array;
}

static void clear_mounts(struct spec *spec, const struct option *o)
{
	(void)o;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		free(spec->mounts[i].source);
		free(spec->mounts[i].destination);
	}
	free(spec->mounts);
	spec->mounts = NULL;
	spec->n_mounts = 0;
}

const struct option_type type_bind = {
	.set = set_bind,
	.load = load_mounts,
	.dump = dump_mounts,
	.clear = clear_mounts,
};
const struct option_type type_ro_bind = { .set = set_ro_bind };
const struct option_type type_tmpfs = { .set = set_tmpfs };
