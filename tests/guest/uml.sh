#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/guest/uml.sh [--systemd] [--mem SIZE] [--time SECONDS] COMMAND [ARG...]
#
# Runs a command as root of a User-Mode Linux guest: another kernel (cgroup v2
# with all its controllers, no Landlock), without privilege.  Its root is this
# machine's own file system, read-only; with --systemd a small Debian under
# systemd, made once (as root, with mmdebstrap) and kept in $B/guest.  The
# current directory is there in either case, read-only; /tmp and /run are the
# guest's own; $GUEST_DIR is a directory of the host's that both sides may
# write.  The command's output and exit status are ours; 77 says that there is
# no guest to be had here, and why.
set -eu

mem=512M limit=240 systemd=
while [ $# -gt 0 ]; do
	case $1 in
	--systemd) systemd=1; shift ;;
	--mem) mem=$2; shift 2 ;;
	--time) limit=$2; shift 2 ;;
	*) break ;;
	esac
done
[ $# -gt 0 ] || { sed -n '4,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd -P)
B=${B-build}
PATH=$PATH:/usr/sbin:/sbin

no_guest() {
	echo "no guest: $*"
	exit 77
}

for uml in linux.uml linux ''; do
	[ -z "$uml" ] || ! command -v "$uml" >/dev/null || break
done
[ -n "$uml" ] || no_guest "user-mode-linux is not installed (apt-get install)"

share=$(mktemp -d "${TMPDIR:-/tmp}/guest.XXXXXX")
trap 'rm -rf "$share"' EXIT
trap 'exit 130' INT TERM HUP
# An ordinary user of the guest is another one of the host's.
chmod 711 "$share"
: >"$share/output"

# --- a Debian under systemd ------------------------------------------------

PACKAGES=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,login
PACKAGES=$PACKAGES,util-linux,procps,jq,libnl-route-3-200,libcjson1

# The guest's only job; the rest is in the shared directory, at run time.
unit() {
	cat <<-'UNIT'
		[Unit]
		After=dbus.service systemd-logind.service
		Wants=dbus.service systemd-logind.service
		[Service]
		Type=oneshot
		ExecStart=/bin/sh -c 'mkdir -p /run/guest; \
		    share=$$(sed "s/.*m9m.share=//; s/ .*//" /proc/cmdline); \
		    mount -t hostfs -o hostfs=$$share guest /run/guest || \
		    mount -t hostfs -o $$share guest /run/guest; \
		    exec sh /run/guest/init'
	UNIT
}

make_image() {
	[ "$(id -u)" = 0 ] || no_guest "its image ($image) is made as root"
	for tool in mmdebstrap mke2fs tar; do
		command -v $tool >/dev/null || no_guest "$tool is not installed"
	done
	echo "making $image" >&2
	mkdir -p "$share/root" "$(dirname "$image")"
	# The same release, for what was built here runs there.
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}") components=main
	! grep -q '^ID=ubuntu' /etc/os-release || components=main,universe
	mmdebstrap --quiet --variant=minbase --include=$PACKAGES \
		--components=$components "${suite:-stable}" "$share/root.tar" \
		>"$share/log" 2>&1 || {
		tail -n 5 "$share/log" >&2
		no_guest "mmdebstrap failed: are the packages to be had?"
	}
	tar -C "$share/root" -xf "$share/root.tar"
	# What runs at boot beside the job only costs time.
	etc=$share/root/etc/systemd/system
	unit >"$etc/m9m-guest.service"
	mkdir -p "$etc/multi-user.target.wants"
	ln -s /etc/systemd/system/m9m-guest.service \
		"$etc/multi-user.target.wants/"
	for useless in getty@tty1 getty@tty0 apt-daily.timer systemd-timesyncd \
		systemd-networkd-wait-online e2scrub_reap console-getty; do
		ln -sf /dev/null "$etc/${useless%.timer}.service"
	done
	mke2fs -q -t ext4 -d "$share/root" "$image.$$" 700M >"$share/log"
	mv "$image.$$" "$image"
	rm -rf "$share/root" "$share/root.tar"
}

# --- the job ---------------------------------------------------------------

# How a guest mounts folder $1 of the host on $2: with a name before it from
# Linux 6.11 on, and without before.
hostfs() {
	echo "mount -t hostfs -o hostfs='$1' guest '$2' 2>/dev/null ||" \
		"mount -t hostfs -o '$1' guest '$2'"
}

# The command, in words that survive a shell.
quoted=
for word; do
	quoted="$quoted '$(printf %s "$word" | sed "s/'/'\\\\''/g")'"
done

{
	echo '#!/bin/sh'
	echo 'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
	echo 'export HOME=/root LANG=C.UTF-8 TERM=dumb TZ=UTC'
	echo "export GUEST_DIR=/run/guest B='$B'"
	if [ -z "$systemd" ]; then
		cat <<-MOUNTS
			mount -t proc proc /proc
			# The kernel may have done so by itself.
			mount -t devtmpfs dev /dev 2>/dev/null
			ln -s /proc/self/fd /dev/fd
			mount -t sysfs sysfs /sys
			mount -t cgroup2 cgroup2 /sys/fs/cgroup
			mount -t tmpfs run /run
			mkdir /run/guest
			$(hostfs "$share" /run/guest)
			mount -t tmpfs tmp /tmp
			chmod 1777 /tmp
			ip link set lo up
		MOUNTS
	fi
	cat <<-JOB
		if ! [ -e '$PWD/$B' ]; then
			mkdir -p '$PWD'
			$(hostfs "$PWD" "$PWD")
			mount -o remount,ro '$PWD'
		fi
		cd '$PWD' || cd /
		($quoted) >/run/guest/output 2>&1 </dev/null
		echo \$? >/run/guest/status
		sync
		echo o >/proc/sysrq-trigger
		sleep 10
	JOB
} >"$share/init"
chmod 755 "$share/init"

# --- the guest -------------------------------------------------------------

# AMX makes the vector registers larger than this guest knows: xstate.c.
preload=
if grep -qw amx_tile /proc/cpuinfo; then
	preload=$share/xstate.so
	"${CC:-cc}" -O1 -shared -fPIC -o "$preload" "$here/xstate.c" ||
		no_guest "a processor with AMX takes a compiler"
fi

if [ -n "$systemd" ]; then
	image=${M9M_GUEST_IMAGE:-$B/guest/systemd.img}
	[ -e "$image" ] || make_image
	# What the guest writes goes into a file of this run's.
	set -- "ubd0=$share/cow,$(realpath "$image")" root=/dev/ubda rw \
		m9m.share="$share" systemd.log_level=warning
else
	set -- root=/dev/root rootfstype=hostfs rootflags=/ ro \
		init="$share/init"
fi

# UML keeps its memory in a file below TMPDIR, which has to allow execution.
ended="ended without a word of how"
TMPDIR=$share LD_PRELOAD=$preload timeout -k 5 "$limit" "$uml" "$@" \
	mem="$mem" con=null con0=null,fd:1 quiet panic=-1 \
	</dev/null >"$share/console" 2>&1 || [ $? != 124 ] ||
	ended="did not come to an end within $limit s"

cat "$share/output"
if [ ! -s "$share/status" ]; then
	echo "the guest $ended; its console:"
	tail -n 30 "$share/console"
	exit 1
fi
exit "$(cat "$share/status")"
