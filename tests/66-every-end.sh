#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every way to end, against payloads that do not want to: in each nothing is
# alive, status and exit code are right, the archive is written, and the workdir
# and the cgroup are gone.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need jq python3 tar pgrep

cat >"$T/pay.py" <<'P'
import os, resource, signal, sys, time
way, tag = sys.argv[1:]

def sleeper():
    os.execvp('sleep', ['sleep', tag])

def fork(work):
    if os.fork() == 0:
        work()

def deafen():
    for s in range(1, 65):
        try: signal.signal(s, signal.SIG_IGN)
        except (OSError, ValueError): pass

def deaf():
    deafen()
    sleeper()

def daemon():
    os.setsid()
    if os.fork():
        os._exit(0)
    os.setsid()
    for fd in range(3):
        os.close(fd)
    sleeper()

def stopped():
    pid = os.fork()
    if pid == 0:
        sleeper()
    os.kill(pid, signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)

def vforker():
    # Waits in the kernel for a child that goes on in its memory.
    os.posix_spawnp('sleep', ['sleep', tag], {'PATH': os.environ['PATH']})
    time.sleep(1000)

def bomb():
    deafen()
    while True:
        try:
            if os.fork() == 0:
                os.setsid()
        except OSError:
            time.sleep(0.005)

with open('kept', 'w') as f:
    f.write('kept')
print('ready', flush=True)
for one in (deaf, daemon, stopped, vforker):
    fork(one)
if way == 'leaves':
    time.sleep(0.2)
    sys.exit(7)
elif way == 'init':
    for sig in (9, 19, 15, 11):
        try:
            os.kill(1, sig)
        except OSError:
            pass
    try:
        resource.prlimit(1, resource.RLIMIT_CPU, (0, 0))
    except OSError:
        pass
    os.kill(-1, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
elif way == 'bomb':
    bomb()
elif way == 'deaf':
    deafen()
    while True:
        time.sleep(1)
elif way == 'stopped':
    os.kill(0, signal.SIGSTOP)
elif way == 'hog':
    x = bytearray(300 << 20)
    time.sleep(60)
elif way == 'talks':
    line = b'x' * 65536
    for i in range(100):
        sys.stdout.buffer.write(line)
    sys.exit(0)
elif way == 'trapped':
    deafen()
    print('trapped', flush=True)
    zero = os.open('/dev/zero', os.O_RDONLY)
    while True:
        os.read(zero, 1 << 20)
time.sleep(60)
P
alive() { pgrep -f "sleep $tag" | wc -l; }
round=0
options=()
begin() {
	round=$((round + 1))
	tag=9$round$$
	# The output too: who waits for a word in it means this round's.
	rm -f "$T/r.json" "$T/a.tar" "$T/events.jsonl" "$T/out"
}
# For the background: the pid is then the program's own.
pay() {
	exec "$M9M" -q --artifact "$T/a.tar" --result "$T/r.json" \
		--events "$T/events.jsonl" --ro-bind "$T/pay.py" /pay.py \
		${options[@]+"${options[@]}"} python3 /pay.py "$1" "$tag"
}
# ended WHAT STATUS EXIT: what holds after every end.
ended() {
	is "$1: exit status" "$rc" "$3"
	json_is "$T/r.json" .status "$2"
	is "$1: nothing is alive" "$(alive)" 0
	is "$1: the archive" "$(tar -xOf "$T/a.tar" work/kept 2>&1)" kept
	is "$1: the workdir is gone" \
		"$(find "$XDG_STATE_HOME/m9m-sandbox/runs" -mindepth 1)" ""
	is "$1: no cgroup" "$(own_cgroups)" ""
	is "$1: the last event" "$(tail -n 1 "$T/events.jsonl" |
		jq -r '.event + " " + .status')" "exit $2"
}
# row WHAT STATUS EXIT WAY OPTION...
row() {
	local what=$1 status=$2 code=$3 way=$4
	shift 4
	begin
	options=("$@")
	run pay_in_front "$way"
	ended "$what" "$status" "$code"
}
pay_in_front() { (pay "$1"); }

# Long enough for a payload to be well under way, on this machine as it is.
soon=$(date +%s%N)
"$M9M" -q --no-artifact python3 -c 'import os, resource, signal, sys, time'
soon=$((($(date +%s%N) - soon) * 4 / 1000000 + 500))ms
echo "# timeouts are $soon"

begin
(cd "$T" && exec python3 pay.py leaves "$tag") >"$T/out"
until [ "$(alive)" -ge 3 ]; do
	pgrep -f "pay.py leaves $tag" >"$T/out" || break
done
check "outside, they stay" test "$(alive)" -ge 3
pkill -KILL -f "sleep $tag"
pkill -KILL -f "pay.py leaves $tag"

row "the payload's own end" failed 7 leaves
row "PID 1 is attacked from inside" failed 137 init
row "timeout" timeout 124 sleeps --timeout "$soon" --grace 200ms
row "timeout, deaf" timeout 124 deaf --timeout "$soon" --grace 200ms
row "timeout, stopped" timeout 124 stopped --timeout "$soon" --grace 200ms
row "timeout, fork bomb" timeout 124 bomb --timeout "$soon" --grace 200ms --pids 60
row "timeout, no grace" timeout 124 deaf --timeout "$soon" --grace 0
row "output cap" ok 0 talks --output 100k
json_is "$T/r.json" '.limits | join(" ")' output
is "what was kept" "$(tar -xOf "$T/a.tar" stdout.log | wc -c)" 100000
is "what was passed on" "$(wc -c <"$T/out")" $((6553600 + 6))

# Out of memory: by the kernel, or by us where there is no cgroup.
row "out of memory" oom 137 hog --memory 150Mi --allow-degraded cgroup
json_is "$T/r.json" '.limits | index("memory") != null' true

echo "# cancelled"
for way in sleeps deaf stopped trapped; do
	begin
	options=(--grace 200ms)
	pay $way >"$T/out" 2>"$T/err" &
	pid=$!
	await_line "$T/out" ready
	kill -TERM $pid
	rc=0
	wait $pid || rc=$?
	ended "cancel, $way" killed 143
done

echo "# killed with SIGKILL: the supervisor, with all that it has"
begin
options=()
pay bomb >"$T/out" 2>"$T/err" &
pid=$!
await_line "$T/out" ready
inner=$(inner $pid)
kill -KILL $pid
wait $pid 2>/dev/null
check "PID 1 ends" await_exit "$inner"
is "nothing is alive" "$(alive)" 0
is "nor any of the bomb" "$(pgrep -f "pay.py bomb $tag" | wc -l)" 0
is "the workdir waits to be collected" \
	"$(cat "$XDG_STATE_HOME"/m9m-sandbox/runs/*.work/kept)" kept
clear_runs

# In uninterruptible sleep: v1's freezer holds a process so that not even
# SIGKILL is seen.  The run cannot end before it, and does as soon as it may.
freezer=/sys/fs/cgroup/freezer
if is_root && [ -w $freezer/cgroup.procs ] &&
	mkdir "$freezer/m9m-test-$$" 2>/dev/null; then
	echo "# uninterruptible"
	ice=$freezer/m9m-test-$$
	on_exit "echo THAWED >$ice/freezer.state; rmdir $ice"
	begin
	options=(--timeout "$soon" --grace 100ms)
	pay deaf >"$T/out" 2>"$T/err" &
	pid=$!
	await_line "$T/out" ready
	# The word was said before they were made.
	until victim=$(pgrep -f "^sleep $tag"); do
		kill -0 $pid || break
	done
	victim=${victim%%[!0-9]*}
	echo "$victim" >"$ice/cgroup.procs"
	echo FROZEN >"$ice/freezer.state"
	await_line "$T/events.jsonl" '"timeout"'
	timeout 2 tail -f --pid=$pid -s 0.05 /dev/null
	check "as long as it cannot die, the run is not over" kill -0 $pid
	is "it is all that is left" "$(alive)" 1
	check "and nothing is archived yet" test ! -e "$T/a.tar"
	echo THAWED >"$ice/freezer.state"
	rc=0
	wait $pid || rc=$?
	ended "uninterruptible for a while" timeout 124
else
	echo "# no freezer of v1 to be had; 67-uninterruptible has another way"
fi
