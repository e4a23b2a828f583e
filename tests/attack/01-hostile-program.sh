#!/bin/bash
# A program that the user was told to try says itself what it needs: "#!" lines,
# DT_NEEDED, package.json, links.  None of that may show it the caller's keys.
. "$(dirname "$0")/../lib.sh"
need python3

export HOME=$T/home
mkdir -p "$HOME"/.ssh "$HOME"/repo/{bin,lib,node_modules,v/bin}
echo key >"$HOME/.ssh/id_rsa"
chmod 600 "$HOME/.ssh/id_rsa"
cd "$HOME/repo" || exit 99

# keeps_out WHAT COMMAND: the plan for it has nothing of ~/.ssh.
keeps_out() {
	run "$M9M" --explain -- "$2"
	if [ ! -s "$T/out" ] && [ ! -s "$T/err" ]; then
		not_ok "$1: no plan"
	elif grep -q "$HOME/.ssh" "$T/out"; then
		not_ok "$1"
		grep "$HOME/.ssh" "$T/out" | sed 's/^/# /'
	else
		ok "$1"
	fi
}

script() {
	printf '%s\n' "$1" >"$2"
	chmod 755 "$2"
}

# What the user names is shown: the plan would tell.
run "$M9M" --explain --ro-bind "$HOME/.ssh" /keys -- cat
contains "$T/out" "$HOME/.ssh"

# require("x") follows links, and so did we.
script '#!/bin/sh' tool
echo '{"bin":{"tool":"./tool"},"dependencies":{"x":"1","../../.ssh":"1"}}' \
	>package.json
ln -s ../../.ssh node_modules/x
check "the link leads to the keys" test -r node_modules/x/id_rsa
keeps_out "a dependency that is a link" ./tool
rm package.json node_modules/x

# One that is a package is shown all the same.
mkdir node_modules/y
echo '{}' >node_modules/y/package.json
echo '{"bin":{"tool":"./tool"},"dependencies":{"y":"1"}}' >package.json
run "$M9M" --explain -- ./tool
contains "$T/out" "$HOME/repo"
rm package.json

# The kernel ignores PT_DYNAMIC; the plan read it.
python3 - bin/elf "$HOME/.ssh/id_rsa" <<'P'
import struct, sys
name = b"\0" + sys.argv[2].encode() + b"\0"
machine = {"x86_64": 62, "aarch64": 183}[__import__("os").uname().machine]
dyn = b"".join(struct.pack("<QQ", t, v) for t, v in
               [(5, 0x400200), (10, len(name)), (1, 1), (0, 0)])
head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack(
    "<HHIQQQIHHHHHH", 2, machine, 1, 0x400000, 64, 0, 0, 64, 56, 2, 0, 0, 0)
load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0, 0x1000, 0x1000, 4096)
dynamic = struct.pack("<IIQQQQQQ", 2, 4, 0x300, 0x400300, 0, len(dyn),
                      len(dyn), 8)
image = bytearray(0x1000)
for at, part in (0, head), (64, load), (120, dynamic), (0x200, name), \
        (0x300, dyn):
    image[at:at + len(part)] = part
open(sys.argv[1], "wb").write(image)
P
chmod 755 bin/elf
keeps_out "a library that is none" ./bin/elf

script "#!$HOME/.ssh/id_rsa" sheb
keeps_out "an interpreter that cannot be executed" ./sheb

echo 'home = /usr/bin' >v/pyvenv.cfg
ln -s "$HOME/.ssh/id_rsa" v/bin/python
script '#!/bin/sh' v/bin/t
keeps_out "an environment whose python is a link" ./v/bin/t

cp /bin/true bin/python-x
ln -s ../../.ssh lib/python3x
keeps_out "a runtime whose library is a link" ./bin/python-x

# A private checkout elsewhere is not the package of who names a file in it.
mkdir "$HOME/private"
echo '{"bin":"./run"}' >"$HOME/private/package.json"
echo secret >"$HOME/private/notes"
script '#!/bin/sh' "$HOME/private/run"
script "#!$HOME/private/run" sheb
run "$M9M" --explain -- ./sheb
if grep -q "bind  *$HOME/private ro" "$T/out"; then
	not_ok "another checkout is shown"
else
	ok "another checkout stays out"
fi

# Nor is all of a project the environment that was made in its own folder.
mkdir "$HOME/private/bin" "$HOME/private/lib"
touch "$HOME/private/pyvenv.cfg"
script '#!/bin/sh' "$HOME/private/bin/python"
script "#!$HOME/private/bin/python" sheb
run "$M9M" --explain -- ./sheb
contains "$T/out" "$HOME/private/lib ro"
lacks "$T/out" "$HOME/private ro"
script "#!/bin/sh
find $HOME/private -type f" "$HOME/private/bin/python"
expect_exit 0 "$M9M" -q --no-artifact -- ./sheb
contains "$T/out" "$HOME/private/pyvenv.cfg"
lacks "$T/out" notes

# Not on PATH: the real claude is sought where it is installed, first.
mkdir -p node_modules/.bin "$HOME/.nvm/versions/node/v20.1.0/bin"
script '#!/bin/sh' node_modules/.bin/m9mtesttool
script '#!/bin/sh' "$HOME/.nvm/versions/node/v20.1.0/bin/m9mtesttool"
run "$M9M" --explain -- m9mtesttool
contains "$T/out" .nvm/versions
lacks "$T/out" node_modules/.bin/m9mtesttool

# What root runs of a user's names what that user could reach: a mount would
# pass by the folder that keeps him out.
is_root || exit 0
own=$(mktemp -d /tmp/m9m-test.XXXXXX)
on_exit "rm -rf $own"
mkdir -m 755 "$own/user" "$own/open"
mkdir -m 700 "$own/root"
chmod 755 "$own"
for place in open root; do
	script "#!/bin/sh
cat $own/$place/tool" "$own/$place/tool"
	script "#!$own/$place/tool" "$own/user/$place"
	chown 12345:12345 "$own/user/$place"
done
expect_exit 0 "$M9M" -q --no-artifact -- "$own/user/open"
contains "$T/out" "cat $own/open/tool"
script "#!$own/root/tool" "$own/own"
expect_exit 0 "$M9M" -q --no-artifact -- "$own/own"
contains "$T/out" "cat $own/root/tool"
ln -s ../root "$own/user/link"
chown -h 12345 "$own/user/link"
for path in root link/tool; do
	run "$M9M" -q --no-artifact -- "$own/user/$path"
	lacks "$T/out" "cat $own/root/tool"
done
