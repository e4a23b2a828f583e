/* SPDX-License-Identifier: MIT */
#include "layers.h"

#include <stdlib.h>
#include <string.h>

/* Is the name a word of $M9M_TEST_OFF? */
bool layer_is_off(const char *name)
{
	const char *off = getenv("M9M_TEST_OFF");
	size_t len = strlen(name);

	for (; off && *off; off += strcspn(off, ","), off += *off == ',')
		if (strncmp(off, name, len) == 0 && strchr(",", off[len]))
			return true;
	return false;
}
