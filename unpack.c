/* SPDX-License-Identifier: MIT */
#include "unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "err.h"
#include "lazy.h"
#include "util.h"

#define BUFFER      (128 * 1024)
/* As many as one archive of ours can have, and the records beside them. */
#define MEMBERS_MAX 10000000

/* Of libarchive the reader alone: it takes 2 ms to load, and few runs want it. */
static struct {
	__typeof__(archive_entry_filetype) *entry_filetype;
	__typeof__(archive_entry_hardlink) *entry_hardlink;
	__typeof__(archive_entry_pathname) *entry_pathname;
	__typeof__(archive_error_string) *error_string;
	__typeof__(archive_read_data_block) *read_data_block;
	__typeof__(archive_read_free) *read_free;
	__typeof__(archive_read_new) *read_new;
	__typeof__(archive_read_next_header) *read_next_header;
	__typeof__(archive_read_open) *read_open;
	__typeof__(archive_read_support_format_tar) *read_support_format_tar;
	__typeof__(archive_set_error) *set_error;
} la;

static const struct lazy_symbol la_symbols[] = {
	{ "archive_entry_filetype", &la.entry_filetype },
	{ "archive_entry_hardlink", &la.entry_hardlink },
	{ "archive_entry_pathname", &la.entry_pathname },
	{ "archive_error_string", &la.error_string },
	{ "archive_read_data_block", &la.read_data_block },
	{ "archive_read_free", &la.read_free },
	{ "archive_read_new", &la.read_new },
	{ "archive_read_next_header", &la.read_next_header },
	{ "archive_read_open", &la.read_open },
	{ "archive_read_support_format_tar", &la.read_support_format_tar },
	{ "archive_set_error", &la.set_error },
};

/* What 10 MB of zeros packed can come to is 300 GB: hours of reading.  Text of
 * any kind stays below a hundredth of this, and files with holes are stored
 * without them. */
#define RATIO_MAX  1000
#define RATIO_FREE (256ULL * 1024 * 1024)

static struct {
	__typeof__(ZSTD_createDCtx) *createDCtx;
	__typeof__(ZSTD_decompressStream) *decompressStream;
	__typeof__(ZSTD_freeDCtx) *freeDCtx;
	__typeof__(ZSTD_isError) *isError;
} zstd;

static const struct lazy_symbol zstd_symbols[] = {
	{ "ZSTD_createDCtx", &zstd.createDCtx },
	{ "ZSTD_decompressStream", &zstd.decompressStream },
	{ "ZSTD_freeDCtx", &zstd.freeDCtx },
	{ "ZSTD_isError", &zstd.isError },
};

static struct {
	__typeof__(inflate) *inflate;
	__typeof__(inflateEnd) *inflateEnd;
	__typeof__(inflateInit2_) *inflateInit2_;
} zlib;

static const struct lazy_symbol zlib_symbols[] = {
	{ "inflate", &zlib.inflate },
	{ "inflateEnd", &zlib.inflateEnd },
	{ "inflateInit2_", &zlib.inflateInit2_ },
};

struct unpack {
	int fd;
	struct archive *in;
	struct unpack_member member;
	ZSTD_DCtx *zstd;
	z_stream *gzip;
	size_t members;
	size_t pos, len;     /* of what is read and not decompressed */
	uint64_t read, came; /* from the file; out of it */
	const char *gave_up; /* why it came to an early end */
	unsigned char raw[BUFFER], out[BUFFER];
};

/* False at the end of the file; -1 with errno. */
static int fill(struct unpack *u)
{
	ssize_t n;

	if (u->pos < u->len)
		return 1;
	do
		n = read(u->fd, u->raw, sizeof(u->raw));
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return (int)n;
	u->pos = 0;
	u->len = (size_t)n;
	u->read += (uint64_t)n;
	return 1;
}

static la_ssize_t give_up(struct unpack *u, const char *what)
{
	u->gave_up = what;
	la.set_error(u->in, EINVAL, "%s", what);
	return -1;
}

static la_ssize_t get_plain(struct unpack *u, const void **data)
{
	int more = fill(u);

	if (more <= 0)
		return more < 0 ? give_up(u, strerror(errno)) : 0;
	*data = u->raw;
	u->pos = u->len;
	return (la_ssize_t)u->len;
}

static la_ssize_t get_zstd(struct unpack *u, const void **data)
{
	ZSTD_outBuffer out = { u->out, sizeof(u->out), 0 };
	int more = 1;

	/* Output may wait in the decoder when its input is at an end. */
	while (out.pos == 0 && more > 0) {
		ZSTD_inBuffer in;

		more = fill(u);
		if (more < 0)
			return give_up(u, strerror(errno));
		in = (ZSTD_inBuffer){ u->raw, u->len, u->pos };
		if (zstd.isError(zstd.decompressStream(u->zstd, &out, &in)))
			return give_up(u, "damaged zstd data");
		u->pos = in.pos;
	}
	*data = u->out;
	return (la_ssize_t)out.pos;
}

static la_ssize_t get_gzip(struct unpack *u, const void **data)
{
	z_stream *z = u->gzip;
	int more = 1;

	z->next_out = u->out;
	z->avail_out = sizeof(u->out);
	while (z->avail_out == sizeof(u->out) && more > 0) {
		int rc;

		more = fill(u);
		if (more < 0)
			return give_up(u, strerror(errno));
		z->next_in = u->raw + u->pos;
		z->avail_in = (unsigned int)(u->len - u->pos);
		rc = zlib.inflate(z, Z_NO_FLUSH);
		u->pos = u->len - z->avail_in;
		if (rc == Z_STREAM_END)
			break;
		if (rc != Z_OK && rc != Z_BUF_ERROR)
			return give_up(u, "damaged gzip data");
	}
	*data = u->out;
	return (la_ssize_t)(sizeof(u->out) - z->avail_out);
}

static la_ssize_t get_any(struct unpack *u, const void **data)
{
	if (u->zstd)
		return get_zstd(u, data);
	return u->gzip ? get_gzip(u, data) : get_plain(u, data);
}

static la_ssize_t get(struct archive *a, void *arg, const void **data)
{
	struct unpack *u = arg;
	la_ssize_t n = get_any(u, data);

	(void)a;
	if (n > 0)
		u->came += (uint64_t)n;
	if (u->came > RATIO_FREE + RATIO_MAX * u->read)
		return give_up(u, "it comes to more than a thousand times its "
				  "size (a decompression bomb?)");
	return n;
}

static int open_compression(struct unpack *u)
{
	if (u->len >= 4 && memcmp(u->raw, "\x28\xb5\x2f\xfd", 4) == 0) {
		if (lazy_load("libzstd.so.1", zstd_symbols,
			      ARRAY_SIZE(zstd_symbols)) < 0)
			return -1;
		u->zstd = zstd.createDCtx();
		return u->zstd ? 0 : fail(ENOMEM, "cannot set up zstd");
	}
	if (u->len >= 2 && memcmp(u->raw, "\x1f\x8b", 2) == 0) {
		if (lazy_load("libz.so.1", zlib_symbols,
			      ARRAY_SIZE(zlib_symbols)) < 0)
			return -1;
		u->gzip = xcalloc(1, sizeof(*u->gzip));
		if (zlib.inflateInit2_(u->gzip, 15 + 16, ZLIB_VERSION,
				       sizeof(*u->gzip)) != Z_OK)
			return fail(ENOMEM, "cannot set up gzip");
	}
	return 0;
}

int unpack_load(void)
{
	return lazy_load("libarchive.so.13", la_symbols,
			 ARRAY_SIZE(la_symbols));
}

struct unpack *unpack_open(int fd)
{
	struct unpack *u = xcalloc(1, sizeof(*u));

	u->fd = fd;
	/* Names are UTF-8 or bytes: in "C" the reader would refuse some. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	if (lseek(fd, 0, SEEK_SET) < 0 || fill(u) < 0) {
		fail(errno, "cannot read the archive");
	} else if (open_compression(u) == 0) {
		u->in = la.read_new();
		if (u->in && la.read_support_format_tar(u->in) == ARCHIVE_OK &&
		    la.read_open(u->in, u, NULL, get, NULL) == ARCHIVE_OK)
			return u;
		fail(0, "cannot read the archive: %s",
		     u->in ? la.error_string(u->in) : "no memory");
	}
	unpack_free(u);
	return NULL;
}

/* The reader may tell of what came of it instead. */
static const char *why(struct unpack *u)
{
	return u->gave_up ? u->gave_up : la.error_string(u->in);
}

int unpack_next(struct unpack *u, const struct unpack_member **member)
{
	struct archive_entry *entry;
	int rc = la.read_next_header(u->in, &entry);

	if (rc == ARCHIVE_EOF)
		return 0;
	/* What the reader only warns of is no archive of ours either. */
	if (rc != ARCHIVE_OK)
		return fail(0, "cannot read the archive: %s", why(u));
	if (++u->members > MEMBERS_MAX)
		return fail(0, "cannot read the archive: too many members");
	u->member = (struct unpack_member){
		.path = la.entry_pathname(entry),
		.hard_link = la.entry_hardlink(entry),
		.is_file = la.entry_filetype(entry) == AE_IFREG
	};
	*member = &u->member;
	return 1;
}

int unpack_data(struct unpack *u, const void **data, size_t *len, off_t *at)
{
	la_int64_t offset;
	int rc = la.read_data_block(u->in, data, len, &offset);

	*at = offset;
	if (rc == ARCHIVE_EOF)
		return 0;
	return rc == ARCHIVE_OK
		   ? 1
		   : fail(0, "cannot read the archive: %s", why(u));
}

void unpack_free(struct unpack *u)
{
	if (u == NULL)
		return;
	if (u->in)
		la.read_free(u->in);
	if (u->zstd)
		zstd.freeDCtx(u->zstd);
	if (u->gzip) {
		zlib.inflateEnd(u->gzip);
		free(u->gzip);
	}
	free(u);
}
