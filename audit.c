/* SPDX-License-Identifier: MIT */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

/* A lock is held for microseconds; one that is not is somebody stopped. */
#define LOCK_PATIENCE_MS 2000

/* Longer than any line. */
#define TAIL_MAX (128 * 1024)

static const char zeros[] = "0000000000000000000000000000000000000000"
			    "000000000000000000000000";

/*** Opening ***/

/* mkdir -p of all that is before the last slash. */
static void make_folder(const char *path)
{
	auto_free char *folder = xstrdup(path);
	mode_t mode = geteuid() == 0 ? 0750 : 0700;

	for (char *p = strchr(folder + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		/* EEXIST and the like: the open that follows tells. */
		if (mkdir(folder, mode) != 0 && errno == ENOENT)
			return;
		*p = '/';
	}
}

/*
 * Whoever owns it can put another file in the log's place; and a link that is
 * somebody else's has us write where that one could not (sudo -E).
 */
static int check_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	auto_free char *folder = xstrndup(path, slash ? slash - path : 0);
	struct stat st;

	/* Where it is not there, the open that follows tells. */
	if (lstat(folder, &st) < 0 || st.st_uid == geteuid())
		return 0;
	fail(0, "cannot keep the audit log in %s: it belongs to uid %u", folder,
	     st.st_uid);
	return fail_remedy("set XDG_STATE_HOME to a folder that is yours "
			   "alone");
}

/* O_NONBLOCK: a fifo in this place must not hang us; it is refused below. */
static int open_file(const char *path, int flags, struct stat *st)
{
	auto_fd int fd = open(path,
			      O_RDWR | flags | O_CREAT | O_NOFOLLOW |
				  O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
			      0600);

	if (fd < 0 || fstat(fd, st) != 0) {
		fail(errno, "cannot open the audit log %s", path);
		return fail_remedy("set XDG_STATE_HOME to a folder that you "
				   "can write");
	}
	/* In somebody else's file, the record would be theirs to change. */
	if (!S_ISREG(st->st_mode) || st->st_uid != geteuid()) {
		fail(0, "the audit log %s is not a regular file of this user",
		     path);
		return fail_remedy("move it away");
	}
	return take_fd(&fd);
}

int audit_open(struct audit *audit, const char *path)
{
	auto_free char *head = xasprintf("%s.head", path);
	struct stat st = { 0 };

	*audit = AUDIT_NONE;
	make_folder(path);
	audit->path = xstrdup(path);
	if (check_folder(path) == 0)
		audit->fd = open_file(path, O_APPEND, &st);
	if (audit->fd >= 0) {
		audit->dev = st.st_dev;
		audit->ino = st.st_ino;
		audit->head_fd = open_file(head, 0, &st);
	}
	if (audit->head_fd >= 0)
		return 0;
	audit_close(audit);
	return -1;
}

void audit_close(struct audit *audit)
{
	cleanup_fd(&audit->fd);
	cleanup_fd(&audit->head_fd);
	free(audit->path);
	*audit = AUDIT_NONE;
}

/*** The lock, the head ***/

bool audit_lock(int head_fd, unsigned int patience_ms)
{
	const struct timespec nap = { .tv_nsec = 100 * 1000 };
	uint64_t deadline = 0;

	while (flock(head_fd, LOCK_EX | LOCK_NB) != 0) {
		uint64_t now = now_ms(CLOCK_MONOTONIC);

		if (deadline == 0)
			deadline = now + patience_ms;
		if (errno != EWOULDBLOCK || now >= deadline)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

void audit_head_read(int head_fd, struct audit_head *head)
{
	char text[128] = "";
	ssize_t n = pread(head_fd, text, sizeof(text) - 1, 0);

	memcpy(head->hash, zeros, sizeof(zeros));
	head->size = 0;
	if (n > SHA256_HEX && text[SHA256_HEX - 1] == ' ' &&
	    strspn(text, "0123456789abcdef") == SHA256_HEX - 1) {
		memcpy(head->hash, text, SHA256_HEX - 1);
		head->size = strtoull(text + SHA256_HEX, NULL, 10);
	}
}

/* Of one length always, so that no end of an older one is left. */
static void write_head(int head_fd, const char *hash, off_t size)
{
	char text[SHA256_HEX + 24];
	int n = snprintf(text, sizeof(text), "%s %020lld\n", hash,
			 (long long)size);

	/* Fails on a full disk only: then the next writer reads the tail. */
	(void)!pwrite(head_fd, text, (size_t)n, 0);
}

/*** Appending ***/

/*
 * Whoever wrote last died before its head was written, or found the disk full
 * within a line.  What stands at the end counts as a line.
 */
static void read_tail(int fd, off_t size, char hash[static SHA256_HEX],
		      bool *torn)
{
	size_t want = size < TAIL_MAX ? (size_t)size : TAIL_MAX;
	auto_free char *tail = xcalloc(1, want + 1);
	ssize_t n = pread(fd, tail, want, size - (off_t)want);
	size_t len = n > 0 ? (size_t)n : 0;
	const char *before;
	struct sha256 ctx;

	*torn = len > 0 && tail[len - 1] != '\n';
	if (len > 0 && !*torn)
		len--;
	before = memrchr(tail, '\n', len);
	sha256_init(&ctx);
	if (before)
		len -= (size_t)(before + 1 - tail);
	sha256_update(&ctx, before ? before + 1 : tail, len);
	sha256_hex(&ctx, hash);
}

/*
 * A rotation has put another file in the place of ours, or none: the chain goes
 * on there.  A file that cannot be opened leaves us with the old one.
 */
static int follow_rotation(struct audit *audit, struct stat *st)
{
	int fd;

	if (stat(audit->path, st) == 0 && st->st_ino == audit->ino &&
	    st->st_dev == audit->dev)
		return 0;
	fd = open_file(audit->path, O_APPEND, st);
	err_reset();
	if (fd < 0)
		return fstat(audit->fd, st);
	close(audit->fd);
	audit->fd = fd;
	audit->dev = st->st_dev;
	audit->ino = st->st_ino;
	audit->size = 0;
	return 0;
}

/*
 * One write, never two: a reader or a crash sees no half of our own making.
 * Returns its length.
 */
static ssize_t write_line(struct audit *audit, const char *json, bool torn,
			  bool begins, const char *prev)
{
	char prefix[AUDIT_PREFIX_MAX];
	char *end = stpcpy(stpcpy(stpcpy(prefix, "{\"prev\":\""), prev),
			   begins ? "\",\"begins\":true," : "\",");
	size_t n = (size_t)(end - prefix);
	size_t rest = strlen(json + 1);
	const struct iovec parts[] = {
		{ (char *)"\n", torn },
		{ prefix, n },
		{ (char *)(uintptr_t)(json + 1), rest },
		{ (char *)"\n", 1 },
	};
	ssize_t total = (ssize_t)(torn + n + rest + 1), done;
	struct sha256 ctx;

	done = writev(audit->fd, parts, ARRAY_SIZE(parts));
	if (done != total) {
		if (done >= 0)
			errno = ENOSPC;
		return -1;
	}
	sha256_init(&ctx);
	sha256_update(&ctx, prefix, n);
	sha256_update(&ctx, json + 1, rest);
	sha256_hex(&ctx, audit->hash);
	return total;
}

/*
 * The line follows the head, not what happens to stand at the end: when lines
 * were cut off, the gap shows in the chain for ever.  But what stands beyond
 * the head was written by somebody who died before saying so.  A log that ends
 * where we left it has the head that we wrote.
 */
static void find_head(const struct audit *audit, off_t size,
		      struct audit_head *head, bool *torn)
{
	if (size > 0 && size == audit->size) {
		memcpy(head->hash, audit->hash, sizeof(head->hash));
		return;
	}
	audit_head_read(audit->head_fd, head);
	if ((unsigned long long)size > head->size)
		read_tail(audit->fd, size, head->hash, torn);
}

static int find_place(struct audit *audit, struct audit_place *place)
{
	struct audit_head head;
	struct stat st;

	*place = (struct audit_place){ 0 };
	/* Without the lock O_APPEND still keeps the line whole; if the chain
	 * forks, it will show. */
	place->locked = audit_lock(audit->head_fd,
				   audit->impatient ? 0 : LOCK_PATIENCE_MS);
	audit->impatient = !place->locked;
	if (follow_rotation(audit, &st) != 0)
		return -1;
	find_head(audit, st.st_size, &head, &place->torn);
	audit->size = 0;
	memcpy(place->prev, head.hash, sizeof(place->prev));
	place->size = st.st_size;
	return 0;
}

/* Where the last whole line ends is the head's to say. */
static void leave_place(struct audit *audit, struct audit_place *place)
{
	if (!place->locked)
		return;
	if (place->written) {
		write_head(audit->head_fd, place->prev, place->size);
		audit->size = place->size;
	}
	flock(audit->head_fd, LOCK_UN);
	place->locked = false;
}

static int append(struct audit *audit, struct audit_place *place,
		  const char *json)
{
	ssize_t n = write_line(audit, json, place->torn, place->size == 0,
			       place->prev);

	if (n < 0)
		return -1;
	place->torn = false;
	place->written = true;
	place->size += n;
	memcpy(place->prev, audit->hash, sizeof(place->prev));
	return 0;
}

void audit_hold(struct audit *audit)
{
	/* Where others write as well, each line has to look for its place. */
	if (find_place(audit, &audit->held) != 0 || !audit->held.locked)
		leave_place(audit, &audit->held);
}

void audit_release(struct audit *audit)
{
	leave_place(audit, &audit->held);
}

int audit_append(struct audit *audit, const char *json)
{
	struct audit_place place;
	int rc, err;

	if (audit->held.locked) {
		rc = append(audit, &audit->held, json);
		err = errno;
		/* Half a line may stand there: the next one looks again. */
		if (rc != 0)
			audit_release(audit);
	} else {
		rc = find_place(audit, &place);
		if (rc == 0)
			rc = append(audit, &place, json);
		err = errno;
		leave_place(audit, &place);
	}
	errno = err;
	return rc;
}
