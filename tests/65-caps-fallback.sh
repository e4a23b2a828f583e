#!/bin/bash
# SPDX-License-Identifier: MIT
#
# No cgroup, and a user who takes what comes nearest: processors in whole
# numbers, memory that is looked at, processes counted by the user namespace.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need jq python3 tar

# Where v2 has no controllers it cannot be had, not even by root.
if ! grep -q ':memory:' /proc/self/cgroup; then
	! is_root || skip "root can have a cgroup here"
fi
M9M_RUN=("$M9M" -q --cgroup v2 --allow-degraded cgroup
	--result "$T/r.json" --artifact "$T/a.tar")
m9m() {
	rm -f "$T/events.jsonl"
	"${M9M_RUN[@]}" --events "$T/events.jsonl" "$@"
}
alive() { pgrep -f "sleep $1" | wc -l; }

expect_exit 125 "$M9M" -q --cgroup v2 --memory 100Mi true
contains "$T/err" "--allow-degraded cgroup"
expect_exit 0 m9m true
json_is "$T/r.json" '.degraded | join(" ")' cgroup
contains "$T/r.json" "instead of a cgroup: memory is looked at"
is "no cgroup is claimed" "$(json "$T/r.json" '.layers[]' | grep -c cgroup:)" 0

echo "# cores"
cat >"$T/cpus.py" <<'P'
import ctypes, os, threading
number = {'x86_64': 203, 'aarch64': 122}[os.uname().machine]
count = lambda: len(os.sched_getaffinity(0))
all_of_them = range(os.cpu_count())
print("born to", count())
def widen():
    os.sched_setaffinity(0, all_of_them)
    print("asked, and has", count())
widen()
t = threading.Thread(target=widen); t.start(); t.join()
if os.fork() == 0:
    widen()
    os._exit(0)
os.wait()
# The argument that no filter may be confused by: its high half.
libc = ctypes.CDLL(None, use_errno=True)
mask = ctypes.c_ulong(~0 & (2 ** 64 - 1))
print("raw", libc.syscall(ctypes.c_long(number), ctypes.c_long(1 << 32), ctypes.c_long(8), ctypes.byref(mask)), count())
P
n=$(nproc)
run python3 "$T/cpus.py"
matches "$T/out" "^asked, and has $n$"
if [ "$n" -ge 2 ]; then
	for cpu in 1 0.3; do
		run m9m --cpu $cpu --ro-bind "$T/cpus.py" /c.py python3 -u /c.py
		is "--cpu $cpu" "$(sort -u "$T/out" | paste -sd ,)" \
			"asked, and has 1,born to 1,raw 0 1"
	done
	run m9m --cpu 1.5 --ro-bind "$T/cpus.py" /c.py python3 -u /c.py
	contains "$T/out" "born to 2"
fi
run m9m --cpu "$n" --ro-bind "$T/cpus.py" /c.py python3 -u /c.py
contains "$T/out" "born to $n"

echo "# memory"
cat >"$T/hog.py" <<'P'
import ctypes, os, sys, time
way, tag = sys.argv[1:]
with open('/work/kept', 'w') as f:
    f.write('kept')
if way == 'undumpable':
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
if way == 'many':
    for i in range(6):
        if os.fork() == 0:
            os.setsid()
            x = bytearray(50 << 20)
            time.sleep(60)
elif way == 'orphan':
    if os.fork() == 0:
        if os.fork():
            os._exit(0)
        x = bytearray(300 << 20)
        time.sleep(60)
elif way == 'thread':
    import threading
    def spawn():
        if os.fork() == 0:
            x = bytearray(300 << 20)
            time.sleep(60)
        time.sleep(60)
    threading.Thread(target=spawn, daemon=True).start()
else:
    x = bytearray((50 if way == 'little' else 300) << 20)
if way != 'little':
    os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', tag)
    time.sleep(60)
time.sleep(2)
print('went through')
P
for way in plain many orphan thread undumpable; do
	tag=91$$
	expect_exit 137 m9m --memory 150Mi --ro-bind "$T/hog.py" /hog.py \
		python3 /hog.py $way $tag
	json_is "$T/r.json" '.status + " " + (.limits | join(" "))' "oom memory"
	is "$way: an event" "$(events oom | jq .limit)" 157286400
	is "$way: nothing is alive" "$(alive $tag)" 0
	is "$way: the archive was written" "$(tar -xOf "$T/a.tar" work/kept)" kept
done
expect_exit 0 m9m --memory 150Mi --ro-bind "$T/hog.py" /hog.py \
	python3 /hog.py little 0
contains "$T/out" "went through"
check "the peak was seen" test "$(json "$T/r.json" .memory_peak)" -gt 50000000

# Files in memory that nobody has mapped.
for place in /tmp /home/agent /dev/shm; do
	expect_exit 137 m9m --memory 150Mi sh -c "head -c 300M /dev/zero >$place/x
		exec sleep 60"
	json_is "$T/r.json" '.status + " " + (.limits | join(" "))' "oom memory"
	expect_exit 3 m9m --memory 500Mi sh -c "head -c 300M /dev/zero >$place/x
		sleep 0.5; exit 3"
done
expect_exit 137 m9m --memory 150Mi --disk 100Mi sh -c 'head -c 90M /dev/zero >x
	head -c 90M /dev/zero >/tmp/x; exec sleep 60'
json_is "$T/r.json" .status oom
# Mapped, they count once.
expect_exit 0 m9m --memory 150Mi python3 -c '
import mmap, time
with open("/dev/shm/x", "w+b") as f:
    f.truncate(90 << 20)
    m = mmap.mmap(f.fileno(), 0)
    for at in range(0, len(m), 4096): m[at] = 1
    time.sleep(0.5)
    print("went through")'
contains "$T/out" "went through"

# The host's OOM killer may take who looks: no run goes on without its cap.
tag=92$$
rm -f "$T/events.jsonl"
"${M9M_RUN[@]}" --events "$T/events.jsonl" --memory 150Mi sleep $tag 2>"$T/err" &
pid=$!
await_line "$T/events.jsonl" '"sample"'
kill -KILL "$(looker "$pid")"
wait "$pid"
is "without who looks it ends" "$? $(alive $tag)" "125 0"
contains "$T/err" "what looks at what the run uses was ended"

echo "# processes"
cat >"$T/forks.py" <<'P'
import os
n = 0
try:
    while n < 100:
        if os.fork() == 0:
            os.read(os.pipe()[0], 1)
        n += 1
except OSError as e:
    print(e.errno, n)
else:
    print('no end', n)
P
# Others of the same user do not count, and are not counted for it.
for _ in $(seq 30); do sleep 60 & done
run m9m --memory 1Gi --pids 20 --ro-bind "$T/forks.py" /f.py python3 /f.py
is "--pids 20" "$(cat "$T/out")" "11 19"
# shellcheck disable=SC2046  # one argument each
kill $(jobs -p)
wait 2>/dev/null

is "no run directory is left" \
	"$(find "$XDG_STATE_HOME/m9m-sandbox/runs" -mindepth 1 | wc -l)" 0
