#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Processes that no signal reaches: they wait in the kernel for a file system
# whose server took their request and is silent.  The run says what it waits
# for, archives nothing while something inside may still write, and ends as any
# other as soon as it can.
# run-as: root
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need jq tar zstd setpriv pgrep

HANGFS=$TOP/$B/hangfs
USER_ID=65534
[ -x "$HANGFS" ] || skip "$HANGFS is not built"
# An ordinary user's turn comes too, who may not reach the checkout.
chmod 711 "$T"
mkdir "$T/bin" "$T/hang"
cp "$M9M" "$T/bin/m9m-sandbox" || exit 99
M9M=$T/bin/m9m-sandbox

# hang: the file system, afresh; $server is its server.
hang() {
	: >"$T/asked"
	"$HANGFS" "$T/hang" >"$T/asked" 2>&1 &
	server=$!
	await_line "$T/asked" .
	[ "$(head -n 1 "$T/asked")" = ready ] ||
		skip "no FUSE to be had: $(tail -n 1 "$T/asked")"
}
# All that wait for it get an error.
let_go() {
	kill "$server"
	wait "$server" 2>/dev/null
	umount "$T/hang"
}
on_exit '{ kill "$server" && let_go; } 2>/dev/null'

# await_state PID STATE: between two of them it may be running.
await_state() {
	until [ "$(state_of "$1")" = "$2" ]; do
		[ -d "/proc/$1" ] && [ $((tries += 1)) -lt 10000 ] || return 1
	done
}
state_of() { sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status"; }
# The one who waits, below the process $1, which is of another PID namespace.
hung_below() {
	local pid
	for pid in $(pgrep -P "$1"); do
		if [ "$(cat "/proc/$pid/wchan")" = "$place" ]; then
			echo "$pid"
		else
			hung_below "$pid"
		fi
	done
}

echo "# outside"
hang
cat "$T/hang/file" 2>/dev/null &
cat=$!
await_line "$T/asked" asked
kill -KILL $cat
tries=0
check "killed, it still waits" await_state $cat D
place=$(cat "/proc/$cat/wchan")
let_go
[ "${place:-0}" != 0 ] || skip "this kernel does not say where a process waits"
rc=0
wait $cat || rc=$?
is "and dies when it may" "$rc" 137

# What they read, to go on.
mkfifo "$T/go"
exec 8<>"$T/go"
as=()
# begin SCRIPT OPTION...: in the background, until it hangs.
begin() {
	local script=$1
	shift
	rm -rf "$T/run"
	mkdir "$T/run"
	[ "${#as[@]}" = 0 ] || chown $USER_ID "$T/run"
	hang
	(exec ${as[@]+"${as[@]}"} env HOME="$T/run" \
		XDG_STATE_HOME="$T/run/state" "$M9M" -q \
		--artifact "$T/run/a.tar" --result "$T/run/r.json" \
		--events "$T/run/events.jsonl" --ro-bind "$T/hang" /hang \
		"$@" sh -c "$script") <&8 >"$T/out" 2>"$T/err" &
	pid=$!
	if ! await_line "$T/asked" asked; then
		not_ok "it came to hang"
		show_output
		exit 1
	fi
	# It asked a moment before it waits.
	hung=
	until [ -n "$hung" ]; do
		hung=$(hung_below $pid)
		kill -0 $pid || break
	done
}
# waits WHAT WHO: what holds while it cannot end.
waits() {
	check "$1: it is said what the run waits for" await_line "$T/err" \
		"warning: $2 \\(process $hung\\) was killed and does not die yet"
	matches "$T/err" "in $place, and the run for it"
	check "$1: as long as it cannot die, the run is not over" kill -0 $pid
	is "$1: it is in uninterruptible sleep" "$(state_of "$hung")" D
	is "$1: all else is dead" "$(pgrep -f "^sleep 67$$" | wc -l)" 0
	check "$1: nothing is archived yet" test ! -e "$T/run/a.tar"
}
# ended WHAT STATUS EXIT: what holds when it could.
ended() {
	is "$1: exit status" "$rc" "$3"
	json_is "$T/run/r.json" .status "$2"
	matches <(json "$T/run/r.json" '.warnings[]') "process $hung\)"
	check "$1: it is dead" test ! -e "/proc/$hung"
	is "$1: the archive" "$(tar -xOf "$T/run/a.tar" work/kept)" kept
	is "$1: the workdir is gone" \
		"$(find "$T/run/state/m9m-sandbox/runs" -mindepth 1)" ""
	is "$1: no cgroup" \
		"$(AUDIT=$T/run/state/m9m-sandbox/audit.jsonl own_cgroups)" ""
	is "$1: the last event" "$(tail -n 1 "$T/run/events.jsonl" |
		jq -r '.event + " " + .status')" "exit $2"
}
let_end() {
	let_go
	rc=0
	wait $pid || rc=$?
}

keeps="echo kept >kept; sleep 67$$ & trap '' TERM"
for who in root "uid $USER_ID"; do
	[ "$who" = root ] || as=(setpriv --reuid "$USER_ID" --regid "$USER_ID"
		--clear-groups)
	echo "# $who"
	begin "$keeps; exec cat /hang/file" --timeout 3s --grace 100ms
	waits "timeout" cat
	let_end
	ended "timeout" timeout 124

	begin "$keeps; cat /hang/file; exit 5" --grace 100ms
	kill -TERM $pid
	waits "cancel" cat
	let_end
	ended "cancel" killed 143

	# Not the payload itself: that is over, with a status of its own.
	begin "$keeps; cat /hang/file & read -r _; exit 6"
	echo >&8
	waits "left behind" cat
	let_end
	ended "left behind" failed 6

	begin "$keeps; exec cat /hang/file"
	kill -KILL $pid
	wait $pid 2>/dev/null
	gc=(${as[@]+"${as[@]}"} env HOME="$T/run" XDG_STATE_HOME="$T/run/state"
		"$M9M" --gc)
	expect_exit 125 "${gc[@]}"
	contains "$T/err" "is kept: "
	is "killed: nothing is archived yet" \
		"$(find "$T/run/state/m9m-sandbox/artifacts" -type f 2>&1 |
			grep -v "No such file")" ""
	let_go
	check "killed: the rest dies" await_exit "$hung"
	expect_exit 0 "${gc[@]}"
	is "killed: the archive" "$(tar --zstd -xOf \
		"$T/run/state/m9m-sandbox/artifacts"/*.zst work/kept)" kept
	is "killed: the workdir is gone" \
		"$(find "$T/run/state/m9m-sandbox/runs" -mindepth 1)" ""
done
