#!/bin/bash
# SPDX-License-Identifier: MIT
# A list of allowed commands on a kernel without Landlock.
# timeout: 600
# run-as: root
. "$(dirname "$0")/lib.sh"

! sanitized || skip "the sanitizers do not work in the guest's memory layout"
cd "$TOP" || exit 99
need jq python3
run tests/guest/uml.sh --mem 1G --time 500 bash tests/guest/no-landlock.sh
[ "$rc" != 77 ] || skip "$(tail -n 1 "$T/out")"
sed 's/^\(not ok\|ok\)/#   \1/; s/^1\.\./# 1../' "$T/out"
check "the guest's own checks" test "$rc" = 0
matches "$T/out" '^1\.\.[1-9]'
