#!/bin/bash
# stdin, stdout, stderr: passed on as they come, whole, and kept.
. "$(dirname "$0")/lib.sh"
need python3 zstd

m9m() { "$M9M" -q --no-artifact "$@"; }

is "stdin from a pipe" "$(echo hello | m9m cat)" hello
is "stdin from a file" "$(m9m cat <"$SELF" | md5sum)" "$(md5sum <"$SELF")"
is "stdin from /dev/null" "$(m9m cat </dev/null)" ""
is "closed stdin" "$(m9m sh -c 'cat; echo end' <&- 2>/dev/null)" end
is "--prompt is stdin" "$(echo not this | m9m --prompt 'do it' cat)" "do it"
head -c 200000 /dev/zero | tr '\0' p >"$T/prompt"
is "--prompt-file of 200 kB" "$(m9m --prompt-file "$T/prompt" cat | wc -c)" 200000

# Both streams stay apart, and each keeps its order.
m9m sh -c 'for i in 1 2 3; do echo o$i; echo e$i >&2; done' >"$T/o" 2>"$T/e"
is "stdout" "$(xargs <"$T/o")" "o1 o2 o3"
is "stderr" "$(xargs <"$T/e")" "e1 e2 e3"

# 64 MiB through both directions, against a reader that starts late.
mkfifo "$T/fifo"
head -c 67108864 /dev/urandom >"$T/big"
m9m cat <"$T/big" >"$T/fifo" &
is "64 MiB arrive whole" "$(md5sum <"$T/fifo")" "$(md5sum <"$T/big")"
wait

# As they come: the first line is there while the payload still runs.
mkfifo "$T/go"
m9m sh -c 'echo first; read line; echo $line' <"$T/go" >"$T/stream" &
pid=$!
exec 9>"$T/go"
check "a line arrives at once" await_line "$T/stream" '^first$'
echo second >&9
exec 9>&-
wait $pid
is "and the next" "$(xargs <"$T/stream")" "first second"

# A reader that goes away ends the writer, as in a pipeline.
m9m sh -c 'yes; echo $? >/work/x' 2>/dev/null | head -n 1 >"$T/head"
is "closed stdout ends the payload" "$(cat "$T/head")" y

# A disk that is full: the run goes on, and what it says is kept.
expect_exit 0 sh -c '"$@" >/dev/full' - "$M9M" -q --artifact "$T/full.tar" \
	sh -c 'seq 50000; echo written >end'
is "all of it is in the archive" "$(tar -xOf "$T/full.tar" stdout.log | md5sum)" \
	"$(seq 50000 | md5sum)"
is "and the payload came to its end" "$(tar -xOf "$T/full.tar" work/end)" written

# A reader that takes nothing does not hold a run that was made to end, and what
# it did not take is kept.
mkfifo "$T/stuck"
exec 8<>"$T/stuck"
expect_exit 124 timeout -s KILL 60 bash -c 'exec "$@" >&8' - \
	"$M9M" --summary never --timeout 3s --grace 1s --artifact "$T/stuck.tar" \
	--result "$T/r.json" sh -c 'head -c 130000 /dev/zero; sleep 60'
contains "$T/err" "not all of standard output was passed on: Timer expired"
matches "$T/r.json" 'not all of standard output was passed on'
tar -C "$T" -xf "$T/stuck.tar"
is "all of it is kept" "$(wc -c <"$T/stdout.log")" 130000
rm -f "$T"/*.log
"$M9M" -q --no-artifact sh -c 'echo ready >&2; exec yes' >&8 2>"$T/e" &
pid=$!
check "the payload runs" await_line "$T/e" ready
kill "$pid"
check "a signal ends it, too" await_exit "$pid"
wait "$pid"
is "as one that did" "$?" 143
exec 8>&-

# Nor does one of standard error: all is cleaned up and on record before the
# changes and the summary are told, and then a signal ends the wait.
mkdir "$T/tree"
mkfifo "$T/stuck2"
exec 8<>"$T/stuck2"
python3 - "$T/stuck2" <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
try:
    while True:
        os.write(fd, b"0")
except BlockingIOError:
    pass
END
if command -v git >/dev/null; then
	git init -q "$T/tree"
fi
"$M9M" --summary always --project "$T/tree" --diff --artifact "$T/told.tar" \
	--result "$T/told.json" sh -c 'echo new >new; exit 3' 2>&8 &
pid=$!
check "the result is there" await_line "$T/told.json" '"exit_code":3'
check "the archive, too" test -s "$T/told.tar"
is "and nothing else" "$(find "$XDG_STATE_HOME/m9m-sandbox/runs" -mindepth 1)" ""
check "it waits for its reader" grep -q '^State:.[RSD]' "/proc/$pid/status"
kill "$pid"
check "a signal ends that" await_exit "$pid"
wait "$pid"
is "as it would have ended" "$?" 3
expect_exit 124 timeout -s KILL 60 bash -c 'exec "$@" 2>&8' - \
	"$M9M" --summary always --no-artifact --timeout 1s sleep 60
# Nor does one of the result.
for to in --result-fd\ 2 --result\ /dev/stderr; do
	# shellcheck disable=SC2086  # two words
	expect_exit 124 timeout -s KILL 60 bash -c 'exec "$@" 2>&8' - \
		"$M9M" -q --no-artifact --timeout 1s $to sleep 60
done
exec 8>&-
# With one that reads: the changes first.
"$M9M" --summary always --project "$T/tree" --diff --no-artifact \
	sh -c 'echo new >new' 2>"$T/told"
[ ! -d "$T/tree/.git" ] || is "the changes, then the summary" \
	"$(grep -oE '^\+new|finished: ok' "$T/told" | paste -sd ,)" \
	"+new,finished: ok"

# Kept in the artifact, up to --output.
expect_exit 0 "$M9M" -q --artifact "$T/a.tar.zst" sh -c 'echo kept; echo err >&2'
tar -C "$T" --zstd -xf "$T/a.tar.zst"
is "stdout.log" "$(cat "$T/stdout.log")" kept
is "stderr.log" "$(cat "$T/stderr.log")" err
rm -f "$T"/*.log
"$M9M" -q --artifact "$T/b.tar" --output 1000 --result "$T/r.json" \
	sh -c 'head -c 5000 /dev/zero | tr "\0" x' >"$T/all"
is "all is passed on" "$(wc -c <"$T/all")" 5000
tar -C "$T" -xf "$T/b.tar"
is "1000 bytes are kept" "$(wc -c <"$T/stdout.log")" 1000
json_is "$T/r.json" .output.truncated true
