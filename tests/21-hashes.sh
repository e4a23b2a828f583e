#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What a program hashes to is known to the next run, as long as nobody changed
# it; and no payload has a say in that.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq
HASHES=$XDG_STATE_HOME/m9m-sandbox/hashes
case $(stat -f -c %t "$T") in
ef53 | 58465342 | 9123683e | f2f52010) ;;
*) skip "the file system of $T is none that tells of each change" ;;
esac

key_of() { stat -L -c '%d-%i-%s-%.9Y-%.9Z' "$1"; }
sha_of() { sha256sum <"$1" | cut -d ' ' -f 1; }
place_of() {
	printf '%s/%02x' "$HASHES" "$(stat -L -c '(%d * 31 + %i) %% 256' "$1" |
		{ read -r sum && echo $((sum)); })"
}
false=$(printf 'f%.0s' {1..64})
# plant PROGRAM: a hash that nothing has, for the program as it is.
plant() { ln -sfn "$(key_of "$1")-$false" "$(place_of "$1")"; }

# told OPTION... -- PROGRAM: the hash that is told of it.
told() {
	"$M9M" -q --no-artifact --events "$T/events.jsonl" "$@" >/dev/null ||
		echo "status $?"
	events program | jq -r .sha256
	rm "$T/events.jsonl"
}

# One of the system's programs, which nobody has changed for a minute; an image
# can have been made without a clock.
old=
for program in true env id cat ls sleep; do
	file=$(readlink -f "/usr/bin/$program") &&
		[ "$(stat -f -c %t "$file")" = "$(stat -f -c %t "$T")" ] &&
		[[ $(key_of "$file") != *.000000000 ]] &&
		[ $(($(stat -c %Z "$file") + 100)) -lt "$(date +%s)" ] &&
		old=$file && break
done
if [ -n "$old" ]; then
	is "the first run reads it" "$(told -- "$old" --version)" \
		"$(sha_of "$old")"
	is "and keeps what it was" "$(readlink "$(place_of "$old")")" \
		"$(key_of "$old")-$(sha_of "$old")"
	is "in a folder of the user's alone" "$(stat -c %a "$HASHES")" 700
	is "the second one has the same" "$(told -- "$old" --version)" \
		"$(sha_of "$old")"
	plant "$old"
	is "without reading it" "$(told -- "$old" --version)" "$false"
	is "nor as a later one" "$(told -- sh -c "$old --version; exit 0" |
		grep -c "$false")" 1
	ln -sfn "$(key_of "$old")-${false:1}" "$(place_of "$old")"
	is "half an entry is none" "$(told -- "$old" --version)" \
		"$(sha_of "$old")"
	is "and made good" "$(readlink "$(place_of "$old")")" \
		"$(key_of "$old")-$(sha_of "$old")"
fi

# One of the user's own, which is new.
mkdir "$T/bin"
chmod 755 "$T" "$T/bin"
cp -L /usr/bin/true "$T/bin/prog"
is "what is new is read" "$(told -- "$T/bin/prog")" "$(sha_of "$T/bin/prog")"
check "and not kept" test ! -L "$(place_of "$T/bin/prog")"
plant "$T/bin/prog"
is "what was kept would be told" "$(told -- "$T/bin/prog")" "$false"

# Where the payload can write it, it is read each time.
is "but not of what is writable inside" \
	"$(told --bind "$T/bin" /opt/b -- /opt/b/prog)" "$(sha_of "$T/bin/prog")"
is "read-only at the same place it is" \
	"$(told --ro-bind "$T/bin" /opt/b -- /opt/b/prog)" "$false"

# In the middle of it; whoever wrote sets the time back.
key=$(key_of "$T/bin/prog")
touch -r "$T/bin/prog" "$T/time"
printf x | dd of="$T/bin/prog" bs=1 seek=$(($(stat -c %s "$T/bin/prog") - 1)) \
	conv=notrunc status=none
touch -r "$T/time" "$T/bin/prog"
is "with its old size and time" "$(key_of "$T/bin/prog" | cut -d - -f 1-4)" \
	"$(echo "$key" | cut -d - -f 1-4)"
is "a changed one is read anew" "$(told -- "$T/bin/prog")" \
	"$(sha_of "$T/bin/prog")"
is "and kept when it is old enough only" \
	"$(readlink "$(place_of "$T/bin/prog")")" "$key-$false"

# Nobody else has a say.
plant "$T/bin/prog"
chmod 770 "$HASHES"
is "a folder in which others write is none" "$(told -- "$T/bin/prog")" \
	"$(sha_of "$T/bin/prog")"
chmod 700 "$HASHES"
mv "$HASHES" "$T/elsewhere"
ln -s "$T/elsewhere" "$HASHES"
is "nor is a link to one" "$(told -- "$T/bin/prog")" "$(sha_of "$T/bin/prog")"
rm "$HASHES"
if is_root; then
	cp -a "$T/elsewhere" "$HASHES"
	chown 65534 "$HASHES"
	is "nor is another user's" "$(told -- "$T/bin/prog")" \
		"$(sha_of "$T/bin/prog")"
	rm -r "$HASHES"
fi
mv "$T/elsewhere" "$HASHES"
is "it was all the same one" "$(told -- "$T/bin/prog")" "$false"

# refused TREE TEXT: it cannot be had to be written.
refused() {
	expect_exit 125 "$M9M" --no-artifact --bind "$1" /opt/s -- true
	contains "$T/err" "$2"
}
refused "$HASHES" "it is the record of runs"
refused "$XDG_STATE_HOME" "which the sandbox may change"
mkdir "$T/other"
XDG_STATE_HOME=$T/other told -- true >/dev/null
mv "$T/other/m9m-sandbox/hashes" "$T/away"
ln -s "$T/away" "$T/other/m9m-sandbox/hashes"
XDG_STATE_HOME=$T/other refused "$T/away" \
	"$T/other/m9m-sandbox/hashes: it lies in $T/away"
mkdir "$T/seen"
ln -s "$T/seen" "$T/other/m9m-sandbox/looks"
XDG_STATE_HOME=$T/other refused "$T/seen" \
	"$T/other/m9m-sandbox/looks: it lies in $T/seen"
