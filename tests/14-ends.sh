#!/bin/bash
# How a run can end: exit codes, signals, timeouts, and nothing left alive.
. "$(dirname "$0")/lib.sh"
need python3 jq

m9m() { "$M9M" -q --no-artifact --result "$T/r.json" "$@"; }
# For the background: the pid is then the program's own.
bg() { exec "$M9M" -q --no-artifact --result "$T/r.json" "$@"; }
runs() { find "$XDG_STATE_HOME/m9m-sandbox/runs" -mindepth 1 2>/dev/null | wc -l; }

# --- the payload's own end ---
expect_exit 0 m9m true
json_is "$T/r.json" .status ok
expect_exit 3 m9m sh -c 'exit 3'
json_is "$T/r.json" .status failed
json_is "$T/r.json" .exit_code 3
expect_exit 255 m9m sh -c 'exit 255'
expect_exit 139 m9m sh -c 'kill -SEGV $$'
json_is "$T/r.json" .signal 11
json_is "$T/r.json" .status failed
expect_exit 137 m9m sh -c 'kill -9 $$'

# --- ours: 125, 126, 127, and the result tells which ---
expect_exit 127 m9m no-such-command-at-all
json_is "$T/r.json" .status error
contains "$T/err" no-such-command-at-all
expect_exit 126 m9m /etc/passwd
expect_exit 126 m9m /usr
printf '#!/no/such/interpreter\n' >"$T/script"
chmod +x "$T/script"
expect_exit 127 m9m "$T/script"
expect_exit 125 m9m --chdir /nowhere true
json_is "$T/r.json" .stage chdir
contains "$T/err" --chdir

# --- time ---
expect_exit 124 m9m --timeout 200ms sleep 60
json_is "$T/r.json" .status timeout
is "quiet says nothing of it" "$(cat "$T/err")" ""
expect_exit 124 "$M9M" --no-artifact --timeout 200ms sleep 60
is "a log is told why it ended" "$(cat "$T/err")" \
	"m9m-sandbox: stopped: time is up, --timeout is 200 ms"
expect_exit 124 m9m --timeout 200ms --grace 200ms sh -c 'trap "" TERM; sleep 60 & wait; sleep 60'
json_is "$T/r.json" .status timeout
# The polite signal comes first, and what it makes the payload say is kept.
expect_exit 124 m9m --timeout 3s bash -c 'trap "echo polite; exit 0" TERM; sleep 60 & wait'
contains "$T/out" polite

# --- signals to us are passed on ---
# A word that is waited for is of this round: the file is new each time, since
# it is emptied only when the shell in the background gets to it.
for sig in INT TERM HUP QUIT; do
	rm -f "$T/sig"
	bg bash -c "trap 'echo got $sig; exit 40' $sig; echo ready; while :; do sleep 0.05; done" \
		>"$T/sig" 2>&1 &
	pid=$!
	await_line "$T/sig" ready
	kill -$sig $pid
	wait $pid
	is "$sig: exit status" $? 40
	contains "$T/sig" "got $sig"
done
rm -f "$T/sig"
bg bash -c 'echo ready; sleep 60' >"$T/sig" &
pid=$!
await_line "$T/sig" ready
kill -TERM $pid
wait $pid
is "a payload that dies of it: 128+15" $? 143
json_is "$T/r.json" .status killed
rm -f "$T/sig"
bg --grace 300ms bash -c 'trap "" TERM; echo ready; while :; do sleep 0.05; done' >"$T/sig" &
pid=$!
await_line "$T/sig" ready
kill -TERM $pid
wait $pid
is "one that ignores it is killed after the grace" $? 143
json_is "$T/r.json" .status killed

# --- nothing survives: daemons, those that ignore signals, stopped ones ---
cat >"$T/survive.py" <<'P'
import os, signal, sys, time
tag = sys.argv[1]
r, w = os.pipe()
for style in ('plain', 'daemon', 'deaf', 'stopped'):
    if os.fork():
        continue
    if style == 'daemon':
        os.setsid()
        if os.fork():
            os._exit(0)
    if style == 'deaf':
        for s in range(1, 65):
            try: signal.signal(s, signal.SIG_IGN)
            except (OSError, ValueError): pass
    os.execvp('sleep', ['sleep', tag]) if style != 'stopped' else None
    os.close(w)
    os.kill(os.getpid(), signal.SIGSTOP)
# Its end when all of them have become what they are to be.
os.close(w)
os.read(r, 1)
print('ready', flush=True)
if sys.argv[2] == 'wait':
    time.sleep(60)
P
survivors() { pgrep -fx "sleep $1" | wc -l; }
tag=71$$
python3 "$T/survive.py" $tag leave >/dev/null
check "outside they do survive" test "$(survivors $tag)" -ge 2
pkill -9 -fx "sleep $tag"
pkill -9 -f "$T/survive.py"
tag=72$$
expect_exit 0 m9m --ro-bind "$T/survive.py" /s.py python3 /s.py $tag leave
is "after the payload's exit none is alive" "$(survivors $tag)" 0
expect_exit 124 m9m --timeout 1500ms --grace 100ms --ro-bind "$T/survive.py" /s.py python3 /s.py $tag wait
is "after a timeout" "$(survivors $tag)" 0

# --- the time is kept by PID 1, too: nothing that holds us up gives more ---
tag=73$$
rm -f "$T/sig" "$T/events.jsonl"
bg --events "$T/events.jsonl" --timeout 3s --grace 100ms \
	--ro-bind "$T/survive.py" /s.py python3 /s.py $tag wait >"$T/sig" &
pid=$!
await_line "$T/sig" ready
kill -STOP $pid
for child in $(pgrep -fx "sleep $tag"); do
	await_exit "$child"
done
is "it ended although we were stopped" "$(survivors $tag)" 0
kill -CONT $pid
wait $pid
is "and its end is what it was" "$? $(json "$T/r.json" .status) $(events timeout |
	wc -l)" "124 timeout 1"

# --- our own death, the hard way ---
rm -f "$T/sig"
bg --ro-bind "$T/survive.py" /s.py python3 /s.py $tag wait >"$T/sig" &
pid=$!
await_line "$T/sig" ready 30
check "they are alive" test "$(survivors $tag)" -ge 2
children=$(pgrep -P $pid)
kill -KILL $pid
wait $pid 2>/dev/null
for child in $children; do
	await_exit "$child"
done
is "SIGKILL to us kills all inside" "$(survivors $tag)" 0
clear_runs

# --- PID 1 cannot be killed from inside ---
expect_exit 0 m9m sh -c 'kill -9 1; kill -TERM 1; sleep 0.1; exit 0'

# --- --die-with-parent: in order ---
mkfifo "$T/alive"
rm -f "$T/sig"
bash -c "'$M9M' -q --no-artifact --die-with-parent sh -c 'echo ready; sleep 60' >'$T/sig' & exec sleep 30" &
parent=$!
await_line "$T/sig" ready
inner=$(pgrep -P $parent -f "$M9M" | head -n 1)
kill -KILL $parent
wait $parent 2>/dev/null
check "it ends with its parent" await_exit "$inner"

is "no run directory is left" "$(runs)" 0
is "no cgroup is left" "$(own_cgroups)" ""
