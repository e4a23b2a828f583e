/* SPDX-License-Identifier: MIT */
#include "cache.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <unistd.h>

#include "util.h"

#define PLACES 256

int cache_open(const char *path)
{
	auto_fd int fd = open(path,
			      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
	    st.st_mode & 022)
		return -1;
	return take_fd(&fd);
}

/* What is installed together has inodes one after the other. */
struct cache_place cache_place(dev_t dev, ino_t ino)
{
	struct cache_place place;

	snprintf(place.name, sizeof(place.name), "%02x",
		 (unsigned int)((dev * 31 + ino) % PLACES));
	return place;
}

bool cache_tells(const struct statfs *fs)
{
	static const unsigned long types[] = {
		EXT4_SUPER_MAGIC, /* ext2 and ext3, too */
		XFS_SUPER_MAGIC,  BTRFS_SUPER_MAGIC,
		F2FS_SUPER_MAGIC, TMPFS_MAGIC,
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((unsigned long)fs->f_type == types[i])
			return true;
	return false;
}

bool cache_settled(const struct timespec *ctime, const struct timespec *now,
		   time_t age_s)
{
	return ctime->tv_nsec != 0 && ctime->tv_sec < now->tv_sec - age_s;
}
