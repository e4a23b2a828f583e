#!/bin/bash
# SPDX-License-Identifier: MIT
# bash completion offers what --help lists.

set -u
. completions/m9m-sandbox.bash

n=0
failed=0
complete_to() { # WHAT EXPECTED... -- WORD...
	local what=$1 expected=() hit=yes word
	shift
	while [ "$1" != -- ]; do expected+=("$1"); shift; done
	shift
	COMP_WORDS=("${M9M:-build/m9m-sandbox}" "$@")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	COMPREPLY=()
	_m9m_sandbox
	for word in "${expected[@]}"; do
		[[ " ${COMPREPLY[*]} " == *" $word "* ]] || hit=no
	done
	[ ${#expected[@]} -gt 0 ] || [ ${#COMPREPLY[@]} -eq 0 ] || hit=no
	n=$((n + 1))
	if [ $hit = yes ]; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what (${COMPREPLY[*]})"
		failed=1
	fi
}

# shellcheck disable=SC2046 # one flag a word
complete_to 'every flag of --help' \
	$("${M9M:-build/m9m-sandbox}" --help | sed -n 's/^  \(--[a-z-]*\).*/\1/p') \
	-- --
complete_to 'a short one' -h -- -
complete_to 'the rest of a flag' --timeout -- --time
complete_to 'nothing that is not there' -- --no-such
complete_to 'network modes' restricted deny -- --network ''
complete_to 'project modes' overlay bind -- --project-mode ''
complete_to 'not those of the other' -- --project-mode den
complete_to 'kinds of control groups' inherit v2 -- --cgroup ''
complete_to 'layers to do without' cgroup -- --allow-degraded ''
complete_to 'and no other' -- --allow-degraded se
complete_to 'files' tests/run -- --spec tests/ru
complete_to 'folders' tests/spec -- --workdir tests/spe
complete_to 'the second argument' -- --setenv A ''
complete_to 'an option after two arguments' --timeout -- --setenv A b --timeo
complete_to 'a variable to pass' HOME -- --pass-env HOM
complete_to 'an agent' codex -- --agent cod
complete_to 'the command' bash -- --quiet bas
complete_to 'the command after --' bash -- -- bas
complete_to "the command's arguments" tests/run -- cat tests/ru
complete_to "the command's arguments after --" tests/run -- -- cat tests/ru
complete_to "no option of ours among them" -- cat --time
echo "1..$n"
exit $failed
