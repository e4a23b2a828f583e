/* SPDX-License-Identifier: MIT */
#include "lookup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "near.h"

#define auto_dir __attribute__((cleanup(close_dir)))

/* The kernel's own limit. */
#define LINKS_MAX 40

#define SMALL_FILE 65536

static const char default_path[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

void lookup_init(struct lookup *lookup, const char *in_rootfs)
{
	const char *home = getenv("HOME");

	lookup->root = in_rootfs ? in_rootfs : "";
	lookup->home = home && *home == '/' ? home : NULL;
}

static char *working_dir(void)
{
	return getcwd(NULL, 0);
}

/*** Links ***/

/* One step of lookup_real: what is at `place`?  1: a link, its target in out;
 * 0: something else; -1: errno. */
static int read_link(const struct lookup *lookup, const char *place,
		     char out[static PATH_MAX])
{
	auto_free char *path = xasprintf("%s%s", lookup->root, place);
	ssize_t n = readlink(path, out, PATH_MAX - 1);

	if (n < 0)
		return errno == EINVAL ? 0 : -1;
	out[n] = '\0';
	return 1;
}

static void replace(char **owned, char *by)
{
	free(*owned);
	*owned = by;
}

static void strip_last(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		*slash = '\0';
}

/* Most paths have no link on their way: the kernel finds that out at once. */
static bool is_real(const char *path)
{
	auto_fd int fd = open_resolve(AT_FDCWD, path, O_PATH,
				      RESOLVE_NO_SYMLINKS);

	return fd >= 0;
}

char *lookup_real(const struct lookup *lookup, const char *path,
		  struct strv *links)
{
	auto_free char *rest = xstrdup(path);
	auto_free char *done = xstrdup("");
	char target[PATH_MAX];
	int met = 0;

	/* In a tree, ".." must not lead out of it. */
	if (lookup->root[0] == '\0' && path[0] == '/' && is_real(path))
		return path_clean(path);
	for (;;) {
		char *part = rest + strspn(rest, "/");
		size_t len = strcspn(part, "/");
		auto_free char *name = xstrndup(part, len);
		auto_free char *place = xasprintf("%s/%s", done, name);
		int kind;

		if (len == 0)
			return *done ? take_ptr(&done) : xstrdup("/");
		memmove(rest, part + len, strlen(part + len) + 1);
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			strip_last(done);
			continue;
		}
		kind = read_link(lookup, place, target);
		if (kind < 0)
			return NULL;
		if (kind == 0) {
			replace(&done, take_ptr(&place));
			continue;
		}
		if (++met > LINKS_MAX) {
			errno = ELOOP;
			return NULL;
		}
		if (links && !strchr(place, '\t'))
			strv_push(links, xasprintf("%s\t%s", place, target));
		if (target[0] == '/')
			replace(&done, xstrdup(""));
		replace(&rest, xasprintf("%s/%s", target, rest));
	}
}

/*** Version managers ***/

/* The newest entry of `dir` with this prefix, as NAME; or NULL. */
static char *newest_in(const char *dir, const char *prefix)
{
	auto_dir DIR *d = opendir(dir);
	auto_free char *best = NULL;
	struct dirent *e;

	/* One thread, and a stream of its own. */
	/* cppcheck-suppress readdirCalled */
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' ||
		    strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (!best || strverscmp(e->d_name, best) > 0)
			replace(&best, xstrdup(e->d_name));
	}
	return take_ptr(&best);
}

/* The first word of a small file, or NULL. */
static char *first_word(const char *path)
{
	auto_free char *text = read_plain(AT_FDCWD, path, 0, SMALL_FILE);

	if (text == NULL)
		return NULL;
	return xstrndup(text + strspn(text, " \t\r\n"),
			strcspn(text + strspn(text, " \t\r\n"), " \t\r\n"));
}

/* DIR/WANTED, or the newest of DIR/WANTED.*: "20" means v20's last. */
static char *version_in(const char *dir, const char *wanted)
{
	auto_free char *exact = path_join(dir, wanted);
	auto_free char *prefix = xasprintf("%s.", wanted);
	auto_free char *newest = NULL;

	if (strchr(wanted, '/') || wanted[0] == '.' || wanted[0] == '\0')
		return NULL;
	if (access(exact, F_OK) == 0)
		return take_ptr(&exact);
	newest = newest_in(dir, prefix);
	return newest ? path_join(dir, newest) : NULL;
}

/* nvm's alias files point at versions or at other aliases ("lts/iron"). */
static char *nvm_version(const char *nvm, const char *versions)
{
	auto_free char *alias = xstrdup("default");
	auto_free char *newest = NULL;

	for (int hops = 0; alias && hops < 5; hops++) {
		auto_free char *with_v = xasprintf("v%s", alias);
		auto_free char *file = xasprintf("%s/alias/%s", nvm, alias);
		char *found = version_in(versions, alias);

		if (!found)
			found = version_in(versions, with_v);
		if (found)
			return found;
		replace(&alias, strstr(alias, "..") ? NULL : first_word(file));
	}
	newest = newest_in(versions, "v");
	return newest ? path_join(versions, newest) : NULL;
}

static void nvm_dirs(const struct lookup *lookup, struct strv *dirs)
{
	const char *set = getenv("NVM_DIR");
	auto_free char *nvm = set && *set == '/'
				  ? xstrdup(set)
				  : path_join(lookup->home, ".nvm");
	auto_free char *versions = path_join(nvm, "versions/node");
	auto_free char *version = nvm_version(nvm, versions);

	if (version)
		strv_push(dirs, path_join(version, "bin"));
}

/*
 * pyenv and its kin put scripts on PATH that ask the manager, by more scripts,
 * which version is meant.  None of that is visible inside: ask here.
 */
struct shim_manager {
	const char *name;
	const char *variable;
	const char *file; /* in the current folder or one above it */
};

static const struct shim_manager shim_managers[] = {
	{ "pyenv", "PYENV_VERSION", ".python-version" },
	{ "rbenv", "RBENV_VERSION", ".ruby-version" },
	{ "nodenv", "NODENV_VERSION", ".node-version" },
};

static char *shim_wanted(const struct shim_manager *manager, const char *root)
{
	const char *set = getenv(manager->variable);
	auto_free char *dir = working_dir();
	auto_free char *global = path_join(root, "version");

	if (set && *set)
		return xstrndup(set, strcspn(set, ":"));
	while (dir && *dir) {
		auto_free char *file = path_join(dir, manager->file);
		char *version = first_word(file);

		if (version)
			return version;
		strip_last(dir);
	}
	return first_word(global);
}

/* False when `dir` is no folder of such shims. */
static bool shim_dirs(const char *dir, struct strv *dirs)
{
	const char *slash = strrchr(dir, '/');
	auto_free char *root = slash ? xstrndup(dir, slash - dir) : NULL;
	auto_free char *versions = NULL;

	if (slash == NULL || strcmp(slash, "/shims") != 0)
		return false;
	versions = path_join(root, "versions");
	for (size_t i = 0; i < ARRAY_SIZE(shim_managers); i++) {
		const struct shim_manager *m = &shim_managers[i];
		auto_free char *wanted = NULL;
		auto_free char *version = NULL;

		slash = strrchr(root, '/');
		if (!slash || !strstr(slash, m->name))
			continue;
		wanted = shim_wanted(m, root);
		version = wanted ? version_in(versions, wanted) : NULL;
		if (version)
			strv_push(dirs, path_join(version, "bin"));
		return true;
	}
	return false;
}

/*** Places, in the order in which they are searched ***/

static void path_dirs(const struct lookup *lookup, struct strv *dirs)
{
	const char *path = lookup->root[0] ? NULL : getenv("PATH");

	if (!path)
		path = default_path;
	while (*path) {
		size_t len = strcspn(path, ":");
		auto_free char *dir = xstrndup(path, len);

		/* A relative entry would let the current folder choose. */
		if (dir[0] == '/' && !shim_dirs(dir, dirs))
			strv_push(dirs, take_ptr(&dir));
		path += len + (path[len] == ':');
	}
}

static void local_dirs(const struct lookup *lookup, struct strv *dirs)
{
	strv_push(dirs, path_join(lookup->home, ".local/bin"));
}

/* The value of `prefix` in ~/.npmrc, with ~ and ${HOME} filled in. */
static char *npmrc_prefix(const struct lookup *lookup)
{
	static const char *const homes[] = { "~/", "${HOME}/", "$HOME/" };
	auto_free char *file = path_join(lookup->home, ".npmrc");
	auto_free char *text = read_file(AT_FDCWD, file, SMALL_FILE, NULL);
	char *save = NULL;

	for (char *line = text ? strtok_r(text, "\r\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\r\n", &save)) {
		char *value = strchr(line, '=');

		line += strspn(line, " \t");
		if (!value || strncmp(line, "prefix", 6) != 0 ||
		    strspn(line + 6, " \t") != (size_t)(value - line - 6))
			continue;
		value += 1 + strspn(value + 1, " \t\"'");
		value[strcspn(value, "\"' \t")] = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(homes); i++)
			if (strncmp(value, homes[i], strlen(homes[i])) == 0)
				return path_join(lookup->home,
						 value + strlen(homes[i]));
		return xstrdup(value);
	}
	return NULL;
}

static void npm_dirs(const struct lookup *lookup, struct strv *dirs)
{
	static const char *const variables[] = { "NPM_CONFIG_PREFIX",
						 "npm_config_prefix" };
	auto_free char *prefix = npmrc_prefix(lookup);

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		const char *set = getenv(variables[i]);

		if (set && *set == '/')
			strv_push(dirs, path_join(set, "bin"));
	}
	if (prefix && *prefix == '/')
		strv_push(dirs, path_join(prefix, "bin"));
	strv_push(dirs, path_join(lookup->home, ".npm-global/bin"));
	strv_push(dirs, xstrdup("/usr/local/bin"));
}

/* A folder above the current one may be anybody's: /tmp/node_modules. */
static bool is_trusted(const char *dir)
{
	struct stat st;

	return stat(dir, &st) == 0 &&
	       (st.st_uid == geteuid() || st.st_uid == 0);
}

static void project_dirs(const struct lookup *lookup, struct strv *dirs)
{
	auto_free char *dir = working_dir();

	(void)lookup;
	while (dir && *dir) {
		auto_free char *bin = path_join(dir, "node_modules/.bin");

		if (is_trusted(bin))
			strv_push(dirs, take_ptr(&bin));
		strip_last(dir);
	}
}

struct source {
	void (*add)(const struct lookup *lookup, struct strv *dirs);
	bool of_host; /* makes no sense in a tree */
};

static const struct source sources[] = {
	{ path_dirs, false },
	{ local_dirs, true },
	{ npm_dirs, true },
	{ nvm_dirs, true },
	/* Last: a checkout may hold a "claude" that wants the real one's key. */
	{ project_dirs, true },
};

/*** Finding ***/

/* 0 when `path` can be executed, else an errno. */
static int try_file(const struct lookup *lookup, const char *path)
{
	auto_free char *real = lookup_real(lookup, path, NULL);
	auto_free char *host = NULL;
	struct stat st;

	if (real == NULL)
		return errno == ENOTDIR ? ENOENT : errno;
	host = xasprintf("%s%s", lookup->root, real);
	if (stat(host, &st) < 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (!S_ISREG(st.st_mode))
		return EACCES;
	return faccessat(AT_FDCWD, host, X_OK, AT_EACCESS) < 0 ? errno : 0;
}

/* Or a link of that name. */
static bool is_there(const struct lookup *lookup, const char *path)
{
	auto_free char *host = xasprintf("%s%s", lookup->root, path);
	struct stat st;

	return lstat(host, &st) == 0;
}

static char *find_in(const struct lookup *lookup, const struct strv *dirs,
		     const char *name, int *worst)
{
	for (size_t i = 0; i < dirs->n; i++) {
		auto_free char *path = path_join(dirs->v[i], name);
		int error = try_file(lookup, path);

		if (error == 0)
			return take_ptr(&path);
		/* As execvp does: go on, but remember that there was one; in a
		 * folder that we may not look into nobody knows of any. */
		if (error == EACCES && is_there(lookup, path))
			*worst = EACCES;
	}
	return NULL;
}

static char *find_path(const struct lookup *lookup, const char *name)
{
	auto_free char *cwd = lookup->root[0] ? xstrdup("/") : working_dir();
	auto_free char *path = name[0] == '/' ? xstrdup(name)
			       : cwd          ? path_join(cwd, name)
					      : NULL;
	int error = path ? try_file(lookup, path) : ENOENT;

	errno = error;
	return error ? NULL : take_ptr(&path);
}

char *lookup_find(const struct lookup *lookup, const char *name)
{
	int worst = ENOENT;

	if (strchr(name, '/'))
		return find_path(lookup, name);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		auto_strv struct strv dirs = { 0 };
		char *path;

		if (sources[i].of_host && (lookup->root[0] || !lookup->home))
			continue;
		sources[i].add(lookup, &dirs);
		path = find_in(lookup, &dirs, name, &worst);
		if (path)
			return path;
	}
	errno = worst;
	return NULL;
}

char *lookup_near(const struct lookup *lookup, const char *name)
{
	auto_strv struct strv dirs = { 0 };
	auto_strv struct strv names = { 0 };
	struct near_match match = { .word = name };

	path_dirs(lookup, &dirs);
	for (size_t i = 0; i < dirs.n; i++) {
		auto_free char *path = xasprintf("%s%s", lookup->root,
						 dirs.v[i]);
		auto_dir DIR *dir = opendir(path);
		struct dirent *e;

		/* cppcheck-suppress readdirCalled */
		while (dir && (e = readdir(dir)))
			strv_push(&names, xstrdup(e->d_name));
	}
	for (size_t i = 0; i < names.n; i++)
		near_offer(&match, names.v[i]);
	return match.best ? xstrdup(match.best) : NULL;
}
