# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For the shell tests (bash): `. "$(dirname "$0")/lib.sh"` as the first line.
# A test prints TAP; it fails when a check failed, when it died on the way, or
# when it checked nothing.  $T is its private directory, gone at the end.
set -u

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
B=${B:-build}
M9M=${M9M:-$TOP/$B/m9m-sandbox}
SELF=$(cd "$(dirname "$0")" && pwd -P)/$(basename "$0")
SELF_ARGS=("$@")

T=$(mktemp -d "${TMPDIR:-/tmp}/t.XXXXXX") || exit 99
export XDG_STATE_HOME=$T/state
mkdir -p "$XDG_STATE_HOME"
# shellcheck disable=SC2034  # for the tests
AUDIT=$XDG_STATE_HOME/m9m-sandbox/audit.jsonl

rc=0 checks=0 failed_checks=0 clean_end=
at_exit=()

# --- ends ------------------------------------------------------------------

# Registers a command for the end, run in reverse order.
on_exit() {
	at_exit=("$*" ${at_exit[@]+"${at_exit[@]}"})
}

finish() {
	local status=$? command
	trap - EXIT
	for command in ${at_exit[@]+"${at_exit[@]}"}; do
		eval "$command"
	done
	chmod -R u+rwX "$T" 2>/dev/null
	rm -rf "$T"
	[ -n "$clean_end" ] && exit "$status"
	echo "1..$checks"
	if [ "$status" != 0 ]; then
		echo "# died with status $status after check $checks"
		exit "$status"
	fi
	[ "$checks" != 0 ] || echo "# nothing was checked"
	# A bare exit would be with the status from before the trap.
	[ "$checks" != 0 ] && [ "$failed_checks" = 0 ] || exit 1
	exit 0
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# skip REASON: this test cannot be made here.
skip() {
	clean_end=1
	echo "$*"
	exit 77
}

# need COMMAND...: skips without one of them.
need() {
	local command
	for command; do
		command -v "$command" >/dev/null ||
			skip "$command is not installed (scripts/deps.sh check)"
	done
}

is_root() { [ "$(id -u)" = 0 ]; }

# Is the program under test one with sanitizers?  They make calls, take memory
# and end processes in ways of their own, which some tests cannot tell apart.
sanitized() { grep -qa __asan_init "$M9M"; }

# --- checks ----------------------------------------------------------------

ok() {
	checks=$((checks + 1))
	echo "ok $checks - $*"
}

not_ok() {
	checks=$((checks + 1))
	failed_checks=$((failed_checks + 1))
	echo "not ok $checks - $*"
}

# check WHAT COMMAND...: ok when the command succeeds.
check() {
	local what=$1
	shift
	if "$@"; then ok "$what"; else not_ok "$what"; fi
}

# Runs it with output in $T/out and $T/err and its status in $rc.
run() {
	rc=0
	"$@" >"$T/out" 2>"$T/err" || rc=$?
}

show_output() {
	sed 's/^/# out: /' "$T/out" | head -n 40
	sed 's/^/# err: /' "$T/err" | head -n 40
}

# expect_exit STATUS COMMAND...
expect_exit() {
	local want=$1
	shift
	run "$@"
	if [ "$rc" = "$want" ]; then
		ok "exit $want: $(printf '%.60s' "$*")"
	else
		not_ok "exit $rc, not $want: $*"
		show_output
	fi
}

# contains FILE TEXT, lacks FILE TEXT (plain), matches FILE REGEX (extended)
contains() {
	if grep -qF -- "$2" "$1"; then
		ok "$(basename "$1") has: $2"
	else
		not_ok "$(basename "$1") lacks: $2"
		head -n 20 "$1" | sed 's/^/# /'
	fi
}

lacks() {
	if [ -e "$1" ] && ! grep -qF -- "$2" "$1"; then
		ok "$(basename "$1") is without: $2"
	else
		not_ok "$(basename "$1") is missing or has: $2"
		[ ! -e "$1" ] || grep -F -- "$2" "$1" | head -n 5 | sed 's/^/# /'
	fi
}

matches() {
	if grep -qE -- "$2" "$1"; then
		ok "$(basename "$1") matches: $2"
	else
		not_ok "$(basename "$1") does not match: $2"
		head -n 20 "$1" | sed 's/^/# /'
	fi
}

# is WHAT GOT WANTED
is() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1"
		printf '# got:    %s\n# wanted: %s\n' "$2" "$3"
	fi
}

# json FILE FILTER prints a value (jq -r); json_is FILE FILTER VALUE checks it.
json() {
	jq -r "$2" "$1"
}

json_is() {
	is "$(basename "$1") $2 is $3" "$(jq -r "$2" "$1" 2>&1)" "$3"
}

# event NAME [FILTER]: the matching events of $T/events.jsonl, one a line.
events() {
	jq -c "select(.event == \"$1\")${2:+ | select($2)}" "$T/events.jsonl"
}

# schemas_hold: for $T/events.jsonl and $T/result.json.
schemas_hold() {
	check "the event schema holds" python3 "$TOP/tests/schema.py" \
		"$TOP/schema/event.schema.json" "$T/events.jsonl"
	check "the result schema holds" python3 "$TOP/tests/schema.py" \
		"$TOP/schema/result.schema.json" "$T/result.json"
}

# unchained: lines of an audit log as events are elsewhere.
unchained() {
	sed -E 's/^\{"prev":"[0-9a-f]{64}",("begins":true,)?/{/'
}

# --- what our runs leave -----------------------------------------------------

# own_cgroups: those of the runs that this test has started; a machine that is
# shared has others.
own_cgroups() {
	local run
	[ -e "$AUDIT" ] || return 0
	jq -r .run "$AUDIT" | sort -u | while read -r run; do
		find /sys/fs/cgroup -depth -type d -name "*m9m-*$run*" \
			2>/dev/null
	done
}

# clear_runs: what a run that was killed by SIGKILL leaves until it is collected.
clear_runs() {
	own_cgroups | while read -r run; do
		rmdir "$run"
	done
	chmod -R u+rwX "$XDG_STATE_HOME/m9m-sandbox/runs"
	rm -rf "$XDG_STATE_HOME/m9m-sandbox/runs"
}

# --- waiting for events, never for time ------------------------------------

# await_line FILE REGEX [SECONDS]: until a line of a growing file matches.
await_line() {
	local pipe tail status=0
	pipe=$(mktemp -u "$T/await.XXXXXX")
	mkfifo "$pipe"
	tail -n +1 -F "$1" >"$pipe" 2>/dev/null &
	tail=$!
	timeout "${3:-60}" grep -qE -m 1 -- "$2" <"$pipe" || status=$?
	kill "$tail" 2>/dev/null
	wait "$tail" 2>/dev/null
	rm -f "$pipe"
	return "$status"
}

# await_fifo FIFO [SECONDS]: prints the line that somebody writes into it.
await_fifo() {
	local line status=0
	# Opened both ways: the open waits for nobody and no end of file comes.
	exec 7<>"$1"
	read -r -t "${2:-60}" line <&7 || status=$?
	exec 7>&-
	printf '%s\n' "${line-}"
	return "$status"
}

# await_exit PID [SECONDS]: until a process that is not our child has ended.
await_exit() {
	timeout "${2:-60}" tail -f --pid="$1" -s 0.05 /dev/null
}

# looker PID: the process of it that looks at what all inside use.
looker() {
	local child
	for child in $(pgrep -P "$1"); do
		[ "$(readlink "/proc/$child/ns/pid")" != \
			"$(readlink /proc/self/ns/pid)" ] || echo "$child"
	done
}
# inner PID: the sandbox's PID 1.  By what anybody may read: who looks may come
# at any moment, and the relay's namespace is no ordinary user's to see.
inner() {
	local child
	for child in $(pgrep -P "$1"); do
		! grep -q $'^NSpid:.*\t1$' "/proc/$child/status" 2>/dev/null ||
			echo "$child"
	done
}

# serve COMMAND...: a server in the background whose first line of output says
# that it is ready (printed in $T/serve.N); killed at the end.  Sets $served.
serve_count=0
serve() {
	serve_count=$((serve_count + 1))
	served_log=$T/serve.$serve_count
	: >"$served_log"
	"$@" >"$served_log" 2>&1 &
	served=$!
	on_exit "kill $served 2>/dev/null; wait $served 2>/dev/null"
	await_line "$served_log" . || {
		cat "$served_log"
		exit 99
	}
}

# --- hosts that give less ---------------------------------------------------

# without_listener COMMAND...: where an outer sandbox has the one seccomp
# listener that there can be; 77 when it cannot be had.
without_listener() {
	python3 "$TOP/tests/standin/listener.py" "$@"
}

# in_namespace COMMANDS COMMAND...: with the commands run before, in user and
# mount namespaces where all ids are what they were, and then no capability of
# theirs but root's own.
in_namespace() {
	local commands=$1 drop=() pid status=0
	shift
	if ! is_root; then
		drop=(setpriv --ambient-caps=-all --inh-caps=-all)
	fi
	rm -f "$T/mapped" && mkfifo "$T/mapped"
	unshare -U -m --keep-caps bash -c "read -r _ <'$T/mapped'
		{ $commands; } || exit 99; "'exec "$@"' - \
		${drop[@]+"${drop[@]}"} "$@" &
	pid=$!
	# Opens when the other side does: it is in its namespaces then.
	exec 9>"$T/mapped"
	if is_root; then
		echo 0 0 4294967295 >"/proc/$pid/uid_map"
		echo 0 0 4294967295 >"/proc/$pid/gid_map"
	else
		echo deny >"/proc/$pid/setgroups"
		echo "$(id -u) $(id -u) 1" >"/proc/$pid/uid_map"
		echo "$(id -g) $(id -g) 1" >"/proc/$pid/gid_map"
	fi
	echo go >&9
	exec 9>&-
	wait "$pid" || status=$?
	return "$status"
}

# --- a network that is only ours -------------------------------------------

# host_netns [COMMAND...]: runs the rest of the test in a network namespace
# where lo is up and nothing else is there: for the program under test that is
# "the host".  The caller stays who it is (root, or an ordinary user without a
# capability), and ports below 1024 are free to bind.  Each argument is a
# command run there first, with CAP_NET_ADMIN ("ip addr add ...").
host_netns() {
	[ -z "${M9M_HOST_NETNS-}" ] || return 0
	local setup command drop=() enter=(unshare -n)
	setup='ip link set lo up &&
		echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start'
	for command; do
		setup="$setup && $command"
	done
	if ! is_root; then
		enter=(unshare -U -n --map-current-user --keep-caps)
		drop=(setpriv --ambient-caps=-all --inh-caps=-all)
	fi
	"${enter[@]}" true 2>/dev/null ||
		skip "no network namespace can be made here"
	chmod -R u+rwX "$T"
	rm -rf "$T"
	trap - EXIT
	export M9M_HOST_NETNS=1
	exec "${enter[@]}" bash -c "{ $setup; } || exit 99"'; exec "$@"' - \
		${drop[@]+"${drop[@]}"} "$SELF" ${SELF_ARGS[@]+"${SELF_ARGS[@]}"}
}

# A profile of system calls that allows all that our own table knows.
open_profile() {
	python3 - "$TOP/seccomp_table.h" <<-'PY'
		import json, re, sys
		names = sorted(set(re.findall(r"(?:ALLOW|DENY|ASK|ABSENT)\w*\((?:E\w+, )?([a-z_0-9]+)",
		                              open(sys.argv[1]).read())))
		print(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
		    {"names": names, "action": "SCMP_ACT_ALLOW"}]}))
	PY
}

# world_netns: host_netns with addresses of all kinds that a name may lead to;
# $v6 is $V6, or empty.
world_netns() {
	OWN=203.0.113.5 OTHER=198.51.100.9 V6=2001:db8::5
	METADATA=169.254.169.254 PRIVATE=10.9.8.7
	host_netns "ip addr add $OWN/32 dev lo" "ip addr add $OTHER/32 dev lo" \
		"ip addr add $METADATA/32 dev lo" "ip addr add $PRIVATE/32 dev lo" \
		"{ ip -6 addr add $V6/128 dev lo nodad || true; }"
	v6=
	! ip -6 addr show dev lo 2>/dev/null | grep -q "$V6" || v6=$V6
}

# Serves what $T/world/zone says at these addresses, and writes down who asked for
# a name and who came.  "${in_world[@]}" COMMAND...: where the host's resolver asks
# it, in a mount namespace of its own; false where none can be made.
make_world() {
	: >"$T/world/asked"
	: >"$T/world/hits"
	# shellcheck disable=SC2086  # there may be no IPv6
	serve python3 "$TOP/tests/standin/net-world.py" "$T/world" 127.0.0.1 $OWN \
		$OTHER $METADATA $PRIVATE $v6
	echo "nameserver 127.0.0.1" >"$T/resolv.conf"
	echo "hosts: files dns" >"$T/nsswitch.conf"
	echo "127.0.0.1 localhost" >"$T/hosts"
	cat >"$T/on-host" <<-END
		#!/bin/sh
		for file in resolv.conf nsswitch.conf hosts; do
			mount --bind "$T/\$file" "\$(readlink -f /etc/\$file)" || exit 99
		done
		[ "\$(id -u)" = 0 ] || exec setpriv --ambient-caps=-all --inh-caps=-all "\$@"
		exec "\$@"
	END
	chmod +x "$T/on-host"
	in_world=(unshare -m "$T/on-host")
	is_root || in_world=(unshare -U -m --map-current-user --keep-caps "$T/on-host")
	"${in_world[@]}" true
}

# in_guest OPTION... bash tests/guest/NAME.sh: the checks made there, as one.
in_guest() {
	run tests/guest/uml.sh "$@"
	[ "$rc" != 77 ] || skip "$(tail -n 1 "$T/out")"
	sed 's/^\(not ok\|ok\)/#   \1/; s/^1\.\./# 1../' "$T/out"
	check "the guest's own checks" test "$rc" = 0
	matches "$T/out" '^1\.\.[1-9]'
}
