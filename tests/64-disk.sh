#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --disk: the workdir holds so many bytes and files, and not one more; what goes
# in and comes out is as without it.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need jq python3 tar

STATE=$XDG_STATE_HOME/m9m-sandbox
left() { find "$STATE/runs" -mindepth 1 2>/dev/null | head -n 3; }
m9m() {
	rm -f "$T/events.jsonl"
	"$M9M" -q --artifact "$T/a.tar" --result "$T/r.json" \
		--events "$T/events.jsonl" "$@"
}
disk() { m9m --disk 4Mi "$@"; }

cat >"$T/fill.py" <<'P'
import errno, os, sys
what, here = sys.argv[1], sys.argv[2]
n = 0
try:
    if what == 'bytes':
        with open(here + '/big', 'wb', buffering=0) as f:
            while n < 6 << 20:
                n += f.write(b'x' * 65536)
    elif what == 'holes':
        with open(here + '/big', 'wb') as f:
            os.posix_fallocate(f.fileno(), 0, 6 << 20)
            n = 6 << 20
    elif what == 'files':
        while n < 1500:
            os.close(os.open(here + '/%d' % n, os.O_CREAT))
            n += 1
    elif what == 'links':
        while n < 1500:
            os.symlink('x', here + '/%d' % n)
            n += 1
    else:
        while n < 1500:
            os.mkdir(here + '/%d' % n)
            n += 1
except OSError as e:
    print('%s after %d' % (errno.errorcode[e.errno], n))
else:
    print('no end after', n)
P
fill() { "$@" --ro-bind "$T/fill.py" /fill.py python3 /fill.py "$what" /work; }

echo "# how much goes in"
for row in 'bytes 4194304' 'holes 0' 'files 1087' 'links 1087' 'dirs 1087'; do
	read -r what most <<<"$row"
	run fill m9m
	matches "$T/out" '^no end after (6291456|1500)$'
	json_is "$T/r.json" '.limits | length' 0
	run fill disk
	is "$what: the kernel's word" "$(cat "$T/out")" "ENOSPC after $most"
	json_is "$T/r.json" .status ok
	[ "$what" != holes ] || continue
	json_is "$T/r.json" '.limits | join(" ")' disk
	is "$what: one event" "$(events limit | jq -r '"\(.what) \(.limit)"')" \
		"disk 4194304"
done
# More through a hard link, a rename, another name for it: it is one tree.
run disk sh -c 'cd /proc/self/cwd && head -c 3M /dev/zero >a && ln a b && mv b c && head -c 3M /dev/zero >d'
contains "$T/err" "No space left on device"
is "the archive has what fitted in" \
	"$(tar -xOf "$T/a.tar" work/d | wc -c)" 1048576

echo "# a cap that was reached and left again"
mkfifo "$T/in"
# shellcheck disable=SC2094  # one end here, the other there
disk sh -c 'head -c 5M /dev/zero >x 2>/dev/null; echo full; read -r line; rm x' \
	<"$T/in" >"$T/out" 2>"$T/err" &
pid=$!
exec 9>"$T/in"
await_line "$T/out" full
check "is told while it runs" await_line "$T/events.jsonl" '"limit"'
is "on the host there is no workdir" "$(find "$STATE/runs" -name "*.work")" ""
echo go >&9
exec 9>&-
wait $pid
is "and the run goes on" $? 0
json_is "$T/r.json" '.limits | join(" ")' disk

echo "# what goes in and comes out"
mkdir -p "$T/tree/sub"
echo deep >"$T/tree/sub/file"
expect_exit 0 disk --input "$T/tree" --output-file "made:$T/made" sh -c \
	'cat tree/sub/file >made; mkdir -m 700 closed; echo in >closed/f; chmod 000 closed; id -u >/work/uid'
is "an output" "$(cat "$T/made")" deep
is "the archive: an input" "$(tar -xOf "$T/a.tar" work/tree/sub/file)" deep
is "the archive: a closed folder" "$(tar -xOf "$T/a.tar" work/closed/f)" in
is "nothing is left" "$(left)" ""
printf '{"disk":"2Mi","command":["df","--output=size","-B1","/work"]}' >"$T/s.json"
expect_exit 0 m9m --spec "$T/s.json"
contains "$T/out" 2097152
expect_exit 0 disk sh -c 'grep " /work " /proc/self/mounts'
matches "$T/out" '^[^ ]+ /work tmpfs rw,nosuid,nodev'

echo "# what does not fit"
head -c 5M /dev/zero >"$T/tree/big"
expect_exit 125 disk --input "$T/tree" true
json_is "$T/r.json" '.stage' inputs
contains "$T/err" "No space left on device"
contains "$T/err" "--disk"
is "nothing is left" "$(left)" ""
expect_exit 125 m9m --disk 2Gi true
contains "$T/err" "--disk: is held in memory"
expect_exit 0 "$M9M" --explain --disk 4Mi true
matches "$T/out" 'disk +4194304 bytes, in memory'

echo "# the archive cannot be written"
# While the payload works, a file takes the folder's place.
closed() {
	local pid
	rm -rf "$T/spot"
	: >"$T/out"
	mkfifo "$T/go"
	"$M9M" -q --disk 4Mi --artifact "$T/spot/a.tar" --result "$T/r.json" \
		sh -c 'echo precious >x; echo ready; read -r _' <"$T/go" \
		>"$T/out" 2>"$T/err" &
	pid=$!
	exec 7>"$T/go"
	await_line "$T/out" ready
	rmdir "$T/spot"
	touch "$T/spot"
	eval "$1"
	exec 7>&-
	rm "$T/go"
	rc=0
	wait $pid || rc=$?
	is "exit 125" "$rc" 125
}
closed :
json_is "$T/r.json" .stage artifact
kept=$(json "$T/r.json" .artifact.path)
check "it is where archives usually are: $kept" test -f "$kept"
contains "$T/r.json" "the archive is in $kept instead"
is "and has it all" "$(tar --zstd -xOf "$kept" work/x)" precious
closed 'rm -rf "$STATE/artifacts"; touch "$STATE/artifacts"'
contains "$T/r.json" "what it held is lost"
is "nothing is left" "$(left)" ""
rm "$STATE/artifacts"

echo "# other ways to end"
expect_exit 124 disk --timeout 3s sh -c 'echo kept >x; sleep 60'
is "a timeout: the archive" "$(tar -xOf "$T/a.tar" work/x)" kept
# For the background: the pid is then the program's own.
bg() { exec "$M9M" -q --disk 4Mi "$@"; }
bg sh -c 'echo x >x; echo ready; sleep 60' >"$T/out" 2>"$T/err" &
pid=$!
await_line "$T/out" ready
inner=$(inner $pid)
kill -KILL $pid
wait $pid 2>/dev/null
check "SIGKILL: all is gone" await_exit "$inner"
is "and no workdir is left" "$(find "$STATE/runs" -name "*.work")" ""
clear_runs

echo "# the other places are capped too"
for place in /tmp /home/agent /dev/shm; do
	run m9m python3 -c "
import os
f = open('$place/x', 'wb')
os.posix_fallocate(f.fileno(), 0, 3 << 30)"
	matches "$T/err" "No space left on device"
done
