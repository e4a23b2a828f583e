#!/bin/bash
# SPDX-License-Identifier: MIT
# Each system call of the set-up fails in turn: the payload never starts, the
# message says what could not be done, and nothing is left.
# timeout: 900
. "$(dirname "$0")/lib.sh"
need strace
! sanitized || skip "the sanitizers' own calls would be made to fail too"

strace -o /dev/null -f true 2>/dev/null || skip "strace may not trace here"

M9M_RUN=("$M9M" -q --no-artifact --network allow --allow one.test
	--resolve one.test=127.0.0.1 sh -c 'echo STARTED >&2')

# What set-up consists of.  Left out: what only reads or only gives back
# (close, read, fstat, munmap), and memory, whose failure aborts.
CALLS="clone3 unshare vfork clone pipe2 socketpair socket bind listen sendto sendmsg
setsockopt signalfd4 openat2 open_tree mount_setattr move_mount fsopen fsconfig
fsmount mount umount2 pivot_root fchdir chdir mkdirat mknodat symlinkat unlinkat
sethostname setresuid setresgid setgroups capset keyctl setsid dup2 dup3
close_range prlimit64 seccomp execve prctl flock fchown"

# What an unprivileged strace cannot show are the arguments of a process that
# made itself undumpable; calls whose outcome depends on them are root's to try.
is_root || CALLS=$(echo " $CALLS " | tr '\n' ' ' |
	sed -E 's/ (socket|bind|sendmsg|setsockopt|openat2|open_tree|mount_setattr|setgroups|prctl|prlimit64|flock) / /g;
		s/ (socket|bind|sendmsg|setsockopt|openat2|open_tree|mount_setattr|setgroups|prctl|prlimit64|flock) / /g')

# strace does not know the call that clones and restricts a mount at once, of
# Linux 6.15: the two that do the same are made to fail.
STRACE=("$(dirname "$M9M")/refuse" open_tree_attr ENOSYS strace)

# How often the busiest process makes each call, up to the payload.
"${STRACE[@]}" -f -o "$T/trace" "${M9M_RUN[@]}" >/dev/null 2>"$T/err"
check "it works without a fault" grep -q STARTED "$T/err"
# The first execve is the program's own, the second the payload's.
awk '/ execve\(/ && ++n == 2 { exit } { print }' "$T/trace" >"$T/setup"

count_calls() {
	awk -v call="$1" '
		$2 ~ "^" call "\\(" { n[$1]++ }
		END { for (p in n) if (n[p] > most) most = n[p]; print most + 0 }
	' "$T/setup"
}

# The call that was made to fail, in one piece: another process may have cut in
# between its arguments and its end.
fault() {
	awk '/<unfinished \.\.\.>$/ { begun[$1] = $0; next }
		!/\(INJECTED\)/ { next }
		/ resumed>/ { print begun[$1], $0; next }
		{ print }' "$T/fault"
}

# Was it the supervisor's, with PID 1 made?  All that it begins then is a look at
# what all inside use, which a slow machine sees before the payload runs.
while_it_waits() {
	awk '/ clone3\(/ { made[$1] } /INJECTED/ { exit !($1 in made) }' "$T/fault"
}

# Faults that the program may outlive, because something else does the same
# work or it is a courtesy.  Each has its reason.
outlived() {
	case $1 in
	prctl) # asking, not setting
		fault | grep -qE 'PR_CAPBSET_READ|PR_GET|PR_CAP_AMBIENT_IS_SET' ;;
	prlimit64) fault | grep -q 'NULL, 0x' ;;
	sendmsg) # the IPv6 route: without it less can be reached
		fault | grep -q AF_NETLINK ;;
	setsockopt) # one of the two families' ways to learn what was asked; room
		# and speed
		fault | grep -qE 'PKTINFO|FREEBIND|_FILTER|RCVBUF|TCP_NODELAY' ;;
	seccomp) # the record of executions is no wall
		fault | grep -q NEW_LISTENER ;;
	flock) # the audit log's lock: a line is one write with or without
		true ;;
	socket) # looking up an interface: glibc tries another family; and the
		# record of attempts at ports that nobody serves, which are closed
		fault | grep -qE 'AF_UNIX, SOCK_DGRAM|SOCK_RAW' ;;
	clone | socketpair | sendto) # without a look there are no samples
		while_it_waits ;;
	setgroups) ! is_root ;;     # the maps deny it to an ordinary user
	*) false ;;
	esac
}

# Was the fault after the payload's execve?  Then it proves nothing here.
injected_late() {
	awk '/ execve\(/ { n++ } /INJECTED/ { exit !(n >= 2 && !/execve/) }' "$T/fault"
}

left_behind() {
	find "$XDG_STATE_HOME/m9m-sandbox/runs" -mindepth 1 2>/dev/null | head -n 1
}

total=0 started=0 silent=0 left=0 unfit=0
for call in $CALLS; do
	n=$(count_calls "$call")
	# Many like calls: the first ones and the last are enough to be sure
	# that none is unchecked, the rest go by the same line of code.
	for k in $(seq 1 "$n" | awk -v n="$n" 'NR <= 12 || NR > n - 4 || NR % 7 == 0'); do
		rc=0
		timeout -k 1 60 "${STRACE[@]}" -f -o "$T/fault" -e trace="$call",clone3,execve \
			-e inject="$call":error=EIO:when="$k" \
			"${M9M_RUN[@]}" >"$T/out" 2>"$T/err" </dev/null || rc=$?
		grep -q '(INJECTED)' "$T/fault" || continue
		total=$((total + 1))
		# A directory that cannot be removed is told, not hidden.
		if [ -n "$(left_behind)" ] &&
			! grep -q 'workdir is kept' "$T/err"; then
			left=$((left + 1))
			echo "# $call:$k left $(left_behind)"
		fi
		rm -rf "$XDG_STATE_HOME/m9m-sandbox/runs"
		# Past the set-up: strace counts the payload's own calls too.
		if [ "$rc" = 0 ] && grep -q STARTED "$T/err"; then
			outlived "$call" && continue
			injected_late && continue
			started=$((started + 1))
			echo "# $call:$k did not stop it: $(fault | head -n 1)"
			continue
		fi
		if grep -q STARTED "$T/err"; then
			injected_late && continue
			started=$((started + 1))
			echo "# $call:$k started all the same: exit $rc: $(
				fault | head -n 1)"
			continue
		fi
		case $rc in 125 | 126 | 127) ;; *)
			unfit=$((unfit + 1))
			echo "# $call:$k exit $rc: $(tail -n 1 "$T/err")" ;;
		esac
		if ! grep -qE '^m9m-sandbox: [a-z_ -]+: (cannot|the) ' "$T/err"; then
			silent=$((silent + 1))
			echo "# $call:$k says: $(head -n 2 "$T/err")"
		fi
	done
done
echo "# $total faults injected"
check "faults were injected at all" test "$total" -gt 100
is "the payload started in spite of a fault" "$started" 0
is "other exit codes than 125, 126, 127" "$unfit" 0
is "messages that do not say what failed" "$silent" 0
is "something was left behind" "$left" 0

# A system call of the payload's waits for our answer.  The first ioctls of the
# supervisor, a look at the terminal apart: that it listens, a question, an
# answer, and so on.
ask=("$M9M" -q --no-artifact sh -c '/bin/true; unshare -U true; echo END')
strace -f -o "$T/trace" -e trace=ioctl "${ask[@]}" >"$T/out" 2>/dev/null
check "it answers without a fault" grep -q END "$T/out"
awk '!first { first = $1 } $1 == first { n++ }
	$1 == first && /NOTIF_(RECV|SEND|ID_VALID)/ { print n }' \
	"$T/trace" >"$T/asked"
check "some calls are asked about" test "$(wc -l <"$T/asked")" -ge 8
hanging=0 unsaid=0
while read -r k; do
	rc=0
	timeout -k 1 60 strace -f -o "$T/fault" -e trace=ioctl \
		-e inject=ioctl:error=EIO:when="$k" "${ask[@]}" \
		>"$T/out" 2>"$T/err" </dev/null || rc=$?
	grep 'NOTIF_.*INJECTED' "$T/fault" >"$T/injected" || continue
	[ "$rc" = 125 ] || {
		hanging=$((hanging + 1))
		echo "# ioctl:$k exit $rc: $(cat "$T/injected")"
	}
	grep -q '^m9m-sandbox: record: cannot answer' "$T/err" || {
		unsaid=$((unsaid + 1))
		echo "# ioctl:$k says: $(head -n 2 "$T/err")"
	}
done <"$T/asked"
is "an answer that could not be given and did not end the run" "$hanging" 0
is "and was not told" "$unsaid" 0
