#!/bin/bash
# SPDX-License-Identifier: MIT
# What crashes inside starts no program of the host's.
# run-as: root
. "$(dirname "$0")/lib.sh"

! sanitized || skip "the sanitizers do not work in the guest's memory layout"
cd "$TOP" || exit 99
need python3 setpriv
in_guest --mem 768M --time 300 bash tests/guest/core-handler.sh
