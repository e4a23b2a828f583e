#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A published port is a way for the host to what the payload is: one that is
# hostile must get no way out by it, nobody else's bytes, no place that others
# need; and another user of the host must not get between.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"

need curl jq python3 ip
OWN=203.0.113.5
host_netns "ip addr add $OWN/32 dev lo"

# up OPTION... -- COMMAND...: a run in the background whose payload said a word.
up() {
	rm -f "$T/result.json"
	: >"$T/up.out"
	"$M9M" -q --no-artifact --result "$T/result.json" "$@" >"$T/up.out" \
		2>"$T/up.err" &
	job=$!
	await_line "$T/up.out" . || { cat "$T/up.err"; not_ok "it serves"; }
}
down() {
	kill "$job"
	wait "$job"
}

cat >"$T/world.py" <<'END'
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the world")
    def log_message(self, *args):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 500
server = Server(("127.0.0.1", 80), Handler)
print("ready", flush=True)
server.serve_forever()
END
serve python3 "$T/world.py"

echo "# the host's port: by its loopback only, and nobody else's"
cat >"$T/steal.py" <<'END'
import socket, sys
for family, addr in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"),
                     (socket.AF_INET6, "::1"), (socket.AF_INET6, "::")):
    for options in (), ("SO_REUSEADDR",), ("SO_REUSEPORT",), \
            ("SO_REUSEADDR", "SO_REUSEPORT"):
        try:
            s = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue  # no IPv6 here
        for option in options:
            s.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
        try:
            s.bind((addr, 18000))
            s.listen()
            print("stolen", addr, *options)
        except OSError as e:
            print("not", e.strerror)
        s.close()
END
steal=(python3 "$T/steal.py")
! is_root || steal=(setpriv --reuid 65534 --regid 65534 --clear-groups
	"${steal[@]}")
chmod 755 "$T"
# Such a listener can be had by whoever asks the same way.
serve python3 -c 'import socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(("127.0.0.1", 18000))
s.listen()
print("ready", flush=True)
s.accept()'
check "a port can be taken from under a listener" \
	grep -q "stolen 127.0.0.1 SO_REUSEPORT" <(python3 "$T/steal.py")
kill "$served"
wait "$served" 2>/dev/null
check "and is there for the taking otherwise" \
	grep -q "stolen 0.0.0.0" <("${steal[@]}")

up --publish 18000:8000 -- python3 -B -c 'import socket
s = socket.create_server(("0.0.0.0", 8000))
print("serving", flush=True)
while True:
    s.accept()[0].sendall(b"inside")'
run "${steal[@]}"
lacks "$T/out" stolen
contains "$T/out" "not Address already in use"
is "listeners on the host: of its loopback, all" \
	"$(cat /proc/self/net/tcp /proc/self/net/tcp6 2>/dev/null |
		awk '$4 == "0A" && $2 ~ /:4650$/ { print $2 }' |
		grep -vcE '^(0100007F|0{24}01000000):4650$')" 0
is "another address of the host: refused" \
	"$(curl -s -m 5 "http://$OWN:18000/"; echo $?)" 7
down
check "the port is free afterwards" \
	grep -q "stolen 127.0.0.1" <("${steal[@]}")

echo "# half of the port taken before: that is no start"
if [ -e /proc/net/tcp6 ] && ip -6 addr show dev lo | grep -q ::1/128; then
	serve python3 -c 'import socket
s = socket.create_server(("::1", 18000), family=socket.AF_INET6)
print("ready", flush=True)
s.accept()'
	run "$M9M" --no-artifact --publish 18000:8000 true
	is "by ::1, where localhost may lead: exit 125" "$rc" 125
	kill "$served"
	wait "$served" 2>/dev/null
fi

echo "# no way out by it"
cat >"$T/out.py" <<'END'
import socket, sys, threading
def reach(host, port):
    try:
        s = socket.create_connection((host, port), 5)
        s.sendall(b"GET / HTTP/1.0\r\nHost: " + host.encode() + b"\r\n\r\n")
        return s.recv(100)[:12].decode()
    except OSError as e:
        return type(e).__name__
def tries():
    return [f"{h}:{p} {reach(h, p)}" for h in
            ("127.0.0.1", "203.0.113.5", "host.m9m.internal")
            for p in (80, 18000)]
def serve():
    listener = socket.create_server(("0.0.0.0", 8000))
    print("serving", flush=True)
    client, _ = listener.accept()
    # While somebody of the host's is here, and from the socket itself.
    lines = tries()
    try:
        client.connect(("203.0.113.5", 80))
        lines.append("reached by its own socket")
    except OSError as e:
        lines.append("own " + type(e).__name__)
    client.sendall("\n".join(lines).encode())
    client.close()
if sys.argv[1:]:
    serve()
else:
    print("\n".join(tries()))
END
run python3 -B "$T/out.py"
contains "$T/out" "127.0.0.1:80 HTTP"
for mode in "" "--allow good.test:443"; do
	# shellcheck disable=SC2086 # words
	up $mode --publish 18000:8000 --input "$T/out.py" -- python3 -B out.py x
	curl -s -m 60 --http0.9 http://127.0.0.1:18000/ >"$T/tries" 2>&1
	is "each way but its own loopback was tried: '$mode'" \
		"$(grep -c . "$T/tries")" 7
	lacks "$T/tries" HTTP
	lacks "$T/tries" reached
	down
done

echo "# bytes of one client are never another's"
cat >"$T/late.py" <<'END'
import itertools, socket, threading
def talk(c):  # goes on when its client is gone, by the same inlet
    token = c.recv(8)
    try:
        for _ in itertools.repeat(None, 2000):
            c.sendall(token * 64)
    except OSError:
        pass
def early(c):  # before a word was said
    c.sendall(b"early ")
    talk(c)
def listen(port, work):
    s = socket.create_server(("127.0.0.1", port), backlog=500)
    while True:
        threading.Thread(target=work, args=(s.accept()[0],), daemon=True).start()
threading.Thread(target=listen, args=(8001, early), daemon=True).start()
print("serving", flush=True)
listen(8000, talk)
END
cat >"$T/clients.py" <<'END'
import socket
wrong = got = 0
for i in range(400):
    token = b"<%06d>" % i
    s = socket.create_connection(("127.0.0.1", 18000 + i % 2), 20)
    if i % 2:
        assert s.recv(6, socket.MSG_WAITALL) == b"early "
    s.sendall(token)
    data = s.recv(1 << 16)
    while len(data) % 8:
        data += s.recv(8 - len(data) % 8)
    got += len(data) > 0
    wrong += data != token * (len(data) // 8)
    s.close()  # with much on its way
print("got", got, "wrong", wrong)
END
up --publish 18000:8000 --publish 18001:8001 --input "$T/late.py" \
	-- python3 -B late.py
run python3 -B "$T/clients.py"
[ "$rc" = 0 ] || show_output
is "four hundred clients, one after another" "$(cat "$T/out")" "got 400 wrong 0"
down

echo "# what it does at one port holds up no other, and no way out"
cat >"$T/hostile.py" <<'END'
import socket, struct, sys, threading, urllib.request
kept = []
def fetch():
    try:
        return urllib.request.urlopen("http://good.test/", timeout=60).read()
    except OSError as e:
        return repr(e).encode()
def mute(c):  # takes an inlet, and never says a word
    kept.append(c)
    if len(kept) == 128:  # all of them
        print("meanwhile", fetch().decode(), flush=True)
def storm(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
def pour(c):  # to who does not read
    kept.append(c)
    def more():
        try:
            while True:
                c.sendall(bytes(1 << 16))
        except OSError:
            pass
    threading.Thread(target=more, daemon=True).start()
def ask(c):  # fetches a page of the world for who comes
    c.recv(1)
    c.sendall(fetch())
    c.close()
def listen(port, work):
    s = socket.create_server(("127.0.0.1", port), backlog=500)
    while True:
        work(s.accept()[0])
full = socket.create_server(("127.0.0.1", 8003), backlog=0)
filler = socket.create_connection(("127.0.0.1", 8003))
for port, work in (8000, mute), (8001, storm), (8002, pour):
    threading.Thread(target=listen, args=(port, work), daemon=True).start()
print("serving", flush=True)
listen(8004, ask)
END
cat >"$T/flood.py" <<'END'
import socket, sys
port, n = int(sys.argv[1]), int(sys.argv[2])
clients = []
for _ in range(n):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("127.0.0.1", port))
    clients.append(s)
print("flooding", flush=True)
sys.stdin.read()
END
cat >"$T/visit.py" <<'END'
import socket
for _ in range(10):
    s = socket.create_connection(("127.0.0.1", 18004), 30)
    s.sendall(b"x")
    assert s.recv(100) == b"the world"
    s.close()
print("served")
END
# flood PORT N: so many come there, till `calm`.
flood() {
	rm -f "$T/hold" && mkfifo "$T/hold"
	: >"$T/flood.out"
	python3 "$T/flood.py" "$1" "$2" <"$T/hold" >"$T/flood.out" &
	flood=$!
	exec 3>"$T/hold"
	await_line "$T/flood.out" flooding
}
calm() {
	exec 3>&-
	wait "$flood"
}

while read -r port n what; do
	up --allow good.test:80 --resolve good.test=127.0.0.1 \
		--publish "$port:$((port - 10000))" --publish 18004:8004 \
		--input "$T/hostile.py" -- python3 -B hostile.py
	flood "$port" "$n"
	run python3 -B "$T/visit.py"
	is "$what: ten others come and are served" "$(cat "$T/out")" served
	[ "$rc" = 0 ] || show_output
	calm
	down
	json_is "$T/result.json" .status killed
done <<'END'
18000 100 it never says a word
18001 400 it resets whoever comes
18002 100 it sends to those who do not read
18003 100 it answers no packet
END

echo "# all inlets taken: who comes waits, what goes out does not"
up --allow good.test:80 --resolve good.test=127.0.0.1 --publish 18000:8000 \
	--publish 18004:8004 --input "$T/hostile.py" -- python3 -B hostile.py
flood 18000 200
check "all are taken, and a page of the world is there" \
	await_line "$T/up.out" "^meanwhile the world"
calm
down
json_is "$T/result.json" .status killed

# Root's relay takes more.
if ! is_root; then
	echo "# few descriptors, and most of them inlets: who comes waits"
	cat >"$T/many.py" <<'END'
import threading, urllib.request
served = []
def fetch():
    page = urllib.request.urlopen("http://good.test/", timeout=60).read()
    served.append(page == b"the world")
threads = [threading.Thread(target=fetch) for _ in range(80)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print("served", sum(served))
END
	run bash -c 'ulimit -n 320; exec "$@"' - "$M9M" -q --no-artifact \
		--publish 18000:8000 --allow good.test:80 \
		--resolve good.test=127.0.0.1 --input "$T/many.py" \
		-- python3 -B many.py
	contains "$T/out" "served 80"
fi
