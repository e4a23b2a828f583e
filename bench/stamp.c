/* SPDX-License-Identifier: MIT */

/* Linked statically: prints when it was started, for pair --start. */

#include "commands.h"

int main(void)
{
	printf("%.3f\n", now_us());
	return 0;
}
