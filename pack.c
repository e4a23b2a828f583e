/* SPDX-License-Identifier: MIT */
#include "pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "err.h"
#include "lazy.h"
#include "util.h"

#define OUT_SIZE   (128 * 1024)
#define ZSTD_LEVEL 3
#define GZIP_LEVEL 6

/*
 * Threads are worth their start and their memory only for much data, and one
 * frame cannot change its mind.  So this much is held back: a stream that ends
 * before is compressed at one go, with tables of its own size (0.1 ms for a
 * small one, where an unknown length costs 1 ms), a longer one by threads.
 */
#define HOLD (2 * 1024 * 1024)

/* Of a run that made no files: zstd would clear tables of 96 KiB, 24 pages, for
 * so little.  With a third of that it is no larger. */
#define SMALL     8192
#define SMALL_LOG 12

/* The job's size and what it sees of the one before make the bytes, the number
 * of threads only the time: any number from 1 gives the same.  Half a window
 * makes sources 8 % smaller and takes a tenth more of the processors; with three
 * threads the whole stays below 32 MiB. */
#define JOB_SIZE    (2 * 1024 * 1024)
#define JOB_OVERLAP 7 /* a quarter of a window */
#define THREADS_MAX 3

/* Of the libraries, those that the compression asked for needs are loaded. */
static struct {
	__typeof__(ZSTD_CCtx_setParameter) *CCtx_setParameter;
	__typeof__(ZSTD_compressStream2) *compressStream2;
	__typeof__(ZSTD_createCCtx) *createCCtx;
	__typeof__(ZSTD_freeCCtx) *freeCCtx;
	__typeof__(ZSTD_getErrorName) *getErrorName;
	__typeof__(ZSTD_isError) *isError;
} zstd;

static const struct lazy_symbol zstd_symbols[] = {
	{ "ZSTD_CCtx_setParameter", &zstd.CCtx_setParameter },
	{ "ZSTD_compressStream2", &zstd.compressStream2 },
	{ "ZSTD_createCCtx", &zstd.createCCtx },
	{ "ZSTD_freeCCtx", &zstd.freeCCtx },
	{ "ZSTD_getErrorName", &zstd.getErrorName },
	{ "ZSTD_isError", &zstd.isError },
};

static struct {
	__typeof__(deflate) *deflate;
	__typeof__(deflateEnd) *deflateEnd;
	__typeof__(deflateInit2_) *deflateInit2_;
} zlib;

static const struct lazy_symbol zlib_symbols[] = {
	{ "deflate", &zlib.deflate },
	{ "deflateEnd", &zlib.deflateEnd },
	{ "deflateInit2_", &zlib.deflateInit2_ },
};

struct pack_zstd {
	ZSTD_CCtx *ctx;
	char *held; /* NULL: the stream is on its way */
	size_t len;
	char out[OUT_SIZE];
};

struct pack_gzip {
	z_stream stream;
	unsigned char out[OUT_SIZE];
};

/* Sent to the disk while the processor is busy, so that the fsync at the end
 * of a large archive has little left to wait for. */
#define FLUSH_SIZE (8 * 1024 * 1024)

static int emit(struct pack *pack, const void *data, size_t len)
{
	uint64_t before = pack->bytes / FLUSH_SIZE;

	sha256_update(&pack->sha, data, len);
	pack->bytes += len;
	if (write_all(pack->fd, data, len) < 0)
		return fail(errno, "cannot write the archive %s", pack->path);
	if (pack->bytes / FLUSH_SIZE != before)
		(void)sync_file_range(pack->fd, (off_t)(before * FLUSH_SIZE),
				      FLUSH_SIZE, SYNC_FILE_RANGE_WRITE);
	return 0;
}

/* --- zstd --------------------------------------------------------------- */

static int set_zstd(ZSTD_CCtx *ctx, ZSTD_cParameter parameter, int value)
{
	size_t rc = zstd.CCtx_setParameter(ctx, parameter, value);

	if (zstd.isError(rc))
		return fail(0, "cannot set up zstd: %s", zstd.getErrorName(rc));
	return 0;
}

static int open_zstd(struct pack *pack)
{
	struct pack_zstd *z;

	if (lazy_load("libzstd.so.1", zstd_symbols, ARRAY_SIZE(zstd_symbols)) <
	    0)
		return -1;
	/* What it holds is not cleared: a small archive touches little of it. */
	z = pack->zstd = xrealloc_array(NULL, 1, sizeof(*z));
	z->ctx = zstd.createCCtx();
	z->held = malloc(HOLD);
	z->len = 0;
	if (z->ctx == NULL || z->held == NULL)
		return fail(ENOMEM, "cannot set up zstd");
	if (set_zstd(z->ctx, ZSTD_c_compressionLevel, ZSTD_LEVEL) < 0)
		return -1;
	return set_zstd(z->ctx, ZSTD_c_checksumFlag, 1);
}

static int run_zstd(struct pack *pack, const void *data, size_t len,
		    ZSTD_EndDirective end)
{
	struct pack_zstd *z = pack->zstd;
	ZSTD_inBuffer in = { data, len, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { z->out, sizeof(z->out), 0 };

		left = zstd.compressStream2(z->ctx, &out, &in, end);
		if (zstd.isError(left))
			return fail(0, "cannot compress the archive: %s",
				    zstd.getErrorName(left));
		if (out.pos && emit(pack, z->out, out.pos) < 0)
			return -1;
	} while (in.pos < in.size || (end == ZSTD_e_end && left > 0));
	return 0;
}

static int start_threads(struct pack *pack)
{
	struct pack_zstd *z = pack->zstd;
	/* One over, so that a job waits for each processor while we read, hash
	 * and write. */
	long wanted = sysconf(_SC_NPROCESSORS_ONLN) + 1;
	int threads = wanted < 1             ? 1
		      : wanted > THREADS_MAX ? THREADS_MAX
					     : (int)wanted;
	int rc;

	/* A libzstd without threads refuses, and goes on without them. */
	if (!zstd.isError(
		zstd.CCtx_setParameter(z->ctx, ZSTD_c_nbWorkers, threads)) &&
	    (set_zstd(z->ctx, ZSTD_c_jobSize, JOB_SIZE) < 0 ||
	     set_zstd(z->ctx, ZSTD_c_overlapLog, JOB_OVERLAP) < 0))
		return -1;
	rc = run_zstd(pack, z->held, z->len, ZSTD_e_continue);
	free(take_ptr(&z->held));
	return rc;
}

static int write_zstd(struct pack *pack, const void *data, size_t len)
{
	struct pack_zstd *z = pack->zstd;

	if (z->held && len <= HOLD - z->len) {
		memcpy(z->held + z->len, data, len);
		z->len += len;
		return 0;
	}
	if (z->held && start_threads(pack) < 0)
		return -1;
	return run_zstd(pack, data, len, ZSTD_e_continue);
}

static int finish_zstd(struct pack *pack)
{
	struct pack_zstd *z = pack->zstd;

	if (z->held && z->len <= SMALL &&
	    (set_zstd(z->ctx, ZSTD_c_hashLog, SMALL_LOG) < 0 ||
	     set_zstd(z->ctx, ZSTD_c_chainLog, SMALL_LOG) < 0))
		return -1;
	return run_zstd(pack, z->held, z->held ? z->len : 0, ZSTD_e_end);
}

static void free_zstd(struct pack *pack)
{
	if (pack->zstd == NULL)
		return;
	zstd.freeCCtx(pack->zstd->ctx);
	free(pack->zstd->held);
	free(pack->zstd);
	pack->zstd = NULL;
}

/* --- gzip --------------------------------------------------------------- */

static int open_gzip(struct pack *pack)
{
	if (lazy_load("libz.so.1", zlib_symbols, ARRAY_SIZE(zlib_symbols)) < 0)
		return -1;
	pack->gzip = xcalloc(1, sizeof(*pack->gzip));
	/* 16: a gzip header, in which zlib puts neither name nor time. */
	if (zlib.deflateInit2_(&pack->gzip->stream, GZIP_LEVEL, Z_DEFLATED,
			       15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
			       (int)sizeof(z_stream)) != Z_OK)
		return fail(ENOMEM, "cannot set up gzip");
	return 0;
}

static int run_gzip(struct pack *pack, const void *data, size_t len, int flush)
{
	struct pack_gzip *g = pack->gzip;
	int rc;

	/* zlib takes no const, and leaves the data alone. */
	g->stream.next_in = (unsigned char *)(uintptr_t)data;
	g->stream.avail_in = (unsigned int)len;
	do {
		size_t have;

		g->stream.next_out = g->out;
		g->stream.avail_out = sizeof(g->out);
		rc = zlib.deflate(&g->stream, flush);
		if (rc == Z_STREAM_ERROR)
			return fail(0, "cannot compress the archive");
		have = sizeof(g->out) - g->stream.avail_out;
		if (have && emit(pack, g->out, have) < 0)
			return -1;
	} while (g->stream.avail_in > 0 ||
		 (flush == Z_FINISH && rc != Z_STREAM_END));
	return 0;
}

static int write_gzip(struct pack *pack, const void *data, size_t len)
{
	return run_gzip(pack, data, len, Z_NO_FLUSH);
}

static int finish_gzip(struct pack *pack)
{
	return run_gzip(pack, NULL, 0, Z_FINISH);
}

static void free_gzip(struct pack *pack)
{
	if (pack->gzip == NULL)
		return;
	(void)zlib.deflateEnd(&pack->gzip->stream);
	free(pack->gzip);
	pack->gzip = NULL;
}

/* --- none --------------------------------------------------------------- */

static int nothing(struct pack *pack)
{
	(void)pack;
	return 0;
}

static const struct {
	int (*open)(struct pack *pack);
	int (*write)(struct pack *pack, const void *data, size_t len);
	int (*finish)(struct pack *pack);
} codecs[] = {
	[ARTIFACT_ZSTD] = { open_zstd, write_zstd, finish_zstd },
	[ARTIFACT_GZIP] = { open_gzip, write_gzip, finish_gzip },
	[ARTIFACT_NONE] = { nothing, emit, nothing },
};

int pack_open(struct pack *pack, enum artifact_compression compression, int fd,
	      const char *path)
{
	*pack =
	    (struct pack){ .compression = compression, .fd = fd, .path = path };
	sha256_init(&pack->sha);
	return codecs[compression].open(pack);
}

int pack_write(struct pack *pack, const void *data, size_t len)
{
	return codecs[pack->compression].write(pack, data, len);
}

int pack_finish(struct pack *pack)
{
	return codecs[pack->compression].finish(pack);
}

void pack_free(struct pack *pack)
{
	free_zstd(pack);
	free_gzip(pack);
}
