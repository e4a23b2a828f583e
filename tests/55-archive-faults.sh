#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Whatever fails while the archive is made, or whoever is killed: the workdir or
# the whole archive is there, and never half an archive under its name.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq tar python3 strace

STATE=$XDG_STATE_HOME/m9m-sandbox
mkdir "$T/a"
A=$T/a/a.tar.gz
RUN=("$M9M" -q --artifact "$A" --result "$T/r.json")

# The one copy of what was made: in the archive, or in a workdir that was kept.
where() {
	local kept
	if [ -e "$A" ]; then
		gzip -t "$A" 2>/dev/null && tar -xOf "$A" work/made 2>/dev/null
	else
		kept=$(find "$STATE/runs" -path '*.work/made' 2>/dev/null)
		[ -z "$kept" ] || cat "$kept"
	fi
}
clear_all() {
	chmod -R u+rwX "$STATE/runs" 2>/dev/null
	rm -rf "$STATE/runs" "$T/a" "$STATE/artifacts"
	mkdir "$T/a"
}

echo "# each call that makes the archive fails in turn"
strace -o /dev/null -f true 2>/dev/null || skip "strace may not trace here"
strace -f -y -qq -o "$T/order" -e trace=fsync,renameat,unlinkat "${RUN[@]}" \
	sh -c 'echo made >made' >/dev/null 2>&1 </dev/null
is "on the disk, its name, that on the disk, and only then the deletion" \
	"$(awk '/ fsync\(.*\/\.a\.tar\..*\.tmp>/ { print "data" }
		/ renameat\(.*"a\.tar/ { print "name" }
		/ fsync\(.*\/a>/ { print "folder" }
		/ unlinkat\(.*"made"/ { print "deleted" }' "$T/order" |
		paste -sd ' ')" "data name folder deleted"
clear_all
if ! sanitized; then
	lost=0 half=0 faults=0 silent=0
	for fault in fsync:EDQUOT fsync:EIO renameat:EDQUOT renameat:ENOSPC \
		openat:ENOSPC write:EDQUOT write:ENOSPC; do
		call=${fault%:*}
		# Writing has many places: those at the end are the archive's.
		strace -f -qq -o "$T/count" -e trace="$call" "${RUN[@]}" \
			sh -c 'echo made >made' >/dev/null 2>&1 </dev/null
		clear_all
		# strace shows what it knows no name of, asked or not.
		most=$(grep " $call(" "$T/count" | cut -d ' ' -f 1 | sort |
			uniq -c | sort -rn | awk 'NR == 1 { print $1 }')
		for k in $(seq 1 "${most:-1}" | tail -n 12); do
			strace -f -qq -o "$T/fault" -e trace="$call" \
				-e inject="$call:error=${fault#*:}:when=$k" \
				"${RUN[@]}" sh -c 'echo made >made && echo MADE >&2' \
				>"$T/out" 2>"$T/err" </dev/null
			rc=$?
			if grep -q MADE "$T/err" && grep -q INJECTED "$T/fault"; then
				faults=$((faults + 1))
				[ "$(where)" = made ] || {
					# The payload's own write may be the one.
					grep -q "sh: .*write error" "$T/err" || {
						lost=$((lost + 1))
						echo "# $fault $k: lost (exit $rc)"
						tail -n 3 "$T/err" | sed 's/^/# /'
					}
				}
				[ -e "$A" ] || [ "$rc" != 0 ] || {
					silent=$((silent + 1))
					echo "# $fault $k: no archive, and exit 0"
				}
			fi
			[ -z "$(find "$T/a" -name '.*.tmp')" ] || {
				half=$((half + 1))
				echo "# $fault $k: half an archive"
			}
			clear_all
		done
	done
	echo "# $faults faults after the payload had made its file"
	check "faults were injected" test "$faults" -gt 5
	is "nothing was lost" "$lost" 0
	is "nothing half was left" "$half" 0
	is "none was passed over" "$silent" 0

	# Sent to the disk on the way, by pieces; gzip takes its time for these.
	strace -f -qq -o "$T/fault" -e trace=fdatasync \
		-e inject=fdatasync:error=EIO:when=1 "${RUN[@]}" sh -c '
			echo made >made; head -c 48M /dev/urandom >noise' \
		>"$T/out" 2>"$T/err" </dev/null
	is "a fault on the way is one at the end" \
		"$? $(grep -c INJECTED "$T/fault") $(where)" "125 1 made"
	matches "$T/err" 'artifact: cannot write the archive .*: Input/output error'
	clear_all
fi

# --- killed ------------------------------------------------------------------

# Noise takes gzip some seconds.
start_packing() {
	rm -f "$T/out"
	"${RUN[@]}" sh -c 'echo made >made; head -c 100M /dev/urandom >noise' \
		>"$T/out" 2>"$T/err" </dev/null &
	pid=$!
	until [ -n "$(find "$T/a" -name '.a.tar.gz.*.tmp' -size +64k)" ]; do
		[ -d "/proc/$pid" ] || break
	done
	half=$(find "$T/a" -name '.a.tar.gz.*.tmp')
}

echo "# SIGKILL to us in the middle of packing"
start_packing
archiver=$(pgrep -P "$pid" | paste -sd ' ')
kill -KILL "$pid"
wait "$pid" 2>/dev/null
for process in $archiver; do await_exit "$process"; done
check "it was in the middle" test -n "$half"
check "no archive has the name" test ! -e "$A"
is "the workdir is there" "$(where)" made
size=$(find "$STATE/runs" -name noise -printf %s)
is "all of it" "$size" 104857600
expect_exit 0 "$M9M" --gc
is "half an archive is gone" "$(ls -A "$T/a")" ""
archive=$(find "$STATE/artifacts" -type f)
is "the whole one is where it is told" \
	"$(tar --zstd -xOf "$archive" work/noise | wc -c)" 104857600
is "and the workdir is gone" "$(find "$STATE/runs" -mindepth 1)" ""
clear_all

echo "# SIGKILL to the process that packs"
start_packing
for process in $(pgrep -P "$pid"); do kill -KILL "$process"; done
wait "$pid"
is "the run says so" "$?" 125
contains "$T/err" "the archiver was ended by signal 9"
is "the workdir is kept" "$(where)" made
is "nothing half is left" "$(ls -A "$T/a")" ""
clear_all

echo "# a disk that is full"
if is_root && mount -t tmpfs -o size=1m tmpfs "$T/a"; then
	on_exit umount -l "$T/a"
	expect_exit 125 "${RUN[@]}" sh -c \
		'echo made >made; head -c 3M /dev/urandom >noise'
	contains "$T/err" "No space left on device"
	json_is "$T/r.json" .artifact null
	is "the workdir is kept" "$(where)" made
	is "nothing half is left" "$(ls -A "$T/a")" ""
	kept=$(json "$T/r.json" .kept_workdir)
	is "where it is said to be" "$(cat "$kept/made")" made
	rm -rf "$STATE/runs"
	expect_exit 0 "${RUN[@]}" sh -c 'echo made >made'
	is "what fits is archived" "$(where)" made
	rm -f "$A"
fi

echo "# who waits at a terminal is told"
A=$T/told.tar.gz
cat >"$T/terminal.py" <<'END'
import os, pty, sys
status = pty.spawn(sys.argv[1:])
sys.exit(os.waitstatus_to_exitcode(status))
END
pack() {
	python3 "$T/terminal.py" "$M9M" "$@" --artifact "$A" sh -c \
		'head -c 150M /dev/urandom >noise' >"$T/tty" 2>&1 </dev/null
}
pack
matches "$T/tty" 'archiving the workdir: [0-9]+ files, [0-9.]+ MiB'
rm -f "$A"
pack -q
lacks "$T/tty" "archiving"
