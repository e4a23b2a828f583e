#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Records under pressure: many runs write one audit log at once, and results and
# events go to descriptors of the caller's.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq python3

echo "# 20 at once, each with many long lines"
RUNS=20 LINES=60
mkdir "$T/many"
pids=()
# shellcheck disable=SC2016  # the payload's
for i in $(seq $RUNS); do
	"$M9M" -q --no-artifact --verbose --id "run $i" \
		--result "$T/many/$i.json" --events "$T/many/$i.jsonl" sh -c '
		i=0; while [ $i -lt "$1" ]; do
			head -c 3000 /dev/zero | tr "\0" x; echo; i=$((i+1))
		done' - $LINES >/dev/null 2>"$T/many/$i.err" &
	pids+=($!)
done
bad=0
for pid in "${pids[@]}"; do
	wait "$pid" || bad=$((bad + 1))
done
is "each run ended well" "$bad" 0
is "each line of the log is a whole object" \
	"$(python3 - "$AUDIT" <<'END'
import json, sys
bad = 0
data = open(sys.argv[1], "rb").read()
assert data.endswith(b"\n")
for line in data.splitlines():
    try:
        bad += not isinstance(json.loads(line), dict)
    except ValueError:
        bad += 1
print(bad)
END
)" 0
is "each run has one start and one exit" \
	"$(jq -r 'select(.event == "start" or .event == "exit") |
		.run + " " + .event' "$AUDIT" | sort | uniq -c |
		awk '$1 != 1 { bad++ } END { print NR, bad + 0 }')" "$((2 * RUNS)) 0"
wrong=0
for i in $(seq $RUNS); do
	run=$(json "$T/many/$i.json" .run)
	grep -F "\"run\":\"$run\"" "$AUDIT" | unchained |
		cmp -s - "$T/many/$i.jsonl" ||
		wrong=$((wrong + 1))
	jq -s -e 'map(.seq) == [range(1; length + 1)]' "$T/many/$i.jsonl" \
		>/dev/null || wrong=$((wrong + 1))
done
is "each run's lines are those of its own file, in order" "$wrong" 0
is "and there are all of them" \
	"$(jq -j 'select(.event == "stdout") | .text' "$AUDIT" | wc -c)" \
	"$((RUNS * LINES * 3001))"

expect_exit 0 "$M9M" --verify-audit "$AUDIT"
contains "$T/out" "$(wc -l <"$AUDIT") lines, as they were written"

echo "# what was done to a copy, and where"
LAST=$(wc -l <"$AUDIT")
# harmed WHAT MESSAGE SED-SCRIPT: a copy with its head, then changed.
harmed() {
	cp "$AUDIT" "$T/copy"
	cp "$AUDIT.head" "$T/copy.head"
	expect_exit 0 "$M9M" --verify-audit "$T/copy"
	sed -i "$3" "$T/copy"
	expect_exit 1 "$M9M" --verify-audit "$T/copy"
	contains "$T/out" "$2"
}
harmed altered "line 31: does not follow from line 30" '30s/"seq":/"seq":1/'
harmed removed "line 30: does not follow from line 29" 30d
harmed inserted "line 31: does not follow" 30p
harmed moved "line 30: does not follow" '30{h;d};31G'
harmed "cut at the end" "line $((LAST - 1)): is the last, but more" '$d'
head -c -20 "$AUDIT" >"$T/copy"
expect_exit 1 "$M9M" --verify-audit "$T/copy"
contains "$T/out" "line $LAST: is cut off"
expect_exit 125 "$M9M" --verify-audit "$T/nowhere"
contains "$T/err" "cannot open $T/nowhere"

echo "# a run that is killed leaves its trace, and the chain goes on"
mkdir "$T/shown"
touch "$T/shown/word"
chmod 666 "$T/shown/word" # root's payload is not root
"$M9M" -q --no-artifact --id victim --bind "$T/shown" /shown \
	sh -c "echo started >/shown/word; sleep 1000" &
victim=$!
check "it runs" await_line "$T/shown/word" started
kill -KILL $victim
wait $victim 2>/dev/null
is "its start is on record" \
	"$(jq -r 'select(.id == "victim").event' "$AUDIT" | head -n 1)" start
expect_exit 0 "$M9M" -q --no-artifact true
expect_exit 0 "$M9M" --verify-audit "$AUDIT"

echo "# rotation"
mv "$AUDIT" "$AUDIT.1"
expect_exit 0 "$M9M" -q --no-artifact true
expect_exit 0 "$M9M" --verify-audit "$AUDIT.1"
hash=$(sed -n 's/.*ends: *with //p' "$T/out")
expect_exit 0 "$M9M" --verify-audit "$AUDIT"
contains "$T/out" "begins: after $hash"
cat "$AUDIT.1" "$AUDIT" >"$T/both"
expect_exit 0 "$M9M" --verify-audit "$T/both"
contains "$T/out" "begins: new"

echo "# descriptors of the caller's"
run "$M9M" -q --no-artifact --result-fd 3 --events-fd 4 --id fds sh -c \
	'ls /proc/self/fd; exit 7' 3>"$T/result" 4>"$T/events"
is "exit status" "$rc" 7
json_is "$T/result" '[.id, .status, .exit_code] | @csv' '"fds","failed",7'
is "one object, one line" "$(wc -l <"$T/result")" 1
is "the events" "$(jq -r .event "$T/events" |
	grep -vxE 'exec|program|sample' | paste -sd ' ')" "start exit"
is "neither is inside" "$(grep -cx '[4-9]' "$T/out")" 0
run "$M9M" -q --no-artifact --result-fd 1 --events - echo word
is "all three on stdout, in order" \
	"$(sed 's/^{.*"event":"\([a-z]*\)".*/\1/; s/^{.*"status".*/result/' \
		"$T/out" | grep -vxE 'exec|program|sample' | paste -sd ' ')" \
	"start word exit result"
# A pipe that somebody holds, and one whose reader is gone.
mkfifo "$T/pipe"
exec 5<>"$T/pipe"
expect_exit 0 "$M9M" -q --no-artifact --result "$T/pipe" true
is "a result into a pipe" "$(head -n 1 <&5 | jq -r .status)" ok
exec 5<&-
run bash -c '"$0" -q --no-artifact --result-fd 3 --events-fd 3 echo out 3> >(:)' "$M9M"
is "a reader that is gone does not undo the run's output" "$(cat "$T/out")" out
check "and is no signal to us: $rc" test "$rc" -lt 126

echo "# descriptors that are not there"
for flag in --result-fd --events-fd; do
	expect_exit 125 "$M9M" --no-artifact $flag 77 sh -c 'echo STARTED'
	lacks "$T/out" STARTED
	contains "$T/err" 77
done

echo "# the result says of each status what it was"
one() {
	rm -f "$T/r.json"
	run "$M9M" -q --no-artifact --result "$T/r.json" "$@"
	jq -r '[.status, .exit_code, .payload_exit_code, .signal, .started] |
		map(tostring) | join(" ")' "$T/r.json"
}
is ok "$(one true)" "ok 0 0 null true"
is failed "$(one sh -c 'exit 9')" "failed 9 9 null true"
is "failed with 125 of its own" "$(one sh -c 'exit 125')" \
	"failed 125 125 null true"
is "failed with 124 of its own" "$(one sh -c 'exit 124')" \
	"failed 124 124 null true"
is "killed by itself" "$(one sh -c 'kill -9 $$')" "failed 137 null 9 true"
is timeout "$(one --timeout 2s sleep 60)" \
	"timeout 124 null 15 true"
is "error: not found" "$(one no-such-program)" "error 127 null null false"
is "error: not executable" "$(one /etc/passwd)" "error 126 null null false"
is "error: set-up" "$(one --chdir /nowhere true)" "error 125 null null false"

# A name is the caller's, and steers no terminal; nothing to read proves nothing.
name=$T/$(printf 'n\033[31m.jsonl')
: >"$name"
expect_exit 0 "$M9M" --verify-audit "$name"
lacks "$T/out" "$(printf '\033')"
contains "$T/out" "only a hash kept elsewhere can tell"
