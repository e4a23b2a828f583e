#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Of what the machine has a number of for all, a payload gets its share.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
need python3

# Terminals (kernel.pty.max): by processes, of which each has its open files.
cat >"$T/terminals.py" <<'PY'
import os, signal
total = 0
for _ in range(2):
    r, w = os.pipe()
    if os.fork() == 0:
        n = 0
        try:
            while True:
                os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
                n += 1
        except OSError:
            os.write(w, b"%d" % n)
            signal.pause()
    total += int(os.read(r, 9))
print(total)
PY
expect_exit 0 "$M9M" -q --no-artifact --ro-bind "$T/terminals.py" /t.py \
	python3 /t.py
is "a payload has so many terminals" "$(cat "$T/out")" 128

# Memory that waits in sockets: the version 1 of cgroups counts it apart.
cat >"$T/sockets.py" <<'PY'
import socket
held, total, chunk = [], 0, bytes(65536)
listener = socket.create_server(("127.0.0.1", 0))
for _ in range(100):
    held.append(socket.create_connection(listener.getsockname()))
    held.append(listener.accept()[0])
    held[-2].setblocking(False)
    try:
        while True:
            total += held[-2].send(chunk)
    except BlockingIOError:
        pass
print(total >> 20)
PY
if [ "$(id -u)" = 0 ] && [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
	expect_exit 0 "$M9M" -q --no-artifact --memory 64M \
		--ro-bind "$T/sockets.py" /s.py python3 /s.py
	check "what it has in sockets is bounded ($(cat "$T/out") MiB)" \
		test "$(cat "$T/out")" -le 16
fi
