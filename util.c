/* SPDX-License-Identifier: MIT */
#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void close_owned(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
}

int fill_standard_fds(void)
{
	int fd;

	if (fcntl(STDIN_FILENO, F_GETFD) >= 0 &&
	    fcntl(STDOUT_FILENO, F_GETFD) >= 0 &&
	    fcntl(STDERR_FILENO, F_GETFD) >= 0)
		return 0;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	return fd < 0 ? -1 : close(fd);
}

static void *check(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	return check(calloc(n ? n : 1, size));
}

void *xrealloc_array(void *p, size_t n, size_t size)
{
	return check(reallocarray(p, n ? n : 1, size));
}

char *xstrdup(const char *s)
{
	return check(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	return check(strndup(s, n));
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return check(s);
}

void strv_push(struct strv *sv, char *owned)
{
	sv->v = xrealloc_array(sv->v, sv->n + 2, sizeof(*sv->v));
	sv->v[sv->n++] = owned;
	sv->v[sv->n] = NULL;
}

void strv_free(struct strv *sv)
{
	for (size_t i = 0; i < sv->n; i++)
		free(sv->v[i]);
	free(sv->v);
	*sv = (struct strv){ 0 };
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(struct strv *sv)
{
	if (sv->n > 1)
		qsort(sv->v, sv->n, sizeof(*sv->v), compare_strings);
}

bool strv_search(const struct strv *sorted, const char *s)
{
	return sorted->n > 0 && bsearch(&s, sorted->v, sorted->n,
					sizeof(*sorted->v), compare_strings);
}

bool strv_has(const struct strv *sv, const char *s)
{
	for (size_t i = 0; i < sv->n; i++)
		if (strcmp(sv->v[i], s) == 0)
			return true;
	return false;
}

int write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

char *read_fd(int fd, size_t max, size_t *len)
{
	size_t used = 0, room = 4096;
	auto_free char *buf = xcalloc(1, room + 1);

	for (;;) {
		ssize_t n;

		if (used == room) {
			room *= 2;
			buf = xrealloc_array(buf, room + 1, 1);
		}
		n = read(fd, buf + used, room - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return NULL;
		if (n == 0)
			break;
		used += (size_t)n;
		if (used > max) {
			errno = EFBIG;
			return NULL;
		}
	}
	buf[used] = '\0';
	if (len)
		*len = used;
	return take_ptr(&buf);
}

int open_resolve(int dirfd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC,
				.resolve = resolve };

	return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

char *read_file(int dirfd, const char *path, size_t max, size_t *len)
{
	auto_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return NULL;
	return read_fd(fd, max, len);
}

char *read_plain(int dirfd, const char *path, int flags, size_t max)
{
	auto_fd int fd = openat(
	    dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return NULL;
	}
	return read_fd(fd, max, NULL);
}

char *decimal(char *end, uint64_t value)
{
	do
		*--end = (char)('0' + value % 10);
	while (value /= 10);
	return end;
}

int parse_u64(const char *s, uint64_t *out)
{
	uint64_t value = 0;

	if (*s == '\0')
		return -1;
	for (; *s; s++) {
		unsigned int digit = (unsigned int)(*s - '0');

		if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return -1;
	}
	*out = value;
	return 0;
}

int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

struct unit {
	const char *name;
	double factor;
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "k", 1e3 },
	{ "K", 1e3 },
	{ "M", 1e6 },
	{ "G", 1e9 },
	{ "T", 1e12 },
	{ "Ki", 1024.0 },
	{ "Mi", 1048576.0 },
	{ "Gi", 1073741824.0 },
	{ "Ti", 1099511627776.0 },
};

static const struct unit time_units[] = {
	{ "", 1000 },   { "ms", 1 },      { "s", 1000 },
	{ "m", 60000 }, { "h", 3600000 },
};

/*
 * Reads digits[.digits] and a run of letters; returns what follows, or NULL.
 * No strtod: it takes signs, spaces, hex, "inf" and the locale's comma.
 */
static const char *number_and_unit(const char *s, double *number, char unit[3])
{
	double scale = 1;
	size_t n = 0;

	if (!isdigit((unsigned char)*s))
		return NULL;
	for (*number = 0; isdigit((unsigned char)*s); s++)
		*number = *number * 10 + (*s - '0');
	if (*s == '.') {
		if (!isdigit((unsigned char)*++s))
			return NULL;
		for (; isdigit((unsigned char)*s); s++)
			*number += (*s - '0') * (scale /= 10);
	}
	for (; isalpha((unsigned char)*s); s++) {
		if (n == 2)
			return NULL;
		unit[n++] = *s;
	}
	unit[n] = '\0';
	return s;
}

static const struct unit *find_unit(const struct unit *units, size_t n,
				    const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(units[i].name, name) == 0)
			return &units[i];
	return NULL;
}

/* 2^63: beyond it no size or time is meant, and doubles lose whole numbers. */
#define LARGEST 9.2e18

int parse_size(const char *s, uint64_t *bytes)
{
	const struct unit *unit;
	double number;
	char name[3];
	const char *end = number_and_unit(s, &number, name);

	if (end == NULL || *end != '\0')
		return -1;
	unit = find_unit(size_units, ARRAY_SIZE(size_units), name);
	if (unit == NULL || number * unit->factor > LARGEST)
		return -1;
	*bytes = (uint64_t)(number * unit->factor + 0.5);
	return 0;
}

int parse_duration(const char *s, uint64_t *ms)
{
	double total = 0;
	bool bare = false;

	if (*s == '\0')
		return -1;
	while (*s) {
		const struct unit *unit;
		double number;
		char name[3];

		s = number_and_unit(s, &number, name);
		if (s == NULL || bare)
			return -1;
		unit = find_unit(time_units, ARRAY_SIZE(time_units), name);
		if (unit == NULL)
			return -1;
		/* A number without a unit stands alone: "1h30" is a slip. */
		bare = name[0] == '\0';
		if (bare && total > 0)
			return -1;
		total += number * unit->factor;
	}
	if (total > LARGEST)
		return -1;
	*ms = (uint64_t)(total + 0.5);
	return 0;
}

uint64_t now_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int timeout_until(uint64_t until)
{
	const uint64_t most = 3600000;
	uint64_t now;

	if (until == 0)
		return -1;
	now = now_ms(CLOCK_MONOTONIC);
	if (until <= now)
		return 0;
	return (int)(until - now < most ? until - now : most);
}

/* Years begin in March here, so that the leap day is the last of one. */
struct tm utc_time(time_t when)
{
	int64_t days = when / 86400 - (when % 86400 < 0);
	int32_t second = (int32_t)(when - days * 86400);
	int64_t since = days + 719468; /* 0000-03-01 */
	int64_t era = (since < 0 ? since - 146096 : since) / 146097;
	int32_t day = (int32_t)(since - era * 146097);
	int32_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	int32_t month;

	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	return (struct tm){
		.tm_sec = second % 60,
		.tm_min = second / 60 % 60,
		.tm_hour = second / 3600,
		.tm_mday = day - (153 * month + 2) / 5 + 1,
		.tm_mon = (month + 2) % 12,
		.tm_year = (int)(era * 400 + year + month / 10) - 1900,
	};
}

static char *title;
static size_t title_size;

void title_init(int argc, char **argv)
{
	char *end = argv[0];

	/* The kernel lays the arguments out one behind the other. */
	for (int i = 0; i < argc && argv[i] == end; i++)
		end += strlen(argv[i]) + 1;
	title = argv[0];
	title_size = (size_t)(end - argv[0]);
}

void title_set(const char *text)
{
	if (title_size == 0)
		return;
	memset(title, 0, title_size);
	snprintf(title, title_size, "%s", text);
}

struct fd_path fd_path(int fd)
{
	struct fd_path path;

	snprintf(path.s, sizeof(path.s), "/proc/self/fd/%d", fd);
	return path;
}

char *fd_name(int fd)
{
	char name[PATH_MAX];
	ssize_t n = readlink(fd_path(fd).s, name, sizeof(name));

	/* One that fills the room may have been cut. */
	if (n == (ssize_t)sizeof(name))
		errno = ENAMETOOLONG;
	return n > 0 && n < (ssize_t)sizeof(name) ? xstrndup(name, (size_t)n)
						  : NULL;
}

char *path_join(const char *a, const char *b)
{
	size_t n = strlen(a), m;
	char *joined, *end;

	while (n > 0 && a[n - 1] == '/')
		n--;
	while (*b == '/')
		b++;
	/* A start joins sixty: printf takes five times as long. */
	m = strlen(b);
	joined = xcalloc(n + m + 2, 1);
	end = mempcpy(joined, a, n);
	*end = '/';
	memcpy(end + 1, b, m);
	return joined;
}

char *path_clean(const char *absolute)
{
	char *out = xcalloc(1, strlen(absolute) + 2);
	size_t n = 0;

	while (*absolute) {
		size_t len;

		absolute += strspn(absolute, "/");
		len = strcspn(absolute, "/");
		if (len == 2 && memcmp(absolute, "..", 2) == 0) {
			while (n > 0 && out[--n] != '/')
				;
		} else if (len > 0 && !(len == 1 && *absolute == '.')) {
			out[n++] = '/';
			memcpy(out + n, absolute, len);
			n += len;
		}
		absolute += len;
	}
	if (n == 0)
		out[n++] = '/';
	out[n] = '\0';
	return out;
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool path_under(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return strncmp(path, dir, n) == 0 &&
	       (path[n] == '\0' || path[n] == '/');
}
