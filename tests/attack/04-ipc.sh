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

# Named ones are of the tree that they lie in, read-only or not, and so are
# fifos.  Looked for as deep as a tree is looked through.
mkdir -p "$T/shown/deep/er" "$T/shown/shut"
chmod 755 "$T/shown" "$T/shown/deep" "$T/shown/deep/er"
serve python3 "$T/serve.py" "$T/shown/deep/er/s"
mkfifo -m 666 "$T/shown/fifo"
python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$T/shown/shut/s"
chmod 777 "$T/shown/deep/er/s"
chmod 700 "$T/shown/shut"
is "the named one is there outside" \
	"$(python3 "$T/call.py" "$T/shown/deep/er/s")" host
cat >"$T/knock.py" <<'P'
import os, subprocess, sys
top = sys.argv[1]
subprocess.run(["python3", "/call.py", top + "/deep/er/s"])
try:
    os.write(os.open(top + "/fifo", os.O_WRONLY | os.O_NONBLOCK), b"fifo")
except OSError:
    pass
print("knocked")
P
# knocks PROGRAM OPTION... TOP: what that comes to.
knocks() {
	local top=${*: -1}
	run "${@:1:$#-1}" -q --no-artifact --ro-bind "$T/call.py" /call.py \
		--ro-bind "$T/knock.py" /knock.py -- python3 /knock.py "$top"
	exec 8<>"$T/shown/fifo"
	read -r -N 4 -t 0.01 said <&8 || :
	exec 8<&-
}
ways=("--ro-bind $T/shown /s:/s" "--project $T/shown --project-mode ro:/work")
is_root || ways+=("--bind $T/shown /s:/s"
	"--project $T/shown --project-mode bind:/work")
exec 9<>"$T/shown/fifo"
for way in "${ways[@]}"; do
	# shellcheck disable=SC2086  # words
	M9M_TEST_OFF=masks,landlock knocks "$TOP/$B/m9m-sandbox-test" \
		${way%:*} "${way##*:}"
	is "without masks: ${way%% *}" "$(xargs <"$T/out") $said" \
		"host knocked fifo"
	# shellcheck disable=SC2086
	knocks "$M9M" ${way%:*} "${way##*:}"
	is "hidden: ${way%% *}" "$(xargs <"$T/out") $said" "knocked "
done
exec 9<&-
knocks "$M9M" --project "$T/shown" /work
is "an overlay's leads to nobody" "$(xargs <"$T/out")" knocked
# How far the look went is said.
mkdir "$T/many"
(cd "$T/many" && seq 4100 | xargs touch)
"$M9M" --explain --ro-bind "$T/many" /s --ro-bind "$T/shown" /t true >"$T/plan"
contains "$T/plan" "only the first 4000 entries of $T/many were looked through"
matches "$T/plan" "[23] sockets and fifos in $T/shown are hidden"
# A folder that its user can list and not enter leads nobody to one.
if is_root; then
	chmod 744 "$T/shown/shut"
	mkdir -m 777 "$T/other"
	chmod 755 "$T"
	XDG_STATE_HOME=$T/other expect_exit 0 setpriv --reuid 12345 \
		--regid 12345 --clear-groups "$M9M" -q --no-artifact \
		--ro-bind "$T/shown" /s -- true
	chmod 700 "$T/shown/shut"
fi
# A folder of it that is gone by the time of the mounts hides nothing: one that
# the look sees and a copy of the tree's mounts lacks.
if is_root; then
	mkdir -p "$T/live/mount"
	gone() {
		in_namespace "mount -t tmpfs none '$T/live/mount' &&
			mount --make-unbindable '$T/live/mount' &&
			mkdir '$T/live/mount/gone' &&
			mkfifo '$T/live/mount/gone/door'" "$M9M" "$@" -- true
	}
	expect_exit 0 gone --explain --ro-bind "$T/live" /s
	contains "$T/out" mount/gone/door
	expect_exit 0 gone -q --no-artifact --ro-bind "$T/live" /s
fi
# Who names one means it.
expect_exit 0 m9m --ro-bind "$T/shown" /s --ro-bind "$T/shown/deep/er/s" \
	/s/deep/er/s --ro-bind "$T/call.py" /call.py -- \
	python3 /call.py /s/deep/er/s
contains "$T/out" host

# A limit on PID 1 would end it: the run would look like our failure.
limit='import resource, sys
resource.prlimit(int(sys.argv[1]), resource.RLIMIT_NOFILE, (1, 1))'
run m9m -- sh -c "python3 -c '$limit' \$\$"
check "another process's limits can be set" test "$rc" = 0
run m9m -- sh -c "python3 -c '$limit' 1; sleep 0.1; kill -CHLD 1; exit 3"
is "PID 1's cannot" "$rc" 3
