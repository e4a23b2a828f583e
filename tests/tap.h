/* SPDX-License-Identifier: MIT */
#pragma once

/* The Test Anything Protocol, as much of it as a unit test needs. */

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int tap_count, tap_failed;

__attribute__((format(printf, 2, 3), unused)) static inline bool
ok(bool cond, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", cond ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	/* A crash in the next check must not take this line along, and a
	 * forked child must not print it a second time. */
	fflush(stdout);
	tap_failed += !cond;
	return cond;
}

/* The last line of main: prints the plan; no check at all is a failure. */
__attribute__((unused)) static inline int done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed || !tap_count;
}

/* The runner counts 77 as skipped and shows the reason. */
__attribute__((unused)) static inline int skipped(const char *reason)
{
	printf("1..0 # SKIP %s\n%s\n", reason, reason);
	return 77;
}
