#!/bin/bash
# SPDX-License-Identifier: MIT
#
# scripts/lint.sh C_FILE... -- SHELL_FILE...: every checker we have, and the
# house rules that no checker knows.  COMPILE holds the compiler's flags.
# All findings are printed; the exit status is 1 when there was one.
# shellcheck disable=SC2317  # functions are called through step
set -u

c_files=() shell_files=()
into=c_files
for arg; do
	if [ "$arg" = -- ]; then
		into=shell_files
	elif [ "$into" = c_files ]; then
		c_files+=("$arg")
	else
		shell_files+=("$arg")
	fi
done
shopt -s nullglob
headers=(*.h)
test_c=(tests/*.c tests/guest/*.c tests/*.h bench/*.c bench/*.h)
manuals=(man/*.[1-9])
failed=0
# Quoted as for a shell: -DM9M_VERSION='"0.1.0"'
declare -a flags="(${COMPILE-})"

# step NAME COMMAND...: runs it; any failure or (for rules) output is a finding.
step() {
	local name=$1 out status=0
	shift
	out=$("$@" 2>&1) || status=$?
	if [ "$status" != 0 ]; then
		failed=1
		printf 'lint: %s:\n%s\n' "$name" "$out"
	else
		printf '  LINT %s\n' "$name"
	fi
}

# clang-tidy counts warnings in system headers on stderr: only stdout matters.
tidy() {
	local file status=0
	for file in "${c_files[@]}"; do
		printf '%s\0' "$file"
	done | xargs -0 -P "$(nproc)" -I{} clang-tidy --quiet {} -- \
		"${flags[@]}" 2>/dev/null || status=1
	return "$status"
}

rule() {
	! grep -nE -- "$1" "${@:2}"
}

# Functions over 60 lines and files over 600.
sizes() {
	awk 'FNR == 1 { start = 0 }
		/^\{/ { start = FNR }
		/^\}/ { if (start && FNR - start > 60) {
				printf "%s:%d: function of %d lines\n",
					FILENAME, start, FNR - start
				bad = 1 }
			start = 0 }
		FNR == 601 { printf "%s: over 600 lines\n", FILENAME; bad = 1 }
		END { exit bad }' "$@"
}

# A file says its licence first, and a header guards itself.
heads() {
	local file bad=0
	for file in "${c_files[@]}" "${headers[@]}" "${test_c[@]}"; do
		head -n 1 "$file" | grep -q 'SPDX-License-Identifier: MIT' ||
			{ echo "$file: no SPDX line"; bad=1; }
	done
	for file in "${headers[@]}"; do
		# Rows for an X-macro, made to be included into an initialiser.
		case $file in *_table.h) continue ;; esac
		grep -q '^#pragma once' "$file" ||
			{ echo "$file: no #pragma once"; bad=1; }
	done
	return "$bad"
}

# An #if inside a function hides half of it from whoever reads on this machine.
conditionals() {
	awk '/^\{/ { inside = 1 } /^\}/ { inside = 0 }
		inside && /^#[ \t]*if/ {
			print FILENAME ":" FNR ": " $0; bad = 1 }
		END { exit bad }' "$@"
}

all_c=("${c_files[@]}" "${headers[@]}" "${test_c[@]}")
step clang-format clang-format --dry-run -Werror "${all_c[@]}"
step clang-tidy tidy
# It does not know the cleanup attribute (resourceLeak, memleak; the analyzer
# of clang does), and takes an output argument for one that is read.
step cppcheck cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 \
	--enable=warning,performance,portability --library=posix \
	--suppress=missingIncludeSystem --suppress=unknownMacro \
	--suppress=resourceLeak --suppress=memleak --suppress=ctuuninitvar \
	--suppressions-list=.cppcheck-suppressions \
	-D__x86_64__ -D_GNU_SOURCE -DM9M_VERSION='"0"' "${c_files[@]}"
step shellcheck shellcheck -x "${shell_files[@]}"
[ "${#manuals[@]}" = 0 ] || step mandoc mandoc -Tlint -Wwarning "${manuals[@]}"
step sizes sizes "${c_files[@]}"
step heads heads
step conditionals conditionals "${c_files[@]}"
step goto rule '^[[:space:]]*goto ' "${c_files[@]}"
step left-overs rule '\b(TODO|FIXME|XXX)\b' "${c_files[@]}" "${headers[@]}"
modules=()
for file in "${c_files[@]}"; do
	case $file in sandbox.c | *_gen.c) ;; *) modules+=("$file") ;; esac
done
step exit rule '(^|[^_a-z])exit\(' "${modules[@]}"
step unbounded rule \
	'(^|[^_a-z])(strcpy|strcat|vsprintf|gets|atoi|atol|atof|system|popen)\(' \
	"${c_files[@]}"
exit "$failed"
