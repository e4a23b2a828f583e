/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "changes.h"
#include "review.h"
#include "walk.h"

/*
 * git takes a folder with HEAD, objects and refs for a repository, whatever it is
 * called, and runs what its configuration says.  The parts may come in different
 * runs: so HEAD, without which it is none, is always flagged, and the others where
 * a HEAD comes or is.
 */

static char *folder_of(const char *path, const char *rest)
{
	return rest == path ? xstrdup(".")
			    : xstrndup(path, (size_t)(rest - path) - 1);
}

/* --- what the user's configuration names ----------------------------------- */

/*
 * "hooksPath = tools/hooks" makes hooks of what lies there, and so with a filter
 * or an alias.  It is the real tree's configuration: a payload's is flagged itself.
 */

#define CONFIG_MAX (256 * 1024)

/* A command without a slash is none of the tree: but what it is given may be. */
static const struct {
	const char *key;
	bool is_path;
} naming_keys[] = {
	{ "hookspath", true }, { "attributesfile", true },
	{ "path", true },      { "clean", false },
	{ "cmd", false },      { "command", false },
	{ "driver", false },   { "editor", false },
	{ "external", false }, { "fsmonitor", false },
	{ "helper", false },   { "pager", false },
	{ "process", false },  { "program", false },
	{ "smudge", false },   { "sshcommand", false },
	{ "textconv", false },
};

/* The value, if it is one that names what git obeys or runs, or NULL. */
static char *naming_value(char *line, bool *is_path)
{
	size_t n = strcspn(line, " \t=");
	char *value = strchr(line, '=');

	*is_path = false;
	if (value == NULL)
		return NULL;
	value += 1 + strspn(value + 1, " \t\"");
	/* An alias that is a command. */
	if (*value == '!')
		return value;
	for (size_t i = 0; i < ARRAY_SIZE(naming_keys); i++)
		if (strlen(naming_keys[i].key) == n &&
		    strncasecmp(line, naming_keys[i].key, n) == 0) {
			*is_path = naming_keys[i].is_path;
			return value;
		}
	return NULL;
}

/* As it is written there: what is included is named from .git. */
static void add_named(struct changes_git *git, const char *word)
{
	auto_free char *path = NULL;
	auto_free char *clean = NULL;

	if (strncmp(word, "../", 3) == 0)
		word += 3;
	path = xasprintf("/%s", word);
	clean = path_clean(path);
	if (word[0] != '/' && clean[1])
		strv_push(&git->named, xstrdup(clean + 1));
}

static void read_config(struct changes_git *git)
{
	auto_fd int fd = walk_open_below(git->tree_fd, ".git/config",
					 O_RDONLY | O_NONBLOCK);
	size_t len;
	auto_free char *text = fd < 0 ? NULL : read_fd(fd, CONFIG_MAX, &len);
	char *lines = NULL, *words = NULL;

	for (char *line = text ? strtok_r(text, "\r\n", &lines) : NULL; line;
	     line = strtok_r(NULL, "\r\n", &lines)) {
		bool is_path;
		char *value = naming_value(line + strspn(line, " \t"),
					   &is_path);
		const char *ends = is_path ? "\"" : " \t\"';|&!=";

		for (char *word = value ? strtok_r(value, ends, &words) : NULL;
		     word; word = strtok_r(NULL, ends, &words))
			if (is_path || strpbrk(word, "/."))
				add_named(git, word);
	}
}

static bool is_named(const struct changes_git *git, const char *path)
{
	for (size_t i = 0; i < git->named.n; i++)
		if (path_under(path, git->named.v[i]))
			return true;
	return false;
}

/* --- together --------------------------------------------------------------- */

void changes_git_find(struct changes_git *git, const struct changes *changes,
		      int tree_fd)
{
	*git = (struct changes_git){ .tree_fd = tree_fd };
	for (size_t i = 0; i < changes->n; i++) {
		const struct change *c = &changes->v[i];
		const char *name = path_base(c->path);

		if (c->new.mode && !S_ISDIR(c->new.mode) &&
		    review_is_head(name))
			strv_push(&git->heads, folder_of(c->path, name));
	}
	strv_sort(&git->heads);
	read_config(git);
}

void changes_git_free(struct changes_git *git)
{
	strv_free(&git->heads);
	strv_free(&git->named);
}

/* Is `rest`, the end of `path`, beside a HEAD?  What is not obeyed only where it
 * is new there: objects and refs of a repository come and go.  Where we may not
 * look, it is.  Where its folder is *gone, nothing deeper is there either. */
static bool is_beside_head(const struct changes_git *git, const char *path,
			   const char *rest, bool obeyed, bool *gone)
{
	auto_free char *folder = folder_of(path, rest);
	auto_free char *name = xstrndup(rest, strcspn(rest, "/"));
	auto_fd int fd = -1;
	struct stat st;

	if (obeyed && strv_search(&git->heads, folder))
		return true;
	if (*gone)
		return false;
	fd = walk_open_below(git->tree_fd, folder, O_PATH | O_DIRECTORY);
	if (fd < 0) {
		*gone = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
		return !*gone;
	}
	if (fstatat(fd, "HEAD", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno != ENOENT;
	if (S_ISDIR(st.st_mode))
		return false;
	return obeyed || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	       !S_ISDIR(st.st_mode);
}

static const char *git_part(const char *path, const struct changes_git *git)
{
	const char *rest = path;
	bool gone = false;

	while (rest) {
		const char *slash = strchr(rest, '/');
		bool obeyed;
		const char *what = review_git_part(rest, &obeyed);

		if (what && is_beside_head(git, path, rest, obeyed, &gone))
			return what;
		rest = slash ? slash + 1 : NULL;
	}
	return NULL;
}

/* By the name of a change.  A HEAD is never a folder. */
static const char *by_name(const struct change *c)
{
	const char *what = review_path(c->path);

	if (what && S_ISDIR(c->new.mode ? c->new.mode : c->old.mode) &&
	    strcmp(what, review_path("HEAD")) == 0)
		return NULL;
	return what;
}

const char *changes_control(const struct change *c,
			    const struct changes_git *git)
{
	const char *what = by_name(c);

	if (what == NULL && c->from)
		what = review_path(c->from);
	if (what == NULL && S_ISLNK(c->new.mode))
		what = review_link(c->path);
	if (what == NULL)
		what = git_part(c->path, git);
	if (what == NULL && c->from)
		what = git_part(c->from, git);
	if (what == NULL &&
	    (is_named(git, c->path) || (c->from && is_named(git, c->from))))
		what = "git's configuration names it";
	if (what)
		return what;
	if (S_ISLNK(c->new.mode) && review_link_leaves(c->path, c->new.target))
		return "a link that leaves the tree";
	if (S_ISREG(c->new.mode) && c->new.mode & 0111 &&
	    !(S_ISREG(c->old.mode) && c->old.mode & 0111))
		return "a new executable";
	return NULL;
}
