#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Each system call that makes a network fails in turn, where a relay comes late
# (at the first socket of a run that is allowed nothing) and where ports are
# published: the run ends with an error that says what failed, or goes on and
# reaches nothing; it never hangs.
# timeout: 900
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need strace python3
! sanitized || skip "the sanitizers' own calls would be made to fail too"
strace -o /dev/null -f true 2>/dev/null || skip "strace may not trace here"
host_netns

cat >"$T/world.py" <<'END'
import socket
s = socket.create_server(("127.0.0.1", 7000))
print("ready", flush=True)
while True:
    s.accept()[0].sendall(b"REACHED")
END
serve python3 -B "$T/world.py"
cat >"$T/try.py" <<'END'
import socket, sys
sys.stderr.write("STARTED\n")
try:
    with socket.create_connection(("127.0.0.1", 7000), 20) as s:
        sys.stderr.write(s.recv(9).decode())
except OSError as e:
    sys.stderr.write("failed: %s\n" % e)
END
is "outside it is reached" "$(python3 -B "$T/try.py" 2>&1 | tail -n 1)" REACHED

# faults WHAT CALLS OPTION...: of a run with these options.
faults() {
	local what=$1 calls=$2 call n k total=0 opened=0 unfit=0 silent=0
	shift 2
	local run=("$M9M" -q --no-artifact --input "$T/try.py" "$@" --
		python3 -B try.py)
	strace -f -o "$T/trace" "${run[@]}" >/dev/null 2>"$T/err"
	check "$what: without a fault it starts" grep -q STARTED "$T/err"
	lacks "$T/err" REACHED
	for call in $calls; do
		n=$(awk -v call="$call" '
			$2 ~ "^" call "\\(" { n[$1]++ }
			END { for (p in n) if (n[p] > most) most = n[p]
				print most + 0 }' "$T/trace")
		for k in $(seq 1 "$n" | awk -v n="$n" 'NR <= 5 || NR == n'); do
			rc=0
			timeout -k 1 40 strace -f -o "$T/fault" \
				-e trace="$call" -e inject="$call":error=EIO:when="$k" \
				"${run[@]}" >"$T/out" 2>"$T/err" </dev/null || rc=$?
			grep -q '(INJECTED)' "$T/fault" || continue
			total=$((total + 1))
			rm -rf "$XDG_STATE_HOME/m9m-sandbox/runs"
			if grep -q REACHED "$T/err"; then
				opened=$((opened + 1))
				echo "# $call:$k opened it"
			fi
			# The payload's own calls fail too: it says so and ends.
			case $rc in 0 | 1 | 125 | 126 | 127) ;; *)
				unfit=$((unfit + 1))
				echo "# $call:$k exit $rc: $(tail -n 1 "$T/err")" ;;
			esac
			if [ "$rc" -ge 125 ] && ! grep -qE \
				'^m9m-sandbox: [a-z_ -]+: (cannot|the|its) ' "$T/err"; then
				silent=$((silent + 1))
				echo "# $call:$k says: $(head -n 2 "$T/err")"
			fi
		done
	done
	echo "# $what: $total faults injected"
	check "$what: faults were injected at all" test "$total" -gt 20
	is "$what: a server was reached in spite of one" "$opened" 0
	is "$what: other ends than an error's or the payload's" "$unfit" 0
	is "$what: errors that do not say what failed" "$silent" 0
}

calls="clone pipe2 socketpair pidfd_open setns socket bind listen setsockopt
sendto sendmsg recvmsg recvfrom fcntl dup2 dup3 close_range prctl capset seccomp
epoll_create1 epoll_ctl eventfd2 landlock_create_ruleset landlock_restrict_self"
# Not ioctl: what asks about calls of the payload is answered by one, which the
# kernel refuses for no reason that a fault could stand for.
# What an unprivileged strace cannot show of a process that is not dumpable.
is_root && calls="$calls setresuid setresgid setgroups"
faults "a late relay" "$calls"
faults "published ports" "$calls connect accept4 getsockname" --publish 7001:7001
