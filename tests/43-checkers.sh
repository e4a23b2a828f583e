#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What Debian has to look at a machine's hardening, run inside: captest and pscap
# (libcap-ng-utils), checksec.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need captest pscap checksec

inside() { run "$M9M" -q --no-artifact "$@"; }

# --- captest: rights, and a look at /etc/shadow by itself and by a child -----
inside -- captest
matches "$T/out" '^Current capabilities: none'
is "nothing can be read of /etc/shadow" \
	"$(grep -c '^Attempting.*FAILED' "$T/out")" 2
lacks "$T/out" SUCCESS
captest --text >"$T/outside" 2>&1
! is_root || matches "$T/outside" 'SUCCESS'

# --- pscap: whoever has a capability -----------------------------------------
unshare -Ur sh -c 'echo ready; exec sleep 300' >"$T/ready" &
on_exit "kill $! 2>/dev/null"
await_line "$T/ready" ready
pscap -a >"$T/outside"
check "outside somebody has one" test -s "$T/outside"
inside -- pscap -a
is "inside nobody" "$(cat "$T/out")" ""

# --- checksec: what protects each process ------------------------------------
checks() { sed 's/\x1b\[[0-9;]*m//g' "$1" |
	awk '$1 == "COMMAND" { on = 1; next } NF == 0 { on = 0 } on'; }
inside -- sh -c 'sleep 300 & checksec --proc-all'
checks "$T/out" >"$T/inside"
check "processes are seen" test -s "$T/inside"
is "each under a filter of system calls" \
	"$(grep -vc 'Seccomp-bpf' "$T/inside")" 0
check "the one that sleeps among them" grep -q ' sleep ' "$T/inside"
is "and no PID 1 of the host's" "$(grep -cE '(systemd|init) ' "$T/inside")" 0
