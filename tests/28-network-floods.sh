#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One inside floods the relay with questions, with attempts to connect, with
# connections that it does not read: another one is served all the while.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq python3
host_netns

# It answers by one loop: what a flood that is let through costs is not its to
# be slow about.
cat >"$T/world.py" <<'END'
import select, socket, threading
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
def pour(c):
    try:
        while True:
            c.sendall(bytes(1 << 16))
    except OSError:
        pass
def fountain():
    s = socket.create_server(("127.0.0.1", 9000), backlog=500)
    while True:
        c, _ = s.accept()
        threading.Thread(target=pour, args=(c,), daemon=True).start()
threading.Thread(target=fountain, daemon=True).start()
web = socket.create_server(("127.0.0.1", 80), backlog=4096)
poll = select.epoll()
poll.register(web, select.EPOLLIN)
clients = {}
print("ready", flush=True)
while True:
    for fd, _ in poll.poll():
        if fd == web.fileno():
            c, _ = web.accept()
            clients[c.fileno()] = c
            poll.register(c, select.EPOLLIN)
            continue
        try:
            asked = clients[fd].recv(4096)
            if asked:
                clients[fd].sendall(ANSWER)
        except OSError:
            asked = b""
        if not asked:
            clients.pop(fd).close()
END
serve python3 "$T/world.py"

# flood.py KIND: makes it till its input ends, and says when it has begun.
# fetch.py: how long thirty took.
cat >"$T/flood.py" <<'END'
import collections, itertools, socket, sys, threading
def names(sockets):
    asking = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
              for _ in range(sockets)]
    for i in itertools.count():
        label = b"n%d" % i
        question = (b"\0\1\1\0\0\1\0\0\0\0\0\0" + bytes([len(label)]) + label +
                    b"\4evil\4test\0\0\1\0\1")
        try:
            asking[i % sockets].sendto(question, ("198.18.0.1", 53))
        except OSError:
            pass
        yield
def attempts(host, port):
    for i in itertools.count():
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((host, port or 1024 + i % 60000))
        s.close()
        yield
def held():
    kept = [socket.create_connection(("good.test", 9000), 60)
            for _ in range(60)]
    while True:
        yield
        threading.Event().wait()
address = socket.gethostbyname("good.test")
flood = {"dns": names(1), "askers": names(500),
         "syn": attempts(address, 80), "ports": attempts("203.0.113.9", 0),
         "slow": held()}[sys.argv[1]]
next(flood)
print("flooding", flush=True)
threading.Thread(target=collections.deque, args=(flood, 0), daemon=True).start()
sys.stdin.read()
END
cat >"$T/fetch.py" <<'END'
import time, urllib.request
took = []
for _ in range(30):
    begin = time.monotonic()
    assert urllib.request.urlopen("http://good.test/", timeout=60).read() == b"hello"
    took.append(time.monotonic() - begin)
print("served", sorted(took)[15] < 5)
END
cat >"$T/both.sh" <<'END'
mkfifo hold begun
python3 -B flood.py "$1" <hold >begun &
exec 3>hold
head -n 1 begun
python3 -B fetch.py
END

for kind in dns askers syn ports slow; do
	rm -f "$T/events.jsonl"
	run "$M9M" -q --no-artifact --events "$T/events.jsonl" \
		--result "$T/result.json" --allow good.test:80 \
		--allow good.test:9000 --resolve good.test=127.0.0.1 \
		--input "$T/flood.py" --input "$T/fetch.py" --input "$T/both.sh" \
		-- sh both.sh "$kind"
	is "$kind: thirty pages for another one: exit 0" "$rc" 0
	contains "$T/out" "served True"
	[ "$rc" = 0 ] || show_output
	contains "$T/out" flooding
	json_is "$T/result.json" .status ok
	[ "$kind" != dns ] || is "the flood is on record, as one" \
		"$(events limit '.reason | test("from one socket")' | wc -l)" 1
	json_is "$T/result.json" '[.network.connections[] | select(.port == 80) |
		.count - .failed] | add >= 30' true
	# Where all of it takes so long that a run may have no more events, the
	# result alone has them.
	[ -n "$(events limit '.what == "events"')" ] ||
		is "$kind: each page is on record" \
			"$(events connect '.port == 80 and .verdict == "allowed" and
				.error == null' | wc -l |
				awk '{ print ($1 >= 30) }')" 1
done
is "and so are those that were not read" \
	"$(events connect '.port == 9000' | wc -l | awk '{ print ($1 >= 30) }')" 1

echo "# its relay killed: the run ends, nothing opens"
cat >"$T/after.py" <<'END'
import socket, sys, time
print("ready", flush=True)
s = socket.create_connection(("good.test", 9000), 10)
while s.recv(1 << 16):
    pass
END
: >"$T/late.out"
"$M9M" -q --no-artifact --result "$T/result.json" --allow good.test:9000 \
	--resolve good.test=127.0.0.1 --input "$T/after.py" \
	-- python3 -B after.py >"$T/late.out" 2>&1 &
job=$!
await_line "$T/late.out" ready
kill -KILL "$(pgrep -P "$job" -f "network relay")"
rc=0
wait "$job" || rc=$?
is "exit 125" "$rc" 125
contains "$T/late.out" "the network relay died"
json_is "$T/result.json" .status error
