#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Specs that are run, not only read: from a file, from stdin, an m9m node object
# as it stands, with each form of `network`; a bad one makes nothing.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need curl jq openssl python3 unshare
host_netns

API=api.anthropic.com
"$TOP/tests/standin/make-ca.sh" "$T/ca" $API
echo '{"text": "hello"}' >"$T/script.json"
serve python3 "$TOP/tests/standin/server.py" --port 443 --log "$T/log" \
	--cert "$T/ca/leaf.pem" --key "$T/ca/leaf.key" --script "$T/script.json"
serve python3 "$TOP/tests/standin/server.py" --log "$T/plain.log" \
	--script "$T/script.json"
port=$(sed -n 's/^ready //p' "$served_log")

# What a payload can reach, a line for each attempt.
cat >"$T/reach.py" <<'END'
import os, socket, sys

print("user", os.getuid() != 0, "net", os.readlink("/proc/self/ns/net"))
for arg in sys.argv[1:]:
    host, port = arg.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 30).close()
        print(host, port, "connected")
    except socket.gaierror as e:
        print(host, port, "EAI_AGAIN" if e.errno == socket.EAI_AGAIN else e)
    except OSError as e:
        print(host, port, os.strerror(e.errno) if e.errno else e)
END
said() { paste -sd ';' "$T/out" | sed 's/^[^;]*;//'; }

# node NETWORK [PARAMS]: a node object in $T/spec.json.
node() {
	jq -n --argjson network "$1" --argjson more "${2:-{\}}" \
		--arg reach "$T/reach.py" --arg port "$port" --arg api $API '{
		id: "review", type: "cli.claude-code",
		params: ({
			sandbox: true,
			command: ["python3", "/work/reach.py", ($api + ":443"),
				"example.com:443", ($api + ":80"),
				("host.m9m.internal:" + $port)],
			inputs: [$reach], artifact: false, network: $network,
			result: "result.json"
		} + $more)}' >"$T/spec.json"
}
node_run() { expect_exit 0 "$M9M" -q --spec "$T/spec.json"; }

echo "# deny, as a string and by default"
all_denied="$API 443 EAI_AGAIN;example.com 443 EAI_AGAIN;$API 80 EAI_AGAIN;\
host.m9m.internal $port EAI_AGAIN"
node '"deny"'
node_run
is "nothing is reached" "$(said)" "$all_denied"
json_is "$T/result.json" '.id + " " + .agent' "review claude"
node '{"mode": "deny"}'
node_run
is "the same as an object" "$(said)" "$all_denied"
node null
jq 'del(.params.network)' "$T/spec.json" >"$T/spec2.json"
expect_exit 0 "$M9M" -q --spec "$T/spec2.json"
is "and without a word of it" "$(said)" "$all_denied"

echo "# restricted: the profile's own hosts"
node '"restricted"'
node_run
is "the endpoint has an address, the others have none" \
	"$(said | sed 's/443 [^;]*/443 .../')" \
	"$API 443 ...;example.com 443 EAI_AGAIN;$API 80 Connection refused;\
host.m9m.internal $port EAI_AGAIN"
node "{\"mode\": \"restricted\", \"resolve\": {\"$API\": \"127.0.0.1\"}}" \
	"$(jq -n --arg ca "$T/ca/ca.pem" --arg api $API '{command: ["curl",
		"-sS", "-o", "/dev/null", "-w", "%{ssl_verify_result}",
		"--cacert", "/ca.pem", "https://" + $api + "/"],
		mounts: [{source: $ca, destination: "/ca.pem"}]}')"
node_run
is "it is reached over TLS, under its name" "$(cat "$T/out")" 0
json_is "$T/result.json" '.network.connections[0].name // .connections[0].name' \
	$API
expect_exit 125 "$M9M" --network restricted --agent none true
contains "$T/err" "restricted"

echo "# allow: hosts, ports, the host's own"
node "{\"mode\": \"allow\", \"hosts\": [\"$API\"], \"host_ports\": [$port],
	\"resolve\": {\"$API\": \"127.0.0.1\"}}"
node_run
is "what is named, and no more" "$(said)" \
	"$API 443 connected;example.com 443 EAI_AGAIN;\
$API 80 Connection refused;host.m9m.internal $port connected"
node '{"mode": "allow", "hosts": []}'
node_run
is "an empty list is nothing" "$(said)" "$all_denied"

echo "# host: shared, warned of, recorded"
node '"host"'
node_run
contains "$T/out" "net $(readlink /proc/self/ns/net)"
check "warned" test "$(jq '.warnings | length' "$T/result.json")" -gt 0
is "and recorded" "$(jq -c '[.degraded[], .warnings[]] | tostring |
	test("network")' "$T/result.json")" true
is "others have one of their own" \
	"$("$M9M" -q --no-artifact readlink /proc/self/ns/net |
		grep -c "$(readlink /proc/self/ns/net | tr -dc 0-9)")" 0

echo "# from stdin"
spec='{"command": ["sh", "-c", "cat; echo $0", "from the spec"]}'
expect_exit 0 sh -c 'printf %s "$1" | "$2" -q --no-artifact --spec -' - \
	"$spec" "$M9M"
is "it is run, and its stdin is at its end" "$(cat "$T/out")" "from the spec"
expect_exit 0 sh -c 'printf %s "$1" | "$2" -q --no-artifact --spec - --id flag \
	--result-fd 3 -- echo from the flags 3>"$3"' - "$spec" "$M9M" "$T/fd.json"
is "flags win" "$(cat "$T/out") $(json "$T/fd.json" .id)" "from the flags flag"
expect_exit 0 sh -c 'printf %s "$1" | "$2" -q --no-artifact --spec -' - \
	'{"prompt": "the prompt", "command": ["cat"]}' "$M9M"
is "a prompt is stdin all the same" "$(cat "$T/out")" "the prompt"
echo here >"$T/relative"
expect_exit 0 sh -c 'cd "$3" && printf %s "$1" | "$2" -q --no-artifact --spec -' \
	- '{"command": ["cat", "relative"], "inputs": ["relative"]}' "$M9M" "$T"
is "its paths are against the current folder" "$(cat "$T/out")" here

echo "# what is only told makes nothing"
rm -rf "${XDG_STATE_HOME:?}"/*
made() { find "$T" ! -path "$T/out" ! -path "$T/err" | sort; }
options=(--network allow --allow "$API" --host-port "$port" --publish 18002:80
	--project-mode overlay --project "$T/ca" --input "$T/reach.py"
	--artifact "$T/new/a.tar" --events "$T/new.jsonl" --result "$T/new.json"
	--metrics-dir "$T/metrics" --output-file "x:$T/new.x" --pass-env PLANTED
	--setenv SET set-secret)
before=$(made)
for action in --explain --print-spec --list-agents --help --version \
	"--why $API:443"; do
	# shellcheck disable=SC2086  # words
	PLANTED=planted-secret run "$M9M" "${options[@]}" $action true
	is "$action: exit 0" "$rc" 0
	[ "$rc" = 0 ] || show_output
	is "$action: nothing is made" "$(made)" "$before"
	lacks "$T/out" -secret
done

echo "# what is bad makes nothing"
node '"deny"' '{"sandbox": false}'
expect_exit 125 "$M9M" --spec "$T/spec.json"
contains "$T/err" "spec.json: \$.params.sandbox:"
for network in '"*"' '{"mode": "allow", "hosts": ["*"]}' \
	'{"hsots": ["a.test"]}' '["a.test"]' '{"mode": "deny", "hosts": ["a.test"]}' \
	'{"mode": "allow", "hosts": ["0.0.0.0/0"]}' '17'; do
	node "$network" '{"artifact": "never.tar", "events": "never.jsonl"}'
	rm -f "$T/result.json"
	expect_exit 125 "$M9M" --spec "$T/spec.json"
	contains "$T/err" "spec.json: \$.params.network"
	lacks "$T/out" user
done
node '"deny"' '{"unknown": 1, "timeout": "5 parsecs", "inputs": 3}'
expect_exit 125 "$M9M" --spec "$T/spec.json"
is "each problem has a line" "$(grep -c 'spec.json: \$.params' "$T/err")" 3
expect_exit 125 "$M9M" --spec "$T/none.json"
is "nothing was made" \
	"$(find "$XDG_STATE_HOME" "$T" -path "$XDG_STATE_HOME/*" -o -name 'never*' \
		-o -name result.json)" ""
