/* SPDX-License-Identifier: MIT */
#include "workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "text.h"
#include "util.h"
#include "walk.h"

/* Each is a rename and an fsync on the host. */
#define MATCHES_MAX 1000

struct search {
	int work_fd;
	const char *pattern;
	struct strv *matches;
};

static int search(const struct search *s, const char *folder, const char *rest);

/* What is no folder, or a link to one, has nothing below it. */
static int open_folder(const struct search *s, const char *folder)
{
	int fd = walk_open_below(s->work_fd, *folder ? folder : ".",
				 O_RDONLY | O_DIRECTORY);
	auto_free char *shown = NULL;

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
		return -2;
	shown = text_visible(folder, true);
	return fail(errno, "cannot look for the outputs %s in %s", s->pattern,
		    shown);
}

static int add_match(const struct search *s, char *path)
{
	if (s->matches->n == MATCHES_MAX) {
		free(path);
		return fail(0, "cannot copy out %s: more than %d files match",
			    s->pattern, MATCHES_MAX);
	}
	strv_push(s->matches, path);
	return 0;
}

/* `part` is the pattern of one level, `rest` of those below it. */
static int search_level(const struct search *s, const char *folder,
			const char *part, const char *rest)
{
	struct walk_reader reader;
	struct walk_name entry;
	int fd = open_folder(s, folder), rc = 0, more = 0;

	if (fd < 0)
		return fd == -2 ? 0 : -1;
	walk_start(&reader, fd);
	while (rc == 0 && (more = walk_next(&reader, &entry)) == 1) {
		auto_free char *path = NULL;

		/* As in a shell: * leaves hidden files alone. */
		if (fnmatch(part, entry.name, FNM_PERIOD) != 0)
			continue;
		path = *folder ? path_join(folder, entry.name)
			       : xstrdup(entry.name);
		rc = *rest ? search(s, path, rest)
			   : add_match(s, take_ptr(&path));
	}
	walk_end(&reader);
	if (more < 0)
		return fail(errno, "cannot look for the outputs %s",
			    s->pattern);
	return rc;
}

static int search(const struct search *s, const char *folder, const char *rest)
{
	size_t len = strcspn(rest, "/");
	auto_free char *part = xstrndup(rest, len);

	return search_level(s, folder, part, rest + len + (rest[len] == '/'));
}

int workdir_glob(int work_fd, const char *pattern, struct strv *matches)
{
	const struct search s = { .work_fd = work_fd,
				  .pattern = pattern,
				  .matches = matches };

	if (search(&s, "", pattern) < 0)
		return -1;
	strv_sort(matches);
	return 0;
}
