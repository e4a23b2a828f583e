#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A project whose .git is a file: git works inside, on a copy of its records that
# is thrown away; and such a file, written by a payload, brings nothing into view.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq tar git

STATE=$XDG_STATE_HOME/m9m-sandbox
SWITCHED=$TOP/$B/m9m-sandbox-test
export HOME=$T/home GIT_CONFIG_NOSYSTEM=1
mkdir "$HOME"
git config --global user.email a@b
git config --global user.name n
git config --global protocol.file.allow always
git config --global safe.directory '*'

# --- what git makes ----------------------------------------------------------

M=$T/main
git init -q "$T/lib"
(cd "$T/lib" && echo lib >lib && git add . && git commit -qm lib)
git init -q "$M"
(
	cd "$M" || exit
	mkdir -p dir skipped
	echo one >a
	echo two >dir/b
	echo three >skipped/c
	git add .
	git commit -qm first
	git submodule -q add "$T/lib" sub
	git commit -qm second
	git worktree add -q "$T/tree" -b tree
	git worktree add -q "$T/sparse" -b sparse
	git -C sub worktree add -q "$T/subtree" -b subtree
) >/dev/null 2>&1
(cd "$T/sparse" && git sparse-checkout set dir) >/dev/null
check "the sparse one is that" test ! -e "$T/sparse/skipped"

# Every tree and all records, with times; access times change by reading.
picture() {
	(cd "$T" && find main tree sparse subtree lib -printf \
		'%p %y %m %U %s %T@ %l\n' | sort)
}
# The payload has no configuration of the user's.
GIT='git -c user.email=x@y -c user.name=x'
WORK="set -e; git status --porcelain; git log --format=%s | head -n 1
echo new >n; echo more >>FILE; git add n; git diff --stat | tail -n 1
$GIT commit -qam inside; git status --porcelain; git log --format=%s | head -n 1
git checkout -q -b other; git config my.key value; git gc -q; git fsck 2>&1"

GIT_WARNINGS='.warnings | map(select(test("git"))) | length'

picture >"$T/before"
each() {
	local name=$1 dir=$2 file=$3 subject=$4 mode=$5 before
	before=$(git -C "$dir" rev-parse HEAD)
	expect_exit 0 "$M9M" --project "$dir" --project-mode "$mode" \
		--artifact "$T/a.tar" --result "$T/r.json" \
		bash -c "${WORK//FILE/$file}"
	is "$name, $mode: git works" "$(paste -sd ' ' "$T/out")" \
		"$subject  1 file changed, 1 insertion(+) inside"
	json_is "$T/r.json" "$GIT_WARNINGS" 0
	is "$name, $mode: its head is where it was" \
		"$(git -C "$dir" rev-parse HEAD)" "$before"
	tar -xOf "$T/a.tar" changes.patch >"$T/patch"
	is "$name, $mode: the patch has the work" \
		"$(grep -c '^+new$\|^+more$' "$T/patch")" 2
	check "$name, $mode: git takes it" git -C "$dir" apply --check "$T/patch"
	is "$name, $mode: git's records are not in the archive" \
		"$(tar -tf "$T/a.tar" | grep -c 'objects\|refs/')" 0
	is "$name, $mode: nothing is left" "$(find "$STATE/runs" -mindepth 1)" ""
}
for mode in overlay copy; do
	each worktree "$T/tree" a second "$mode"
	each submodule "$M/sub" lib lib "$mode"
	each "a submodule's worktree" "$T/subtree" lib lib "$mode"
	each sparse "$T/sparse" dir/b second "$mode"
done
picture >"$T/after"
check "trees and records are as they were" cmp "$T/before" "$T/after"

# A sparse submodule has its place in another file of its configuration.
(cd "$M/sub" && git sparse-checkout set x) >/dev/null
is "the key has moved" "$(git config -f "$M/.git/modules/sub/config" \
	core.worktree)" ""
picture >"$T/before"
each "sparse submodule" "$M/sub" lib lib overlay

for dir in "$T/tree" "$M/sub"; do
	expect_exit 0 "$M9M" --project "$dir" --project-mode ro bash -c \
		"git status --porcelain; git log --format=%s | wc -l
		! touch x 2>&-; $GIT commit -q --allow-empty -m inside"
	matches "$T/out" '^[12]$'
	expect_exit 0 "$M9M" --project "$dir" --project-at "$dir" \
		git rev-parse --show-toplevel
	is "at its own place" "$(cat "$T/out")" "$dir"
done
expect_exit 0 "$M9M" --project "$T/tree" --project-mode copy --disk 8M \
	--result "$T/r.json" bash -c \
	"git status --porcelain; ! $GIT commit -q --allow-empty -m x 2>&1"
contains "$T/r.json" "--disk has no room"
expect_exit 0 "$M9M" --project "$T/tree" --project-at "$T" bash -c \
	"git status --porcelain && git rev-parse --git-common-dir"
is "where its own place is in the workdir" "$(cat "$T/out")" /run/git
expect_exit 0 "$M9M" --project "$T/tree" --ro-bind "$M" "$M" bash -c \
	"cat $M/a; ! touch $M/.git/x 2>&-"
is "what the user mounts there counts" "$(cat "$T/out")" one
expect_exit 0 "$M9M" --project "$T/tree" --tmpfs "$M/.git" ls "$M/.git"
is "also to hide it" "$(cat "$T/out")" ""
expect_exit 0 "$M9M" --project "$T/tree" --allow-command git \
	git log --format=%s
contains "$T/out" second
expect_exit 0 "$M9M" --project "$T/tree" --explain git status
matches "$T/out" "^  git +$M/.git rw"
# A repository within the project needs nothing.
expect_exit 0 "$M9M" --project "$M" --project-at "$M" git -C sub log --format=%s
is "git works in a submodule of the project" "$(cat "$T/out")" lib
expect_exit 0 "$M9M" --project "$M" git -C sub status --porcelain
picture >"$T/after"
check "and all is still as it was" cmp "$T/before" "$T/after"

# Where it cannot be laid: read-only.  An overlay is no upper layer.
if is_root; then
	mkdir "$T/l" "$T/u" "$T/w" "$T/m"
	mount -t overlay none -o \
		"lowerdir=$T/l,upperdir=$T/u,workdir=$T/w" "$T/m" || exit 99
	on_exit umount "$T/m"
	XDG_STATE_HOME=$T/m expect_exit 0 "$M9M" --project "$T/tree" \
		--result "$T/r.json" bash -c \
		"git log --format=%s | head -n 1; ! touch $M/.git/x 2>&-"
	is "it can be read" "$(cat "$T/out")" second
	contains "$T/r.json" "git's own records were read-only"
	# A submodule's name its tree, which is at another place.
	XDG_STATE_HOME=$T/m expect_exit 1 "$M9M" --project "$M/sub" \
		--result "$T/r.json" bash -c "git log 2>&1 || exit 1"
	contains "$T/r.json" "git did not work inside"
	XDG_STATE_HOME=$T/m expect_exit 0 "$M9M" --project "$M/sub" \
		--project-at "$M/sub" --result "$T/r.json" git log --format=%s
	is "at its own place, it can be read" "$(cat "$T/out")" lib
	contains "$T/r.json" "git's own records were read-only"
	is "nothing is left there" \
		"$(find "$T/m/m9m-sandbox/runs" -mindepth 1)" ""
	# Nor is it shown with other ids than its own, which git asks for.
	git -C "$T" clone -q "$M" "$T/m/clone" 2>&-
	git -C "$T/m/clone" worktree add -q "$T/rooted" -b rooted 2>&-
	for mode in overlay ro; do
		run "$M9M" --project "$T/rooted" --project-mode "$mode" \
			--result "$T/r.json" git log --format=%s
		is "$mode: git works, or it is said that it does not" "$(
			jq '.warnings | any(test("git did not work"))' "$T/r.json"
		)" "$([ "$rc" = 0 ] && echo false || echo true)"
		run "$M9M" --project "$T/m/clone" --project-mode "$mode" \
			--result "$T/r.json" git log --format=%s
		is "$mode: the same in the tree" "$(
			jq '.warnings | any(test("git takes them all"))' "$T/r.json"
		)" "$([ "$rc" = 0 ] && echo false || echo true)"
	done
fi

# What is left by one that was killed goes with the rest.
"$M9M" -q --project "$T/tree" bash -c "echo z >z; git add z; mkdir -m 0 $M/.git/x
	echo ready; exec sleep 60" >"$T/out" 2>&1 &
pid=$!
await_line "$T/out" ready
inner=$(inner "$pid")
kill -9 "$pid"
wait "$pid" 2>/dev/null
await_exit "$inner"
is "its records are there" "$(find "$STATE/runs" -path '*/git/worktrees' | wc -l)" 1
expect_exit 0 "$M9M" --gc
is "nothing is left of it" "$(find "$STATE/runs" -mindepth 1)" ""

# --- what a payload could have written ---------------------------------------

P=$T/p
O=$T/other
mkdir -p "$P" "$HOME/.ssh" "$T/given/refs" "$T/given/objects"
echo secret >"$HOME/.ssh/secret"
git init -q "$O"
(cd "$O" && git commit -qm x --allow-empty && git worktree add -q "$T/theirs" -b w) 2>&-
echo secret >"$O/.git/secret"
echo secret >"$O/.git/worktrees/theirs/secret"
echo secret >"$T/given/secret"
echo secret >"$M/.git/modules/sub/secret"

# refused WORDS FOLDER: what the .git file of $P names shows nothing of FOLDER.
refused() {
	local words=$1 folder=$2
	M9M_TEST_OFF=gitdir expect_exit 0 "$SWITCHED" -q --project "$P" \
		cat "$folder/secret"
	is "believed, it shows $folder" "$(cat "$T/out")" secret
	expect_exit 1 "$M9M" --project "$P" --result "$T/r.json" \
		cat "$folder/secret"
	contains "$T/r.json" "git does not work inside"
	contains "$T/r.json" "$words"
}
says() { echo "gitdir: $1" >"$P/.git"; }

says "$HOME/.ssh"
refused "is not where git makes such a folder" "$HOME/.ssh"
says ../home/.ssh
refused "is not where git makes such a folder" "$HOME/.ssh"
says "$O/.git"
refused "is not where git makes such a folder" "$O/.git"
ln -s "$O/.git" "$P/link"
says link
refused "is not where git makes such a folder" "$O/.git"
says "$O/.git/worktrees/theirs"
refused "does not name this tree" "$O/.git/worktrees/theirs"
says "$M/.git/modules/sub"
refused "does not name this tree" "$M/.git/modules/sub"
# Somewhere else that a payload has written, as an output.
printf 'ref: refs/heads/x\n' >"$T/given/HEAD"
printf '[core]\n\tworktree = %s\n' "$P" >"$T/given/config"
says "$T/given"
refused "is not where git makes such a folder" "$T/given"
forge() {
	mkdir -p "$T/given/worktrees/x"
	echo "$P/.git" >"$T/given/worktrees/x/gitdir"
	echo "$1" >"$T/given/worktrees/x/commondir"
	cp "$T/given/HEAD" "$T/given/worktrees/x/HEAD"
	says "$T/given/worktrees/x"
}
cp "$T/given/secret" "$T/given/refs/secret"
mkdir -p "$T/given/worktrees/x"
cp "$T/given/secret" "$T/given/worktrees/x/secret"
forge "$O/.git"
refused "is not where git makes such a folder" "$T/given/worktrees/x"
forge ../../../other/.git
refused "is not where git makes such a folder" "$T/given/worktrees/x"
mv "$T/given/objects" "$T/given/objects.away"
forge ../..
refused "is no git directory" "$T/given/worktrees/x"
ln -s objects.away "$T/given/objects"
refused "is no git directory" "$T/given/worktrees/x"

mkdir -p "$T/given/.git/modules/x"
cp "$T/given/HEAD" "$T/given/config" "$T/given/secret" "$T/given/.git/modules/x"
says "$T/given/.git/modules/x"
refused "is no git directory" "$T/given/.git/modules/x"

# not_shown WORDS ARG...: what has nothing to show, or what it shows is its own.
not_shown() {
	local words=$1
	shift
	expect_exit 0 "$M9M" "$@" --explain true
	contains "$T/out" "$words"
	matches "$T/out" '^  project'
	is "no git directory is shown" "$(grep -c '^  git ' "$T/out")" 0
}
# A link in the place of another worktree of theirs, in a tree that a payload
# could write as well, does not make their records this project's.
mkdir "$T/q"
git -C "$O" worktree add -q "$T/q/wt" -b q 2>&-
says "$O/.git/worktrees/wt"
rm -r "$T/q/wt"
ln -s "$P" "$T/q/wt"
not_shown "does not name this tree" --project "$P"

mkdir -p "$P/g/worktrees/x" "$P/g/objects" "$P/g/refs"
for dir in "$P/g" "$P/g/worktrees/x"; do cp "$T/given/HEAD" "$dir/HEAD"; done
echo "$P/.git" >"$P/g/worktrees/x/gitdir"
echo ../.. >"$P/g/worktrees/x/commondir"
says g/worktrees/x
not_shown "lies in the project" --project "$P"
if is_root; then
	mkdir "$T/alias"
	mount --bind "$P/g" "$T/alias" || exit 99
	on_exit umount "$T/alias"
	says "$T/alias/worktrees/x"
	not_shown "lies in the project" --project "$P"
	chown -R 12345:12345 "$O"
	says "$O/.git/worktrees/theirs"
	echo "$P/.git" >"$O/.git/worktrees/theirs/gitdir"
	not_shown "is not the project's owner's" --project "$P"
	chown -R 0:0 "$O/.git/worktrees/theirs"
	not_shown "is not in a folder of the project's owner" --project "$P"
fi
for text in / /proc/self/fd /proc/self/root ../../../.. /x /worktrees/x \
	"$P" . "" "$T/none"; do
	says "$text"
	not_shown "git does not work inside" --project "$P"
done
printf 'gitdir: %s\0/x' "$O/.git" >"$P/.git"
not_shown "neither a folder nor a file" --project "$P"
head -c 100000 /dev/zero | tr '\0' / >"$P/.git"
not_shown "neither a folder nor a file" --project "$P"
rm "$P/.git" && mkfifo "$P/.git"
not_shown "neither a folder nor a file" --project "$P"
rm "$P/.git" && ln -s "$O/.git" "$P/.git"
not_shown "neither a folder nor a file" --project "$P"
HOME=$M/.git/info not_shown "holds your home directory" --project "$T/tree"
mkdir "$M/.git/state"
XDG_STATE_HOME=$M/.git/state not_shown "holds the runs" --project "$T/tree"

# Trees in a bare repository: git works in one, and in one beside it, and nothing
# else that lies in it is seen, although the git directory is.
git clone -q --bare "$T/lib" "$T/bare"
for tree in bare/in bare/deep/er aside; do
	git -C "$T/bare" worktree add -q "$T/$tree" 2>&-
	echo secret | tee "$T/$tree/.env" >"$T/$tree/more.key"
done
echo secret >"$T/bare/.env"
# What it was, and what is no tree any more.
mkdir "$T/bare/old"
echo secret >"$T/bare/old/secret"
ln -s in "$T/bare/link"
bare_picture() {
	(cd "$T" && find bare aside -printf '%p %y %m %U %s %T@ %l\n' | sort)
}
bare_picture >"$T/before"
SEEN="find . $T/bare -type f -size +0 | xargs cat 2>&- | grep -a -m 1 secret;
	find $T/bare/old $T/bare/deep -mindepth 1; cat $T/bare/link/.env 2>&-"
for tree in bare/in bare/deep/er aside; do
	for mode in overlay bind; do
		# In place, root's tree is refused.
		if [ "$mode" = bind ] && is_root; then continue; fi
		expect_exit 0 "$M9M" -q --project "$T/$tree" \
			--project-mode "$mode" --result "$T/r.json" bash -c \
			"git status -uno --porcelain
			$GIT commit -q --allow-empty -m inside
			git log --format=%s | paste -sd ' '; git fsck"
		is "$tree, $mode: git works" "$(cat "$T/out")" "inside lib"
		json_is "$T/r.json" "$GIT_WARNINGS" 0
		run "$M9M" -q --project "$T/$tree" --project-mode "$mode" \
			bash -c "$SEEN"
		is "$tree, $mode: and shows no other tree" "$(cat "$T/out")" ""
	done
	run "$M9M" -q --project "$T/$tree" --project-at "$T/$tree" bash -c \
		"git log --format=%s; ${SEEN//$T\/bare/\$(git rev-parse --git-common-dir)}"
	is "$tree: nor at its own place" "$(cat "$T/out")" lib
	M9M_TEST_OFF=masks run "$SWITCHED" -q --project "$T/$tree" bash -c "$SEEN"
	contains "$T/out" secret
done
bare_picture >"$T/after"
check "all is as it was" cmp "$T/before" "$T/after"
expect_exit 1 "$M9M" --project "$T/aside" --why "$T/bare/old/secret" true
contains "$T/out" "not git's"
git -C "$T/bare" worktree add -q "$T/bare/info/tree" 2>&-
not_shown "trees among what is git's" --project "$T/aside"
not_shown "trees among what is git's" --project "$T/bare/in"
not_shown "trees among what is git's" --project "$T/bare/info/tree"
git -C "$T/bare" worktree remove -f "$T/bare/info/tree"
(cd "$T/bare" && seq -f stray%g 300 | xargs mkdir)
not_shown "has too much else in it" --project "$T/aside"
rm -r "$T/bare/stray"*

# What says nothing of the tree is shown if the user names it.
git init -q --separate-git-dir "$T/apart" "$P/sep"
git -C "$P/sep" commit -q --allow-empty -m apart
not_shown "is not where git makes such a folder" --project "$P/sep"
expect_exit 0 "$M9M" -q --project "$P/sep" --ro-bind "$T/apart" "$T/apart" \
	--result "$T/r.json" git -c safe.directory='*' log --format=%s
is "it is shown where the user says so" "$(cat "$T/out")" apart
json_is "$T/r.json" "$GIT_WARNINGS" 0

# Who hides the file hides what it names.
echo .git >"$T/sparse/.m9mignore"
expect_exit 0 "$M9M" --project "$T/sparse" --explain true
is "what is hidden names nothing" "$(grep -c '^  git ' "$T/out")" 0
rm "$T/sparse/.m9mignore"
expect_exit 0 "$M9M" --project "$M/sub" --project-mode copy --disk 8M --explain true
contains "$T/out" "--disk has no room"
expect_exit 0 "$M9M" --project "$M/sub" --project-mode copy --disk 8M \
	--project-at "$M/sub" git log --format=%s
contains "$T/out" lib

# --- in place, and for root another user's ------------------------------------

if is_root; then
	chown -R 12345:12345 "$M" "$T/tree" "$T/lib"
	chmod 711 "$T"
	chmod 700 "$M" "$T/tree"
fi
heads=$(git -C "$T/tree" rev-parse HEAD)
expect_exit 0 "$M9M" -q --project "$T/tree" --project-mode bind bash -c \
	"git status --porcelain; echo y >y; git add y; $GIT commit -qm inside
	git log --format=%s | head -n 1"
is "git works in place" "$(cat "$T/out")" inside
is "what was written in the tree is there" "$(cat "$T/tree/y")" y
is "and git's records are not" "$(git -C "$T/tree" rev-parse HEAD) $(
	git -C "$T/tree" status --porcelain)" "$heads ?? y"
expect_exit 0 "$M9M" -q --project "$T/tree" --bind "$M/.git" "$M/.git" bash -c \
	"$GIT commit -q --allow-empty -m kept"
is "unless they are bound too" "$(git -C "$T/tree" log -1 --format=%s)" kept
