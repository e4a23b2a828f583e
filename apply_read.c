/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "apply_work.h"
#include "err.h"
#include "json.h"
#include "unpack.h"

/* Of a hundred thousand changes and more. */
#define LIST_SIZE_MAX (64 * 1024 * 1024)

static int bad(const char *what)
{
	return fail(0, "cannot take the changes of this archive: %s", what);
}

/* --- the member --------------------------------------------------------- */

static char *read_list(struct unpack *u, size_t *len)
{
	char *text = malloc(LIST_SIZE_MAX);
	const void *data;
	size_t n;
	off_t at;
	int more;

	*len = 0;
	if (text == NULL) {
		bad("no memory for the list");
		return NULL;
	}
	while ((more = unpack_data(u, &data, &n, &at)) == 1) {
		if (at != (off_t)*len || n > LIST_SIZE_MAX - *len) {
			bad("changes.json is sparse, or over 64 MiB");
			break;
		}
		memcpy(text + *len, data, n);
		*len += n;
	}
	if (more == 0)
		return text;
	free(text);
	return NULL;
}

static char *find_list(int fd, size_t *len)
{
	struct unpack *u = unpack_open(fd);
	const struct unpack_member *member;
	char *text = NULL;
	int more = -1;

	while (u && (more = unpack_next(u, &member)) == 1) {
		if (member->path == NULL ||
		    strcmp(member->path, "changes.json") != 0)
			continue;
		if (text || !member->is_file) {
			bad("changes.json is there twice, or no file");
			more = -1;
			break;
		}
		text = read_list(u, len);
		if (text == NULL) {
			more = -1;
			break;
		}
	}
	unpack_free(u);
	if (more == 0 && text == NULL)
		bad("it has no changes.json (was it a run with --project?)");
	if (more < 0)
		free(take_ptr(&text));
	return text;
}

/* --- what it says ------------------------------------------------------- */

static const char *string_of(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(object, key));
}

/* NULL: no name, or one with a NUL. */
static char *from_digits(const char *digits)
{
	size_t n = strlen(digits) / 2;
	char *bytes = xcalloc(n + 1, 1);

	for (size_t i = 0; i < n; i++) {
		char pair[3] = { digits[2 * i], digits[2 * i + 1], '\0' };

		bytes[i] = (char)strtoul(pair, NULL, 16);
	}
	if (strlen(digits) % 2 == 0 && strlen(bytes) == n &&
	    digits[strspn(digits, "0123456789abcdef")] == '\0')
		return bytes;
	free(bytes);
	return NULL;
}

static char *name_of(const cJSON *object, const char *key)
{
	auto_free char *key_hex = xasprintf("%s_hex", key);
	const char *digits = string_of(object, key_hex);
	const char *name = string_of(object, key);

	if (digits)
		return from_digits(digits);
	return name ? xstrdup(name) : NULL;
}

/* Below the tree in words: the kernel is asked for the same at each step. */
static bool is_below(const char *path)
{
	if (path == NULL || strlen(path) >= PATH_MAX)
		return false;
	for (const char *p = path;; p++) {
		size_t n = strcspn(p, "/");

		if (n == 0 || n > NAME_MAX || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
		if (*p == '\0')
			return true;
	}
}

static int read_side(const cJSON *side, struct change_side *out)
{
	static const struct {
		const char *name;
		mode_t type;
	} types[] = { { "folder", S_IFDIR },
		      { "link", S_IFLNK },
		      { "file", S_IFREG } };
	const char *type = string_of(side, "type");
	const char *mode = string_of(side, "mode");
	const char *sha256 = string_of(side, "sha256");
	double size = cJSON_GetNumberValue(
	    cJSON_GetObjectItemCaseSensitive(side, "size"));
	char *end;

	for (size_t i = 0; type && i < ARRAY_SIZE(types); i++)
		if (strcmp(type, types[i].name) == 0)
			out->mode = types[i].type;
	if (out->mode == 0 || mode == NULL)
		return -1;
	out->mode |= (mode_t)strtoul(mode, &end, 8) & 0777;
	if (*end || end == mode)
		return -1;
	if (S_ISDIR(out->mode))
		return 0;
	if (sha256 == NULL || strlen(sha256) != SHA256_HEX - 1 ||
	    !(size >= 0 && size < 9e15))
		return -1;
	out->size = (off_t)size;
	memcpy(out->sha256, sha256, SHA256_HEX);
	if (!S_ISLNK(out->mode))
		return 0;
	out->target = name_of(side, "target");
	return out->target && out->target[0] ? 0 : -1;
}

static int read_change(const cJSON *object, struct change *c)
{
	static const char *const kinds[] = {
		[CHANGE_ADDED] = "added",
		[CHANGE_MODIFIED] = "modified",
		[CHANGE_DELETED] = "deleted",
		[CHANGE_RENAMED] = "renamed",
	};
	const char *kind = string_of(object, "change");
	const cJSON *old = cJSON_GetObjectItemCaseSensitive(object, "old");
	const cJSON *new = cJSON_GetObjectItemCaseSensitive(object, "new");
	size_t i = 0;

	while (kind && i < ARRAY_SIZE(kinds) && strcmp(kind, kinds[i]) != 0)
		i++;
	if (kind == NULL || i == ARRAY_SIZE(kinds))
		return -1;
	c->kind = (enum change_kind)i;
	c->path = name_of(object, "path");
	c->from = c->kind == CHANGE_RENAMED ? name_of(object, "from") : NULL;
	if (!is_below(c->path) ||
	    (c->kind == CHANGE_RENAMED && !is_below(c->from)))
		return -1;
	if (c->kind != CHANGE_ADDED && read_side(old, &c->old) < 0)
		return -1;
	if (c->kind != CHANGE_DELETED && read_side(new, &c->new) < 0)
		return -1;
	/* A folder becomes something else by two changes. */
	if (c->kind == CHANGE_MODIFIED &&
	    S_ISDIR(c->old.mode) != S_ISDIR(c->new.mode))
		return -1;
	return c->kind == CHANGE_RENAMED &&
		       (S_ISDIR(c->old.mode) || S_ISDIR(c->new.mode))
		   ? -1
		   : 0;
}

static int compare(const void *x, const void *y)
{
	const struct change *a = x, *b = y;
	int by = strcmp(a->path, b->path);

	return by ? by
		  : (a->kind != CHANGE_DELETED) - (b->kind != CHANGE_DELETED);
}

/* One of each; but what is deleted may come as another kind: a file as a folder,
 * an empty folder as a file, be it one that had another name. */
static int check_twice(const struct changes *c)
{
	for (size_t i = 1; i < c->n; i++)
		if (strcmp(c->v[i - 1].path, c->v[i].path) == 0 &&
		    !(c->v[i - 1].kind == CHANGE_DELETED &&
		      (c->v[i].kind == CHANGE_ADDED ||
		       c->v[i].kind == CHANGE_RENAMED)))
			return bad("one path is changed twice");
	return 0;
}

static int read_changes(struct changes *changes, const cJSON *list)
{
	const cJSON *one;

	if (!cJSON_IsArray(list))
		return bad("changes.json is no list of changes");
	changes->v = xcalloc((size_t)cJSON_GetArraySize(list) + 1,
			     sizeof(*changes->v));
	cJSON_ArrayForEach(one, list)
	{
		if (read_change(one, &changes->v[changes->n++]) < 0)
			return bad("an entry of changes.json is not one that "
				   "we write");
	}
	qsort(changes->v, changes->n, sizeof(*changes->v), compare);
	return check_twice(changes);
}

/* What no archive holds is in no list either; older ones do not count it. */
static int read_left_out(struct changes *changes, const cJSON *number)
{
	double n = number ? cJSON_GetNumberValue(number) : 0;

	if (!(n >= 0 && n <= UINT32_MAX))
		return bad("its left_out is no number");
	changes->left_out = (size_t)n;
	return 0;
}

static cJSON *read_tree(int archive_fd)
{
	struct json_fault fault;
	size_t len = 0;
	char *text = find_list(archive_fd, &len);
	cJSON *tree = text ? json_read(text, len, &fault) : NULL;

	if (text && tree == NULL)
		bad("changes.json is no list of changes");
	free(text);
	return tree;
}

int apply_read(struct apply *a)
{
	cJSON *tree = read_tree(a->archive_fd);
	int rc;

	if (tree == NULL)
		return fail_remedy("%s should be the archive of a run with "
				   "--project",
				   a->req->artifact);
	rc = read_changes(&a->changes,
			  cJSON_GetObjectItemCaseSensitive(tree, "changes"));
	if (rc == 0)
		rc = read_left_out(
		    &a->changes,
		    cJSON_GetObjectItemCaseSensitive(tree, "left_out"));
	cJSON_Delete(tree);
	return rc;
}
