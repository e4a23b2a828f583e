/* SPDX-License-Identifier: MIT */
#include "journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"

#define JOURNAL_MAX (16 * 1024 * 1024)

int journal_add(int fd, const char *key, const char *value)
{
	auto_free char *entry = NULL;
	size_t len;

	if (fd < 0)
		return 0;
	entry = xasprintf("%s %s", key, value);
	len = strlen(entry) + 1;
	/* One write, that a crash leaves whole or not at all. */
	if (write(fd, entry, len) != (ssize_t)len)
		return fail(errno, "cannot write the run's journal");
	return 0;
}

struct strv journal_read(int fd)
{
	struct strv entries = { 0 };
	size_t len = 0;
	auto_free char *text = lseek(fd, 0, SEEK_SET) < 0
				   ? NULL
				   : read_fd(fd, JOURNAL_MAX, &len);
	const char *end;

	for (const char *at = text; at && (end = memchr(at, '\0', len));
	     len -= (size_t)(end + 1 - at), at = end + 1)
		strv_push(&entries, xstrdup(at));
	return entries;
}

const char *journal_next(const struct strv *entries, const char *key,
			 size_t *at)
{
	size_t n = strlen(key);

	while (*at < entries->n) {
		const char *entry = entries->v[(*at)++];

		if (strncmp(entry, key, n) == 0 && entry[n] == ' ')
			return entry + n + 1;
	}
	return NULL;
}

bool journal_has(const struct strv *entries, const char *key)
{
	size_t at = 0;

	return journal_next(entries, key, &at) != NULL;
}
