#!/bin/bash
# Caps by a cgroup: hard where they can be had, refused where they cannot.
. "$(dirname "$0")/lib.sh"
need python3 jq

m9m() { "$M9M" -q --no-artifact --result "$T/r.json" "$@"; }
hog='x = bytearray(300 << 20); print("had it")'
cgroups() { find /sys/fs/cgroup -type d -name 'm9m-*' 2>/dev/null | wc -l; }
before=$(cgroups)

check "300 MiB can be had outside" python3 -c "$hog"

if m9m --memory 100Mi true 2>"$T/refusal"; then
	json_is "$T/r.json" '.layers | map(select(startswith("cgroup:"))) | length' 1
	json_is "$T/r.json" '.degraded | length' 0
	expect_exit 137 m9m --memory 100Mi python3 -c "$hog"
	json_is "$T/r.json" .status oom
	lacks "$T/out" "had it"
	expect_exit 0 m9m --memory 500Mi python3 -c "$hog"
	check "the peak is counted" test "$(json "$T/r.json" .memory_peak)" -gt 314572800
	# What is killed inside is not us: memory in a tmpfs counts as well.
	expect_exit 137 m9m --memory 100Mi sh -c 'head -c 300M /dev/zero >/tmp/x; exec python3 -c "bytearray(90 << 20)"'
	json_is "$T/r.json" .status oom

	# A fifth of a core: a second of work takes five.
	spin='import time
end = time.process_time() + 0.4
while time.process_time() < end: pass'
	free=$(date +%s%N)
	m9m python3 -c "$spin"
	free=$((($(date +%s%N) - free) / 1000000))
	capped=$(date +%s%N)
	m9m --cpu 0.2 python3 -c "$spin"
	capped=$((($(date +%s%N) - capped) / 1000000))
	echo "# $free ms without a cap, $capped ms with 0.2 cores"
	check "0.2 cores hold 0.4 s of work for over 1.2 s" test "$capped" -gt 1200
	is "the payload cannot see the cgroup's place" \
		"$(m9m --memory 100Mi cat /proc/self/cgroup | grep -c m9m-)" 0
	run m9m --memory 100Mi --pids 10 python3 -c '
import os
n = 0
try:
    while True:
        if os.fork() == 0:
            os.read(os.pipe()[0], 1)
        n += 1
except OSError:
    print(n)
'
	is "--pids holds with it" "$(cat "$T/out")" 9
	# Two runs do not share a cap.
	m9m --memory 200Mi python3 -c 'x = bytearray(120 << 20)' &
	pid=$!
	expect_exit 0 "$M9M" -q --no-artifact --memory 200Mi python3 -c 'x = bytearray(120 << 20)'
	wait $pid
	is "a second one at the same time" $? 0
else
	cp "$T/refusal" "$T/err"
	contains "$T/err" "cgroup: "
	contains "$T/err" "--allow-degraded cgroup"
	json_is "$T/r.json" .status error
	expect_exit 125 m9m --cpu 1 true
	expect_exit 0 m9m --memory 100Mi --allow-degraded cgroup true
	json_is "$T/r.json" '.degraded[0]' cgroup
	json_is "$T/r.json" '.warnings | length' 1
fi

# Nobody asked: said, not refused.
expect_exit 0 m9m true
json_is "$T/r.json" '.degraded[0]' cgroup
is "no cgroup is left" "$(cgroups)" "$before"
