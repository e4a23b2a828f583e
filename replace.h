/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A file that takes the place of another: the old one is there, or all of the
 * new one, whatever happens meanwhile.  Until it is whole it has another name,
 * in a folder where others may write too.
 */

#include <stddef.h>

/* A file's folder, its name there, and the one that it has before. */
struct replace_names {
	char *folder;
	const char *name; /* within the path */
	char *temp;       /* .NAME.TAG.tmp, a long name cut short */
};

/* Of an absolute path; -1, with all NULL, if it does not end with a name. */
int replace_names(struct replace_names *names, const char *path,
		  const char *tag);
void replace_names_free(struct replace_names *names);

/* 16 digits that nobody can know before: owned; NULL by fail(). */
char *replace_tag(void);

/*
 * Puts these bytes in the place of dir_fd/NAME, on the disk before they have the
 * name; a link is replaced, not followed.  Mode 0644, less the umask.  Others
 * may write the same file at the same moment: one of them is there then.
 * 0, or -1 with errno.
 */
int replace_file(int dir_fd, const char *name, const void *bytes, size_t len);
