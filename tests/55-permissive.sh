#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --permissive: what no rule allows is let through and recorded with the rule
# that it needs; what must stay closed does: addresses of the host, its
# neighbours and its metadata service, files, calls.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need jq python3 ip
OWN=203.0.113.5 METADATA=169.254.169.254 PRIVATE=10.9.8.7 FAR=198.51.100.7
host_netns "ip addr add $OWN/32 dev lo" "ip addr add $METADATA/32 dev lo" \
	"ip addr add $PRIVATE/32 dev lo" "ip route add unreachable $FAR/32"

serve python3 "$TOP/tests/standin/greeter.py" 80 443 9000
cat >"$T/client.py" <<'END'
import socket, sys
def ask(name):  # past the sandbox's own /etc/hosts
    words = b"".join(bytes([len(w)]) + w.encode() for w in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.sendto(b"\0\1\1\0\0\1" + bytes(6) + words + b"\0\0\1\0\1",
                 ("198.18.0.1", 53))
        return socket.inet_ntoa(s.recv(512)[-4:])
for place in sys.argv[1:]:
    host, port = place.rsplit(":", 1)
    try:
        host = ask(host[4:]) if host.startswith("dns:") else host
        with socket.create_connection((host, port), 20) as s:
            print("open" if s.recv(2) == b"hi" else "closed")
    except OSError:
        print("closed")
END
closed=(127.0.0.1:443 "$OWN:443" "$PRIVATE:443" "$METADATA:80"
	host.m9m.internal:443 localhost:443 dns:localhost:443)
cat >"$T/task" <<'END'
python3 /client.py "$@"
id -u >/dev/null && echo ran
cat /etc/shadow /root/.bashrc 2>/dev/null || echo "no files"
END

echo "# without a sandbox all of it is open"
is "the servers answer" \
	"$(python3 "$T/client.py" 127.0.0.1:443 "$OWN:443" "$PRIVATE:443" \
		"$METADATA:80" | sort -u)" open

echo "# a policy that denies all"
policy=(--resolve "a.test=127.0.0.1" --resolve "b.test=127.0.0.1"
	--allow-command python3 --allow-dangerous-commands
	--ro-bind "$T/client.py" /client.py
	--events "$T/events.jsonl" --result "$T/result.json" --no-artifact -q)
task=(sh -c "$(cat "$T/task")" sh a.test:443 b.test:9000 "$FAR:443"
	"${closed[@]}")
run "$M9M" "${policy[@]}" "${task[@]}"
is "nothing is open, nothing else runs" "$(sort -u "$T/out" | xargs)" "closed no files"
rm -f "$T/events.jsonl"

echo "# and permissive"
expect_exit 0 "$M9M" --permissive "${policy[@]}" "${task[@]}"
is "open: the name at a usual port, and what is not on the list" \
	"$(xargs <"$T/out")" \
	"open $(yes closed | head -n $((2 + ${#closed[@]})) | xargs) ran no files"
is "recorded: the rule that each needs" \
	"$(events connect | jq -r '[.rule, .verdict, .remedy] | join(" ")' |
		sort | paste -sd ,)" \
	"permissive allowed --allow $FAR:443,permissive allowed --allow a.test:443"
is "a question for a name, too" \
	"$(events dns '.name == "a.test"' | jq -r .remedy | sort -u)" \
	"--allow a.test"
is "an address of the host, a neighbour, metadata: denied" \
	"$(events denied '.addr' | jq -r .addr | sort -u | xargs)" \
	"$PRIVATE 127.0.0.1 $METADATA $OWN"
matches "$T/events.jsonl" \
	'the name leads to (127.0.0.1|::1), a loopback address'
is "a name at a port that nobody observes" \
	"$(events denied '.name == "b.test"' | jq -r .remedy | sort -u)" \
	"--allow b.test:9000"
is "a command that is not on the list" \
	"$(events exec '.path | endswith("/id")' | jq -r '.verdict, .remedy' |
		xargs)" "allowed --allow-command id"
is "one that is" \
	"$(events exec '.path | endswith("/python3")' |
		jq -r '.verdict, .remedy' | xargs)" "allowed null"
json_is "$T/result.json" '.degraded | map(select(. != "cgroup" and
	. != "landlock")) | join(" ")' "network-rules commands"
json_is "$T/result.json" '.warnings | map(select(startswith("permissive"))) |
	length' 1
run python3 "$TOP/tests/schema.py" "$TOP/schema/event.schema.json" \
	"$T/events.jsonl"
is "the events are as the schema has them" "$rc" 0

echo "# beforehand"
run "$M9M" --permissive --allow-command cat --explain sh
contains "$T/out" "let through and record everything else on ports 22 80 443"
matches "$T/out" '^degraded +network-rules$'
run "$M9M" --permissive --json --why "$METADATA:80" sh
is "--why: metadata is closed" "$rc" 1
run "$M9M" --permissive --json --why "$OWN:443" sh
is "--why: the host is closed" "$rc" 1
run "$M9M" --permissive --json --why example.org:443 sh
json_is "$T/out" '[.verdict, .rule, .remedy] | join(" ")' \
	"allowed permissive --allow example.org:443"

echo "# what makes no sense"
expect_exit 125 "$M9M" --permissive --network host true
contains "$T/err" "conflicts with network mode host"
expect_exit 125 "$M9M" --permissive --network deny true
contains "$T/err" "conflicts with network mode deny"
echo '{"network": "deny", "command": ["true"]}' >"$T/deny.json"
expect_exit 125 "$M9M" --permissive --spec "$T/deny.json"
contains "$T/err" "say --network allow"
expect_exit 0 "$M9M" --permissive --spec "$T/deny.json" --network allow
echo '{"network": "allow", "permissive": true}' >"$T/open.json"
expect_exit 125 "$M9M" --spec "$T/open.json" --network deny true
expect_exit 125 "$M9M" --permissive --allow a.test --proxy http://p:1 true
contains "$T/err" "conflicts with network.proxy"
