#!/bin/bash
# SPDX-License-Identifier: MIT
# Under systemd: scopes from the system's and the user's manager.
# run-as: root
# timeout: 1300
. "$(dirname "$0")/lib.sh"

! sanitized || skip "the sanitizers' libraries are not in the guest"
cd "$TOP" || exit 99
[ -x "$B/unit-cgroup" ] || skip "$B/unit-cgroup is not built (make unit)"
in_guest --systemd --time 1200 bash tests/guest/cgroup-systemd.sh
