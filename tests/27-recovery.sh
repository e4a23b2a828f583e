#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What a run leaves that was killed: the next run or --gc archives and removes
# it, once, whatever the payload made of it, and never what belongs to a run
# that lives.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need flock jq tar zstd python3

STATE=$XDG_STATE_HOME/m9m-sandbox
RUNS=$STATE/runs
ARCHIVES=$STATE/artifacts

left() { find "$RUNS" -mindepth 1 2>/dev/null | head -n 3; }
archived() { find "$ARCHIVES" -type f 2>/dev/null | wc -l; }
# What the names of this run have that stand beside others' files.
tag_of() { tr '\0' '\n' <"$RUNS/$1.journal" | sed -n 's/^tag //p'; }
clear_all() {
	chmod -R u+rwX "$STATE" 2>/dev/null
	rm -rf "$RUNS" "$ARCHIVES"
}

# start [OPTION...] -- SCRIPT: in the background, until it says "ready"; its
# pid is $pid, its run $id, PID 1 inside is $inner.
start() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	: >"$T/job"
	# Nothing comes from stdin that would keep it: it waits for a signal.
	"$M9M" -q ${options[@]+"${options[@]}"} sh -c "$2
		echo ready; exec sleep 1000" >"$T/job" 2>&1 </dev/null &
	pid=$!
	await_line "$T/job" ready || cat "$T/job"
	id=$(jq -r 'select(.event == "start") | .run' "$AUDIT" | tail -n 1)
	inner=$(tr '\0' '\n' <"$RUNS/$id.journal" |
		sed -n 's/^init \([0-9]*\) .*/\1/p')
}
# The same, and killed, with all of it dead.
dead() {
	start "$@"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	await_exit "$inner"
}
# taken_up SCRIPT: a dead run is, by the next start, which gives itself half a
# second for it: on a busy machine not the first one.
taken_up() {
	local tries
	for tries in 1 2 3 4 5; do
		dead -- "$1"
		"$M9M" -q --no-artifact --result "$T/r.json" true || return 1
		[ -e "$RUNS/$id.journal" ] || return 0
		echo "# not by start $tries"
		"$M9M" --gc >"$T/gc" || return 1
	done
	return 1
}
member() { zstd -qdc "$ARCHIVES/$1.tar.zst" | tar -xOf - "$2"; }

echo "# --gc"
expect_exit 0 "$M9M" --gc
is "nothing, where there never was a run" "$(cat "$T/out")" "no runs"
dead -- 'echo precious >work.txt; mkdir -p a/b; echo deep >a/b/c'
check "a killed run leaves its workdir" test -f "$RUNS/$id.work/work.txt"
expect_exit 0 "$M9M" --gc
contains "$T/out" "$id: 2 files in $ARCHIVES/$id.tar.zst"
contains "$T/out" "1 dead, 0 kept, 0 live"
is "the workdir is archived" "$(member "$id" work/work.txt)" precious
is "all of it" "$(member "$id" work/a/b/c)" deep
is "its output too" "$(member "$id" stdout.log)" ready
is "and its events" "$(member "$id" events.jsonl | head -n 1 | jq -r .event)" start
is "nothing is left" "$(left)" ""
jq -c "select(.run == \"$id\")" "$AUDIT" | tail -n 1 >"$T/line"
json_is "$T/line" '[.event, .path, .files] | @csv' \
	"\"recovered\",\"$ARCHIVES/$id.tar.zst\",2"
is "with its sum" "$(jq -r .sha256 "$T/line")" \
	"$(sha256sum "$ARCHIVES/$id.tar.zst" | cut -d ' ' -f 1)"
check "by the schema" python3 "$TOP/tests/schema.py" \
	"$TOP/schema/event.schema.json" "$T/line"
before=$(cat "$AUDIT")
expect_exit 0 "$M9M" --gc
contains "$T/out" "0 dead, 0 kept, 0 live"
is "again: nothing happens" "$(archived) $(cat "$AUDIT")" "1 $before"

echo "# by the next run"
clear_all
check "the next run cleared it away" taken_up 'echo precious >work.txt'
is "nothing is left" "$(left)" ""
is "and archived it" "$(member "$id" work/work.txt)" precious
json_is "$T/r.json" '[.status, (.warnings | map(select(test("--gc"))) | length)] | @csv' \
	'"ok",0'

echo "# what no archive can hold is told of, by --gc and by the next run"
clear_all
dead -- 'echo x >file
	for i in $(seq 300); do mkdir d; cd d; done; echo x >file; cd /work'
expect_exit 0 "$M9M" --gc
contains "$T/out" "$id: 1 files in $ARCHIVES/$id.tar.zst, 1 left out: see skipped.txt in it"
matches <(member "$id" skipped.txt) '^deep work/d/d/'
# In few folders: to remove three hundred alone can take the half second.
check "the next run takes it up" taken_up 'name=$(printf %0250d 0)
	for i in $(seq 13); do mkdir $name; cd $name; done; cd /work'
contains <(jq -r '.warnings[]' "$T/r.json") \
	"not in the archive of the earlier run $id: 1 file or folder; its skipped.txt"
matches <(member "$id" skipped.txt) '^long work/0{250}/'

echo "# what lives"
clear_all
start -- 'echo mine >file'
live_pid=$pid live_id=$id live_inner=$inner
check "the next run takes up the dead one" taken_up 'echo theirs >file'
is "the dead one is gone, the live one there" \
	"$(find "$RUNS" -mindepth 1 -maxdepth 1 ! -name "$live_id.*")" ""
expect_exit 0 "$M9M" --gc
contains "$T/out" "0 dead, 0 kept, 1 live"
is "its workdir is whole" "$(cat "$RUNS/$live_id.work/file")" mine
check "its payload lives" test -d "/proc/$live_inner"
kill -TERM "$live_pid"
wait "$live_pid"
is "it ends in its own time, with its own archive" \
	"$(member "$live_id" run.json | jq -r .status)" killed
is "nothing is left" "$(left)" ""

echo "# its processes die first: here one that is in no hurry"
clear_all
start -- 'echo x >file'
# The supervisor's death takes PID 1 along; a stopped tracer holds it back.
need strace
if strace -o /dev/null true 2>/dev/null && is_root; then
	strace -qq -o /dev/null -e trace=none -p "$inner" &
	tracer=$!
	until grep -q "TracerPid:.*$tracer" "/proc/$inner/status"; do :; done
	kill -STOP $tracer
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	run "$M9M" --gc
	if [ -d "/proc/$inner" ]; then
		is "while PID 1 is there, the run is kept" "$rc" 125
		matches "$T/err" "(its process $inner is still there|cannot kill what is in)"
		check "untouched" test -f "$RUNS/$id.work/file"
	fi
	kill -CONT $tracer
	kill -KILL $tracer
	wait $tracer 2>/dev/null
else
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
fi
await_exit "$inner"
expect_exit 0 "$M9M" --gc
is "then it is archived" "$(member "$id" work/file)" x

echo "# a stranger has the pid now"
clear_all
dead -- 'echo x >file'
# This very shell, but younger than the run by the journal's word.
sed -zi -E "s/^init [0-9]+ [0-9]+/init $$ 1/" "$RUNS/$id.journal"
expect_exit 0 "$M9M" --gc
is "it is not waited for" "$(member "$id" work/file)" x
clear_all
dead -- 'echo x >file'
# Older, by a clock that began anew since; and the run was looked at.
sed -zi -E "s/^init .*/init $$ 99999999999 1/" "$RUNS/$id.journal"
printf 'tried \0' >>"$RUNS/$id.journal"
expect_exit 0 "$M9M" --gc
is "nor after another boot" "$(member "$id" work/file)" x

echo "# a project: what the run changed in it is told as ever"
need git
project() {
	rm -rf "$T/project"
	mkdir "$T/project"
	printf 'a\n' >"$T/project/kept"
	printf 'b\n' >"$T/project/gone"
	echo token >"$T/project/.env"
	git -C "$T/project" init -q
	git -C "$T/project" add kept gone
	git -C "$T/project" -c user.name=t -c user.email=t@t commit -q -m t
}
# told: the kinds and paths of the changes in $T/changes.json, without git's own.
told() {
	jq -r '.changes[] | select(.path | startswith(".git/") | not) |
		"\(.change) \(.path)"' "$T/changes.json" | sort | paste -sd ,
}
edit='echo c >>kept; rm gone; echo new >added; echo x >.env || :'
for mode in overlay copy; do
	clear_all
	project
	expect_exit 0 "$M9M" -q --artifact "$T/whole.tar" \
		--project "$T/project" --project-mode $mode sh -c "$edit"
	tar -xOf "$T/whole.tar" changes.json >"$T/changes.json"
	want=$(told)
	dead --project "$T/project" --project-mode $mode -- "$edit"
	echo half >"$RUNS/$id.changes.json"
	expect_exit 0 "$M9M" --gc
	member "$id" changes.json >"$T/changes.json"
	is "$mode: as at a run's own end" "$(told)" "$want"
	matches <(told) '^added .*added,deleted gone,modified kept$'
	member "$id" changes.patch >"$T/patch"
	contains "$T/patch" "+c"
	contains "$T/patch" "deleted file mode"
	check "$mode: the patch fits" git -C "$T/project" apply --check "$T/patch"
	is "$mode: nothing is left" "$(left)" ""
done
clear_all
dead --project "$T/project" -- 'echo c >>kept'
rm -rf "$T/project"
expect_exit 0 "$M9M" --gc
is "the project is no more: the work is kept" \
	"$(member "$id" work/kept | tail -n 1)" c

echo "# a disk in memory is gone, what was said is not"
clear_all
dead --disk 1Mi -- 'echo precious >file'
expect_exit 0 "$M9M" --gc
is "the output is archived" "$(member "$id" stdout.log)" ready
is "and the events" "$(member "$id" events.jsonl | head -n 1 | jq -r .event)" \
	start
is "nothing is left" "$(left)" ""

echo "# no artifact, no archive"
clear_all
dead --no-artifact -- 'echo secret >file'
expect_exit 0 "$M9M" --gc
contains "$T/out" "$id: nothing to keep"
is "nothing is archived, nothing is left" "$(archived)$(left)" 0

echo "# an artifact of another name: the half of it goes"
clear_all
dead --artifact "$T/own.tar" -- 'echo x >file'
# In a folder where others write too, its name is nobody else's to know.
tag=$(tag_of "$id")
matches <(echo "$tag") '^[0-9a-f]{16}$'
echo half >"$T/.own.tar.$tag.tmp"
echo other >"$T/.own.tar.other.tmp"
expect_exit 0 "$M9M" --gc
is "the run's archive is in the default place" "$(member "$id" work/file)" x
check "its half is gone" test ! -e "$T/.own.tar.$tag.tmp"
check "what is not of that run stays" test -e "$T/.own.tar.other.tmp"

echo "# an output that was set aside comes back"
set_aside() {
	clear_all
	rm -rf "$T/outs"
	dead --output-file "file:$T/outs/tree" -- 'echo x >file'
	half=$T/outs/.tree.$(tag_of "$id").tmp
	mkdir -p "$half.old" "$half"
	echo old >"$half.old/old"
}
# comes_back GC...
comes_back() {
	expect_exit 0 "$@"
	is "the old one has its name" "$(cat "$T/outs/tree/old")" old
	is "and no other is there" "$(ls -A "$T/outs")" tree
}
set_aside
comes_back "$M9M" --gc
if ! sanitized; then
	echo "# also where no rename takes a flag"
	set_aside
	comes_back strace -f -o "$T/trace" -e trace=renameat2 \
		-e inject=renameat2:error=EINVAL "$M9M" --gc
	contains "$T/trace" "RENAME_NOREPLACE) = -1 EINVAL"
	echo "# and where it cannot, the run that knows of it is kept"
	set_aside
	expect_exit 125 strace -f -o "$T/trace" -e trace=renameat2 \
		-e inject=renameat2:error=EACCES "$M9M" --gc
	contains "$T/err" "$id in $RUNS is kept: cannot give $half.old its name"
	contains "$T/out" "1 dead, 1 kept, 0 live"
	is "the old one is there" "$(cat "$half.old/old")" old
	is "with all of the run" "$(cat "$RUNS/$id.work/file")" x
	comes_back "$M9M" --gc
	echo "# nor is it forgotten with half of a new one that stays"
	set_aside
	expect_exit 125 strace -f -o "$T/trace" -P "$T/outs" -e trace=unlinkat \
		-e inject=unlinkat:error=EACCES "$M9M" --gc
	contains "$T/err" "$id in $RUNS is kept: cannot remove ${half##*/}"
	comes_back "$M9M" --gc
fi

echo "# archived already: killed in the midst of the run's removal"
clear_all
# The journal tells that there is nothing to archive: it has to go last.
strace -f -o "$T/trace" -e trace=unlink,unlinkat "$M9M" \
	--artifact "$T/own.tar" -- sh -c 'echo x >file; echo said' >/dev/null
awk -F '"' '/unlinkat/ && / = 0$/ && $2 ~ /[.](stdout.log|events.jsonl|journal)$/ {
	sub(/^[^.]*[.]/, "", $2); print $2 }' "$T/trace" >"$T/order"
contains "$T/order" stdout.log
is "the journal goes after the logs" "$(tail -n 1 "$T/order")" journal

echo "# archived already: killed between the archive and the end"
clear_all
dead -- 'echo x >file'
mkdir -p "$ARCHIVES"
echo complete >"$ARCHIVES/$id.tar.zst"
expect_exit 0 "$M9M" --gc
is "the archive is not written over" "$(cat "$ARCHIVES/$id.tar.zst")" complete
is "nothing is left" "$(left)" ""
clear_all
dead -- 'echo x >file'
printf 'saved \0' >>"$RUNS/$id.journal"
expect_exit 0 "$M9M" --gc
is "nor is what is left of the workdir archived again" "$(archived)$(left)" 0

echo "# a hostile workdir"
clear_all
mkdir "$T/outside"
echo kept >"$T/outside/file"
dead -- "ln -s '$T/outside' link; mkfifo fifo; mkdir -p deep/shut
	echo x >deep/shut/file; chmod 000 deep/shut deep .
	touch \"\$(printf 'new\\\\nline')\" 2>/dev/null; :"
expect_exit 0 "$M9M" --gc
is "what is shut is read" "$(member "$id" work/deep/shut/file)" x
is "nothing is left" "$(left)" ""
is "no link was followed" "$(cat "$T/outside/file")" kept

echo "# what cannot be archived stays, and delays nobody"
clear_all
dead -- 'echo precious >file'
kept=$id
# Its start has made the folder.
rmdir "$ARCHIVES"
echo "in the way" >"$ARCHIVES"
for _ in 1 2; do
	expect_exit 0 "$M9M" -q --no-artifact --result "$T/r.json" true
	matches <(jq -r '.warnings[]' "$T/r.json") '^1 earlier runs .*--gc'
done
is "it is whole" "$(cat "$RUNS/$kept.work/file")" precious
expect_exit 125 "$M9M" --gc
contains "$T/err" "$kept in $RUNS is kept: cannot"
contains "$T/out" "1 dead, 1 kept, 0 live"
rm "$ARCHIVES"
expect_exit 0 "$M9M" --gc
is "once the way is free it is archived" "$(member "$kept" work/file)" precious
# Too much for a moment: tried once by a run, then left to --gc.
dead -- 'head -c 300000000 /dev/urandom >big'
expect_exit 0 "$M9M" -q --no-artifact true
if [ -e "$RUNS/$id.journal" ]; then
	# Who tries begins an archive there.
	before=$(stat -c %y "$ARCHIVES")
	expect_exit 0 "$M9M" -q --no-artifact true
	check "it stays" test -e "$RUNS/$id.work/big"
	is "and is not tried again" "$(stat -c %y "$ARCHIVES")" "$before"
fi
expect_exit 0 "$M9M" --gc
is "--gc takes the time" "$(member "$id" work/big | wc -c)" 300000000
is "nothing is left" "$(left)$(find "$ARCHIVES" -name '.*' -type f)" ""

echo "# two at once"
clear_all
mkdir "$T/aside"
for i in 1 2 3 4 5 6; do dead -- "echo $i >file"; mv "$RUNS/$id".* "$T/aside/"; done
mv "$T/aside"/* "$RUNS/"
"$M9M" --gc >"$T/gc1" 2>&1 &
other=$!
expect_exit 0 "$M9M" --gc
wait $other
is "the other one is well, too" "$?" 0
is "each is archived once" "$(cat "$T/gc1" "$T/out" | grep -c ': 1 files in')" 6
is "all are there" "$(archived) $(left)" "6 "

echo "# whatever the payload has locked"
clear_all
dead -- 'flock -n . true && echo x >file; exec 9<.; flock -n 9; flock -n file true'
expect_exit 0 "$M9M" --gc
is "it is archived" "$(member "$id" work/file)" x

echo "# a run of the version before: all in a folder, which is the lock"
old_layout() {
	local part
	mkdir "$RUNS/$id"
	[ ! -d "$RUNS/$id.layers" ] || mv "$RUNS/$id.layers"/* "$RUNS/$id/"
	rm -rf "$RUNS/$id.layers"
	for part in "$RUNS/$id".*; do mv "$part" "$RUNS/$id/${part#"$RUNS/$id."}"; done
	check "it is one" test -d "$RUNS/$id/work" -a -f "$RUNS/$id/journal"
}
clear_all
dead -- 'echo x >file'
old_layout
(flock 9 && "$M9M" --gc >"$T/gc" && "$M9M" -q --no-artifact true) 9<"$RUNS/$id"
contains "$T/gc" "0 dead, 0 kept, 1 live"
is "while it lives it is left alone" "$(cat "$RUNS/$id/work/file")" x
expect_exit 0 "$M9M" --gc
is "then it is archived" "$(member "$id" work/file) $(member "$id" stdout.log)" \
	"x ready"
is "nothing is left" "$(left)" ""
clear_all
dead --no-artifact -- 'echo x >file'
old_layout
expect_exit 0 "$M9M" --gc
is "or not, as it was to be" "$(archived)$(left)" 0
clear_all
project
dead --project "$T/project" -- "$edit"
old_layout
# A collector was killed over it.
mv "$RUNS/$id" "$RUNS/$id.layers"
mv "$RUNS/$id.layers/stdout.log" "$RUNS/$id.stdout.log"
expect_exit 0 "$M9M" --gc
member "$id" changes.json >"$T/changes.json"
is "with a project" "$(told)" "added added,deleted gone,modified kept"
is "and all that was said" "$(member "$id" stdout.log)" ready
is "nothing is left" "$(left)" ""

echo "# killed on the way to its layers, or when some of it was removed"
dead -- 'echo x >file'
mkdir "$RUNS/$id.layers"
expect_exit 0 "$M9M" --gc
is "the workdir is archived" "$(member "$id" work/file)" x
is "nothing is left" "$(left)" ""
dead --project "$T/project" -- 'echo c >>kept'
printf 'saved \0' >>"$RUNS/$id.journal"
rm -rf "$RUNS/$id.layers/work" "$RUNS/$id".*.log
expect_exit 0 "$M9M" --gc
is "nothing is left" "$(left)" ""

echo "# a journal that a crash of the machine took along"
clear_all
dead -- 'echo x >file'
rm "$RUNS/$id.journal"
# Which it told of.
own_cgroups | while read -r cgroup; do rmdir "$cgroup"; done
expect_exit 0 "$M9M" --gc
is "the workdir is archived" "$(member "$id" work/file)" x
is "nothing is left" "$(left)" ""

echo "# not ours"
mkdir "$RUNS/something" "$RUNS/20261125T211314Z-xyz" \
	"$RUNS/20261125T211314Z-01234567.other"
expect_exit 0 "$M9M" --gc
contains "$T/out" "0 dead, 0 kept, 0 live"
check "what is no run's is left alone" \
	rmdir "$RUNS/something" "$RUNS/20261125T211314Z-xyz" \
	"$RUNS/20261125T211314Z-01234567.other"

echo "# names"
start --name one -- :
named=$pid
expect_exit 125 "$M9M" -q --name one --artifact "$T/no.tar" true
contains "$T/err" "m9m-sandbox: name: the name one is taken by the run $id (pid $named)"
check "and writes nothing" test ! -e "$T/no.tar"
expect_exit 0 "$M9M" -q --no-artifact --name two true
json_is <(jq -c 'select(.event == "start")' "$AUDIT" | tail -n 1) .name two
kill -TERM "$named"
wait "$named"
expect_exit 0 "$M9M" -q --no-artifact --name one true
is "no file of theirs stays" "$(left)" ""
dead --no-artifact --name one -- :
check "one that was killed leaves its name" test -e "$RUNS/one.name"
expect_exit 0 "$M9M" -q --no-artifact --name one true
is "which is free" "$(left)" ""
dead --no-artifact --name one -- :
expect_exit 0 "$M9M" --gc
is "and goes with --gc" "$(left)" ""
mkfifo "$T/go" "$T/said"
exec 8<>"$T/go" 9<>"$T/said"
for i in 1 2 3 4 5 6 7 8; do
	{ "$M9M" -q --no-artifact --name race sh -c 'echo won; read -r _' \
		<"$T/go" 2>/dev/null || echo lost; } >&9 8>&- 9>&- &
done
# One goes on to hold the name until all others have been refused.
won=0 lost=0
while [ $((won + lost)) -lt 8 ] && read -r -t 60 line <&9; do
	case $line in won) won=$((won + 1)) ;; lost) lost=$((lost + 1)) ;; esac
done
echo go >&8
exec 8>&- 9>&-
wait
is "of eight at once one got it" "$won $lost" "1 7"
for bad in '' . .. ../x a/b -x "$(printf '%065d' 0)" 'a b'; do
	expect_exit 125 "$M9M" "--name=$bad" true
	contains "$T/err" "--name: "
done
is "nothing is left at the end" "$(left)" ""
