#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One table of options, three places that tell of it: --help (made from the
# table), the man page and the README name the same flags with the same
# arguments, the first two in the same order.
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

# Table rows such as: | `--allow HOST[:PORT]` | ... |
readme_flags() {
	# shellcheck disable=SC2016  # the backquotes are Markdown's
	sed -n 's/^| *`\(--[a-z][^`]*\)`.*/\1/p' "$README" | normalise
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

check "there is a README" test -f "$README"
if [ -f "$README" ]; then
	readme_flags | sort >"$T/readme"
	sort "$T/help" >"$T/help.sorted"
	same help.sorted "readme" "the README's table has the flags of --help"
fi

tells() {
	grep -qF -- "$1" "$T/help.text" && grep -qxF -- ".It $1" "$MAN"
}

"$M9M" --help >"$T/help.text"
for code in 124 125 126 127 128+N; do
	check "both tell of exit status $code" tells "$code"
done

if command -v mandoc >/dev/null; then
	mandoc -Tlint -Wwarning "$MAN" >"$T/lint"
	is "mandoc finds nothing wrong" "$(cat "$T/lint")" ""
fi
