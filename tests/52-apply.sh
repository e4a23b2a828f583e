#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --apply: a run's changes come into the project all together or not at all, and
# no archive writes anywhere else.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq tar git python3

P=$T/p
A=$T/a.tar
G=(git -c user.email=a@b -c user.name=n -c safe.directory='*'
	-c core.autocrlf=false)

# Every name with its kind, mode, and bytes.
tree() {
	(cd "$1" && find . -mindepth 1 -name .git -prune -o -printf '%y %m %p %l\n' | sort &&
		find . -name .git -prune -o -type f -print0 | sort -z |
		xargs -0r sha256sum)
}

make_project() {
	chmod -R u+rwX "$P" 2>/dev/null
	rm -rf "$P"
	mkdir -p "$P/dir/sub" "$P/fold"
	(
		cd "$P" || exit
		"${G[@]}" init -q .
		echo 1 >modified && echo 2 >deleted && echo moved >old-name
		echo 4 >dir/sub/x && echo 5 >dir/y && echo 6 >mode
		ln -s a link && printf '\0\1' >binary && echo 7 >fold/f
		echo 8 >plain
		"${G[@]}" add . && "${G[@]}" commit -qm base
	)
	rm -rf "$T/clone"
	"${G[@]}" clone -q "$P" "$T/clone"
}

apply() { run "$M9M" --apply "$A" --project "$P" "$@"; }
unchanged() { is "$1: nothing was touched" "$(tree "$P")" "$before"; }

# --- the same as git apply ---------------------------------------------------

for suffix in tar tar.gz tar.zst; do
	A=$T/a.$suffix
	make_project
	expect_exit 0 "$M9M" -q --project "$P" --artifact "$A" sh -c '
		echo x >>modified; rm deleted; mv old-name new-name; rm -r dir
		ln -sfn b link; printf "\0\2" >binary; mkdir -p new/deep
		echo n >new/deep/er; ln new/deep/er new/same
		rm -r fold; echo file >fold; rm plain; mkdir plain; echo p >plain/in
		printf "a\033[31mb\n" >"$(printf "esc\033[31m")"
		echo n >"$(printf "\377")"; truncate -s 3M sparse; echo >>sparse
		git status >/dev/null 2>&1; true'
	tar -xOf "$A" changes.patch >"$T/patch"
	(cd "$T/clone" && "${G[@]}" apply "$T/patch")
	before=$(tree "$P")
	apply --dry-run
	is "$suffix: a dry run ends well" "$rc" 0
	unchanged "$suffix: a dry run"
	cp "$T/out" "$T/dry"
	apply
	is "$suffix: it is applied" "$rc" 0
	check "$suffix: as the dry run said" cmp -s "$T/out" "$T/dry"
	is "$suffix: the same tree as by git apply" "$(tree "$P")" \
		"$(tree "$T/clone")"
done
contains "$T/out" "R old-name -> new-name"
contains "$T/out" "D dir/y"
contains "$T/out" "M modified"
contains "$T/out" 'A esc\x1b[31m'
lacks "$T/out" $'\033'

# --- what git does not know --------------------------------------------------

# The modes of folders; accents that stand for themselves, which a reader may join
# with their letters; a folder for a link, a file for all that a folder held.
A=$T/a.tar
make_project
mkdir -p "$P/only/sub" "$P/gone" && echo f >"$P/only/sub/f" && echo g >"$P/gone/g"
run "$M9M" -q --project "$P" --artifact "$A" bash -c "$(declare -f tree)"'
	umask 022
	mkdir -m 700 private private/empty; echo k >private/k
	echo n >dir/sub/n; chmod 555 dir/sub; rm gone/g; chmod 750 gone
	rm link; mkdir link; echo l >link/in; rm -r only/sub; echo s >only/sub
	joined=$(printf "\303\251") apart=$(printf "e\314\201")
	echo 1 >"$joined"; echo 2 >"$apart"; mkdir "$apart$apart"
	ln "$apart" "$apart$apart/$apart"; long=$(printf "%0120d" 0)
	echo 3 >"$apart$long"; ln "$apart$long" "$long$apart"
	truncate -s 3M "sparse$apart"; echo >>"sparse$apart"
	tree .'
is "the run" "$rc" 0
cp "$T/out" "$T/wanted"
apply
is "it is applied" "$rc" 0
is "the same tree as inside" "$(tree "$P" | diff "$T/wanted" -)" ""
make_project
(umask 022 && apply private/k)
is "a folder that was not chosen has its mode" "$(stat -c %a "$P/private")" 700

# What was written in a folder that its owner may not write; a file in the place
# of an empty folder.
make_project
mkdir "$P/empty" && chmod 555 "$P/dir/sub"
expect_exit 0 "$M9M" -q --project "$P" --artifact "$A" sh -c '
	echo x >>dir/sub/x; rmdir empty; mv plain empty'
apply
is "a file in a closed folder, a file for an empty one" \
	"$rc $(tail -n 1 "$P/dir/sub/x") $(stat -c %a "$P/dir/sub") $(cat "$P/empty")" \
	"0 x 555 8"

# A payload opens nothing of the user's to others.
make_project
chmod 666 "$P/plain"
expect_exit 0 "$M9M" -q --project "$P" --artifact "$A" sh -c '
	umask 0; echo x >>plain; chmod 777 fold; chmod 666 modified; mkdir -p all/in
	echo y >all/in/y; chmod 4777 mode; mv old-name all/in/z; chmod 666 all/in/z'
(umask 022 && apply --force . mode)
is "the umask holds, but for what was open" "$rc $(cd "$P" &&
	stat -c '%n:%a' plain fold modified all all/in all/in/y all/in/z mode |
	paste -sd ' ')" "0 plain:666 fold:755 modified:644 all:755 all/in:755 $(:
)all/in/y:644 all/in/z:644 mode:755"

# --- what is refused ---------------------------------------------------------

make_project
expect_exit 0 "$M9M" -q --project "$P" --artifact "$A" sh -c '
	echo x >>modified; rm deleted; echo y >dir/y; chmod 755 mode
	ln -s /etc/passwd out; ln -s dir .claude; ln -s dir .GitHub; mkdir -p .git/hooks sub
	ln -s ../dir/../../x sub/l
	echo evil >.git/hooks/post-checkout; mkdir .vscode; echo {} >.vscode/t.json'
before=$(tree "$P")
apply
is "control files are refused" "$rc" 1
unchanged "control files"
for one in ".git/hooks/post-checkout: a git hook" ".vscode/t.json: an editor" \
	"out: a link that leaves" "sub/l: a link that leaves" \
	".GitHub: is run by a CI" ".claude: an agent" "mode: a new executable"; do
	contains "$T/err" "$one"
done
apply .
is "a folder names none of them" "$rc" 1
unchanged "a folder"
apply ./
is "nor does it by another word" "$rc" 1
apply nowhere
is "a path without a change" "$rc" 1
contains "$T/err" "nothing was changed there"
echo mine >"$P/modified"
before=$(tree "$P")
apply modified deleted
is "changed meanwhile" "$rc" 1
contains "$T/err" "modified: it was changed since the run"
unchanged "changed meanwhile"
apply --force modified
is "--force" "$rc" 0
is "--force takes the run's" "$(cat "$P/modified")" "$(printf '1\nx')"
apply ./mode .vscode/t.json .git/hooks/post-checkout
is "what is named is applied" "$rc" 0
is "a new mode" "$(stat -c %a "$P/mode")" 755
is "a hook that was named" "$(cat "$P/.git/hooks/post-checkout")" evil
apply ./dir/
is "a folder's changes only" "$rc $(cat "$P/dir/y") $(ls "$P/deleted")" \
	"0 y $P/deleted"
expect_exit 125 "$M9M" --dry-run true
contains "$T/err" "needs --apply"
expect_exit 125 "$M9M" --apply "$T/none"
expect_exit 125 "$M9M" --apply "$P/plain" --project "$P"

# --- what the archive does not hold ------------------------------------------

# What was moved deeper than an archive goes is listed as deleted.
make_project
expect_exit 0 "$M9M" -q --project "$P" --artifact "$A" python3 -c '
import os
os.rename("deleted", "moved"); os.remove("plain"); os.symlink("mode", "plain")
os.remove("binary"); os.mkdir("binary")
open("modified", "a").write("x\n"); open("new", "w").write("n\n")
top = os.open(".", os.O_RDONLY)
for i in range(300): os.mkdir("d"); os.chdir("d")
os.rename("moved", "deleted", src_dir_fd=top)'
is "a moved file is in no list" "$(tar -xOf "$A" changes.json |
	jq -r '[.left_out, (.changes[].path | select(test("moved|d/")))] | @tsv' |
	cut -c 1-5)" "1	d/d"
told="not in this archive: 1 files or folders that the run made"
before=$(tree "$P")
for how in --dry-run -- .; do
	apply "$how"
	is "$how: what may be lost is refused" "$rc $(sed -n \
		's/.*refused: \(.*\): it goes, and may be.*(name it,.*/\1/p' "$T/err" |
		sort | paste -sd ' ')" "1 binary deleted plain"
	contains "$T/err" "$told"
	unchanged "$how: what may be lost"
done
apply modified new
is "the rest is applied, and told" "$rc $(grep -c "$told" "$T/err") $(cat "$T/out")" \
	"0 1 M modified
A new"
apply --force binary
is "--force" "$rc $(test -d "$P/binary" && echo folder)" "0 folder"
apply deleted plain
is "what is named goes" \
	"$rc $(readlink "$P/plain") $(test -e "$P/deleted" || echo gone)" "0 mode gone"

# Nor has it the bytes of all that is listed: of a file with too many holes, as if
# it had been one.
make_project
expect_exit 0 "$M9M" -q --project "$P" --artifact "$A" sh -c '
	echo x >>modified; mkdir new; echo n >new/n; echo s >new/strewn
	echo s >>mode; mv old-name new-name; rm deleted'
python3 -c '
import sys, tarfile
old, new = tarfile.open(sys.argv[1]), tarfile.open(sys.argv[2], "w")
for m in old:
    if m.name not in ("work/new/strewn", "work/mode", "work/new-name"):
        new.addfile(m, old.extractfile(m) if m.isreg() else None)
new.close()' "$A" "$T/less" && mv "$T/less" "$A"
before=$(tree "$P")
apply
is "what may be in it is not deleted" "$rc $(grep -c 'refused: ' "$T/err")" "1 1"
contains "$T/err" "refused: deleted: it goes"
unchanged "what may be in it"
for one in new/strewn mode new-name; do
	contains "$T/err" "left out: $one: the archive does not hold it"
done
for one in new/strewn mode new-name; do
	apply "$one"
	is "$one: named, it is refused" "$rc" 1
	contains "$T/err" "refused: $one: the archive does not hold it"
	unchanged "$one"
done
apply modified new
is "the rest of a folder is applied" "$rc $(grep -c 'left out' "$T/err") $(cat "$T/out")" \
	"0 1 M modified
A new/n"
make_project
apply --force
is "and so is the rest of all" "$rc $(grep -c 'left out' "$T/err") $(paste -sd , "$T/out")" \
	"0 3 D deleted,M modified,A new/n"
contains "$T/err" "not in this archive: 3 files or folders"
is "what is left out is as it was" "$(cat "$P/mode" "$P/old-name" | paste -sd ,)" \
	"6,moved"

# --- a git repository by any name --------------------------------------------

# To git, a folder with these parts is a repository, whose configuration it obeys.
HEAD='echo "ref: refs/heads/main" >docs/HEAD;'
CONFIG="printf '[core]\nrepositoryformatversion = 0\nbare = false\nworktree = .\nfsmonitor = \"%s\"\n' \
	'touch $T/caught; false' >docs/config;"
PARTS='mkdir -p docs/objects/aa docs/refs/heads; echo x >docs/objects/aa/k
	echo x >docs/refs/heads/.k;'

obeyed() {
	(cd "$P/docs" && git status) >/dev/null 2>&1
	rm "$T/caught" 2>/dev/null
}

# leave COMMANDS: a run that leaves what they make.
leave() {
	expect_exit 0 "$M9M" -q --project "$P" --artifact "$A" \
		sh -c "mkdir -p docs; $*"
}

make_project
(cd "$P" && mkdir docs && eval "$HEAD $CONFIG $PARTS")
check "git obeys the configuration in such a folder" obeyed
make_project
leave "$HEAD $CONFIG $PARTS"
is "the list says so" "$(tar -xOf "$A" changes.json |
	jq -r '.changes[] | select(.control) | .path' | paste -sd ' ')" \
	"docs/HEAD docs/config"
before=$(tree "$P")
apply
is "such a folder is refused" "$rc" 1
unchanged "such a folder"
contains "$T/err" "docs/HEAD: can make its folder a git repository"
contains "$T/err" "docs/config: git's configuration"
apply docs/HEAD docs/objects docs/refs
is "what is named is applied" "$rc" 0
apply docs/config
is "and this too" "$rc" 0
check "to the user's harm" obeyed

# In two steps, in either order; none of them is complete without a question.
make_project
leave "$CONFIG $PARTS"
apply
is "without a HEAD it is a folder like any other" "$rc" 0
check "to git too" eval '! obeyed'
leave "$HEAD"
before=$(tree "$P")
apply
is "a HEAD that comes later is refused" "$rc" 1
unchanged "a HEAD that comes later"
make_project
(cd "$P" && mkdir docs && eval "$HEAD")
leave "$CONFIG mkdir docs/hooks; echo x >docs/hooks/pre-commit; ln -s ../dir docs/refs
	mkdir docs/objects; cp -r dir docs/not; touch docs/not/config"
before=$(tree "$P")
apply
is "what comes to a HEAD is refused" "$rc" 1
unchanged "what comes to a HEAD"
is "and all of it is named" "$(sed -n 's/.*refused: \(.*\): .*(.*/\1/p' "$T/err" |
	sort | paste -sd ' ')" \
	"docs/config docs/hooks/pre-commit docs/objects docs/refs"

# By the user's own configuration a folder has the hooks.
make_project
(cd "$P" && git config core.hooksPath dir && echo "touch $T/caught" >dir/pre-commit &&
	chmod 755 dir/pre-commit && "${G[@]}" commit -qm x --allow-empty)
check "git runs what is there" rm "$T/caught"
leave 'echo exit >>dir/pre-commit'
before=$(tree "$P")
apply
is "a hook by configuration is refused" "$rc" 1
contains "$T/err" "dir/pre-commit: git's configuration names it"
unchanged "a hook by configuration"

# By whichever file of the user's, and from wherever its path counts.
by_git="git's configuration names it"
evil="echo touch $T/caught >>tools/hooks/pre-commit"
export HOME=$T/home
mkdir "$HOME"
hooked() {
	make_project
	mkdir -p "$P/tools/hooks"
	printf '#!/bin/sh\n' >"$P/tools/hooks/pre-commit"
	chmod 755 "$P/tools/hooks/pre-commit"
	(cd "$P" && "${G[@]}" add . && "${G[@]}" commit -qm hooks)
}
# caught_in TREE WHAT: git obeys it, and it is refused.
caught_in() {
	leave "rmdir docs; $evil"
	apply
	is "$2 is refused" "$rc" 1
	contains "$T/err" "tools/hooks/pre-commit: ${3:-$by_git}"
	(cd "$1" && eval "$evil" && "${G[@]}" commit -qm x --allow-empty)
	check "$2: git runs what is there" rm "$T/caught"
}
hooked
(cd "$P" && git config core.hooksPath "$P/tools/hooks")
caught_in "$P" "an absolute path"
hooked
(cd "$P" && git config core.hooksPath tools/hooks)
seq -f '[branch "a-branch-for-each-of-many-small-changes-%.0f"] remote = origin' \
	5000 >>"$P/.git/config"
caught_in "$P" "one before many branches"
hooked
printf '[core] hooksPath = tools/hooks # ours\n' >>"$P/.git/config"
caught_in "$P" "one in the line of its section"
hooked
(cd "$P" && git config include.path ../shared.cfg)
printf '[core]\nhooksPath = "tools/hooks"\n' >"$P/shared.cfg"
caught_in "$P" "one of an included file"
hooked
printf '[core]\nhooksPath = tools/hooks\n' >"$HOME/.gitconfig"
caught_in "$P" "one of the user's own configuration"
rm "$HOME/.gitconfig"
for variable in GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM; do
	hooked
	printf '[core]\nhooksPath = tools/hooks\n' >"$T/elsewhere"
	export "$variable=$T/elsewhere"
	caught_in "$P" "one of $variable's file"
	hooked
	mv "$T/elsewhere" "$P/elsewhere"
	export "$variable=elsewhere"
	caught_in "$P" "one of $variable's file in the tree"
	unset "$variable"
done
hooked
export GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=n \
	GIT_CONFIG_KEY_1=core.hooksPath GIT_CONFIG_VALUE_1=tools/hooks
caught_in "$P" "one in a variable"
unset "${!GIT_CONFIG_@}"
hooked
(cd "$P" && git config core.hooksPath . && cp tools/hooks/pre-commit . &&
	"${G[@]}" add . && "${G[@]}" commit -qm top)
chmod 700 "$P"
leave 'rmdir docs; echo x >>pre-commit; echo x >>dir/y'
is "where the tree itself is the folder, all of it is flagged" "$(tar -xOf "$A" \
	changes.json | jq -r '.changes[] | select(.control) | .path' | paste -sd ' ')" \
	"dir/y pre-commit"
apply
is "where the tree itself is the folder, it is refused" "$rc" 1
contains "$T/err" "refused: pre-commit: $by_git"
hooked
ln -s ../../tools/hooks/pre-commit "$P/.git/hooks/pre-commit"
caught_in "$P" "a hook that is a link" "a link to it has a name that tools obey"
hooked
(cd "$P" && git config core.hooksPath tools/hooks &&
	"${G[@]}" worktree add -q "$T/tree" -b tree)
P=$T/tree caught_in "$T/tree" "the repository's, in a worktree"
rm -rf "$T/tree"
hooked
(cd "$P" && git config core.hooksPath tools/hooks)
P=$P/tools leave 'rmdir docs; echo x >>hooks/pre-commit'
P=$P/tools apply
is "the repository's, in a folder of it, is refused" "$rc" 1
contains "$T/err" "refused: hooks/pre-commit: git's configuration names it"

mkdir -p "$P/sub/hooks" && echo x >"$P/sub/hooks/pre-commit"
(cd "$P/sub" && git init -q && git config core.hooksPath hooks)
leave 'rmdir docs; echo x >>sub/hooks/pre-commit'
apply
is "that of a repository in the project is refused" "$rc" 1
contains "$T/err" "refused: sub/hooks/pre-commit: $by_git"

# In a tree that is root's alone: by who may not reach it by its path.
hooked
(cd "$P" && git config core.hooksPath "$P/tools/hooks")
ln -s ../../dir/y "$P/.git/hooks/pre-push"
mkdir -p "$P/etc/git"
printf '[core]\nfsmonitor = /etc/git\n' >"$HOME/.gitconfig"
chmod 700 "$P"
leave "rmdir docs; $evil; echo x >>dir/y; echo x >etc/git/x"
is "the list says so of a private tree" "$(tar -xOf "$A" changes.json |
	jq -r '.changes[] | select(.control) | .path' | paste -sd ' ')" \
	"dir/y tools/hooks/pre-commit"
rm "$HOME/.gitconfig"

# In a home that is closed to whose the payload is.
hooked
printf '[core]\nhooksPath = tools/hooks\n' >"$HOME/.gitconfig"
echo x >"$P/rc" && ln -s "$P/rc" "$HOME/.bashrc"
chmod 700 "$HOME"
leave "rmdir docs; $evil; echo x >>rc"
is "the list says so of a private home" "$(tar -xOf "$A" changes.json |
	jq -r '.changes[] | select(.control) | .path' | paste -sd ' ')" \
	"rc tools/hooks/pre-commit"
rm "$HOME/.gitconfig" "$HOME/.bashrc"

# And so is what is obeyed for a link of the user's.
make_project
mkdir -p "$P/conf" && echo {} >"$P/conf/settings.json" && ln -s conf "$P/.claude"
echo x >"$P/rc" && ln -s "$P/rc" "$HOME/.bashrc"
mkdir -p "$P/.cursor/rules" && ln -s ../../dir/y "$P/.cursor/rules/y.mdc"
leave 'rmdir docs; echo x >>conf/settings.json; echo x >>rc; echo x >>dir/y'
before=$(tree "$P")
apply
is "what a link of a known name leads to is refused" "$rc" 1
contains "$T/err" "conf/settings.json: a link to it has a name that tools obey"
contains "$T/err" "refused: rc: a link to it has a name that tools obey"
contains "$T/err" "refused: dir/y: a link to it has a name that tools obey"
unchanged "what a link of a known name leads to"
make_project
(cd "$P" && mkdir -p tools/hooks && git config core.hooksPath tools/hooks)
leave 'rmdir docs; rm -r tools; ln -s dir tools'
apply tools
is "a link in the place of the folder is refused" "$rc" 1
rm -r "$HOME"

# Nor does a link leave the tree by one of the user's.
make_project
ln -s "$T" "$P/away"
leave 'ln -s away/x over; ln -s ../away docs/over; ln -s ../dir/y docs/within'
before=$(tree "$P")
apply
is "a link over one that leaves the tree is refused" "$rc" 1
is "and no other" "$(sed -n 's/.*refused: \(.*\): a link that leaves the tree .*/\1/p' \
	"$T/err" | paste -sd ' ')" "docs/over over"
unchanged "a link over one that leaves the tree"
apply docs/within
is "one that stays is applied" "$rc $(readlink "$P/docs/within")" "0 ../dir/y"
leave 'ln -s . here; ln -s here/away/x over; mkdir new; ln -s .. new/up;' \
	'ln -s new/up/away/x second; ln -s here third; ln -s new/x fourth'
apply
is "nor by way of a new one" "$(sed -n 's/.*refused: \(.*\): a link by way of .*/\1/p' \
	"$T/err" | paste -sd ' ')" "over second"

# A look of git's at a submodule is no change of the user's.
make_project
(cd "$P" && "${G[@]}" -c protocol.file.allow=always submodule -q add "$T/clone" sub &&
	"${G[@]}" commit -qm sub)
leave 'rmdir docs; git -C sub read-tree HEAD; echo x >>plain'
is "git wrote the submodule's index" "$(tar -xOf "$A" changes.json |
	jq -r '.changes[].path | select(test("modules"))')" .git/modules/sub/index
apply
is "which is left out" "$rc $(cat "$T/out")" "0 M plain"
leave 'echo "[core] fsmonitor = x" >>.git/modules/sub/config'
apply
is "its configuration is refused" "$rc" 1
contains "$T/err" ".git/modules/sub/config: a submodule's git directory"

# --- what the user's tools obey ----------------------------------------------

make_project
if command -v gdb >/dev/null; then
	echo "shell touch $T/caught" >"$P/.gdbinit"
	(cd "$P" && gdb -q -iex 'set auto-load safe-path /' -batch) >/dev/null 2>&1
	check "gdb obeys a file of the folder it is in" rm "$T/caught"
	rm "$P/.gdbinit"
fi
leave 'mkdir .cargo .zed; touch .cargo/config.toml .zed/settings.json .npmrc \
	.gdbinit mise.toml CLAUDE.md Makefile package.json'
before=$(tree "$P")
apply
is "what tools obey is refused" "$rc" 1
unchanged "what tools obey"
is "and no more than that is named" "$(sed -n 's/.*refused: \(.*\): .*(.*/\1/p' \
	"$T/err" | LC_ALL=C sort | paste -sd ' ')" \
	".cargo/config.toml .gdbinit .npmrc .zed/settings.json CLAUDE.md mise.toml"
contains "$T/err" "CLAUDE.md: instructs an agent"

# --- another user's tree -------------------------------------------------------

# Root's rights are of no use to an archive, and what comes is that user's.
if is_root; then
	make_project
	chown -R 65534:65534 "$P"
	leave 'rmdir docs; echo n >mine; echo x >>plain'
	apply
	is "root applies as the owner" \
		"$rc $(stat -c %u:%g "$P/mine" "$P/plain" | paste -sd ' ')" \
		"0 65534:65534 65534:65534"
fi

# --- hostile archives --------------------------------------------------------

cat >"$T/hostile.py" <<'END'
import hashlib, io, json, sys, tarfile
out, kind = sys.argv[1:]
def h(b): return hashlib.sha256(b).hexdigest()
def side(b=b"evil\n", **k):
    return dict({"type": "file", "mode": "0644", "size": len(b), "sha256": h(b)}, **k)
def add(path, **k): return dict({"path": path, "change": "added", "new": side()}, **k)
def member(t, name, b=b"evil\n", type=tarfile.REGTYPE, link=""):
    m = tarfile.TarInfo(name); m.type = type; m.linkname = link
    m.size = len(b) if type == tarfile.REGTYPE else 0
    t.addfile(m, io.BytesIO(b))
link = lambda to: dict(type="link", mode="0777", size=len(to), sha256=h(to.encode()), target=to)
changes, members = {
  "dotdot": ([add("../escape")], [("work/../escape",)]),
  "middle": ([add("a/../../escape")], [("work/a/../../escape",)]),
  "empty": ([add("")], [("work/x",)]),
  "dot": ([add("./x")], [("work/x",)]),
  "slashes": ([add("dir//x")], [("work/dir/x",)]),
  "end": ([add("x/")], [("work/x",)]),
  "long": ([add("x/" * 2100 + "x")], [("work/x",)]),
  "name": ([add("x" * 256)], [("work/x",)]),
  "from": ([dict(path="x", change="renamed", **{"from": "../other"}, old=side(), new=side())], [("work/x",)]),
  "absolute": ([add("/tmp/escape")], [("work//tmp/escape",)]),
  "nul": ([add("x", path_hex="6100")], [("work/a",)]),
  "parent": ([add("door/escape")], [("work/door/escape",)]),
  "above": ([add("door/in/escape")], [("work/door/in/escape",)]),
  "newparent": ([dict(path="way", change="added", new=link("..")), add("way/escape")], [("work/way/escape",)]),
  "inparent": ([dict(path="way", change="added", new=link("dir")), add("way/escape")], [("work/way/escape",)]),
  "twice": ([add("x")], [("work/x",), ("work/x",)]),
  "twolists": ([add("x"), add("x")], [("work/x",)]),
  "device": ([add("x")], [("work/x", b"", tarfile.CHRTYPE)]),
  "fifo": ([add("x")], [("work/x", b"", tarfile.FIFOTYPE)]),
  "symlink": ([add("x")], [("work/x", b"", tarfile.SYMTYPE, "/etc/passwd")]),
  "hardlink": ([add("x")], [("work/x", b"", tarfile.LNKTYPE, "/etc/passwd")]),
  "otherbytes": ([add("x")], [("work/x", b"good\n")]),
  "longer": ([add("x")], [("work/x", b"evil\n" * 9)]),
  "enormous": ([add("x", new=side(size=8e15))], [("work/x",)]),
  "negative": ([add("x", new=side(size=-1))], [("work/x",)]),
  "setid": ([add("x", new=side(mode="6755"))], [("work/x",)]),
  "hook": ([add(".git/hooks/pre-commit")], [("work/.git/hooks/pre-commit",)]),
  "wasexec": ([dict(path="plain", change="modified", old=side(b"8\n", mode="0755"), new=side(mode="0755"))], [("work/plain",)]),
  "negativelost": ([add("x")], [("work/x",)]),
  "good": ([add("x")], [("work/x",)]),
  "late": ([add("a1"), add("plain/x")], [("work/a1",), ("work/plain/x",)]),
}[kind]
text = json.dumps({"about": {"version": 1, "project": "/etc"}, "changes": changes,
    "left_out": -1 if kind == "negativelost" else 0}).encode()
with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as t:
    member(t, "changes.json", text)
    for m in members: member(t, *m)
END

make_project
mkdir -p "$T/outside/in"
ln -s ../outside "$P/door"
before=$(tree "$P")
outside() { ls -AR "$T/outside" && ls -A "$T"; }
all_before=$(outside)
for kind in dotdot middle empty dot slashes end long name from absolute nul \
	parent above newparent inparent twice twolists \
	device fifo symlink hardlink otherbytes longer enormous negative negativelost setid \
	hook wasexec late; do
	python3 "$T/hostile.py" "$T/a.tar" "$kind"
	apply
	check "$kind: refused ($rc)" test "$rc" = 1 -o "$rc" = 125
	unchanged "$kind"
	is "$kind: nothing outside" "$(outside)" "$all_before"
	check "$kind: not in /tmp" test ! -e /tmp/escape
done
for kind in dotdot middle empty dot slashes end long name from absolute nul; do
	python3 "$T/hostile.py" "$T/a.tar" "$kind"
	apply --dry-run --force
	contains "$T/err" "cannot take the changes of this archive"
done
for kind in parent above late; do
	python3 "$T/hostile.py" "$T/a.tar" "$kind"
	apply --dry-run
	is "$kind: a dry run is refused too" "$rc" 1
	contains "$T/err" "a file or a link is in its way"
done
python3 "$T/hostile.py" "$T/a.tar" wasexec
apply --force
is "a lie about the old mode is of no use" "$rc" 1
contains "$T/err" "a new executable"

# --- what has no end ---------------------------------------------------------

# bomb SIZE: the file x, and beside it so many zeros; packed it is nothing.
bomb() {
	python3 "$T/hostile.py" "$T/small.tar" good
	truncate -s "$1" "$T/zeros"
	mkdir "$T/more" && mkdir "$T/more/work" && mv "$T/zeros" "$T/more/work/zeros"
	tar -rf "$T/small.tar" -C "$T/more" work/zeros
	zstd -q -f -1 -o "$T/bomb.tar.zst" "$T/small.tar"
	rm -rf "$T/more" "$T/small.tar"
}
if command -v zstd >/dev/null; then
	make_project
	A=$T/bomb.tar.zst
	bomb 200M
	check "200 MiB in a few KiB" test "$(stat -c %s "$A")" -lt 100000
	apply
	is "are read to the end" "$rc $(cat "$P/x")" "0 evil"
	make_project
	before=$(tree "$P")
	bomb 400M
	apply
	is "more is refused" "$rc" 125
	contains "$T/err" "more than a thousand times its size"
	unchanged "a bomb"
	rm -f "$A"
	A=$T/a.tar
fi

# --- in the middle -----------------------------------------------------------

make_project
expect_exit 0 "$M9M" -q --project "$P" --artifact "$A" sh -c '
	echo x >>binary; rm deleted; mkdir new; echo n >new/n
	mv old-name new/name; dd if=/dev/zero of=zz bs=1k count=64 2>/dev/null
	rm dir/sub/x; chmod 700 dir; echo y >>fold/f'
before=$(tree "$P")
(ulimit -f 8 && exec "$M9M" --apply "$A" --project "$P") >"$T/out" 2>"$T/err"
is "a file too large to write" "$?" 125
unchanged "a file too large"
if ! is_root; then
	chmod 555 "$P/fold" "$P/dir/sub"
	before=$(tree "$P")
	apply
	is "a folder that cannot be written" "$rc" 125
	unchanged "a folder that cannot be written"
	chmod 755 "$P/fold" "$P/dir/sub"
fi
# The user's own editor is at it, after the check and before the exchange.
# meanwhile PATH...: of all, or of what changes places
meanwhile() {
	local pid before
	before=$(tree "$P" | grep -v zz)
	strace -f -o "$T/trace" -e trace=renameat2 \
		-e inject=renameat2:signal=STOP:when=1 \
		"$M9M" --apply "$A" --project "$P" "$@" >"$T/out" 2>"$T/err" &
	pid=$!
	await_line "$T/trace" 'stopped by SIGSTOP'
	echo theirs >"$P/dir/sub/x"
	echo theirs >"$P/fold/f"
	echo theirs >"$P/binary"
	kill -CONT "$(awk '/stopped by SIGSTOP/ {print $1}' "$T/trace")"
	wait "$pid"
	is "${*:-all}: changed at this moment" \
		"$? $(grep -c 'changed at this moment' "$T/err")" "125 1"
	is "theirs is kept" "$(cat "$P/dir/sub/x" "$P/fold/f" "$P/binary" | uniq -c |
		tr -s ' ')" " 3 theirs"
	is "and the rest is as it was" "$(tree "$P" | grep -v "sub/x\|fold/f\|binary")" \
		"$(echo "$before" | grep -v "sub/x\|fold/f\|binary")"
	rm "$T/trace"
	(cd "$P" && printf '\0\1' >binary && echo 4 >dir/sub/x && echo 7 >fold/f)
}
if command -v strace >/dev/null && ! sanitized; then
	# A file system without such renames: at the first one, and within.
	for k in 1 4; do
		before=$(tree "$P")
		run strace -f -o "$T/trace" -e trace=renameat2 \
			-e inject=renameat2:error=EINVAL:when=$k \
			"$M9M" --apply "$A" --project "$P"
		is "no exchange at rename $k" "$rc" 125
		contains "$T/err" "(NFS has not)"
		contains "$T/err" "a local file system"
		unchanged "no exchange at rename $k"
	done
	meanwhile
	meanwhile new fold/f
fi
mkdir "$T/libraries"
echo none >"$T/libraries/libarchive.so.13"
before=$(tree "$P")
run env LD_LIBRARY_PATH="$T/libraries" "$M9M" --apply "$A" --project "$P"
is "no library that reads archives" "$rc" 125
contains "$T/err" "install the package that has libarchive.so.13"
unchanged "no library that reads archives"
apply
is "and then it is applied" "$rc" 0
wanted=$(tree "$P")
if command -v strace >/dev/null && ! sanitized; then
	make_project
	rm -f "$T/trace"
	strace -f -o "$T/trace" -e trace=renameat2 \
		-e inject=renameat2:signal=STOP:when=1 \
		"$M9M" --apply "$A" --project "$P" >"$T/out" 2>"$T/err" &
	pid=$!
	await_line "$T/trace" 'stopped by SIGSTOP'
	child=$(awk '/stopped by SIGSTOP/ {print $1}' "$T/trace")
	check "meanwhile it is written where each belongs" \
		grep -q '^[0-9]* old-name -> new/name$' "$P"/.m9m-apply-*/names
	kill -TERM "$(ps -o ppid= -p "$child" | tr -d ' ')"
	kill -CONT "$child"
	wait "$pid"
	is "a signal in the middle waits for the end" "$(tree "$P")" "$wanted"
fi
