/* SPDX-License-Identifier: MIT */
#include "claim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "text.h"
#include "util.h"
#include "walk.h"
#include "workdir.h"

#define SUFFIX ".name"

static int refuse_taken(int fd, const char *name)
{
	auto_free char *holder = read_fd(fd, 256, NULL);

	if (holder == NULL || holder[0] == '\0')
		return fail(0, "the name %s is taken by another run", name);
	return fail(0, "the name %s is taken by %s", name, holder);
}

static bool is_there(int runs_fd, const char *file, int fd)
{
	struct stat st, now;

	return fstat(fd, &st) == 0 &&
	       fstatat(runs_fd, file, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == now.st_ino && st.st_dev == now.st_dev;
}

/* Locked, and still the file of that name: who gives one back removes it. */
static int lock_file(int runs_fd, const char *file, const char *name)
{
	for (;;) {
		auto_fd int fd = openat(
		    runs_fd, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		    0600);

		if (fd < 0)
			return fail(errno, "cannot take the name %s", name);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK
				   ? refuse_taken(fd, name)
				   : fail(errno, "cannot take the name %s",
					  name);
		if (is_there(runs_fd, file, fd))
			return take_fd(&fd);
	}
}

int claim_take(struct claim *claim, const char *runs_dir, const char *name,
	       const char *run_id)
{
	auto_free char *holder = xasprintf("the run %s (pid %d)", run_id,
					   getpid());

	claim->runs_fd = workdir_open_runs(runs_dir);
	if (claim->runs_fd < 0)
		return -1;
	claim->file = xasprintf("%s" SUFFIX, name);
	claim->fd = lock_file(claim->runs_fd, claim->file, name);
	if (claim->fd < 0)
		return -1;
	if (ftruncate(claim->fd, 0) < 0 ||
	    pwrite(claim->fd, holder, strlen(holder), 0) < 0)
		return fail(errno, "cannot take the name %s", name);
	return 0;
}

void claim_release(struct claim *claim)
{
	/* While we still have it. */
	if (claim->fd >= 0)
		(void)unlinkat(claim->runs_fd, claim->file, 0);
	cleanup_fd(&claim->fd);
	cleanup_fd(&claim->runs_fd);
	free(claim->file);
	*claim = CLAIM_NONE;
}

static void sweep(int runs_fd, const char *file)
{
	auto_fd int fd = openat(runs_fd, file, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	    is_there(runs_fd, file, fd))
		(void)unlinkat(runs_fd, file, 0);
}

void claim_sweep(int runs_fd)
{
	struct walk_reader reader;
	struct walk_name entry;
	int fd = openat(runs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	walk_start(&reader, fd);
	while (walk_next(&reader, &entry) == 1) {
		size_t len = strlen(entry.name);

		if (len > strlen(SUFFIX) &&
		    strcmp(entry.name + len - strlen(SUFFIX), SUFFIX) == 0)
			sweep(runs_fd, entry.name);
	}
	walk_end(&reader);
}
