/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The archive of a run: work/..., run.json, events.jsonl, stdout.log,
 * stderr.log, as a pax tar, sorted, streaming, safe against any tree the payload
 * can have left.
 */

#include "sha256.h"
#include "workdir.h"

enum artifact_compression { ARTIFACT_ZSTD, ARTIFACT_GZIP, ARTIFACT_NONE };

/* What a tree may come to; 0: as much as any may. */
struct artifact_limits {
	uint64_t files; /* names of all kinds */
	uint64_t bytes; /* of files, holes counted as an unpacker may */
};

struct artifact_request {
	const char *path; /* absolute; its folder is made (0700) if missing */
	enum artifact_compression compression;
	const char *run_json; /* member run.json; NULL: the run had no end */
	struct artifact_limits limits;
	bool progress; /* told on stderr, a terminal, if it takes long */
	bool layer;    /* the workdir is an upper layer, with whiteouts */
};

struct artifact {
	char *path; /* owned; NULL: none was written */
	char sha256[SHA256_HEX];
	uint64_t bytes; /* of the archive */
	uint64_t files; /* members below work/, directories not counted */
	/* Named in the member skipped.txt: */
	uint64_t skipped;  /* sockets, devices */
	uint64_t left_out; /* what no archive could hold; see tarball.h */
};

/* By suffix: .tar.zst .tzst, .tar.gz .tgz, .tar; -1 for another one. */
int artifact_compression_of(const char *path, enum artifact_compression *out);

/*
 * Would artifact_write find the place?  Opens it as that does, before all the
 * work, and leaves no more than the folder; by fail().
 */
int artifact_check(const char *path, const char *tag);
/*
 * Writes the archive under a temporary name, fsyncs it and its folder, renames.
 * Runs in a child process that has the uid of the workdir's owner, so that
 * nothing the payload left is parsed with more rights than it had; the tree's
 * own modes are recorded before any chmod that reading needs.
 * 0, or -1 by fail(): then no file has the final name (or the old one still
 * has it) and the workdir is whole.
 */
int artifact_write(const struct workdir *wd, const struct artifact_request *req,
		   struct artifact *out);
/* Removes what a writer for this path left half done when it was killed. */
void artifact_tidy(const char *path, const char *tag);
void artifact_free(struct artifact *artifact);
