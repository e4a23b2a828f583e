#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What a run takes of the machine while it goes on is told, whoever counts it: a
# cgroup, or /proc where there is none.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq python3

# Burns a fifth of a second, takes 50 MB and two more processes, and stays so
# until it is told to end.
cat >"$T/load.py" <<'END'
import os, signal, sys, time
began = time.process_time()
while time.process_time() - began < 0.2:
    pass
held = bytearray(50 << 20)
held[::4096] = b"x" * len(held[::4096])
pipe = os.pipe()
for _ in range(2):
    if os.fork() == 0:
        os.close(pipe[1])
        os.read(pipe[0], 1)
        os._exit(0)
print("busy", flush=True)
if sys.argv[1:] == ["stay"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    signal.pause()
sys.stdin.read()
END

# A fifth of a second, 50 MB, four processes with PID 1.
all_of_it='"sample","cpu_ms":([2-9]..|....+),"memory":([5-9].{7}|[0-9]{9,}),"pids":4}'
# sampled WHAT OPTION...
sampled() {
	local what=$1 pid
	shift
	rm -f "$T/stdin" "$T/events.jsonl"
	mkfifo "$T/stdin"
	"$M9M" -q --no-artifact --events "$T/events.jsonl" \
		--ro-bind "$T/load.py" /load.py "$@" \
		-- python3 -u /load.py <"$T/stdin" >"$T/out" 2>"$T/err" &
	pid=$!
	exec 5>"$T/stdin"
	await_line "$T/out" busy 60 || show_output
	check "$what: a sample has all of it" await_line "$T/events.jsonl" \
		"$all_of_it" 60
	exec 5>&-
	wait "$pid"
	is "$what: exit status" "$?" 0
	is "and none has the world's memory" "$(events sample |
		jq -s 'all(.memory < 500000000)')" true
	is "the CPU never goes back" "$(jq -s 'map(select(.event == "sample")
		.cpu_ms) | . == sort' "$T/events.jsonl")" true
	is "no more than one in a tenth of a second" "$(jq -s '
		(map(select(.event == "sample")) | length) <=
		(map(select(.event == "exit"))[0].duration_ms / 100)' \
		"$T/events.jsonl")" true
	run python3 "$TOP/tests/schema.py" "$TOP/schema/event.schema.json" \
		"$T/events.jsonl"
	is "by the schema" "$rc" 0
}

sampled "as it comes"
sampled "without a cgroup" --cgroup none

# Who is killed with PID 1 is reaped by the kernel, which counts it for nobody.
echo "# what does not end by itself counts too"
counted() {
	is "$1: CPU and memory of what was killed" "$(json "$T/r.json" \
		'.cpu_ms >= 200 and .memory_peak > 50000000')" true
}
uncounted=("$M9M" -q --no-artifact --cgroup none --result "$T/r.json"
	--ro-bind "$T/load.py" /load.py)
for how in term left; do
	rm -f "$T/out" "$T/r.json"
	if [ "$how" = term ]; then
		"${uncounted[@]}" --grace 10ms -- python3 -u /load.py stay >"$T/out" 2>"$T/err" &
		pid=$!
		await_line "$T/out" deaf 60 || show_output
		kill -TERM "$pid"
		wait "$pid"
		is "$how: exit status" "$?" 143
	else
		run "${uncounted[@]}" -- bash -c 'exec 3< <(exec python3 -u /load.py stay)
			until [ "$line" = deaf ]; do read -r line <&3; done'
		is "$how: exit status" "$rc" 0
	fi
	counted "$how"
done

# The kernel may hold it up for as long as processes come and go inside.
echo "# who looks is not who serves the signals"
rm -f "$T/out" "$T/events.jsonl"
"${uncounted[@]}" --events "$T/events.jsonl" --grace 10ms -- \
	python3 -u /load.py stay >"$T/out" 2>"$T/err" &
pid=$!
await_line "$T/out" deaf 60 || show_output
await_line "$T/events.jsonl" '"sample"' 60
looker=$(looker "$pid")
check "one process looks" kill -STOP "$looker"
kill -TERM "$pid"
wait "$pid"
is "the end does not wait for it" "$?" 143
check "and it is gone" test ! -e "/proc/$looker"
