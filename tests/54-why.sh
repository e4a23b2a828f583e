#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --why says what a run does: for a table of policies, each path, command and
# connection is asked about and then tried, and the two must agree.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need jq python3 git
OWN=203.0.113.5 PRIVATE=10.9.8.7
host_netns "ip addr add $OWN/32 dev lo" "ip addr add $PRIVATE/32 dev lo"

m9m() { "$M9M" -q --no-artifact "$@"; }

# why QUESTION OPTION...: "allowed" or "denied", by --json and the exit status.
why() {
	local question=$1 verdict status=0
	shift
	"$M9M" --json --why "$question" "$@" sh >"$T/why" 2>"$T/why.err" ||
		status=$?
	verdict=$(jq -r .verdict "$T/why")
	case $verdict:$status in
	allowed:0 | denied:1) echo "$verdict" ;;
	*) echo "status $status: $(cat "$T/why" "$T/why.err")" ;;
	esac
}

# --- paths ---
mkdir -p "$T/shown/closed" "$T/project/sub"
echo word >"$T/shown/file"
echo word >"$T/shown/secret"
echo word >"$T/shown/closed/file"
ln -s file "$T/shown/link"
ln -s /etc/shadow "$T/shown/out"
ln -s ../shown/closed/../file "$T/shown/round"
ln -s loop "$T/shown/loop"
cp /bin/true "$T/shown/tool"
chmod 0 "$T/shown/secret" "$T/shown/closed"
chmod 755 "$T" "$T/shown" "$T/project" "$T/project/sub"
echo TOKEN=x >"$T/project/.env"
echo word >"$T/project/sub/file"
base=(/ /etc /etc/passwd /etc/shadow /etc/ssl/certs /root /home /var /run
	/usr/bin/git /bin/sh /usr/bin/python3 /usr/lib /proc/self/status
	/proc/kcore /proc/sys/kernel/hostname /proc/nothing /dev/null /dev/sda
	/dev/shm /tmp /work /usr/../etc/passwd "$T/shown/file")
shown=(/shown /shown/file /shown/secret /shown/closed/file /shown/link
	/shown/out /shown/round /shown/loop /shown/tool /shown/nothing)
project=(/work /work/sub/file /work/.env /work/nothing)
cat >"$T/try" <<'END'
# What is hidden is an empty file.
for path; do
	if [ -w "$path" ]; then echo write
	elif [ -d "$path" ] && [ -r "$path" ]; then echo read
	else
		line=
		{ read -r line <"$path" || [ "$line" ]; } 2>/dev/null &&
			echo read || echo no
	fi
done
END
# What is only there once the run has made it is neither.
what_why() {
	local path
	for path in "${paths[@]}"; do
		"$M9M" --json --why "$path" "$@" sh
	done | jq -r 'if .verdict == "denied" or
			(.is | contains("made by the run")) then "no"
		elif .is == "writable" then "write" else "read" end'
}
same_paths() { # WHAT OPTION...
	local what=$1
	shift
	m9m "$@" -- sh -c "$(cat "$T/try")" sh "${paths[@]}" >"$T/real"
	what_why "$@" >"$T/told"
	printf '%s\n' "${paths[@]}" >"$T/paths"
	is "paths, $what" "$(paste "$T/paths" "$T/told")" \
		"$(paste "$T/paths" "$T/real")"
}
paths=("${base[@]}")
same_paths "by default"
same_paths "a list of commands" --allow-command git
paths=("${shown[@]}")
same_paths "a tree read-only" --ro-bind "$T/shown" /shown
same_paths "a tree writable" --bind "$T/shown" /shown
same_paths "an empty one" --tmpfs /shown
paths=("${project[@]}")
same_paths "a project" --project "$T/project"
same_paths "with its secret" --project "$T/project" --show .env
same_paths "a project read-only" --project "$T/project" --project-mode ro
is "a path that is not shown" "$(why /etc/shadow)" denied
json_is "$T/why" .remedy "--ro-bind /etc/shadow /etc/shadow"
why /work/.env --project "$T/project" >"$T/verdict"
json_is "$T/why" .remedy "--show .env"
mkdir "$T/doors"
mkfifo "$T/doors/door"
why /d/door --ro-bind "$T/doors" /d >"$T/verdict"
matches "$T/why" "a socket or a fifo, and leads to whoever has it open"
json_is "$T/why" .remedy "--ro-bind $T/doors/door /d/door"
m9m --ro-bind "$T/doors" /d --ro-bind "$T/doors/door" /d/door -- \
	sh -c 'test -p /d/door' && ok "the flag that it names shows it"
why /work/door --project "$T/doors" --project-mode ro >"$T/verdict"
json_is "$T/why" .remedy "--show door"
why /work/door --project "$T/doors" --project-mode ro --show door >"$T/verdict"
is "and that one does" "$(cat "$T/verdict")" allowed

# --- commands ---
commands=(git python3 python3.11 cat ls id no-such sha256sum env perl)
cat >"$T/try" <<'END'
for name; do
	status=0
	"$name" --version >/dev/null 2>&1 </dev/null || status=$?
	case $status in 126 | 127) echo denied ;; *) echo allowed ;; esac
done
END
same_commands() { # WHAT OPTION...
	local what=$1 name
	shift
	m9m "$@" -- sh -c "$(cat "$T/try")" sh "${commands[@]}" >"$T/real"
	for name in "${commands[@]}"; do
		why "$name" "$@"
	done >"$T/told"
	is "commands, $what" "$(paste -sd ' ' "$T/told")" \
		"$(paste -sd ' ' "$T/real")"
}
same_commands "by default"
same_commands "a list" --allow-command git --allow-command cat
same_commands "an empty list" --allow-no-commands
why id --allow-no-commands >"$T/verdict"
json_is "$T/why" .remedy "--allow-command id"
why perl --allow-no-commands >"$T/verdict"
why curl --allow-no-commands >"$T/verdict"
matches "$T/why" '(allow-dangerous-commands|no program of this name)'
run m9m --allow-command id -- sh -c id
is "the flag that it names allows it" "$rc" 0

# --- connections ---
serve python3 "$TOP/tests/standin/greeter.py" 9000 9001
cat >"$T/client.py" <<'END'
import socket, sys
for place in sys.argv[1:]:
    host, port = place.rsplit(":", 1)
    try:
        with socket.create_connection((host.strip("[]"), port), 20) as s:
            print("allowed" if s.recv(2) == b"hi" else "denied")
    except OSError:
        print("denied")
END
long=$(printf 'a%.0s' $(seq 60)).$(printf 'b%.0s' $(seq 60)).wild.test
places=(a.test:9000 a.test:9001 A.TEST.:9000 b.test:9000 x.wild.test:9000
	wild.test:9000 "$long:9000" host.m9m.internal:9000
	host.docker.internal:9001 "$OWN:9000" "$OWN:9001" "$PRIVATE:9000"
	127.0.0.1:9000 198.19.9.9:9000 "[::1]:9000")
same_places() { # WHAT OPTION...
	local what=$1 place
	shift
	m9m --ro-bind "$T/client.py" /client.py "$@" -- \
		python3 /client.py "${places[@]}" >"$T/real"
	for place in "${places[@]}"; do
		why "$place" "$@"
	done >"$T/told"
	printf '%s\n' "${places[@]}" >"$T/places"
	is "connections, $what" "$(paste "$T/places" "$T/told")" \
		"$(paste "$T/places" "$T/real")"
}
names=(--resolve "a.test=$OWN" --resolve "b.test=$PRIVATE"
	--resolve "x.wild.test=$OWN" --resolve "wild.test=$OWN"
	--resolve "$long=$OWN")
same_places "none"
same_places "one name" "${names[@]}" --allow a.test:9000
same_places "two, and a port for all" "${names[@]}" --allow a.test \
	--allow b.test --allow-port 9001 --allow-port 9000
same_places "what is below a name" "${names[@]}" --allow '*.wild.test:9000'
same_places "an address" --allow "$OWN:9000"
same_places "a private range" --allow 10.0.0.0/8:9000
same_places "a port of the host" --host-port 9001
why b.test:9000 "${names[@]}" --allow a.test:9000 >"$T/verdict"
json_is "$T/why" .remedy "--allow b.test:9000"
json_is "$T/why" .reason "the name is not allowed"

# --- no question, no effect ---
for question in '*.wild.test:443' a.test:1-2 10.0.0.0/8:1 ./x; do
	expect_exit 125 "$M9M" --why "$question" sh
	contains "$T/err" "ask HOST:PORT, /PATH or COMMAND"
done
before=$(find "$XDG_STATE_HOME" | sort)
run "$M9M" --why "$(printf '/a\033[2Jb')" sh
lacks "$T/out" "$(printf '\033')"
is "nothing was made" "$(find "$XDG_STATE_HOME" | sort)" "$before"
chmod 700 "$T/shown/closed"
