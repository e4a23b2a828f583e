#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --suggest: run permissive, take what it suggests, run under it: the same work
# is done, by the real agents too.  What a payload or a stranger wrote into the
# record widens nothing by itself.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need python3 openssl jq git rg zstd node
host_netns
. "$TOP/tests/standin/lib.sh"

# hosts FILE, commands FILE: what a suggested spec allows.
hosts() { jq -r '.network.hosts // [] | join(" ")' "$1"; }
commands() { jq -r '.allowed_commands // [] | join(" ")' "$1"; }

echo "# what nobody should be given"
long=$(printf 'a%.0s' $(seq 4000))
cat >"$T/hostile.jsonl" <<END
{"event":"connect","name":"*.wild.test","port":443,"protocol":"tcp"}
{"event":"connect","name":"0.0.0.0/0","port":443,"protocol":"tcp"}
{"event":"connect","name":"10.0.0.0/8","port":443,"protocol":"tcp"}
{"event":"connect","name":"a\\u001b[2J.test","port":443,"protocol":"tcp"}
{"event":"connect","name":"a.test --allow b.test","port":443,"protocol":"tcp"}
{"event":"connect","name":"$long","port":443,"protocol":"tcp"}
{"event":"connect","name":"a.test","port":-1,"protocol":"tcp"}
{"event":"connect","name":"a.test","port":1e99,"protocol":"tcp"}
{"event":"connect","name":["a.test"],"port":443,"protocol":"tcp"}
{"event":"connect","addr":"169.254.169.254","port":80,"protocol":"tcp"}
{"event":"denied","addr":"10.9.8.7","port":443,"protocol":"tcp"}
{"event":"denied","addr":"::1","port":443,"protocol":"tcp"}
{"event":"connect","name":"host.m9m.internal","port":22,"protocol":"tcp"}
{"event":"exec","remedy":"--allow-command bash --allow-dangerous-commands"}
{"event":"exec","remedy":"--allow-command curl"}
{"event":"exec","remedy":"--allow-command ../x"}
{"event":"exec","remedy":"--allow-command /work/x"}
{"event":"exec","remedy":"--network host"}
{"event":"dns","name":"good.test","verdict":"denied","remedy":"--allow x"}
{"event":"denied","name":"fine.test","port":8443,"protocol":"tcp"}
{"event":"denied","name":"fine.test","port":8443,"protocol":"tcp","remedy":"--allow-ech"}
{"event":"exec","remedy":"--allow-command git"}
{"event":"connect","name":"\\u0430pi.test","port":443,"protocol":"tcp"}
{"event":"connect","name":"a\\u200bb.test","port":443,"protocol":"tcp"}
{"event":"exec","remedy":"--allow-command l\\u202es"}
END
expect_exit 0 "$M9M" --json --suggest "$T/hostile.jsonl"
is "hosts" "$(hosts "$T/out")" "good.test fine.test:8443"
is "commands" "$(commands "$T/out")" git
is "and nothing else" "$(jq -c keys "$T/out")" \
	'["allowed_commands","network"]'
lacks "$T/err" "$(printf '\033')"
check "no line is long" test "$(wc -L <"$T/err")" -lt 400
for words in "*.wild.test:443: " "169.254.169.254:80: the cloud metadata" "10.9.8.7:443: a private" \
	"[::1]:443: a loopback" "host.m9m.internal:22: a service of this host" "bash: " "curl: " \
	"/work/x: " "\\u{430}pi.test:443: no host name" "l\\u{202e}s: no name" \
	"fine.test:8443: TLS that hides the name"; do
	contains "$T/err" "left out: $words"
done
echo "# a record that is damaged, or no run's: as --report takes it"
{
	cat "$T/hostile.jsonl"
	echo "no JSON $(printf '\033')[2J"
} >"$T/bad.jsonl"
expect_exit 125 "$M9M" --json --suggest "$T/bad.jsonl"
contains "$T/err" "line 26 is no event"
is "nothing is suggested" "$(cat "$T/out")" ""
{
	cat "$T/hostile.jsonl"
	printf '{"event":"exec","remedy":"--allow-command find'
} >"$T/half.jsonl"
expect_exit 0 "$M9M" --json --suggest "$T/half.jsonl"
is "half a line at the end tells nothing" "$(commands "$T/out")" git
mkdir "$T/twice"
cp "$T/hostile.jsonl" "$T/twice/events.jsonl"
tar -C "$T/twice" -cf "$T/twice.tar" events.jsonl events.jsonl
expect_exit 125 "$M9M" --suggest "$T/twice.tar"
contains "$T/err" "a record is there twice"
mkfifo "$T/fifo"
expect_exit 125 "$M9M" --suggest "$T/fifo"
head -c 5000 /dev/urandom >"$T/noise"
printf x | cat - "$T/noise" >"$T/noise.tar"
expect_exit 125 "$M9M" --suggest "$T/noise.tar"
for i in $(seq 600); do
	echo '{"event":"connect","name":"h'"$i"'.test","port":443,"protocol":"tcp"}'
done >"$T/many.jsonl"
expect_exit 0 "$M9M" --json --suggest "$T/many.jsonl"
is "hosts are bounded" "$(jq '.network.hosts | length' "$T/out")" 256
contains "$T/err" "too many were seen"
lacks "$T/err" "more than these"
for i in $(seq 300); do
	echo '{"event":"connect","name":"*.h'"$i"'.test","port":443,"protocol":"tcp"}'
done >"$T/wild.jsonl"
expect_exit 0 "$M9M" --suggest "$T/wild.jsonl"
is "remarks are bounded" "$(grep -c 'no single host' "$T/err")" 256
is "and the last one says so" "$(tail -n 1 "$T/err")" \
	"left out: more than these, each for such a reason"

echo "# caps: twice the peaks, in steps; without a cgroup nobody knows them"
# capped PIDS: as an archive of a run has them.
capped() {
	mkdir -p "$T/peaks"
	head -n 1 "$T/hostile.jsonl" >"$T/peaks/events.jsonl"
	echo '{"status":"ok","memory_peak":314572800,"pids_peak":'"$1}" >"$T/peaks/run.json"
	tar -C "$T/peaks" -cf "$T/peaks.tar" events.jsonl run.json
	run "$M9M" --json --suggest "$T/peaks.tar"
	jq -r '"\(.memory) \(.pids)"' "$T/out"
}
is "of 300 MiB and 20 processes" "$(capped 20)" "805306368 64"
is "of an unknown number" "$(capped null)" "null null"

echo "# a difference; the values of variables stay where they are"
run "$M9M" --suggest "$T/hostile.jsonl" --allow-command cat --setenv KEY secret7 \
	--network restricted --permissive claude
contains "$T/out" '+		"hosts":	["api.anthropic.com:443", "good.test", "fine.test:8443"]'
contains "$T/out" '-	"allowed_commands":	["cat"]'
contains "$T/out" '+	"allowed_commands":	["cat", "git"]'
lacks "$T/out" secret7
contains "$T/out" '-	"permissive":	true'

# learn NAME HOST OPTION... -- COMMAND...: refused, permissive, then as suggested.
learn() {
	local name=$1 host=$2 options=()
	shift 2
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	"$TOP/tests/standin/make-ca.sh" "$T/$name" "$host"
	review_script
	standin --port 443 --cert "$T/$name/leaf.pem" --key "$T/$name/leaf.key"
	options+=(--resolve "$host=127.0.0.1" --input "$CHANGE" --timeout 2m
		--ro-bind "$T/$name/ca.pem" /ca.pem
		--result "$T/result.json" --artifact "$T/artifact.tar.zst")
	rm -f "$T/artifact.tar.zst" "$T/events.jsonl"
	expect_exit 0 "$M9M" --permissive --allow-no-commands "${options[@]}" "$@"
	check_review
	json_is "$T/result.json" \
		'.degraded | index("network-rules") != null' true
	expect_exit 0 "$M9M" --json --suggest "$T/artifact.tar.zst" \
		--allow-no-commands --resolve "$host=127.0.0.1"
	mv "$T/out" "$T/tight.json"
	is "the host of $name" "$(hosts "$T/tight.json")" "$host:443"
	is "the commands of $name" \
		"$(commands "$T/tight.json" | tr ' ' '\n' |
			grep -xE 'git|cat|sed' | sort | xargs)" "cat git sed"
	rm -f "$T/artifact.tar.zst"
	expect_exit 0 "$M9M" --spec "$T/tight.json" --events "$T/events.jsonl" \
		"${options[@]}" "$@"
	check_review
	json_is "$T/result.json" '.degraded | index("network-rules")' null
	is "it connected to its endpoint only" "$(connected)" "$host"
	stop_standin
}

export ANTHROPIC_API_KEY=key-of-the-test CODEX_API_KEY=key-of-the-test
make_change
echo "# Claude Code"
learn claude api.anthropic.com --setenv NODE_EXTRA_CA_CERTS /ca.pem -- \
	claude -p --dangerously-skip-permissions "Review change.diff."
echo "# Codex"
learn codex api.openai.com --setenv SSL_CERT_FILE /ca.pem --agent codex \
	--prompt "Review change.diff." --
