#!/bin/bash
# SPDX-License-Identifier: MIT
# What crashes inside starts no program of the host's.
# timeout: 400
# run-as: root
. "$(dirname "$0")/lib.sh"

! sanitized || skip "the sanitizers do not work in the guest's memory layout"
cd "$TOP" || exit 99
need python3 setpriv
run tests/guest/uml.sh --mem 768M --time 300 bash tests/guest/core-handler.sh
[ "$rc" != 77 ] || skip "$(tail -n 1 "$T/out")"
sed 's/^\(not ok\|ok\)/#   \1/; s/^1\.\./# 1../' "$T/out"
check "the guest's own checks" test "$rc" = 0
matches "$T/out" '^1\.\.[1-9]'
