#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Prints the folder that holds Docker's and Podman's system call profiles as
# they publish them: docker.json, podman.json.
#
#   seccomp-profiles.sh            takes them out of Debian's packages (1 MB)
#   seccomp-profiles.sh --present  fails with a reason instead
#
# The folder is m9m-sandbox/seccomp in /var/cache (root), or in the user's own
# cache.  The packages are not installed: they would bring 250 others along.
set -eu
umask 022

DOCKER=golang-github-docker-docker-dev
PODMAN=golang-github-containers-common

common=/var/cache/m9m-sandbox/seccomp
own=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/m9m-sandbox/seccomp
for dir in "$common" "$own"; do
	if [ -s "$dir/docker.json" ] && [ -s "$dir/podman.json" ]; then
		echo "$dir"
		exit 0
	fi
done
[ "$(id -u)" != 0 ] || dir=$common

if [ "${1-}" = --present ]; then
	echo "no published profiles in $dir (scripts/seccomp-profiles.sh)" >&2
	exit 1
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	echo "no apt here: put docker.json and podman.json into $dir" >&2
	exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
cd "$work"
echo "taking the profiles out of $DOCKER and $PODMAN" >&2
apt-get -qq -o APT::Sandbox::User=root download "$DOCKER" "$PODMAN" >&2
for package in ./*.deb; do
	dpkg-deb --extract "$package" tree
done
mkdir -p "$dir"
cp tree/usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json \
	"$dir/docker.json"
cp tree/usr/share/containers/seccomp.json "$dir/podman.json"
echo "$dir"
