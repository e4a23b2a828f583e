/* SPDX-License-Identifier: MIT */
#include "package.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"

#define auto_json    __attribute__((cleanup(free_json)))
#define auto_glob    __attribute__((cleanup(globfree)))
#define auto_linkage __attribute__((cleanup(linkage_free)))

#define MANIFEST_MAX (1 << 20)

/* With more packages than this, one mount of the folder that holds them all
 * (and nothing but packages) is the lesser evil. */
#define PACKAGES_MAX 32

static const char modules[] = "/node_modules/";
static const char why_package[] = "package root";

static void free_json(cJSON **json)
{
	cJSON_Delete(*json);
}

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash > path ? xstrndup(path, slash - path) : NULL;
}

static bool exists(const char *dir, const char *name)
{
	auto_free char *path = path_join(dir, name);

	return access(path, F_OK) == 0;
}

/* Matches below a folder whose own name is no pattern. */
static int glob_below(const char *dir, const char *pattern, glob_t *found)
{
	auto_free char *escaped = xcalloc(2, strlen(dir) + 1);
	auto_free char *whole = NULL;
	size_t n = 0;

	for (; *dir; dir++) {
		if (strchr("*?[\\", *dir))
			escaped[n++] = '\\';
		escaped[n++] = *dir;
	}
	whole = path_join(escaped, pattern);
	return glob(whole, 0, NULL, found);
}

/*** Node ***/

/* Where the last "/node_modules/" of a path starts, or NULL. */
static const char *last_modules(const char *path)
{
	const char *last = NULL;

	for (const char *p = path; (p = strstr(p, modules)); p++)
		last = p;
	return last;
}

char *package_root(const char *real)
{
	const char *last = last_modules(real);
	const char *name, *end;

	if (last == NULL)
		return NULL;
	name = last + strlen(modules);
	end = name + strcspn(name, "/");
	if (*name == '@' && *end == '/')
		end += 1 + strcspn(end + 1, "/");
	/* A file that lies in node_modules itself belongs to no package. */
	return *end == '/' ? xstrndup(real, (size_t)(end - real)) : NULL;
}

static cJSON *read_manifest(const char *root)
{
	auto_free char *path = path_join(root, "package.json");
	auto_free char *text = read_plain(AT_FDCWD, path, 0, MANIFEST_MAX);

	return text ? cJSON_Parse(text) : NULL;
}

static bool is_bin_entry(const cJSON *entry, const char *relative)
{
	const char *value = cJSON_GetStringValue(entry);

	if (value && strncmp(value, "./", 2) == 0)
		value += 2;
	return value && strcmp(value, relative) == 0;
}

/* A checkout that was linked (npm link): the folder above whose package.json
 * names this file as a command. */
static char *linked_root(const char *real)
{
	for (char *dir = parent_of(real), *up; dir;
	     up = parent_of(dir), free(dir), dir = up) {
		auto_json cJSON *manifest = read_manifest(dir);
		const cJSON *bin = cJSON_GetObjectItem(manifest, "bin");
		const char *relative = real + strlen(dir) + 1;
		const cJSON *entry;

		if (is_bin_entry(bin, relative))
			return dir;
		cJSON_ArrayForEach(entry, bin)
		{
			if (is_bin_entry(entry, relative))
				return dir;
		}
	}
	return NULL;
}

/* Is this a package's folder, directly below some node_modules? */
static bool is_package(const char *real)
{
	auto_free char *within = path_join(real, "package.json");
	auto_free char *root = package_root(within);

	return root && strcmp(root, real) == 0;
}

/* As require() finds it: in node_modules of this folder, or of one above. */
static char *find_dependency(struct needs *needs, const char *root,
			     const char *name)
{
	for (char *dir = xstrdup(root), *up; dir;
	     up = parent_of(dir), free(dir), dir = up) {
		auto_free char *path = xasprintf("%s%s%s", dir, modules, name);
		char *real;

		if (access(path, F_OK) < 0)
			continue;
		real = lookup_real(needs->lookup, path, &needs->program->links);
		/* A link to anything else is an attempt at ~/.ssh. */
		if (real && !is_package(real) && !path_under(real, dir)) {
			free(real);
			real = NULL;
		}
		free(dir);
		return real;
	}
	return NULL;
}

/* What npm takes for a name; none where the list is no object. */
static bool is_name(const char *name)
{
	return name && *name && *name != '.' && !strstr(name, "..");
}

/* Adds to `roots` each package that the one at `root` names and that is there:
 * optional ones for other systems are not. */
static void add_dependencies(struct needs *needs, const char *root,
			     struct strv *roots)
{
	static const char *const keys[] = { "dependencies",
					    "optionalDependencies",
					    "peerDependencies" };
	auto_json cJSON *manifest = read_manifest(root);
	const cJSON *entry;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		cJSON_ArrayForEach(entry,
				   cJSON_GetObjectItem(manifest, keys[i]))
		{
			auto_free char *found =
			    is_name(entry->string)
				? find_dependency(needs, root, entry->string)
				: NULL;

			if (found && !strv_has(roots, found) &&
			    roots->n <= PACKAGES_MAX)
				strv_push(roots, take_ptr(&found));
		}
	}
}

/* The outermost node_modules of a path (owned). */
static char *all_modules(const char *path)
{
	const char *first = strstr(path, modules);

	return first ? xstrndup(path,
				(size_t)(first - path) + strlen(modules) - 1)
		     : NULL;
}

static int add_node_package(struct needs *needs, const char *root, bool script)
{
	auto_strv struct strv roots = { 0 };
	auto_free char *all = all_modules(root);

	strv_push(&roots, xstrdup(root));
	/* A native program loads nothing through require(). */
	for (size_t i = 0; script && i < roots.n; i++)
		add_dependencies(needs, roots.v[i], &roots);
	if (all && roots.n > PACKAGES_MAX)
		return needs_show(needs, all, "packages");
	for (size_t i = 0; i < roots.n; i++)
		if (needs_show(needs, roots.v[i],
			       i ? "dependency" : why_package) < 0)
			return -1;
	return 0;
}

/*** Python and other runtimes with a tree of their own ***/

/* pyvenv.cfg's "home": python looks for its library from there. */
static void follow_home(struct needs *needs, const char *root)
{
	auto_free char *path = path_join(root, "pyvenv.cfg");
	auto_free char *text = read_plain(AT_FDCWD, path, 0, MANIFEST_MAX);
	char *save = NULL;

	for (char *line = text ? strtok_r(text, "\r\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\r\n", &save)) {
		char *value = strchr(line, '=');

		if (!value || strncmp(line, "home", 4) != 0 ||
		    strspn(line + 4, " \t") != (size_t)(value - line - 4))
			continue;
		value += 1 + strspn(value + 1, " \t");
		if (value[0] == '/')
			free(lookup_real(needs->lookup, value,
					 &needs->program->links));
	}
}

/* Only these parts: ENV may be a project of the user's (python -m venv .), and a
 * hostile script may name its python. */
static int show_environment(struct needs *needs, const char *root)
{
	static const char *const parts[] = { "bin", "lib", "lib64", "share",
					     "pyvenv.cfg" };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		auto_free char *path = path_join(root, parts[i]);
		auto_free char *real = lookup_real(needs->lookup, path,
						   &needs->program->links);

		/* A link out of the environment is no part of it. */
		if (real && path_under(real, root) &&
		    needs_show_part(needs, real, root, why_package) < 0)
			return -1;
	}
	return 0;
}

/* ENV/bin/NAME of a virtual environment brings ENV and its base python. */
static int add_environment(struct needs *needs, const char *named)
{
	auto_free char *bin = parent_of(named);
	auto_free char *root = bin ? parent_of(bin) : NULL;
	auto_free char *python = root ? path_join(root, "bin/python") : NULL;

	if (root == NULL || strcmp(path_base(bin), "bin") != 0 ||
	    !exists(root, "pyvenv.cfg"))
		return 0;
	follow_home(needs, root);
	if (show_environment(needs, root) < 0)
		return -1;
	if (access(python, F_OK) == 0 &&
	    needs_file(needs, python, "interpreter") < 0)
		return -1;
	return 1;
}

struct runtime {
	const char *program; /* its name starts with this */
	const char *library; /* relative to the folder above bin/ */
};

/* Only these parts: the folder above bin/ may be ~/.local. */
static const struct runtime runtimes[] = {
	{ "python", "lib/python3*" },
	{ "pypy", "lib/pypy*" },
	{ "ruby", "lib/ruby" },
	{ "perl", "lib/perl5" },
	{ "java", "lib" },
	{ "java", "conf" },
};

static int add_runtime(struct needs *needs, const char *real)
{
	auto_free char *bin = parent_of(real);
	auto_free char *prefix = bin ? parent_of(bin) : NULL;
	const char *name = strrchr(real, '/') + 1;

	for (size_t i = 0; prefix && i < ARRAY_SIZE(runtimes); i++) {
		const struct runtime *r = &runtimes[i];
		auto_glob glob_t found = { 0 };

		if (strncmp(name, r->program, strlen(r->program)) != 0 ||
		    glob_below(prefix, r->library, &found) != 0)
			continue;
		for (size_t j = 0; j < found.gl_pathc; j++) {
			auto_free char *path = lookup_real(
			    needs->lookup, found.gl_pathv[j],
			    &needs->program->links);

			/* A link out of the runtime's own tree is no library. */
			if (path && path_under(path, prefix) &&
			    needs_show(needs, path, "library") < 0)
				return -1;
		}
	}
	return 0;
}

/*** What others call ***/

int package_add(struct needs *needs, const char *named, const char *real,
		bool script, bool linked)
{
	auto_free char *root = NULL;
	int held = add_environment(needs, named);

	if (held < 0)
		return -1;
	if (needs_is_base(real))
		return 1;
	/* The environment's own files, not what its links lead to. */
	if (held && strcmp(named, real) == 0)
		return 1;
	root = package_root(real);
	if (root == NULL && script && linked)
		root = linked_root(real);
	if (root)
		return add_node_package(needs, root, script) < 0 ? -1 : 1;
	return script ? 0 : add_runtime(needs, real);
}

static bool runs_here(const char *path)
{
	auto_linkage struct linkage linkage = { 0 };
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd >= 0 && access(path, X_OK) == 0 &&
	       linkage_read(fd, &linkage) && !linkage.foreign &&
	       (!linkage.interpreter || access(linkage.interpreter, X_OK) == 0);
}

char *package_native(const struct lookup *lookup, const char *real,
		     const struct agent *agent)
{
	auto_free char *root = package_root(real);

	if (root == NULL || runs_here(real))
		return NULL;
	for (size_t i = 0; i < agent->native.n; i++) {
		auto_glob glob_t found = { 0 };

		if (glob_below(root, agent->native.v[i], &found) != 0)
			continue;
		for (size_t j = 0; j < found.gl_pathc; j++)
			if (runs_here(found.gl_pathv[j]))
				return lookup_real(lookup, found.gl_pathv[j],
						   NULL);
	}
	return NULL;
}
