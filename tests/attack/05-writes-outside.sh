#!/bin/bash
# With a writable tree of the user's: what we write ourselves must not follow
# the payload's links out of it.
. "$(dirname "$0")/../lib.sh"

m9m() { "$M9M" -q "$@"; }
proj=$T/proj
mkdir -p "$proj/out" "$T/keys" "$T/safe"
chmod 777 "$proj" "$proj/out"
ln -s "$proj" "$T/alias"
swap='echo evil >k; rm -rf /proj/out; ln -s ../keys /proj/out'

# The payload can do it, and who follows the link is led outside.
expect_exit 0 m9m --no-artifact --bind "$proj" /proj -- sh -c "$swap"
check "the folder is a link now" test -L "$proj/out"
echo x >"$proj/out/followed"
check "which leads outside" test -e "$T/keys/followed"
rm -f "$T/keys/followed" "$proj/out"
mkdir -m 777 "$proj/out"

refused() {
	run m9m --bind "$proj" /proj "$@" -- sh -c "$swap"
	is "refused: $*" "$rc" 125
	contains "$T/err" "which the sandbox may change"
	is "nothing is outside" "$(ls -A "$T/keys")" ""
	check "nothing was run" test ! -L "$proj/out"
}
for place in "$proj/out" "$proj" "$T/alias/out" "$proj/new/deep"; do
	refused --no-artifact --output-file "k:$place/authorized_keys"
done
refused --artifact "$proj/out/a.tar"
refused --no-artifact --result "$proj/out/r.json"
refused --no-artifact --events "$proj/e.jsonl"
XDG_STATE_HOME=$proj/state refused --no-artifact
refused --no-artifact --ro-bind /usr /u --output-file "k:$proj/k"

# Nor the records: another run's journal tells --gc what to end and to write.
state=$XDG_STATE_HOME/m9m-sandbox
mkdir -p "$state/artifacts/mine"
for place in "$state/artifacts/mine" "$state/artifacts"; do
	expect_exit 125 m9m --no-artifact --bind "$place" /proj -- touch /proj/x
	contains "$T/err" "it is the record of runs"
	is "nothing was written" "$(find "$state/artifacts" -name x)" ""
done
expect_exit 0 m9m --no-artifact --ro-bind "$state/artifacts" /proj -- true

# Elsewhere, or beside a tree that is only shown: as ever.
expect_exit 0 m9m --bind "$proj" /proj --artifact "$T/safe/a.tar" \
	--output-file "k:$T/safe/k" --result "$T/safe/r.json" -- sh -c "$swap"
check "the output is there" grep -q evil "$T/safe/k"
expect_exit 0 m9m --no-artifact --ro-bind "$T/safe" /safe \
	--result "$T/safe/r.json" -- true
is "still nothing is outside" "$(ls -A "$T/keys")" ""
