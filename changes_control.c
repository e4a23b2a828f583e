/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Of those from `low` on, which are alike in their first `from` bytes, the first
 * that is not before `part`; `past`: nor begins with it. */
static size_t bound(const struct strv *names, size_t low, size_t high,
		    size_t from, const char *part, size_t len, bool past)
{
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strncmp(names->v[mid] + from, part, len);

		if (order < 0 || (past && order == 0))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Is it one, or below one?  Of both there may be many, and deep ones: each part
 * is looked for among those that have all before it. */
static bool is_under(const struct strv *names, const char *path)
{
	size_t low = 0, high = names->n, from = 0;

	if (strv_search(names, NAMED_ALL))
		return true;
	while (low < high && path[from]) {
		const char *part = path + from;
		size_t len = 1 + strcspn(part + 1, "/");

		low = bound(names, low, high, from, part, len, false);
		high = bound(names, low, high, from, part, len, true);
		from += len;
		/* It comes before those that go on. */
		if (low < high && names->v[low][from] == '\0')
			return true;
	}
	return false;
}

static bool is_above(const struct strv *names, const char *path)
{
	auto_free char *below = xasprintf("%s/", path);
	size_t len = strlen(below);
	size_t low = bound(names, 0, names->n, 0, below, len, false);

	return low < names->n && strncmp(names->v[low], below, len) == 0;
}

/* Or a link that comes in the place of a folder above it. */
static bool is_in(const struct strv *names, const struct change *c)
{
	return names->n > 0 &&
	       (is_under(names, c->path) ||
		(c->from && is_under(names, c->from)) ||
		(S_ISLNK(c->new.mode) && is_above(names, c->path)));
}

/* --- together --------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In the folders above the path, but for those that the one before had too, and
 * for what no call takes. */
static void look_above(struct changes_git *git, const char *path,
		       const char *before)
{
	size_t same = 0;

	while (path[same] && path[same] == before[same])
		same++;
	for (const char *s = strchr(path, '/'); s; s = strchr(s + 1, '/')) {
		size_t n = (size_t)(s - path);
		auto_free char *folder = NULL;

		if (n >= PATH_MAX)
			return;
		if (n < same)
			continue;
		folder = xstrndup(path, n);
		named_look_in(&git->named, folder);
	}
}

static void look_in_folders(struct changes_git *git,
			    const struct changes *changes)
{
	const char **paths = xcalloc(2 * changes->n + 1, sizeof(*paths));
	size_t n = 0;

	for (size_t i = 0; i < changes->n; i++) {
		paths[n++] = changes->v[i].path;
		if (changes->v[i].from)
			paths[n++] = changes->v[i].from;
	}
	/* What is below a folder stands together then. */
	qsort(paths, n, sizeof(*paths), compare);
	for (size_t i = 0; i < n; i++)
		look_above(git, paths[i], i ? paths[i - 1] : "");
	free(paths);
}

void changes_git_find(struct changes_git *git, const struct changes *changes,
		      int tree_fd, const char *tree, const struct named *found)
{
	*git = (struct changes_git){ .tree_fd = tree_fd };
	for (size_t i = 0; i < changes->n; i++) {
		const struct change *c = &changes->v[i];
		const char *name = path_base(c->path);

		if (c->new.mode && !S_ISDIR(c->new.mode) &&
		    review_is_head(name))
			strv_push(&git->heads, folder_of(c->path, name));
		if (S_ISLNK(c->new.mode))
			strv_push(&git->links, xstrdup(c->path));
	}
	strv_sort(&git->heads);
	strv_sort(&git->links);
	if (found)
		git->named = *found;
	else
		named_find(&git->named, tree_fd, tree);
	look_in_folders(git, changes);
	named_sort(&git->named);
}

void changes_git_free(struct changes_git *git)
{
	strv_free(&git->heads);
	strv_free(&git->links);
	named_free(&git->named);
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

/* By a link of the user's own: the kernel is asked for that. */
static bool leads_out(const struct changes_git *git, const char *path)
{
	auto_fd int fd = open_resolve(git->tree_fd, path, O_PATH,
				      RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);

	return fd < 0 && (errno == EXDEV || errno == EAGAIN);
}

/* What is new is not there to be asked: "here" may be ".", and then "here/away"
 * is the user's.  To follow these would take who knows how long. */
static bool goes_over_new(const struct changes_git *git, char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == NULL)
		return false;
	*slash = '\0';
	return is_under(&git->links, path);
}

static const char *by_link(const struct changes_git *git,
			   const struct change *c)
{
	static const char out[] = "a link that leaves the tree";
	auto_free char *whole = NULL, *clean = NULL;

	if (review_link_leaves(c->path, c->new.target))
		return out;
	whole = xasprintf("/%.*s/%s", (int)(path_base(c->path) - c->path),
			  c->path, c->new.target);
	clean = path_clean(whole);
	if (leads_out(git, clean[1] ? clean + 1 : "."))
		return out;
	return goes_over_new(git, clean + 1) ? "a link by way of a new one"
					     : NULL;
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
	if (what == NULL && is_in(&git->named.config, c))
		what = "git's configuration names it";
	if (what == NULL && is_in(&git->named.links, c))
		what = "a link to it has a name that tools obey";
	if (what == NULL && git->named.too_much)
		what = "git's configuration is too long to tell";
	if (what)
		return what;
	what = S_ISLNK(c->new.mode) ? by_link(git, c) : NULL;
	if (what)
		return what;
	if (S_ISREG(c->new.mode) && c->new.mode & 0111 &&
	    !(S_ISREG(c->old.mode) && c->old.mode & 0111))
		return "a new executable";
	return NULL;
}
