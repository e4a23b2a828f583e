/* SPDX-License-Identifier: MIT */
#include "pax.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "err.h"
#include "text.h"
#include "util.h"

#define BLOCK  512
#define BUFFER (128 * 1024)

struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[8];
	char user[32];
	char group[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char rest[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

#define OCTAL_MAX 077777777777LL /* eleven digits */

struct records {
	char *text;
	size_t len;
};

/* --- the stream --------------------------------------------------------- */

static int flush(struct pax *pax)
{
	size_t len = pax->buffered;

	pax->buffered = 0;
	return pack_write(pax->pack, pax->buffer, len);
}

static int put(struct pax *pax, const char *data, size_t len)
{
	while (len > 0) {
		size_t room = BUFFER - pax->buffered;
		size_t part = len < room ? len : room;

		memcpy(pax->buffer + pax->buffered, data, part);
		pax->buffered += part;
		data += part;
		len -= part;
		if (pax->buffered == BUFFER && flush(pax) < 0)
			return -1;
	}
	return 0;
}

static int put_zeros(struct pax *pax, size_t len)
{
	static const char zeros[2 * BLOCK];

	return put(pax, zeros, len);
}

static size_t padding_of(uint64_t size)
{
	return (size_t)(-size % BLOCK);
}

/* --- a header ----------------------------------------------------------- */

/* What is too large has a record that says it better. */
static void set_octal(char *field, int digits, long long value)
{
	long long max = (1LL << (3 * digits)) - 1;
	char text[24];

	if (value < 0)
		value = 0;
	snprintf(text, sizeof(text), "%0*llo ", digits,
		 (unsigned long long)(value > max ? max : value));
	memcpy(field, text, (size_t)digits + 1);
}

static void set_checksum(struct header *h)
{
	const unsigned char *byte = (const unsigned char *)h;
	unsigned int sum = 0;

	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += byte[i];
	snprintf(h->checksum, 7, "%06o", sum);
}

static void set_text(char *field, size_t size, const char *text, size_t len)
{
	memcpy(field, text, len < size ? len : size);
}

/* What ustar has as the name, the rest as the prefix; NULL: neither fits. */
static const char *split(const char *path, size_t len)
{
	const size_t most = sizeof(((struct header *)0)->name);
	const char *slash;

	if (len <= most)
		return path;
	slash = memchr(path + len - most - 1, '/', most);
	if (slash == NULL ||
	    slash - path > (ptrdiff_t)sizeof(((struct header *)0)->prefix))
		return NULL;
	return slash + 1;
}

static int put_header(struct pax *pax, char type, const char *path,
		      const struct pax_member *m, uint64_t size)
{
	struct header h = { .type = type,
			    .magic = "ustar\0"
				     "00" };
	size_t len = strlen(path);
	const char *name = split(path, len);

	if (name == NULL)
		name = path;
	else if (name > path)
		set_text(h.prefix, sizeof(h.prefix), path,
			 (size_t)(name - path) - 1);
	set_text(h.name, sizeof(h.name), name, len - (size_t)(name - path));
	set_octal(h.mode, 6, m->mode & 0777);
	set_octal(h.uid, 6, 0);
	set_octal(h.gid, 6, 0);
	set_octal(h.size, 11, (long long)size);
	set_octal(h.mtime, 11, m->mtime);
	set_octal(h.major, 6, 0);
	set_octal(h.minor, 6, 0);
	if (type == '1' || type == '2') {
		const char *link = type == '1' ? m->hard_link : m->link;

		set_text(h.link, sizeof(h.link), link, strlen(link));
	}
	set_checksum(&h);
	if (put(pax, (const char *)&h, sizeof(h)) < 0)
		return -1;
	pax->left = size;
	pax->padding = padding_of(size);
	return 0;
}

/* --- the records of an extended header ---------------------------------- */

/* "LEN KEY=VALUE\n", where LEN counts itself. */
static void add_record(struct records *r, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3, len = rest, before;
	char digits[24];
	auto_free char *text = NULL;

	do {
		before = len;
		len = rest +
		      (size_t)snprintf(digits, sizeof(digits), "%zu", before);
	} while (len != before);
	text = xasprintf("%zu %s=%s\n", len, key, value);
	r->text = xrealloc_array(r->text, r->len + len + 1, 1);
	memcpy(r->text + r->len, text, len + 1);
	r->len += len;
}

static void add_number(struct records *r, const char *key, long long value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%lld", value);
	add_record(r, key, digits);
}

/* Does every reader give the name back as it was?  One that is not UTF-8 none
 * does, and accents that stand for themselves (what U+0300 begins) some join with
 * their letters: to a name that no file has. */
static bool is_kept(const char *s)
{
	size_t len = strlen(s);
	uint32_t cp = 0;

	for (size_t at = 0; at < len && cp < 0x300;)
		at += text_decode(s + at, len - at, &cp);
	return cp < 0x300;
}

static void add_records(struct records *r, const struct pax_member *m,
			const char *path, uint64_t size)
{
	const char *link = m->hard_link ? m->hard_link : m->link;
	bool long_link = link &&
			 strlen(link) > sizeof(((struct header *)0)->link);
	bool long_path = m->sparse || split(path, strlen(path)) == NULL;

	/* In a header names are bytes; here UTF-8, unless this says otherwise. */
	if ((long_path && !is_kept(path)) || (long_link && !is_kept(link)))
		add_record(r, "hdrcharset", "BINARY");
	if (m->sparse) {
		add_record(r, "GNU.sparse.major", "1");
		add_record(r, "GNU.sparse.minor", "0");
		add_record(r, "GNU.sparse.name", path);
		add_number(r, "GNU.sparse.realsize", m->size);
	} else if (long_path) {
		add_record(r, "path", path);
	}
	if (long_link)
		add_record(r, "linkpath", link);
	if (m->mtime < 0 || m->mtime > OCTAL_MAX)
		add_number(r, "mtime", m->mtime);
	if (size > OCTAL_MAX)
		add_number(r, "size", (long long)size);
}

/* For a reader that knows no pax, and makes files of what it does not know. */
static char *aside(const char *folder, const char *path)
{
	const char *slash = strrchr(path, '/');

	return xasprintf("%s/%.80s", folder,
			 slash && slash[1] ? slash + 1 : path);
}

static int put_extended(struct pax *pax, const struct pax_member *m,
			const char *path, uint64_t size)
{
	const struct pax_member x = { .mode = S_IFREG | 0644,
				      .mtime = m->mtime };
	struct records r = { NULL, 0 };
	int rc = 0;

	add_records(&r, m, path, size);
	if (r.len > 0) {
		auto_free char *name = aside("PaxHeader", m->path);

		rc = put_header(pax, 'x', name, &x, r.len);
		if (rc == 0)
			rc = pax_data(pax, r.text, r.len);
	}
	free(r.text);
	return rc;
}

/* --- holes -------------------------------------------------------------- */

/* GNU's format 1.0: before the bytes, where they belong.  The last segment ends
 * where the file does, and may be empty. */
static char *map_of(const struct pax_member *m, size_t *len, uint64_t *bytes)
{
	bool ends = m->n_segments > 0 &&
		    m->segments[m->n_segments - 1].end == m->size;
	char *map = NULL;
	FILE *out = open_memstream(&map, len);

	*bytes = 0;
	if (out == NULL) {
		fail(errno, "cannot set up the archive");
		return NULL;
	}
	fprintf(out, "%zu\n", m->n_segments + !ends);
	for (size_t i = 0; i < m->n_segments; i++) {
		const struct sparse_segment *s = &m->segments[i];

		fprintf(out, "%lld\n%lld\n", (long long)s->offset,
			(long long)(s->end - s->offset));
		*bytes += (uint64_t)(s->end - s->offset);
	}
	if (!ends)
		fprintf(out, "%lld\n0\n", (long long)m->size);
	if (fclose(out) == 0)
		return map;
	free(map);
	fail(ENOMEM, "cannot set up the archive");
	return NULL;
}

static int put_sparse(struct pax *pax, const struct pax_member *m)
{
	size_t len = 0;
	uint64_t bytes, size;
	auto_free char *map = map_of(m, &len, &bytes);
	auto_free char *name = aside("GNUSparseFile.0", m->path);

	if (map == NULL)
		return -1;
	size = len + padding_of(len) + bytes;
	if (put_extended(pax, m, m->path, size) < 0 ||
	    put_header(pax, '0', name, m, size) < 0 ||
	    pax_data(pax, map, len) < 0)
		return -1;
	pax->left -= padding_of(len);
	return put_zeros(pax, padding_of(len));
}

/* --- members ------------------------------------------------------------ */

static char type_of(const struct pax_member *m)
{
	if (m->hard_link)
		return '1';
	if (S_ISLNK(m->mode))
		return '2';
	return S_ISDIR(m->mode) ? '5' : '0';
}

int pax_member(struct pax *pax, const struct pax_member *m)
{
	char type = type_of(m);
	uint64_t size = type == '0' ? (uint64_t)m->size : 0;
	auto_free char *path = xasprintf("%s%s", m->path,
					 type == '5' ? "/" : "");

	if (m->sparse)
		return put_sparse(pax, m);
	if (put_extended(pax, m, path, size) < 0)
		return -1;
	return put_header(pax, type, path, m, size);
}

int pax_data(struct pax *pax, const void *data, size_t len)
{
	if (len > pax->left)
		return fail(0, "cannot archive more of a file than its size");
	if (put(pax, data, len) < 0)
		return -1;
	pax->left -= len;
	if (pax->left > 0)
		return 0;
	len = pax->padding;
	pax->padding = 0;
	return put_zeros(pax, len);
}

int pax_open(struct pax *pax, struct pack *pack)
{
	*pax = (struct pax){ .pack = pack, .buffer = malloc(BUFFER) };
	return pax->buffer ? 0 : fail(ENOMEM, "cannot set up the archive");
}

int pax_finish(struct pax *pax)
{
	if (put_zeros(pax, 2 * BLOCK) < 0)
		return -1;
	return flush(pax);
}

void pax_free(struct pax *pax)
{
	free(pax->buffer);
}
