/* SPDX-License-Identifier: MIT */
#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

/* Against others who write the same file at the same moment. */
#define TRIES     16
/* What the next one may take away who writes the same file. */
#define OWN_TAG   "m9m"
#define TEMP_MODE 0644

/* The part of a long name that leaves room for the rest. */
static char *name_temp(const char *name, const char *tag)
{
	return xasprintf(".%.*s.%s.tmp", NAME_MAX / 2, name, tag);
}

int replace_names(struct replace_names *names, const char *path,
		  const char *tag)
{
	const char *slash = strrchr(path, '/');

	*names = (struct replace_names){ 0 };
	if (slash == NULL || slash[1] == '\0')
		return -1;
	names->name = slash + 1;
	names->folder = slash == path ? xstrdup("/")
				      : xstrndup(path, (size_t)(slash - path));
	names->temp = name_temp(names->name, tag);
	return 0;
}

void replace_names_free(struct replace_names *names)
{
	free(names->folder);
	free(names->temp);
	*names = (struct replace_names){ 0 };
}

char *replace_tag(void)
{
	uint64_t tag;

	if (getrandom(&tag, sizeof(tag), 0) != sizeof(tag)) {
		fail(errno, "cannot get random bytes for a name");
		return NULL;
	}
	return xasprintf("%016llx", (unsigned long long)tag);
}

struct target {
	int dir_fd;
	const char *name;
	char *temp;
};

/* No name at all, where the file system can do that: nobody has to clear away
 * what has none. */
static int open_unnamed(const struct target *t, bool *named)
{
	int fd = openat(t->dir_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC,
			TEMP_MODE);

	*named = fd < 0;
	if (fd >= 0)
		return fd;
	(void)unlinkat(t->dir_fd, t->temp, 0);
	return openat(t->dir_fd, t->temp,
		      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		      TEMP_MODE);
}

static int give_name(const struct target *t, int fd, const char *name)
{
	return linkat(AT_FDCWD, fd_path(fd).s, t->dir_fd, name,
		      AT_SYMLINK_FOLLOW);
}

/*
 * A file that has no name cannot take another's place.  Killed within the two
 * calls that this takes, we leave the temporary one, for the next to remove who
 * writes there.
 */
static int put_in_place(const struct target *t, int fd, bool named)
{
	if (!named && give_name(t, fd, t->name) == 0)
		return 0;
	if (!named) {
		if (errno != EEXIST)
			return -1;
		(void)unlinkat(t->dir_fd, t->temp, 0);
		if (give_name(t, fd, t->temp) < 0)
			return -1;
	}
	return renameat(t->dir_fd, t->temp, t->dir_fd, t->name);
}

static int replace(const struct target *t, const void *bytes, size_t len)
{
	bool named;
	auto_fd int fd = open_unnamed(t, &named);
	int err;

	if (fd >= 0 && write_all(fd, bytes, len) == 0 && fsync(fd) == 0 &&
	    put_in_place(t, fd, named) == 0)
		return 0;
	err = errno;
	if (fd >= 0)
		(void)unlinkat(t->dir_fd, t->temp, 0);
	errno = err;
	return -1;
}

int replace_file(int dir_fd, const char *name, const void *bytes, size_t len)
{
	/* Two long names that begin alike would share a known one. */
	auto_free char *tag = strlen(name) > NAME_MAX / 2 ? replace_tag()
							  : xstrdup(OWN_TAG);

	for (int i = 0; tag && i < TRIES; i++) {
		auto_free char *temp = name_temp(name, tag);
		const struct target t = { dir_fd, name, temp };

		if (replace(&t, bytes, len) == 0)
			return 0;
		if (errno != ENOENT && errno != EEXIST)
			return -1;
		/* Somebody else's, in a folder where one cannot remove what is
		 * another's: then by a name that nobody can take before us. */
		free(tag);
		tag = replace_tag();
	}
	return -1;
}
