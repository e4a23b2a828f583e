/* SPDX-License-Identifier: MIT */
#include "ruleset.h"

#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

#define CREATE_VERSION    1u
#define RULE_PATH_BENEATH 1

#define TCP    (RULESET_BIND_TCP | 2ULL /* connect */)
#define SCOPES (RULESET_SOCKETS | RULESET_SIGNALS)

struct path_rule {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

/* By version; a later one is used as the last. */
static const struct {
	struct ruleset_rights known;
	size_t size; /* of the structure that it takes */
} versions[] = {
	{ { 0, 0, 0 }, 0 },
	{ { 0x1fff, 0, 0 }, 8 },
	{ { 0x3fff, 0, 0 }, 8 },
	{ { 0x7fff, 0, 0 }, 8 },
	{ { 0x7fff, TCP, 0 }, 16 },
	{ { RULESET_FILES, TCP, 0 }, 16 },
	{ { RULESET_FILES, TCP, SCOPES }, 24 },
};

static size_t row_of(int version)
{
	const size_t last = ARRAY_SIZE(versions) - 1;

	if (version < 0)
		return 0;
	return (size_t)version < last ? (size_t)version : last;
}

int ruleset_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       CREATE_VERSION);

	return version < 0 ? 0 : (int)version;
}

struct ruleset_rights ruleset_known(int version, struct ruleset_rights wanted)
{
	const struct ruleset_rights *known = &versions[row_of(version)].known;

	return (struct ruleset_rights){
		.fs = wanted.fs & known->fs,
		.net = wanted.net & known->net,
		.scoped = wanted.scoped & known->scoped,
	};
}

int ruleset_make(int version, const struct ruleset_rights *known)
{
	return (int)syscall(SYS_landlock_create_ruleset, known,
			    versions[row_of(version)].size, 0);
}

int ruleset_grant(int ruleset_fd, int fd, uint64_t fs)
{
	struct path_rule rule = { .allowed = fs, .parent_fd = fd };

	return (int)syscall(SYS_landlock_add_rule, ruleset_fd,
			    RULE_PATH_BENEATH, &rule, 0);
}

int ruleset_enter(int ruleset_fd)
{
	return (int)syscall(SYS_landlock_restrict_self, ruleset_fd, 0);
}
