#!/bin/bash
# SPDX-License-Identifier: MIT
#
# However it is started: with signals ignored, limits, masks and a current folder
# that no shell would hand on, and outputs that take nothing.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need jq python3

m9m() { "$M9M" --no-artifact --result "$T/r.json" "$@"; }

echo "# signals that the starter ignores"
cat >"$T/ignoring.py" <<'END'
import os, signal, sys
if sys.argv[1] != "spawned":
    # It has its child ignore two more, which are glibc's own.
    pid = os.posix_spawn(sys.executable, [sys.executable, sys.argv[0], "spawned",
                                          *sys.argv[1:]], os.environ)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
os.execv(sys.argv[2], sys.argv[2:])
END
expect_exit 0 python3 "$T/ignoring.py" /bin/grep -q 'SigIgn:.*[1-9a-f]' \
	/proc/self/status
expect_exit 3 timeout 60 python3 "$T/ignoring.py" "$M9M" -q --no-artifact -- \
	sh -c 'grep SigIgn /proc/self/status; exit 3'
matches "$T/out" '^SigIgn:[[:space:]]*0+$'

echo "# a limit on the size of files"
outside=$(bash -c 'ulimit -f 4; head -c 9000 /dev/zero >"$1"; echo $?' - \
	"$T/big" 2>/dev/null)
is "outside it is a death" "$outside" 153
for _ in 1 2 3 4 5; do m9m true; done 2>/dev/null
expect_exit 0 bash -c 'ulimit -f 1; exec "$@"' - "$M9M" --no-artifact -- true
contains "$T/err" "cannot write the audit log: File too large"
expect_exit 153 bash -c 'ulimit -f 4; exec "$@"' - "$M9M" -q --no-artifact -- \
	sh -c 'head -c 9000 /dev/zero >f'
is "nothing stays behind" \
	"$(find "$XDG_STATE_HOME/m9m-sandbox/runs" -mindepth 1)" ""

if is_root; then
	echo "# a priority that others do not have"
	first=(nice -n -10 chrt -f 5 ionice -c 1)
	# shellcheck disable=SC2016  # the payload's
	shown='cut -d" " -f19,41 /proc/self/stat; ionice'
	expect_exit 0 "${first[@]}" sh -c "$shown"
	is "outside" "$(xargs <"$T/out")" "-10 1 realtime: prio 4"
	expect_exit 0 "${first[@]}" "$M9M" -q --no-artifact -- sh -c "$shown"
	is "none inside" "$(xargs <"$T/out")" "0 0 none: prio 0"
	expect_exit 0 nice -n 7 "$M9M" -q --no-artifact -- nice
	is "one that lets others go first stays" "$(cat "$T/out")" 7
fi

echo "# a mask that takes from the owner"
for mask in 0777 0277 0100; do
	expect_exit 0 bash -c 'umask "$1"; shift; exec "$@"' - $mask \
		"$M9M" -q --artifact "$T/$mask.tar" -- sh -c 'echo made >f; cat f'
	is "with $mask files can be made" "$(cat "$T/out")" made
done
expect_exit 0 bash -c 'umask 0027; exec "$@"' - "$M9M" -q --no-artifact -- \
	sh -c umask
is "what it takes from others holds inside" "$(cat "$T/out")" 0027

echo "# a current folder that is gone"
# from_nowhere COMMAND...
from_nowhere() {
	mkdir "$T/gone"
	(cd "$T/gone" && rmdir "$T/gone" && "$@")
}
expect_exit 0 from_nowhere m9m -q -- true
for option in "--ro-bind . /shown" "--bind . /shown" "--project ." \
	"--artifact a.tar" "--output-file f"; do
	# shellcheck disable=SC2086  # words
	expect_exit 125 from_nowhere "$M9M" $option -- true
	contains "$T/err" "is relative, and the current folder is gone"
done

echo "# standard input, output and error closed"
for closed in '1>&-' '2>&-' '0<&-' '0<&- 1>&- 2>&-'; do
	rm -f "$AUDIT" "$AUDIT.head"
	expect_exit 3 timeout 60 bash -c "exec $closed; exec \"\$@\"" - "$M9M" \
		-q --no-artifact -- sh -c 'echo OUT; echo ERR >&2; exit 3'
	is "$closed: nothing gets into the audit log" \
		"$(grep -vc '^{"prev":' "$AUDIT")" 0
done

for number in 3 4; do
	expect_exit 125 bash -c "exec $number>&-; exec \"\$@\"" - "$M9M" -q \
		--no-artifact --events /dev/fd/$number -- true
	is "--events /dev/fd/$number, not open: the audit log is whole" \
		"$(grep -vc '^{"prev":' "$AUDIT") $(wc -l <"$AUDIT.head")" "0 1"
done

echo "# outputs that take nothing"
m9m sh -c 'echo lost' >/dev/full 2>"$T/err"
contains "$T/err" "not all of standard output was passed on: No space left"
matches "$T/r.json" 'not all of standard output was passed on'
m9m sh -c 'echo lost >&2' 2>/dev/full
matches "$T/r.json" 'not all of standard error was passed on'
# Who reads no more knows it, and so does the payload.
m9m yes 2>/dev/null | head -n 1 >/dev/null
json_is "$T/r.json" '.warnings | map(select(test("passed on"))) | length' 0
