#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Our processes are killed with SIGKILL, at each system call of theirs and at any
# time: nothing inside lives on, --gc leaves nothing, and what the payload had
# written is in an archive.  M9M_ROUNDS: how often (40).
# timeout: 1500
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need strace tar zstd
! sanitized || skip "the sanitizers make it too slow"
strace -o /dev/null -f true 2>/dev/null || skip "strace may not trace here"

ROUNDS=${M9M_ROUNDS:-40}
KEEPER=$(dirname "$M9M")/keeper
STATE=$XDG_STATE_HOME/m9m-sandbox
OUTS=$T/outs
mkdir "$OUTS" "$T/tree"

# Kinds of run that leave different things.
kinds=(
	"--name kill"
	"--artifact $OUTS/own.tar.zst"
	"--no-artifact --disk 1Mi"
	"--output-file marker:$OUTS/marker --allow a.test --resolve a.test=127.0.0.1"
	"--project $T/tree"
)
# shellcheck disable=SC2016  # the payload's
payload='echo "$1" >marker; echo written; exec sleep 0.02'

# How often the busiest process makes each call, from beginning to end.
# shellcheck disable=SC2086  # words
"$KEEPER" 60 strace -f -o "$T/trace" "$M9M" -q ${kinds[3]} sh -c "$payload" - x \
	>"$T/out" 2>"$T/err"
contains "$T/out" written
rm -rf "$STATE" "${OUTS:?}"/*
# Each call of each kind: "CALL NUMBER".
awk '{ sub(/\(.*/, "", $2) } $2 ~ /^[a-z0-9_]+$/ { n[$1 " " $2]++ }
	END { for (k in n) { split(k, p, " ")
		if (n[k] > most[p[2]]) most[p[2]] = n[k] }
	for (c in most) for (i = 1; i <= most[c]; i++) print c, i }' "$T/trace" |
	grep -vE '^(rt_sig|brk|mmap|munmap|mprotect|execve|arch_prctl|exit|rseq|set_)' |
	sort >"$T/calls"
total=$(wc -l <"$T/calls")
check "there are calls to be killed at: $total" test "$total" -gt 200

rounds=0 killed=0 lived=0 left=0 lost=0 failed=0 written=0

# Is what this round wrote in some archive?
archived() {
	local archive
	for archive in "$OUTS/own.tar.zst" "$STATE"/artifacts/*.tar.zst; do
		[ -e "$archive" ] || continue
		! zstd -qdc "$archive" | tar -xOf - work/marker 2>/dev/null |
			grep -qx "$1" || return 0
	done
	return 1
}

# one WHAT KIND COMMAND...: the run, killed on the way by the command.
one() {
	local what=$1 kind=$2 rc=0
	shift 2
	rounds=$((rounds + 1))
	# shellcheck disable=SC2086  # words
	"$KEEPER" 60 "$@" "$M9M" -q ${kinds[kind]} sh -c "$payload" - $rounds \
		>"$T/out" 2>"$T/err" </dev/null || rc=$?
	[ $rc = 0 ] || killed=$((killed + 1))
	if grep -q '^keeper:' "$T/out"; then
		lived=$((lived + 1))
		echo "# $what: $(grep '^keeper:' "$T/out" | head -n 3)"
	fi
	if ! "$M9M" --gc >"$T/gc" 2>&1; then
		failed=$((failed + 1))
		echo "# $what: --gc: $(cat "$T/gc")"
	fi
	if [ -n "$(find "$STATE/runs" "$OUTS" "$STATE/artifacts" -mindepth 1 \
		! -name '2*.tar.zst' ! -name own.tar.zst ! -name marker \
		2>/dev/null | tee "$T/left")" ]; then
		left=$((left + 1))
		echo "# $what left: $(head -n 2 "$T/left")"
	fi
	if [ "$kind" != 2 ] && grep -qx written "$T/out"; then
		written=$((written + 1))
		if ! archived $rounds; then
			lost=$((lost + 1))
			echo "# $what lost what was written: $(cat "$T/gc" "$T/err")"
		fi
	fi
	rm -rf "$STATE/runs" "$STATE/artifacts" "${OUTS:?}"/*
}

# At each call in turn, spread evenly over all of them, from a place that is
# another one each time.
traced=$((ROUNDS * 3 / 5))
step=$(((total + traced - 1) / traced))
for ((i = RANDOM % step; i < total; i += step)); do
	read -r call when < <(sed -n "$((i + 1))p" "$T/calls")
	one "$call:$when" $((rounds % ${#kinds[@]})) strace -f -o /dev/null -e "trace=$call" \
		-e "inject=$call:signal=KILL:when=$when"
done
# At any time.
while [ $rounds -lt "$ROUNDS" ]; do
	ms=$((RANDOM % 60))
	one "after $ms ms" $((rounds % ${#kinds[@]})) timeout --foreground -s KILL \
		"$(printf '0.%03d' $((ms + 1)))"
done

echo "# $rounds rounds, $killed ended before their time, $written had written"
check "most were killed" test $killed -gt $((rounds / 3))
check "some had written" test $written -gt 0
is "processes lived on" $lived 0
is "--gc failed" $failed 0
is "something was left" $left 0
is "something was lost" $lost 0
