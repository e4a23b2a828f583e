#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What is executed inside is on record, as it was; nothing is decided by that,
# nothing waits for it, and no secret gets into it.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq python3

# recorded OPTION... -- COMMAND...
recorded() {
	rm -f "$T/events.jsonl" "$T/result.json"
	run "$M9M" --no-artifact --events "$T/events.jsonl" \
		--result "$T/result.json" "$@"
	schemas_hold
}

# As every exec event: PATH and verdict, in order.
executed() { events exec | jq -r '.path + " " + .verdict'; }

recorded -- sh -c 'cd /tmp; /usr/bin/true a "b c"; exec /usr/bin/env -- true'
if grep -q 'are not recorded' "$T/result.json"; then
	skip "$(json "$T/result.json" '.warnings[] | select(test("recorded"))')"
fi
is "each execution, in order" "$(executed | tr '\n' ',')" \
	"$(printf '%s allowed,' /usr/bin/sh /usr/bin/true /usr/bin/env \
		/usr/bin/true)"
is "arguments, pid, parent and folder" \
	"$(events exec | jq -c 'select(.argv[1] == "a") | [.argv[2], .pid, .ppid, .cwd]')" \
	'["b c",3,2,"/tmp"]'
is "the first one is pid 1's child" \
	"$(events exec | jq -sc '.[0] | [.argv[0], .pid, .ppid, .cwd]')" \
	'["sh",2,1,"/work"]'
is "each program once, by its hash" \
	"$(events program | jq -r '.sha256 + "  " + .path' | sort -k2)" \
	"$(cd / && sha256sum /usr/bin/env /usr/bin/sh /usr/bin/true)"
is "the account groups by path" \
	"$(jq -c '.commands | [.allowed, .denied, (.executed[] | select(.path == "/usr/bin/true").count)]' \
		"$T/result.json")" '[4,0,2]'

# What is tried along PATH and is not there is no command.
look='env PATH=/nowhere:/tmp:/usr/bin true; env -- no-such-program; exit 0'
recorded -- sh -c "$look"
is "names that do not exist are not told" \
	"$(executed | grep -c 'absent\|nowhere\|no-such')" 0
check "but counted" test "$(json "$T/result.json" .commands.absent)" -ge 3
json_is "$T/result.json" .commands.allowed 4
recorded --verbose -- sh -c "$look"
is "with --verbose they are" "$(events exec '.verdict == "absent"' | wc -l)" \
	"$(json "$T/result.json" .commands.absent)"

# Nothing that runs is taken for absent, by whatever name it goes.
cat >"$T/names.sh" <<'SH'
cp /usr/bin/true t; ln -s t here; ln -s /proc/self/fd/5 there; ln -s / up
./t; ./here; ../work/t; up/work/t
python3 -c 'import os; os.execv("/proc/self/exe", ["python3", "-c", "0"])'
bash -c 'exec 5<t; exec ./there'
python3 -c 'import os
fd = os.open("t", os.O_RDONLY); os.execve(fd, ["by-descriptor"], {})'
python3 -c 'import os
fd = os.memfd_create("secret-code"); os.sendfile(fd, os.open("t", 0), 0, 1 << 20)
os.execve(fd, ["by-memory"], {})'
chmod -x t; ./t; /tmp; true
SH
recorded --ro-bind "$T/names.sh" /names.sh -- sh /names.sh
for path in ./t ./here ../work/t up/work/t /proc/self/exe /work/t \
	'/memfd:secret-code (deleted)'; do
	is "$path is on record" \
		"$(executed | grep -cxF "$path allowed")" 1
done
is "a link through /proc, too" "$(executed | grep -c '/there allowed')" 1
is "a file without the bit is denied" "$(executed | grep -cxF './t denied')" 1
json_is "$T/result.json" '[.denials[] | select(.kind == "exec").what] | sort | join(" ")' \
	"/tmp /work/t"
is "one hash for one file" \
	"$(events program '.path | startswith("/work")' | wc -l)" 1

# What only asks, and what the kernel takes for no name, executes nothing.
cat >"$T/asks.py" <<'PY'
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
nr = 281 if platform.machine() == "aarch64" else 322
here, check, nofollow = -100, 0x10000, 0x100
def call(mark, path, flags, folder=here):
    argv = (ctypes.c_char_p * 2)(mark, None)
    libc.syscall(nr, folder, path, argv, None, flags)
os.symlink("/usr/bin/true", "link")
file = os.open("/usr/bin/true", os.O_RDONLY)
call(b"asks", b"/usr/bin/true", check)
call(b"nofollow", b"link", nofollow)
call(b"own-nofollow", b"/proc/self/exe", nofollow)
call(b"flags", b"/usr/bin/true", 0x400)
call(b"no-number", b"/proc/self/fd/%040d" % file, 0)
call(b"own-closed", b"/proc/self/fd/99", 0)
call(b"closed", b"true", 0, 99)
call(b"folder", b"", 0x1000)
call(b"empty", b"", 0)
call(b"nofollow-runs", b"/usr/bin/true", nofollow)
PY
recorded --verbose --ro-bind "$T/asks.py" /asks.py -- python3 /asks.py
is "only what can be executed is on record as such" "$(events exec |
	jq -r '[.argv[0], .path, .verdict] | join(" ")' | tail -n +2 |
	tr '\n' ',')" "$(printf '%s,' 'nofollow link denied' \
	'own-nofollow /proc/self/exe denied' 'flags /usr/bin/true denied' \
	"no-number /proc/self/fd/$(printf %040d 3) absent" \
	'own-closed /proc/self/fd/99 absent' 'closed true denied' 'folder /work denied' 'empty  absent' \
	'nofollow-runs /usr/bin/true allowed')"
json_is "$T/result.json" .commands.allowed 2

# A thread with descriptors of its own executes the process's by /proc/self.
cat >"$T/thread.py" <<'PY'
import ctypes, os, threading
libc = ctypes.CDLL(None, use_errno=True)
def run():
    libc.unshare(0x400)
    os.close(9)
    os.execv("/proc/self/fd/9", ["by-the-first"])
os.dup2(os.open("/usr/bin/true", os.O_RDONLY), 9, True)
threading.Thread(target=run).start()
PY
recorded --ro-bind "$T/thread.py" /thread.py -- python3 /thread.py
is "by a thread whose own is closed" "$(executed | tail -n 1)" \
	"/proc/self/fd/9 allowed"

# One record waits for others, never longer than for what comes next.
recorded --verbose -- sh -c '/usr/bin/true 1; echo out; /usr/bin/true 2; unshare -m
	/usr/bin/true 3; exec /usr/bin/true 4'
order=$(jq -r 'select(.event == "exec" or .event == "denied" or
	.event == "stdout" or .event == "exit") |
	.argv[1] // .call // .text // .event' "$T/events.jsonl" | tr -d '\n')
is "they are in order, with other events" "${order/out/}" "-c12-munshare34exit"
# It comes by another descriptor than what is executed next.
check "with output between" grep -qE '^-c1.*out.*exit$' <<<"$order"
is "and in time" "$(jq -r 'select(.event != "program").ts' "$T/events.jsonl" |
	sort -c 2>&1)" ""
is "a hash, read later, is of the time of the execution" "$(jq -r \
	'select(.event == "program") | [.ts, .path] | join(" ")' "$T/events.jsonl")" \
	"$(jq -rs '[.[] | select(.event == "exec")] | unique_by(.path) | sort_by(.ts) |
	.[] | [.ts, .path] | join(" ")' "$T/events.jsonl")"

# A program that undoes its own traces was there when it was executed.
cat >"$T/sly.sh" <<'SH'
printf '#!/bin/sh\nchmod 0 "$0"\n' >hides
printf '#!/bin/sh\nprintf innocent >"$0"\n' >forges
chmod 755 hides forges
./hides
exec ./forges
SH
recorded --ro-bind "$T/sly.sh" /sly.sh -- sh /sly.sh
is "what takes its own bit away did run" "$(executed | grep -cxF './hides allowed')" 1
json_is "$T/result.json" .commands.denied 0
# Which of the two is first is nobody's to say.
was=$(sed -n "s/^printf '\(.*\)' >forges\$/\1/p" "$T/sly.sh")
# shellcheck disable=SC2059  # as the payload does
was=$(printf "$was" | sha256sum | cut -d ' ' -f 1)
is "what writes over itself has the hash of what was executed, or none" \
	"$(events program | jq -r --arg was "$was" 'select(
		.path == "/work/forges").sha256 | . == null or . == $was')" true

# What is due by the clock comes after what was executed before.
# How much of either comes in a second is the machine's business.
for seconds in 2 8 32; do
	recorded --timeout ${seconds}s -- sh -c 'while :; do /usr/bin/true; done'
	[ "$(events sample | wc -l)" -le 2 ] || break
done
is "a time-out and samples among executions" "$rc" 124
check "samples were taken" test "$(events sample | wc -l)" -gt 2
is "are in time" "$(jq -r 'select(.event != "program").ts' "$T/events.jsonl" |
	sort -c 2>&1)" ""

# A passed value in an argument, whole, twice, cut at the end, in a path.
SECRET_TOKEN=planted-3e8a-value recorded --summary always --verbose \
	--pass-env SECRET_TOKEN -- sh -c '/usr/bin/true "-H$SECRET_TOKEN"
	/usr/bin/true "$SECRET_TOKEN$SECRET_TOKEN" x
	/usr/bin/env -- "$SECRET_TOKEN"; mkdir "$SECRET_TOKEN"; cd "$SECRET_TOKEN"
	cp /usr/bin/true t; ./t; "$PWD/t"
	/usr/bin/true "$(printf %0995d 0)$SECRET_TOKEN"' "planted-3e8a-value"
is "the arguments are masked" \
	"$(events exec '.argv[1] == "-H***" or .argv[1] == "******"' | wc -l)" 2
check "one was cut within" test -n "$(events exec \
	'.argv_cut and (.argv[1] | test("0[*]{3}$"))')"
grep -v '"stderr"' "$T/events.jsonl" >"$T/records.jsonl"
for file in records.jsonl result.json; do
	lacks "$T/$file" planted
done
is "the summary has none" "$(grep -c '^  .*planted' "$T/err")" 0

# Bounded: many and long arguments; a flood stops neither clock nor signals.
# shellcheck disable=SC2016
recorded -- bash -c '/usr/bin/true {1..5000}; /usr/bin/true "$(printf %0100000d 0)"'
is "long lines are cut" "$(events exec '.argv_cut' | wc -l)" 2
check "to a kilobyte or so" test \
	"$(awk '{ if (length > n) n = length } END { print n }' "$T/events.jsonl")" -lt 2000
flood='f() { while :; do /usr/bin/true; done; }; f & f & f & f'
for seconds in 1 8; do
	recorded --timeout ${seconds}s --grace 1s -- sh -c "$flood"
	[ "$(json "$T/result.json" .commands.allowed)" -lt 50 ] || break
done
is "a flood ends on time: 124" "$rc" 124
check "and soon" test "$(json "$T/result.json" .duration_ms)" -lt 30000
check "with all of it counted" test \
	"$(json "$T/result.json" .commands.allowed)" -ge 50

# Who waits for our answer when we die does not wait for ever.
mark=flood-$$-$RANDOM
"$M9M" -q --no-artifact --events "$T/killed.jsonl" -- \
	sh -c "$flood; : $mark" >/dev/null 2>&1 &
supervisor=$!
check "the flood runs" await_line "$T/killed.jsonl" '"/usr/bin/true"'
pids="$(pgrep -P "$supervisor") $(pgrep -f "$mark")"
kill -KILL "$supervisor"
wait "$supervisor" 2>/dev/null
alive=0
for pid in $pids; do await_exit "$pid" || alive=$((alive + 1)); done
is "a killed supervisor leaves nobody waiting" "$alive" 0
clear_runs

# An outer sandbox may have the only listener there can be: a warning.
run without_listener "$M9M" --no-artifact --result "$T/result.json" -- \
	sh -c 'true; /usr/bin/true'
is "without a listener it runs all the same" "$rc" 0
contains "$T/result.json" "are not recorded: an outer sandbox"
json_is "$T/result.json" .commands.allowed 0
