#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Prints the profiles as rows of a C array: { "claude", "...json..." },
# usage: embed.sh FILE.json...
set -eu

for file; do
	name=${file##*/}
	# The text of a profile is ASCII without trigraphs (agent.c's unit test
	# parses each), so that these two escapes make it a C string.
	printf '{ "%s",\n' "${name%.json}"
	sed -e 's/[\\"]/\\&/g' -e 's/	/ /g' -e 's/^ */  "/' -e 's/$/\\n"/' "$file"
	printf '},\n'
done
