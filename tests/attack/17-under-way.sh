#!/bin/bash
# SPDX-License-Identifier: MIT
# run-as: user
#
# Descriptors that wait in sockets are counted for all processes of a user, and
# nobody with as low a limit of open files sends any while there are too many: a
# payload that leaves a thousand there is not to keep others from starting.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
need python3
[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 4096 ] ||
	skip "a hard limit of $(ulimit -Hn) open files"
ulimit -Sn 1024

cat >"$T/fill.py" <<'PY'
import errno, socket, sys
held = []
try:
    while len(held) < 10000:
        held.append(socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
        socket.send_fds(held[-1][0], [b"x"], [0] * int(sys.argv[1]))
        if sys.argv[1] == "1":
            break
    print("sent", flush=True)
except OSError as e:
    print(errno.errorcode[e.errno], flush=True)
sys.stdin.read()
PY

mkfifo "$T/hold"
"$M9M" -q --no-artifact --ro-bind "$T/fill.py" /fill.py python3 /fill.py 200 \
	<"$T/hold" >"$T/filled" &
exec 6>"$T/hold"
check "it has them under way" await_line "$T/filled" ETOOMANYREFS
is "outside, nobody of this user can send one" \
	"$(python3 "$T/fill.py" 1 </dev/null)" ETOOMANYREFS
expect_exit 0 "$M9M" -q --no-artifact sh -c 'ulimit -n; ulimit -Hn'
is "a run has its own limit all the same" "$(sort -u "$T/out")" 1024
expect_exit 0 "$M9M" -q --no-artifact --network allow --allow example.org true
exec 6>&-
wait
# A profile may forbid to set it when it is set last.  The sanitizers cannot
# compile one.
if ! sanitized; then
	echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["prlimit64"],
	"action":"SCMP_ACT_ERRNO"}]}' >"$T/profile.json"
	expect_exit 0 "$M9M" -q --no-artifact --seccomp "$T/profile.json" \
		grep 'Max open files' /proc/self/limits
	is "nor with a profile that forbids to set it" \
		"$(awk '{ print $4, $5 }' "$T/out")" "1024 1024"
fi
