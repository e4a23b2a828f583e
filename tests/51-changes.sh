#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What changed in a project: changes.json and a patch that git applies, for any
# names and contents; told by looking at what was written, not at the tree.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq tar git python3

P=$T/p
G=(git -c user.email=a@b -c user.name=n -c core.quotepath=off
	-c safe.directory='*' -c core.autocrlf=false)
A=$T/a.tar

# The tree's files and links but for git's own: kind, executable, content, name.
cat >"$T/manifest.py" <<'END'
import os, hashlib, sys
for d, dirs, files in os.walk(b"."):
    if b".git" in dirs: dirs.remove(b".git")
    for f in files + [x for x in dirs if os.path.islink(os.path.join(d, x))]:
        p = os.path.join(d, f)
        if os.path.islink(p): k, c = "l", os.readlink(p)
        else: k, c = "x" if os.stat(p).st_mode & 0o100 else "f", open(p, "rb").read()
        print(repr(p), k, hashlib.sha256(c).hexdigest())
END
# Grows a tree, or changes one, by a seed.
cat >"$T/grow.py" <<'END'
import os, random, shutil, sys
r = random.Random(int(sys.argv[1]))
odd = ["plain", "with space", "q\"uote", "back\\slash", "tab\there", "new\nline",
       "ümläut", "日本", "-dash", "a", "b", " lead", "trail ", "$(x)", "dot.c"]
def name(): return (r.choice(odd) + str(r.randrange(6))).encode()
def text():
    n = r.choice([0, 1, 2, 5, 40, 300])
    s = "\n".join(r.choice(["", "x", "line %d" % r.randrange(9), "\ttab", "cr\r"]) for _ in range(n))
    return s.encode() + (b"\n" if r.random() < .7 and n else b"")
def content():
    k = r.random()
    if k < .15: return bytes(r.randrange(256) for _ in range(r.randrange(3000)))
    if k < .2: return r.choice([b"\xff\xfe\x80 no utf8\n", b"\0", b"\n", b""])
    return text()
def every():
    out = []
    for d, dirs, files in os.walk(b"."):
        if b".git" in dirs: dirs.remove(b".git")
        out += [os.path.join(d, f) for f in files]
        out += [os.path.join(d, f) for f in dirs]
    return sorted(out)
def write(p, c):
    with open(p, "wb") as f: f.write(c)
def edit(c):
    l = c.splitlines(True)
    for _ in range(r.randrange(1, 6)):
        i = r.randrange(len(l) + 1)
        if r.random() < .5: l[i:i] = [r.choice([b"new\n", b"\n", b"no end"])]
        elif l: del l[min(i, len(l) - 1)]
    return b"".join(l)
for _ in range(int(sys.argv[2])):
    all_ = every(); k = r.random()
    dirs = [b"."] + [p for p in all_ if os.path.isdir(p) and not os.path.islink(p)]
    p = os.path.join(r.choice(dirs), name())
    old = r.choice(all_) if all_ else None
    try:
        if k < .3 or old is None: write(p, content())
        elif k < .4: os.mkdir(p)
        elif k < .45: os.symlink(r.choice([b"a", b"../x", b"/abs\nx", name()]), p)
        elif k < .7 and os.path.isfile(old) and not os.path.islink(old):
            write(old, edit(open(old, "rb").read()))
        elif k < .77: os.chmod(old, r.choice([0o755, 0o644])) if not os.path.isdir(old) else None
        elif k < .87: os.rename(old, p)
        elif os.path.isdir(old) and not os.path.islink(old): shutil.rmtree(old)
        else: os.unlink(old)
    except OSError: pass
END

seeds=(1 2 3 4 5 6 7 8)
for seed in "${seeds[@]}"; do
	rm -rf "$P" "$T/clone"
	mkdir "$P"
	(
		cd "$P" || exit
		"${G[@]}" init -q .
		python3 "$T/grow.py" "$seed" 60
		mkdir "end " && printf '\0\1' >"end /binary"
		"${G[@]}" add -A .
		"${G[@]}" commit -qm base --allow-empty
		# What git does not keep: empty folders.
		find . -name .git -prune -o -type d -empty -exec rmdir -p {} + 2>/dev/null
	)
	"${G[@]}" clone -q "$P" "$T/clone"
	cp "$T/grow.py" "$T/manifest.py" "$P/.git/"
	mode=overlay
	[ $((seed % 4)) != 0 ] || mode=copy
	run "$M9M" -q --project "$P" --project-mode "$mode" --artifact "$A" sh -c \
		"printf '\0\2' >'end /binary'
		python3 .git/grow.py 9$seed 60; python3 .git/manifest.py"
	sort "$T/out" >"$T/wanted"
	tar -xOf "$A" changes.patch >"$T/patch"
	tar -xOf "$A" changes.json >"$T/changes.json"
	(
		cd "$T/clone" || exit
		[ ! -s "$T/patch" ] || "${G[@]}" apply "$T/patch" 2>&1
		python3 "$T/manifest.py" | sort >"$T/got"
	)
	if cmp -s "$T/wanted" "$T/got" && [ -s "$T/patch" ]; then
		ok "seed $seed, $mode: git apply makes the same tree"
	else
		not_ok "seed $seed, $mode: git apply makes the same tree"
		diff "$T/wanted" "$T/got" | head -n 10 | sed 's/^/# /'
		show_output
	fi
	is "seed $seed: as many changes as git counts" \
		"$(jq '[.changes[] | select((.old // .new).type != "folder")] |
			length' "$T/changes.json")" \
		"$(cd "$T/clone" && "${G[@]}" add -A . &&
			"${G[@]}" diff --cached --name-status -z --no-renames |
			tr -cd '\0' | wc -c |
			awk -v r="$(jq '[.changes[] | select(.change ==
				"renamed")] | length' "$T/changes.json")" \
				'{print $1 / 2 - r}')"
	jq -j '.changes[] | .path + "\u0000"' "$T/changes.json" | xargs -0 \
		"$M9M" --apply "$A" --project "$P" -- >"$T/out" 2>"$T/err"
	is "seed $seed: --apply does too" "$? $(cd "$P" &&
		python3 "$T/manifest.py" | sort)" "0 $(cat "$T/wanted")"
done

# --- one of each -----------------------------------------------------------

rm -rf "$P"
mkdir -p "$P/dir/sub" "$P/same"
(
	cd "$P" || exit
	"${G[@]}" init -q .
	echo 1 >modified && echo 2 >deleted && echo moved >old-name
	echo 4 >dir/sub/x && echo 5 >dir/y && echo 6 >mode && ln -s a link
	echo 7 >same/touched && printf '\0\1' >binary
	"${G[@]}" add . && "${G[@]}" commit -qm base
)
expect_exit 0 "$M9M" -q --project "$P" --artifact "$A" --diff \
	--result "$T/r.json" sh -c '
	echo x >>modified; rm deleted; mv old-name new-name; rm -r dir
	chmod 755 mode; ln -sfn /etc link; touch same/touched; : >>same/touched
	printf "\0\2" >binary; mkdir -p .git/hooks .vscode empty
	echo evil >.git/hooks/pre-commit; echo "[core] fsmonitor = x" >>.git/config
	echo {} >.vscode/tasks.json; printf "a\033[31mb\n" >esc; echo n >"$(printf "\377")"
	mkfifo fifo'
cp "$T/err" "$T/diff"
tar -xOf "$A" changes.json >"$T/changes.json"
is "each is named once" "$(jq -r '.changes[] | .change[0:1] + " " + .path' \
	"$T/changes.json" | grep -v "$(printf '\xef\xbf\xbd')" | paste -sd ,)" \
	"m .git/config,a .git/hooks/pre-commit,a .vscode/tasks.json,m binary,d deleted,d dir/sub/x,d dir/y,a empty,a esc,m link,m mode,m modified,r new-name"
is "a name that is not UTF-8 is given in digits" \
	"$(jq -r '.changes[].path_hex // empty' "$T/changes.json")" ff
is "a rename has both names" \
	"$(jq -r '.changes[] | select(.from) | .from' "$T/changes.json")" old-name
is "what needs a second look is flagged" \
	"$(jq -r '.changes[] | select(.control) | .path' "$T/changes.json" |
		paste -sd ' ')" \
	".git/config .git/hooks/pre-commit .vscode/tasks.json link mode"
json_is "$T/r.json" '.changes | "\(.added) \(.modified) \(.deleted) \(.renamed)"' \
	"5 5 3 1"
json_is "$T/r.json" '[.changes.control[].path] | join(" ")' \
	".git/config .git/hooks/pre-commit .vscode/tasks.json link mode"
json_is "$T/r.json" '.changes.control[1].what' "a git hook"
lacks "$T/diff" "pre-commit"
contains "$T/diff" "rename from old-name"
contains "$T/diff" 'a\x1b[31mb'
is "whiteouts are no devices" "$(tar -xOf "$A" skipped.txt)" "fifo work/fifo"

# What the payload closed is told of as well, and not half of what is too large.
expect_exit 0 "$M9M" -q --project "$P" --artifact "$A" --result "$T/r.json" sh -c '
	echo x >>modified; chmod 0 modified; mkdir deep; echo n >deep/new
	chmod 200 deep/new; chmod 100 deep; rm link; truncate -s 65M link
	chmod 0 .'
is "all that was changed is told" "$(tar -xOf "$A" changes.json |
	jq -r '.changes[].path' | paste -sd ' ')" "deep deep/new link modified"
is "and is in the patch" "$(tar -xOf "$A" changes.patch |
	grep -c '^diff --git a/deep/new\|^+n$\|^diff --git a/modified\|^+x$')" 4
is "but for a file that is too large, wholly" "$(tar -xOf "$A" changes.patch |
	grep -c link)" 0
json_is "$T/r.json" .changes.not_in_patch 1
is "which is as it was" "$(tar -tvf "$A" |
	sed -n 's, .* work/\(\|deep/\|modified\)$, \1,p' | paste -sd ' ')" \
	"d---------  d--x------ deep/ ---------- modified"

# At a terminal it has colours, and no others than ours.
cat >"$T/terminal.py" <<'END'
import os, pty, subprocess, sys
m, s = pty.openpty()
p = subprocess.Popen(sys.argv[1:], stderr=s, stdin=subprocess.DEVNULL)
os.close(s)
try:
    while chunk := os.read(m, 4096): sys.stdout.buffer.write(chunk)
except OSError: pass
sys.exit(p.wait())
END
SAY='echo more >>modified; printf "a\033[31mb\n" >esc'
for no_color in "" 1; do
	expect_exit 0 env ${no_color:+NO_COLOR=1} python3 "$T/terminal.py" \
		"$M9M" -q --project "$P" --no-artifact --diff sh -c "$SAY"
	is "an added line${no_color:+, with NO_COLOR}" \
		"$(grep more "$T/out" | tr -d '\r\n' | sed 's/\x1b/ESC/g')" \
		"$([ -n "$no_color" ] && echo +more || echo 'ESC[32m+moreESC[0m')"
	contains "$T/out" 'a\x1b[31mb'
	lacks "$T/out" $'\033[31mb'
done

# An earlier run has written git's configuration: nobody asks git.
mkdir "$T/bin"
printf '#!/bin/sh\n: >%s\n' "$T/caught" | tee "$T/bin/git" >"$T/trap"
chmod 755 "$T/bin/git" "$T/trap"
git -C "$P" config core.fsmonitor "$T/trap"
"${G[@]}" -C "$P" status >/dev/null 2>&1
check "git itself is caught" rm "$T/caught"
expect_exit 0 env PATH="$T/bin:$PATH" "$M9M" -q --project "$P" \
	--artifact "$A" --diff sh -c 'echo more >>modified'
contains "$T/err" "+more"
check "we are not" test ! -e "$T/caught"
git -C "$P" config --unset core.fsmonitor

# A change of the user's during the run is told apart.
echo 1 >"$P/raced"
"${G[@]}" -C "$P" add raced
mkfifo "$T/go"
"$M9M" -q --project "$P" --artifact "$A" sh -c \
	'echo inside >raced; echo ready; read -r _' <"$T/go" >"$T/out" &
pid=$!
exec 8>"$T/go"
await_line "$T/out" ready
echo outside >"$P/raced"
echo >&8
exec 8>&-
wait "$pid"
is "a race is told" "$(tar -xOf "$A" changes.json |
	jq -c '.changes[] | select(.path == "raced") | .raced')" true

# In a large tree: by what was written.
if is_root; then
	rm -rf "$P"
	mkdir "$P"
	(cd "$P" && for i in $(seq 200); do
		mkdir "d$i" && touch d"$i"/{1..500}
	done)
	mkdir -p "$T/few"
	cp -r "$P"/d{1..12} "$T/few"
	looks() {
		strace -f -o "$T/trace" -e trace=openat,openat2,newfstatat,getdents64 \
			"$M9M" -q --project "$1" --artifact "$A" sh -c \
			'for i in $(seq 100); do echo x >>d1/$i; done; rm -r d2'
		tar -xOf "$A" changes.json | jq '.changes | length' >"$T/n"
		grep -c '(' "$T/trace"
	}
	if command -v strace >/dev/null && ! sanitized; then
		few=$(looks "$T/few")
		is "all changes are told" "$(cat "$T/n")" 600
		many=$(looks "$P")
		is "of the large tree too" "$(cat "$T/n")" 600
		echo "# looks of a run: $few at 6,000 files, $many at 100,000"
		check "neither its start nor its end reads the tree" test "$many" -le $((few + few / 20))
	fi
fi
