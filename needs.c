/* SPDX-License-Identifier: MIT */
#include "needs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "package.h"

#define auto_linkage __attribute__((cleanup(linkage_free)))

/* The kernel's limit for "#!" lines, and its limit for chains of them. */
#define SHEBANG_MAX 256
#define CHAIN_MAX   4

#define SCRIPT_MAX 65536

static const char nix_store[] = "/nix/store/";

bool needs_is_base(const char *path)
{
	static const char *const names[] = { "usr",   "bin",   "sbin",  "lib",
					     "lib32", "lib64", "libx32" };
	size_t len;

	if (path[0] != '/')
		return false;
	len = strcspn(path + 1, "/");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == len &&
		    memcmp(path + 1, names[i], len) == 0)
			return true;
	return false;
}

/*** What may be shown ***/

/* Why a folder must not be shown as a whole, or NULL. */
static const char *too_wide(const struct needs *needs, const char *dir)
{
	const char *home = needs->lookup->home;
	const char *second = strchr(dir + 1, '/');

	if (home && path_under(home, dir))
		return "it holds your home directory";
	if (second == NULL)
		return "it is a whole branch of the host's file system";
	if (strncmp(dir, "/home/", 6) == 0 && strchr(second + 1, '/') == NULL)
		return "it is somebody's home directory";
	if (strcmp(path_base(dir), "bin") == 0 ||
	    strcmp(path_base(dir), "sbin") == 0)
		return "it is a folder of programs";
	return NULL;
}

/* Can this user pass all folders on the way? */
static bool reaches(const struct stat *user, const char *real)
{
	auto_free char *path = xstrdup(real);
	struct stat st;

	for (char *end = strchr(path + 1, '/'); end;
	     end = strchr(end + 1, '/')) {
		*end = '\0';
		if (stat(path, &st) < 0 ||
		    !(st.st_mode & (st.st_uid == user->st_uid   ? S_IXUSR
				    : st.st_gid == user->st_gid ? S_IXGRP
								: S_IXOTH)))
			return false;
		*end = '/';
	}
	return true;
}

/*
 * A mount passes by the folders on the way.  So what root runs of a user's, who
 * can have written it, names only what that user could reach himself: of a file
 * in /root, the mode alone keeps nobody out.
 */
static void note_writer(struct needs *needs, const char *path)
{
	struct stat st;

	if (!needs->written && lstat(path, &st) == 0 && st.st_uid != 0 &&
	    reaches(&st, path)) {
		needs->written = true;
		needs->writer = st;
	}
}

/* A file, and the links that led here. */
static void note_writers(struct needs *needs, const char *real)
{
	const struct strv *links = &needs->program->links;

	if (geteuid() != 0)
		return;
	note_writer(needs, real);
	for (; needs->links_noted < links->n; needs->links_noted++) {
		const char *link = links->v[needs->links_noted];
		auto_free char *place = xstrndup(link, strcspn(link, "\t"));

		note_writer(needs, place);
	}
}

int needs_show_part(struct needs *needs, const char *real, const char *folder,
		    const char *why)
{
	const char *objection;
	struct stat st;

	if (needs_is_base(real) || strv_has(&needs->program->show, real))
		return 0;
	/* As below: it is missing inside, and the failure names it. */
	if (needs->written && !reaches(&needs->writer, real))
		return 0;
	if (stat(folder, &st) < 0)
		return fail(errno, "cannot look at %s", folder);
	objection = S_ISDIR(st.st_mode) ? too_wide(needs, folder) : NULL;
	if (objection) {
		fail(0, "cannot show %s (%s) in the sandbox: %s", folder, why,
		     objection);
		fail_remedy("install the program in a folder of its own, or "
			    "show what it needs with --ro-bind");
		return fail_status(126);
	}
	strv_push(&needs->program->show, xstrdup(real));
	strv_push(&needs->program->show_why, xstrdup(why));
	return 0;
}

int needs_show(struct needs *needs, const char *real, const char *why)
{
	return needs_show_part(needs, real, real, why);
}

/*** Shared libraries ***/

/* "$ORIGIN/../lib" of a file: its folder in place of the word. */
static char *expand_origin(const char *dir, const char *real)
{
	static const char *const words[] = { "$ORIGIN", "${ORIGIN}" };
	size_t folder = (size_t)(path_base(real) - real);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t len = strlen(words[i]);

		if (strncmp(dir, words[i], len) == 0)
			return xasprintf("%.*s%s", (int)folder, real,
					 dir + len);
	}
	return xstrdup(dir);
}

static void search_dirs(const char *search, const char *real, struct strv *dirs)
{
	while (search && *search) {
		size_t len = strcspn(search, ":");
		auto_free char *dir = xstrndup(search, len);

		/* Relative ones would be against the folder it runs in. */
		if (dir[0] == '/' || dir[0] == '$')
			strv_push(dirs, expand_origin(dir, real));
		search += len + (search[len] == ':');
	}
}

static int add_file(struct needs *needs, const char *path, const char *why,
		    const struct strv *inherited, int depth);

/* Those that are in no search folder are in the linker's own: in the base. */
static int add_library(struct needs *needs, const char *name,
		       const struct strv *dirs, const struct strv *inherited)
{
	for (size_t i = 0; i < dirs->n; i++) {
		auto_free char *path = path_join(dirs->v[i], name);

		if (access(path, F_OK) == 0)
			return add_file(needs, path, "library", inherited, 0);
	}
	return strchr(name, '/') && access(name, F_OK) == 0
		   ? add_file(needs, name, "library", inherited, 0)
		   : 0;
}

static int add_linkage(struct needs *needs, const char *real,
		       const struct linkage *linkage,
		       const struct strv *inherited)
{
	auto_strv struct strv dirs = { 0 };
	auto_strv struct strv handed_on = { 0 };

	search_dirs(linkage->search, real, &dirs);
	if (linkage->search_is_inherited)
		search_dirs(linkage->search, real, &handed_on);
	for (size_t i = 0; inherited && i < inherited->n; i++) {
		strv_push(&dirs, xstrdup(inherited->v[i]));
		strv_push(&handed_on, xstrdup(inherited->v[i]));
	}
	if (linkage->interpreter &&
	    add_file(needs, linkage->interpreter, "interpreter", NULL, 0) < 0)
		return -1;
	for (size_t i = 0; i < linkage->needed.n; i++)
		if (add_library(needs, linkage->needed.v[i], &dirs,
				&handed_on) < 0)
			return -1;
	return 0;
}

/*** Scripts ***/

static int no_interpreter(const char *script, const char *name)
{
	fail(0, "cannot run %s: its interpreter %s was not found", script,
	     name);
	fail_remedy("install %s, or put its folder on PATH", name);
	return fail_status(127);
}

/* A word that env takes for itself before the name of the program. */
static bool is_envs_own(const char *word)
{
	return word[0] == '-' || strchr(word, '=') != NULL;
}

/* Installers put a script beside the interpreter that they made it for, and
 * that folder (nvm's) need not be on PATH. */
static char *find_interpreter(struct needs *needs, const char *script,
			      const char *name)
{
	size_t folder = (size_t)(path_base(script) - script);
	auto_free char *beside = xasprintf("%.*s%s", (int)folder, script, name);
	char *path = strchr(name, '/') ? NULL
				       : lookup_find(needs->lookup, beside);

	return path ? path : lookup_find(needs->lookup, name);
}

/* "#!/usr/bin/env [-S] [X=y] NAME [ARG...]": NAME is sought on the caller's
 * PATH, which is not the PATH inside. */
static int add_env_script(struct needs *needs, const char *script,
			  const char *env, char *words, int depth)
{
	auto_strv struct strv before = { 0 };
	auto_free char *path = NULL;
	char *save = NULL;
	char *word = strtok_r(words, " \t", &save);

	for (; word && is_envs_own(word); word = strtok_r(NULL, " \t", &save))
		if (strcmp(word, "-S") != 0)
			strv_push(&before, xstrdup(word));
	if (word == NULL)
		return 0;
	path = find_interpreter(needs, script, word);
	if (path == NULL)
		return no_interpreter(script, word);
	if (add_file(needs, path, "interpreter", NULL, depth + 1) < 0)
		return -1;
	if (needs_is_base(path) || depth > 0)
		return 0;
	if (before.n > 0)
		strv_push(&needs->prefix, xstrdup(env));
	for (size_t i = 0; i < before.n; i++)
		strv_push(&needs->prefix, xstrdup(before.v[i]));
	strv_push(&needs->prefix, take_ptr(&path));
	while ((word = strtok_r(NULL, " \t", &save)))
		strv_push(&needs->prefix, xstrdup(word));
	return 0;
}

static int add_interpreter(struct needs *needs, const char *script,
			   const char *text, int depth)
{
	auto_free char *line = xstrndup(text + 2, strcspn(text + 2, "\n"));
	char *interpreter = line + strspn(line, " \t");
	char *words = interpreter + strcspn(interpreter, " \t\r");

	if (*words)
		*words++ = '\0';
	if (*interpreter == '\0' || depth >= CHAIN_MAX)
		return 0;
	if (strcmp(path_base(interpreter), "env") == 0)
		return add_env_script(needs, script, interpreter, words, depth);
	if (interpreter[0] != '/' || access(interpreter, F_OK) < 0)
		return no_interpreter(script, interpreter);
	return add_file(needs, interpreter, "interpreter", NULL, depth + 1);
}

/*
 * Nix writes wrappers that name other store paths in full.  That is how Nix
 * itself finds what a package needs: by looking for such names in it.
 */
static int add_store_references(struct needs *needs, const char *text,
				int depth)
{
	while ((text = strstr(text, nix_store))) {
		size_t len = strcspn(text, " \t\r\n\"':;$(){}<>,");
		auto_free char *path = xstrndup(text, len);
		auto_free char *real = lookup_real(needs->lookup, path, NULL);
		struct stat st;

		text += len;
		/* "/nix/store/../../home" is none, nor what a link leads to. */
		if (real == NULL ||
		    strncmp(real, nix_store, strlen(nix_store)) != 0)
			continue;
		if (stat(real, &st) == 0 && S_ISREG(st.st_mode) &&
		    depth < CHAIN_MAX &&
		    add_file(needs, path, "package root", NULL, depth + 1) < 0)
			return -1;
	}
	return 0;
}

/*** Files ***/

/* /nix/store/HASH-NAME of a path below it, or NULL. */
static char *store_entry(const char *real)
{
	size_t len = strlen(nix_store);

	if (strncmp(real, nix_store, len) != 0 || real[len] == '\0')
		return NULL;
	return xstrndup(real, len + strcspn(real + len, "/"));
}

static int add_place(struct needs *needs, const char *named, const char *real,
		     const char *why, bool script)
{
	auto_free char *entry = store_entry(real);
	int held;

	if (entry)
		return needs_show(needs, entry, "package root");
	/* A library is a file; what lies around it is nobody's to show. */
	if (strcmp(why, "library") == 0)
		return needs_show(needs, real, why);
	held = package_add(needs, named, real, script,
			   strcmp(why, "interpreter") != 0);
	return held ? (held < 0 ? -1 : 0) : needs_show(needs, real, why);
}

/* A file that is being looked at. */
struct file {
	const char *named;
	const char *real;
	const char *text; /* its start */
	int fd;
	int depth;                    /* of "#!" lines that led here */
	const struct strv *inherited; /* DT_RPATH of what loads it */
};

static int add_content(struct needs *needs, const struct file *file)
{
	auto_linkage struct linkage linkage = { 0 };

	if (strncmp(file->text, "#!", 2) == 0) {
		if (strncmp(file->real, nix_store, strlen(nix_store)) == 0 &&
		    add_store_references(needs, file->text, file->depth) < 0)
			return -1;
		return add_interpreter(needs, file->named, file->text,
				       file->depth);
	}
	if (linkage_read(file->fd, &linkage))
		return add_linkage(needs, file->real, &linkage,
				   file->inherited);
	return 0;
}

/* The start of a file as text; a script's whole, up to a limit. */
static char *read_start(int fd)
{
	auto_free char *text = xcalloc(1, SHEBANG_MAX + 1);
	ssize_t n = pread(fd, text, SHEBANG_MAX, 0);

	if (n == SHEBANG_MAX && memcmp(text, "#!", 2) == 0) {
		text = xrealloc_array(text, SCRIPT_MAX + 1, 1);
		n = pread(fd, text, SCRIPT_MAX, 0);
	}
	text[n < 0 ? 0 : n] = '\0';
	return take_ptr(&text);
}

/*
 * "#!" lines, DT_NEEDED and links of a program are its own word, and a hostile
 * one names the caller's keys.  Only what the kernel would execute is shown as
 * an interpreter, and only what the linker would load as a library.
 */
static bool is_credible(const char *why, const char *real, int fd)
{
	auto_linkage struct linkage linkage = { 0 };
	struct stat st;

	if (stat(real, &st) < 0)
		return false;
	if (strcmp(why, "interpreter") == 0)
		return S_ISREG(st.st_mode) &&
		       faccessat(AT_FDCWD, real, X_OK, AT_EACCESS) == 0;
	if (strcmp(why, "library") == 0)
		return S_ISREG(st.st_mode) && fd >= 0 &&
		       linkage_read(fd, &linkage);
	return true;
}

/* The path with no links in its folder's part; links met are recorded. */
static char *named_path(struct needs *needs, const char *path)
{
	auto_free char *dir = xstrndup(path, (size_t)(path_base(path) - path));
	auto_free char *real = lookup_real(needs->lookup, dir,
					   &needs->program->links);

	return real ? path_join(real, path_base(path)) : NULL;
}

static int add_file(struct needs *needs, const char *path, const char *why,
		    const struct strv *inherited, int depth)
{
	auto_free char *named = named_path(needs, path);
	auto_free char *real = lookup_real(needs->lookup, path,
					   &needs->program->links);
	auto_free char *text = NULL;
	auto_fd int fd = -1;

	if (named == NULL || real == NULL)
		return fail(errno, "cannot resolve %s", path);
	/* By both: python of two environments is one file, two programs. */
	if (strv_has(&needs->seen, named))
		return 0;
	strv_push(&needs->seen, xstrdup(named));
	/* A program that may be run but not read tells us nothing. */
	fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	/* Not shown, it is missing inside, and the failure names it. */
	if (!is_credible(why, real, fd))
		return 0;
	note_writers(needs, real);
	text = fd < 0 ? xstrdup("") : read_start(fd);
	if (add_place(needs, named, real, why, strncmp(text, "#!", 2) == 0) < 0)
		return -1;
	if (fd < 0)
		return 0;
	return add_content(needs, &(struct file){ .named = named,
						  .real = real,
						  .text = text,
						  .fd = fd,
						  .depth = depth,
						  .inherited = inherited });
}

int needs_file(struct needs *needs, const char *path, const char *why)
{
	return add_file(needs, path, why, NULL, 1);
}

int needs_program(struct needs *needs, const char *path, char **named)
{
	if (add_file(needs, path, "program", NULL, 0) < 0)
		return -1;
	*named = named_path(needs, path);
	return *named ? 0 : fail(errno, "cannot resolve %s", path);
}

/*** The result ***/

static void drop(struct strv *list, size_t i)
{
	free(list->v[i]);
	memmove(&list->v[i], &list->v[i + 1], (list->n - i) * sizeof(*list->v));
	list->n--;
}

static bool is_held(const struct strv *show, size_t i)
{
	for (size_t j = 0; j < show->n; j++)
		if (j != i && path_under(show->v[i], show->v[j]))
			return true;
	return false;
}

/* Is the place of links[i] one that we do not make, or made already? */
static bool is_made(const struct program *program, size_t i)
{
	static const char *const others[] = { "/etc", "/proc", "/dev", "/sys" };
	const char *link = program->links.v[i];
	auto_free char *place = xstrndup(link, strcspn(link, "\t"));

	for (size_t j = 0; j < i; j++)
		if (strcmp(program->links.v[j], link) == 0)
			return true;
	for (size_t j = 0; j < ARRAY_SIZE(others); j++)
		if (path_under(place, others[j]))
			return true;
	for (size_t j = 0; j < program->show.n; j++)
		if (path_under(place, program->show.v[j]))
			return true;
	return needs_is_base(place);
}

void needs_finish(struct needs *needs)
{
	struct program *program = needs->program;

	for (size_t i = program->show.n; i-- > 0;) {
		if (!is_held(&program->show, i))
			continue;
		drop(&program->show, i);
		drop(&program->show_why, i);
	}
	for (size_t i = program->links.n; i-- > 0;)
		if (is_made(program, i))
			drop(&program->links, i);
}

void needs_free(struct needs *needs)
{
	strv_free(&needs->seen);
	strv_free(&needs->prefix);
}
