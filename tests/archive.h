/* SPDX-License-Identifier: MIT */
#pragma once

/* One workdir after another, and archives of it, for the tests of artifact.c. */

#include "artifact.h"
#include "hostile.h"

static struct workdir wd; /* of the test at hand */
static struct artifact_limits allowed;

__attribute__((unused)) static void begin(void (*make)(void))
{
	static int number;
	char id[16];

	snprintf(id, sizeof(id), "run-%d", ++number);
	if (workdir_create(&wd, at("runs"), id, owner_uid(), owner_gid()) < 0 ||
	    workdir_make_work(&wd) < 0)
		die("workdir_create");
	if (make)
		as_payload(&wd, make);
}

__attribute__((unused)) static void end(void)
{
	if (workdir_remove(&wd) < 0)
		die("workdir_remove");
	workdir_close(&wd);
}

__attribute__((unused)) static void put_log(const char *name, const char *text)
{
	auto_fd int fd = workdir_make_log(&wd, name, O_WRONLY);

	if (fd < 0 || write_all(fd, text, strlen(text)) < 0)
		die(name);
}

__attribute__((unused)) static int write_to(const char *path,
					    struct artifact *artifact)
{
	struct artifact_request req = { .path = path,
					.limits = allowed,
					.run_json = "{\"status\":\"ok\"}\n" };

	if (artifact_compression_of(path, &req.compression) < 0)
		die(path);
	return artifact_write(&wd, &req, artifact);
}

__attribute__((format(printf, 1, 2), unused)) static bool run(const char *fmt,
							      ...)
{
	auto_free char *command = NULL;
	va_list ap;
	int status;

	va_start(ap, fmt);
	if (vasprintf(&command, fmt, ap) < 0)
		die("vasprintf");
	va_end(ap);
	fflush(stdout);
	status = system(command);
	if (status != 0)
		printf("# %d: %s\n", status, command);
	return status == 0;
}

__attribute__((unused)) static bool same_bytes(const char *a, const char *b)
{
	size_t n, m;
	auto_free char *x = read_file(AT_FDCWD, a, 1 << 28, &n);
	auto_free char *y = read_file(AT_FDCWD, b, 1 << 28, &m);

	return x && y && n == m && memcmp(x, y, n) == 0;
}
