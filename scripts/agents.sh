#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Prints the folder that holds the agents of the tests and the demo, in the
# versions that their facts (profiles/, tests/standin/) were checked with.
#
#   agents.sh            installs them with npm (650 MB) where they are missing
#   agents.sh --present  fails with a reason instead
#
# The folder is $M9M_AGENTS, else /var/cache/m9m-sandbox/agents for root (the
# tests run as other users too), else one in $XDG_CACHE_HOME or ~/.cache.
set -eu
umask 022

CLAUDE=2.1.197
CODEX=0.169.0

if [ -n "${M9M_AGENTS-}" ]; then
	dir=$M9M_AGENTS
elif [ "$(id -u)" = 0 ]; then
	dir=/var/cache/m9m-sandbox/agents
else
	dir=${XDG_CACHE_HOME:-$HOME/.cache}/m9m-sandbox/agents
fi

# has PACKAGE VERSION COMMAND
has() {
	grep -qs "\"version\": \"$2\"" "$dir/node_modules/$1/package.json" &&
		[ -x "$dir/node_modules/.bin/$3" ]
}

if ! has @anthropic-ai/claude-code $CLAUDE claude ||
	! has @openai/codex $CODEX codex; then
	[ "${1-}" != --present ] || {
		echo "no agents in $dir: run scripts/agents.sh" >&2
		exit 1
	}
	command -v npm >/dev/null || {
		echo "npm is needed to install the agents" >&2
		exit 1
	}
	mkdir -p "$dir"
	# Without a package.json of its own npm would install into one above.
	[ -e "$dir/package.json" ] || echo '{"private":true}' >"$dir/package.json"
	echo "installing claude-code $CLAUDE and codex $CODEX in $dir" >&2
	npm install --prefix "$dir" --no-audit --no-fund --loglevel=error \
		"@anthropic-ai/claude-code@$CLAUDE" "@openai/codex@$CODEX" >&2
fi
echo "$dir"
