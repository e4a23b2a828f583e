/* SPDX-License-Identifier: MIT */
#include "cgroup_backend.h"

#include <fcntl.h>
#include <string.h>

#include "util.h"

/*
 * No cgroup of our own: the run stays where we are, and whoever put us there
 * (a container, a unit, a batch system) is to have set the caps.  That is
 * looked at, not believed.
 */

/* What v1 says where there is no limit: as many pages as fit into a long. */
#define V1_NO_LIMIT (1ULL << 62)

static const char no_limit_remedy[] =
    "start it where memory is limited (systemd-run --user -p MemoryMax=2G, "
    "docker run --memory 2g), or let it make a cgroup: --cgroup auto";

/* In the cgroup itself or in one above it that can be seen. */
static bool v2_limits(const struct cgroup_place *place)
{
	auto_free char *dir = xstrdup(place->own);

	while (path_under(dir, place->mount)) {
		auto_free char *path = path_join(dir, "memory.max");
		auto_free char *text = read_file(AT_FDCWD, path, 64, NULL);

		if (text && strncmp(text, "max", 3) != 0)
			return true;
		*strrchr(dir, '/') = '\0';
	}
	return false;
}

static bool v1_limits(const struct cgroup_place *place)
{
	auto_fd int fd = open(place->own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t limit = fd < 0 ? 0
				: cgroup_read_key(fd, "memory.stat",
						  "hierarchical_memory_limit");

	return limit > 0 && limit < V1_NO_LIMIT;
}

int cgroup_inherit_create(struct cgroup *cg,
			  const struct cgroup_request *request,
			  struct cgroup_refusal *refusal)
{
	struct cgroup_place v1 = { 0 }, v2 = { 0 };
	bool limited = false;

	if (cgroup_find(request->map, "memory", &v1) == 0)
		limited = v1_limits(&v1);
	if (!limited && cgroup_find(request->map, NULL, &v2) == 0)
		limited = v2_limits(&v2);
	if (limited)
		cg->backend = CGROUP_INHERIT;
	else
		cgroup_refuse(refusal, 0, "nothing limits memory in %s",
			      v1.own   ? v1.own
			      : v2.own ? v2.own
				       : "any cgroup that can be seen");
	refusal->remedy = no_limit_remedy;
	cgroup_place_free(&v1);
	cgroup_place_free(&v2);
	return limited ? 0 : -1;
}

/* Others may be in it: what it counts is not ours. */
void cgroup_inherit_usage(const struct cgroup *cg, struct cgroup_usage *usage)
{
	(void)cg;
	(void)usage;
}
