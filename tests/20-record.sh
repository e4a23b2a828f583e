#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Whatever way a run ends: its events and its result are there, agree with each
# other and with the schemas, and nothing from inside breaks a line of them.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need python3 jq
host_netns

# recorded WHAT STATUS EXIT OPTION... -- COMMAND...: runs it, checks all records.
recorded() {
	local what=$1 status=$2 code=$3
	shift 3
	rm -f "$T/events.jsonl" "$T/result.json"
	run "$M9M" --events "$T/events.jsonl" --result "$T/result.json" "$@"
	is "$what: exit $code" "$rc" "$code"
	[ "$rc" = "$code" ] || show_output
	if [ ! -s "$T/events.jsonl" ] || [ ! -s "$T/result.json" ]; then
		not_ok "$what: there are records"
		return
	fi
	valid result "$T/result.json"
	valid event "$T/events.jsonl"
	json_is "$T/result.json" .status "$status"
	json_is "$T/result.json" .exit_code "$code"
	is "the last event agrees" \
		"$(tail -n 1 "$T/events.jsonl" | jq -r '.event + " " + .status')" \
		"exit $status"
	is "events are counted from 1 without a gap" \
		"$(jq -s 'map(.seq) == [range(1; length + 1)]' "$T/events.jsonl")" \
		true
	is "the audit log ends with the same lines" \
		"$(tail -n "$(wc -l <"$T/events.jsonl")" "$AUDIT" | unchained)" \
		"$(cat "$T/events.jsonl")"
	is "and the result has the hash of the last one" \
		"$(tail -n 1 "$AUDIT" | tr -d '\n' | sha256sum | cut -d' ' -f1)" \
		"$(json "$T/result.json" .audit.hash)"
}

valid() {
	if python3 "$TOP/tests/schema.py" "$TOP/schema/$1.schema.json" "$2" \
		>"$T/problems" 2>&1; then
		ok "the $1 schema holds"
	else
		not_ok "the $1 schema does not hold"
		head -n 5 "$T/problems" | sed 's/^/# /'
	fi
}

recorded success ok 0 --id "label 1" -- sh -c 'echo out; echo err >&2'
json_is "$T/result.json" .id "label 1"
json_is "$T/result.json" .output.stdout_bytes 4
json_is "$T/result.json" '.artifact.sha256 | length' 64
is "the archive's hash is right" \
	"$(sha256sum "$(json "$T/result.json" .artifact.path)" | cut -d' ' -f1)" \
	"$(json "$T/result.json" .artifact.sha256)"
is "start names what runs" "$(events start '.argv[0] == "sh"' | wc -l)" 1

# Landlock's version, by the kernel's own word (1 is of no use: no renames).
abi=$(python3 -c '
import ctypes
print(max(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1), 0))')
if [ "$abi" -ge 2 ]; then
	is "the result has Landlock's version" \
		"$(json "$T/result.json" '.layers[] | select(test("landlock"))')" \
		"landlock:$abi"
	matches <("$M9M" --explain true) "^landlock +version $abi\$"
else
	is "the result has no Landlock" \
		"$(json "$T/result.json" '.layers | map(select(test("landlock"))) | length')" 0
	matches <("$M9M" --explain true) "^landlock +none in this kernel"
fi

recorded failure failed 3 --no-artifact -- sh -c 'exit 3'
json_is "$T/result.json" .payload_exit_code 3
json_is "$T/result.json" .artifact null

recorded signal failed 139 --no-artifact -- sh -c 'kill -SEGV $$'
json_is "$T/result.json" .signal 11

recorded time timeout 124 --no-artifact --timeout 300ms --grace 200ms \
	-- sleep 1000
is "one timeout event" "$(events timeout '.after_ms == 300' | wc -l)" 1

recorded error error 125 --no-artifact --input "$T/nothing" -- true
json_is "$T/result.json" .started false
is "a message and a stage" \
	"$(jq '.message != null and .stage != null' "$T/result.json")" true

# What fails before anything is made has a result, but did not happen.
rm -f "$T/result.json"
expect_exit 127 "$M9M" --events "$T/none.jsonl" --result "$T/result.json" \
	-- no-such-program-here
valid result "$T/result.json"
json_is "$T/result.json" '.status + " " + .stage' "error plan"
check "and no events" test ! -e "$T/none.jsonl"

# Output, names and arguments of the payload's choosing.
recorded hostile ok 0 --no-artifact --verbose -- sh -c \
	'printf "\033]0;x\007\n{\"event\":\"exit\"}\n\377\302\233\342\200\256\0"' \
	$'a\nb\e[2J' $'\xff'
is "no control character in a record" \
	"$(cat "$T/events.jsonl" "$T/result.json" |
		LC_ALL=C tr -d '\n -~' | wc -c)" \
	"$(grep -oh $'\xef\xbf\xbd' "$T/events.jsonl" "$T/result.json" | tr -d '\n' | wc -c)"
is "the output is in one stdout event or more" \
	"$(jq -rj 'select(.event == "stdout") | .text' "$T/events.jsonl" |
		head -c 9 | od -An -tx1 | tr -d ' \n')" 1b5d303b78070a7b22

# The network: each attempt is an event, grouped in the result.
recorded network ok 0 --no-artifact --allow good.test:7 \
	--resolve good.test=127.0.0.1 -- bash -c '
	getent hosts bad.test
	getent ahostsv4 good.test
	(exec 3<>/dev/tcp/good.test/7)
	(exec 3<>/dev/tcp/192.0.2.1/7)
	true'
is "a denied name is an event" \
	"$(events dns '.name == "bad.test" and .verdict == "denied"' | wc -l |
		sed 's/^[1-9].*/some/')" some
is "an allowed one, too" \
	"$(events dns '.name == "good.test" and .verdict == "allowed"' | wc -l |
		sed 's/^[1-9].*/some/')" some
is "a refused address is denied" \
	"$(events denied '.addr == "192.0.2.1" and .port == 7' | wc -l)" 1
is "the result says how to allow it" \
	"$(jq -r '.denials[] | select(.what == "192.0.2.1:7").remedy' \
		"$T/result.json")" "--allow 192.0.2.1:7"
is "counts agree with the events" \
	"$(jq .network.dns_denied "$T/result.json")" \
	"$(events dns '.verdict == "denied"' | wc -l)"

# The summary is for a person: only when asked for, and never in colour then.
run "$M9M" --no-artifact --summary always -- true
contains "$T/err" "m9m-sandbox: true finished: ok, exit 0"
check "no colour where there is no terminal" test -z "$(tr -dc '\033' <"$T/err")"
run "$M9M" --no-artifact -- true
is "nothing is said without a terminal" "$(grep -c finished "$T/err")" 0
run "$M9M" --no-artifact -q -- sh -c 'exit 4'
is "--quiet is quiet" "$(grep -c finished "$T/err")" 0

# A descriptor; a reader that never reads holds nothing up.
mkfifo "$T/pipe"
exec 5<>"$T/pipe"
# shellcheck disable=SC2016
run timeout 120 "$M9M" --no-artifact --verbose --events-fd 5 --timeout 60s -- \
	sh -c 'i=0; while [ $i -lt 3000 ]; do echo 0123456789; i=$((i+1)); done'
is "a reader that sleeps does not stop the run" "$rc" 0
IFS= read -r -t 10 line <&5
exec 5>&-
is "and what it gets begins with the start" \
	"$(printf '%s' "$line" | jq -r .event)" start

# No value of a passed variable appears anywhere.
# shellcheck disable=SC2016  # the variables are the payload's
SECRET_KEY=planted-7c1f run "$M9M" --pass-env SECRET_KEY --setenv OTHER planted-9d2e \
	--events "$T/secret.jsonl" --result "$T/secret.json" --summary always \
	--artifact "$T/secret.tar" -- \
	sh -c 'test "${SECRET_KEY#plan}" = ted-7c1f && test "${OTHER#plan}" = ted-9d2e'
is "the variables are passed" "$rc" 0
for file in secret.jsonl secret.json secret.tar out err; do
	lacks "$T/$file" planted-
done
contains "$T/secret.tar" '"event":"exec"'

# Not even when the payload shows it to everybody: as an argument, a name, and
# on its output, which is recorded with --verbose.
# shellcheck disable=SC2016
SECRET_KEY=Planted-7C1f run "$M9M" --pass-env SECRET_KEY --verbose --no-artifact \
	--events "$T/secret.jsonl" --result "$T/secret.json" -- sh -c \
	'echo "it is $SECRET_KEY!"; ls "$SECRET_KEY"; "./$SECRET_KEY"
	getent hosts "$SECRET_KEY.test"'
contains "$T/out" Planted-7C1f
contains "$T/secret.jsonl" '"text":"it is ***!'
for file in "$T/secret.jsonl" "$T/secret.json" "$AUDIT"; do
	is "$(basename "$file") has nothing of it" "$(grep -ci planted- "$file")" 0
done
contains "$T/secret.jsonl" '"name":"***.test"'
lacks "$AUDIT" planted-

# Nor when it comes letter by letter, each read before the next is written.
cat >"$T/letters.py" <<'END'
import array, fcntl, os, termios
left = array.array("i", [0])
for letter in "pla plan " + os.environ["SECRET_KEY"] + " plant":
    os.write(1, letter.encode())
    fcntl.ioctl(1, termios.FIONREAD, left)
    while left[0]:
        fcntl.ioctl(1, termios.FIONREAD, left)
END
SECRET_KEY=planted-7c1f run "$M9M" --pass-env SECRET_KEY --verbose --no-artifact \
	--events "$T/secret.jsonl" --input "$T/letters.py" \
	-- python3 -B letters.py
is "it is passed on as it is" "$(cat "$T/out")" "pla plan planted-7c1f plant"
is "and told in pieces, but for the secret" \
	"$(jq -rj 'select(.event == "stdout").text' "$T/secret.jsonl")" \
	"pla plan *** ***"

# Nor byte by byte, where a character is more than one, or is none.
cat >"$T/bytes.py" <<'END'
import array, fcntl, os, termios
left = array.array("i", [0])
secret = os.environb[b"SECRET_KEY"]
for byte in b"\xc3\xbc\xe2\x82\xac " + secret + b" " + secret[:6]:
    os.write(1, bytes([byte]))
    fcntl.ioctl(1, termios.FIONREAD, left)
    while left[0]:
        fcntl.ioctl(1, termios.FIONREAD, left)
END
for secret in $'na\xc3\xafve-\xf0\x9f\x94\x91-\xe2\x82\xac' \
	$'latin-\xe9\xe2\x82-\xff'; do
	SECRET_KEY=$secret run "$M9M" --pass-env SECRET_KEY --verbose \
		--no-artifact --events "$T/secret.jsonl" \
		--input "$T/bytes.py" -- python3 -B bytes.py
	is "it is passed on byte by byte" "$(wc -c <"$T/out")" \
		"$((6 + $(printf %s "$secret" | wc -c) + 7))"
	is "and masked, whole characters beside it" \
		"$(jq -rj 'select(.event == "stdout").text' "$T/secret.jsonl")" \
		$'\xc3\xbc\xe2\x82\xac *** ***'
done

# A stream by its name, though it be a file: after what is there, and the name
# stays what it was.  Root would lose /dev/stdout by an error of ours.
names="/dev/fd/1 /proc/self/fd/1"
is_root || names="$names /dev/stdout"
for name in $names; do
	run "$M9M" -q --no-artifact --result "$name" echo first
	is "--result $name: the output is there" "$(head -n 1 "$T/out")" first
	is "and the result after it" "$(tail -n +2 "$T/out" | jq -r .status)" ok
done
run "$M9M" -q --no-artifact --result /dev/fd/2 true
json_is "$T/err" .status ok

# Killed while it writes its result: the old one or the new one is there, and
# what stands beside it goes with the next.
if ! sanitized && strace -f -o /dev/null true 2>/dev/null; then
	mkdir "$T/folder"
	# killed CALL: the run, killed as it makes that call.
	killed() {
		run strace -o "$T/trace" -e "trace=$1" \
			-e "inject=$1:signal=KILL" "$M9M" -q --no-artifact \
			--result "$T/folder/r.json" true
		matches "$T/trace" "^$1.*"
		is "killed at $1" "$rc" 137
	}
	killed linkat
	is "nothing is there" "$(ls -A "$T/folder")" ""
	echo old >"$T/folder/r.json"
	killed renameat
	is "the old result is there" "$(cat "$T/folder/r.json")" old
	is "and the new one, but for its name" \
		"$(json "$T/folder/.r.json.m9m.tmp" .status)" ok
	expect_exit 3 "$M9M" -q --no-artifact --result "$T/folder/r.json" \
		sh -c 'exit 3'
	is "the next one leaves its own only" "$(ls -A "$T/folder")" r.json
	json_is "$T/folder/r.json" .exit_code 3
else
	echo "# no strace to kill it with while it writes its result"
fi

# What else can happen: a connection that is made and closed, too much memory,
# more refused calls than are told, and a run that is found dead.
serve python3 "$TOP/tests/standin/greeter.py" 9000
recorded connection ok 0 --no-artifact --verbose --host-port 9000 -- \
	bash -c 'cat </dev/tcp/host.m9m.internal/9000'
recorded memory oom 137 --no-artifact --memory 64Mi --allow-degraded cgroup -- \
	python3 -c 'x = bytearray(200 << 20); import time; time.sleep(60)'
recorded calls ok 0 --no-artifact -- python3 -c '
import ctypes, os
call = 117 if os.uname().machine == "aarch64" else 101
for _ in range(20):
    ctypes.CDLL(None).syscall(ctypes.c_long(call), 16, 1, 0, 0)'
: >"$T/dead.out"
"$M9M" -q --no-artifact sh -c 'echo up; read -r _' <"$T/pipe" >"$T/dead.out" &
dead=$!
exec 5<>"$T/pipe"
await_line "$T/dead.out" up
inner=$(inner "$dead")
kill -KILL "$dead"
wait "$dead" 2>/dev/null
await_exit "$inner"
exec 5>&-
run "$M9M" --gc
is "every kind of event that the schema has was met" \
	"$(jq -r .event "$AUDIT" | sort -u | xargs)" \
	"$(jq -r '.properties.event.enum[]' "$TOP/schema/event.schema.json" |
		sort | xargs)"

# All lines of all runs of this test: by the schema, and in one chain.
valid event "$AUDIT"
expect_exit 0 "$M9M" --verify-audit "$AUDIT"
