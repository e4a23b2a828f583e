#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What is done instead of a run: it tells all that it was asked, or that it
# could not; and which file it was that it could not read.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

expect_exit 0 "$M9M" -q --artifact "$T/run.tar.zst" true

echo "# nothing is printed halfway and called done"
# full WORD...: with its output on a full disk.
full() {
	expect_exit 125 sh -c '"$@" >/dev/full' - "$M9M" "$@"
	matches "$T/err" 'No space left|Input/output error'
}
for words in --help --version --list-agents --doctor "--doctor --json" \
	"--explain true" "--print-spec true" "--why true true" \
	"--verify-audit $AUDIT" "--json --suggest $T/run.tar.zst true"; do
	# shellcheck disable=SC2086
	full $words
done

echo "# a file is named, whatever is wrong with it"
echo nothing >"$T/odd"
for words in "--apply $T/odd" "--report $T/page.html $T/odd" "--suggest $T/odd"; do
	# shellcheck disable=SC2086
	expect_exit 125 "$M9M" $words
	contains "$T/err" "$T/odd should be the archive"
done
expect_exit 125 "$M9M" --report "$T/none/page.html" "$T/run.tar.zst"
contains "$T/err" "cannot write $T/none/page.html: No such file"
