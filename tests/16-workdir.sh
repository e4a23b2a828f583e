#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The workdir: what is copied in and out, what the archive holds, and that in
# every way a run can end the archive is there first and the workdir gone then,
# or kept and named.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq zstd tar bash perl python3

STATE=$XDG_STATE_HOME/m9m-sandbox
left() { find "$STATE/runs" -mindepth 1 2>/dev/null | head -n 3; }

# A member of the archive, which has a folder for itself: nothing else may
# appear there.
A=$T/archives/a.tar
mkdir "$T/archives"
member() { tar -xOf "$A" "$1" 2>/dev/null; }

# --- what goes in, by a spec in a folder of its own ------------------------

mkdir -p "$T/spec/tree/sub"
echo one >"$T/spec/one.txt"
echo deep >"$T/spec/tree/sub/deep.txt"
printf '#!/bin/sh\necho ran\n' >"$T/spec/tree/run.sh"
chmod 755 "$T/spec/tree/run.sh"
cat >"$T/spec/spec.json" <<'END'
{
	"id": "copies",
	"command": ["sh", "-c", "cat one.txt two/one.txt three.txt && ./tree/run.sh && echo changed >one.txt && echo changed >tree/sub/deep.txt && mkdir -p made/by && echo made >made/by/me && ln -s /etc/passwd sly && echo last"],
	"inputs": ["one.txt", {"from": "one.txt", "to": "two/one.txt"},
		"one.txt:three.txt", "tree"],
	"outputs": ["made/by/me", {"from": "made", "to": "got/made"},
		"one.txt:got/changed.txt"],
	"artifact": {"path": "archives/all.tar", "compression": "none"},
	"result": "result.json"
}
END
expect_exit 0 env -C / "$M9M" -q --spec "$T/spec/spec.json"
is "inputs are where they belong" "$(paste -sd ' ' "$T/out")" \
	"one one one ran last"
is "they are copies" \
	"$(cat "$T/spec/one.txt" "$T/spec/tree/sub/deep.txt" | paste -sd ' ')" \
	"one deep"
is "outputs are where they belong" \
	"$(cd "$T/spec" && cat me got/made/by/me got/changed.txt |
		paste -sd ' ')" "made made changed"
is "the archive's members, in order" \
	"$(tar -tf "$T/spec/archives/all.tar" | paste -sd ' ')" \
	"run.json events.jsonl stdout.log work/ work/made/ work/made/by/\
 work/made/by/me work/one.txt work/sly work/three.txt work/tree/\
 work/tree/run.sh work/tree/sub/ work/tree/sub/deep.txt work/two/\
 work/two/one.txt"
is "it is the user's alone" "$(stat -c %a "$T/spec/archives/all.tar")" 600
cp "$T/spec/archives/all.tar" "$A"
is "with what the payload said" "$(member stdout.log)" "$(cat "$T/out")"
is "and what it left" "$(member work/one.txt)" changed
member run.json >"$T/run.json"
json_is "$T/run.json" '.id + " " + .status' "copies ok"
json_is "$T/run.json" .run "$(json "$T/spec/result.json" .run)"
json_is "$T/spec/result.json" .artifact.path "$T/spec/archives/all.tar"
json_is "$T/spec/result.json" .artifact.sha256 \
	"$(sha256sum "$A" | cut -d ' ' -f 1)"
json_is "$T/spec/result.json" .artifact.bytes "$(stat -c %s "$A")"
member events.jsonl >"$T/inner.jsonl"
is "and the events so far" "$(jq -r .event "$T/inner.jsonl" | head -n 1)" start

# By default there is an archive, in a place of its own, compressed.
expect_exit 0 "$M9M" -q --result "$T/r.json" sh -c 'echo x >by-default'
archive=$(json "$T/r.json" .artifact.path)
is "by default an archive" "$(dirname "$archive")" "$STATE/artifacts"
check "which zstd can read" zstd -tq "$archive"
check "and tar" test "$(tar --zstd -xOf "$archive" work/by-default)" = x
expect_exit 0 "$M9M" -q --result "$T/r.json" --no-artifact true
json_is "$T/r.json" .artifact null
is "--no-artifact: there is no other" "$(find "$STATE/artifacts" -type f | wc -l)" 1

# While it runs: private, and nowhere else.
mkfifo "$T/go"
"$M9M" -q --no-artifact sh -c 'echo ready; read go' <"$T/go" >"$T/live" &
pid=$!
exec 8>"$T/go"
await_line "$T/live" ready
is "the run's files are private" \
	"$(stat -c '%a %F' "$STATE/runs" "$STATE"/runs/* | paste -sd ,)" \
	"700 directory,600 regular file,700 directory"
echo >&8
exec 8>&-
wait $pid
is "and gone afterwards" "$(left)" ""

# --- every way to end ------------------------------------------------------

# ended WHAT STATUS EXIT: what holds after a run whose payload wrote `made`.
ended() {
	echo "# $1"
	is "exit $3" "$rc" "$3"
	[ "$rc" = "$3" ] || show_output
	json_is "$T/r.json" .status "$2"
	json_is "$T/r.json" .artifact.path "$A"
	is "what it made is in the archive" "$(member work/made)" made
	check "which ends whole" tar -tf "$A" --occurrence=1 work/made
	is "and agrees" "$(member run.json | jq -r .status)" "$2"
	is "the workdir is gone" "$(left)" ""
	is "nothing is beside the archive" "$(ls -A "$T/archives")" a.tar
	rm -f "$A"
}

M9M_RUN=("$M9M" -q --artifact "$A" --result "$T/r.json")
m9m() { run "${M9M_RUN[@]}" "$@"; }
# signalled SIGNAL OPTION... COMMAND...: sent once the payload is ready.
signalled() {
	local sig=$1 pid
	shift
	: >"$T/out"
	"${M9M_RUN[@]}" "$@" >"$T/out" 2>"$T/err" </dev/null &
	pid=$!
	await_line "$T/out" ready
	kill "-$sig" $pid
	rc=0
	wait $pid || rc=$?
}

rm -f "$A"
m9m sh -c 'echo made >made'
ended success ok 0
m9m sh -c 'echo made >made; exit 3'
ended failure failed 3
m9m sh -c 'echo made >made; kill -SEGV $$'
ended "a signal of its own" failed 139
# Long enough for a payload to have begun.
m9m --timeout 3s --grace 100ms sh -c 'echo made >made; sleep 60'
ended timeout timeout 124
m9m --timeout 3s --grace 100ms sh -c \
	'echo made >made; trap "" TERM; while :; do sleep 0.05; done'
ended "a timeout that is ignored" timeout 124
signalled TERM sh -c 'echo made >made; echo ready; sleep 60'
ended "SIGTERM to us" killed 143
signalled HUP --grace 100ms sh -c \
	'trap "" HUP; echo made >made; echo ready; while :; do sleep 0.05; done'
ended "SIGHUP to us, ignored" killed 129
signalled INT bash -c \
	'trap "exit 0" INT; echo made >made; echo ready; while :; do sleep 0.05; done'
ended "SIGINT to us, taken well" ok 0
m9m sh -c 'echo made >made; (setsid sh -c "while :; do date >>late; done" &)'
ended "with a daemon that writes on" ok 0
m9m sh -c 'echo made >made; mkdir -p a/b/c; echo x >a/b/c/d; mkfifo p
	ln -s /etc/passwd l; chmod 000 a/b/c/d a/b/c a/b a'
is "what is closed is in it" "$(member work/a/b/c/d)" x
ended "closed folders" ok 0
m9m sh -c 'echo made >made; chmod 000 .'
ended "a closed workdir" ok 0
# --- the set-up fails when the workdir is there ----------------------------

echo made >"$T/made"
m9m --input "$T/made" --chdir /nowhere true
ended "set-up failure, an archive was asked for" error 125
expect_exit 125 "$M9M" -q --result "$T/r.json" --input "$T/made" \
	--chdir /nowhere true
is "not asked for: nothing is left" "$(left)" ""
json_is "$T/r.json" .artifact null
is "no archive either" "$(find "$STATE/artifacts" -type f | wc -l)" 1
m9m --input "$T/made" --input "$T/none" true
is "a missing input" "$rc" 125
json_is "$T/r.json" '.stage + " " + (.started | tostring)' "inputs false"
contains "$T/err" "cannot copy input $T/none: No such file or directory"
contains "$T/err" "an input is a file or a folder that is there"
is "its workdir is gone" "$(left)" ""
rm -f "$A"

# --- what no archive can hold costs itself, and not the archive ------------

# By name: sh itself cannot go as deep as a path can be long.
deep='sub nest { my ($n, $name) = @_;
	for (1 .. $n) { mkdir $name or die; chdir $name or die; }
	open my $f, ">", "bottom"; chdir "/work" or die; }
	nest(300, "d"); nest(5000, "down"); nest(20, "l" x 250);
	open my $f, ">", "made"; print $f "made\n";'
m9m --events "$T/events" perl -e "$deep"
contains "$T/err" "not in the archive: 3 files or folders"
is "it is named" "$(member skipped.txt | cut -c 1-9 | sort | paste -sd ,)" \
	"deep work,deep work,long work"
ended "what is too deep or too long" ok 0
json_is "$T/r.json" .artifact.left_out 3
warned() { json "$T/r.json" '.warnings[]' | grep "$1" | cut -c 1-32; }
is "as a warning" "$(warned archive)" "not in the archive: 3 files or f"
is "as an event" "$(jq -c 'select(.event == "limit") | [.what, .left_out]' \
	"$T/events")" '["artifact",3]'
check "the event schema holds" python3 "$TOP/tests/schema.py" \
	"$TOP/schema/event.schema.json" "$T/events"
mkdir "$T/tree" && echo old >"$T/tree/file"
# What is nothing but a hole would take a day to read.
m9m --project "$T/tree" perl -e "$deep"'open $f, ">", "hole"; truncate $f, 1 << 43'
is "the list of changes has the rest" "$(member changes.json | jq -r \
	'[.changes[].path | select(length < 20)] + [.left_out] | join(" ")')" "made 4"
ended "in a project" ok 0
is "with a warning" "$(warned changes)" "not in the list of changes: 4 fi"
json_is "$T/r.json" .changes.not_listed 4
json_is "$T/r.json" .artifact.left_out 3
rm -r "$T/tree" "$T/events"

# --- the archive cannot be written: the workdir stays, and is named --------

kept() {
	is "$1: exit 125" "$rc" 125
	json_is "$T/r.json" .status error
	json_is "$T/r.json" .stage artifact
	json_is "$T/r.json" .artifact null
	place=$(json "$T/r.json" .kept_workdir)
	contains "$T/err" "m9m-sandbox: the workdir is kept: $place"
	contains "$T/err" "nothing is lost"
	is "$1: it is what it was" "$(cat "$place/made")" made
	chmod -R u+rwX "$STATE/runs" && rm -rf "${STATE:?}/runs"
}
# meanwhile COMMAND: the place is closed while the payload works.
meanwhile() {
	local pid
	: >"$T/out"
	mkfifo "$T/go"
	"${M9M_RUN[@]}" sh -c 'echo made >made; echo ready; read -r _; exit 3' \
		<"$T/go" >"$T/out" 2>"$T/err" &
	pid=$!
	exec 7>"$T/go"
	await_line "$T/out" ready
	eval "$1"
	exec 7>&-
	rm "$T/go"
	rc=0
	wait $pid || rc=$?
}
meanwhile 'rmdir "$T/archives"; touch "$T/archives"'
json_is "$T/r.json" .payload_exit_code 3
kept "a file where a folder should be"
rm "$T/archives"
meanwhile 'mkdir "$A"'
kept "a folder where the archive should be"
rmdir "$A"
if ! is_root; then
	meanwhile 'chmod 555 "$T/archives"'
	kept "a folder that is closed"
	chmod 755 "$T/archives"
fi
is "nothing is there" "$(ls -A "$T/archives")" ""

# --- it is known at the start that it cannot: nothing is started -------------

# refused WHAT FILE WHY
refused() {
	run "$M9M" -q --result "$T/r.json" --artifact "$2" sh -c 'echo STARTED'
	is "$1: exit 125" "$rc" 125
	lacks "$T/out" STARTED
	json_is "$T/r.json" '.stage + " " + (.started | tostring)' "artifact false"
	contains "$T/err" "$3"
	contains "$T/err" "--artifact FILE writes the archive elsewhere"
	is "$1: nothing is kept" "$(left)" ""
}
touch "$T/file"
refused "a file where a folder should be" "$T/file/a.tar" "Not a directory"
mkdir "$T/archives/a.tar"
refused "a folder where the archive should be" "$A" "Is a directory"
rmdir "$T/archives/a.tar"
long=$T/archives/$(printf 'l%.0s' {1..252}).tar
refused "too long a name" "$long" "File name too long"
refused "where nothing can be made" /proc/m9m/a.tar "No such file or directory"
if is_root; then
	mount -t tmpfs -o ro m9m-ro "$T/archives"
	refused "a read-only file system" "$A" "Read-only file system"
	umount "$T/archives"
else
	chmod 555 "$T/archives"
	refused "a closed folder" "$A" "Permission denied"
	refused "a folder in it" "$T/archives/b/a.tar" "Permission denied"
	chmod 755 "$T/archives"
fi
is "nothing is there" "$(ls -A "$T/archives")" ""

# --- outputs ---------------------------------------------------------------

mkdir "$T/o"
out() { run "$M9M" -q --no-artifact --result "$T/r.json" "$@"; }
out --output-file "made:$T/o/made" sh -c 'echo made >made; exit 3'
is "outputs of a failure" "$rc $(cat "$T/o/made")" "3 made"
rm "$T/o/made"
out --output-file "made:$T/o/made" --timeout 3s --grace 0s \
	sh -c 'echo made >made; sleep 60'
is "of a timeout" "$rc $(cat "$T/o/made")" "124 made"
rm "$T/o/made"
out --output-file "none:$T/o/none" --output-file "made:$T/o/made" \
	sh -c 'echo made >made'
is "a missing output" "$rc $(json "$T/r.json" '.status + " " + .stage')" \
	"125 error outputs"
contains "$T/err" "cannot copy out none: No such file or directory"
is "the others are copied" "$(cat "$T/o/made")" made
is "nothing stays" "$(left)" ""

# Of a run that did not end well it is told by how it ended.
told() { json "$T/r.json" '.status + " " + (.warnings | tostring)'; }
NONE='cannot copy out none: No such file or directory'
out --output-file "none:$T/o/none" sh -c 'exit 3'
is "missing after a failure" "$rc $(told | grep -c "^failed.*$NONE")" "3 1"
contains "$T/err" "warning: $NONE"
out --output-file "none:$T/o/none" --timeout 1s --grace 0s sleep 60
is "missing after a timeout" "$rc $(told | grep -c "^timeout.*$NONE")" "124 1"
m9m --output-file "none:$T/o/none" sh -c 'echo made >made'
is "with an archive: it is there" "$(member work/made)" made
rm -f "$A" "$T/o/made"

# The payload shapes the tree; what is outside of it is not its to give.
echo secret >"$T/secret"
before=$(md5sum "$T/secret" /etc/passwd)
for trick in "ln -s $T/secret made" "ln -s / d; exit" "mkfifo made" \
	"ln -s /etc d; mkdir made" "ln -s ../../../../../etc/passwd made"; do
	out --output-file "made:$T/o/made" --output-file "d/passwd:$T/o/passwd" \
		sh -c "$trick"
	is "refused: $trick" "$rc" 125
	check "nothing came out" test ! -f "$T/o/made" -a ! -e "$T/o/passwd"
	rm -rf "$T/o/made"
done
# A link on the host where the output goes is replaced, not written through.
ln -s "$T/secret" "$T/o/made"
out --output-file "made:$T/o/made" sh -c 'echo made >made'
is "a link on the host is replaced" "$(cat "$T/o/made")" made
is "nothing was written through" "$(md5sum "$T/secret" /etc/passwd)" "$before"
# An input that is a link of the user's is followed; one in a tree is kept.
ln -s "$T/secret" "$T/alias"
mkdir "$T/holds" && ln -s "$T/secret" "$T/holds/link"
out --input "$T/alias:a" --input "$T/holds" sh -c 'cat a; cat holds/link'
is "links in inputs" "$(cat "$T/out")" secret
for to in ../up /abs a/../../b .; do
	out --input "$T/secret:$to" true
	is "an input to $to" "$rc" 125
done
is "nothing is left at the end" "$(left)" ""
