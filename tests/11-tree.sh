#!/bin/bash
# The file tree that a payload sees.
. "$(dirname "$0")/lib.sh"
need python3

m9m() { "$M9M" -q --no-artifact "$@"; }

# --- what is hidden: first that it is there outside ---
mkdir -p "$T/private"
echo secret >"$T/private/file"
check "the file is there outside" test -s "$T/private/file"
expect_exit 2 m9m ls "$T/private/file"
for path in /root /var/log /var/lib /mnt /srv /opt /boot /run/lock /etc/shadow \
	/etc/hostname.bak /etc/ssl/private /sys/kernel /sys/fs; do
	run m9m ls "$path"
	check "$path is not there" test "$rc" != 0
done
is "/home holds only the payload's" "$(m9m ls /home)" agent
is "\$HOME is empty" "$(m9m ls -A /home/agent)" ""
is "/tmp is empty" "$(m9m ls -A /tmp)" ""
is "/run is empty" "$(m9m ls -A /run)" ""

# --- what is written where ---
for path in / /usr /usr/bin /etc /dev /var /run /home /sys /proc /proc/sys; do
	run m9m sh -c "echo x >$path/planted"
	check "$path cannot be written" test "$rc" != 0
done
expect_exit 0 m9m sh -c 'echo x >/work/a && echo x >/tmp/a && echo x >$HOME/a && echo x >/dev/shm/a'
expect_exit 0 m9m sh -c 'cd /work && cp /bin/true ./mine && ./mine'

# --- every mount: nosuid, and nodev where there is no device to show ---
m9m cat /proc/self/mountinfo >"$T/mounts"
check "mounts are listed" test "$(wc -l <"$T/mounts")" -gt 20
is "no mount without nosuid" "$(grep -cv nosuid "$T/mounts")" 0
is "nodev but for /dev nodes" \
	"$(awk '$6 !~ /nodev/ { print $5 }' "$T/mounts" | grep -v '^/dev/' | xargs)" ""
is "writable mounts" \
	"$(awk '$6 ~ /^rw/ { print $5 }' "$T/mounts" |
		grep -vE '^/dev/(null|zero|full|random|urandom|tty)$' | sort | xargs)" \
	"/dev/pts /dev/shm /home/agent /proc /tmp /work"
lacks "$T/mounts" "$T/private"

# --- /dev ---
is "/dev" "$(m9m ls /dev | xargs)" \
	"fd full null ptmx pts random shm stderr stdin stdout tty urandom zero"
run m9m python3 -c 'import os; os.mknod("/work/disk", 0o60600, os.makedev(8, 0))'
check "no device can be made" test "$rc" != 0

# --- /proc ---
for path in cmdline config.gz diskstats interrupts kallsyms kcore key-users keys \
	kmsg modules partitions slabinfo sysrq-trigger timer_list vmallocinfo; do
	run m9m sh -c "head -c 100 /proc/$path | wc -c"
	is "/proc/$path shows nothing" "$(cat "$T/out")" 0
done
check "/proc/kallsyms is there outside" test -r /proc/kallsyms
run m9m sh -c 'echo 1 >/proc/sys/kernel/core_pattern; echo b >/proc/sysrq-trigger'
check "the kernel's settings are closed" test "$rc" != 0
check "/proc/meminfo is open" m9m grep -q MemTotal /proc/meminfo

# --- /etc is curated ---
for path in passwd group hosts resolv.conf nsswitch.conf hostname localtime; do
	check "/etc/$path is there" m9m test -e /etc/$path
done
is "the user has a name" "$(m9m id -un)" agent
check "CA certificates" m9m test -s /etc/ssl/certs/ca-certificates.crt

# --- the user's own mounts ---
mkdir "$T/src"
echo data >"$T/src/file"
is "--ro-bind" "$(m9m --ro-bind "$T/src" /data cat /data/file)" data
run m9m --ro-bind "$T/src" /data sh -c 'echo x >/data/file'
check "--ro-bind cannot be written" test "$rc" != 0
if ! is_root; then
	check "--bind" m9m --bind "$T/src" /data sh -c 'echo new >/data/file'
	is "--bind writes through" "$(cat "$T/src/file")" new
fi
is "one file" "$(m9m --ro-bind "$SELF" /one wc -l /one | cut -d' ' -f1)" "$(wc -l <"$SELF")"
check "--tmpfs" m9m --tmpfs /scratch sh -c 'echo x >/scratch/y'
expect_exit 125 m9m --ro-bind "$T/none" /data true
contains "$T/err" "$T/none"
expect_exit 125 m9m --tmpfs /proc/x true
expect_exit 125 m9m --ro-bind "$T/src" /work/sub true
contains "$T/err" "--input"
# A mount point is never made in a tree of the host's.
expect_exit 125 m9m --ro-bind "$T/src" /data --tmpfs /data/deep/point true
check "nothing was made there" test ! -e "$T/src/deep"

# --- a link that an earlier payload planted does not move a mount ---
mkdir "$T/tree" "$T/victim"
ln -s "$T/victim" "$T/tree/a"
expect_exit 125 m9m --ro-bind "$T/tree" /tree --tmpfs /tree/a/b true
check "the link led nowhere" test ! -e "$T/victim/b"
mkdir "$T/victim/b"
expect_exit 125 m9m --ro-bind "$T/tree" /tree --tmpfs /tree/a/b true

# --- a whole tree of the user's ---
expect_exit 125 m9m --rootfs "$T/none" true
contains "$T/err" "plan: cannot read the root tree $T/none: No such file"
expect_exit 125 m9m --rootfs "$SELF" /work/x
contains "$T/err" "cannot read the root tree $SELF: Not a directory"
image=$T/image
mkdir -p "$image/home/svc"
for file in $(ldd /bin/sh | grep -o '/[^ ]*') /bin/sh; do
	cp -L --parents "$file" "$image"
done
is "an image's homes are there, and ours beside them" \
	"$(m9m --rootfs "$image" /bin/sh -c 'echo x >~/made && echo /home/* ~/*')" \
	"/home/agent /home/svc /home/agent/made"
if is_root; then
	# As an ordinary user they are opened inside, one at a time.
	mkdir "$image"/home/{1..300}
	expect_exit 125 prlimit --nofile=256 "$M9M" -q --no-artifact \
		--rootfs "$image" /bin/sh -c :
	contains "$T/err" "Too many open files"
	contains "$T/err" "raise the hard limit, ulimit -Hn"
	rmdir "$image"/home/{1..300}
fi
ln -s nowhere "$image/bin/ls"
expect_exit 127 m9m --rootfs "$image" ls
lacks "$T/err" "did you mean ls"
rootfs=$T/rootfs
mkdir -p "$rootfs"/{usr,etc,opt/app,var/lib/x}
echo 'svc:x:77:77::/:/bin/false' >"$rootfs/etc/passwd"
echo here >"$rootfs/opt/app/file"
echo own >"$rootfs/etc/own.conf"
cp -a /usr/local "$rootfs/usr/" 2>/dev/null
if command -v busybox >/dev/null; then
	mkdir -p "$rootfs/bin"
	cp "$(command -v busybox)" "$rootfs/bin/busybox"
	is "--rootfs shows its own tree" \
		"$(m9m --rootfs "$rootfs" /bin/busybox cat /opt/app/file /etc/own.conf | xargs)" \
		"here own"
	check "--rootfs keeps its users" \
		m9m --rootfs "$rootfs" /bin/busybox grep -q svc /etc/passwd
	run m9m --rootfs "$rootfs" /bin/busybox ls /usr/bin
	check "--rootfs hides the host's" test "$rc" != 0
	check "nothing was written into it" test ! -e "$rootfs/proc" -a ! -e "$rootfs/work"
fi
