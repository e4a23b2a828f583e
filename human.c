/* SPDX-License-Identifier: MIT */
#include "human.h"

#include <inttypes.h>

#include "util.h"

char *human_bytes(uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB",
					     "TiB", "PiB", "EiB" };
	uint64_t tenths;
	size_t unit = 0;

	if (bytes < 1024)
		return xasprintf("%" PRIu64 " B", bytes);
	while (bytes >= 1024 * 1024 && unit + 1 < ARRAY_SIZE(units)) {
		bytes /= 1024;
		unit++;
	}
	tenths = bytes * 10 / 1024;
	if (tenths >= 1000)
		return xasprintf("%" PRIu64 " %s", tenths / 10, units[unit]);
	return xasprintf("%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10,
			 units[unit]);
}

char *human_time(uint64_t ms)
{
	uint64_t s = ms / 1000;

	if (ms < 1000)
		return xasprintf("%" PRIu64 " ms", ms);
	if (s < 60)
		return xasprintf("%" PRIu64 ".%" PRIu64 " s", s,
				 ms % 1000 / 100);
	if (s < 3600)
		return xasprintf("%" PRIu64 " min %" PRIu64 " s", s / 60,
				 s % 60);
	return xasprintf("%" PRIu64 " h %" PRIu64 " min", s / 3600,
			 s / 60 % 60);
}
