# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2154  # what tests/lib.sh sets
#
# For the attacks that come as one program: matrix NAME.  The caller has made
# attack(), which runs the program in the sandbox "$@" and prints its lines, and
# layers, the names that can be switched off.  NAME.table says which layers stop
# each attack by themselves.

SWITCHED=$TOP/$B/m9m-sandbox-test

# without LAYERS COMMAND...: the program with switches, these layers off.
without() {
	M9M_TEST_OFF=$1 attack "$SWITCHED"
}

all_but() {
	local layer
	for layer in $layers; do [ "$layer" = "$1" ] || printf '%s,' "$layer"; done
}

# column FILE VERDICT: the names of attacks with that verdict.
with_verdict() { awk -v v="$2" '$2 == v { print $1 }' "$1" | sort; }

# Prints the attacks of the table that this awk condition on $0 and NF selects.
rows() { awk "!/^#/ && ($1) { print \$1 }" "$T/table" | sort; }

# none_ran WHAT FILE NAMES: of those that can be shown here.
none_ran() {
	with_verdict "$2" ran >"$T/ran"
	echo "$3" | sort >"$T/named"
	is "$1" "$(comm -12 "$T/ran" "$T/named" 2>&1 | xargs)" ""
}

matrix() {
	local layer
	need strings
	[ -x "$SWITCHED" ] || skip "no $SWITCHED (make tests)"
	cp "$TOP/tests/attack/$1.table" "$T/table"
	# What Landlock alone stops is not stopped by a kernel without it.
	has_landlock || sed -i '/^#/! s/ landlock//' "$T/table"
	is "the real program has no such switches" \
		"$(strings "$M9M" | grep -c M9M_TEST_OFF)" 0
	check "the other one has" grep -q M9M_TEST_OFF "$SWITCHED"

	without "$(all_but none)" >"$T/none"
	# Another machine may have an attack more or less.
	is "the table has all attacks" \
		"$(comm -23 <(cut -d' ' -f1 "$T/none" | sort) <(rows 1) | xargs)" ""
	echo "# cannot be shown here: $(with_verdict "$T/none" held | xargs)"
	check "without layers they work ($(with_verdict "$T/none" ran | wc -l))" \
		test "$(with_verdict "$T/none" held | wc -l)" -le 6

	attack "$M9M" >"$T/full"
	is "as many were tried" "$(wc -l <"$T/full")" "$(wc -l <"$T/none")"
	none_ran "with all layers none works" "$T/full" "$(rows "NF > 1")"

	for layer in $layers; do
		if [ "$layer" = landlock ] && ! has_landlock; then
			echo "# no Landlock in this kernel"
			continue
		fi
		without "$(all_but "$layer")" >"$T/only"
		none_ran "$layer alone holds what it is to hold" "$T/only" \
			"$(rows "/ $layer( |\$)/")"
		without "$layer" >"$T/off"
		none_ran "without $layer the others hold" "$T/off" \
			"$(rows "NF > 2 || NF == 2 && \$2 != \"$layer\"")"
	done
}

has_landlock() { "$M9M" --explain true | grep -q '^landlock  *version'; }
