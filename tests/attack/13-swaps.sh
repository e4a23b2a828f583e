#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A path that leads to an allowed program when it is looked at and to another one
# when it is executed: by links, folders, files, the memory it is read from,
# descriptors, the current folder, and by the host in a tree that both write.
# Nobody but the kernel looks, once, at the file that it executes.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
need mv ln

cp "$TOP/$B/racer" "$T/racer"
mkdir "$T/shared" "$T/own"
cp "$T/racer" "$T/shared/copy"
ln -s /usr/bin/true "$T/shared/p"
ln -s copy "$T/shared/q"
cp /usr/bin/true "$T/own/tool"
chmod 755 "$T" "$T/own" "$T/own/tool" "$T/racer"
chmod -R a+rwX "$T/shared"
ways="link folder file memory descriptor shared cwd"

# The host's part, until it is killed.
"$T/racer" --swap "$T/shared" &
swapper=$!
on_exit 'kill "$swapper" 2>/dev/null; wait "$swapper" 2>/dev/null'

# won CONDITION: the ways in which it came true.
won() {
	awk "$1"' { print $1 }' "$T/out" | paste -sd " "
}

shown=(-q --no-artifact --bind "$T/shared" /shared --ro-bind "$T/racer" /racer)
run "$M9M" "${shown[@]}" -- /racer . </dev/null
sed 's/^/# without a list: /' "$T/out"
is "without a list either runs in each" "$(won '$2 > 0 && $3 > 0')" "$ways"

run "$M9M" "${shown[@]}" --allow-command /usr/bin/true -- /racer . </dev/null
sed 's/^/# with a list: /' "$T/out"
show_output
is "with a list all are tried" "$(won 1)" "$ways"
is "the other one never runs" "$(won '$2 > 0')" ""
# A file of the workdir is no allowed one, whatever it is a copy of.
is "the allowed one runs in between" \
	"$(won '$3 > 0 && $4 > 0')" "${ways/ file/}"
kill "$swapper"
wait "$swapper" 2>/dev/null

# --- the host replaces an allowed program while the run goes on ---
# In another namespace that ends the mounts on the old one, and with them what
# let it be executed.
mkfifo "$T/go"
# shellcheck disable=SC2016  # for the shell inside
replaced() {
	cp /usr/bin/true "$T/own/new" && mv "$T/own/new" "$T/own/tool"
	# The word that is waited for is of this run.
	rm -f "$T/said"
	"$M9M" -q --no-artifact --ro-bind "$T/own" /own "$@" -- \
		sh -c 'echo ready; read -r _; /own/tool; echo "$?"' \
		<"$T/go" >"$T/said" 2>"$T/err" &
	local pid=$!
	exec 7>"$T/go"
	await_line "$T/said" ready
	cp "$T/racer" "$T/own/new" && mv "$T/own/new" "$T/own/tool"
	echo go >&7
	exec 7>&-
	wait "$pid"
}
replaced
is "without a list the new one runs" "$(tail -n 1 "$T/said")" 42
replaced --allow-command /own/tool --allow-command sh --allow-dangerous-commands
is "with a list it does not" "$(tail -n 1 "$T/said")" 126
