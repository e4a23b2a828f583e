#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Runs as root of a guest whose kernel has no Landlock (tests/62-no-landlock.sh):
# the list of allowed commands holds by what is left.
. "$(dirname "$0")/../lib.sh"

"$M9M" --explain true >"$T/plan"
matches "$T/plan" '^landlock  *none in this kernel'
"$M9M" -q --no-artifact --result "$T/result.json" --allow-command cat cat /etc/hostname
lacks "$T/result.json" landlock
contains "$T/result.json" '"commands"'
expect_exit 0 bash tests/attack/07-breakout.sh
sed 's/^/# /' "$T/out"
contains "$T/out" "# no Landlock in this kernel"
expect_exit 0 bash tests/45-commands.sh
sed 's/^/# /' "$T/out"
