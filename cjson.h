/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cJSON's functions, by their own names, from the library that is loaded by the
 * first call of one: a run that neither reads nor prints JSON goes without.
 */

/* Loads it now; by fail(), where later there is only an end of this process.
 * For who is going to need it when there is something to lose. */
int cjson_load(void);
