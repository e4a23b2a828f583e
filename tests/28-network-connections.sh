#!/bin/bash
# SPDX-License-Identifier: MIT
#
# How many connections one relay holds, and in how much memory: ten thousand
# where it may have the descriptors, two for each; beyond what it can hold new
# ones wait, and it says so.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq python3
many=10000
# Root may have more than it was given, or not (in a container).
(ulimit -Hn 32768) 2>/dev/null && ulimit -Hn 32768
hard=$(ulimit -Hn)
if [ "$hard" != unlimited ] && [ "$hard" -lt 22000 ]; then
	many=$(((hard - hard / 10 - 100) / 2))
	ulimit -n "$hard"
else
	ulimit -n 22000
fi
sanitized && many=500
host_netns "{ echo 4096 >/proc/sys/net/core/somaxconn || true; }"

cat >"$T/echo.py" <<'END'
import select, socket
s = socket.create_server(("127.0.0.1", 7000), backlog=4096)
s.setblocking(False)
poll = select.epoll()
poll.register(s, select.EPOLLIN)
clients = {}
print("ready", flush=True)
while True:
    for fd, _ in poll.poll():
        if fd == s.fileno():
            c, _ = s.accept()
            clients[c.fileno()] = c
            poll.register(c, select.EPOLLIN)
            continue
        try:
            word = clients[fd].recv(16)
            clients[fd].send(word)
        except OSError:
            word = b""
        if not word:
            clients.pop(fd).close()
END
# open.py COUNT: opens them all, then says a word in each and hears it.
cat >"$T/open.py" <<'END'
import socket, sys, time
begin = time.monotonic()
address = socket.gethostbyname("good.test")
kept = []
for i in range(int(sys.argv[1])):
    s = socket.socket()
    s.settimeout(120)
    s.connect((address, 7000))
    kept.append(s)
for round in range(2):
    for i, s in enumerate(kept):
        s.sendall(b"%d" % (i + round))
    heard = sum(s.recv(16) == b"%d" % (i + round) for i, s in enumerate(kept))
print("heard", heard, "after %.1f s" % (time.monotonic() - begin), flush=True)
sys.stdin.read()
END
serve python3 -B "$T/echo.py"

# hold COUNT: a run with that many connections, in the background.
hold() {
	rm -f "$T/hold" "$T/events.jsonl"
	mkfifo "$T/hold"
	exec 9<>"$T/hold"
	: >"$T/held"
	"$M9M" -q --no-artifact --files $((many + 500)) \
		--events "$T/events.jsonl" --allow good.test:7000 \
		--resolve good.test=127.0.0.1 --input "$T/open.py" -- sh -c \
		'echo up; read -r _; exec python3 -B open.py "$0"' "$1" \
		<"$T/hold" 9>&- >"$T/held" 2>&1 &
	job=$!
	await_line "$T/held" up 60
	[ -n "$(jobs -r)" ] || { cat "$T/held"; exit 1; }
	relay=$(pgrep -P "$job" -f "network relay")
}

let_go() {
	exec 9>&-
	rc=0
	wait "$job" || rc=$?
	is "it ends well" "$rc" 0
}

# Who may look: it is not dumpable.
pss() { awk '$1 == "Pss:" { print $2 }' "/proc/$relay/smaps_rollup" 2>/dev/null; }

echo "# between processes of one machine nothing is paced"
cat >"$T/control.py" <<'END'
import socket, sys
s = socket.create_connection(("host.m9m.internal", 7000), 60)
print("inside", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
      .rstrip(b"\0").decode(), flush=True)
sys.stdin.read()
END
mkfifo "$T/control"
"$M9M" -q --no-artifact --host-port 7000 --input "$T/control.py" -- \
	python3 -B control.py <"$T/control" >"$T/controlled" 2>&1 &
job=$!
exec 9>"$T/control"
await_line "$T/controlled" . 60
contains "$T/controlled" "inside reno"
if command -v ss >/dev/null; then
	ss -tin 'dport = :7000' >"$T/sockets"
	matches "$T/sockets" '^[[:space:]]+reno '
fi
exec 9>&-
wait "$job"

echo "# $many"
hold "$many"
idle=$(pss)
echo go >&9
await_line "$T/held" heard 240
sed 's/^/# /' "$T/held"
busy=$(pss)
is "words heard back" "$(awk '$1 == "heard" { print $2 }' "$T/held")" "$many"
if [ -n "$busy" ]; then
	open=$(find "/proc/$relay/fd" -lname 'socket:*' | wc -l)
	echo "# the relay: $open sockets, PSS $idle KiB idle, $busy KiB now"
	check "it has two sockets for each" test "$open" -ge $((2 * many))
	sanitized || check "within 64 MiB" test "$busy" -le 65536
else
	echo "# its memory is not to be seen by an ordinary user"
fi
let_go
is "each is on record" "$(events connect '.verdict == "allowed"' | wc -l)" "$many"
is "there was no limit" "$(events limit | jq -r .reason)" ""

echo "# beyond what it can hold"
cat >"$T/open.py" <<'END'
import select, socket, sys
address = socket.gethostbyname("good.test")
# Half a question each: the name service's clients take descriptors as well.
asking = [socket.create_connection(("198.18.0.1", 53), 60) for _ in range(64)]
for s in asking:
    s.sendall(b"\0")
kept = {}
for i in range(150):
    s = socket.create_connection((address, 7000), 60)
    s.sendall(b"word")
    kept[s.fileno()] = s
heard = most = 0
# Each of them ends when it is served: those that wait are let in.
while kept:
    served = select.select(list(kept), [], [], 60)[0]
    assert served, "%d were never served" % len(kept)
    for fd in served:
        heard += kept.pop(fd).recv(16) == b"word"
print("heard", heard, flush=True)
sys.stdin.read()
END
many=500
ulimit -Sn 300
ulimit -Hn 300
# Root would have more; a limit of its own is what an ordinary user has.
if is_root && (ulimit -Hn 400) 2>/dev/null; then
	echo "# left out: this root is bound by no limit"
else
	hold 150
	echo go >&9
	await_line "$T/held" "heard|rror" 120
	contains "$T/held" "heard 150"
	let_go
	events denied | jq -c . | head -3 | sed "s/^/# /"; events connect ".error != null" | head -3 | sed "s/^/# /"
	is "it is told of once" "$(events limit |
		jq -r .reason | grep -c 'too many connections at once')" 1
fi
