#!/bin/bash
# Caps by a cgroup: hard where they can be had, refused where they cannot.
. "$(dirname "$0")/lib.sh"
need python3 jq

m9m() {
	rm -f "$T/events.jsonl"
	"$M9M" -q --no-artifact --result "$T/r.json" \
		--events "$T/events.jsonl" "$@"
}
# For the background: the pid is then the program's own.
capped() { exec "$M9M" -q --no-artifact --result "$T/r.json" "$@"; }
cgroup_layers() { json "$T/r.json" '.layers | map(select(startswith("cgroup:"))) | length'; }
hog='x = bytearray(300 << 20); print("had it")'

check "300 MiB can be had outside" python3 -c "$hog"

if m9m --memory 100Mi true 2>"$T/refusal"; then
	is "the back end is among the layers" "$(cgroup_layers)" 1
	json_is "$T/r.json" '.degraded | length' 0
	expect_exit 137 m9m --memory 100Mi python3 -c "$hog"
	json_is "$T/r.json" .status oom
	lacks "$T/out" "had it"
	expect_exit 137 m9m --summary auto --memory 100Mi python3 -c "$hog"
	contains "$T/err" "killed: out of memory, --memory is 100 MiB"
	expect_exit 0 m9m --memory 500Mi python3 -c "$hog"
	check "the peak is counted" test "$(json "$T/r.json" .memory_peak)" -gt 314572800
	# What is killed inside is not us: memory in a tmpfs counts as well.
	expect_exit 137 m9m --memory 100Mi sh -c 'head -c 300M /dev/zero >/tmp/x; exec python3 -c "bytearray(90 << 20)"'
	json_is "$T/r.json" .status oom

	json_is "$T/r.json" '.limits | join(" ")' memory
	is "an event" "$(events oom | jq .limit)" 104857600
	for place in /home/agent /dev/shm; do
		expect_exit 137 m9m --memory 60Mi sh -c "head -c 200M /dev/zero >$place/x"
		json_is "$T/r.json" .status oom
	done
	# The disk is memory, too: what is written to it counts.
	expect_exit 137 m9m --memory 100Mi --disk 90Mi python3 -c '
open("/work/x", "wb").write(bytes(80 << 20)); bytearray(60 << 20)'
	json_is "$T/r.json" .status oom
	expect_exit 0 m9m --memory 150Mi --disk 50Mi sh -c \
		'! head -c 80M /dev/zero >/work/x 2>/dev/null'
	json_is "$T/r.json" '.limits | join(" ")' disk

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
	json_is "$T/r.json" '.limits | join(" ")' pids
	json_is "$T/r.json" .pids_peak 11
	is "an event" "$(events limit | jq -r '"\(.what) \(.limit)"')" "pids 10"
	# Two runs do not share a cap.
	m9m --memory 200Mi python3 -c 'x = bytearray(120 << 20)' &
	pid=$!
	expect_exit 0 "$M9M" -q --no-artifact --memory 200Mi python3 -c 'x = bytearray(120 << 20)'
	wait $pid
	is "a second one at the same time" $? 0

	# Nobody asked: they are there all the same.
	mkfifo "$T/stay"
	capped sh -c 'echo ready; read -r line || :' <"$T/stay" >"$T/out" &
	pid=$!
	exec 9>"$T/stay"
	await_line "$T/out" ready
	is "2 GiB by default" "$(find /sys/fs/cgroup -path '*/m9m-*' \( \
		-name memory.limit_in_bytes -o -name memory.max \) \
		-exec cat {} + | sort -u | grep -cx 2147483648)" 1
	is "the payload is in there" "$(find /sys/fs/cgroup -path '*/m9m-*' \
		-name cgroup.procs -exec cat {} + | sort -u |
		grep -cx "$(pgrep -P "$(inner $pid)")")" 1
	exec 9>&-
	wait $pid
	is "it ends" $? 0
	is "a cgroup by default" "$(cgroup_layers)" 1
	json_is "$T/r.json" '[.degraded, .warnings] | flatten | length' 0
	expect_exit 0 m9m --cgroup "$(json "$T/r.json" '.layers[] |
		select(startswith("cgroup:")) | ltrimstr("cgroup:")')" true
	is "by its name, too" "$(cgroup_layers)" 1
	# The kernel says no at the last moment.
	if command -v strace >/dev/null && ! sanitized; then
		run strace -o "$T/trace" -e trace=mkdir "$M9M" -q \
			--no-artifact true
		# Calls that strace has no name for are in every trace.
		first=$(grep '^mkdir' "$T/trace" |
			grep -n '/sys/fs/cgroup.*/m9m-' | head -n 1 | cut -d : -f 1)
		broken() {
			expect_exit "$1" strace -o "$T/trace" -e trace=mkdir \
				-e "inject=mkdir:error=ENOMEM:when=$first" \
				"$M9M" -q --no-artifact --result "$T/r.json" \
				"${@:2}" true
			matches "$T/trace" '/sys/fs/cgroup/.*INJECTED'
		}
		broken 0
		json_is "$T/r.json" '.degraded[0]' cgroup
		contains "$T/r.json" "CPU and memory are not capped: cannot make"
		broken 125 --memory 100Mi
		json_is "$T/r.json" '.stage + " " + (.started | tostring)' \
			"cgroup false"
		broken 0 --memory 100Mi --allow-degraded cgroup
		json_is "$T/r.json" '.degraded[0]' cgroup
	fi
else
	cp "$T/refusal" "$T/err"
	contains "$T/err" "cgroup: "
	contains "$T/err" "--allow-degraded cgroup"
	json_is "$T/r.json" .status error
	expect_exit 125 m9m --cpu 1 true
	expect_exit 125 m9m --cgroup v1 true
	json_is "$T/r.json" .stage cgroup
	# Nobody asked: said, not refused.
	expect_exit 0 m9m true
	is "no cgroup" "$(cgroup_layers)" 0
	json_is "$T/r.json" '.degraded[0]' cgroup
	contains "$T/r.json" "CPU and memory are not capped: cannot make a cgroup"
fi

# The caller's own, where that has a cap.
memory=/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
if is_root && mkdir "$memory/m9m-test-$$" 2>/dev/null; then
	within=$memory/m9m-test-$$
	on_exit "rmdir $within"
	echo 100M >"$within/memory.limit_in_bytes"
	inside() {
		# shellcheck disable=SC2016  # for the shell inside
		m9m_in=(sh -c 'echo $$ >"$1/tasks" && shift && exec "$@"' -
			"$within" "$M9M" -q --no-artifact --result "$T/r.json")
		"${m9m_in[@]}" "$@"
	}
	expect_exit 0 inside --cgroup inherit sh -c 'exit 0'
	is "inherit: told" "$(json "$T/r.json" .layers[] | grep cgroup:)" cgroup:inherit
	json_is "$T/r.json" '.degraded | length' 0
	expect_exit 137 inside --cgroup inherit python3 -c "$hog"
	expect_exit 125 inside --cgroup inherit --memory 1Gi true
	contains "$T/err" "--memory: conflicts with --cgroup inherit"
fi
# As in a container: root's, and for reading only.
if is_root && [ -w "$memory/cgroup.procs" ]; then
	# shellcheck disable=SC2016  # for the shell inside
	expect_exit 125 unshare -m sh -c '
		mount -o remount,bind,ro /sys/fs/cgroup/memory && exec "$@"' - \
		"$M9M" -q --no-artifact --memory 1Gi true
	contains "$T/err" "Read-only file system"
	contains "$T/err" "-v /sys/fs/cgroup:/sys/fs/cgroup:rw"
fi
limit=$(sed -n 's/^hierarchical_memory_limit //p' "$memory/memory.stat" 2>/dev/null)
if [ "${limit:-0}" -gt 4000000000000000000 ]; then
	expect_exit 125 m9m --cgroup inherit true
	contains "$T/err" "nothing limits memory in"
	contains "$T/err" "MemoryMax"
fi

# A back end that is not there, none at all, and neither with a cap.
grep -q '^0::/' /proc/self/cgroup && grep -q ':memory:' /proc/self/cgroup &&
	expect_exit 125 m9m --cgroup v2 true &&
	contains "$T/err" "cannot make a cgroup that limits memory"
expect_exit 0 m9m --cgroup none true
is "none: no cgroup" "$(cgroup_layers)" 0
json_is "$T/r.json" '.degraded[0] + " " + .warnings[0]' \
	"cgroup CPU and memory are not capped: --cgroup none"
expect_exit 125 m9m --cgroup none --memory 1Gi true
contains "$T/err" "--memory: conflicts with --cgroup none"
expect_exit 125 m9m --cgroup v3 true
contains "$T/err" "--cgroup"
expect_exit 0 m9m --cgroup none --pids 5 python3 -c '
import os
n = 0
try:
    while os.fork(): n += 1
except OSError:
    print(n, flush=True)
    os._exit(0)
os.read(os.pipe()[0], 1)'
is "--pids holds without a cgroup" "$(cat "$T/out")" 4

# v1's kernel wants no more than the one above has.
cpu=/sys/fs/cgroup/cpu
if is_root && mkdir "$cpu/m9m-test-$$" 2>/dev/null; then
	on_exit "rmdir $cpu/m9m-test-$$ 2>/dev/null"
	echo 50000 >"$cpu/m9m-test-$$/cpu.cfs_quota_us"
	below() {
		sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' \
			"$cpu/m9m-test-$$" "$M9M" -q --no-artifact --cgroup v1 "$@"
	}
	expect_exit 0 below --cpu 0.4 true
	expect_exit 125 below --cpu 1 true
	contains "$T/err" "a cgroup above has less: ask for no more"
fi

is "no cgroup is left" "$(own_cgroups)" ""
