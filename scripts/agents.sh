#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Prints the folder that holds the agents of the tests and the demo, in the
# versions that their facts (profiles/, tests/standin/) were checked with.
#
#   agents.sh            installs them with npm (650 MB) where they are missing
#   agents.sh --present  fails with a reason instead
#
# The folder is $M9M_AGENTS, or /var/cache/m9m-sandbox/agents (made by root; the
# tests run as other users too), or m9m-sandbox/agents in the user's own cache.
set -eu
umask 022

CLAUDE=2.1.197
CODEX=0.169.0

# has DIR PACKAGE VERSION COMMAND
has() {
	grep -qs "\"version\": \"$3\"" "$1/node_modules/$2/package.json" &&
		[ -x "$1/node_modules/.bin/$4" ]
}

all_there() {
	has "$1" @anthropic-ai/claude-code $CLAUDE claude &&
		has "$1" @openai/codex $CODEX codex
}

common=/var/cache/m9m-sandbox/agents
own=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/m9m-sandbox/agents
for dir in ${M9M_AGENTS:+"$M9M_AGENTS"} "$common" "$own"; do
	if all_there "$dir"; then
		echo "$dir"
		exit 0
	fi
done
[ "$(id -u)" != 0 ] || dir=$common
dir=${M9M_AGENTS:-$dir}

if [ "${1-}" = --present ]; then
	echo "the agents are not in $dir (scripts/agents.sh installs them)" >&2
	exit 1
fi
command -v npm >/dev/null || {
	echo "npm is needed to install the agents" >&2
	exit 1
}
mkdir -p "$dir"
# Without a package.json of its own npm would install into a folder above.
[ -e "$dir/package.json" ] || echo '{"private":true}' >"$dir/package.json"
echo "installing claude-code $CLAUDE and codex $CODEX in $dir" >&2
npm install --prefix "$dir" --no-audit --no-fund --loglevel=error \
	"@anthropic-ai/claude-code@$CLAUDE" "@openai/codex@$CODEX" >&2
all_there "$dir" || {
	echo "npm left no complete agents in $dir" >&2
	exit 1
}
echo "$dir"
