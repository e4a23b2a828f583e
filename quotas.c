/* SPDX-License-Identifier: MIT */
#include "quotas.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "layers.h"
#include "util.h"

#define INOTIFY "/proc/sys/fs/inotify/"

static const struct {
	const char *name;
	const char *half_of; /* NULL: 0 */
} rows[QUOTAS] = {
	{ "max_user_namespaces", NULL },
	{ "max_mnt_namespaces", NULL },
	{ "max_pid_namespaces", NULL },
	{ "max_net_namespaces", NULL },
	{ "max_uts_namespaces", NULL },
	{ "max_ipc_namespaces", NULL },
	{ "max_cgroup_namespaces", NULL },
	{ "max_time_namespaces", NULL }, /* Linux 5.6 */
	{ "max_inotify_instances", INOTIFY "max_user_instances" },
	{ "max_inotify_watches", INOTIFY "max_user_watches" },
};

static uint64_t half(const char *path)
{
	auto_free char *text = read_file(AT_FDCWD, path, 64, NULL);
	uint64_t value;

	if (text == NULL)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return parse_u64(text, &value) < 0 ? 0 : value / 2;
}

struct quotas quotas_read(void)
{
	struct quotas quotas = { 0 };

	for (size_t i = 0; i < QUOTAS; i++)
		if (rows[i].half_of)
			quotas.values[i] = half(rows[i].half_of);
	return quotas;
}

int quotas_lower(int user_fd, const struct quotas *quotas)
{
	for (size_t i = 0; !layer_is_off("quotas") && i < QUOTAS; i++) {
		const char *name = rows[i].name;
		auto_fd int fd = openat(user_fd, name, O_WRONLY | O_CLOEXEC);
		char text[24];

		/* A kernel without what it is about. */
		if (fd < 0 && errno == ENOENT)
			continue;
		snprintf(text, sizeof(text), "%" PRIu64, quotas->values[i]);
		if (fd < 0 || write_all(fd, text, strlen(text)) < 0)
			return fail(errno, "cannot set %s to %s", name, text);
	}
	return 0;
}
