/* SPDX-License-Identifier: MIT */
#include "newfs.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cause.h"
#include "err.h"
#include "util.h"

int newfs_make(const char *type, const char *const options[][2],
	       size_t n_options, unsigned int attributes)
{
	auto_fd int fs = fsopen(type, FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0)
		return fail(errno, "cannot open file system type %s", type);
	for (size_t i = 0; i < n_options; i++)
		if (fsconfig(fs,
			     options[i][1] ? FSCONFIG_SET_STRING
					   : FSCONFIG_SET_FLAG,
			     options[i][0], options[i][1], 0) < 0)
			return fail(errno, "cannot set %s of a new %s",
				    options[i][0], type);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail(errno, "cannot make a new %s", type);
	fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | attributes);
	return fd >= 0 ? fd : fail(errno, "cannot mount a new %s", type);
}

int newfs_tmpfs(uint64_t bytes, mode_t mode, unsigned int attributes)
{
	auto_free char *size = xasprintf("%llu", (unsigned long long)bytes);
	/* One file per 4 KiB, so that empty files cannot eat kernel memory. */
	auto_free char *inodes = xasprintf(
	    "%llu", (unsigned long long)bytes / 4096 + 64);
	auto_free char *octal = xasprintf("%o", mode);
	const char *const options[][2] = { { "size", size },
					   { "nr_inodes", inodes },
					   { "mode", octal } };

	return newfs_make("tmpfs", options, ARRAY_SIZE(options),
			  MOUNT_ATTR_NODEV | attributes);
}

int newfs_proc(void)
{
	int fd = newfs_make("proc", NULL, 0,
			    MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	const char *cause = fd < 0 ? cause_proc(errno) : NULL;

	return cause ? fail_remedy("%s", cause) : fd;
}

/* The machine has 4096 (kernel.pty.max), and all but a quarter may be had by any
 * sandbox and container.  The one file system whose own device nodes must work. */
int newfs_devpts(void)
{
	static const char *const options[][2] = { { "ptmxmode", "0666" },
						  { "mode", "0620" },
						  { "max", "128" } };

	return newfs_make("devpts", options, ARRAY_SIZE(options),
			  MOUNT_ATTR_NOEXEC);
}

/*
 * A namespace that has such a file system has its handlers and nobody else's,
 * also when it is mounted nowhere any more.
 */
void newfs_hide_handlers(void)
{
	auto_fd int fs = -1;

	/* Without the folder there are none, and to ask would load a module. */
	if (access("/proc/sys/fs/binfmt_misc", F_OK) == 0)
		fs = fsopen("binfmt_misc", FSOPEN_CLOEXEC);
	if (fs >= 0)
		fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

int newfs_overlay(const char *lower, const char *upper, const char *scratch)
{
	/* What userxattr implies is left out.  volatile: nothing is mounted
	 * again after a crash, and a flush at the end would wait for the whole
	 * disk. */
	const char *const options[][2] = {
		{ "lowerdir", lower },  { "upperdir", upper },
		{ "workdir", scratch }, { "userxattr", NULL },
		{ "volatile", NULL },
	};

	return newfs_make("overlay", options, ARRAY_SIZE(options),
			  MOUNT_ATTR_NODEV);
}
