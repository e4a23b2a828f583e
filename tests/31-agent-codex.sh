#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The real Codex does a whole task in the sandbox: its native program is found
# behind the launcher, and it reaches its endpoint and nothing else.
. "$(dirname "$0")/lib.sh"
need python3 openssl jq git rg zstd node
host_netns
. "$TOP/tests/standin/lib.sh"

export CODEX_API_KEY=key-of-the-test
make_change
record=(--events "$T/events.jsonl" --result "$T/result.json"
	--artifact "$T/artifact.tar.zst" --timeout 2m)
exec_options=(--json --ephemeral --ignore-user-config --skip-git-repo-check
	--dangerously-bypass-approvals-and-sandbox
	-c analytics.enabled=false -c check_for_update_on_startup=false
	-c features.apps=false -c features.plugins=false)

echo "# api.openai.com:443, by the profile's own command"
"$TOP/tests/standin/make-ca.sh" "$T/ca" api.openai.com
review_script
standin --port 443 --cert "$T/ca/leaf.pem" --key "$T/ca/leaf.key"
expect_exit 0 "$M9M" "${record[@]}" --input "$CHANGE" --agent codex \
	--network allow --allow api.openai.com \
	--resolve api.openai.com=127.0.0.1 \
	--ro-bind "$T/ca/ca.pem" /ca.pem --setenv SSL_CERT_FILE /ca.pem \
	--prompt "Review change.diff."
contains "$T/out" "The review is in review.md."
check_review
is "it connected to its endpoint only" "$(connected)" api.openai.com
is "the key was passed" "$(jq -r 'select(.api) | .key' "$LOG" | sort -u)" \
	"Bearer $CODEX_API_KEY"
for file in "$T/events.jsonl" "$T/result.json" "$AUDIT"; do
	lacks "$file" "$CODEX_API_KEY"
done
stop_standin

echo "# a base URL on the host, the change on stdin"
review_script
standin
rm -f "$T/events.jsonl" "$T/artifact.tar.zst"
# shellcheck disable=SC2094  # it is only read
expect_exit 0 "$M9M" "${record[@]}" --input "$CHANGE" \
	--network allow --host-port "$port" \
	codex exec "${exec_options[@]}" \
	-c "openai_base_url=http://host.m9m.internal:$port/v1" - <"$CHANGE"
check_review
is "it connected to the host only" "$(connected)" host.m9m.internal
is "the turn is complete" \
	"$(jq -r 'select(.type == "turn.completed") | .type' "$T/out")" \
	turn.completed
is "the answer is in the result" \
	"$(json "$T/result.json" .answer.text)" \
	"$(jq -r 'select(.item.type == "agent_message") | .item.text' "$T/out" |
		tail -n 1)"
is "and what it took" \
	"$(jq -c '.answer | [.turns, .tokens_in, .tokens_out]' "$T/result.json")" \
	"$(jq -c 'select(.type == "turn.completed").usage |
		[1, .input_tokens, .output_tokens]' "$T/out")"
is "it read the change on stdin" \
	"$(jq -r 'select(.prompt) | .prompt' "$LOG" |
		grep -c '^diff --git a/util.c b/util.c')" \
	"$(jq -r 'select(.prompt) | .path' "$LOG" | wc -l)"
stop_standin

rm -f "$T/events.jsonl" "$T/artifact.tar.zst"
echo "# with a list of allowed commands: the same work, and nothing else"
listed_script
standin
expect_exit 0 "$M9M" "${record[@]}" --input "$CHANGE" "${listed[@]}" \
	--network allow --host-port "$port" \
	codex exec "${exec_options[@]}" \
	-c "openai_base_url=http://host.m9m.internal:$port/v1" \
	"Review change.diff."
check_listed
stop_standin

rm -f "$T/events.jsonl" "$T/artifact.tar.zst"
echo "# out of time in the middle of a tool"
# By what the whole task took just now: on a busy machine it is still starting
# after a few seconds.
took=$(json "$T/result.json" .duration_ms)
script "never said" "sleep 1000"
standin
rm -f "$T/events.jsonl" "$T/artifact.tar.zst"
expect_exit 124 "$M9M" "${record[@]}" --timeout $((4000 + took))ms --grace 60s \
	--network allow --host-port "$port" \
	codex exec "${exec_options[@]}" \
	-c "openai_base_url=http://host.m9m.internal:$port/v1" "Wait."
json_is "$T/result.json" .status timeout
is "the tool was running" \
	"$(jq -r 'select(.reply.command) | .reply.command' "$LOG")" "sleep 1000"
check "it was over well before the grace" \
	test "$(json "$T/result.json" .duration_ms)" -lt $((40000 + took))
is "the workdir is gone" "$(left_runs)" ""
stop_standin
