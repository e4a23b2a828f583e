/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Libraries that few runs need, loaded by those that do: at the start each of
 * them costs every run 0.05 to 0.1 ms.
 */

#include <stddef.h>

struct lazy_symbol {
	const char *name;
	void *place; /* a pointer to a function of that type */
};

/* Fills the places, once; the library stays.  By fail(). */
int lazy_load(const char *library, const struct lazy_symbol *symbols, size_t n);

/*
 * With LD_LIBRARY_PATH the loader looks in folders of the caller's choice, the
 * working directory among them, which the payload may write: then all that may
 * be wanted is loaded before it starts, and nothing afterwards.
 */
void lazy_settle(void);

/* dlopen(), of what is there already once that is settled. */
void *lazy_open(const char *library);
