/* SPDX-License-Identifier: MIT */
#pragma once

/* Figures as a person reads them.  The strings are owned. */

#include <stdint.h>

/* "512 B", "1.5 MiB" */
char *human_bytes(uint64_t bytes);
/* "20 ms", "1.5 s", "3 min 4 s", "2 h 5 min" */
char *human_time(uint64_t ms);
