/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A run as one page of HTML: no script, no network, nothing from inside that is
 * more than text.
 */

/* Reads an archive, a result or events at `source`, writes the page to `path`
 * ("-": stdout).  By fail(). */
int report_write(const char *path, const char *source);
