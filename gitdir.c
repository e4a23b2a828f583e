/* SPDX-License-Identifier: MIT */
#include "gitdir.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "layers.h"
#include "mounted.h"
#include "walk.h"

/*
 * The .git file may be a payload's, of an earlier run: "gitdir: /home/me/.ssh".
 * What it names is shown if it is out of the payloads' reach and
 *
 *	of a worktree	.git/worktrees/X, whose file `gitdir` names this tree
 *			and whose `commondir` is ../.. (so that whoever could
 *			write such a folder brings nothing into view but what
 *			it lies in), which is a git directory
 *	of a submodule	.git/modules/X, a git directory whose core.worktree is
 *			this tree
 *
 * and has the tree's owner.  Nothing of it is opened through a link, and git is
 * never asked: it obeys the configuration that it finds.
 *
 * A bare repository may have trees in it, this one or others, and so all their
 * secrets: then nothing is shown but what git itself makes there.
 */

#define FILE_MAX   (64 * 1024)
/* Each takes a mount of its own. */
#define OTHERS_MAX 256

struct look {
	const char *project;    /* its real path */
	struct mounted mounted; /* what of the host it shows */
	uid_t owner;
	struct gitdir *git;
	char *dir; /* what the .git file names */
	int dir_fd;
};

/* Without the ends of its last line; NULL: no such file, or no text. */
static char *read_text(int dir_fd, const char *name)
{
	auto_fd int fd = walk_open_below(dir_fd, name, O_RDONLY | O_NONBLOCK);
	auto_free char *text = NULL;
	struct stat st;
	size_t len;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	text = read_fd(fd, FILE_MAX, &len);
	if (text == NULL || strlen(text) != len)
		return NULL;
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		text[--len] = '\0';
	return take_ptr(&text);
}

static bool is_kind(int dir_fd, const char *name, mode_t kind)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (st.st_mode & S_IFMT) == kind;
}

static bool is_owned(int dir_fd, uid_t owner)
{
	struct stat st;

	return fstat(dir_fd, &st) == 0 && st.st_uid == owner;
}

static bool is_git_directory(int dir_fd)
{
	return is_kind(dir_fd, "HEAD", S_IFREG) &&
	       is_kind(dir_fd, "objects", S_IFDIR) &&
	       is_kind(dir_fd, "refs", S_IFDIR);
}

/* What `path` leads to from `base`; NULL: nothing. */
static char *resolve(const char *base, const char *path)
{
	auto_free char *whole = path[0] == '/' ? xstrdup(path)
					       : path_join(base, path);

	return realpath(whole, NULL);
}

/* The same of a record of git's, which has no links on its way: one that is
 * there now a payload put into a tree that it could write, for the records of
 * one project to stand for another. */
static char *resolve_record(const char *base, const char *path)
{
	auto_free char *whole = path[0] == '/' ? xstrdup(path)
					       : path_join(base, path);
	auto_fd int fd = walk_open_plain(whole);

	return fd < 0 ? NULL : realpath(whole, NULL);
}

/* --- git's configuration ------------------------------------------------ */

static const char *skip_blank(const char *s)
{
	return s + strspn(s, " \t");
}

/* "[core]", as the whole line. */
static bool is_core(const char *line)
{
	static const char core[] = "[core]";
	size_t n = sizeof(core) - 1;

	return strncasecmp(line, core, n) == 0 && *skip_blank(line + n) == '\0';
}

/* The value of "worktree = VALUE", plain or quoted as a whole; owned. */
static char *value_of(const char *line)
{
	static const char key[] = "worktree";
	size_t n = sizeof(key) - 1, len;

	if (strncasecmp(line, key, n) != 0)
		return NULL;
	line = skip_blank(line + n);
	if (*line != '=')
		return NULL;
	line = skip_blank(line + 1);
	len = strlen(line);
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		len--;
	if (len > 1 && line[0] == '"' && line[len - 1] == '"') {
		line++;
		len -= 2;
	}
	return xstrndup(line, len);
}

/* The last core.worktree of a file as git writes it; NULL: none. */
static char *read_worktree(int dir_fd, const char *name)
{
	auto_free char *text = read_text(dir_fd, name);
	char *found = NULL, *save = NULL;
	bool core = false;

	for (char *line = text ? strtok_r(text, "\r\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\r\n", &save)) {
		const char *s = skip_blank(line);
		char *value;

		if (*s == '[')
			core = is_core(s);
		value = core ? value_of(s) : NULL;
		if (value) {
			free(found);
			found = value;
		}
	}
	return found;
}

/* --- does it say the same? ---------------------------------------------- */

static const char no_pointer[] = "does not name this tree in turn";
static const char no_place[] = "is not where git makes such a folder";
static const char no_git[] = "is no git directory";
static const char in_project[] = "lies in the project";
static const char has_project[] = "has the project in it";

/*
 * By whatever mount: what lies in the project a payload could have written, with
 * all that it says; and what holds it would show what is hidden of it.
 */
static const char *check_reach(const struct look *l, const char *path)
{
	if (mounted_holds(&l->mounted, path))
		return in_project;
	return mounted_meets(&l->mounted, path) ? has_project : NULL;
}

/* With extensions.worktreeConfig, git moved it to the second. */
static const char *const configs[] = { "config", "config.worktree" };

static const char *check_module(const struct look *l)
{
	if (!is_git_directory(l->dir_fd))
		return no_git;
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
		auto_free char *value = read_worktree(l->dir_fd, configs[i]);
		auto_free char *tree = value ? resolve_record(l->dir, value)
					     : NULL;

		if (tree && strcmp(tree, l->project) == 0) {
			l->git->path = xstrdup(l->dir);
			l->git->below = xstrdup("");
			l->git->module = true;
			return NULL;
		}
	}
	return no_pointer;
}

/* What "/.../worktrees/x" lies in; NULL: it is called otherwise. */
static char *above_worktrees(const char *dir)
{
	static const char end[] = "/worktrees";
	auto_free char *path = xstrdup(dir);
	size_t len;

	*strrchr(path, '/') = '\0';
	len = strlen(path);
	if (len < sizeof(end) || strcmp(path + len - sizeof(end) + 1, end) != 0)
		return NULL;
	path[len - sizeof(end) + 1] = '\0';
	return take_ptr(&path);
}

/* What git makes at the top of a bare repository. */
static const char *const gits[] = {
	"FETCH_HEAD",  "HEAD",      "ORIG_HEAD",
	"branches",    "config",    "config.worktree",
	"description", "gc.log",    "hooks",
	"index",       "info",      "lfs",
	"logs",        "modules",   "objects",
	"packed-refs", "refs",      "reftable",
	"remotes",     "rr-cache",  "shallow",
	"svn",         "worktrees",
};

static bool is_gits(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(gits); i++)
		if (strlen(gits[i]) == len && memcmp(gits[i], name, len) == 0)
			return true;
	return false;
}

/* The tree that worktrees/`name` of the repository at `path` is of, or NULL. */
static char *tree_of(int worktrees_fd, const char *path, const char *name)
{
	auto_free char *file = xasprintf("%s/gitdir", name);
	auto_free char *dir = xasprintf("%s/worktrees/%s", path, name);
	auto_free char *text = read_text(worktrees_fd, file);
	char *slash = text ? strrchr(text, '/') : NULL;

	if (slash == NULL)
		return NULL;
	slash[1] = '\0';
	return resolve(dir, text);
}

/* Trees in the repository; NULL, or why they cannot be told from it. */
static const char *find_trees(const struct look *l, int git_fd,
			      const char *path, bool *found)
{
	int fd = walk_open_below(git_fd, "worktrees", O_RDONLY | O_DIRECTORY);
	struct walk_reader reader;
	struct walk_name entry;
	const char *why = NULL;
	int more = 1;

	*found = path_under(l->project, path);
	if (fd < 0)
		return NULL;
	walk_start(&reader, fd);
	while (why == NULL && (more = walk_next(&reader, &entry)) == 1) {
		auto_free char *tree = tree_of(reader.fd, path, entry.name);
		const char *below = tree ? tree + strlen(path) + 1 : NULL;

		if (tree == NULL || !path_under(tree, path))
			continue;
		*found = true;
		if (strcmp(tree, path) == 0 ||
		    is_gits(below, strcspn(below, "/")))
			why = "is in a repository that has trees among what "
			      "is git's";
	}
	walk_end(&reader);
	return more < 0 ? no_git : why;
}

/* One name in the repository at `path`; NULL, or why it cannot be shown. */
static const char *sort_name(const struct look *l, int git_fd, const char *path,
			     const char *name)
{
	struct gitdir *git = l->git;
	auto_free char *whole = path_join(path, name);
	struct stat st;

	if (is_gits(name, strlen(name)))
		return mounted_meets(&l->mounted, whole) ? has_project : NULL;
	/* What a link leads to is not here. */
	if (fstatat(git_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    S_ISLNK(st.st_mode))
		return NULL;
	if (git->files.n + git->folders.n == OTHERS_MAX)
		return "is in a repository that has too much else in it";
	strv_push(S_ISDIR(st.st_mode) ? &git->folders : &git->files,
		  xstrdup(name));
	return NULL;
}

/* All that is not git's, if there are trees; NULL, or why that is no way. */
static const char *set_aside(const struct look *l, int git_fd, const char *path)
{
	struct walk_reader reader;
	struct walk_name entry;
	const char *why;
	bool trees;
	int fd, more = 1;

	why = find_trees(l, git_fd, path, &trees);
	if (why || !trees)
		return why ? why : check_reach(l, path);
	if (mounted_holds(&l->mounted, path))
		return in_project;
	fd = walk_open_below(git_fd, ".", O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return no_git;
	walk_start(&reader, fd);
	while (why == NULL && (more = walk_next(&reader, &entry)) == 1)
		why = sort_name(l, git_fd, path, entry.name);
	walk_end(&reader);
	return more < 0 ? no_git : why;
}

static const char *check_worktree(const struct look *l, const char *common)
{
	auto_free char *back = read_text(l->dir_fd, "gitdir");
	auto_free char *tree = NULL, *path = above_worktrees(l->dir);
	char *slash = back ? strrchr(back, '/') : NULL;
	const char *why;
	auto_fd int fd = -1;

	if (path == NULL || strcmp(common, "../..") != 0)
		return no_place;
	if (slash == NULL || strcmp(slash, "/.git") != 0)
		return no_pointer;
	slash[1] = '\0';
	tree = resolve_record(l->dir, back);
	if (tree == NULL || strcmp(tree, l->project) != 0)
		return no_pointer;
	fd = walk_open_plain(path);
	if (fd < 0 || !is_git_directory(fd) ||
	    !is_kind(l->dir_fd, "HEAD", S_IFREG))
		return no_git;
	if (!is_owned(fd, l->owner))
		return "is not in a folder of the project's owner";
	why = set_aside(l, fd, path);
	if (why)
		return why;
	l->git->path = take_ptr(&path);
	l->git->below = xstrdup(l->dir + strlen(l->git->path));
	return NULL;
}

/* "/.../.git/modules/x", or of a worktree "/.../.git/worktrees/y/modules/x". */
static bool is_modules_place(const char *dir)
{
	const char *git = strstr(dir, "/.git/");

	return git && strstr(git, "/modules/");
}

static const char *check(struct look *l)
{
	auto_free char *common = NULL;
	const char *why;

	if (l->dir_fd < 0)
		return "cannot be opened";
	if (!is_owned(l->dir_fd, l->owner))
		return "is not the project's owner's";
	if (mounted_read(&l->mounted, l->project) < 0) {
		err_reset();
		return "cannot be told from the project";
	}
	why = check_reach(l, l->dir);
	if (why)
		return why;
	common = read_text(l->dir_fd, "commondir");
	if (common == NULL && !is_modules_place(l->dir))
		return no_place;
	return common ? check_worktree(l, common) : check_module(l);
}

/* For the tests: what comes of it without the checks. */
static const char *take_its_word(const struct look *l)
{
	l->git->path = xstrdup(l->dir);
	l->git->below = xstrdup("");
	return NULL;
}

/* What "gitdir: PATH" says; NULL: it is no such file. */
static char *read_pointer(int project_fd)
{
	static const char head[] = "gitdir: ";
	auto_free char *text = read_text(project_fd, ".git");

	if (text == NULL || strncmp(text, head, sizeof(head) - 1) != 0)
		return NULL;
	return xstrdup(text + sizeof(head) - 1);
}

char *gitdir_find(struct gitdir *git, int project_fd, const char *project)
{
	struct look l = { .project = project, .git = git, .dir_fd = -1 };
	struct stat st;
	const char *why;
	char *words;

	*git = (struct gitdir){ 0 };
	git->pointer = read_pointer(project_fd);
	if (git->pointer == NULL || fstat(project_fd, &st) < 0)
		return xstrdup("the project's .git is neither a folder nor a "
			       "file that names one");
	l.owner = st.st_uid;
	l.dir = resolve(project, git->pointer);
	if (l.dir)
		l.dir_fd = walk_open_plain(l.dir);
	why = l.dir && layer_is_off("gitdir") ? take_its_word(&l) : check(&l);
	words = why ? xasprintf("the project's .git names %s, which %s",
				l.dir ? l.dir : git->pointer, why)
		    : NULL;
	mounted_free(&l.mounted);
	cleanup_fd(&l.dir_fd);
	free(l.dir);
	return words;
}

/* Of two values git takes the last one. */
char *gitdir_config(const char *path)
{
	auto_free char *quoted = xcalloc(strlen(path) + 1, 2);
	size_t n = 0;

	for (; *path; path++) {
		if (strchr("\"\\\n", *path))
			quoted[n++] = '\\';
		quoted[n++] = *path == '\n' ? 'n' : *path;
	}
	return xasprintf("\n[core]\n\tworktree = \"%s\"\n", quoted);
}

void gitdir_free(struct gitdir *git)
{
	free(git->path);
	free(git->below);
	free(git->pointer);
	strv_free(&git->files);
	strv_free(&git->folders);
	*git = (struct gitdir){ 0 };
}
