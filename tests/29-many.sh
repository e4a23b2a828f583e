#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Two hundred runs at once, of every kind of end: each result is right, each
# archive is there, and nothing else is left.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq zstd tar
! sanitized || skip "the sanitizers take more memory than there is for 200"

MANY=200
# Of each run: the supervisor, PID 1, the payload and what it starts.
ulimit -Su "$(ulimit -Hu)"
[ "$(ulimit -u)" = unlimited ] || [ "$(ulimit -u)" -ge $((MANY * 6)) ] ||
	skip "at most $(ulimit -u) processes are allowed (ulimit -u)"
STATE=$XDG_STATE_HOME/m9m-sandbox
capped=
XDG_STATE_HOME=$T/probe "$M9M" -q --no-artifact --memory 64M true \
	2>/dev/null && capped=1
mkdir "$T/many"
# await_begun: until all are under way or over.  Where 200 start at once, a
# timeout of 300 ms can come before the command does.
await_begun() {
	timeout 300 tail -n +1 -F "$STATE/audit.jsonl" 2>/dev/null |
		awk -v all=$MANY '
		/"event":"(exec|exit)"/ && match($0, /"run":"[^"]*"/) {
			n += !seen[substr($0, RSTART, RLENGTH)]++
			if (n == all)
				exit
		}'
}

# The kinds: options and script of each, and "STATUS EXIT" of its result.
# shellcheck disable=SC2016  # the payload's
kinds=(
	"|echo fine >file|ok 0"
	"|exit 7|failed 7"
	"--timeout 300ms --grace 100ms|trap '' TERM; sleep 100 & wait; wait|timeout 124"
	"|kill -SEGV \$\$|failed 139"
	"--output 1000|head -c 5000 /dev/zero|ok 0"
	"--name @|sleep 0.1; exit 3|failed 3"
	"--disk 64Ki|head -c 100000 /dev/zero >big; exit 5|failed 5"
	"--memory 32M|tail /dev/zero|oom 137"
)
# Without a cgroup, memory is looked at from time to time: no more than this.
[ -n "$capped" ] ||
	kinds[-1]="--memory 32M --allow-degraded cgroup|for f in /tmp/x ~/x; do head -c 30M /dev/zero >\$f; done; sleep 100|oom 137"
n=${#kinds[@]}
# All wait for one moment: at the end of the file that they read.
mkfifo "$T/go"
exec 8<>"$T/go"
pids=()
for i in $(seq $MANY); do
	IFS='|' read -r options script want <<<"${kinds[i % n]}"
	echo "$want" >"$T/many/$i.want"
	# shellcheck disable=SC2086  # words
	"$M9M" -q --result "$T/many/$i.json" ${options//@/many-$i} -- sh -c \
		"read -r _; $script" <"$T/go" >"$T/many/$i.out" \
		2>"$T/many/$i.err" 8>&- &
	pids+=($!)
done
live() { find "$STATE/runs" -name '*.journal' | wc -l; }
await_begun
echo "# $(live) at once"
check "they live at the same time" test "$(live)" -gt $((MANY * 3 / 4))
expect_exit 0 "$M9M" --gc
matches "$T/out" '^0 dead, 0 kept, [0-9]+ live$'
exec 8>&-
for pid in "${pids[@]}"; do wait "$pid"; done

wrong=0 lost=0
for i in $(seq $MANY); do
	got=$(jq -r '.status + " " + (.exit_code | tostring)' \
		"$T/many/$i.json" 2>&1)
	if [ "$got" != "$(cat "$T/many/$i.want")" ]; then
		wrong=$((wrong + 1))
		echo "# $i: $got, not $(cat "$T/many/$i.want"):" \
			"$(head -n 2 "$T/many/$i.err")"
	fi
	archive=$(jq -r '.artifact.path // empty' "$T/many/$i.json")
	[ -n "$archive" ] && zstd -qt "$archive" 2>/dev/null || lost=$((lost + 1))
done
is "results that are wrong" $wrong 0
is "archives that are missing" $lost 0
is "nothing is left" "$(find "$STATE/runs" -mindepth 1 | head -n 3)" ""
is "no half of an archive" "$(find "$STATE/artifacts" -name '.*' -type f)" ""
