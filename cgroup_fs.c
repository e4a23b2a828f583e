/* SPDX-License-Identifier: MIT */
#include "cgroup_backend.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "journal.h"
#include "util.h"

#define FILE_MAX_BYTES   (64 * 1024)
#define MOUNTS_MAX_BYTES (16 * 1024 * 1024)
#define WAIT_MS          2000

/*** Where we are ***/

int cgroup_map_read(struct cgroup_map *map, pid_t pid)
{
	auto_free char *path = xasprintf("/proc/%d/cgroup", pid);

	map->self = read_file(AT_FDCWD, path, FILE_MAX_BYTES, NULL);
	return map->self ? 0 : -1;
}

void cgroup_map_free(struct cgroup_map *map)
{
	cleanup_free(&map->self);
	cleanup_free(&map->mounts);
}

/* Is `word` one of the words of "a,b,c"? */
static bool lists(const char *list, size_t len, const char *word)
{
	size_t n = strlen(word);

	while (len >= n) {
		const char *comma = memchr(list, ',', len);
		size_t one = comma ? (size_t)(comma - list) : len;

		if (one == n && memcmp(list, word, n) == 0)
			return true;
		if (comma == NULL)
			return false;
		list += one + 1;
		len -= one + 1;
	}
	return false;
}

/* The path in the line "4:memory:PATH", or "0::PATH" for v2; owned, or NULL. */
static char *own_path(const char *self, const char *controller)
{
	for (const char *line = self; line && *line;) {
		size_t len = strcspn(line, "\n");
		const char *names = memchr(line, ':', len);
		const char *path = names ? memchr(
					       names + 1, ':',
					       len - (size_t)(names + 1 - line))
					 : NULL;

		if (path == NULL)
			return NULL;
		names++;
		if (controller
			? lists(names, (size_t)(path - names), controller)
			: path == names && names[-2] == '0')
			return xstrndup(path + 1,
					len - (size_t)(path + 1 - line));
		line += len + (line[len] == '\n');
	}
	return NULL;
}

/* One line of mountinfo, as far as it matters. */
struct mount_line {
	char root[1024];
	char target[1024];
	char options[256]; /* of the file system */
};

/* False for a line of another type, which are most. */
static bool parse_mount(const char *line, const char *type,
			struct mount_line *m)
{
	const char *dash = strstr(line, " - ");
	size_t n = strlen(type);

	return dash && dash < line + strcspn(line, "\n") &&
	       strncmp(dash + 3, type, n) == 0 && dash[3 + n] == ' ' &&
	       sscanf(line, "%*s %*s %*s %1023s %1023s", m->root, m->target) ==
		   2 &&
	       sscanf(dash, " - %*s %*s %255s", m->options) == 1;
}

/*
 * What statmount (Linux 6.8, options from 6.11 on) tells of one mount.  For
 * mountinfo the kernel writes down all, of which one or two are looked for: that
 * takes it longer than any other file of a start.
 */

/* compat: newer than most headers */
#ifndef SYS_statmount
#define SYS_statmount 457
#endif
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

enum told {
	TOLD_TYPE = 0x1,
	TOLD_ROOT = 0x8,
	TOLD_TARGET = 0x10,
	TOLD_OPTIONS = 0x80,
};

struct told_request {
	uint32_t size, spare;
	uint64_t id, mask;
};

struct told_mount {
	uint32_t size, options; /* this and the like: where it is in `text` */
	uint64_t mask;
	uint32_t device[2];
	uint64_t magic;
	uint32_t other[18];
	uint32_t root, target;
	uint64_t reserved[50];
	char text[2560];
};

static_assert(offsetof(struct told_mount, text) == 512, "as in linux/mount.h");

/* A copy that is cut could name another folder. */
static bool copy_told(char *to, size_t size, const struct told_mount *told,
		      uint32_t at)
{
	return (size_t)snprintf(to, size, "%s", told->text + at) < size;
}

/* The mount at `place`, if it is one of that kind. */
static bool ask_mount(const char *place, bool v1, struct mount_line *m)
{
	struct told_request request = {
		.size = sizeof(request),
		.mask = TOLD_TYPE | TOLD_ROOT | TOLD_TARGET |
			(v1 ? TOLD_OPTIONS : 0),
	};
	struct told_mount told = { 0 };
	struct statx st;

	if (statx(AT_FDCWD, place, 0, STATX_MNT_ID_UNIQUE, &st) < 0 ||
	    !(st.stx_mask & STATX_MNT_ID_UNIQUE))
		return false;
	request.id = st.stx_mnt_id;
	return syscall(SYS_statmount, &request, &told, sizeof(told), 0) == 0 &&
	       (told.mask & request.mask) == request.mask &&
	       told.magic == (v1 ? CGROUP_SUPER_MAGIC : CGROUP2_SUPER_MAGIC) &&
	       copy_told(m->root, sizeof(m->root), &told, told.root) &&
	       copy_told(m->target, sizeof(m->target), &told, told.target) &&
	       (!v1 ||
		copy_told(m->options, sizeof(m->options), &told, told.options));
}

/* Where `path` is below a mount of what is at `root`; owned, or NULL. */
static char *below(const struct mount_line *m, const char *path)
{
	const char *rest = path;

	/* Out of our cgroup namespace: no mount that we see has it. */
	if (strncmp(path, "/..", 3) == 0)
		return NULL;
	if (strcmp(m->root, "/") != 0) {
		if (!path_under(path, m->root))
			return NULL;
		rest += strlen(m->root);
	}
	while (*rest == '/')
		rest++;
	return *rest ? path_join(m->target, rest) : xstrdup(m->target);
}

static bool has(const struct mount_line *m, const char *controller)
{
	return !controller || lists(m->options, strlen(m->options), controller);
}

static bool is_below(const struct mount_line *m, const char *path,
		     struct cgroup_place *place)
{
	place->own = below(m, path);
	if (place->own)
		place->mount = xstrdup(m->target);
	return place->own != NULL;
}

static bool find_as_usual(const char *path, const char *controller,
			  struct cgroup_place *place)
{
	const char *const places[] = { controller ? controller : "unified",
				       controller ? NULL : "" };
	struct mount_line m;

	for (size_t i = 0; i < ARRAY_SIZE(places) && places[i]; i++) {
		auto_free char *usual = path_join("/sys/fs/cgroup", places[i]);

		if (ask_mount(usual, controller != NULL, &m) &&
		    has(&m, controller) && is_below(&m, path, place))
			return true;
	}
	return false;
}

int cgroup_find(struct cgroup_map *map, const char *controller,
		struct cgroup_place *place)
{
	auto_free char *path = own_path(map->self, controller);
	const char *type = controller ? "cgroup" : "cgroup2";
	struct mount_line m;
	int err = ENOENT;

	if (path && !map->mounts) {
		if (find_as_usual(path, controller, place))
			return 0;
		map->mounts = read_file(AT_FDCWD, "/proc/self/mountinfo",
					MOUNTS_MAX_BYTES, NULL);
		if (map->mounts == NULL)
			return -1;
	}
	for (const char *line = map->mounts; path && *line;
	     line += strcspn(line, "\n"), line += *line == '\n') {
		if (!parse_mount(line, type, &m) || !has(&m, controller))
			continue;
		err = EXDEV;
		if (is_below(&m, path, place))
			return 0;
	}
	errno = err;
	return -1;
}

int cgroup_refuse_place(struct cgroup_refusal *refusal, const char *what)
{
	if (errno != ENOENT && errno != EXDEV)
		return cgroup_refuse(refusal, errno,
				     "cannot read /proc/self/mountinfo");
	return cgroup_refuse(refusal, 0, "%snot %s", what,
			     errno == EXDEV ? "within sight" : "mounted");
}

void cgroup_place_free(struct cgroup_place *place)
{
	cleanup_free(&place->mount);
	cleanup_free(&place->own);
}

/*** Reading and writing ***/

int cgroup_write(int dir_fd, const char *file, const char *text)
{
	auto_fd int fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);

	if (fd < 0)
		return -1;
	/* One write: the kernel takes each as a whole command. */
	return write(fd, text, len) == (ssize_t)len ? 0 : -1;
}

int cgroup_write_u64(int dir_fd, const char *file, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return cgroup_write(dir_fd, file, text);
}

static uint64_t leading_number(const char *text)
{
	char digits[24];
	size_t n = strspn(text, "0123456789");
	uint64_t value = 0;

	if (n == 0 || n >= sizeof(digits))
		return 0;
	memcpy(digits, text, n);
	digits[n] = '\0';
	return parse_u64(digits, &value) < 0 ? 0 : value;
}

uint64_t cgroup_read_u64(int dir_fd, const char *file)
{
	auto_free char *text = read_file(dir_fd, file, FILE_MAX_BYTES, NULL);

	return text ? leading_number(text) : 0;
}

uint64_t cgroup_read_key(int dir_fd, const char *file, const char *key)
{
	auto_free char *text = read_file(dir_fd, file, FILE_MAX_BYTES, NULL);
	size_t n = strlen(key);

	for (const char *line = text; line && *line;
	     line += strcspn(line, "\n"), line += *line == '\n')
		if (strncmp(line, key, n) == 0 && line[n] == ' ')
			return leading_number(line + n + 1);
	return 0;
}

uint64_t cgroup_sum_key(int dir_fd, const char *file, const char *key)
{
	auto_free char *text = read_file(dir_fd, file, FILE_MAX_BYTES, NULL);
	size_t n = strlen(key);
	uint64_t sum = 0;

	for (const char *at = text; at && (at = strstr(at, key)); at += n)
		if (at[n] == '=' && (at == text || at[-1] == ' '))
			sum += leading_number(at + n + 1);
	return sum;
}

/*** Directories ***/

int cgroup_add_dir(struct cgroup *cg, const char *parent,
		   const struct cgroup_request *request,
		   unsigned int controllers)
{
	struct cgroup_dir *dir = &cg->dirs[cg->n_dirs++];

	*dir = (struct cgroup_dir){ .controllers = controllers,
				    .path = path_join(parent, request->name),
				    .fd = -1,
				    .tasks_fd = -1 };
	return journal_add(request->journal_fd, "cgroup", dir->path);
}

int cgroup_make_dir(struct cgroup_dir *dir)
{
	int err;

	if (mkdir(dir->path, 0755) < 0)
		return -1;
	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->fd >= 0)
		return 0;
	err = errno;
	rmdir(dir->path);
	errno = err;
	return -1;
}

bool cgroup_is_empty(int dir_fd)
{
	auto_free char *text = read_file(dir_fd, "cgroup.procs", FILE_MAX_BYTES,
					 NULL);

	/* ENODEV: somebody removed it, which takes an empty one. */
	return text ? text[0] == '\0' : errno == ENODEV;
}

/* Longer each time: the first look is mostly enough. */
static void nap(unsigned int round)
{
	long ms = round < 4 ? 1L << round : 16;
	struct timespec t = { 0, ms * 1000000 };

	nanosleep(&t, NULL);
}

int cgroup_rmdir(const char *path)
{
	uint64_t end = now_ms(CLOCK_MONOTONIC) + WAIT_MS;

	for (unsigned int round = 0; rmdir(path) < 0; round++) {
		if (errno == ENOENT)
			return 0;
		if (errno != EBUSY || now_ms(CLOCK_MONOTONIC) >= end)
			return -1;
		nap(round);
	}
	return 0;
}

void cgroup_drop_dirs(struct cgroup *cg)
{
	while (cg->n_dirs > 0) {
		struct cgroup_dir *dir = &cg->dirs[--cg->n_dirs];

		/* What we did not make is not ours to remove. */
		if (dir->fd >= 0)
			rmdir(dir->path);
		cleanup_free(&dir->path);
		cleanup_fd(&dir->fd);
		cleanup_fd(&dir->tasks_fd);
	}
	cg->dir_fd = -1;
}

/*** The end of what is inside ***/

/*
 * The pid may have become another process's since we read it.  Once we hold a
 * pidfd: if /proc says that the pid is a member now, then the pidfd is of that
 * member or of a dead process, never of a stranger.
 */
static void kill_member(pid_t pid, const char *name)
{
	auto_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	auto_free char *path = xasprintf("/proc/%d/cgroup", pid);
	auto_free char *text = NULL;
	const char *found;

	if (pidfd < 0)
		return;
	text = read_file(AT_FDCWD, path, FILE_MAX_BYTES, NULL);
	found = text ? strstr(text, name) : NULL;
	if (found && found[strlen(name)] == '\n')
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

static void kill_members(int dir_fd, const char *name)
{
	auto_free char *text = read_file(dir_fd, "cgroup.procs",
					 MOUNTS_MAX_BYTES, NULL);

	for (const char *line = text; line && *line;
	     line += strcspn(line, "\n"), line += *line == '\n') {
		pid_t pid = (pid_t)leading_number(line);

		/* 0: of a PID namespace that we do not see into. */
		if (pid > 1)
			kill_member(pid, name);
	}
}

int cgroup_kill_dir(int dir_fd, const char *path)
{
	uint64_t end = now_ms(CLOCK_MONOTONIC) + WAIT_MS;
	/* Linux 5.14+, v2: all at once.  Else one by one, which comes to an
	 * end because nobody can fork any more. */
	bool at_once = cgroup_write(dir_fd, "cgroup.kill", "1") == 0;

	if (!at_once)
		(void)cgroup_write(dir_fd, "pids.max", "0");
	for (unsigned int round = 0; !cgroup_is_empty(dir_fd); round++) {
		if (now_ms(CLOCK_MONOTONIC) >= end) {
			errno = EBUSY;
			return -1;
		}
		if (!at_once)
			kill_members(dir_fd, strrchr(path, '/'));
		nap(round);
	}
	return 0;
}
