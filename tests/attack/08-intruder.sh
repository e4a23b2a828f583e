#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Namespaces of one's own, kernel interfaces, PID 1, the terminal, the host's
# kernel in /proc, and a tree that is only shown.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=matrix.sh
. "$TOP/tests/attack/matrix.sh"

cp "$TOP/$B/intruder" "$T/intruder"
chmod 755 "$T/intruder"

attack() {
	local name
	rm -rf "$T/shown"
	mkdir -m 777 "$T/shown"
	for name in write truncate rename remove; do
		echo x >"$T/shown/$name"
		chmod 666 "$T/shown/$name"
	done
	"$1" -q --no-artifact --ro-bind "$T/shown" /shown -- "$T/intruder"
}

layers="seccomp quotas dumpable masks readonly landlock"
matrix intruder
