#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Runs as root of a guest under systemd (tests/61-cgroup-systemd.sh).  Callers
# of every kind, in units that are theirs or not.
. "$(dirname "$0")/../lib.sh"

# Where a user can reach them: the checkout may lie below /root.
chmod 755 "$T"
cp "$M9M" "$TOP/$B/unit-cgroup" "$T/"
M9M=$T/m9m-sandbox
UNIT=$T/unit-cgroup
useradd -m -u 1234 lingers
useradd -m -u 1235 visitor
loginctl enable-linger lingers

# As `user` in a service of the system's: like a session, it is not theirs.
session() {
	local user=$1
	shift
	systemd-run --quiet --pipe --wait -p User="$user" "$@"
}

# A session of theirs, as sshd and login make them: session-N.scope is root's.
login() {
	local user=$1
	shift
	# shellcheck disable=SC2016  # the other shell's
	su -l -c 'exec "$@"' -- "$user" - "$@"
}

# As in a container of root's: a scope of its own, a cgroup namespace whose tree
# is read-only, a PID namespace; and what the first word makes of /run.
in_container() {
	systemd-run --scope --quiet -p Delegate=yes \
		unshare -C -m -p -f --mount-proc sh -c "$1"'
		umount -R /sys/fs/cgroup && shift &&
		mount -t cgroup2 -o ro cgroup2 /sys/fs/cgroup && exec "$@"
		exit 99' - "$@"
}

# In the user's own manager, as a scope with these properties.
own_scope() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	session lingers env XDG_RUNTIME_DIR=/run/user/1234 \
		systemd-run --user --scope --quiet "${options[@]}" "$@"
}

leftovers() {
	find /sys/fs/cgroup -name '*m9m-unit*' -o -name 'm9m-2*'
	find /sys/fs/cgroup -name 'm9m-sandbox-*.scope'
}

# systemd removes an empty scope when it is told, which is soon.
await_nothing() {
	local tries=0
	while [ $((tries += 1)) -le 600 ]; do
		[ -n "$(leftovers)" ] || return 0
		sleep 0.1
	done
	leftovers | sed 's/^/# left: /'
	return 1
}

# works WHAT BACKEND COMMAND...
works() {
	local what=$1 backend=$2
	shift 2
	run "$@"
	grep -v '^ok' "$T/out" | sed "s/^/# $what: /"
	sed "s/^/# $what: /" "$T/err"
	check "$what: every check of the unit test" test "$rc" = 0
	matches "$T/out" "^ok .*memory: by $backend"
	check "$what: nothing is left" await_nothing
}

# refused WHAT MESSAGE REMEDY COMMAND...
refused() {
	local what=$1 message=$2 remedy=$3
	shift 3
	run "$@"
	sed -n "s/^# /# $what: /p" "$T/out"
	check "$what: the unit test takes the refusal" test "$rc" = 0
	matches "$T/out" "^# cannot make a cgroup .*$message"
	matches "$T/out" "^# .*$remedy"
	check "$what: nothing is left" await_nothing
}

await_manager() {
	local tries=0
	while [ $((tries += 1)) -le 600 ]; do
		[ ! -S /run/user/1234/bus ] || return 0
		sleep 0.1
	done
	return 1
}

await_manager || not_ok "the user has a manager"

works "root in a service" systemd "$UNIT"
works "root in a delegated scope" v2 \
	systemd-run --scope --quiet -p Delegate=yes "$UNIT"
works "user in a session" systemd session lingers "$UNIT"
works "user in a scope of a slice of theirs" systemd own_scope -- "$UNIT"
# The user's manager (252) does not mark what it delegated; who says v2 knows.
works "user in a delegated scope" "(v2|systemd)" \
	own_scope -p Delegate=yes -- "$UNIT"
works "user in a delegated scope, asked for" v2 \
	own_scope -p Delegate=yes -- "$UNIT" v2
works "user in a shared delegated scope" systemd \
	own_scope -p Delegate=yes -- sh -c "sleep 1000 & $UNIT; kill \$!"
refused "user without a manager" "systemd: cannot reach the user.s bus" \
	"loginctl enable-linger" session visitor "$UNIT"

# --- sessions ---
run login lingers cat /proc/self/cgroup
matches "$T/out" '/session-[a-z0-9]+\.scope$'
works "user in a login session" systemd login lingers "$UNIT"
works "with no word of where the bus is" systemd login lingers \
	env -u XDG_RUNTIME_DIR -u DBUS_SESSION_BUS_ADDRESS "$UNIT"
works "the manager comes with the session" systemd login visitor "$UNIT"
refused "v2 alone does not reach out of it" "Permission denied" "systemd" \
	login lingers "$UNIT" v2

# --- containers ---
refused "root in a container" "Read-only file system.*systemd: does not run" \
	"writable-cgroups=true" in_container "mount -t tmpfs none /run" "$UNIT"
# With the host's bus: by numbers that are not the manager's it would take
# others, were it asked.
refused "root in a container with the host's bus" \
	"the manager on the bus does not see our processes" \
	"writable-cgroups=true" in_container : "$UNIT"

# --- the program itself ---
# caps WHO BACKEND LAUNCHER...: by default, over the memory, over the processes.
caps() {
	local what=$1 backend=$2 result=/home/lingers/result.json
	shift 2
	local m9m=("$@" env XDG_STATE_HOME=/home/lingers/state
		XDG_RUNTIME_DIR=/run/user/1234 "$M9M" -q --no-artifact
		--result "$result")
	expect_exit 3 "${m9m[@]}" sh -c 'exit 3'
	json_is "$result" '[.layers[] | select(startswith("cgroup"))] | join(" ")' \
		"cgroup-namespace cgroup:$backend"
	json_is "$result" '.degraded | length' 0
	expect_exit 137 "${m9m[@]}" --memory 64Mi sh -c \
		'head -c 200M /dev/zero >/tmp/x; exit 0'
	json_is "$result" '.status + " " + (.limits | join(" "))' "oom memory"
	run "${m9m[@]}" --pids 5 sh -c \
		'for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; exit 4'
	json_is "$result" '.limits | join(" ")' pids
	expect_exit 124 "${m9m[@]}" --timeout 1s --grace 0 sh -c \
		'trap "" TERM; setsid sleep 1000 & sleep 1000'
	check "$what: nothing is left" await_nothing
	rm -rf "$result" /home/lingers/state
}
caps "user in a login session" systemd login lingers
caps "root in a service" systemd
run env XDG_STATE_HOME=/home/lingers/state "$M9M" -q --no-artifact \
	--result "$T/r.json" dd if=/dev/zero of=x bs=1M count=8 conv=fsync
check "what went to the disk is counted" test \
	"$(json "$T/r.json" .io_written_bytes)" -ge 8388608
for figure in memory_peak pids_peak cpu_ms; do
	check "$figure is counted" test "$(json "$T/r.json" ".$figure")" -gt 0
done
rm -rf /home/lingers/state

# --- killed with kill -9: systemd itself clears up ---
serve "$UNIT" systemd hold
check "a scope is there" test -n "$(leftovers)"
kill -KILL "$served"
check "after kill -9 nothing is left" await_nothing

# --- too few controllers, and the remedy ---
dir=/etc/systemd/system/user@.service.d
mkdir -p $dir
printf '[Service]\nDelegate=\nDelegate=pids\n' >$dir/delegate.conf
systemctl daemon-reload
systemctl restart user@1234
await_manager
refused "user with pids only" "does not have .*cpu" \
	"Delegate=cpu cpuset io memory pids" session lingers "$UNIT"
printf '[Service]\nDelegate=cpu cpuset io memory pids\n' >$dir/delegate.conf
systemctl daemon-reload
systemctl restart user@1234
await_manager
works "with the remedy" systemd session lingers "$UNIT"

# --- a cap that the unit has ---
# A service, since systemd 252 ends a whole scope that ran out of memory.
expect_exit 137 session lingers env XDG_RUNTIME_DIR=/run/user/1234 \
	systemd-run --user --wait --pipe --quiet -p OOMPolicy=continue \
	-p MemoryMax=100M -p MemorySwapMax=0 -- \
	env XDG_STATE_HOME=/home/lingers/state "$M9M" -q --no-artifact \
	--cgroup inherit tail /dev/zero
expect_exit 125 own_scope -- env XDG_STATE_HOME=/home/lingers/state "$M9M" -q \
	--no-artifact --cgroup inherit true
contains "$T/err" "nothing limits memory in"
