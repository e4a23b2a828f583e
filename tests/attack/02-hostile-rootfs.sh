#!/bin/bash
# An unpacked image is anybody's: its links are its own, the host's files ours.
. "$(dirname "$0")/../lib.sh"

echo host-secret-line >"$T/secret"
fs=$T/fs
mkdir -p "$fs"/{etc,bin,usr}
cp "$TOP/$B/thief" "$fs/bin/thief"

inside() {
	run "$M9M" -q --no-artifact --rootfs "$fs" -- /bin/thief show "$@"
}

echo 'image:x:77:77::/:/bin/sh' >"$fs/etc/passwd"
inside /etc/passwd
contains "$T/out" image:x:77

# An absolute link of the image is to the image.
mv "$fs/etc/passwd" "$fs/users"
ln -s /users "$fs/etc/passwd"
inside /etc/passwd
contains "$T/out" image:x:77

for target in "$T/secret" ../../secret /proc/self/environ; do
	ln -sf "$target" "$fs/etc/passwd"
	ln -sf "$target" "$fs/etc/group"
	check "$target is there outside" test -r "$fs/etc/passwd"
	inside /etc/passwd /etc/group
	contains "$T/out" agent:x:
	lacks "$T/out" host-secret-line
	lacks "$T/out" XDG_STATE_HOME
done

# A fifo must not hang the plan.
rm "$fs/etc/passwd"
mkfifo "$fs/etc/passwd"
run timeout 20 "$M9M" -q --no-artifact --rootfs "$fs" -- /bin/thief show /etc/passwd
check "a fifo is passed by" test "$rc" != 124

# The folder itself a link: refused, or nothing of the host's is shown.
rm -r "${fs:?}/etc"
mkdir "$T/hostetc"
cp "$T/secret" "$T/hostetc/app.conf"
ln -s "$T/hostetc" "$fs/etc"
inside /etc/app.conf
lacks "$T/out" host-secret-line
rm "$fs/etc"
mkdir "$fs/etc"
ln -s "$T/hostetc" "$fs/home"
expect_exit 0 "$M9M" -q --no-artifact --rootfs "$fs" -- /bin/thief show /bin/thief
inside /home/app.conf
lacks "$T/out" host-secret-line
