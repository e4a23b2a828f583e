#!/bin/bash
# Ways to somebody who acts outside: sockets of the host, limits of PID 1.
. "$(dirname "$0")/../lib.sh"
need python3

m9m() { "$M9M" -q --no-artifact "$@"; }

cat >"$T/serve.py" <<'P'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1].replace("@", "\0"))
s.listen()
print("ready", flush=True)
while True:
    s.accept()[0].send(b"host")
P
cat >"$T/call.py" <<'P'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1].replace("@", "\0"))
print(s.recv(4).decode())
P

# Abstract names are of the network namespace, which may be the host's.
name=@m9m-attack-$$
serve python3 "$T/serve.py" "$name"
is "the socket is there outside" "$(python3 "$T/call.py" "$name")" host
run m9m --input "$T/call.py" -- python3 /work/call.py "$name"
lacks "$T/out" host
run m9m --network host --input "$T/call.py" -- python3 /work/call.py "$name"
if grep -q 'Linux 6.12' <(m9m --explain --network host true); then
	echo "# this kernel cannot close them, and the plan says so"
else
	lacks "$T/out" host
fi
# Its own still work.
expect_exit 0 m9m --network host -- python3 -c '
import socket
s = socket.socket(socket.AF_UNIX)
s.bind("\0own")
s.listen()
socket.socket(socket.AF_UNIX).connect("\0own")'

# A limit on PID 1 would end it: the run would look like our failure.
limit='import resource, sys
resource.prlimit(int(sys.argv[1]), resource.RLIMIT_NOFILE, (1, 1))'
run m9m -- sh -c "python3 -c '$limit' \$\$"
check "another process's limits can be set" test "$rc" = 0
run m9m -- sh -c "python3 -c '$limit' 1; sleep 0.1; kill -CHLD 1; exit 3"
is "PID 1's cannot" "$rc" 3
