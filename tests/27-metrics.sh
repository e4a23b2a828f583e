#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --metrics-dir: counters over all runs, whole and never going down, as
# Prometheus's own tools see them.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need promtool prometheus-node-exporter curl jq python3
host_netns

DIR=$T/metrics
FILE=$DIR/m9m_sandbox.prom
mkdir "$DIR"
count=("$M9M" -q --no-artifact --metrics-dir "$DIR")

value() { # of a series, without the prefix; 0 when it is not there
	awk -v s="m9m_sandbox_$1" '$1 == s { v = $2 } END { print v + 0 }' "$FILE"
}
clean() {
	run promtool check metrics <"$FILE"
	is "$1: promtool finds nothing" "$rc $(cat "$T/out" "$T/err")" "0 "
}

expect_exit 0 "${count[@]}" true
clean "the first run"
expect_exit 3 "${count[@]}" sh -c 'exit 3'
expect_exit 124 "${count[@]}" --timeout 100ms sleep 100
expect_exit 127 "${count[@]}" no-such-program
expect_exit 0 "${count[@]}" --allow good.test:7 --resolve good.test=127.0.0.1 \
	bash -c 'getent hosts bad.test; (exec 3<>/dev/tcp/192.0.2.1/7); true'
clean "all ends"
is "runs by status" "$(for s in ok failed timeout error oom; do
	value "runs_total{agent=\"none\",status=\"$s\"}"
done | paste -sd ' ')" "2 1 1 1 0"
is "as many durations as runs" \
	"$(value 'run_duration_seconds_count{agent="none"}')" 5
is "all of them within the last bucket" \
	"$(value 'run_duration_seconds_bucket{agent="none",le="+Inf"}')" 5
is "a denied connection" "$(value 'connections_total{verdict="denied"}')" 1
check "denied questions" test "$(value 'dns_questions_total{verdict="denied"}')" -gt 0
check "executions" test "$(value 'commands_total{verdict="allowed"}')" -gt 3
check "a memory peak" test "$(value 'memory_peak_bytes{agent="none"}' |
	cut -d. -f1)" -gt 100000

echo "# an agent has its own; a name that is no profile's has none"
printf '#!/bin/sh\nexit 0\n' >"$T/claude"
cp "$T/claude" "$T/mine"
chmod +x "$T/claude" "$T/mine"
expect_exit 0 "${count[@]}" "$T/claude"
peak=$(value 'memory_peak_bytes{agent="none"}')
expect_exit 0 "${count[@]}" --id 'a"b' "$T/mine"
is "the largest peak stays" "$(value 'memory_peak_bytes{agent="none"}')" "$peak"
is "claude" "$(value 'runs_total{agent="claude",status="ok"}')" 1
is "the rest is none" "$(value 'runs_total{agent="none",status="ok"}')" 3
is "two agents, no other" \
	"$(grep -o 'agent="[^"]*"' "$FILE" | sort -u | paste -sd ' ')" \
	'agent="claude" agent="none"'
clean "agents"

echo "# a fifo and a second name of another file, in the place of ours"
mkfifo "$DIR/.m9m_sandbox.prom.m9m.tmp"
expect_exit 0 timeout -s KILL 20 "${count[@]}" true
echo precious >"$T/precious"
ln "$T/precious" "$DIR/.m9m_sandbox.prom.m9m.tmp"
expect_exit 0 "${count[@]}" true
is "the other file is whole" "$(cat "$T/precious")" precious
mkdir "$T/traps"
mkfifo "$T/traps/m9m_sandbox.prom"
expect_exit 0 timeout -s KILL 20 "$M9M" -q --no-artifact \
	--metrics-dir "$T/traps" true
rm "$T/traps/m9m_sandbox.prom"
printf 'precious\n# EOF\n' >"$T/ended"
ln -s "$T/ended" "$T/traps/m9m_sandbox.prom"
expect_exit 0 "$M9M" -q --no-artifact --metrics-dir "$T/traps" true
check "no line of a link's target is told" test -z "$(grep precious "$T/err")"

echo "# thirty at once, and readers meanwhile"
before=$(value 'runs_total{agent="none",status="ok"}')
python3 - "$FILE" "$T/stop" >"$T/readers" 2>&1 <<'END' &
import os, sys
last, seen = 0, 0
while not os.path.exists(sys.argv[2]):
    text = open(sys.argv[1]).read()
    assert text.endswith("\n") and "# HELP m9m_sandbox_last_run" in text
    now = sum(float(l.rsplit(" ", 1)[1]) for l in text.splitlines()
              if l.startswith("m9m_sandbox_runs_total"))
    assert now >= last, (now, last)
    if seen == 0:
        print("ready", flush=True)
    last, seen = now, seen + 1
print("read", seen > 10)
END
reader=$!
await_line "$T/readers" ready
pids=()
for _ in $(seq 30); do
	"${count[@]}" true 2>>"$T/many.err" &
	pids+=($!)
done
wait "${pids[@]}"
touch "$T/stop"
wait $reader
is "each file that was read was whole, no counter went down" \
	"$(tail -n 1 "$T/readers")" "read True"
is "all are counted" "$(value 'runs_total{agent="none",status="ok"}')" \
	"$((before + 30))"
clean "many"

echo "# a writer that died, a file that is damaged"
echo half >"$DIR/.m9m_sandbox.prom.m9m.tmp"
echo half >"$DIR/.m9m_sandbox.prom.tmp"
expect_exit 0 "${count[@]}" true
check "what an old version left is cleared" \
	test ! -e "$DIR/.m9m_sandbox.prom.tmp"
is "what a dead writer left is no hindrance" \
	"$(value 'runs_total{agent="none",status="ok"}')" "$((before + 31))"
cp "$FILE" "$T/good"
for damage in '$d' '20s/$/x/' '5s/ [0-9.]*$//' 's/m9m_sandbox_cpu/other_cpu/' \
	'20s/ [0-9.]*$/ -1/' '20s/ [0-9.]*$/ nan/'; do
	sed "$damage" "$T/good" >"$FILE"
	cp "$FILE" "$T/damaged"
	expect_exit 0 "${count[@]}" --result "$T/result.json" true
	contains "$T/err" "not counted: m9m_sandbox.prom is damaged"
	check "it is left alone" cmp -s "$FILE" "$T/damaged"
	json_is "$T/result.json" '.warnings | map(select(test("not counted"))) | length' 1
done
head -c 1500 "$T/good" >"$FILE"
run "${count[@]}" true
contains "$T/err" "not counted: m9m_sandbox.prom is damaged"
cp "$T/good" "$FILE"

echo "# no place for it: nothing is run"
expect_exit 125 "$M9M" --no-artifact --metrics-dir "$T/nowhere" sh -c 'echo STARTED'
lacks "$T/out" STARTED
contains "$T/err" "metrics: cannot keep metrics in $T/nowhere"
expect_exit 125 "$M9M" --no-artifact --metrics-dir "$DIR" --bind "$DIR" /m true
contains "$T/err" "which the sandbox may change"

echo "# a real node_exporter"
cp "$T/good" "$FILE"
prometheus-node-exporter --collector.disable-defaults --collector.textfile \
	--collector.textfile.directory="$DIR" \
	--web.listen-address=127.0.0.1:9100 >"$T/exporter" 2>&1 &
exporter=$!
on_exit "kill $exporter; wait $exporter"
await_line "$T/exporter" 'istening on'
curl -s http://127.0.0.1:9100/metrics >"$T/scraped"
is "no error" "$(grep '^node_textfile_scrape_error' "$T/scraped")" \
	"node_textfile_scrape_error 0"
is "all series come through" \
	"$(grep -c '^m9m_sandbox_' "$T/scraped")" "$(grep -c '^m9m_sandbox_' "$FILE")"
is "with their values" \
	"$(awk '$1 == "m9m_sandbox_runs_total{agent=\"none\",status=\"ok\"}" { print $2 }' "$T/scraped")" \
	"$((before + 31))"

echo "# the dashboard asks for what there is"
missing=$(jq -r '.panels[].targets[].expr' "$TOP/contrib/grafana/m9m-sandbox.json" |
	grep -o 'm9m_sandbox_[a-z_]*' | sort -u | while read -r name; do
	grep -q "^${name}[{ ]" "$FILE" || echo "$name"
done)
is "each metric of it is kept" "$missing" ""
