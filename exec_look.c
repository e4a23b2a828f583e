/* SPDX-License-Identifier: MIT */
#include "exec_look.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE      4096
#define GLANCE    128 /* of an argument, before it is known how long it is */
#define FD_DIGITS 10

/* What execveat takes; of any other it says EINVAL, before it looks at a file. */
#define AT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)

static char *read_link(const struct exec_place *place, pid_t pid,
		       const char *name)
{
	struct exec_entry e = exec_entry(pid, name);
	char target[PATH_MAX];
	ssize_t n = readlinkat(place->proc_fd, e.name, target, sizeof(target));

	return n > 0 ? xstrndup(target, (size_t)n) : NULL;
}

/*** Memory ***/

/* Memory of a process that waits for us. */
struct memory {
	const struct exec_place *place;
	pid_t pid;
	int fd; /* of /proc/PID/mem, once the direct way was refused */
	/* What was read at once, to begin with. */
	struct piece {
		uint64_t address;
		size_t len;
		const char *bytes;
	} pieces[2];
};

/* The top byte of a pointer is the program's own on aarch64, and beyond user
 * space on x86-64. */
static uint64_t plain_address(uint64_t address)
{
	return address & (~0ULL >> 8);
}

/* What was read before from there on, and how much of it; or NULL. */
static const char *known_bytes(const struct memory *memory, uint64_t address,
			       size_t *len)
{
	uint64_t plain = plain_address(address);

	for (size_t i = 0; i < ARRAY_SIZE(memory->pieces); i++) {
		const struct piece *p = &memory->pieces[i];

		if (plain >= p->address && plain - p->address < p->len) {
			*len = p->len - (size_t)(plain - p->address);
			return p->bytes + (plain - p->address);
		}
	}
	return NULL;
}

/*
 * The page that the path begins in, where a shell's arguments are as well, and
 * the pointers to these: in one call, for what would be three.
 */
static void peek_ahead(struct memory *memory, uint64_t path, uint64_t argv,
		       char page[static PAGE],
		       uint64_t pointers[static EXEC_ARGS_MAX + 1])
{
	const size_t sizes[] = { PAGE - plain_address(path) % PAGE,
				 (EXEC_ARGS_MAX + 1) * sizeof(*pointers) };
	const uint64_t places[] = { plain_address(path), plain_address(argv) };
	char *const bytes[] = { page, (char *)pointers };
	struct iovec to[ARRAY_SIZE(sizes)], from[ARRAY_SIZE(sizes)];
	ssize_t got;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		to[i] = (struct iovec){ bytes[i], sizes[i] };
		from[i] = (struct iovec){ (void *)(uintptr_t)places[i],
					  sizes[i] };
	}
	got = process_vm_readv(memory->pid, to, ARRAY_SIZE(to), from,
			       ARRAY_SIZE(from), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes) && got >= (ssize_t)sizes[i];
	     i++) {
		memory->pieces[i] = (struct piece){ places[i], sizes[i],
						    bytes[i] };
		got -= (ssize_t)sizes[i];
	}
}

/* Not by /proc first: the file would be made for this one reading. */
static ssize_t peek(struct memory *memory, uint64_t address, void *buf,
		    size_t len)
{
	uint64_t plain = plain_address(address);
	struct iovec to = { buf, len };
	struct iovec from = { (void *)(uintptr_t)plain, len };
	size_t known_len = 0;
	const char *known = known_bytes(memory, address, &known_len);
	ssize_t n = -1;

	if (known && known_len >= len) {
		memcpy(buf, known, len);
		return (ssize_t)len;
	}
	if (memory->fd < 0)
		n = process_vm_readv(memory->pid, &to, 1, &from, 1, 0);
	if (n >= 0 || (errno != ENOSYS && errno != EPERM && memory->fd < 0))
		return n;
	if (memory->fd < 0)
		memory->fd = exec_open_entry(memory->place, memory->pid, "mem",
					     O_RDONLY);
	return pread(memory->fd, buf, len, (off_t)plain);
}

/*
 * A string of at most `max` - 1 bytes, page by page: the next page may not be
 * there.  False when nothing can be read; *cut when it goes on.
 */
static bool peek_string(struct memory *memory, uint64_t address, char *buf,
			size_t max, bool *cut)
{
	size_t len = 0;

	while (len < max - 1) {
		size_t room = PAGE - (address + len) % PAGE;
		ssize_t n;

		if (room > max - 1 - len)
			room = max - 1 - len;
		n = peek(memory, address + len, buf + len, room);
		if (n <= 0)
			break;
		if (memchr(buf + len, '\0', (size_t)n))
			return true;
		len += (size_t)n;
	}
	buf[len] = '\0';
	*cut = true;
	return len > 0;
}

/* Are all of them strings that were read before?  Then copies the beginnings. */
static bool glance_known(const struct memory *memory, const uint64_t *pointers,
			 size_t n, char text[static EXEC_ARGS_MAX][GLANCE])
{
	for (size_t i = 0; i < n; i++) {
		size_t len = 0;
		const char *known = known_bytes(memory, pointers[i], &len);

		if (!known || !memchr(known, '\0', len < GLANCE ? len : GLANCE))
			return false;
		memccpy(text[i], known, '\0', GLANCE);
	}
	return true;
}

/*
 * The first bytes of many strings in one call; most are no longer.  How many of
 * the strings were read: one whose page is missing ends it.
 */
static size_t glance(const struct memory *memory, const uint64_t *pointers,
		     size_t n, char text[static EXEC_ARGS_MAX][GLANCE])
{
	struct iovec to[EXEC_ARGS_MAX], from[EXEC_ARGS_MAX];
	size_t done = 0;
	ssize_t got;

	if (glance_known(memory, pointers, n, text))
		return n;
	for (size_t i = 0; i < n; i++) {
		uint64_t plain = plain_address(pointers[i]);
		size_t room = PAGE - plain % PAGE;

		to[i].iov_base = text[i];
		from[i].iov_base = (void *)(uintptr_t)plain;
		to[i].iov_len = room < GLANCE ? room : GLANCE;
		from[i].iov_len = to[i].iov_len;
		/* What is beyond the page ends no string. */
		memset(text[i] + to[i].iov_len, 'x', GLANCE - to[i].iov_len);
	}
	got = process_vm_readv(memory->pid, to, n, from, n, 0);
	while (done < n && got >= (ssize_t)to[done].iov_len)
		got -= (ssize_t)to[done++].iov_len;
	return done;
}

static void peek_argv(struct exec_attempt *a, struct memory *memory,
		      uint64_t address)
{
	uint64_t pointers[EXEC_ARGS_MAX + 1] = { 0 };
	char seen[EXEC_ARGS_MAX][GLANCE];
	size_t left = EXEC_ARGS_BYTES, n = 0, known;
	char text[EXEC_ARGS_BYTES];

	if (address == 0)
		return;
	if (peek(memory, address, pointers, sizeof(pointers)) <= 0)
		a->argv_cut = true;
	while (n < EXEC_ARGS_MAX && pointers[n])
		n++;
	known = n ? glance(memory, pointers, n, seen) : 0;
	for (size_t i = 0; !a->argv_cut && pointers[i]; i++) {
		if (i == EXEC_ARGS_MAX || left < 2) {
			a->argv_cut = true;
		} else if (i < known && memchr(seen[i], '\0', GLANCE) &&
			   strlen(seen[i]) < left) {
			left -= strlen(seen[i]);
			strv_push(&a->argv, xstrdup(seen[i]));
		} else if (peek_string(memory, pointers[i], text, left,
				       &a->argv_cut)) {
			left -= strlen(text);
			strv_push(&a->argv, xstrdup(text));
		}
	}
}

/*** The file ***/

char *exec_look_program(const struct exec_place *place, pid_t pid)
{
	return read_link(place, pid, "exe");
}

static int open_in(int root_fd, const char *path, uint64_t flags)
{
	int fd = -1;

	/* EAGAIN: anything at all was renamed or mounted on this machine while
	 * a ".." was resolved, so that the kernel would not vouch for it. */
	for (int tries = 0; fd < 0 && tries < 100; tries++) {
		fd = open_resolve(root_fd, path, O_PATH | flags,
				  RESOLVE_IN_ROOT);
		if (errno != EAGAIN)
			break;
	}
	return fd;
}

/*
 * ENOENT is no proof: a link through /proc/self leads nowhere for us, and what
 * is taken for absent is not recorded.  So: the first name that does not
 * resolve must be nothing at all in the folder before it, not even a link.
 */
static bool is_absent(int root_fd, const char *path)
{
	auto_free char *head = xstrdup(path);
	char *slash = strrchr(head, '/');

	while (slash) {
		auto_fd int dir = -1, entry = -1;

		*slash = '\0';
		dir = open_in(root_fd, *head ? head : "/", O_DIRECTORY);
		if (dir >= 0) {
			entry = open_in(dir, slash + 1, O_NOFOLLOW);
			return entry < 0 && errno == ENOENT;
		}
		if (errno != ENOENT)
			return false;
		slash = strrchr(head, '/');
	}
	return false;
}

/* /proc/self/exe and /proc/self/fd/N, which programs execute themselves by. */
static const char *own_link(const char *path)
{
	static const char self[] = "/proc/self/";
	const char *name = path + strlen(self);

	if (strncmp(path, self, strlen(self)) != 0)
		return NULL;
	if (strcmp(name, "exe") == 0)
		return name;
	if (strncmp(name, "fd/", 3) == 0 && name[3] &&
	    name[3 + strspn(name + 3, "0123456789")] == '\0')
		return name;
	return NULL;
}

/* "fd/" and a number that the kernel gives no descriptor. */
static bool is_no_number(const char *name)
{
	return strncmp(name, "fd/", 3) == 0 &&
	       (strlen(name + 3) > FD_DIGITS || (name[3] == '0' && name[4]));
}

/* "self" is the process, whose first thread may have other descriptors than the
 * one that asks. */
static void find_own(struct exec_attempt *a, const struct exec_place *place,
		     pid_t pid, const char *own, int flags)
{
	pid_t first = exec_look_first(place, pid);

	a->file_fd = exec_open_entry(place, first ? first : pid, own, flags);
	if (first && a->file_fd < 0 && errno == ENOENT)
		a->verdict = EXEC_ABSENT;
}

static void find_file(struct exec_attempt *a, struct exec_place *place,
		      pid_t pid, int flags)
{
	const char *own = own_link(a->target);
	int follow = flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0;

	if (own && is_no_number(own)) {
		a->verdict = EXEC_ABSENT;
		return;
	}
	if (own) {
		find_own(a, place, pid, own, O_PATH | follow);
		return;
	}
	if (place->root_fd < 0)
		place->root_fd = exec_open_entry(place, pid, "root",
						 O_PATH | O_DIRECTORY);
	if (place->root_fd < 0)
		return;
	a->file_fd = open_in(place->root_fd, a->target, (uint64_t)follow);
	if (a->file_fd < 0 && errno == ENOENT &&
	    is_absent(place->root_fd, a->target))
		a->verdict = EXEC_ABSENT;
}

void exec_look_file(struct exec_attempt *a, bool noexec)
{
	if (!S_ISREG(a->st.st_mode))
		a->reason = "not a regular file";
	else if (!(a->st.st_mode & 0111))
		a->reason = "not marked as executable";
	else if (noexec)
		a->reason = "nothing may be executed from where it is";
	if (a->reason)
		a->verdict = EXEC_DENIED;
}

void exec_look_judge(struct exec_attempt *a)
{
	struct statvfs fs = { .f_flag = 0 };

	if (a->file_fd < 0)
		return;
	if (fstatvfs(a->file_fd, &fs) == 0)
		a->writable = !(fs.f_flag & ST_RDONLY);
	exec_look_file(a, fs.f_flag & ST_NOEXEC);
}

/* Where a relative path starts, for AT_EMPTY_PATH the file itself: the name of it
 * in /proc/PID. */
struct base {
	char name[24];
};

static struct base base_entry(int dir_fd)
{
	struct base base = { "cwd" };

	if (dir_fd != AT_FDCWD)
		snprintf(base.name, sizeof(base.name), "fd/%d", dir_fd);
	return base;
}

static void deny(struct exec_attempt *a, const char *reason)
{
	a->verdict = EXEC_DENIED;
	a->reason = reason;
}

/* The same as a path; NULL when it cannot be told. */
static char *base_path(struct exec_attempt *a, const struct exec_place *place,
		       pid_t pid, int dir_fd)
{
	char *path;

	if (dir_fd == AT_FDCWD)
		return a->cwd ? xstrdup(a->cwd) : NULL;
	/* Those of the thread that asks, as the kernel takes them. */
	path = read_link(place, pid, base_entry(dir_fd).name);
	if (path == NULL && errno == ENOENT)
		deny(a, "it starts from a descriptor that is not open");
	return path;
}

static void locate(struct exec_attempt *a, struct exec_place *place, pid_t pid,
		   int dir_fd, int flags)
{
	auto_free char *base = NULL;
	const char *rest;

	if (flags & ~AT_FLAGS) {
		deny(a, "the call has flags that do not exist");
		return;
	}
	if (a->path[0] == '/') {
		a->target = xstrdup(a->path);
		find_file(a, place, pid, flags);
		return;
	}
	if (a->path[0] == '\0' && !(flags & AT_EMPTY_PATH)) {
		a->target = xstrdup("");
		a->verdict = EXEC_ABSENT;
		return;
	}
	base = base_path(a, place, pid, dir_fd);
	if (base == NULL)
		return;
	if (a->path[0] == '\0') {
		/* By descriptor alone: its name may be that of no file. */
		free(a->path);
		a->path = take_ptr(&base);
		a->target = xstrdup(a->path);
		a->file_fd = exec_open_entry(place, pid,
					     base_entry(dir_fd).name, O_PATH);
		return;
	}
	rest = a->path;
	while (strncmp(rest, "./", 2) == 0)
		rest += 2;
	a->target = path_join(base, rest);
	find_file(a, place, pid, flags);
}

void exec_look_state(int *fd, struct stat *st)
{
	if (*fd < 0 || fstat(*fd, st) == 0)
		return;
	cleanup_fd(fd);
	*fd = -1;
}

void exec_look(struct exec_attempt *a, struct exec_place *place, pid_t pid,
	       const uint64_t arguments[6], bool at)
{
	struct memory memory = { .place = place, .pid = pid, .fd = -1 };
	const uint64_t *rest = arguments + (at ? 1 : 0);
	int dir_fd = at ? (int)arguments[0] : AT_FDCWD;
	uint64_t pointers[EXEC_ARGS_MAX + 1];
	char path[EXEC_PATH_MAX], page[PAGE];

	/* Only here, where a number that went to somebody else has all of this
	 * forgotten again: the namespace of one is that of all inside. */
	if (place->ns_fd < 0)
		place->ns_fd = exec_open_entry(place, pid, "ns/pid", O_RDONLY);
	exec_look_ids(a, place, pid);
	a->cwd = read_link(place, pid, "cwd");
	peek_ahead(&memory, rest[0], rest[1], page, pointers);
	if (peek_string(&memory, rest[0], path, sizeof(path), &a->path_cut)) {
		a->path = xstrdup(path);
		peek_argv(a, &memory, rest[1]);
		if (!a->path_cut)
			locate(a, place, pid, dir_fd,
			       at ? (int)arguments[4] : 0);
	} else {
		a->path = xstrdup("?");
		a->reason = "what it executes could not be read";
	}
	cleanup_fd(&memory.fd);
	/* Now: the first that a program does may be to change it. */
	exec_look_state(&a->file_fd, &a->st);
}

void exec_attempt_free(struct exec_attempt *a)
{
	free(a->path);
	free(a->target);
	free(a->cwd);
	free(a->remedy);
	strv_free(&a->argv);
	cleanup_fd(&a->file_fd);
	*a = EXEC_ATTEMPT_NONE;
}
