#!/bin/bash
# What a payload leaves for those who clean up after it, with rights of their
# own: root's runs too.
. "$(dirname "$0")/../lib.sh"
need python3 zstd

# Holes of 8 EiB a file, where the file system has such files.
shm=$(mktemp -d /dev/shm/m9m-attack.XXXXXX) || skip "no /dev/shm"
on_exit "chmod -R u+rwX $shm; rm -rf $shm"
cat >"$T/giants.py" <<'END'
import os
for i in range(20):
    os.ftruncate(os.open("/work/s%d" % i, os.O_CREAT | os.O_WRONLY), 2**63 - 1)
END
giants=(--ro-bind "$T/giants.py" /giants.py python3 -B /giants.py)
XDG_STATE_HOME=$shm run timeout -s KILL 60 "$M9M" -q \
	--artifact "$T/giants.tar.zst" "${giants[@]}"
is "giants of nothing hold nobody up" "$rc" 0
check "and come to nothing" \
	test "$(stat -c %s "$T/giants.tar.zst")" -lt 100000
XDG_STATE_HOME=$shm run timeout -s KILL 60 "$M9M" -q --artifact-bytes 1Ti \
	"${giants[@]}"
is "unless there is a bound" "$rc" 125
contains "$T/err" "the workdir is kept"

# Set-id bits, links out, names that speak to terminals, closed folders.
expect_exit 0 "$M9M" -q --artifact "$T/a.tar.zst" --output-file "d:$T/d" -- \
	python3 -c '
import os
os.chdir("/work")
os.makedirs("d/zero")
for name in "d/suid", "d/\x1b]0;x\x07\n", "d/zero/f":
    open(name, "w").write("x")
os.chmod("d/suid", 0o6777)
os.symlink("/etc/shadow", "d/link")
os.chmod("d/zero/f", 0)
os.chmod("d/zero", 0)
os.chmod("d", 0o7777)
os.mkfifo("fifo")'
is "no set-id bit comes out" "$(find "$T/d" -perm /7000 2>/dev/null | wc -l)" 0
check "the link stays a link" test -L "$T/d/link"
zstd -dc "$T/a.tar.zst" | tar -tvf - >"$T/list" 2>/dev/null
contains "$T/list" d/zero/f
check "nor into the archive" test "$(grep -c '^...[sS]' "$T/list")" = 0
is "the workdir is gone" "$(ls -A "$XDG_STATE_HOME/m9m-sandbox/runs")" ""

# A set-id program in a workdir is out of everybody's reach while it lives.
mkfifo "$T/there" "$T/done"
"$M9M" -q --no-artifact -- sh -c 'cp /bin/sleep s; chmod 6755 s; echo; read -r x' \
	<"$T/done" >"$T/there" &
exec 8>"$T/done"
await_fifo "$T/there" >/dev/null
found=$(find "$XDG_STATE_HOME" -name s -perm /6000)
check "it is there" test -n "$found"
is "no folder around it is open" \
	"$(find "$XDG_STATE_HOME/m9m-sandbox/runs" -maxdepth 0 -perm /077)" ""
if is_root; then
	check "its owner is nobody known" \
		test "$(stat -c %u "$found")" -gt 65533
fi
exec 8>&-
wait
