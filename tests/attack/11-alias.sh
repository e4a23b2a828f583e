#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Who may write into an allowed program runs whatever he likes under its name.
# A host's bind mounts give a file as many paths as there are mounts: with a
# list, a tree is not shown to be written when one of them leads from it to an
# allowed program, or to a library of one, or to our own record.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
need unshare setpriv python3

# --- a host of its own, with mounts as a user's can have them ---
cat >"$T/on-host" <<'END'
#!/bin/bash
# SOURCE:TARGET... -- COMMAND...
while [ "$1" != -- ]; do
	to=${1#*:}
	mount --bind "${1%%:*}" "${to/#\/proc\/self/\/proc\/$$}" || exit 99
	shift
done
shift
[ "$(id -u)" = 0 ] || exec setpriv --ambient-caps=-all --inh-caps=-all "$@"
exec "$@"
END
chmod 755 "$T" "$T/on-host"
world=(unshare -m "$T/on-host")
is_root || world=(unshare -U -m --map-current-user --keep-caps "$T/on-host")

own=$T/own data=$T/data
mkdir -p "$own/bin" "$data"/{folder,deep/er,"with a space"} "$T/opt"
: >"$data/file"
cp /usr/bin/true "$own/bin/tool"
cp /usr/bin/true "$own/bin/other"
ln "$own/bin/other" "$own/bin/twin"
chmod 755 "$own" "$own/bin" "$own/bin"/*
# Nothing inside may be root: to be written it is anybody's.
! is_root || chmod -R a+rwX "$own" "$data"
"${world[@]}" "$own:$data/folder" -- true || skip "no mount namespace can be made here"

# The rows: the host's mount, what is shown to be written, what is allowed, what
# of the tree is the same file.
cat >"$T/rows" <<ROWS
a folder of programs|$own/bin:$data/folder|$data|$own/bin/tool|folder/tool
the folder over it|$own:$data/deep/er|$data|$own/bin/tool|deep/er/bin/tool
a name with a space|$own:$data/with a space|$data|$own/bin/tool|with a space/bin/tool
one file|$own/bin/tool:$data/file|$data|$own/bin/tool|file
one file, and no more|$own/bin/tool:$data/file|$data/file|$own/bin/tool|
another name of it|$own/bin/twin:$data/file|$data|$own/bin/other|file
the program by its mount|$own/bin:$T/opt|$own|$T/opt/tool|bin/tool
ROWS

# What the payload would do, with cp for an agent.
while IFS='|' read -r what mount tree program file; do
	at=/s${file:+/$file}
	cp /usr/bin/true "$program" 2>/dev/null || cp /usr/bin/true "$own/bin/tool"
	run "${world[@]}" "$mount" -- "$M9M" -q --no-artifact --bind "$tree" /s \
		--ro-bind "${program%/*}" /p -- sh -c "cp /usr/bin/id '$at' && /p/${program##*/} -u" </dev/null
	check "$what: without a list it is written and runs" grep -qx '[0-9][0-9]*' "$T/out"
	cp /usr/bin/true "$own/bin/tool"
	cp /usr/bin/true "$own/bin/other"
	run "${world[@]}" "$mount" -- "$M9M" -q --no-artifact --bind "$tree" /s \
		--allow-command "$program" --allow-command cp -- \
		sh -c "cp /usr/bin/cp '$at'; '$program' --version" </dev/null
	is "$what: refused" "$rc" 125
	check "$what: and said so" grep -qE 'lies in|as well' "$T/err"
done <"$T/rows"

# --- a list of mounts that breaks off before the one that matters ---
awk '{ print } NR == 1 { print "of another form" }' /proc/self/mountinfo \
	>"$T/mountinfo"
run "${world[@]}" "$T/mountinfo:/proc/self/mountinfo" -- "$M9M" -q --no-artifact \
	--bind "$data" /s --allow-command cp -- cp --version </dev/null
is "such a list is refused" "$rc" 125
contains "$T/err" "a line of it tells of no mount"

# --- and what we write ourselves ---
mkdir -p "$T/mine" "$T/specs"
chmod 777 "$T/mine" "$T/specs"
echo '{"command":["true"]}' >"$T/specs/spec.json"
through=("${world[@]}" "$T/mine:$data/folder" "$T/specs:$data/deep" -- "$M9M" -q
	--bind "$data" /s)
run "${through[@]}" --no-artifact -- ln -s /etc/passwd /s/folder/result.json
check "the payload can put a link there" test -L "$T/mine/result.json"
rm "$T/mine/result.json"
expect_exit 125 "${through[@]}" --no-artifact --result "$T/mine/result.json" true
contains "$T/err" "it lies in"
expect_exit 125 "${through[@]}" --no-artifact --output-file "x:$T/mine/new/x" true
contains "$T/err" "it lies in"
expect_exit 125 "${through[@]}" --artifact "$T/mine/a.tar" true
contains "$T/err" "it lies in"
expect_exit 125 "${through[@]}" --no-artifact --spec "$T/specs/spec.json"
contains "$T/err" "could change the rules of the next"
expect_exit 125 "${world[@]}" "$XDG_STATE_HOME/m9m-sandbox:$data/folder" -- \
	"$M9M" -q --no-artifact --bind "$data" /s true
contains "$T/err" "which the sandbox may change"
mkdir -p "$XDG_STATE_HOME/m9m-sandbox/artifacts"
expect_exit 125 "${world[@]}" "$XDG_STATE_HOME/m9m-sandbox/artifacts:$data/folder" \
	-- "$M9M" -q --no-artifact --bind "$data" /s true
contains "$T/err" "it is the record of runs"
expect_exit 0 "${through[@]}" --no-artifact --result "$T/result.json" true
expect_exit 0 "${through[@]}" --no-artifact --allow-command cat true

# --- a link in the tree on the way, though it leads out of it now ---
mkdir -p "$T/real" "$T/hop" "$T/way"
chmod 777 "$T/hop"
echo '{"command":["true"]}' >"$T/real/spec.json"
ln -s ../real "$T/hop/link"
ln -s ../hop/link "$T/way/link"
expect_exit 0 "$M9M" -q --no-artifact --bind "$T/hop" /s -- \
	sh -c 'rm /s/link && ln -s /etc /s/link'
is "the payload can lead it elsewhere" "$(readlink "$T/way/link/." -f)" /etc
ln -sfn ../real "$T/hop/link"
expect_exit 125 "$M9M" -q --no-artifact --bind "$T/hop" /s \
	--result "$T/way/link/r.json" true
contains "$T/err" "it lies in"
expect_exit 125 "$M9M" -q --no-artifact --bind "$T/hop" /s \
	--spec "$T/way/link/spec.json"
contains "$T/err" "could change the rules of the next"
expect_exit 0 "$M9M" -q --no-artifact --ro-bind "$T/hop" /s \
	--result "$T/way/link/r.json" true
