#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A service inside, reached from the host's loopback and from nowhere else:
# by ordinary clients and servers, with every kind of end, many at once.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need curl jq python3 ip
OWN=203.0.113.5
host_netns "ip addr add $OWN/32 dev lo"
v6=
! ip -6 addr show dev lo | grep -q ::1/128 || v6=1

cat >"$T/serve.py" <<'END'
import functools, http.server, socket, sys
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
    request_queue_size = 500
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=".")
server = Server((sys.argv[1], int(sys.argv[2])), handler)
print("serving", flush=True)
server.serve_forever()
END
echo "hello from inside" >"$T/page"
head -c 40000000 /dev/urandom >"$T/big"

# up OPTION... -- COMMAND...: a run in the background whose payload said a word.
up() {
	rm -f "$T/events.jsonl" "$T/result.json"
	: >"$T/up.out"
	"$M9M" -q --no-artifact --verbose --events "$T/events.jsonl" \
		--result "$T/result.json" --input "$T/serve.py" \
		--input "$T/page" --input "$T/big" "$@" >"$T/up.out" 2>"$T/up.err" &
	job=$!
	await_line "$T/up.out" . || { cat "$T/up.err"; not_ok "it serves"; }
}
down() {
	kill "$job"
	wait "$job"
}
fetch() { curl -sS -m 120 "$@" 2>&1; }

echo "# without it: the port is not there"
up -- python3 -B serve.py 0.0.0.0 8000
check "inside, the service answers nobody outside" \
	test "$(curl -s -m 5 http://127.0.0.1:8000/page; echo $?)" = 7
down

echo "# with it, and nothing else allowed"
up --publish 18000:8000 -- python3 -B serve.py 127.0.0.1 8000
is "an ordinary client's answer" "$(fetch http://127.0.0.1:18000/page)" \
	"hello from inside"
[ -z "$v6" ] || is "the same by ::1" "$(fetch "http://[::1]:18000/page")" \
	"hello from inside"
is "another address of the host: nobody listens" \
	"$(curl -s -m 5 http://$OWN:18000/page; echo $?)" 7
is "nor on the port of the service" \
	"$(curl -s -m 5 http://127.0.0.1:8000/page; echo $?)" 7
fetch http://127.0.0.1:18000/big >"$T/copy"
check "forty megabytes arrive whole" cmp "$T/big" "$T/copy"
count=$(seq 300 | xargs -P 20 -I{} curl -s -m 60 \
	http://127.0.0.1:18000/page | grep -c "hello from inside")
is "three hundred connections, more than there are inlets" "$count" 300
down
is "each is on record, inwards, with what published it" \
	"$(events connect '.direction == "in"' |
		jq -r '"\(.addr) \(.port) \(.rule) \(.verdict)"' | sort -u)" \
	"127.0.0.1 8000 publish allowed"
json_is "$T/result.json" '.network.connections[0].direction' in
check "and counted" test "$(json "$T/result.json" .network.connect_allowed)" \
	-ge 302
check "what left the sandbox is counted as out" \
	test "$(json "$T/result.json" .network.bytes_out)" -gt 40000000
check "what came in as in" \
	test "$(json "$T/result.json" .network.bytes_in)" -lt 400000

echo "# ends: half-closed, waiting, slow, broken, nobody there"
cat >"$T/ends.py" <<'END'
import socket, sys, threading
HOST = sys.argv[1]
def echo(c):  # all of it, and only then the answer
    data = b""
    while got := c.recv(65536):
        data += got
    c.sendall(b"%d" % len(data))
    c.close()
def slow(c):  # says its end first, reads afterwards
    c.sendall(b"bye")
    c.shutdown(socket.SHUT_WR)
    n = 0
    event.wait(60)
    while got := c.recv(65536):
        n += len(got)
    print("slow", n, flush=True)
def hold(c):  # until so many are there at once
    with lock:
        held.append(c)
        if len(held) == 120:
            for h in held:
                h.sendall(b"x")
                h.close()
            held.clear()
def go(c):
    event.set()
    c.close()
event, lock, held = threading.Event(), threading.Lock(), []
def listen(port, work):
    family = socket.AF_INET6 if ":" in HOST else socket.AF_INET
    s = socket.create_server((HOST, port), family=family, backlog=500)
    while True:
        c, _ = s.accept()
        threading.Thread(target=work, args=(c,), daemon=True).start()
for port, work in (1, echo), (2, slow), (3, hold), (4, go):
    threading.Thread(target=listen, args=(8000 + port, work), daemon=True).start()
print("serving", flush=True)
threading.Event().wait()
END
cat >"$T/client.py" <<'END'
import socket, struct, sys
def to(port):
    return socket.create_connection(("127.0.0.1", port), 60)
def told(s, close=False):
    try:
        got = s.recv(100)
    except ConnectionResetError:
        got = "reset"
    if close:
        s.close()
    return got
def many():
    clients = [to(18003) for _ in range(240)]
    print("many", sum(told(s, True) == b"x" for s in clients))
if sys.argv[1:] == ["many"]:
    sys.exit(many())
s = to(18001)
s.sendall(b"x" * 1000000)
s.shutdown(socket.SHUT_WR)
print("half-closed", told(s))
s = to(18002)
s.sendall(b"y" * 300000)
s.shutdown(socket.SHUT_WR)
print("slow", told(s), told(s))
s.close()
to(18004)
many()
s = to(18001)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()
try:  # a reset may be faster than the kernel's word that we are connected
    print("nobody", told(to(18005)))
except ConnectionResetError:
    print("nobody", "reset")
s = to(18001)
s.shutdown(socket.SHUT_WR)
print("and goes on", told(s))
END
up --publish 18001:8001 --publish 18002:8002 --publish 18003:8003 \
	--publish 18004:8004 --publish 18005:8005 --input "$T/ends.py" \
	-- python3 -B ends.py 127.0.0.1
run python3 -B "$T/client.py"
[ "$rc" = 0 ] || show_output
contains "$T/out" "half-closed b'1000000'"
contains "$T/out" "slow b'bye' b''"
contains "$T/out" "many 240"
contains "$T/out" "nobody reset"
contains "$T/out" "and goes on b'0'"
await_line "$T/up.out" "slow 300000" || show_output
contains "$T/up.out" "slow 300000"
down
is "what nobody listens for is told as failed" \
	"$(events connect '.port == 8005' | jq -r .error)" "Connection refused"

echo "# a service that listens on ::1 only"
if [ -n "$v6" ]; then
	up --publish 18000:8000 -- python3 -B serve.py ::1 8000
	is "is found there" "$(fetch http://127.0.0.1:18000/page)" \
		"hello from inside"
	down
	up --publish 18003:8003 --publish 18004:8004 --input "$T/ends.py" \
		-- python3 -B ends.py ::1
	run python3 -B "$T/client.py" many
	contains "$T/out" "many 240"
	down
fi

echo "# beside an allow-list, which it does not widen"
up --allow "$OWN:80" --publish 8000 -- sh -c '
	curl -sS -m 5 http://evil.test/ 2>&1
	python3 -c "import socket
try: socket.getaddrinfo(\"evil.test\", 80)
except OSError as e: print(e.errno == socket.EAI_AGAIN)"
	ls /proc/self/fd | wc -l
	exec python3 -B serve.py 0.0.0.0 8000'
await_line "$T/up.out" serving
is "reached under the same number" "$(fetch http://127.0.0.1:8000/page)" \
	"hello from inside"
contains "$T/up.out" "Could not resolve host"
contains "$T/up.out" True
is "the payload holds its three descriptors, and ls its folder" \
	"$(grep -cx 4 "$T/up.out")" 1
down

echo "# what cannot be had is said before the start"
serve python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 18000))
print("ready", flush=True)
s.accept()'
run "$M9M" --no-artifact --publish 18000:80 touch /work/ran
is "a port that is taken: exit 125" "$rc" 125
contains "$T/err" "cannot publish port 80 as port 18000 of the host's loopback"
contains "$T/err" "choose another, --publish HOSTPORT:80"
if [ -n "$v6" ]; then
	serve python3 -c 'import socket
s = socket.create_server(("::1", 18002), family=socket.AF_INET6)
print("ready", flush=True)
s.accept()'
	run "$M9M" --no-artifact --publish 18002:80 true
	is "one that is taken on ::1 alone: exit 125" "$rc" 125
	contains "$T/err" "choose another, --publish HOSTPORT:80"
fi
run "$M9M" --no-artifact --allow a.test:8000 --publish 18001:8000 true
is "a port that is allowed outwards: exit 125" "$rc" 125
contains "$T/err" "the sandbox's own way out listens there"
run "$M9M" --no-artifact --publish 18001:53 true
is "the name service's port: exit 125" "$rc" 125
run "$M9M" --no-artifact --network host --publish 18001:80 true
is "the host's network: exit 125" "$rc" 125
contains "$T/err" "its ports are the host's already"
run "$M9M" --publish 18001:80 --explain true
contains "$T/out" "publish port 80 inside as port 18001 of the host's loopback"
