#!/bin/sh
# SPDX-License-Identifier: MIT
#
# scripts/deps.sh [build|check|demo|bench]...: installs what is missing, with
# apt (Debian, Ubuntu).  Groups include the ones before them; default: build.
# Says what it installs; with nothing to do it is silent and asks nobody.
# --list prints the packages of the groups and does nothing.
set -eu

BUILD='gcc make pkg-config libc6-dev libseccomp-dev libnl-3-dev
	libcjson-dev libarchive-dev libzstd-dev zlib1g-dev'
CHECK='libnl-route-3-dev btrfs-progs python3 git ripgrep curl strace openssl iproute2 util-linux procps
	ca-certificates mandoc shellcheck clang clang-tidy clang-format
	cppcheck nginx-light openssh-server openssh-client dnsmasq-base zstd
	libarchive-tools jq prometheus prometheus-node-exporter redis-server
	redis-tools libcap-ng-utils checksec mmdebstrap e2fsprogs
	python3-websockets'
DEMO='nodejs npm git ripgrep curl python3 openssl iproute2 jq zstd
	ca-certificates'
BENCH='bubblewrap passt slirp4netns firejail hyperfine python3 iproute2
	socat ripgrep'

# The sanitizer and fuzzer runtime carries clang's version in its name.
clang_runtime() {
	have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' \
		'libclang-rt-*-dev' 2>/dev/null | sed -n 's/ installed$//p')
	[ -z "$have" ] || return 0
	version=$(apt-cache depends clang 2>/dev/null |
		sed -n 's/^ *Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
	name=libclang-rt-${version:-14}-dev
	if apt-cache show "$name" >/dev/null 2>&1; then
		echo "$name"
	fi
}

# For one test, which does without; Ubuntu has it as a snap only.
browser() {
	if apt-cache show chromium >/dev/null 2>&1; then
		echo chromium
	fi
}

# Another kernel for the tests of cgroup v2, systemd and a missing Landlock:
# Debian builds it for x86 only, and the tests do without.
guest_kernel() {
	if apt-cache show user-mode-linux >/dev/null 2>&1; then
		echo user-mode-linux
	fi
}

# Node may be there without being a package (nvm, a tarball).
node_wanted() {
	command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 &&
		return
	echo nodejs npm
}

packages() {
	for group; do
		case $group in
		build) echo "$BUILD" ;;
		check)
			echo "$BUILD $CHECK $(node_wanted) $(clang_runtime)" \
				"$(browser) $(guest_kernel)"
			;;
		demo)
			echo "$BUILD $DEMO" |
				sed "s/nodejs npm/$(node_wanted)/"
			;;
		bench) echo "$BUILD $BENCH" ;;
		*)
			echo "deps.sh: unknown group '$group':" \
				"build, check, demo or bench" >&2
			exit 2
			;;
		esac
	done | tr -s '[:space:]' '\n' | sed '/^$/d' | sort -u
}

missing() {
	have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" \
		2>/dev/null | sed -n 's/ installed$//p')
	for name; do
		echo "$have" | grep -qxF "$name" || echo "$name"
	done
}

list=
if [ "${1-}" = --list ]; then
	list=1
	shift
fi
[ $# -gt 0 ] || set -- build

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "deps.sh: no apt here.  Install what these Debian packages hold:" >&2
	packages "$@" | xargs >&2
	exit 1
fi

wanted=$(packages "$@")
if [ -n "$list" ]; then
	echo "$wanted"
	exit 0
fi
# shellcheck disable=SC2086  # one word a package
todo=$(missing $wanted | xargs)
[ -n "$todo" ] || exit 0

if [ "$(id -u)" = 0 ]; then
	sudo=
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
	sudo=sudo
else
	echo "deps.sh: not root and no sudo.  As root, run:" >&2
	echo "  apt-get update && apt-get install --no-install-recommends $todo" >&2
	exit 1
fi

export DEBIAN_FRONTEND=noninteractive
# Services that packages bring are not to start because of us.
apt_get() {
	if [ -n "$sudo" ]; then
		sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get "$@"
	else
		RUNLEVEL=1 apt-get "$@"
	fi
}
apt_get -qq update || echo "deps.sh: apt-get update failed; going on" >&2
# Again: what a distribution may not have is known only now.
wanted=$(packages "$@")
# shellcheck disable=SC2046,SC2086
set -- $(missing $wanted)
echo "deps.sh: installing $*"
apt_get -qq -y --no-install-recommends install "$@" >/dev/null
