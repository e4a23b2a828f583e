#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: make-ca.sh DIR NAME...
#
# Makes in DIR a certificate authority for one test (ca.pem) and a certificate
# for the host names given (leaf.pem, leaf.key).  The authority's key is thrown
# away at once, so that what trusts ca.pem can never be made to trust more.
set -eu
umask 077

[ $# -ge 2 ] || {
	sed -n '4p' "$0" >&2
	exit 2
}
dir=$1
shift
mkdir -p "$dir"

names=
for name; do
	names=${names:+$names,}DNS:$name
done

ec="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
# shellcheck disable=SC2086  # options
openssl req -x509 $ec -subj "/CN=m9m-sandbox test authority" \
	-addext "basicConstraints=critical,CA:TRUE" \
	-addext "keyUsage=critical,keyCertSign" \
	-keyout "$dir/ca.key" -out "$dir/ca.pem" 2>/dev/null
# shellcheck disable=SC2086  # options
openssl req -x509 $ec -subj "/CN=$1" \
	-CA "$dir/ca.pem" -CAkey "$dir/ca.key" \
	-addext "basicConstraints=critical,CA:FALSE" \
	-addext "subjectAltName=$names" \
	-addext "extendedKeyUsage=serverAuth" \
	-keyout "$dir/leaf.key" -out "$dir/leaf.pem" 2>/dev/null
rm "$dir/ca.key"
chmod 644 "$dir/ca.pem"
