#!/bin/bash
# SPDX-License-Identifier: MIT
# A list of allowed commands on a kernel without Landlock.
# run-as: root
. "$(dirname "$0")/lib.sh"

! sanitized || skip "the sanitizers do not work in the guest's memory layout"
cd "$TOP" || exit 99
need jq python3
in_guest --mem 1G --time 500 bash tests/guest/no-landlock.sh
