/* SPDX-License-Identifier: MIT */
#include "patch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "lazy.h"
#include "sha1.h"
#include "textdiff.h"
#include "walk.h"

/* Beyond these, a text is given as bytes, and bytes are not given at all. */
#define TEXT_MAX   (4 << 20)
#define BINARY_MAX (64 << 20)
#define TOTAL_MAX  (512L << 20)
#define CHUNK      (1 << 16)

/* One side of a change, and where its bytes are. */
struct source {
	int root_fd;
	const char *path;
	const struct change_side *side;
	bool unlock; /* the payload's, which may have closed it */
};

/* --- names and modes ---------------------------------------------------- */

/* A space before a slash: there git's reader gives up on a header. */
static bool needs_quotes(const char *name)
{
	for (; *name; name++)
		if ((unsigned char)*name < ' ' || (unsigned char)*name > '~' ||
		    *name == '"' || *name == '\\' ||
		    (name[0] == ' ' && name[1] == '/'))
			return true;
	return false;
}

static void put_name(FILE *out, const char *prefix, const char *name)
{
	if (!needs_quotes(name)) {
		fprintf(out, "%s%s", prefix, name);
		return;
	}
	fprintf(out, "\"%s", prefix);
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ' || c > '~')
			fprintf(out, "\\%03o", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

/* git knows two modes of files. */
static unsigned int git_mode(const struct change_side *s)
{
	if (S_ISLNK(s->mode))
		return 0120000;
	return s->mode & 0100 ? 0100755 : 0100644;
}

/* --- bytes -------------------------------------------------------------- */

/* Each folder on the way is open as long as that takes. */
static int open_closed(int dir, const char *path)
{
	const char *slash = strchr(path, '/');
	auto_free char *name = NULL;
	auto_fd int below = -1;
	struct stat st;
	int fd;

	if (slash == NULL)
		return walk_open_file(dir, path, true, &st);
	name = xstrndup(path, (size_t)(slash - path));
	below = walk_open_dir(dir, name, true, &st);
	if (below < 0)
		return -1;
	fd = open_closed(below, slash + 1);
	walk_lock_dir(below, &st);
	return fd;
}

static int open_source(const struct source *s)
{
	int fd = walk_open_below(s->root_fd, s->path, O_RDONLY | O_NONBLOCK);

	return fd < 0 && errno == EACCES && s->unlock
		   ? open_closed(s->root_fd, s->path)
		   : fd;
}

/* Calls `take` for all of it; the whole length, or -1. */
static off_t feed(const struct source *s,
		  void (*take)(void *arg, const void *data, size_t len),
		  void *arg)
{
	auto_free char *buf = NULL;
	auto_fd int fd = -1;
	off_t total = 0;
	ssize_t n = 0;

	if (s->side->target) {
		take(arg, s->side->target, strlen(s->side->target));
		return (off_t)strlen(s->side->target);
	}
	fd = open_source(s);
	buf = xcalloc(1, CHUNK);
	while (fd >= 0 && (n = read(fd, buf, CHUNK)) > 0) {
		take(arg, buf, (size_t)n);
		total += n;
	}
	return fd < 0 || n < 0 ? -1 : total;
}

static void take_hash(void *ctx, const void *data, size_t len)
{
	sha1_update(ctx, data, len);
}

/* The name that git gives to a content; of nothing, zeros. */
static int blob_name(const struct source *s, char hex[static SHA1_HEX])
{
	auto_free char *head = xasprintf("blob %lld", (long long)s->side->size);
	struct sha1 sha;

	if (s->side->mode == 0) {
		memset(hex, '0', SHA1_HEX - 1);
		hex[SHA1_HEX - 1] = '\0';
		return 0;
	}
	sha1_init(&sha);
	sha1_update(&sha, head, strlen(head) + 1);
	if (feed(s, take_hash, &sha) != s->side->size)
		return -1;
	sha1_hex(&sha, hex);
	return 0;
}

struct bytes {
	char *data;
	size_t len;
};

static void take_bytes(void *arg, const void *data, size_t len)
{
	struct bytes *b = arg;

	/* It was this long when it was looked at. */
	if (b->len + len > TEXT_MAX)
		len = TEXT_MAX - b->len;
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

/* A text of moderate length, or false. */
static bool load_text(const struct source *s, struct bytes *b)
{
	*b = (struct bytes){ xcalloc(1, TEXT_MAX + 1), 0 };
	if (s->side->mode == 0)
		return true;
	if (s->side->size > TEXT_MAX || feed(s, take_bytes, b) != s->side->size)
		return false;
	return memchr(b->data, '\0', b->len) == NULL;
}

/* --- a binary file ------------------------------------------------------ */

static struct {
	__typeof__(deflate) *deflate;
	__typeof__(deflateEnd) *deflateEnd;
	__typeof__(deflateInit_) *deflateInit_;
} zlib;

static const struct lazy_symbol zlib_symbols[] = {
	{ "deflate", &zlib.deflate },
	{ "deflateEnd", &zlib.deflateEnd },
	{ "deflateInit_", &zlib.deflateInit_ },
};

/* git's: lines of at most 52 bytes, their length in one letter, and five digits
 * of 85 for each four. */
struct encoder {
	FILE *out;
	z_stream stream;
	unsigned char line[52];
	size_t len;
};

static void put_line(struct encoder *e)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz"
				     "!#$%&()*+-;<=>?@^_`{|}~";

	if (e->len == 0)
		return;
	fputc((int)(e->len <= 26 ? 'A' + e->len - 1 : 'a' + e->len - 27),
	      e->out);
	memset(e->line + e->len, 0, sizeof(e->line) - e->len);
	for (size_t i = 0; i < e->len; i += 4) {
		const unsigned char *p = e->line + i;
		uint32_t word = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
				(uint32_t)p[2] << 8 | p[3];
		char five[5];

		for (int k = 4; k >= 0; k--, word /= 85)
			five[k] = digits[word % 85];
		fwrite(five, 1, sizeof(five), e->out);
	}
	fputc('\n', e->out);
	e->len = 0;
}

static void encode(struct encoder *e, const void *data, size_t len, int flush)
{
	unsigned char out[4096];
	int rc;

	/* zlib takes no const, and leaves the data alone. */
	e->stream.next_in = (unsigned char *)(uintptr_t)data;
	e->stream.avail_in = (unsigned int)len;
	do {
		e->stream.next_out = out;
		e->stream.avail_out = sizeof(out);
		rc = zlib.deflate(&e->stream, flush);
		for (size_t i = 0; i < sizeof(out) - e->stream.avail_out; i++) {
			e->line[e->len++] = out[i];
			if (e->len == sizeof(e->line))
				put_line(e);
		}
	} while (e->stream.avail_out == 0 || (flush == Z_FINISH && rc == Z_OK));
}

static void take_encode(void *e, const void *data, size_t len)
{
	encode(e, data, len, Z_NO_FLUSH);
}

static void put_binary(const struct source *new, FILE *out)
{
	struct encoder e = { .out = out };

	fprintf(out, "GIT binary patch\nliteral %lld\n",
		(long long)new->side->size);
	if (zlib.deflateInit_(&e.stream, Z_DEFAULT_COMPRESSION, ZLIB_VERSION,
			      (int)sizeof(e.stream)) != Z_OK)
		abort(); /* out of memory, as in util.h */
	if (new->side->mode)
		(void)feed(new, take_encode, &e);
	encode(&e, NULL, 0, Z_FINISH);
	put_line(&e);
	(void)zlib.deflateEnd(&e.stream);
	fputc('\n', out);
}

/* --- one change --------------------------------------------------------- */

static void put_header(FILE *out, const struct source *old,
		       const struct source *new)
{
	fputs("diff --git ", out);
	put_name(out, "a/", old->path);
	fputc(' ', out);
	put_name(out, "b/", new->path);
	fputc('\n', out);
	if (old->side->mode == 0)
		fprintf(out, "new file mode %06o\n", git_mode(new->side));
	else if (new->side->mode == 0)
		fprintf(out, "deleted file mode %06o\n", git_mode(old->side));
	else if (git_mode(old->side) != git_mode(new->side))
		fprintf(out, "old mode %06o\nnew mode %06o\n",
			git_mode(old->side), git_mode(new->side));
}

/* A tab ends a name that has spaces. */
static void put_file_line(FILE *out, const char *mark, const char *prefix,
			  const struct source *s)
{
	fprintf(out, "%s ", mark);
	if (s->side->mode)
		put_name(out, prefix, s->path);
	else
		fputs("/dev/null", out);
	fputs(s->side->mode && strchr(s->path, ' ') ? "\t\n" : "\n", out);
}

static bool put_contents(FILE *out, const struct source *old,
			 const struct source *new)
{
	struct bytes a, b = { 0 };
	bool text = load_text(old, &a) && load_text(new, &b);
	char from[SHA1_HEX], to[SHA1_HEX];
	bool done = true;

	if (text && a.len + b.len > 0) {
		put_header(out, old, new);
		put_file_line(out, "---", "a/", old);
		put_file_line(out, "+++", "b/", new);
		textdiff_print(out, a.data, a.len, b.data, b.len);
	} else if (text) {
		put_header(out, old, new);
	} else if (new->side->size <= BINARY_MAX &&
		   lazy_load("libz.so.1", zlib_symbols,
			     ARRAY_SIZE(zlib_symbols)) == 0 &&
		   blob_name(old, from) == 0 && blob_name(new, to) == 0) {
		put_header(out, old, new);
		fprintf(out, "index %s..%s", from, to);
		if (old->side->mode && new->side->mode &&
		    git_mode(old->side) == git_mode(new->side))
			fprintf(out, " %06o", git_mode(new->side));
		fputc('\n', out);
		put_binary(new, out);
	} else {
		done = false;
	}
	free(a.data);
	free(b.data);
	return done;
}

static const struct change_side nothing;

/* False: it was too large. */
static bool put_change(const struct change *c, int work_fd, int lower_fd,
		       FILE *out)
{
	const struct source old = { lower_fd, c->from ? c->from : c->path,
				    &c->old, false };
	const struct source new = { work_fd, c->path, &c->new, true };
	const struct source no_old = { lower_fd, old.path, &nothing, false };
	const struct source no_new = { work_fd, new.path, &nothing, false };

	if (c->kind == CHANGE_RENAMED) {
		put_header(out, &old, &new);
		fputs("similarity index 100%\nrename from ", out);
		put_name(out, "", c->from);
		fputs("\nrename to ", out);
		put_name(out, "", c->path);
		fputc('\n', out);
		return true;
	}
	/* A file that became a link, or the reverse, is another one: but one
	 * that cannot come does not go. */
	if (c->kind == CHANGE_MODIFIED &&
	    S_ISLNK(c->old.mode) != S_ISLNK(c->new.mode))
		return c->new.size <=
			   BINARY_MAX &&put_contents(out, &old, &no_new) &&
		       put_contents(out, &no_old, &new);
	if (c->kind == CHANGE_MODIFIED &&
	    c->old.size == c->new.size &&strcmp(c->old.sha256, c->new.sha256) ==
		0) {
		/* The mode, which is not always one of git's two. */
		if (git_mode(&c->old) != git_mode(&c->new))
			put_header(out, &old, &new);
		return true;
	}
	return put_contents(out, &old, &new);
}

static bool in_git(const char *path)
{
	while (strncasecmp(path, ".git", 4) != 0 ||
	       (path[4] != '/' && path[4] != '\0')) {
		path = strchr(path, '/');
		if (path == NULL)
			return false;
		path++;
	}
	return true;
}

/* It, or a folder that it is in. */
static bool is_hidden(const struct strv *hidden, const char *path)
{
	auto_free char *part = xstrdup(path);
	char *slash;

	while (!strv_search(hidden, part)) {
		slash = strrchr(part, '/');
		if (slash == NULL)
			return false;
		*slash = '\0';
	}
	return true;
}

size_t patch_print(const struct changes *changes,
		   const struct changes_request *of, FILE *out)
{
	size_t left_out = 0;

	/* What goes makes room for what comes: a file for a folder. */
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < changes->n; i++) {
			const struct change *c = &changes->v[i];

			if ((c->kind == CHANGE_DELETED) != (pass == 0) ||
			    S_ISDIR(c->old.mode | c->new.mode) ||
			    in_git(c->path) || (c->from && in_git(c->from)))
				continue;
			if (ftell(out) > TOTAL_MAX ||
			    is_hidden(of->hidden, c->path) ||
			    !put_change(c, of->work_fd, of->lower_fd, out))
				left_out++;
		}
	return left_out;
}
