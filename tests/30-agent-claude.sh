#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The real Claude Code does a whole task in the sandbox: it reaches its endpoint
# under the real name over TLS, or by a base URL on the host, and nothing else.
. "$(dirname "$0")/lib.sh"
need python3 openssl jq git rg zstd node
host_netns
. "$TOP/tests/standin/lib.sh"

export ANTHROPIC_API_KEY=key-of-the-test
make_change
record=(--events "$T/events.jsonl" --result "$T/result.json"
	--artifact "$T/artifact.tar.zst" --timeout 2m)

echo "# api.anthropic.com:443, the change as an input file"
"$TOP/tests/standin/make-ca.sh" "$T/ca" api.anthropic.com
review_script
standin --port 443 --cert "$T/ca/leaf.pem" --key "$T/ca/leaf.key"
expect_exit 0 "$M9M" "${record[@]}" --input "$CHANGE" \
	--network allow --allow api.anthropic.com \
	--resolve api.anthropic.com=127.0.0.1 \
	--ro-bind "$T/ca/ca.pem" /ca.pem \
	--setenv NODE_EXTRA_CA_CERTS /ca.pem \
	claude -p --dangerously-skip-permissions "Review change.diff."
contains "$T/out" "The review is in review.md."
check_review
is "it connected to its endpoint only" "$(connected)" api.anthropic.com
is "the name was in the TLS greeting" \
	"$(jq -r 'select(.sni) | .sni' "$LOG" | sort -u)" api.anthropic.com
is "the key was passed" "$(jq -r 'select(.api) | .key' "$LOG" | sort -u)" \
	"$ANTHROPIC_API_KEY"
for file in "$T/events.jsonl" "$T/result.json" "$AUDIT"; do
	lacks "$file" "$ANTHROPIC_API_KEY"
done
stop_standin

echo "# a base URL on the host, a node object as the spec, the change on stdin"
review_script
standin
jq -n --arg url "http://host.m9m.internal:$port" --argjson port "$port" \
	--arg file "$CHANGE" '{
	id: "review", type: "cli.claude-code",
	params: {
		sandbox: true,
		command: ["claude", "-p", "--dangerously-skip-permissions",
			"Review the change on stdin."],
		inputs: [$file],
		env: {ANTHROPIC_BASE_URL: $url},
		network: {mode: "allow", host_ports: [$port]},
		timeout: "2m"
	}}' >"$T/spec.json"
rm -f "$T/events.jsonl" "$T/artifact.tar.zst"
expect_exit 0 "$M9M" "${record[@]}" --spec "$T/spec.json" <"$CHANGE"
contains "$T/out" "The review is in review.md."
check_review
json_is "$T/result.json" .id review
is "it connected to the host only" "$(connected)" host.m9m.internal
is "it read the change on stdin" \
	"$(jq -r 'select(.prompt) | .prompt' "$LOG" |
		grep -c '^diff --git a/util.c b/util.c')" \
	"$(jq -r 'select(.prompt) | .path' "$LOG" | wc -l)"
stop_standin

rm -f "$T/events.jsonl" "$T/artifact.tar.zst"
echo "# a prompt alone: the profile knows the command"
script "Hello from the profile."
standin
# Longer than one argument may be.
echo "Say hello. $(seq -s ' ' 40000)" >"$T/prompt"
expect_exit 0 "$M9M" "${record[@]}" --agent claude \
	--network allow --host-port "$port" \
	--setenv ANTHROPIC_BASE_URL "http://host.m9m.internal:$port" \
	--prompt-file "$T/prompt"
contains "$T/out" "Hello from the profile."
is "the prompt arrived whole" \
	"$(jq -r 'select(.prompt) | .prompt' "$LOG" | grep -c ' 39999 40000$')" 1
stop_standin

rm -f "$T/events.jsonl" "$T/artifact.tar.zst"
echo "# with a list of allowed commands: the same work, and nothing else"
listed_script
standin
expect_exit 0 "$M9M" "${record[@]}" --input "$CHANGE" "${listed[@]}" \
	--network allow --host-port "$port" \
	--setenv ANTHROPIC_BASE_URL "http://host.m9m.internal:$port" \
	claude -p --dangerously-skip-permissions "Review change.diff."
contains "$T/out" "The review is in review.md."
check_listed
stop_standin

rm -f "$T/events.jsonl" "$T/artifact.tar.zst"
echo "# out of time in the middle of a tool: it is asked politely first"
# By what the whole task took just now: on a busy machine it is still starting
# after a few seconds, and has nothing to tell.
took=$(json "$T/result.json" .duration_ms)
script "never said" "sleep 1000"
standin
expect_exit 124 "$M9M" "${record[@]}" --timeout $((3000 + took))ms --grace 20s \
	--network allow --host-port "$port" \
	--setenv ANTHROPIC_BASE_URL "http://host.m9m.internal:$port" \
	claude -p --dangerously-skip-permissions --output-format json "Wait."
json_is "$T/result.json" .status timeout
json_is "$T/out" .type result
json_is "$T/result.json" '.answer.cost_usd | type' number
json_is "$T/result.json" .answer.failed "$(json "$T/out" .is_error)"
is "its tokens are in the result" \
	"$(json "$T/result.json" .answer.tokens_out)" \
	"$(json "$T/out" .usage.output_tokens)"
is "the workdir is gone" "$(left_runs)" ""
stop_standin

echo "# no network unless it is asked for"
rm -f "$T/events.jsonl"
expect_exit 124 "$M9M" "${record[@]}" --timeout 4s --grace 1s \
	claude -p --dangerously-skip-permissions "Say hello."
json_is "$T/result.json" .status timeout
is "nothing was connected to" "$(connected)" ""
