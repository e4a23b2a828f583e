/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The attack tests switch single layers off, to show that the others hold by
 * themselves and that an attack works where none does.  They have a program of
 * their own for that (tests/layers.c); in the real one this is a constant.
 */

#include <stdbool.h>

#ifdef M9M_TEST_LAYERS
bool layer_is_off(const char *name);
#else
static inline bool layer_is_off(const char *name)
{
	(void)name;
	return false;
}
#endif
