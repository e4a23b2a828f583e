/* SPDX-License-Identifier: MIT */
#pragma once

/* Between the report*.c files. */

#include <stdio.h>

#include "record.h"

/* Text of anybody's, as HTML that shows it: what is hidden is made visible, and
 * nothing is markup. */
void report_text(FILE *out, const char *text);

/* The time line and the curves, as one SVG. */
void report_chart(FILE *out, const struct record *record);
