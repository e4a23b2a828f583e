#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The everyday use: Claude Code and Codex work on a repository of the user's, who
# looks at what they changed and takes it; a hook that they plant is flagged, and
# does not come along.
. "$(dirname "$0")/lib.sh"
need python3 openssl jq git rg zstd node
host_netns
. "$TOP/tests/standin/lib.sh"

export ANTHROPIC_API_KEY=key-of-the-test CODEX_API_KEY=key-of-the-test
make_change
REPO=$T/repo
A=$T/artifact.tar.zst

# What the agent does: two changes that were asked for, and a way out.  The hook
# is run by git of the user's, on the host, at the next commit.
HOOK="printf '#!/bin/sh\\necho caught >$T/caught\\n' >.git/hooks/pre-commit && \
chmod 755 .git/hooks/pre-commit"
FSMONITOR="git config core.fsmonitor 'echo caught >$T/caught; false'"
work_script() {
	script "I have made the change." \
		"sed -i s/8192/16384/ util.c && printf 'Read more.\\n' >NOTES.md" \
		"git rm -q err.h" "git status --short" "$HOOK" "$FSMONITOR"
}

commit() { as_author git -C "$1" commit -q --allow-empty -m "$2"; }

echo "# the trap works where it is laid"
git clone -q "$REPO" "$T/clone"
for trap in "$HOOK" "$FSMONITOR"; do
	rm -f "$T/caught"
	(cd "$T/clone" && eval "$trap" && rm -f .git/hooks/pre-commit.sample)
	(cd "$T/clone" && git status --short >/dev/null)
	commit "$T/clone" trapped
	check "without a sandbox git runs it" test -e "$T/caught"
	rm -f "$T/clone/.git/hooks/pre-commit"
done
rm -f "$T/caught"

# All of the tree with git's own files but for what git writes by being asked.
tree() {
	(cd "$REPO" && find . -type f ! -path './.git/objects/*' \
		! -name index -print0 | sort -z | xargs -0 sha256sum)
}

# worked AGENT: after a run of work_script; applies what it did.
worked() {
	local agent=$1 before=$2 flagged
	json_is "$T/result.json" .status ok
	tool_results
	contains "$T/results" "M util.c"
	is "$agent: the repository is as it was" "$(tree)" "$before"
	cp "$T/err" "$T/diff"
	contains "$T/diff" "+++ b/NOTES.md"
	matches "$T/diff" '^\+.*16384'
	lacks "$T/diff" "+++ b/.git/"
	member "$A" changes.json
	flagged=$(jq -r '.changes[] | select(.control and
		.control != "git'"'"'s own records") | .path' "$T/member" |
		paste -sd ' ')
	is "$agent: the traps are flagged" "$flagged" \
		".git/config .git/hooks/pre-commit"
	json_is "$T/result.json" '[.changes.control[].path] | join(" ")' \
		"$flagged"

	expect_exit 1 "$M9M" --apply "$A" --project "$REPO"
	contains "$T/err" ".git/hooks/pre-commit: a git hook"
	contains "$T/err" ".git/config: "
	is "$agent: nothing was applied" "$(tree)" "$before"

	member "$A" changes.patch
	check "$agent: git takes the patch" git -C "$REPO" apply --check \
		"$T/member"
	expect_exit 0 "$M9M" --apply "$A" --project "$REPO" util.c NOTES.md err.h
	is "$agent: its change is in the repository" \
		"$(git -C "$REPO" status --short | paste -sd ,)" \
		" D err.h, M util.c,?? NOTES.md"
	git -C "$REPO" add -A
	commit "$REPO" "$agent's"
	check "$agent: no trap sprang" test ! -e "$T/caught"
	is "$agent: the change is committed" \
		"$(git -C "$REPO" show --stat --format=%s | head -n 1)" "$agent's"
}

# run_agent NAME COMMAND...: PORT stands for the endpoint's.
run_agent() {
	local agent=$1 before
	shift
	echo "# $agent"
	git -C "$REPO" reset -q --hard "$BASE"
	before=$(tree)
	rm -f "$T/events.jsonl" "$A"
	work_script
	# shellcheck disable=SC2119  # none of our own
	standin
	expect_exit 0 "$M9M" --project "$REPO" --diff --timeout 2m \
		--events "$T/events.jsonl" --result "$T/result.json" \
		--artifact "$A" --network allow --host-port "$port" \
		--setenv ANTHROPIC_BASE_URL "http://host.m9m.internal:$port" \
		"${@//PORT/$port}"
	worked "$agent" "$before"
	stop_standin
}

BASE=$(git -C "$REPO" rev-parse HEAD)
run_agent claude claude -p --dangerously-skip-permissions "Read more at once."
run_agent codex codex exec --ephemeral --ignore-user-config \
	--dangerously-bypass-approvals-and-sandbox -c analytics.enabled=false \
	-c check_for_update_on_startup=false -c features.apps=false \
	-c features.plugins=false \
	-c openai_base_url=http://host.m9m.internal:PORT/v1 "Read more at once."
