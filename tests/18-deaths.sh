#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Our own processes die: the relay's death ends the run and opens nothing, the
# supervisor's takes the relay and all inside with it.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq pgrep python3
host_netns

serve python3 -u -m http.server --bind 127.0.0.1 80
STATE=$XDG_STATE_HOME/m9m-sandbox
left() { find "$STATE/runs" -mindepth 1 2>/dev/null | head -n 3; }

# What the payload does: connects, says so, and then tries for ever.
cat >"$T/try.py" <<'END'
import os, socket, sys, time

held = socket.create_connection(("good.test", 80), 60)
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    os.execvp("sleep", ["sleep", sys.argv[1]])
# Its end when that one is what it is to be.
os.close(w)
os.read(r, 1)
print("ready", flush=True)
while True:
    try:
        socket.create_connection(("good.test", 80), 1).close()
    except OSError as e:
        print("failed", e, flush=True)
    time.sleep(0.02)
END

# begin TAG: the run in the background; its pids are $pid, $relay and $inner.
begin() {
	: >"$T/out"
	"$M9M" -q --artifact "$T/a.tar" --result "$T/r.json" \
		--events "$T/events.jsonl" --allow good.test:80 \
		--resolve good.test=127.0.0.1 --input "$T/try.py" \
		python3 try.py "$1" >"$T/out" 2>"$T/err" </dev/null &
	pid=$!
	await_line "$T/out" ready
	relay=$(pgrep -P $pid -f "network relay")
	inner=$(inner $pid)
}
alive() { pgrep -f "sleep $1" | wc -l; }

echo "# the relay"
tag=81$$
begin $tag
is "one PID 1" "$(wc -w <<<"$inner")" 1
is "the relay is the one" "$(tr '\0' '\n' <"/proc/$relay/cmdline" | head -n 1)" \
	"m9m-sandbox: network relay"
is "the payload's child lives" "$(alive $tag)" 1
kill -KILL "$relay"
rc=0
wait $pid || rc=$?
is "its death ends the run: exit 125" "$rc" 125
contains "$T/err" "m9m-sandbox: relay: the network relay died; the run was ended"
json_is "$T/r.json" '[.status, .stage, .started] | @csv' '"error","relay",true'
is "nothing inside is alive" "$(alive $tag)" 0
is "the archive was written" "$(tar -xOf "$T/a.tar" work/try.py)" \
	"$(cat "$T/try.py")"
is "and the workdir is gone" "$(left)" ""
is "the last event says so" \
	"$(tail -n 1 "$T/events.jsonl" | jq -r '.event + " " + .status')" \
	"exit error"

echo "# all of its group, by SIGTERM, as timeout(1) and managers send it"
begin $tag
kill -TERM "$relay" "$inner" "$pid"
rc=0
wait $pid || rc=$?
is "the run ends in order" "$rc" 143
json_is "$T/r.json" '[.status, .stage] | @csv' '"killed",'
is "nothing inside is alive" "$(alive $tag)" 0
check "nor is the relay" test ! -e "/proc/$relay"

for sig in SEGV STOP; do
	echo "# the relay, by SIG$sig"
	begin $tag
	kill -$sig "$relay"
	if [ $sig = STOP ]; then
		# It stands still: nothing gets out, and the run still ends.
		kill -TERM $pid
	fi
	rc=0
	wait $pid || rc=$?
	check "the run ended: $rc" test "$rc" = 125 -o "$rc" = 143
	is "nothing inside is alive" "$(alive $tag)" 0
	check "nor is the relay" test ! -e "/proc/$relay"
	is "the workdir is gone" "$(left)" ""
done

echo "# the supervisor, by SIGKILL"
tag=82$$
begin $tag
payload=$(pgrep -P "$inner" | head -n 1)
check "there are a relay, PID 1, a payload" \
	test -d "/proc/$relay" -a -d "/proc/$inner" -a -d "/proc/$payload"
kill -KILL $pid
wait $pid 2>/dev/null
check "PID 1 ends" await_exit "$inner"
check "the payload ends" await_exit "$payload"
check "the relay ends" await_exit "$relay"
is "nothing inside is alive" "$(alive $tag)" 0
check "the workdir is still there" test -f "$(find "$STATE/runs" -name try.py)"
is "the attempt is on record" \
	"$(jq -r 'select(.event == "start") | .argv[-1]' "$AUDIT" | tail -n 1)" \
	$tag
clear_runs

echo "# PID 1, by SIGKILL"
tag=83$$
begin $tag
kill -KILL "$inner"
rc=0
wait $pid || rc=$?
is "exit 125" "$rc" 125
json_is "$T/r.json" '[.status, .stage] | @csv' '"error","run"'
is "nothing inside is alive" "$(alive $tag)" 0
is "the archive was written" "$(tar -xOf "$T/a.tar" work/try.py | wc -l)" \
	"$(wc -l <"$T/try.py")"
is "nothing is left at the end" "$(left)" ""

# While it makes the table of ids by which a tree of root's is shown.
if is_root && ! sanitized && strace -f -o /dev/null true 2>/dev/null; then
	echo "# the supervisor, with a helper"
	mkdir "$T/roots"
	rc=0
	"$(dirname "$M9M")/keeper" 60 strace -f -o "$T/trace" \
		-e inject=kill:signal=KILL "$M9M" -q --no-artifact \
		--project "$T/roots" true >"$T/out" 2>&1 || rc=$?
	contains "$T/trace" "ns/user"
	is "it is killed, and nothing of it waits" "$rc" 137
	"$M9M" --gc >"$T/out"
fi
