#!/bin/bash
# SPDX-License-Identifier: MIT
# cgroup v2, on another kernel: root and ordinary users, wherever they stand.
# timeout: 1300
. "$(dirname "$0")/lib.sh"

! sanitized || skip "the sanitizers do not work in the guest's memory layout"
cd "$TOP" || exit 99
need jq python3
[ -x "$B/unit-cgroup" ] || skip "$B/unit-cgroup is not built (make unit)"
in_guest --mem 1G --time 1200 bash tests/guest/cgroup-v2.sh
