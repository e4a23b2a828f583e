#!/bin/sh
# SPDX-License-Identifier: MIT
#
# scripts/fuzz.sh SECONDS FUZZER...: each for that long, from its own corpus
# (tests/corpus/NAME) into a scratch one.  Totals on the last line.
set -u

seconds=$1
shift
passed=0
failed=0
work=$(mktemp -d "${TMPDIR:-/tmp}/m9m-fuzz.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

for fuzzer; do
	name=$(basename "$fuzzer")
	mkdir -p "$work/$name"
	seeds=tests/corpus/${name#fuzz-}
	[ ! -d "$seeds" ] || cp "$seeds"/* "$work/$name/"
	if "$fuzzer" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=1024 \
		-artifact_prefix="${B:-build}/crash-$name-" -print_final_stats=1 \
		"$work/$name" >"$work/log" 2>&1; then
		passed=$((passed + 1))
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
		echo "pass  $name  $runs runs"
	else
		failed=$((failed + 1))
		echo "FAIL  $name"
		tail -n 60 "$work/log" | sed 's/^/      | /'
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
