/* SPDX-License-Identifier: MIT */
#include "named.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitconf.h"
#include "review.h"
#include "walk.h"

/* A section for each of some ten thousand branches is no more than 2 MiB. */
#define FILE_MAX    (16 * 1024 * 1024)
/*
 * Of one repository, each read once: some file may include itself, twice.  And
 * of all of them together: any may be a payload's, from a run in place.  What is
 * beyond that is not passed over in silence.
 */
#define FILES_MAX   500
#define BYTES_MAX   (64 * 1024 * 1024)
#define LOOKS_MAX   200000
/* Of a folder; one that is larger is no place for a user's settings. */
#define ENTRIES_MAX 4096
/* .git/hooks/x, .claude/commands/x. */
#define DEPTH_MAX   3

/* --- where a name leads ---------------------------------------------------- */

/* What of `path` is below the tree, "" for the tree itself; NULL: nothing. */
static const char *below(const struct named *named, const char *path)
{
	const char *rest = path + strlen(named->tree);

	if (!path_under(path, named->tree))
		return NULL;
	return *rest == '/' ? rest + 1 : rest;
}

/* Who may look at the tree may not reach it by its path, if it is root's own. */
static int open_at(const struct named *named, const char *path, int flags)
{
	const char *rest = below(named, path);

	flags |= O_CLOEXEC;
	return rest ? openat(named->tree_fd, *rest ? rest : ".", flags)
		    : open(path, flags);
}

/* A device or a fifo would notice that it was opened. */
static int open_regular(const struct named *named, const char *path)
{
	auto_fd int fd = open_at(named, path, O_PATH);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	return open(fd_path(fd).s, O_RDONLY | O_CLOEXEC);
}

/* The user's own, read once for all repositories: maybe by somebody who had more
 * rights than who looks on. */
static const char *find_text(const struct named *named, const char *path)
{
	for (size_t i = 0; i < named->texts.n; i += 2)
		if (strcmp(named->texts.v[i], path) == 0)
			return named->texts.v[i + 1];
	return NULL;
}

static void keep_text(struct named *named, const char *path, const char *text)
{
	strv_push(&named->texts, xstrdup(path));
	strv_push(&named->texts, xstrdup(text));
}

/* NULL: no file, or none that can be read. */
static char *read_text(struct named *named, const char *path)
{
	const char *kept = find_text(named, path);
	auto_fd int fd = kept ? -1 : open_regular(named, path);
	char *text;
	size_t len = 0;

	if (kept)
		return xstrdup(kept);
	if (fd < 0)
		return NULL;
	if (named->bytes >= BYTES_MAX) {
		named->too_much = true;
		return NULL;
	}
	text = read_fd(fd, FILE_MAX, &len);
	if (text == NULL && errno == EFBIG)
		named->too_much = true;
	/* git reads on after one. */
	for (size_t i = 0; text && i < len; i++)
		if (text[i] == '\0')
			text[i] = '\n';
	named->bytes += len;
	if (text && !below(named, path))
		keep_text(named, path, text);
	return text;
}

static char *path_of(int fd)
{
	char *name = fd_name(fd);

	return name ? name : xstrdup("");
}

static uint64_t mount_of(int fd)
{
	struct statx stx = { 0 };

	(void)statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx);
	return stx.stx_mnt_id;
}

/* Where it leads; owned.  A tree of root's is held by a mount of its own, which
 * starts there for the kernel. */
static char *real_path(const struct named *named, int fd)
{
	char *path = path_of(fd), *whole;
	auto_free char *root = path_of(named->tree_fd);

	if (strcmp(root, "/") != 0 || mount_of(fd) != mount_of(named->tree_fd))
		return path;
	whole = path_join(named->tree, path);
	free(path);
	return whole;
}

/* Without links, as far as anything is there; owned. */
static char *real_of(struct named *named, const char *path)
{
	bool enough = named->looks++ >= LOOKS_MAX;
	auto_fd int fd = enough ? -1 : open_at(named, path, O_PATH);
	const char *slash = strrchr(path, '/');
	auto_free char *above = NULL, *real_above = NULL;

	if (fd >= 0)
		return real_path(named, fd);
	named->too_much |= enough;
	if (slash == path || enough)
		return xstrdup(path);
	above = xstrndup(path, (size_t)(slash - path));
	real_above = real_of(named, above);
	return path_join(real_above, slash + 1);
}

static void push_below(const struct named *named, struct strv *to,
		       const char *path)
{
	const char *rest = below(named, path);

	if (rest && *rest)
		strv_push(to, xstrdup(rest));
}

/* What `word` is to git in the folder `base`; NULL: no path. */
static char *whole_path(const char *base, const char *word)
{
	const char *home = getenv("HOME");
	auto_free char *path = NULL;

	if (*word == '\0' || strlen(word) >= PATH_MAX)
		return NULL;
	if (word[0] == '/')
		return path_clean(word);
	path = word[0] == '~' && word[1] == '/' && home
		   ? path_join(home, word + 2)
		   : path_join(base, word);
	return path[0] == '/' ? path_clean(path) : NULL;
}

/* As it is written, and where that leads.  True: to the tree itself. */
static bool add(struct named *named, struct strv *to, const char *base,
		const char *word)
{
	auto_free char *path = named->too_much ? NULL : whole_path(base, word);
	auto_free char *real = NULL;
	const char *rest;

	if (path == NULL)
		return false;
	real = real_of(named, path);
	rest = below(named, real);
	push_below(named, to, path);
	if (strcmp(path, real) != 0)
		push_below(named, to, real);
	return rest && *rest == '\0';
}

/* --- git's configuration ---------------------------------------------------- */

struct git {
	struct named *named;
	char *top;         /* what a relative path is relative to */
	struct strv files; /* that were read */
};

/* A command without a slash is none of the tree: but what it is given may be. */
static const struct {
	const char *key;
	bool is_path;
} naming_keys[] = {
	{ "hookspath", true },
	{ "attributesfile", true },
	{ "path", true }, /* of a tool: an include's is read elsewhere */
	{ "templatedir", true },
	{ "alternaterefscommand", false },
	{ "askpass", false },
	{ "cccmd", false },
	{ "clean", false },
	{ "cmd", false },
	{ "command", false },
	{ "defaultkeycommand", false },
	{ "difffilter", false },
	{ "driver", false },
	{ "editor", false },
	{ "external", false },
	{ "fsmonitor", false },
	{ "gitproxy", false },
	{ "headercmd", false },
	{ "helper", false },
	{ "httpd", false },
	{ "packobjectshook", false },
	{ "pager", false },
	{ "process", false },
	{ "program", false },
	{ "receivepack", false },
	{ "recentobjectshook", false },
	{ "sendmailcmd", false },
	{ "smtpserver", false },
	{ "smudge", false },
	{ "sshcommand", false },
	{ "textconv", false },
	{ "tocmd", false },
	{ "tunnel", false },
	{ "uploadpack", false },
};

/* "$(git rev-parse --show-toplevel)/x", "$PWD"/x: where that is only a shell can
 * tell, and it is wont to be the top. */
static const char *after_variable(const char *word)
{
	const char *rest = word;

	for (const char *p = word; *p; p++)
		if (strchr("$)}`", *p))
			rest = p;
	if (rest == word && *word != '/' && *word != '$')
		return NULL;
	rest = strchr(rest, '/');
	return rest ? rest + 1 : NULL;
}

static void add_words(struct git *git, char *value)
{
	static const char ends[] = " \t\"';|&!=";
	bool variable = strpbrk(value, "$`") != NULL;
	char *save = NULL;

	for (char *word = strtok_r(value, ends, &save); word;
	     word = strtok_r(NULL, ends, &save)) {
		const char *rest = variable ? after_variable(word) : NULL;

		if (strpbrk(word, "/."))
			add(git->named, &git->named->config, git->top, word);
		if (rest)
			add(git->named, &git->named->config, git->top, rest);
	}
}

static void take_setting(struct git *git, const struct gitconf *conf)
{
	struct named *named = git->named;
	/* An alias that is a command; pager.log and its like. */
	bool command = conf->value[0] == '!' ||
		       strcmp(conf->section, "pager") == 0;

	for (size_t i = 0; i < ARRAY_SIZE(naming_keys); i++) {
		if (strcmp(naming_keys[i].key, conf->name) != 0)
			continue;
		if (!naming_keys[i].is_path)
			command = true;
		else if (add(named, &named->config, git->top, conf->value))
			strv_push(&named->config, xstrdup(NAMED_ALL));
	}
	if (command)
		add_words(git, conf->value);
}

static void read_config(struct git *git, const char *path);

/* `folder`: where the path of an include starts. */
static void take(struct git *git, const char *folder,
		 const struct gitconf *conf)
{
	/* Whatever the condition of an includeIf. */
	bool include = strncmp(conf->section, "include", 7) == 0 &&
		       strcmp(conf->name, "path") == 0;
	auto_free char *other = include ? whole_path(folder, conf->value)
					: NULL;

	if (other)
		read_config(git, other);
	if (!include)
		take_setting(git, conf);
}

static void read_config(struct git *git, const char *path)
{
	auto_free char *text = NULL;
	auto_free char *folder = xstrndup(path,
					  (size_t)(strrchr(path, '/') - path));
	struct gitconf conf;

	if (git->named->looks++ >= LOOKS_MAX || git->files.n == FILES_MAX)
		git->named->too_much = true;
	if (git->named->too_much || strv_has(&git->files, path))
		return;
	strv_push(&git->files, xstrdup(path));
	add(git->named, &git->named->config, "/", path);
	text = read_text(git->named, path);
	if (text == NULL)
		return;
	gitconf_start(&conf, text);
	while (!git->named->too_much && gitconf_next(&conf))
		take(git, folder, &conf);
	gitconf_end(&conf);
}

static void read_below(struct git *git, const char *folder, const char *name)
{
	auto_free char *path = folder && folder[0] == '/'
				   ? path_join(folder, name)
				   : NULL;

	if (path)
		read_config(git, path);
}

static void read_variable(struct git *git, const char *variable)
{
	const char *word = getenv(variable);
	auto_free char *path = word ? whole_path(git->top, word) : NULL;

	if (path)
		read_config(git, path);
}

static const char *numbered(const char *variable, uint64_t n)
{
	auto_free char *name = xasprintf("%s_%llu", variable,
					 (unsigned long long)n);

	return getenv(name);
}

/* Settings that are in variables themselves: section[.subsection].name. */
static void read_pairs(struct git *git)
{
	const char *count = getenv("GIT_CONFIG_COUNT");
	uint64_t n = 0;

	if (count == NULL || parse_u64(count, &n) < 0)
		return;
	for (uint64_t i = 0; i < n; i++) {
		const char *key = numbered("GIT_CONFIG_KEY", i);
		const char *set = numbered("GIT_CONFIG_VALUE", i);
		auto_free char *value = NULL;
		struct gitconf conf;

		/* git takes none of them where one is missing. */
		if (key == NULL || set == NULL || !strchr(key, '.'))
			return;
		value = xstrdup(set);
		gitconf_pair(&conf, key, value);
		take(git, git->top, &conf);
		gitconf_end(&conf);
	}
}

/* The path that the file at FOLDER/NAME gives after `head`; or NULL. */
static char *pointer(struct named *named, const char *folder, const char *name,
		     const char *head)
{
	auto_free char *file = path_join(folder, name);
	auto_free char *text = read_text(named, file);
	size_t n = strlen(head);

	if (text == NULL || strncmp(text, head, n) != 0)
		return NULL;
	text[strcspn(text, "\r\n")] = '\0';
	return whole_path(folder, text + n);
}

/* The folder that holds .git, which may be above the project. */
static char *find_top(const struct named *named)
{
	char *top = xstrdup(named->tree);
	char *slash;

	for (;;) {
		auto_free char *git = path_join(top, ".git");
		auto_fd int fd = open_at(named, git, O_PATH);

		if (fd >= 0)
			return top;
		slash = strrchr(top, '/');
		if (slash == NULL || slash == top)
			break;
		*slash = '\0';
	}
	free(top);
	return xstrdup(named->tree);
}

/* --- links ------------------------------------------------------------------- */

static void find_links(struct named *named, const char *root, const char *below,
		       int depth);

static void look_at(struct named *named, const char *root, const char *path,
		    int depth)
{
	/* All of .cursor/ is obeyed, and not git's own records. */
	bool leads = review_link(path) != NULL ||
		     (strchr(path, '/') && review_path(path) != NULL &&
		      !review_is_git_record(path));
	auto_free char *whole = path_join(root, path);
	auto_fd int fd = -1;
	struct stat st;

	/* By the name first: a tree has any number of others at its top. */
	if (!leads && review_path(path) == NULL)
		return;
	fd = open_at(named, whole, O_PATH | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	if (S_ISLNK(st.st_mode))
		add(named, &named->links, "/", whole);
	else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX && leads)
		find_links(named, root, path, depth + 1);
}

/* In the folder and those below it that review.h knows. */
static void find_links(struct named *named, const char *root, const char *below,
		       int depth)
{
	auto_free char *folder = path_join(root, below);
	int fd = open_at(named, folder, O_RDONLY | O_DIRECTORY);
	struct walk_reader reader;
	struct walk_name entry;
	size_t seen = 0;

	if (fd < 0)
		return;
	walk_start(&reader, fd);
	while (seen++ < ENTRIES_MAX && walk_next(&reader, &entry) == 1) {
		auto_free char *path = *below ? path_join(below, entry.name)
					      : xstrdup(entry.name);

		if (entry.type == DT_LNK || entry.type == DT_UNKNOWN ||
		    (entry.type == DT_DIR && depth < DEPTH_MAX))
			look_at(named, root, path, depth);
	}
	walk_end(&reader);
}

/* --- together ------------------------------------------------------------------ */

/* As it is in the folder that holds it, since review.h goes by names. */
static void find_git_links(struct named *named, const char *git)
{
	const char *name = path_base(git);
	auto_free char *root = xstrndup(git, (size_t)(name - git));

	find_links(named, root, name, DEPTH_MAX - 1);
}

/* Takes `top` over. */
static void find_git(struct named *named, char *owned_top)
{
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
	auto_free char *top = owned_top;
	auto_free char *own = path_join(top, ".git");
	auto_free char *dir = pointer(named, top, ".git", "gitdir: ");
	auto_free char *common = pointer(named, dir ? dir : own, "commondir",
					 "");
	auto_free char *dotconfig = home ? path_join(home, ".config") : NULL;
	struct git git = { .named = named, .top = top };
	const char *const folders[] = { own, dir, common };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		read_below(&git, folders[i], "config");
		read_below(&git, folders[i], "config.worktree");
	}
	read_below(&git, home, ".gitconfig");
	read_below(&git, xdg && xdg[0] ? xdg : dotconfig, "git/config");
	read_below(&git, "/etc", "gitconfig");
	read_variable(&git, "GIT_CONFIG_GLOBAL");
	read_variable(&git, "GIT_CONFIG_SYSTEM");
	read_pairs(&git);
	strv_free(&git.files);
	find_git_links(named, common ? common : own);
}

void named_find(struct named *named, int tree_fd, const char *tree)
{
	const char *home = getenv("HOME");

	*named = (struct named){ .tree_fd = tree_fd, .tree = tree };
	find_git(named, find_top(named));
	find_links(named, tree, "", 1);
	if (home && home[0] == '/')
		find_links(named, home, "", 1);
}

void named_look_in(struct named *named, const char *folder)
{
	auto_free char *top = path_join(named->tree, folder);
	auto_free char *git = path_join(top, ".git");
	auto_fd int fd = open_at(named, git, O_PATH);

	if (fd >= 0)
		find_git(named, take_ptr(&top));
}

void named_sort(struct named *named)
{
	strv_sort(&named->config);
	strv_sort(&named->links);
}

void named_free(struct named *named)
{
	strv_free(&named->config);
	strv_free(&named->links);
	strv_free(&named->texts);
}
