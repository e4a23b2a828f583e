#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Executing, or mapping as code, what is not on the list of allowed commands.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=matrix.sh
. "$TOP/tests/attack/matrix.sh"

cp "$TOP/$B/breakout" "$T/breakout"
chmod 755 "$T/breakout"
# A library that neither the program nor cat is linked with.
library=$(ldconfig -p 2>/dev/null | sed -n 's/.*libz\.so\.1 .*64.* => //p' | head -n 1)
[ -n "$library" ] || skip "no libz.so.1"

attack() {
	"$1" -q --no-artifact --allow-command cat --input "$library:lib.so" \
		--input /usr/bin/uname:uname -- "$T/breakout"
}

layers="hide noexec landlock seccomp quotas"
matrix breakout
