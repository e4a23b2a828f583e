# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The figures of projects and archives, for bench/run.  BENCH_FILES: files of
# the large tree (100,000; 1000000 is what is promised, and takes minutes to
# make).
# shellcheck disable=SC2154  # what bench/run sets

# ns_of TIMESTAMP: nanoseconds of this day's time, as events have it.
ns_of() { date -d "$1" +%s%N; }

# archive_ms OPTION...: from the end of the payload to the archive on the disk.
archive_ms() {
	rm -f "$work/events.jsonl"
	"$M9M" -q "$@" --events "$work/events.jsonl" \
		--artifact "$work/out.tar.zst" "$bin/bench-true" || return
	local from to
	from=$(jq -r 'select(.event == "program" or .event == "exec" or
		.event == "start") | .ts' "$work/events.jsonl" | tail -n 1)
	to=$(jq -r 'select(.event == "artifact") | .ts' "$work/events.jsonl")
	echo $((($(ns_of "$to") - $(ns_of "$from")) / 1000))
}

# took_us COMMAND...
took_us() {
	local from
	from=$(date +%s%N)
	"$@" >/dev/null 2>&1 || return
	echo $((($(date +%s%N) - from) / 1000))
}

tar_zstd() { tar --zstd -cf "$work/peer.tar.zst" -C "$1" .; }
zstd_file() { zstd -q -f -T0 -3 -o "$work/peer.zst" "$1"; }
zstd_synced() { zstd_file "$1" && sync -d "$work/peer.zst"; }

# archives NAME PEER SOURCE: both in turn, and the median of their ratios.
archives() {
	local ours peer rounds=$((runs >= 50 ? 7 : 1))
	: >"$work/ratios"
	for _ in $(seq "$rounds"); do
		# What one leaves to be written is not the other's to wait for.
		sync -f "$work"
		peer=$(took_us "$2" "$3")
		sync -f "$work"
		ours=$(archive_ms --input "$3:in")
		if [ -z "$ours" ] || [ -z "$peer" ]; then continue; fi
		printf '%s\n' "$(ratio "$ours" "$peer")" >>"$work/ratios"
		echo "  ours $((ours / 1000)) ms, $2 $((peer / 1000)) ms"
	done
	goal "$1" "$(median <"$work/ratios" | grep . || echo 99)" '<=' 1.0 x
}

# make_tree DIR FILES: source files of this project's text, 100 to a folder.
make_tree() {
	python3 - "$1" "$2" <<-'END'
		import glob, os, sys
		top, n = sys.argv[1], int(sys.argv[2])
		text = b"".join(open(f, "rb").read() for f in sorted(glob.glob("*.c")))
		for i in range(n):
		    d = "%s/d%d" % (top, i // 100)
		    if i % 100 == 0:
		        os.makedirs(d)
		    fd = os.open("%s/f%d.c" % (d, i), os.O_WRONLY | os.O_CREAT, 0o644)
		    if n <= 10000:
		        at = i * 7919 % (len(text) - 8000)
		        os.write(fd, text[at:at + 1000 + i * 37 % 7000])
		    os.close(fd)
	END
}

# changes_ms: from the end of a payload that made 100 changes to the end of it
# all, so at least what telling them takes.
changes_ms() {
	local end exit
	rm -f "$work/events.jsonl"
	end=$("$M9M" -q --no-artifact --project "$1" --result "$work/r.json" \
		--events "$work/events.jsonl" sh -c '
		i=0; while [ $i -lt 50 ]; do
			echo new >d$i/new; echo more >>d$i/f${i}00.c; i=$((i + 1))
		done; date +%s%N') || return
	exit=$(jq -r 'select(.event == "exit") | .ts' "$work/events.jsonl")
	[ "$(jq '.changes | .added + .modified' "$work/r.json")" = 100 ] || return
	awk "BEGIN { printf \"%.1f\", ($(ns_of "$exit") - $end) / 1e6 }"
}

# added PROGRAM PAIR-ARG...: by $work/big as the project, into $added (ms).
added() {
	local program=$bin/$1 out
	shift
	out=$("$bin/bench-pair" "$@" \
		without "$M9M" -q --no-artifact "$program" -- \
		with "$M9M" -q --no-artifact --project "$work/big" "$program" -- \
		"with, looked through anew" "$M9M" -q --no-artifact \
		--project "$work/big" --show none "$program") || return
	printf '%s\n' "$out" | awk -F '\t' \
		'{ printf "  %-28s median %8.2f ms  ratio %s\n", $1, $2 / 1000, $5 }'
	added=$(printf '%s\n' "$out" | awk -F '\t' \
		'{ t[NR] = $2 } END { printf "%.2f", (t[2] - t[1]) / 1000 }')
}

bench_project() {
	local files=$((runs >= 50 ? 10000 : 1000)) out rounds added
	local many=${BENCH_FILES:-$((runs >= 50 ? 100000 : 10000))}
	local size=$((runs >= 50 ? 1024 : 32))
	if ! have jq || ! have python3 || ! have zstd; then
		echo "  jq, python3 or zstd is not installed"
		return
	fi
	echo "the archive of a tree of $files source files, by tar --zstd -cf:"
	make_tree "$work/tree" "$files"
	archives "archive of a source tree, by tar --zstd" tar_zstd "$work/tree"
	rm -rf "$work/tree"
	echo "the archive of one file of $size MiB, by zstd -T0:"
	mkdir "$work/one"
	head -c "$((size * 3 / 4))M" /dev/urandom | base64 -w 0 >"$work/one/file"
	archives "archive of one file, by zstd -T0" zstd_file "$work/one/file"
	# Ours is on the disk when it is there.
	archives "archive of one file, by zstd -T0 and a sync" zstd_synced \
		"$work/one/file"
	rm -rf "$work/one" "$work"/out.* "$work"/peer.*

	echo "a project of $many files:"
	make_tree "$work/big" "$many"
	# What was changed just now is looked through each time.
	sleep 3
	rounds=$((runs >= 50 ? 50 : 5))
	echo "  to the program's first instructions:"
	added bench-stamp --start "$rounds" || return
	goal "start, added by the project" "$added" '<=' 1.0 ms
	echo "  to the end of it all:"
	added bench-true "$rounds" || return
	echo "  start to exit, added by the project: $added ms"
	out=$(for _ in $(seq $((runs >= 50 ? 9 : 3))); do
		changes_ms "$work/big"
		echo
	done | grep . | median)
	goal "100 changes told, and all cleared away" "${out:-999}" '<=' 50 ms
	rm -rf "$work/big"
}
