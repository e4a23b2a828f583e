#!/bin/bash
# SPDX-License-Identifier: MIT
# Under systemd: scopes from the system's and the user's manager.
# run-as: root
# timeout: 900
. "$(dirname "$0")/lib.sh"

! sanitized || skip "the sanitizers' libraries are not in the guest"
cd "$TOP" || exit 99
[ -x "$B/unit-cgroup" ] || skip "$B/unit-cgroup is not built (make unit)"
run tests/guest/uml.sh --systemd --time 800 bash tests/guest/cgroup-systemd.sh
[ "$rc" != 77 ] || skip "$(tail -n 1 "$T/out")"
sed 's/^\(not ok\|ok\)/#   \1/; s/^1\.\./# 1../' "$T/out"
check "the guest's own checks" test "$rc" = 0
matches "$T/out" '^1\.\.[1-9]'
