/* SPDX-License-Identifier: MIT */
#include "option.h"

#include <stdlib.h>
#include <string.h>

static bool fits(struct parse *p, const char *text)
{
	if (*text == '\0')
		complain(p, "the path is empty");
	else if (strlen(text) >= PATH_MAX)
		complain(p, "the path has %d bytes or more", PATH_MAX);
	else
		return true;
	return false;
}

bool path_climbs(const char *path)
{
	for (; path; path = strchr(path, '/')) {
		path += strspn(path, "/");
		if (strncmp(path, "..", 2) == 0 &&
		    (path[2] == '/' || path[2] == '\0'))
			return true;
	}
	return false;
}

/* Beyond its first words ".." is the kernel's to resolve: what it means
 * depends on links. */
static char *tidy(const char *path)
{
	return path_climbs(path) ? xstrdup(path) : path_clean(path);
}

/* `base` has no links, so that ".." up front can be taken in words. */
static char *against_base(const char *base, const char *relative)
{
	char *auto_free folder = xstrdup(base);
	char *auto_free joined = NULL;
	char *slash;

	for (;;) {
		while (strncmp(relative, "./", 2) == 0)
			relative += 2 + strspn(relative + 2, "/");
		if (strncmp(relative, "..", 2) != 0 ||
		    (relative[2] != '/' && relative[2] != '\0'))
			break;
		slash = strrchr(folder, '/');
		slash[slash == folder] = '\0';
		relative += 2 + strspn(relative + 2, "/");
	}
	joined = path_join(folder, relative);
	return tidy(joined);
}

char *host_path(struct parse *p, const char *text)
{
	const char *home = getenv("HOME");
	char *auto_free joined = NULL;
	char *path;

	if (!fits(p, text))
		return NULL;
	if (text[0] == '~' && (text[1] == '/' || text[1] == '\0')) {
		if (!home || home[0] != '/') {
			complain(p, "~ is unknown: HOME is not set to an "
				    "absolute path");
			return NULL;
		}
		joined = path_join(home, text + 1);
		path = tidy(joined);
	} else if (text[0] == '/') {
		path = tidy(text);
	} else if (p->base) {
		path = against_base(p->base, text);
	} else {
		complain(p,
			 "\"%.80s\" is relative, and the current folder is "
			 "gone",
			 text);
		return NULL;
	}
	if (!fits(p, path)) {
		free(path);
		return NULL;
	}
	return path;
}

char *folder_of(const char *absolute)
{
	const char *slash = strrchr(absolute, '/');
	size_t len = slash == absolute ? 1 : (size_t)(slash - absolute);
	char *auto_free folder = xstrndup(absolute, len);

	return realpath(folder, NULL);
}

char *inside_path(struct parse *p, const char *text)
{
	if (!fits(p, text))
		return NULL;
	if (text[0] != '/') {
		complain(p, "\"%.80s\" is not absolute", text);
		return NULL;
	}
	/* Nothing of the payload's is there yet: no link can give ".." another
	 * meaning. */
	return path_clean(text);
}

char *workdir_path(struct parse *p, const char *text)
{
	char *auto_free rooted = NULL;
	char *clean;

	if (!fits(p, text))
		return NULL;
	if (text[0] == '/') {
		complain(p, "\"%.80s\" is not relative to the workdir", text);
		return NULL;
	}
	if (path_climbs(text)) {
		complain(p, "\"%.80s\" is not below the workdir", text);
		return NULL;
	}
	rooted = path_join("/", text);
	clean = path_clean(rooted);
	if (strcmp(clean, "/") == 0) {
		complain(p,
			 "\"%.80s\" names the workdir itself: name what is in "
			 "it (--project shows a tree there)",
			 text);
		free(clean);
		return NULL;
	}
	memmove(clean, clean + 1, strlen(clean));
	return clean;
}

static void replace(struct parse *p, const struct option *o, char *owned)
{
	char **field = option_field(p->spec, o);

	if (!owned)
		return;
	free(*field);
	*field = owned;
}

static cJSON *dump_path(const struct spec *spec, const struct option *o)
{
	return cJSON_CreateString(*(char **)option_field(spec, o));
}

static void clear_path(struct spec *spec, const struct option *o)
{
	char **field = option_field(spec, o);

	free(*field);
	*field = NULL;
}

static void set_host_path(struct parse *p, const struct option *o,
			  char *const *arg)
{
	replace(p, o, host_path(p, arg[0]));
}

const struct option_type type_host_path = {
	.json = cJSON_String,
	.set = set_host_path,
	.dump = dump_path,
	.clear = clear_path,
};

static void set_output_path(struct parse *p, const struct option *o,
			    char *const *arg)
{
	if (strcmp(arg[0], "-") == 0)
		replace(p, o, xstrdup("-"));
	else
		replace(p, o, host_path(p, arg[0]));
}

const struct option_type type_output_path = {
	.json = cJSON_String,
	.set = set_output_path,
	.dump = dump_path,
	.clear = clear_path,
};

static void set_inside_path(struct parse *p, const struct option *o,
			    char *const *arg)
{
	replace(p, o, inside_path(p, arg[0]));
}

const struct option_type type_inside_path = {
	.json = cJSON_String,
	.set = set_inside_path,
	.dump = dump_path,
	.clear = clear_path,
};

/*
 * A writable folder there would hide, or mix with, what the sandbox needs to be
 * what it is.  Below /tmp is fine: the private /tmp is empty, and some tools
 * insist on a place there.
 */
static const char *const taken_trees[] = {
	"/usr", "/etc",   "/proc",  "/dev",  "/sys",    "/bin",
	"/lib", "/lib32", "/lib64", "/sbin", "/libx32", "/nix",
};
static const char *const taken_places[] = { "/", "/tmp" };

static void set_workdir(struct parse *p, const struct option *o,
			char *const *arg)
{
	char *auto_free path = inside_path(p, arg[0]);
	const char *taken = NULL;

	if (!path)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(taken_trees); i++)
		if (path_under(path, taken_trees[i]))
			taken = taken_trees[i];
	for (size_t i = 0; i < ARRAY_SIZE(taken_places); i++)
		if (strcmp(path, taken_places[i]) == 0)
			taken = taken_places[i];
	if (taken)
		complain(p,
			 "\"%.80s\" cannot be writable: %s is the sandbox's "
			 "own",
			 arg[0], taken);
	else
		replace(p, o, take_ptr(&path));
}

const struct option_type type_workdir = {
	.json = cJSON_String,
	.set = set_workdir,
	.dump = dump_path,
	.clear = clear_path,
};

static void set_show(struct parse *p, const struct option *o, char *const *arg)
{
	char *path = workdir_path(p, arg[0]);

	if (path)
		strv_push(option_field(p->spec, o), path);
}

static cJSON *dump_show(const struct spec *spec, const struct option *o)
{
	const struct strv *list = option_field(spec, o);

	return cJSON_CreateStringArray((const char *const *)list->v,
				       (int)list->n);
}

static void clear_show(struct spec *spec, const struct option *o)
{
	strv_free(option_field(spec, o));
}

const struct option_type type_show = {
	.json = cJSON_String,
	.expects = "an array of names in the project",
	.set = set_show,
	.load = load_list,
	.dump = dump_show,
	.clear = clear_show,
};
