# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For the tests with real agents, after tests/lib.sh: the agents on PATH, a
# repository with a change to review, and the stand-in for their endpoint.
# shellcheck disable=SC2154  # what tests/lib.sh sets

AGENTS=$("$TOP/scripts/agents.sh" --present 2>&1) || skip "$AGENTS"
PATH=$AGENTS/node_modules/.bin:$PATH
CHANGE=$T/change.diff
LOG=$T/standin.jsonl

# A repository of real sources, whose last commit is $CHANGE.
make_change() {
	local repo=$T/repo
	export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
	git init -q -b main "$repo"
	cp "$TOP"/util.[ch] "$TOP"/err.[ch] "$repo"
	as_author git -C "$repo" add .
	as_author git -C "$repo" commit -q -m "util: begin"
	sed -i 's/if (p == NULL)/if (!p)/; s/4096/8192/' "$repo/util.c"
	as_author git -C "$repo" commit -q -a -m "util: read more at once"
	git -C "$repo" diff HEAD~1 >"$CHANGE"
}

as_author() {
	GIT_AUTHOR_NAME=Tester GIT_AUTHOR_EMAIL=t@example.org \
		GIT_COMMITTER_NAME=Tester GIT_COMMITTER_EMAIL=t@example.org "$@"
}

# script TEXT COMMAND...: what the stand-in will ask for and then say.
script() {
	local text=$1
	shift
	jq -n --arg text "$text" '{text: $text, commands: $ARGS.positional}' \
		--args -- "$@" >"$T/script.json"
}

# standin OPTION...: starts it with that script; its port is $port.
standin() {
	: >"$LOG"
	serve python3 "$TOP/tests/standin/server.py" --script "$T/script.json" \
		--log "$LOG" "$@"
	# shellcheck disable=SC2034  # for the tests
	port=$(sed -n 's/^ready //p' "$served_log")
}

stop_standin() {
	kill "$served"
	wait "$served" 2>/dev/null || :
}

# What the agent's tools returned, one JSON string each, from its last request.
tool_results() {
	jq -s -c '[.[] | select(.results)] | last | .results[]' "$LOG" >"$T/results"
}

# The names that were connected to, each once.
connected() {
	events connect | jq -r '.name // .host // .addr' | sort -u | paste -sd ' '
}

# members ARTIFACT: into $T/members.
members() {
	tar -I zstd -tf "$1" >"$T/members"
}

# member ARTIFACT NAME: into $T/member.
member() {
	tar -I zstd -xOf "$1" "$2" >"$T/member"
}

# The task that each agent does: git, rg and cat, then a file of its own.
review_script() {
	script "The review is in review.md." \
		"git apply --numstat change.diff" \
		"rg -c '^[-+]' change.diff" \
		"cat change.diff | sed -n 1,2p" \
		"printf '# Review\\nlooks fine\\n' > review.md"
}

# check_review: after a run of review_script, what it did was real.
check_review() {
	tool_results
	contains "$T/results" 'util.c'
	contains "$T/results" 'diff --git a/util.c b/util.c'
	matches "$T/results" "\"[^\"]*$(grep -c '^[-+]' "$CHANGE")"
	lacks "$T/results" 'not found'
	members "$T/artifact.tar.zst"
	contains "$T/members" work/review.md
	contains "$T/members" work/change.diff
	member "$T/artifact.tar.zst" work/review.md
	contains "$T/member" '# Review'
	json_is "$T/result.json" .status ok
	json_is "$T/result.json" .exit_code 0
	is "the workdir is gone" "$(left_runs)" ""
}

# The same without sed, and with what is not on the list: python3 by its name, a
# copy of an allowed program.
# shellcheck disable=SC2034  # for the tests
listed=(--allow-command rg --allow-command cat --allow-command git)
listed_script() {
	script "The review is in review.md." \
		"git apply --numstat change.diff" \
		"rg -c '^[-+]' change.diff" \
		"cat change.diff" \
		"python3 -c 'print(6 * 7)' 2>/dev/null || echo no python" \
		"/usr/lib/git-core/git-daemon --version 2>/dev/null || echo no daemon" \
		"printf '# Review\\nlooks fine\\n' > review.md"
}

# check_listed: after a run of listed_script.
check_listed() {
	check_review
	contains "$T/results" "no python"
	contains "$T/results" "no daemon"
	# basename, sed and uname come with git, for its submodules.
	is "only what is listed, and shells, ran" \
		"$(events exec '.verdict == "allowed"' | jq -r .path |
			grep -vE '^/proc/self/exe$|/(rg|cat|git|git-[a-z-]*|basename|sed|uname|bash|sh|claude(\.exe)?|codex[a-z-]*)$' |
			sort -u | xargs)" ""
	check "and the refusal is on record" test -n "$(events exec \
		'.verdict == "denied" and .path == "/usr/lib/git-core/git-daemon"')"
}

left_runs() {
	find "$XDG_STATE_HOME" -path '*/runs/*' | head -n 3
}
