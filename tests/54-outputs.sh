#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Outputs by pattern, outputs that may be missing, and how the host's paths are
# meant; whatever the payload made of the names.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq

mkdir "$T/o"
out() { run "$M9M" -q --no-artifact --result "$T/r.json" "$@" </dev/null; }
names() { (cd "$T/o" && find . -mindepth 1 -printf '%P\n' | sort | paste -sd ' '); }
fresh() { rm -rf "$T/o" && mkdir "$T/o"; }

echo "# patterns"
MAKE='mkdir -p d1/sub d2 .hid; echo 1 >a.txt; echo 2 >b.txt; echo 3 >.h.txt
	echo 4 >d1/x.o; echo 5 >d2/y.o; echo 6 >d1/sub/z.o; echo 7 >.hid/x.o'
while read -r pattern wanted; do
	fresh
	out --output-file "$pattern:$T/o" sh -c "$MAKE"
	is "exit 0 for $pattern" "$rc" 0
	is "$pattern" "$(names)" "$wanted"
done <<'END'
*.txt a.txt b.txt
?.txt a.txt b.txt
[b-z].txt b.txt
d?/*.o x.o y.o
d*/sub/z.o z.o
[d]1 d1 d1/sub d1/sub/z.o d1/x.o
.h* .h.txt .hid .hid/x.o
*/sub sub sub/z.o
END
is "the last one holds what it should" "$(cat "$T/o/sub/z.o")" 6
fresh
out --output-file "*.txt:$T/o/new/folder/" sh -c "$MAKE"
is "its folder is made" "$(names)" "new new/folder new/folder/a.txt new/folder/b.txt"
fresh
echo old >"$T/o/a.txt"
ln -s "$T/secret" "$T/o/b.txt"
echo secret >"$T/secret"
out --output-file "*.txt:$T/o" sh -c "$MAKE"
is "what was there is replaced, a link not followed" \
	"$(cat "$T/o/a.txt" "$T/o/b.txt" "$T/secret" | paste -sd ' ')" "1 2 secret"
fresh
(cd "$T/o" && out --output-file 'd1/*.o' sh -c "$MAKE")
is "without a target: into the current folder" "$(names)" x.o

echo "# what does not match, or may not"
fresh
out --output-file "*.none:$T/o" --output-file "a.txt:$T/o/a" sh -c "$MAKE"
is "no match is an error" "$rc $(json "$T/r.json" .stage)" "125 outputs"
contains "$T/err" "cannot copy out *.none: nothing matches"
is "the others are copied" "$(names)" a
out --output-file "d*/same:$T/o" sh -c 'mkdir d1 d2; echo 1 >d1/same; echo 2 >d2/same'
is "two of one name" "$rc" 125
contains "$T/err" "cannot copy out d2/same to $T/o/same: the output d1/same went there"
is "the first is there" "$(cat "$T/o/same")" 1
out --output-file "f*:$T/o" sh -c 'i=0; while [ $i -lt 1001 ]; do : >f$i; i=$((i+1)); done'
is "too many" "$rc" 125
contains "$T/err" "more than 1000 files match"
for bad in '/etc/*' '../*' 'a/**/b' 'd/../../*'; do
	out --output-file "$bad:$T/o" true
	is "refused: $bad" "$rc" 125
done

echo "# the payload's tricks"
fresh
TRICKS="ln -s $T/secret l.txt; ln -s $T outside; mkfifo p.txt; echo ok >z.txt"
check "outside of a sandbox the link leads to the secret" sh -c \
	"cd '$T/o' && ln -s '$T' outside && cat outside/secre* >/dev/null"
fresh
out --output-file "*.txt:$T/o" sh -c "$TRICKS"
is "a link that matches is refused" "$rc" 125
contains "$T/err" "cannot copy out l.txt: a symbolic link is on the way"
is "what is a file is copied, and nothing else" "$(names)" z.txt
fresh
out --optional-output "outside/secre*:$T/o" --optional-output "out*/secret:$T/o" \
	sh -c "$TRICKS"
is "no pattern goes through a link" "$rc $(names)" "0 "
out --output-file "e*:$T/o" sh -c \
	'echo n >"$(printf "e\nvil")"; echo e >"$(printf "e\033[31m")"; ln -s x "$(printf "e\033]0;link")"'
is "odd names are names" "$rc $(find "$T/o" -type f | wc -l)" "125 3"
lacks "$T/err" $'\033'
fresh

echo "# the payload chooses the names of what matches"
OWN='mkdir src; echo theirs >src/file; echo theirs >Makefile'
own() { fresh; mkdir "$T/o/src"; echo mine | tee "$T/o/src/file" >"$T/o/Makefile"; }
here() {
	cd "$T/o" && out "$@"
	cd "$OLDPWD" || exit
}
mine() { (cd "$T/o" && cat src/file Makefile | paste -sd ' '); }
own
here --output-file src --output-file Makefile sh -c "$OWN"
is "what is named is replaced" "$(mine)" "theirs theirs"
own
here --output-file '*' sh -c "$OWN; echo new >new"
is "a pattern alone replaces nothing" "$rc $(mine)" "125 mine mine"
contains "$T/err" "cannot copy out Makefile for the pattern * to $T/o/Makefile: File exists"
contains "$T/err" 'add ":."'
is "what is new comes" "$(cat "$T/o/new")" new
own
here --output-file '*' --output-file 'M*:.' --print-spec sh -c "$OWN"
is "and a printed spec says no more than was said" \
	"$(jq -c '.outputs | map(.to)' "$T/out")" "[null,\"$T/o\"]"
cp "$T/out" "$T/printed.json"
here --spec "$T/printed.json" --print-spec
check "nor when it is read and printed" cmp "$T/out" "$T/printed.json"
(cd "$T/o" && run "$M9M" -q --spec - <<<"$(jq '.outputs |= .[:1]' "$T/printed.json")")
is "so that it replaces nothing either" "$(mine)" "mine mine"
here --output-file 'M*:.' sh -c "$OWN"
is "a file is, in a folder that is named" "$rc $(mine)" "0 mine theirs"
for pattern in '*:.' "*:$T/o/"; do
	own
	here --output-file "$pattern" sh -c "$OWN"
	is "a folder never is: $pattern" "$rc $(mine)" "125 mine theirs"
	contains "$T/err" "named without a pattern"
done
own
out --output-file "*:$T/o" sh -c 'mkdir Makefile; echo theirs >src'
is "nor one by a file, nor a file by one" "$rc $(mine)" "125 mine mine"
fresh
here --output-file '.*' --output-file '*' sh -c '
	mkdir -p .git/hooks .vscode .ok; touch .envrc .ok/f lefthook.yml fine'
is "nothing that the user's tools obey" "$rc $(names)" "125 .ok .ok/f fine"
contains "$T/err" "cannot copy out .envrc for the pattern .*: is run by direnv"
here --output-file .envrc --output-file .vscode sh -c 'mkdir .vscode; touch .envrc'
is "but what is named" "$rc $(names)" "0 .envrc .ok .ok/f .vscode fine"

echo "# none takes the place of another"
TWO='mkdir d e; echo d >d/x; echo e >e/x; echo x >x'
fresh
ln -s "$T/o" "$T/link"
out --output-file "*/x:$T/o" --output-file "x:$T/link/x" sh -c "$TWO"
is "by another name of the folder" "$rc $(cat "$T/o/x")" "125 d"
out --output-file "x:$T/link/x" sh -c "$TWO"
is "which can be used by itself" "$rc $(cat "$T/o/x")" "0 x"
fresh
out --output-file "x:$T/o/d/x" --output-file "d:$T/o/d" sh -c "$TWO"
is "nor a folder that of one below it" "$rc $(cat "$T/o/d/x")" "125 x"
contains "$T/err" "cannot copy out d to $T/o/d: the output x went there"
fresh
out --output-file "d:$T/o/d" --output-file "x:$T/o/d/x" sh -c "$TWO"
is "nor one below it that of its own" "$rc $(cat "$T/o/d/x")" "125 d"
out --output-file "d:$T/o/d" --output-file "x:$T/o/d/y" sh -c "$TWO"
is "beside what it holds is fine" "$rc $(cat "$T/o/d/x" "$T/o/d/y" | paste -sd ' ')" "0 d x"

fresh
echo "# what may be missing"
out --optional-output "none:$T/o/none" --optional-output "*.none:$T/o" \
	--optional-output "a.txt:$T/o/a" sh -c "$MAKE"
is "is none, and what is there comes" "$rc $(names)" "0 a"
out --optional-output "l:$T/o/l" sh -c "ln -s $T/secret l"
is "a link is no missing file" "$rc $(names)" "125 a"
fresh
mkdir -p "$T/spec/in" "$T/home"
echo in >"$T/spec/in/file"
echo home >"$T/home/file"
cat >"$T/spec/s.json" <<'END'
{"command": ["sh", "-c", "cat in/file h; echo made >made"],
 "inputs": ["in", {"from": "~/file", "to": "h"}],
 "outputs": [{"from": "none", "optional": true}, {"from": "made", "to": "../o/made"},
	{"from": "mad*", "to": "~/", "optional": true},
	{"from": "in/*", "optional": false}],
 "artifact": false}
END
expect_exit 0 env -C / HOME="$T/home" "$M9M" -q --spec "$T/spec/s.json"
is "inputs: against the spec's folder, and ~" "$(paste -sd ' ' "$T/out")" "in home"
is "outputs too" "$(cat "$T/o/made" "$T/home/made" "$T/spec/file" | paste -sd ' ')" \
	"made made in"
HOME=$T/home expect_exit 0 "$M9M" --spec "$T/spec/s.json" --print-spec
is "--print-spec tells which may be missing" \
	"$(jq -c '[.outputs[] | .optional // false]' "$T/out")" \
	"[true,false,true,false]"
for bad in '{"from":"a","optional":"yes"}' '{"from":"a","optinal":true}'; do
	echo "{\"command\":[\"true\"],\"outputs\":[$bad]}" >"$T/bad.json"
	expect_exit 125 "$M9M" --spec "$T/bad.json"
done
echo '{"command":["true"],"inputs":[{"from":"/etc/hostname","optional":true}]}' >"$T/bad.json"
expect_exit 125 "$M9M" --spec "$T/bad.json"

echo "# a link that one output brings is no way for the next, nor for our records"
victim() {
	rm -rf "$T/o" "$T/victim"
	mkdir -p "$T/o" "$T/victim"
	echo own >"$T/victim/keys"
}
plant='mkdir d; ln -s '$T'/victim d/k; echo evil >keys; mkdir e; ln -s '$T'/victim e/k'
victim
expect_exit 0 "$M9M" -q --no-artifact --output-file "d:$T/o/d" sh -c "$plant"
is "a link comes out as it is" "$(readlink "$T/o/d/k")" "$T/victim"
victim
run "$M9M" -q --no-artifact --output-file "d:$T/o/d" \
	--output-file "keys:$T/o/d/k/keys" sh -c "$plant"
check "the second output fails" test "$rc" != 0
contains "$T/err" "a symbolic link that the output d brought is on the way"
is "what the link leads to is untouched" "$(cat "$T/victim/keys")" own
victim
run "$M9M" -q --no-artifact --output-file "[e]:$T/o" \
	--output-file "keys:$T/o/e/k/new" sh -c "$plant"
contains "$T/err" "a symbolic link that the output e brought is on the way"
is "nor by a pattern" "$(ls "$T/victim")" keys
victim
for record in "--result $T/o/d/k/r.json" "--artifact $T/o/d/k/a.tar" \
	"--events $T/o/d" "--metrics-dir $T/o/d/k"; do
	# shellcheck disable=SC2086  # two words
	expect_exit 125 "$M9M" -q --output-file "d:$T/o/d" $record sh -c "$plant"
	contains "$T/err" "which the output d brings"
done
expect_exit 125 "$M9M" -q --no-artifact --output-file "*:$T/o" \
	--result "$T/o/new/r.json" true
contains "$T/err" 'which the output * brings'
expect_exit 0 "$M9M" -q --no-artifact --output-file "d:$T/o/d" \
	--result "$T/o/r.json" sh -c "$plant"
is "beside it is fine" "$(ls "$T/victim")" keys

echo "# blocks are shared where they can be"
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
	head -c 300000 /dev/urandom >"$T/data"
	run strace -f -e trace=ioctl -o "$T/trace" "$M9M" -q --no-artifact \
		--input "$T/data" --output-file "data:$T/o/data" true
	is "asked for in and out" "$(grep -c FICLONE "$T/trace")" 2
	check "copied all the same where they cannot" cmp "$T/data" "$T/o/data"
else
	echo "# strace cannot be used here"
fi

echo "# a place that is none"
expect_exit 125 "$M9M" -q --no-artifact --output-file "f:$SELF/f" sh -c 'echo x >f'
contains "$T/err" "cannot open folder $SELF: Not a directory"
contains "$T/err" "--output-file NAME:DEST brings it elsewhere"
