#!/bin/bash
# SPDX-License-Identifier: MIT
#
# In place, a payload shapes the tree that the next run looks through for
# secrets: it moves them to where nobody looks, locks their folder until then,
# puts any number of files before them, or changes the user's own list.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"

SWITCHED=$TOP/$B/m9m-sandbox-test
P=$T/p
# For root's runs the project is another user's.
chmod 711 "$T"

list='' # the user's
make_project() {
	chmod -R u+rwX "$P" 2>/dev/null
	rm -rf "$P"
	mkdir -p "$P/.git" "$P/node_modules" "$P/conf/deep" "$P/src"
	echo secret | tee "$P/conf/deep/.env" "$P/own" >/dev/null
	echo 'PRIVATE KEY secret' >"$P/src/key.pem"
	[ -z "$list" ] || echo "$list" >"$P/.m9mignore"
	! is_root || chown -R 12345:12345 "$P"
}
in_place() { "$M9M" -q --project "$P" --project-mode bind bash -c "$1"; }

# attack WHAT FIRST NEXT [WORDS]: what the first run does lets the next one read
# the secret where what the first may not do is not forbidden; WORDS say so.
attack() {
	local what=$1 first=$2 next=$3 words=${4-}
	make_project
	M9M_TEST_OFF=holds expect_exit 0 "$SWITCHED" -q --project "$P" \
		--project-mode bind bash -c "$first"
	run in_place "$next"
	is "$what: an attack" "$(cat "$T/out")" secret
	make_project
	run in_place "$first"
	[ -z "$words" ] || contains "$T/err" "$words"
	for mode in bind overlay ro; do
		run "$M9M" -q --project "$P" --project-mode "$mode" \
			bash -c "$next; cat conf/deep/.env src/key.pem ${list:-.env}"
		is "$what: nothing of it in mode $mode" "$(cat "$T/out")" ""
	done
}
for place in .git node_modules; do
	attack "into $place" "mv conf $place/" "cat $place/conf/deep/.env" \
		"Device or resource busy"
	attack "of what is deeper" "mv conf/deep $place/" \
		"cat $place/deep/.env" "Device or resource busy"
done
attack "by another name" "mv conf node_modules.new && rmdir node_modules &&
	mv node_modules.new node_modules" "cat node_modules/deep/.env"
list=own
attack "no list" ": >.m9mignore" "cat own" "Read-only file system"
attack "another list" "echo x >new && mv new .m9mignore" "cat own" \
	"Device or resource busy"

# A folder that nobody can look into, until its owner lets them; the same of what
# the user named, and of a file whose contents tell what it is.
list='src/key.pem'
make_project
expect_exit 0 in_place 'chmod 0 conf/deep src'
M9M_TEST_OFF=masks run "$SWITCHED" -q --project "$P" bash -c \
	'chmod 700 conf/deep && cat conf/deep/.env'
is "a locked folder: an attack" "$(cat "$T/out")" secret
for mode in overlay bind; do
	run "$M9M" -q --project "$P" --project-mode "$mode" bash -c \
		'chmod 700 conf/deep src; cat conf/deep/.env src/key.pem'
	is "$mode: what is in it is hidden" "$(cat "$T/out")" ""
done
expect_exit 0 "$M9M" -q --project "$P" --project-mode bind --show conf/deep --show conf/deep/.env \
	bash -c 'chmod 700 conf/deep && cat conf/deep/.env'
is "unless it is shown" "$(cat "$T/out")" secret
list=
make_project
chmod 0 "$P/src/key.pem"
run "$M9M" -q --project "$P" bash -c 'chmod 600 src/key.pem; cat src/key.pem'
is "a locked file" "$(cat "$T/out")" ""

# More than is looked through of a tree that no payload writes.
make_project
expect_exit 0 in_place 'mkdir a && cd a && seq 4100 | xargs touch'
expect_exit 0 "$M9M" -q --project "$P" --result "$T/r.json" cat conf/deep/.env
is "it is out of the look's reach" "$(cat "$T/out")" secret
contains "$T/r.json" "only the first 4000 entries"
expect_exit 0 "$M9M" -q --project "$P" --project-mode bind \
	--result "$T/r.json" cat conf/deep/.env
is "in place all is looked through" "$(cat "$T/out")" ""
lacks "$T/r.json" "only the first"

# What holds no secret is moved as ever, and what is beside one is written.
make_project
expect_exit 0 in_place 'mkdir lib && mv src/key.pem lib/ 2>&-; mv lib lib2 &&
	echo x >conf/new && mv conf/new conf/deep/ && rm conf/deep/new &&
	echo y >conf/deep/old && mv conf/deep/old . && rm own 2>&-; ls -d lib2 old'
is "the rest can be moved" "$(paste -sd ' ' "$T/out")" "lib2 old"
expect_exit 0 "$M9M" --project "$P" --project-mode bind --explain true
matches "$T/out" '^  hold +/work/conf/deep'
lacks "$T/out" .m9mignore
