/* SPDX-License-Identifier: MIT */
#include "closure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "linkage.h"
#include "needs.h"

#define auto_linkage __attribute__((cleanup(linkage_free)))
#define auto_glob    __attribute__((cleanup(globfree)))
#define auto_dir     __attribute__((cleanup(close_dir)))

#define SHEBANG_MAX 256
#define CACHE_MAX   (16 << 20)
#define WALK_DEPTH  16

/*
 * Theory of operation
 *
 * With a list, every mount is noexec, and a file that may be mapped as code is
 * a hole: bound over itself without noexec.  Opening whole library folders
 * would be simpler, but they hold programs too, which the loader runs for
 * anybody who names them: finding those takes a look at each of some 5,000
 * files (20 ms).  So the holes are the libraries themselves, found as the
 * linker finds them (a few per program, 20 us each): nothing else of the system
 * can be mapped, and no scan is due.  What a program loads by name while it
 * runs is in no header; the table below knows the usual ones.
 */

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/*** What programs load and run of their own ***/

enum part {
	PART_PROGRAM, /* executed by it */
	PART_FOLDER,  /* holds nothing but its modules */
	PART_ISLAND,  /* the same, and they need each other only */
	PART_MODULES, /* holds its modules, somewhere below */
};

/*
 * Below the folder that bin/ is in.  Patterns of a file's own name, so that
 * python3 is found by python3.11.
 */
static const struct {
	const char *program;
	enum part part;
	const char *glob;
} parts[] = {
	{ "git", PART_PROGRAM,
	  "lib*/git-core/{git,git-remote-http,git-http-fetch,git-http-push,"
	  "git-sh-i18n--envsubst,git-submodule}" },
	/* A script of a shell's: there where one may run. */
	{ "git-submodule", PART_PROGRAM, "../bin/{basename,sed,uname}" },
	{ "git", PART_ISLAND, "{lib*/*,lib*}/gconv" },
	{ "iconv", PART_ISLAND, "{lib*/*,lib*}/gconv" },
	{ "python[23]*", PART_FOLDER, "lib*/python[23]*/lib-dynload" },
	{ "python[23]*", PART_MODULES,
	  "{lib*,local/lib}/python[23]*/{dist,site}-packages" },
	{ "perl*", PART_FOLDER,
	  "lib*/{perl5,*/perl*,*/perl*/[0-9]*,perl5/vendor_perl}/auto" },
	{ "ruby*", PART_MODULES, "{lib*/*,lib*}/ruby" },
	{ "php*", PART_FOLDER, "lib*/php/[0-9]*" },
	{ "java", PART_FOLDER, "lib" },
	{ "java", PART_PROGRAM, "lib/jspawnhelper" },
	{ "javac", PART_FOLDER, "lib" },
	{ "*gcc*", PART_PROGRAM,
	  "lib*/gcc/*/*/{cc1,collect2,lto1,lto-wrapper}" },
	{ "*g++*", PART_PROGRAM,
	  "lib*/gcc/*/*/{cc1plus,collect2,lto1,lto-wrapper}" },
	{ "*g[+c][+c]*", PART_PROGRAM, "bin/{as,ld}" },
	{ "*g[+c][+c]*", PART_MODULES, "lib*/gcc/*/*" },
	{ "go", PART_PROGRAM, "pkg/tool/*/*" },
	{ "node*", PART_MODULES, "lib*/node_modules" },
	{ "codex", PART_PROGRAM, "bin/codex-code-mode-host" },
};

/*** Maps ***/

/* False when it was there already. */
static bool push_map(struct gather *g, const char *path, const char *source,
		     bool closed)
{
	struct commands *out = g->out;

	for (size_t i = 0; i < out->n_maps; i++)
		if (strcmp(out->maps[i].path, path) == 0)
			return false;
	out->maps = xrealloc_array(out->maps, out->n_maps + 1,
				   sizeof(*out->maps));
	out->maps[out->n_maps++] = (struct command_map){
		.path = xstrdup(path),
		.source = xstrdup(source),
		.closed = closed,
	};
	return true;
}

/*** The linker's cache: which file a library's name stands for ***/

/* As glibc's dl-cache.h has it. */
struct cache_head {
	char magic[20];
	uint32_t n;
	uint32_t strings_len;
	uint32_t unused[5];
};

struct cache_entry {
	int32_t flags;
	uint32_t key, value;
	uint32_t os_version;
	uint64_t hwcap;
};

static const char cache_magic[] = "glibc-ld.so.cache1.1";

static void read_cache(struct gather *g)
{
	auto_free char *real = NULL;
	auto_free char *path = NULL;
	auto_free char *text = NULL;
	size_t len, magic = sizeof(cache_magic) - 1;
	char *start;

	if (g->cache)
		return;
	g->cache = xstrdup("");
	real = lookup_real(&g->lookup, "/etc/ld.so.cache", NULL);
	if (real == NULL)
		return;
	path = xasprintf("%s%s", g->lookup.root, real);
	text = read_file(AT_FDCWD, path, CACHE_MAX, &len);
	/* An older format may come before it. */
	start = text ? memmem(text, len, cache_magic, magic) : NULL;
	if (start == NULL)
		return;
	len -= (size_t)(start - text);
	free(g->cache);
	/* Once more with a NUL: a name that is not ended ends there. */
	g->cache = xcalloc(1, len + 1);
	memcpy(g->cache, start, len);
	g->cache_len = len;
}

/* Every variant of the name: the CPU decides which one is loaded. */
static void find_cached(struct gather *g, const char *name, struct strv *found)
{
	struct cache_head head;
	struct cache_entry entry;

	read_cache(g);
	if (g->cache_len < sizeof(head))
		return;
	memcpy(&head, g->cache, sizeof(head));
	for (size_t i = 0; i < head.n; i++) {
		size_t at = sizeof(head) + i * sizeof(entry);

		if (at + sizeof(entry) > g->cache_len)
			return;
		memcpy(&entry, g->cache + at, sizeof(entry));
		if (entry.key < g->cache_len && entry.value < g->cache_len &&
		    strcmp(g->cache + entry.key, name) == 0 &&
		    g->cache[entry.value] == '/')
			strv_push(found, xstrdup(g->cache + entry.value));
	}
}

/*** Libraries ***/

static const char *const default_folders[] = {
	"/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib",
};

/* "$ORIGIN" is the folder of the file, by its path inside. */
static void search_folders(const char *search, const char *path,
			   struct strv *folders)
{
	static const char *const words[] = { "$ORIGIN", "${ORIGIN}" };
	size_t folder = (size_t)(strrchr(path, '/') - path);

	while (search && *search) {
		size_t len = strcspn(search, ":");
		auto_free char *dir = xstrndup(search, len);

		if (dir[0] == '/')
			strv_push(folders, xstrdup(dir));
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			if (strncmp(dir, words[i], strlen(words[i])) == 0)
				strv_push(folders,
					  xasprintf("%.*s%s", (int)folder, path,
						    dir + strlen(words[i])));
		search += len + (search[len] == ':');
	}
}

/* The first one: a file of the tree, or of a mount that lies over it. */
static void find_in(const struct gather *g, const char *name,
		    const char *const *folders, size_t n, struct strv *found)
{
	for (size_t i = 0; i < n && found->n == 0; i++) {
		auto_free char *path = path_join(folders[i], name);
		auto_free char *host = xasprintf("%s%s", g->lookup.root, path);

		if (g->spec->n_mounts > 0 || access(host, F_OK) == 0)
			strv_push(found, take_ptr(&path));
	}
}

static int add_library(struct gather *g, const char *path,
		       const struct strv *inherited);

static int add_needed(struct gather *g, const char *path,
		      const struct linkage *linkage,
		      const struct strv *inherited)
{
	auto_strv struct strv folders = { 0 };
	auto_strv struct strv handed_on = { 0 };

	search_folders(linkage->search, path, &folders);
	if (linkage->search_is_inherited)
		search_folders(linkage->search, path, &handed_on);
	for (size_t i = 0; inherited && i < inherited->n; i++) {
		strv_push(&folders, xstrdup(inherited->v[i]));
		strv_push(&handed_on, xstrdup(inherited->v[i]));
	}
	for (size_t i = 0; i < linkage->needed.n; i++) {
		const char *name = linkage->needed.v[i];
		auto_strv struct strv found = { 0 };

		if (strchr(name, '/'))
			strv_push(&found, xstrdup(name));
		find_in(g, name, (const char *const *)folders.v, folders.n,
			&found);
		if (found.n == 0)
			find_cached(g, name, &found);
		find_in(g, name, default_folders, ARRAY_SIZE(default_folders),
			&found);
		for (size_t j = 0; j < found.n; j++)
			if (add_library(g, found.v[j], &handed_on) < 0)
				return -1;
	}
	return 0;
}

/*
 * The same as locating and opening; but libraries are many, and on the host the
 * kernel has resolved the name when the file is open.
 */
static int open_library(struct gather *g, const char *path, char **inside,
			char **source)
{
	bool plain = g->lookup.root[0] == '\0' && g->spec->n_mounts == 0;
	auto_free char *real = NULL;
	auto_fd int fd = -1;

	if (!plain && !gather_locate(g, path, inside, source))
		return -1;
	fd = open(plain ? path : *source,
		  O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	if (!plain)
		return take_fd(&fd);
	real = fd_name(fd);
	if (!real || !gather_shows(g, real))
		return -1;
	*inside = xstrdup(real);
	*source = take_ptr(&real);
	return take_fd(&fd);
}

/*
 * What is no library, or not visible, fails when it is loaded: not here.  A program
 * that somebody calls his library could be run by way of the loader.
 */
static int add_library(struct gather *g, const char *path,
		       const struct strv *inherited)
{
	auto_linkage struct linkage linkage = { 0 };
	auto_free char *inside = NULL;
	auto_free char *source = NULL;
	auto_fd int fd = -1;

	if (path[0] != '/' || strv_has(&g->seen, path))
		return 0;
	strv_push(&g->seen, xstrdup(path));
	fd = open_library(g, path, &inside, &source);
	if (fd < 0 || !linkage_read(fd, &linkage) || linkage.foreign ||
	    linkage.program || !push_map(g, inside, source, false))
		return 0;
	return add_needed(g, inside, &linkage, inherited);
}

/*** Scripts ***/

static bool read_head(const char *source, char head[static SHEBANG_MAX])
{
	auto_fd int fd = open(source,
			      O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : pread(fd, head, SHEBANG_MAX - 1, 0);

	head[n > 0 ? n : 0] = '\0';
	return n > 2 && head[0] == '#' && head[1] == '!';
}

bool closure_script(const struct lookup *lookup, const char *source,
		    char **interpreter, char **by_env)
{
	char head[SHEBANG_MAX], *save = NULL, *word;

	*interpreter = *by_env = NULL;
	if (!read_head(source, head))
		return false;
	head[2 + strcspn(head + 2, "\r\n")] = '\0';
	word = strtok_r(head + 2, " \t", &save);
	if (word == NULL)
		return false;
	*interpreter = xstrdup(word);
	if (strcmp(strrchr(word, '/') ? strrchr(word, '/') : "", "/env") != 0)
		return true;
	do
		word = strtok_r(NULL, " \t", &save);
	while (word && (word[0] == '-' || strchr(word, '=')));
	*by_env = word ? lookup_find(lookup, word) : NULL;
	return true;
}

/*** Modules ***/

bool closure_is_module(const char *name)
{
	size_t len = strlen(name);

	return (len > 3 && strcmp(name + len - 3, ".so") == 0) ||
	       (len > 5 && strcmp(name + len - 5, ".node") == 0) ||
	       strstr(name, ".so.") != NULL;
}

int closure_module(struct gather *g, const char *path)
{
	auto_free char *inside = NULL;
	auto_free char *source = NULL;

	if (path[0] != '/' || !closure_is_module(path) ||
	    !gather_locate(g, path, &inside, &source))
		return 0;
	if (add_library(g, path, NULL) < 0)
		return -1;
	for (size_t i = 0; i < g->out->n_maps; i++)
		if (strcmp(g->out->maps[i].path, inside) == 0)
			return 1;
	return 0;
}

/* Some file systems do not say it in the folder. */
static unsigned char type_of(const struct dirent *e, const char *path)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN || lstat(path, &st) < 0)
		return e->d_type;
	return (unsigned char)IFTODT(st.st_mode);
}

/*
 * By names only, which readdir gives for nothing.  In an open folder what is
 * not called a module is closed again, unless it is a command.
 */
static int walk_modules(struct gather *g, enum part part, const char *source,
			const char *inside, int depth)
{
	auto_dir DIR *dir = opendir(source);
	struct dirent *e;

	/* cppcheck-suppress readdirCalled */
	while (dir && (e = readdir(dir))) {
		auto_free char *from = path_join(source, e->d_name);
		auto_free char *to = path_join(inside, e->d_name);
		unsigned char type = type_of(e, from);

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (type == DT_DIR) {
			if (depth < WALK_DEPTH &&
			    walk_modules(g, part, from, to, depth + 1) < 0)
				return -1;
		} else if (closure_is_module(e->d_name)) {
			if (part != PART_ISLAND && add_library(g, to, NULL) < 0)
				return -1;
		} else if (part != PART_MODULES && type == DT_REG &&
			   access(from, X_OK) == 0) {
			push_map(g, to, from, true);
		}
	}
	return 0;
}

/* All that the library walk found in an open folder is open already. */
static void drop_below(struct commands *out, size_t first, const char *folder)
{
	size_t kept = first;

	for (size_t i = first; i < out->n_maps; i++) {
		struct command_map *m = &out->maps[i];

		if (!m->closed && path_under(m->path, folder)) {
			free(m->path);
			free(m->source);
		} else {
			out->maps[kept++] = *m;
		}
	}
	out->n_maps = kept;
}

static int add_folder(struct gather *g, enum part part, const char *source,
		      const char *inside)
{
	size_t first = g->out->n_maps;

	if (!push_map(g, inside, source, false))
		return 0;
	if (walk_modules(g, part, source, inside, 0) < 0)
		return -1;
	drop_below(g->out, first + 1, inside);
	return 0;
}

/*** A program's parts ***/

static char *prefix_of(const char *path)
{
	char *prefix = xstrdup(path);

	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(prefix, '/');

		if (slash)
			*slash = '\0';
	}
	return prefix;
}

static int glob_parts(const char *root, const char *prefix, const char *pattern,
		      glob_t *found)
{
	auto_free char *place = xasprintf("%s%s", root, prefix);
	auto_free char *escaped = xcalloc(2, strlen(place) + 1);
	auto_free char *whole = NULL;
	size_t n = 0;

	for (const char *p = place; *p; p++) {
		if (strchr("*?[\\{},", *p))
			escaped[n++] = '\\';
		escaped[n++] = *p;
	}
	whole = path_join(escaped, pattern);
	return glob(whole, GLOB_BRACE | GLOB_NOSORT, NULL, found);
}

/* A tool may be one of the names of what nobody should list: busybox's sed. */
static int add_program(struct gather *g, const char *path, const char *inside,
		       const char *source, const struct stat *st,
		       const char *of)
{
	const char *name = path_base(path);

	if (!g->spec->dangerous_commands && !commands_find(g->out, st) &&
	    (danger_by_name(path_base(inside)) ||
	     danger_by_file(g->dangers, source, st))) {
		gather_note(g, "%s of %s is %s, which is not on the list", name,
			    of, inside);
		return 0;
	}
	return gather_command(g, path, NULL, COMMAND_HELPER, of);
}

static int add_part(struct gather *g, enum part part, const char *path,
		    const char *of)
{
	auto_free char *inside = NULL;
	auto_free char *source = NULL;
	struct stat st;

	if (!gather_locate(g, path, &inside, &source) || stat(source, &st) < 0)
		return 0;
	if (part == PART_PROGRAM)
		return S_ISREG(st.st_mode) && st.st_mode & 0111
			   ? add_program(g, path, inside, source, &st, of)
			   : 0;
	if (!S_ISDIR(st.st_mode))
		return 0;
	return part == PART_MODULES ? walk_modules(g, part, source, inside, 0)
				    : add_folder(g, part, source, inside);
}

static int add_parts(struct gather *g, const char *path, bool programs)
{
	const char *name = strrchr(path, '/') + 1;
	auto_free char *prefix = prefix_of(path);

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		auto_glob glob_t found = { 0 };

		if ((parts[i].part == PART_PROGRAM) != programs ||
		    fnmatch(parts[i].program, name, 0) != 0 ||
		    glob_parts(g->lookup.root, prefix, parts[i].glob, &found) !=
			0)
			continue;
		for (size_t j = 0; j < found.gl_pathc; j++)
			if (add_part(g, parts[i].part,
				     found.gl_pathv[j] + strlen(g->lookup.root),
				     name) < 0)
				return -1;
	}
	return 0;
}

/* What it names may be any program, which could then be executed by itself. */
static bool is_loader(struct gather *g, const char *path)
{
	auto_linkage struct linkage linkage = { 0 };
	auto_free char *inside = NULL;
	auto_free char *source = NULL;
	auto_fd int fd = -1;

	if (!gather_locate(g, path, &inside, &source))
		return false;
	fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd >= 0 && (!linkage_read(fd, &linkage) || !linkage.program);
}

int closure_add(struct gather *g, size_t index)
{
	/* The vector moves when it grows. */
	auto_free char *path = xstrdup(g->out->v[index].path);
	auto_free char *source = xstrdup(g->out->v[index].source);
	auto_linkage struct linkage linkage = { 0 };
	auto_fd int fd = open(source,
			      O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	/* A program that may be run but not read tells nothing. */
	if (fd < 0 || !linkage_read(fd, &linkage))
		return 0;
	if (linkage.interpreter && is_loader(g, linkage.interpreter) &&
	    gather_command(g, linkage.interpreter, NULL, COMMAND_LOADER, NULL) <
		0)
		return -1;
	if (add_needed(g, path, &linkage, NULL) < 0)
		return -1;
	return add_parts(g, path, false);
}

int closure_helpers(struct gather *g, size_t index)
{
	auto_free char *path = xstrdup(g->out->v[index].path);

	return add_parts(g, path, true);
}

int closure_add_all(struct gather *g)
{
	static const char *const loaders[] = { "/lib64/ld-linux-x86-64.so.2",
					       "/lib/ld-linux-aarch64.so.1",
					       "/lib/ld-musl-x86_64.so.1",
					       "/lib/ld-musl-aarch64.so.1" };

	for (size_t i = 0; i < ARRAY_SIZE(loaders); i++)
		if (gather_command(g, loaders[i], NULL, COMMAND_LOADER, NULL) <
		    0)
			return -1;
	for (size_t i = 0; i < ARRAY_SIZE(default_folders); i++) {
		auto_free char *inside = NULL;
		auto_free char *source = NULL;

		if (gather_locate(g, default_folders[i], &inside, &source))
			push_map(g, inside, source, false);
	}
	return 0;
}
