#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One table of options, three places that tell of it: --help (made from the
# table) and the man page have the same flags with the same arguments in the same
# order, and the commands that the README shows use no others.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

MAN=$TOP/man/m9m-sandbox.1
README=$TOP/README.md

# Each prints "--flag -s ARG ARG", one flag a line.
help_flags() {
	"$M9M" --help | sed -n 's/^  \(--[a-z].*\)/\1/p' |
		sed 's/   *.*//' | normalise
}

man_flags() {
	sed -n 's/^\.It Fl -\([a-z].*\)/--\1/p' "$MAN" |
		sed 's/ , \([a-zA-Z]\)$/, -\1/' | normalise
}

# Of the commands it shows, which are indented by four.
readme_flags() {
	grep -E '^    .*m9m-sandbox ' "$README" | grep -oE -- '--[a-z][a-z-]*'
}

# The flag, its letter, and the words in capitals; markup and brackets go.
normalise() {
	local line
	while read -r line; do
		set -f
		# shellcheck disable=SC2086
		set -- ${line//[!A-Za-z0-9-]/ }
		set +f
		printf '%s' "$1"
		shift
		for word; do
			case $word in
			-[a-zA-Z]) printf ' %s' "$word" ;;
			*[!A-Z]*) ;;
			*) printf ' %s' "$word" ;;
			esac
		done
		echo
	done
}

same() {
	if diff "$T/$1" "$T/$2" >"$T/diff"; then
		ok "$3"
	else
		not_ok "$3"
		sed 's/^/# /' "$T/diff"
	fi
}

help_flags >"$T/help"
man_flags >"$T/man"
check "--help has flags to compare" test "$(wc -l <"$T/help")" -gt 30
same help man "the man page has the flags of --help, in its order"

sed -n 's/^\([A-Z][^(]*[a-z]\)\( (.*\)*:$/\1/p' <("$M9M" --help) |
	sed '/^Usage/d; /^Exit/d; /^Examples/d' >"$T/help.groups"
sed -n '/^\.Sh OPTIONS/,/^\.Sh SPEC/s/^\.Ss //p' "$MAN" >"$T/man.groups"
same help.groups man.groups "and its groups"

readme_flags | sort -u >"$T/readme"
sed 's/ .*//' "$T/help" | sort >"$T/help.names"
check "the README shows flags at work" test "$(wc -l <"$T/readme")" -ge 10
is "and all of them exist" "$(comm -23 "$T/readme" "$T/help.names")" ""

# Attacks: what the tables have is what the README counts, but for the rows that
# name a file of their own.
sed -n '/^| attacks | tried/,/^$/p' "$README" >"$T/attacks"
is "the README counts the attacks" \
	"$(awk -F '|' '!/\.sh`/ && $3 ~ /[0-9]/ { n += $3 } END { print n }' "$T/attacks")" \
	"$(cat "$TOP"/tests/attack/*.table | grep -vc '^#')"
is "and those by allowed programs" \
	"$(awk -F '|' '/10-by-allowed/ { print $3 + 0 }' "$T/attacks")" \
	"$(sed -n "/<<'ATTACKS'/,/^ATTACKS/p" "$TOP/tests/attack/10-by-allowed.sh" |
		sed '1d; $d' | wc -l)"

tells() {
	grep -qF -- "$1" "$T/help.text" && grep -qxF -- ".It $1" "$MAN"
}

"$M9M" --help >"$T/help.text"
for code in 124 125 126 127 128+N; do
	check "both tell of exit status $code" tells "$code"
done

# keys SCHEMA FILTER: each has an item in the man page.
keys() {
	jq -r "$2" "$TOP/schema/$1.schema.json" | while read -r key; do
		grep -qE "^\\.(It )?Cm (.* )?$key( |\$)" "$MAN" || echo "$key"
	done
}
if command -v jq >/dev/null; then
	is "the man page has each event" \
		"$(keys event '.properties.event.enum[]')" ""
	is "and each key of the result" "$(keys result '.required[]')" ""
fi

# What a spec can say, by the table: groups by their members.
sed -n '/^\.Sh SPEC FILE/,/^\.Sh PROJECT/p' "$MAN" >"$T/man.spec"
tr -s ' \t\n' ' ' <"$TOP/option.c" |
	grep -oE '("[a-z_.]+", &type_|\.key = "[a-z_.]+)' |
	sed 's/", &type_//; s/.*["=. ]//' | sort -u >"$T/keys"
check "the table has keys" test "$(wc -l <"$T/keys")" -gt 50
is "the man page has each key of a spec" "$(while read -r key; do
	grep -qE "^\\.(It )?Cm (.* )?$key( |\$)" "$T/man.spec" || echo "$key"
done <"$T/keys")" ""

if command -v mandoc >/dev/null; then
	mandoc -Tlint -Wwarning "$MAN" >"$T/lint"
	is "mandoc finds nothing wrong" "$(cat "$T/lint")" ""
fi

# Where things are: each module has its place in the table.
sed -n 's/^| \(`[^|]*\) |.*/\1/p' "$TOP/HACKING.md" | tr -d '`' |
	xargs -n 1 echo >"$T/rooms"
is "HACKING.md has a place for each module" "$(for file in "$TOP"/*.c; do
	name=${file##*/}
	while read -r room; do
		# shellcheck disable=SC2254  # a pattern
		case $name in $room | $room.c) continue 2 ;; esac
	done <"$T/rooms"
	echo "$name"
done)" ""
