#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The user's own project: read fully, written apart from the real tree, in each
# mode; as whose, and where it may not be.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq zstd tar git

STATE=$XDG_STATE_HOME/m9m-sandbox
P=$T/p
make_project() {
	rm -rf "$P"
	mkdir -p "$P/sub/deep" "$P/gone"
	(
		cd "$P" || exit
		echo one >a
		echo two >sub/deep/b
		echo three >gone/c
		echo private >own
		chmod 600 own
		ln -s a link
		truncate -s 1M sparse
		git init -q .
		git add .
		git -c user.email=a@b -c user.name=n commit -qm first
	)
}
# Everything of the tree, with times; access times change by reading.
picture() {
	(cd "$P" && find . -printf '%p %y %m %U %s %T@ %C@ %l\n' | sort &&
		find . -type f -exec sha256sum {} + | sort)
}
CHANGE='cat a sub/deep/b own link && echo more >>a && rm -r gone &&
	echo new >sub/new && mkdir gone && chmod 755 sub/deep/b && ln -s a l2'

make_project
picture >"$T/before"
for mode in overlay copy; do
	expect_exit 0 "$M9M" -q --project "$P" --project-mode "$mode" \
		--artifact "$T/$mode.tar" --result "$T/r.json" sh -c "$CHANGE"
	is "$mode: all is read" "$(paste -sd ' ' "$T/out")" "one two private one"
	picture >"$T/after"
	check "$mode: the real tree is as it was" cmp "$T/before" "$T/after"
	is "$mode: what was written is in the archive" \
		"$(tar -xOf "$T/$mode.tar" work/a work/sub/new |
			paste -sd ' ')" "one more new"
	is "$mode: nothing is left" "$(find "$STATE/runs" -mindepth 1)" ""
done
is "overlay: only what was written" \
	"$(tar -tf "$T/overlay.tar" | grep -c sparse)" 0
check "copy: all of it" grep -q sparse <(tar -tf "$T/copy.tar")

# A file of mode 000 and a tool that locks the folder leave nothing behind.
expect_exit 0 "$M9M" -q --project "$P" sh -c 'git status --short && git log --oneline | cut -d " " -f 2'
is "git finds its tree, and it is clean" "$(cat "$T/out")" first
picture >"$T/after"
check "and so it stays" cmp "$T/before" "$T/after"

# --- ro and bind -----------------------------------------------------------

expect_exit 0 "$M9M" -q --project "$P" --project-mode ro sh -c \
	'cat own; ! touch x 2>/dev/null && ! rm a 2>/dev/null'
picture >"$T/after"
check "ro: nothing can be written" cmp "$T/before" "$T/after"
if is_root; then
	expect_exit 125 "$M9M" -q --project "$P" --project-mode bind true
	contains "$T/err" "which nothing inside may ever be"
	chown -R 12345:12345 "$P"
fi
expect_exit 0 "$M9M" -q --project "$P" --project-mode bind sh -c 'echo x >>a'
is "bind: written in place" "$(paste -sd ' ' "$P/a")" "one x"
is "by its owner" "$(stat -c %u "$P/a")" "$(stat -c %u "$P")"
expect_exit 0 "$M9M" -q --project "$P" sh -c 'cat own; echo y >>own'
is "a user's tree is read as that user" "$(cat "$T/out")" private
is "and kept" "$(cat "$P/own")" private

expect_exit 0 "$M9M" -q --project "$P" --project-mode copy --disk 8M sh -c \
	'cat own; stat -f -c %T .'
is "a copy on a disk of its own" "$(paste -sd ' ' "$T/out")" "private tmpfs"

# --- by spec, and its own place --------------------------------------------

cat >"$T/spec.json" <<'END'
{"command": ["sh", "-c", "pwd; cat a"], "project": {"path": "p", "mode": "ro", "at": "/home/me/p"}}
END
expect_exit 0 env -C / "$M9M" -q --spec "$T/spec.json"
is "the path is against the spec, the place is its own" \
	"$(paste -sd ' ' "$T/out")" "/home/me/p one x"
echo '{"command": ["cat", "a"], "project": "p"}' >"$T/spec.json"
expect_exit 0 "$M9M" -q --spec "$T/spec.json"
expect_exit 0 "$M9M" --spec "$T/spec.json" --print-spec
json_is "$T/out" .project.path "$P"
expect_exit 0 "$M9M" --spec "$T/spec.json" --explain
matches "$T/out" "project  /work from $P rw"

# --- what is hidden ----------------------------------------------------------

echo secret >"$P/.env"
mkdir "$P/.aws"
echo secret >"$P/.aws/credentials"
echo mine >"$P/list.txt"
echo '*.txt' >"$P/.m9mignore"
is_root && chown -R 12345:12345 "$P"
LOOK='cat .env list.txt; ls .aws; for f in .env list.txt .aws/x; do
	echo x 2>&- >$f || echo kept; done; rm -rf .env .aws list.txt 2>&-; ls -d .env .aws'
for mode in overlay bind; do
	expect_exit 0 "$M9M" -q --project "$P" --project-mode "$mode" \
		--artifact "$T/hidden.tar" sh -c "$LOOK"
	is "$mode: what is hidden is empty, and stays" \
		"$(paste -sd ' ' "$T/out")" "kept kept kept .aws .env"
	is "$mode: it is on no list of changes" "$(
		tar -xOf "$T/hidden.tar" changes.json 2>&- | jq '.changes | length')" \
		"$([ "$mode" = bind ] || echo 0)"
	is "$mode: nor in the archive" "$(tar -xOf "$T/hidden.tar" | grep -c secret)" 0
done
# To the kernel a name that leads to another file by now, as when an editor saves,
# is one that is gone: it is looked for again, and never left as it is.
if is_root && ! sanitized && strace -f -o /dev/null true 2>/dev/null; then
	faulty=("$M9M" -q --no-artifact --project "$P" --project-mode bind cat .env)
	strace -f -o "$T/trace" -e trace=move_mount "${faulty[@]}" >/dev/null
	nth=$(grep "move_mount(" "$T/trace" | grep -n '"\.env"' | cut -d: -f1)
	expect_exit 0 strace -f -o "$T/trace" \
		-e inject=move_mount:error=ENOENT:when="$nth" "${faulty[@]}"
	contains "$T/trace" INJECTED
	is "a secret that is saved meanwhile is hidden" "$(cat "$T/out")" ""
	expect_exit 125 strace -f -o "$T/trace" \
		-e inject=move_mount:error=ENOENT:when="$nth+" "${faulty[@]}"
	contains "$T/err" "cannot mask"
	is "and shown to nobody where it cannot be" "$(cat "$T/out")" ""
	# The move of the workdir to its layers may want a block of the disk.
	expect_exit 125 strace -f -o "$T/trace" -e trace=renameat \
		-e inject=renameat:error=ENOSPC:when=1 \
		"$M9M" -q --no-artifact --project "$P" true
	matches "$T/err" "^m9m-sandbox: project: cannot move .*[.]work into the folder"
	lacks "$T/err" "is kept"
	is "nothing of that run stays" "$(ls -A "$XDG_STATE_HOME/m9m-sandbox/runs")" ""
fi
expect_exit 0 "$M9M" -q --project "$P" --project-mode copy \
	--artifact "$T/hidden.tar" sh -c 'ls -A; echo x >.env; mkdir .aws; echo y >.aws/credentials'
is "copy: it is not there" "$(grep -c 'env\|aws\|list' "$T/out")" 0
is "copy: what is made there is new" "$(tar -xOf "$T/hidden.tar" changes.json |
	jq -r '.changes | map(.change + " " + .path) | join(" ")')" \
	"added .aws/credentials added .env"
check "copy: there is a patch" tar -xf "$T/hidden.tar" -C "$T" changes.patch
lacks "$T/changes.patch" secret
lacks "$T/changes.patch" .env
lacks "$T/changes.patch" .aws
mkfifo "$P/list"
expect_exit 0 "$M9M" --project "$P" --project-mode copy --result "$T/r.json" \
	--artifact "$T/hidden.tar" sh -c 'ls'
rm "$P/list"
lacks "$T/out" list
check "copy: a fifo is left out, which is said" grep -q \
	"not in the copy of the project: 1 " "$T/r.json"
is "copy: and is no deletion" "$(tar -xOf "$T/hidden.tar" changes.json |
	jq '.changes | length')" 0
SHOW=(--show .env --show list.txt --show .aws)
for mode in overlay copy ro bind; do
	expect_exit 0 "$M9M" -q --project "$P" --project-mode "$mode" \
		"${SHOW[@]}" cat .env list.txt .aws/credentials
	is "$mode: what is named is shown" "$(paste -sd ' ' "$T/out")" \
		"secret mine secret"
done
expect_exit 0 "$M9M" -q --project "$P" "${SHOW[@]}" --artifact "$T/shown.tar" \
	sh -c 'echo more >>.env; rm list.txt'
is "and can be changed" "$(tar -xOf "$T/shown.tar" changes.json |
	jq -r '.changes | map(.change + " " + .path) | join(" ")')" \
	"modified .env deleted list.txt"
expect_exit 0 "$M9M" -q --project "$P" --show .env cat .env list.txt
is "the others stay hidden" "$(cat "$T/out")" secret
echo '{"command": ["cat", ".env"], "project": "p", "show": [".env"]}' >"$T/show.json"
expect_exit 0 "$M9M" -q --spec "$T/show.json"
is "by the spec" "$(cat "$T/out")" secret
rm "$P/list.txt" "$P/.m9mignore"
mkdir -p "$P/1/deep/er/still" "$P/2/wide"
(cd "$P/2/wide" && seq 4100 | xargs touch)
echo secret | tee "$P/1/.env" >"$P/1/deep/er/still/.env"
expect_exit 0 "$M9M" -q --project "$P" --result "$T/r.json" cat 1/.env 1/deep/er/still/.env
is "in a large tree the nearest are hidden" "$(cat "$T/out")" secret
contains "$T/r.json" "only the first 4000 entries"
echo .env >"$P/.m9mignore"
expect_exit 0 "$M9M" -q --project "$P" --result "$T/r.json" cat 1/.env 1/deep/er/still/.env
is "with a list of the user's, all" "$(cat "$T/out")" ""
rm -r "$P/1" "$P/2" "$P/.m9mignore"

# --- at the place of its program -------------------------------------------

# Shown by its host path with its package, which a package.json that a payload of
# an earlier run may have written makes the whole project.
SWITCHED=$TOP/$B/m9m-sandbox-test
mkdir "$P/bin" "$P/etc"
echo secret | tee "$P/.env" "$P/etc/.env" >"$P/etc/key.txt"
echo etc/key.txt >"$P/.m9mignore"
cat >"$P/bin/run" <<END
#!/bin/sh
echo one; cat $P/.env $P/etc/.env $P/etc/key.txt
END
cp "$P/bin/run" "$P/bin/.env"
chmod 755 "$P/bin/run" "$P/bin/.env"
echo '{"bin": {"x": "bin/run"}}' >"$P/package.json"
M9M_TEST_OFF=masks run "$SWITCHED" -q --project "$P" "$P/bin/run"
is "the program brings the project along" "$(grep -c secret "$T/out")" 3
for mode in overlay copy ro bind; do
	expect_exit 0 "$M9M" -q --project "$P" --project-mode "$mode" "$P/bin/run"
	is "$mode: and what is hidden is hidden there, too" "$(cat "$T/out")" one
done
expect_exit 1 "$M9M" --project "$P" --why "$P/etc/.env" "$P/bin/run"
contains "$T/out" "--show etc/.env"
expect_exit 0 "$M9M" -q --project "$P" --show etc/.env "$P/bin/run"
is "unless it is to be shown" "$(paste -sd ' ' "$T/out")" "one secret"
# In a tree of root's, which is shown there as it is, some folders are closed.
if is_root; then
	chown -R 0:0 "$P"
	chmod 700 "$P/etc"
	expect_exit 1 "$M9M" -q --project "$P" "$P/bin/run"
	is "what cannot be reached is hidden as a whole" "$(cat "$T/out")" one
	chown -R 12345:12345 "$P"
fi
rm "$P/package.json"
expect_exit 125 "$M9M" -q --project "$P" "$P/bin/.env"
contains "$T/err" "--show bin/.env shows it"
rm -r "${P:?}/bin" "${P:?}/etc" "$P/.env" "$P/.m9mignore"

# --- refusals --------------------------------------------------------------

refuse() {
	local text=$1
	shift
	expect_exit 125 "$M9M" -q "$@" true
	contains "$T/err" "$text"
}
refuse "cannot show the project $T/none: No such file" --project "$T/none"
refuse "--project names a folder that is there" --project "$SELF"
refuse "cannot show / as a project" --project /
HOME=$T/p refuse "it holds your home directory" --project "$P"
HOME=$T/p/sub refuse "it holds your home directory" --project "$P"
refuse "it holds the runs themselves" --project "$T"
refuse "cannot show / as a project" --project / --project-mode bind
HOME=$T/p refuse "it holds your home directory" --project "$P" \
	--project-mode bind
refuse "needs a project" --project-mode ro
refuse "needs a project" --show .env
refuse "its folder is hidden" --project "$P" --show .aws/credentials
refuse "is not below the workdir" --project "$P" --show ../.env
refuse "give one of the two" --project "$P" --workdir /w --project-at /x
refuse "shown as it is" --project "$P" --project-mode ro --input "$P/a"
refuse "which the sandbox may change" --project "$P" --project-mode bind \
	--result "$P/r.json"
refuse "is none of overlay, copy, ro, bind" --project "$P" --project-mode rw
refuse "No such file" --project "$T/none"
refuse "needs project mode copy" --project "$P" --disk 1M
cp "$T/spec.json" "$P/spec.json"
expect_exit 125 "$M9M" -q --spec "$P/spec.json" --project "$P" --project-mode bind
contains "$T/err" "a run could change the rules of the next"

# --- the hint --------------------------------------------------------------

printf '#!/bin/sh\n' >"$T/claude"
chmod 755 "$T/claude"
expect_exit 0 "$M9M" --prompt x "$T/claude"
contains "$T/err" "--project ."
expect_exit 0 "$M9M" --project "$P" --prompt x "$T/claude"
lacks "$T/err" "starts empty"
cd "$T" || exit
expect_exit 2 "$M9M" --prompt x ls claude
contains "$T/err" "starts empty; --project ."
expect_exit 2 "$M9M" --prompt x ls nothing
lacks "$T/err" "starts empty"
cd "$OLDPWD" || exit

# --- where it cannot be laid -----------------------------------------------

# An overlay is no upper layer.
is_root || exit 0
make_project
mkdir "$T/l" "$T/u" "$T/w" "$T/m"
if mount -t overlay none -o "lowerdir=$T/l,upperdir=$T/u,workdir=$T/w" "$T/m"; then
	on_exit umount "$T/m"
	picture >"$T/before"
	XDG_STATE_HOME=$T/m expect_exit 0 "$M9M" -q --project "$P" \
		--artifact "$T/copied.tar" --result "$T/r.json" sh -c "$CHANGE"
	is "copied where it cannot be laid" "$(paste -sd ' ' "$T/out")" \
		"one two private one"
	check "which is said" grep -q "the project was copied" "$T/r.json"
	picture >"$T/after"
	check "and the real tree is as it was" cmp "$T/before" "$T/after"
	is "nothing is left of it" "$(find "$T/m/m9m-sandbox/runs" -mindepth 1)" ""
fi
