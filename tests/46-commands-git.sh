#!/bin/bash
# SPDX-License-Identifier: MIT
#
# git on a list of allowed commands works with its own helpers over HTTP: clone,
# fetch, push, and submodules where a shell may run.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need git python3
host_netns

export GIT_CONFIG_GLOBAL=$T/config GIT_CONFIG_SYSTEM=/dev/null
git config --global user.name Tester
git config --global user.email t@example.org
git config --global http.receivepack true
for name in one two; do
	git init -q -b main "$T/$name"
	echo "$name" >"$T/$name/file"
	git -C "$T/$name" add file
	git -C "$T/$name" commit -q -m "$name"
	mkdir -p "$T/repos"
	git clone -q --bare "$T/$name" "$T/repos/$name"
	git -C "$T/repos/$name" config http.receivepack true
done
serve python3 "$TOP/tests/standin/git-cgi.py" "$T/repos"
port=$(sed -n 's/^ready //p' "$served_log")
url=http://host.m9m.internal:$port

m9m() {
	"$M9M" -q --no-artifact --network allow --host-port "$port" \
		--events "$T/events.jsonl" --setenv GIT_CONFIG_COUNT 2 \
		--setenv GIT_CONFIG_KEY_0 user.name --setenv GIT_CONFIG_VALUE_0 n \
		--setenv GIT_CONFIG_KEY_1 user.email --setenv GIT_CONFIG_VALUE_1 e \
		"$@"
}

expect_exit 0 m9m --allow-no-commands -- git clone -q "$url/one" copy
run m9m --allow-command git -- sh -c "
	git clone -q $url/one copy && cd copy &&
	echo more >>file && git commit -qam more &&
	git push -q origin HEAD:main && git fetch -q && git log --format=%s origin/main &&
	git submodule --quiet add $url/two sub && git commit -qm sub &&
	read -r line <sub/file && echo \"\$line\" && git push -q origin HEAD:main &&
	git clone -q --recurse-submodules $url/one again &&
	git -C again submodule foreach -q 'read -r line <file && echo again \$line'"
show_output
is "clone, commit, push, fetch" "$(head -n 2 "$T/out" | xargs)" "more one"
is "a submodule: added, cloned" "$(tail -n +3 "$T/out" | xargs)" "two again two"
is "the pushes arrived" "$(git -C "$T/repos/one" log -2 --format=%s main | xargs)" \
	"sub more"
matches "$T/events.jsonl" '"path":"[^"]*git-core/git-remote-http'
is "nothing else ran" \
	"$(events exec '.verdict == "allowed"' | jq -r .path |
		grep -vE 'git|/sh$|/(basename|sed|uname)$')" ""
