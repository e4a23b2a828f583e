#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/guest/uml.sh [--mem SIZE] [--time SECONDS] COMMAND [ARG...]
#
# Runs a command as root of a User-Mode Linux guest whose root is this
# machine's own file system, read-only: another kernel (cgroup v2 with all its
# controllers, no Landlock) without privilege and without an image.  In the
# guest /proc, /sys, /sys/fs/cgroup, /tmp and /run are its own; $GUEST_DIR is a
# directory of the host's that both sides may write.  The command's output and
# exit status are ours; 77 says that there is no guest to be had here, and why.
set -eu

mem=512M time=240
while [ $# -gt 0 ]; do
	case $1 in
	--mem) mem=$2; shift 2 ;;
	--time) time=$2; shift 2 ;;
	*) break ;;
	esac
done
[ $# -gt 0 ] || { sed -n '4,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }

uml=$(command -v linux.uml || command -v linux) || {
	echo "user-mode-linux is not installed (apt-get install user-mode-linux)"
	exit 77
}

share=$(mktemp -d "${TMPDIR:-/tmp}/guest.XXXXXX")
trap 'rm -rf "$share"' EXIT
trap 'exit 130' INT TERM HUP
# An ordinary user of the guest is another one of the host's.
chmod 711 "$share"

# AMX makes the vector registers larger than this guest knows: xstate.c.
preload=
if grep -qw amx_tile /proc/cpuinfo; then
	preload=$share/xstate.so
	"${CC:-cc}" -O1 -shared -fPIC -o "$preload" \
		"$(dirname "$0")/xstate.c" || {
		echo "no guest: a compiler is needed on a processor with AMX"
		exit 77
	}
fi

# The command, in words that survive a shell.
quoted=
for word; do
	quoted="$quoted '$(printf %s "$word" | sed "s/'/'\\\\''/g")'"
done

cat >"$share/init" <<INIT
#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 TERM=dumb TZ=UTC
mount -t proc proc /proc
# Without devtmpfs in the kernel the host's nodes serve.
mount -t devtmpfs dev /dev 2>/dev/null && ln -sf /proc/self/fd /dev/fd
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs run /run
mkdir /run/guest
mount -t hostfs -o '$share' guest /run/guest
mount -t tmpfs tmp /tmp
chmod 1777 /tmp
# What the command was started in may lie below the /tmp that is now hidden.
case '$PWD' in
/tmp/*) mkdir -p '$PWD' && mount -t hostfs -o '$PWD' tree '$PWD' ;;
esac
ip link set lo up
cd '$PWD' 2>/dev/null || cd /
export GUEST_DIR=/run/guest B='${B-build}'
($quoted) >/run/guest/output 2>&1 </dev/null
echo \$? >/run/guest/status
sync
echo o >/proc/sysrq-trigger
sleep 10
INIT
chmod 755 "$share/init"
: >"$share/output"

# UML keeps its memory in a file below TMPDIR, which has to allow execution.
TMPDIR=$share LD_PRELOAD=$preload timeout -k 5 "$time" "$uml" root=/dev/root rootfstype=hostfs \
	rootflags=/ ro init="$share/init" mem="$mem" con=null con0=null,fd:1 \
	quiet panic=-1 </dev/null >"$share/console" 2>&1 || :

cat "$share/output"
if [ ! -s "$share/status" ]; then
	echo "the guest did not come to an end within $time s; its console:"
	tail -n 30 "$share/console"
	exit 1
fi
exit "$(cat "$share/status")"
