/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "apply_work.h"
#include "err.h"
#include "text.h"
#include "unpack.h"

/*
 * Everything is written before anything is renamed, into a folder of the
 * project itself, so that a rename suffices.  A file's bytes count by their
 * hash in changes.json, whatever members the archive has.
 */

struct wanted {
	const char *member;
	size_t number;
};

static int fail_at(const char *path, int err, const char *what)
{
	auto_free char *shown = text_visible(path, true);

	return fail(err, "%s %s", what, shown);
}

bool apply_has_bytes(const struct change *c)
{
	return S_ISREG(c->new.mode);
}

mode_t apply_mode(const struct apply *a, const struct change *c)
{
	const struct apply_item *item = &a->items[c - a->changes.v];
	const struct stat *was = c->from ? &item->from_was : &item->was;
	/* A link's mode is no permission that anybody has. */
	mode_t had = S_ISLNK(was->st_mode) ? 0 : was->st_mode;

	return c->new.mode & 0777 & (~a->umask | had);
}

static int compare_wanted(const void *x, const void *y)
{
	const struct wanted *a = x, *b = y;

	return strcmp(a->member, b->member);
}

/* The first that wants this member, or NULL. */
static const struct wanted *find(const struct wanted *v, size_t n,
				 const char *member)
{
	const struct wanted key = { .member = member };
	const struct wanted *w = n && member ? bsearch(&key, v, n, sizeof(*v),
						       compare_wanted)
					     : NULL;

	while (w && w > v && strcmp(w[-1].member, member) == 0)
		w--;
	return w;
}

/* --- one file ----------------------------------------------------------- */

static void hash_zeros(struct sha256 *sha, off_t n)
{
	static const char zeros[512];

	for (; n > 0; n -= (off_t)sizeof(zeros))
		sha256_update(sha, zeros,
			      n < (off_t)sizeof(zeros) ? (size_t)n
						       : sizeof(zeros));
}

static int make(const struct apply *a, size_t number)
{
	char name[32];

	snprintf(name, sizeof(name), "n%zu", number);
	return openat(a->stage_fd, name,
		      O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static int write_at(int fd, const char *data, size_t len, off_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_member(const struct apply *a, struct unpack *u,
			const struct change *c, int fd)
{
	struct sha256 sha;
	char hex[SHA256_HEX];
	const void *data;
	off_t pos = 0, at;
	size_t len;
	int more;

	sha256_init(&sha);
	while ((more = unpack_data(u, &data, &len, &at)) == 1) {
		if (at < pos || at > c->new.size ||
		    len > (size_t)(c->new.size - at))
			return fail_at(c->path, 0,
				       "the archive's bytes are "
				       "not those listed for");
		hash_zeros(&sha, at - pos);
		sha256_update(&sha, data, len);
		if (write_at(fd, data, len, at) < 0)
			return fail_at(c->path, errno, "cannot write");
		pos = at + (off_t)len;
	}
	if (more < 0)
		return -1;
	hash_zeros(&sha, c->new.size - pos);
	sha256_hex(&sha, hex);
	if (strcmp(hex, c->new.sha256) != 0)
		return fail_at(c->path, 0,
			       "the archive's bytes are not those listed for");
	if (ftruncate(fd, c->new.size) < 0 || fchmod(fd, apply_mode(a, c)) < 0)
		return fail_at(c->path, errno, "cannot write");
	return 0;
}

/* Names of one file inside become files of their own. */
static int copy_staged(const struct apply *a, int from, const struct change *f,
		       size_t number)
{
	const struct change *c = &a->changes.v[number];
	auto_fd int fd = make(a, number);
	off_t at = 0;

	if (strcmp(f->new.sha256, c->new.sha256) != 0 ||
	    f->new.size != c->new.size)
		return fail_at(c->path, 0,
			       "the archive's bytes are not those listed for");
	while (fd >= 0 && at < c->new.size)
		if (sendfile(fd, from, &at, 1 << 30) <= 0)
			return fail_at(c->path, errno, "cannot write");
	if (fd < 0 || fchmod(fd, apply_mode(a, c)) < 0)
		return fail_at(c->path, errno, "cannot write");
	return 0;
}

static int stage_member(struct apply *a, struct unpack *u,
			const struct wanted *w, const struct wanted *end)
{
	const struct change *c = &a->changes.v[w->number];
	auto_fd int fd = -1;

	if (a->items[w->number].staged)
		return fail_at(c->path, 0, "the archive has two members for");
	fd = make(a, w->number);
	if (fd < 0)
		return fail_at(c->path, errno, "cannot write");
	if (write_member(a, u, c, fd) < 0)
		return -1;
	a->items[w->number].staged = true;
	for (const struct wanted *x = w + 1;
	     x < end && strcmp(x->member, w->member) == 0; x++) {
		if (copy_staged(a, fd, c, x->number) < 0)
			return -1;
		a->items[x->number].staged = true;
	}
	return 0;
}

/* --- all ---------------------------------------------------------------- */

static int stage_links(struct apply *a)
{
	char name[32];

	for (size_t i = 0; i < a->changes.n; i++) {
		const struct change *c = &a->changes.v[i];

		if (!a->items[i].chosen || !S_ISLNK(c->new.mode))
			continue;
		snprintf(name, sizeof(name), "n%zu", i);
		if (symlinkat(c->new.target, a->stage_fd, name) < 0)
			return fail_at(c->path, errno, "cannot write");
	}
	return 0;
}

static void note_member(struct apply_item *item, const char *link)
{
	item->found = true;
	if (link == NULL)
		return;
	free(item->link);
	item->link = xstrdup(link);
}

static int each_member(struct apply *a, struct wanted *v, size_t n, bool stage)
{
	struct unpack *u = unpack_open(a->archive_fd);
	const struct unpack_member *member;
	int more = -1, rc = u ? 0 : -1;

	while (rc == 0 && (more = unpack_next(u, &member)) == 1) {
		const struct wanted *w = find(v, n, member->path);

		if (w == NULL)
			continue;
		if (!stage)
			note_member(&a->items[w->number], member->hard_link);
		else if (!member->hard_link && member->is_file)
			rc = stage_member(a, u, w, v + n);
	}
	unpack_free(u);
	return more < 0 ? -1 : rc;
}

static size_t list_wanted(struct apply *a, struct wanted *v, bool all)
{
	size_t n = 0;

	for (size_t i = 0; i < a->changes.n; i++) {
		struct apply_item *item = &a->items[i];

		if (!(all || item->chosen) ||
		    !apply_has_bytes(&a->changes.v[i]))
			continue;
		if (item->member == NULL)
			item->member = xasprintf("work/%s",
						 a->changes.v[i].path);
		v[n++] = (struct wanted){ item->link ? item->link
						     : item->member,
					  i };
	}
	qsort(v, n, sizeof(*v), compare_wanted);
	return n;
}

/* Hard links are known by the name that has the bytes. */
int apply_find(struct apply *a)
{
	struct wanted *v = xcalloc(a->changes.n + 1, sizeof(*v));
	int rc = each_member(a, v, list_wanted(a, v, true), false);

	free(v);
	return rc;
}

static int stage_files(struct apply *a)
{
	struct wanted *v = xcalloc(a->changes.n + 1, sizeof(*v));
	size_t n = list_wanted(a, v, false);
	int rc = each_member(a, v, n, true);

	for (size_t i = 0; rc == 0 && i < n; i++)
		if (!a->items[v[i].number].staged)
			rc = fail_at(a->changes.v[v[i].number].path, 0,
				     "the archive has no bytes for");
	free(v);
	return rc;
}

static int check_space(const struct apply *a)
{
	struct statvfs fs;
	uint64_t need = 0, room;

	if (fstatvfs(a->project_fd, &fs) < 0)
		return fail(errno, "cannot look at the project");
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	for (size_t i = 0; i < a->changes.n; i++)
		if (a->items[i].chosen && apply_has_bytes(&a->changes.v[i])) {
			need += (uint64_t)a->changes.v[i].new.size;
			if (need > room)
				return fail(ENOSPC, "cannot write the changes");
		}
	return 0;
}

/* For whoever finds the folder after a crash. */
static int write_names(const struct apply *a)
{
	int fd = openat(a->stage_fd, "names",
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	bool failed;

	if (out == NULL)
		return fail(errno, "cannot write %s/names", a->stage);
	for (size_t i = 0; i < a->changes.n; i++) {
		const struct change *c = &a->changes.v[i];

		if (a->items[i].chosen)
			fprintf(out, "%zu %s%s%s\n", i, c->from ? c->from : "",
				c->from ? " -> " : "", c->path);
	}
	failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed)
		return fail(errno, "cannot write %s/names", a->stage);
	return 0;
}

int apply_stage(struct apply *a)
{
	uint64_t token;

	if (check_space(a) < 0)
		return -1;
	if (getrandom(&token, sizeof(token), 0) != sizeof(token))
		return fail(errno, "cannot get a random number");
	snprintf(a->stage, sizeof(a->stage), ".m9m-apply-%016llx",
		 (unsigned long long)token);
	if (mkdirat(a->project_fd, a->stage, 0700) < 0)
		return fail(errno, "cannot make %s in the project", a->stage);
	a->stage_fd = openat(a->project_fd, a->stage,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (a->stage_fd < 0)
		return fail(errno, "cannot open %s", a->stage);
	if (write_names(a) < 0 || stage_links(a) < 0 || stage_files(a) < 0)
		return -1;
	return syncfs(a->stage_fd) < 0 ? fail(errno, "cannot write to the disk")
				       : 0;
}
