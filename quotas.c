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

static const struct {
	const char *name;
	const char *half_of; /* the host's, from the same folder; NULL: 0 */
} quotas[] = {
	{ "max_user_namespaces", NULL },
	{ "max_mnt_namespaces", NULL },
	{ "max_pid_namespaces", NULL },
	{ "max_net_namespaces", NULL },
	{ "max_uts_namespaces", NULL },
	{ "max_ipc_namespaces", NULL },
	{ "max_cgroup_namespaces", NULL },
	{ "max_time_namespaces", NULL }, /* Linux 5.6 */
	{ "max_inotify_instances", "../fs/inotify/max_user_instances" },
	{ "max_inotify_watches", "../fs/inotify/max_user_watches" },
};

static uint64_t half(int user_fd, const char *name)
{
	auto_free char *text = read_file(user_fd, name, 64, NULL);
	uint64_t value;

	if (text == NULL)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return parse_u64(text, &value) < 0 ? 0 : value / 2;
}

int quotas_lower(int user_fd)
{
	for (size_t i = 0; !layer_is_off("quotas") && i < ARRAY_SIZE(quotas);
	     i++) {
		const char *name = quotas[i].name;
		auto_fd int fd = openat(user_fd, name, O_WRONLY | O_CLOEXEC);
		char text[24] = "0";

		/* A kernel without what it is about. */
		if (fd < 0 && errno == ENOENT)
			continue;
		if (quotas[i].half_of)
			snprintf(text, sizeof(text), "%" PRIu64,
				 half(user_fd, quotas[i].half_of));
		if (fd < 0 || write_all(fd, text, strlen(text)) < 0)
			return fail(errno, "cannot set %s to %s", name, text);
	}
	return 0;
}
