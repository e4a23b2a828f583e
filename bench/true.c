/* SPDX-License-Identifier: MIT */

/* Linked statically: what is left of a run is the sandbox's own time. */
int main(void)
{
	return 0;
}
