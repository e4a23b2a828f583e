/* SPDX-License-Identifier: MIT */
#include "members.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>

#include "util.h"

/* Who was forked by this thread, or came to it as an orphan. */
static void add_children(struct members *m, pid_t pid, const char *thread)
{
	auto_free char *path = xasprintf("/proc/%d/task/%s/children", pid,
					 thread);
	auto_free char *text = read_file(AT_FDCWD, path, 1 << 20, NULL);
	char *end = text;

	for (char *at = text; at && *at && m->n < MEMBERS_MAX; at = end) {
		long child = strtol(at, &end, 10);

		if (end == at)
			return;
		m->pids[m->n++] = (pid_t)child;
		end += *end == ' ';
	}
}

static void add_children_of(struct members *m, pid_t pid)
{
	auto_free char *path = xasprintf("/proc/%d/task", pid);
	DIR *threads = opendir(path);
	struct dirent *entry;

	while (threads && (entry = readdir(threads)))
		if (entry->d_name[0] != '.') {
			add_children(m, pid, entry->d_name);
			m->threads++;
		}
	if (threads)
		closedir(threads);
}

struct members *members_of(pid_t pid)
{
	struct members *m = xcalloc(1, sizeof(*m));

	m->pids[m->n++] = pid;
	for (size_t i = 0; i < m->n; i++)
		add_children_of(m, m->pids[i]);
	return m;
}
