/* SPDX-License-Identifier: MIT */

/*
 * hangfs DIR: a file system whose server takes a request to read its one file,
 * "file", and does not answer it, as one over a network that is gone.  Who
 * reads it sleeps in the kernel, where not even SIGKILL is seen, until the
 * server ends.  Says "ready" once it is mounted, "asked" for each read.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_INO (FUSE_ROOT_ID + 1)

/* Smaller ones the kernel refuses to fill. */
static char request[FUSE_MIN_READ_BUFFER + (1 << 20)];

static int mount_at(const char *dir)
{
	char options[128];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -1;
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other", fd,
		 getuid(), getgid());
	return mount("hangfs", dir, "fuse", MS_NOSUID | MS_NODEV, options) < 0
		   ? -1
		   : fd;
}

static void answer(int fd, const struct fuse_in_header *in, int error,
		   const void *body, size_t len)
{
	struct fuse_out_header out = { .len = (uint32_t)(sizeof(out) + len),
				       .error = error,
				       .unique = in->unique };
	struct iovec parts[] = { { &out, sizeof(out) }, { (void *)body, len } };

	/* Who asked may have been killed before we took it. */
	(void)!writev(fd, parts, 2);
}

static struct fuse_attr attributes(uint64_t ino)
{
	return (struct fuse_attr){
		.ino = ino,
		.size = 4096,
		.mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644,
		.nlink = 1,
		.blksize = 4096,
	};
}

static void serve(int fd, const struct fuse_in_header *in)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
				      .minor = FUSE_KERNEL_MINOR_VERSION,
				      .max_write = 4096 };
	struct fuse_entry_out entry = { .nodeid = FILE_INO,
					.attr = attributes(FILE_INO) };
	struct fuse_attr_out attr = { .attr = attributes(in->nodeid) };
	struct fuse_open_out opened = { .fh = 1 };

	switch (in->opcode) {
	case FUSE_INIT:
		answer(fd, in, 0, &init, sizeof(init));
		return;
	case FUSE_LOOKUP:
		if (strcmp((const char *)(in + 1), "file") == 0)
			answer(fd, in, 0, &entry, sizeof(entry));
		else
			answer(fd, in, -ENOENT, NULL, 0);
		return;
	case FUSE_GETATTR:
		answer(fd, in, 0, &attr, sizeof(attr));
		return;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		answer(fd, in, 0, &opened, sizeof(opened));
		return;
	case FUSE_READ:
		printf("asked\n");
		return;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return; /* none of them is answered */
	default:
		answer(fd, in, -ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? mount_at(argv[1]) : (errno = EINVAL, -1);

	if (fd < 0) {
		perror("hangfs");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("ready\n");
	for (;;) {
		ssize_t n = read(fd, request, sizeof(request));

		if (n > 0)
			serve(fd,
			      (const struct fuse_in_header *)(void *)request);
		else if (errno == ENODEV) /* unmounted */
			return 0;
	}
}
