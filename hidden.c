/* SPDX-License-Identifier: MIT */
#include "hidden.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "walk.h"

/*
 * A filter that holds at any depth takes a walk of the whole tree, and a start
 * must not wait for a million files.  So the folders nearest to the top are
 * looked through first, up to a number of entries; a small project is seen to
 * the end.  What the user lists costs what it costs: names with a slash and no
 * wildcard are looked up, all else is looked for everywhere.
 *
 * Where a payload writes the tree itself, it shapes what the next run looks
 * through: it could put any number of entries before a secret.  So there, all
 * of it is looked through.  What is passed over by its name may be: nothing that
 * is hidden can be moved into it (tree_project.c).
 */

#define IGNORE_MAX (64 * 1024)
#define LOOK_MAX   (64 * 1024)
/* More is no tree to walk before each start. */
#define WALK_MAX   2000000
/* Folders on the way to what is hidden: each takes a mount, too. */
#define ABOVE_MAX  4000

struct pattern {
	const char *glob;  /* with a slash: from the top */
	const char *holds; /* only files with this text, or NULL */
	bool folder_only;
	bool exact; /* the user's, as git takes it; ours in capitals as well */
	bool whole; /* it is of the path, and not of the name */
	/* What each that matches begins and ends with: few names do, and to
	 * compare some bytes is a fraction of fnmatch(). */
	size_t head, tail;
};

#include "hidden_table.h"

struct search {
	struct hidden *hidden;
	const struct strv *shown;
	int root_fd;
	struct pattern *patterns; /* the user's globs, and then ours */
	size_t n_patterns, n_user;
	bool whole, doors;
	bool by_other; /* who cannot pass what is closed to others */
	/* Which bytes a name that any matches can begin and end with.  Few
	 * names do: all others are done with after two looks. */
	bool begins[256], ends[256];
	struct walk_path path; /* of what is looked at */
	struct strv queue;     /* folders to look through, nearest first */
	size_t next;
	size_t entries;
};

/* --- names -------------------------------------------------------------- */

static void note_byte(bool set[static 256], const struct pattern *p, char c)
{
	set[(unsigned char)c] = true;
	if (!p->exact)
		set[(unsigned char)toupper((unsigned char)c)] = true;
}

/* Of a path it is the name that is looked at, so its beginning says nothing. */
static void note_ends(struct search *s, const struct pattern *p,
		      const char *end)
{
	if (p->head && !p->whole)
		note_byte(s->begins, p, p->glob[0]);
	else if (p->tail)
		note_byte(s->ends, p, end[-1]);
	else
		memset(s->begins, true, sizeof(s->begins));
}

static void add_pattern(struct search *s, struct pattern pattern)
{
	const char *end = pattern.glob + strlen(pattern.glob);
	const char *special = pattern.glob;

	pattern.whole = strchr(pattern.glob, '/') != NULL;
	pattern.head = strcspn(pattern.glob, "*?[\\");
	while (*(special += strcspn(special, "*?[]\\")))
		pattern.tail = (size_t)(end - ++special);
	/* An escaped character is longer here than in a name. */
	if (strchr(pattern.glob, '\\'))
		pattern.tail = 0;
	note_ends(s, &pattern, end);
	s->patterns = xrealloc_array(s->patterns, s->n_patterns + 1,
				     sizeof(*s->patterns));
	s->patterns[s->n_patterns++] = pattern;
}

static bool holds(const struct search *s, const char *text)
{
	auto_fd int fd = walk_open_below(s->root_fd, s->path.s,
					 O_RDONLY | O_NONBLOCK);
	auto_free char *buf = xcalloc(1, LOOK_MAX);
	ssize_t n;

	/* Its owner can make it readable inside. */
	if (fd < 0)
		return errno == EACCES;
	n = read(fd, buf, LOOK_MAX);
	return n > 0 && memmem(buf, (size_t)n, text, strlen(text));
}

/* Each name goes by all patterns, and most differ in the first byte. */
static bool is_same(const struct pattern *p, const char *a, const char *b,
		    size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] && (p->exact || (a[i] ^ b[i]) != ('a' ^ 'A') ||
				     !isalpha((unsigned char)b[i])))
			return false;
	return true;
}

static bool matches(const struct search *s, const struct pattern *p,
		    const char *name, size_t len, bool folder)
{
	if (p->folder_only && !folder)
		return false;
	if (p->whole) {
		name = s->path.s;
		len = s->path.len;
	}
	if (len < p->head || !is_same(p, name, p->glob, p->head) ||
	    len < p->tail ||
	    !is_same(p, name + len - p->tail,
		     p->glob + strlen(p->glob) - p->tail, p->tail) ||
	    fnmatch(p->glob, name,
		    FNM_PATHNAME | (p->exact ? 0 : FNM_CASEFOLD)) != 0)
		return false;
	if (p->holds == NULL)
		return true;
	/* A folder's stamp says nothing of what its files hold. */
	looked_lapse(&s->hidden->looked);
	return !folder && holds(s, p->holds);
}

static bool may_match(const struct search *s, const char *name)
{
	return s->begins[(unsigned char)name[0]] ||
	       s->ends[(unsigned char)name[strlen(name) - 1]];
}

/* What s->path is at, whose last part is `name`. */
static bool is_hidden(const struct search *s, const char *name, bool folder)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < s->n_patterns; i++)
		if (matches(s, &s->patterns[i], name, len, folder))
			return !strv_has(s->shown, s->path.s);
	return false;
}

static bool doors_alone(const struct search *s)
{
	return s->n_patterns == 0;
}

static int hide(const struct search *s, const char *path, bool folder)
{
	struct hidden *h = s->hidden;
	struct strv *list = folder ? &h->folders : &h->files;

	if (strv_has(list, path))
		return 0;
	if (h->files.n + h->folders.n < HIDDEN_MAX) {
		strv_push(list, xstrdup(path));
		return 0;
	}
	fail(0, "cannot hide more than %d %s", HIDDEN_MAX,
	     doors_alone(s) ? "sockets and fifos" : "files of the project");
	return fail_remedy("%s", doors_alone(s)
				     ? "show what is needed of that tree"
				     : "name their folders in " HIDDEN_LIST
				       ", with a slash at the end");
}

/* --- the look ----------------------------------------------------------- */

/* DT_... */
static unsigned int kind_of(int dir_fd, const struct walk_name *entry)
{
	struct stat st;

	if (entry->type != DT_UNKNOWN)
		return entry->type;
	return fstatat(dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) == 0
		   ? IFTODT(st.st_mode)
		   : DT_UNKNOWN;
}

static bool is_door(const struct search *s, unsigned int kind)
{
	return s->doors && (kind == DT_SOCK || kind == DT_FIFO) &&
	       !strv_has(s->shown, s->path.s);
}

/* Keys among a dependency's own tests are nobody's secrets, and git's objects
 * have names of their own. */
static bool is_passed_over(const struct search *s, const char *name)
{
	if (doors_alone(s))
		return false;
	return strcmp(name, ".git") == 0 ||
	       (s->n_user == 0 && strcmp(name, "node_modules") == 0);
}

static int look_at(struct search *s, int dir_fd, const struct walk_name *entry)
{
	unsigned int kind = kind_of(dir_fd, entry);
	bool is_dir = kind == DT_DIR, may_be = may_match(s, entry->name);
	size_t before;
	int rc = 0;

	/* Nearly all: what is done for these is what the look takes. */
	if (kind == DT_REG && !may_be)
		return 0;
	before = walk_push(&s->path, entry->name);
	if ((may_be && is_hidden(s, entry->name, is_dir)) || is_door(s, kind))
		rc = hide(s, s->path.s, is_dir);
	else if (is_dir && !is_passed_over(s, entry->name))
		strv_push(&s->queue, xstrdup(s->path.s));
	walk_cut(&s->path, before);
	return rc;
}

static size_t most_entries(const struct search *s)
{
	return s->n_user || s->whole ? WALK_MAX : HIDDEN_ENTRIES;
}

/*
 * Its owner, who may be the payload, can open a folder that cannot be opened
 * here: all of it is hidden.  What lies deeper than a path can be long is
 * nobody's secret.
 */
static int pass_over(struct search *s, const char *folder, int err)
{
	looked_lapse(&s->hidden->looked);
	/* No secret is looked for: where we cannot go, nobody inside can. */
	if (doors_alone(s))
		return 0;
	if (err == EACCES)
		return strv_has(s->shown, folder) ? 0 : hide(s, folder, true);
	if (err == ENOENT || err == ENOTDIR || err == ELOOP ||
	    err == ENAMETOOLONG)
		return 0;
	return fail(err, "cannot look through the project's %s", folder);
}

/* Neither the payload nor who lays the masks passes it to a door.  Our own
 * folders the payload can open for itself. */
static bool is_closed(const struct search *s, int fd)
{
	struct stat st;

	if (!doors_alone(s))
		return false;
	if (fstat(fd, &st) < 0)
		return s->by_other;
	if (s->by_other)
		return !(st.st_mode & S_IXOTH);
	return st.st_uid != geteuid() &&
	       faccessat(fd, ".", X_OK, AT_EACCESS) < 0;
}

static int look_through(struct search *s, const char *folder)
{
	int fd = walk_open_below(s->root_fd, *folder ? folder : ".",
				 O_RDONLY | O_DIRECTORY);
	struct walk_reader reader;
	struct walk_name entry;
	int rc = 0, more = 1;

	if (fd < 0)
		return pass_over(s, folder, errno);
	if (is_closed(s, fd)) {
		close(fd);
		return 0;
	}
	looked_at(&s->hidden->looked, fd, *folder ? folder : ".");
	walk_cut(&s->path, 0);
	walk_push(&s->path, folder);
	walk_start(&reader, fd);
	while (rc == 0 && s->entries < most_entries(s) &&
	       (more = walk_next(&reader, &entry)) == 1) {
		s->entries++;
		rc = look_at(s, fd, &entry);
	}
	/* One that was deleted meanwhile has no more entries. */
	if (more < 0)
		rc = pass_over(s, folder, errno);
	walk_end(&reader);
	return rc;
}

static int refuse_size(const struct search *s)
{
	fail(0,
	     "cannot look through the project: it holds more than %d entries",
	     WALK_MAX);
	return s->whole
		   ? fail_remedy("use --project-mode overlay, whose payload "
				 "cannot move what is hidden")
		   : fail_remedy("name the files in " HIDDEN_LIST
				 " by their whole path, without wildcards");
}

static int look(struct search *s)
{
	strv_push(&s->queue, xstrdup(""));
	while (s->next < s->queue.n) {
		if (look_through(s, s->queue.v[s->next++]) < 0)
			return -1;
		if (s->entries < most_entries(s))
			continue;
		if (s->entries == WALK_MAX)
			return refuse_size(s);
		s->hidden->partial = true;
		break;
	}
	return 0;
}

/* --- the last look -------------------------------------------------------- */

enum { FOUND_FILE = 'f', FOUND_FOLDER = 'd', FOUND_PARTIAL = 'p' };

/* All that the same folders could be found otherwise by. */
static void push_rules(struct walk_path *rules)
{
	auto_free char *start = xasprintf(M9M_VERSION " %d caseless",
					  HIDDEN_ENTRIES);

	walk_push(rules, start);
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		walk_push(rules, defaults[i].glob);
		if (defaults[i].holds)
			walk_push(rules, defaults[i].holds);
		if (defaults[i].folder_only)
			walk_push(rules, "");
	}
}

static void note_found(struct looked *looked, char kind,
		       const struct strv *paths)
{
	for (size_t i = 0; i < paths->n; i++)
		looked_found(looked, xasprintf("%c%s", kind, paths->v[i]));
}

static void take_found(struct hidden *hidden)
{
	const struct strv *found = &hidden->looked.found;

	for (size_t i = 0; i < found->n; i++)
		if (found->v[i][0] == FOUND_PARTIAL)
			hidden->partial = true;
		else
			strv_push(found->v[i][0] == FOUND_FOLDER
				      ? &hidden->folders
				      : &hidden->files,
				  xstrdup(found->v[i] + 1));
}

/* By our own list alone, and as far as that goes: what else it takes is looked
 * for each time. */
static int look_by_last(struct search *s, const char *looks)
{
	struct hidden *hidden = s->hidden;
	struct walk_path rules = { 0 };

	if (hidden->listed || s->shown->n > 0 || s->whole || s->doors)
		return look(s);
	push_rules(&rules);
	looked_start(&hidden->looked, looks, s->root_fd, rules.s);
	walk_free(&rules);
	if (hidden->looked.known) {
		take_found(hidden);
		return 0;
	}
	if (look(s) < 0)
		return -1;
	note_found(&hidden->looked, FOUND_FILE, &hidden->files);
	note_found(&hidden->looked, FOUND_FOLDER, &hidden->folders);
	if (hidden->partial)
		looked_found(&hidden->looked, xasprintf("%c", FOUND_PARTIAL));
	return 0;
}

/* --- the user's list ---------------------------------------------------- */

static int refuse_line(const char *line, const char *why)
{
	fail(0, HIDDEN_LIST ": \"%.80s\": %s", line, why);
	return fail_remedy("it takes names and paths with * ? [], one a line, "
			   "and # for comments");
}

/* One file: it is looked up, not for. */
static int hide_literal(struct search *s, char *path)
{
	auto_fd int fd = walk_open_below(s->root_fd, path, O_PATH);
	char *slash = strrchr(path, '/');
	struct stat st;

	/* As of all that cannot be looked through: its folder is. */
	if (fd < 0 && errno == EACCES && slash) {
		*slash = '\0';
		return hide_literal(s, path);
	}
	if (fd < 0 || fstat(fd, &st) < 0 || strv_has(s->shown, path))
		return 0;
	return hide(s, path, S_ISDIR(st.st_mode));
}

static int take_line(struct search *s, char *line)
{
	size_t len = strlen(line);
	bool folder_only = false, anchored;

	while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\r'))
		line[--len] = '\0';
	if (len == 0 || line[0] == '#')
		return 0;
	if (line[0] == '!')
		return refuse_line(line, "cannot be taken back here: --show "
					 "FILE does that");
	if (line[len - 1] == '/') {
		line[--len] = '\0';
		folder_only = true;
	}
	/* As of "x\ ", which would match nothing without a word. */
	if (len > 0 && line[len - 1] == '\\')
		return refuse_line(line, "ends with a backslash");
	if (strncmp(line, "**/", 3) == 0 && !strchr(line + 3, '/'))
		line += 3;
	if (strstr(line, "**") || strstr(line, ".."))
		return refuse_line(line, "** and .. are not understood");
	anchored = strchr(line, '/') != NULL;
	line += line[0] == '/';
	if (*line == '\0')
		return refuse_line("/", "hides the whole project");
	if (anchored && !strpbrk(line, "*?[\\"))
		return hide_literal(s, line);
	/* From the top, although no slash is left of it. */
	if (anchored && !strchr(line, '/'))
		return refuse_line(line, "a wildcard at the top only is not "
					 "understood");
	add_pattern(s, (struct pattern){ .glob = line,
					 .folder_only = folder_only,
					 .exact = true });
	s->n_user++;
	return 0;
}

static int read_list(struct search *s, char **text)
{
	auto_fd int fd = walk_open_below(s->root_fd, HIDDEN_LIST,
					 O_RDONLY | O_NONBLOCK);
	size_t len = 0;
	char *save;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd >= 0)
		*text = read_fd(fd, IGNORE_MAX, &len);
	if (*text == NULL)
		return fail(errno, "cannot read the project's " HIDDEN_LIST);
	s->hidden->listed = true;
	if (strlen(*text) != len)
		return fail(0, "cannot read the project's " HIDDEN_LIST
			       ": it holds a NUL");
	for (char *line = strtok_r(*text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (take_line(s, line) < 0)
			return -1;
	return 0;
}

/* A mask over a folder hides all of it. */
static int check_shown(const struct hidden *hidden, const struct strv *shown)
{
	for (size_t i = 0; i < shown->n; i++)
		for (size_t k = 0; k < hidden->folders.n; k++) {
			const char *folder = hidden->folders.v[k];

			if (!path_under(shown->v[i], folder))
				continue;
			fail(0, "cannot show %s: its folder is hidden",
			     shown->v[i]);
			return fail_remedy("--show %s shows all of it", folder);
		}
	return 0;
}

/* In place alone do they have to stay where they are. */
static int note_above(struct hidden *hidden, const struct strv *paths)
{
	for (size_t i = 0; i < paths->n; i++) {
		char *path = paths->v[i];

		for (char *slash = strchr(path, '/'); slash;
		     slash = strchr(slash + 1, '/')) {
			auto_free char *folder = xstrndup(
			    path, (size_t)(slash - path));

			if (strv_has(&hidden->above, folder))
				continue;
			if (hidden->above.n == ABOVE_MAX) {
				fail(0,
				     "what is to be hidden lies in more than "
				     "%d folders",
				     ABOVE_MAX);
				return fail_remedy(
				    "use --project-mode overlay");
			}
			strv_push(&hidden->above, take_ptr(&folder));
		}
	}
	return 0;
}

int hidden_find(struct hidden *hidden, int project_fd, const struct strv *shown,
		unsigned int how, const char *looks)
{
	bool whole = how & HIDDEN_WHOLE;
	struct search s = { .hidden = hidden,
			    .shown = shown,
			    .root_fd = project_fd,
			    .whole = whole,
			    .doors = how & HIDDEN_DOORS };
	auto_free char *text = NULL;
	int rc;

	*hidden = (struct hidden){ 0 };
	rc = read_list(&s, &text);
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
		add_pattern(&s, defaults[i]);
	walk_push(&s.path, "");
	if (rc == 0)
		rc = look_by_last(&s, looks);
	if (rc == 0)
		rc = check_shown(hidden, shown);
	if (rc == 0 && whole)
		rc = note_above(hidden, &hidden->files);
	if (rc == 0 && whole)
		rc = note_above(hidden, &hidden->folders);
	strv_sort(&hidden->files);
	strv_sort(&hidden->folders);
	strv_sort(&hidden->above);
	strv_free(&s.queue);
	walk_free(&s.path);
	free(s.patterns);
	return rc;
}

int hidden_doors(struct hidden *hidden, int tree_fd, bool by_other)
{
	static const struct strv none;
	struct search s = { .hidden = hidden,
			    .shown = &none,
			    .root_fd = tree_fd,
			    .doors = true,
			    .by_other = by_other };
	int rc;

	*hidden = (struct hidden){ 0 };
	walk_push(&s.path, "");
	rc = look(&s);
	strv_sort(&hidden->files);
	strv_free(&s.queue);
	walk_free(&s.path);
	return rc;
}

void hidden_free(struct hidden *hidden)
{
	strv_free(&hidden->files);
	strv_free(&hidden->folders);
	strv_free(&hidden->above);
	looked_free(&hidden->looked);
}
