#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Other ways than TCP to a host that answers them: ICMP, raw and packet sockets,
# UDP, MPTCP, SCTP, vsock, netlink; and unix sockets of every type.  Each way is
# first shown to work outside, and then, as long as the kind of socket can be
# made at all there, not to be stopped by the filter of system calls alone.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
need jq python3 ip

OWN=203.0.113.5
# Who may ping: an ordinary user's group is known here.
host_netns "ip addr add $OWN/32 dev lo" \
	"{ echo \"\$(id -g) \$(id -g)\" >/proc/sys/net/ipv4/ping_group_range; }"

mkdir "$T/shown" "$T/own"
cat >"$T/world.py" <<END
import socket, sys, threading
def answer(s):
    while True:
        word, peer = s.recvfrom(100)
        s.sendto(b"host", peer)
def serve(s):
    while True:
        c, _ = s.accept()
        c.recv(100)
        c.sendall(b"host")
        c.close()
def run(what, s):
    threading.Thread(target=what, args=(s,), daemon=True).start()
def stream(family, kind, proto, address):
    try:
        s = socket.socket(family, kind, proto)
        s.bind(address)
        s.listen(100)
        run(serve, s)
    except OSError as e:
        print("not here:", family, kind, proto, e)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("$OWN", 7))
run(answer, u)
stream(socket.AF_INET, socket.SOCK_STREAM, 0, ("$OWN", 7))
stream(socket.AF_INET, socket.SOCK_STREAM, 132, ("$OWN", 9))
stream(socket.AF_VSOCK, socket.SOCK_STREAM, 0, (socket.VMADDR_CID_ANY, 7007))
for name in sys.argv[1:]:
    stream(socket.AF_UNIX, socket.SOCK_STREAM, 0, name.replace("@", "\0") + "1")
    stream(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, name.replace("@", "\0") + "5")
    d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    d.bind(name.replace("@", "\0") + "2")
    run(answer, d)
print("ready", flush=True)
threading.Event().wait()
END
abstract=@m9m-protocols-$$-
serve python3 -B "$T/world.py" "$abstract" "$T/own/s"
sed 's/^/# /' "$served_log"
cp "$TOP/tests/standin/net-probe.py" "$T/probe.py"

ways=("ping:2:$OWN" "ping:3:$OWN" packet "udp:$OWN:7" "mptcp:$OWN:7"
	"sctp:$OWN:9" vsock:7007 "addresses:$OWN")
for kind in 1 2 5; do
	ways+=("unix:$kind:$abstract$kind" "unix:$kind:$T/own/s$kind")
done
WORKS='-> (answered|listening|host|connected|seen)$'

# worked FILE: the ways that did, one a line.
worked() { sed -nE "s/ $WORKS//p" "$1" | sort; }

run python3 -B "$T/probe.py" "${ways[@]}"
worked "$T/out" >"$T/outside"
echo "# cannot be shown here: $(printf '%s\n' "${ways[@]}" | sort |
	comm -23 - "$T/outside" | paste -sd ' ')"
for way in ping:2:$OWN udp:$OWN:7 mptcp:$OWN:7 addresses:$OWN unix:; do
	check "outside it works: $way" grep -q "^$way" "$T/outside"
done
is "unix sockets of each type, abstract and in the tree" \
	"$(grep -c ^unix: "$T/outside")" 6

# inside FILE PROGRAM OPTION...
inside() {
	local into=$1
	shift
	rm -f "$T/events.jsonl"
	run "$@" -q --no-artifact --events "$T/events.jsonl" \
		--input "$T/probe.py" -- python3 -B probe.py "${ways[@]}"
	is "each was tried: $*" "$(grep -c -e ' -> ' "$T/out")" ${#ways[@]}
	worked "$T/out" >"$into"
}

inside "$T/none" "$M9M" --allow "$OWN:80"
is "inside none does" "$(cat "$T/none")" ""
check "UDP is on record" test -n \
	"$(events denied ".protocol == \"udp\" and .addr == \"$OWN\" and .port == 7")"
check "and MPTCP, as the TCP that it becomes" test -n \
	"$(events denied ".protocol == \"tcp\" and .addr == \"$OWN\" and .port == 7")"
inside "$T/none" "$M9M" --network deny
is "nor where nothing is allowed" "$(cat "$T/none")" ""

# Without the filter the network namespace stands alone.  Some of its own it
# may ping, and it may look: at a place that has nothing of the host's.
switched=$TOP/$B/m9m-sandbox-test
[ -x "$switched" ] || skip "no $switched (make tests)"
export M9M_TEST_OFF=seccomp
inside "$T/unfiltered" "$switched" --allow "$OWN:80"
is "without the filter none but a ping, of itself, and the host by vsock" \
	"$(grep -v -e ^ping: -e ^packet -e ^vsock: "$T/unfiltered")" ""
unset M9M_TEST_OFF

# What stands next to these: of its own it has all of them.
cat >"$T/own.py" <<'END'
import socket
for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET:
    a, b = socket.socketpair(socket.AF_UNIX, kind)
    a.send(b"x")
    assert b.recv(9) == b"x"
    for name in "\0own%d" % kind, "/tmp/own%d" % kind:
        s = socket.socket(socket.AF_UNIX, kind)
        s.bind(name)
        if kind != socket.SOCK_DGRAM:
            s.listen()
        socket.socket(socket.AF_UNIX, kind).connect(name)
print("all")
END
run "$M9M" -q --no-artifact --input "$T/own.py" -- python3 -B own.py
is "its own unix sockets work" "$(cat "$T/out")" all
[ "$rc" = 0 ] || show_output
