/* SPDX-License-Identifier: MIT */
#pragma once

/* Ownership by scope, small vectors, checked parsing: nothing here touches
 * the sandbox or has an effect of its own outside its arguments. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define auto_fd   __attribute__((cleanup(cleanup_fd)))
#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_strv __attribute__((cleanup(strv_free)))

void close_owned(int fd); /* if >= 0; keeps errno */
/* Where one of the three is closed, what we open takes its number: what the
 * payload prints would go into the audit log.  0, or -1 with errno. */
int fill_standard_fds(void);

/*
 * Inline, so that what they own can live in a register: a variable whose
 * address goes out costs its function a place on the stack, and a canary.
 * memcpy: the pointer is of any type.
 */
static inline __attribute__((always_inline)) void cleanup_fd(const int *fd)
{
	close_owned(*fd);
}

static inline __attribute__((always_inline)) void cleanup_free(void *ptr_to_ptr)
{
	void *p;

	memcpy(&p, ptr_to_ptr, sizeof(p));
	free(p);
}

/* Moves *fd out: leaves -1 behind. */
static inline __attribute__((always_inline)) int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Moves the pointer out: leaves NULL. */
static inline __attribute__((always_inline)) void *take_ptr(void *ptr_to_ptr)
{
	void *p, *none = NULL;

	memcpy(&p, ptr_to_ptr, sizeof(p));
	memcpy(ptr_to_ptr, &none, sizeof(none));
	return p;
}

/* Memory: these abort when there is none (only small things are allocated). */
void *xcalloc(size_t n, size_t size);
void *xrealloc_array(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A NULL-terminated vector of owned strings; v is NULL while n is 0. */
struct strv {
	char **v;
	size_t n;
};
void strv_push(struct strv *sv, char *owned);
void strv_free(struct strv *sv);
bool strv_has(const struct strv *sv, const char *s);
/* Sorted by strcmp, and searched then. */
void strv_sort(struct strv *sv);
bool strv_search(const struct strv *sorted, const char *s);

/* Whole transfers; 0, or -1 with errno. */
int write_all(int fd, const void *buf, size_t len);
/*
 * Reads a file (path relative to dirfd) of at most `max` bytes.  Returns an
 * owned, NUL-terminated buffer and its length in *len (may be NULL), or NULL
 * with errno (EFBIG when it is longer).  read_fd is the same for an open one.
 */
char *read_file(int dirfd, const char *path, size_t max, size_t *len);
char *read_fd(int fd, size_t max, size_t *len);
/* The same of a file that anybody may have put there: a fifo makes nobody wait.
 * flags: more of open's. */
char *read_plain(int dirfd, const char *path, int flags, size_t max);

/* openat2 with these RESOLVE_ flags, and O_CLOEXEC; a descriptor, or -1 with
 * errno. */
int open_resolve(int dirfd, const char *path, uint64_t flags, uint64_t resolve);

/* Writes the digits before `end` and returns the first; at most 20. */
char *decimal(char *end, uint64_t value);
/* Checked numbers: the whole string or -1; no signs, no spaces. */
int parse_u64(const char *s, uint64_t *out);
/* The value of a hexadecimal digit in either case; -1: it is none. */
int hex_value(char digit);
/* "512", "10k" "10M" "1G" "1T" (powers of 1000), "Ki Mi Gi Ti" (of 1024). */
int parse_size(const char *s, uint64_t *bytes);
/* "90", "1.5" (seconds), "5m", "1h30m", "200ms": milliseconds. */
int parse_duration(const char *s, uint64_t *ms);

uint64_t now_ms(clockid_t clock);
/* From now to `until` (monotonic ms), as poll takes it: 0 when it has come, -1 for
 * `until` 0, which is never; an hour at most. */
int timeout_until(uint64_t until);
/* As gmtime_r, which reads the local time zone's file at its first call. */
struct tm utc_time(time_t when);

/*
 * The command line that others see of this process: title_init remembers where
 * it is, title_set replaces it (a copy made by fork has its own).
 */
void title_init(int argc, char **argv);
void title_set(const char *title);

/* What a descriptor is open on, by a path that holds while it is. */
struct fd_path {
	char s[32];
};
struct fd_path fd_path(int fd);
/* What the kernel calls it, which need be no path; owned, or NULL with errno. */
char *fd_name(int fd);

/* Joins with exactly one slash; `b` may start with one. */
char *path_join(const char *a, const char *b);
/* Collapses "//", "/./" and "/../" of an absolute path, in words only. */
char *path_clean(const char *absolute);
/* What stands after the last slash, in `path` itself. */
const char *path_base(const char *path);
/* True if `path` is `dir` or below it; both clean and absolute. */
bool path_under(const char *path, const char *dir);
