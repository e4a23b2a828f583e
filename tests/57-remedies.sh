#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One look tells what was denied and which flag would have allowed it: for each
# kind of denial the flag is taken out of the result as it stands there, added to
# the same run, and the same act must then succeed.  Where no flag would help,
# none is named, and a reason is.  (Refused system calls: 41, 42.)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq python3 ip git rg
world_netns

# run_with OPTION... : the act (words in "act") under these options.
act=()
run_with() {
	rm -f "$T/result.json"
	run "${in_world[@]}" "$M9M" -q --no-artifact \
		--result "$T/result.json" "$@" -- "${act[@]}"
}
remedies() {
	jq -r '[.denials[].remedy // empty] | unique | .[]' "$T/result.json"
}
denials() { jq -c '.denials' "$T/result.json"; }

# mends WHAT SUCCESS OPTION...: by exactly the words of the remedy.
mends() {
	local what=$1 success=$2 remedy words
	shift 2
	run_with "$@"
	if grep -qE -e "$success" "$T/out"; then
		not_ok "$what: it was not denied"
		return
	fi
	remedy=$(remedies)
	if [ -z "$remedy" ] || [ "$(wc -l <<<"$remedy")" != 1 ]; then
		not_ok "$what: not one remedy: $(denials)"
		return
	fi
	# As somebody would paste it.
	eval "words=($remedy)"
	run_with "$@" "${words[@]}"
	check "$what: $remedy" grep -qE -e "$success" "$T/out"
	grep -qE -e "$success" "$T/out" || show_output
}

# no_flag WHAT SUCCESS REASON OPTION...: refused, with a reason and no remedy.
no_flag() {
	local what=$1 success=$2 reason=$3
	shift 3
	run_with "$@"
	check "$what: refused" test "$rc:$(grep -cE -e "$success" "$T/out")" = 0:0
	is "$what: no flag is named" "$(remedies)" ""
	is "$what: a reason is" "$(jq --arg r "$reason" \
		'.denials | any(.reason | contains($r))' "$T/result.json")" true
}

in_world=()
echo "# commands"
cat >"$T/try.py" <<'P'
import os, shutil, sys
for path in sys.argv[1:]:
    if path.startswith("copy:"):
        path = path[5:]
        shutil.copy(os.readlink("/proc/self/exe"), path)
    if os.fork() == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in 0, 1, 2:
            os.dup2(null, fd)
        try:
            os.execv(path, [path, "--version"])
        except OSError:
            os._exit(99)
    print("denied" if os.wait()[1] >> 8 == 99 else "ran", flush=True)
P
mkdir "$T/shown"
cp /bin/true "$T/shown/my tool"
cp /bin/true "$T/shown/x --network host"
cp /bin/true "$T/shown/it's"
printf '#!/usr/bin/env python3\n' >"$T/shown/script"
printf '#!/bin/sh\n' >"$T/shown/shell-script"
chmod 755 "$T/shown"/*
listed=(--allow-no-commands --ro-bind "$T/try.py" /try.py
	--ro-bind "$T/shown" /opt)
command_mends() { # WHAT PATH OPTION...
	act=(python3 -B /try.py "$2")
	mends "$1" '^ran$' "${listed[@]}" "${@:3}"
}
command_stays() { # WHAT PATH REASON OPTION...
	act=(python3 -B /try.py "$2")
	no_flag "$1" '^ran$' "$3" "${listed[@]}" "${@:4}"
}
listing="not on the list"
command_mends "a program of the system" /usr/bin/rg
command_mends "a shell" /bin/sh
for script in /usr/bin/ldd /usr/bin/c_rehash /usr/bin/catchsegv; do
	[ ! -e "$script" ] || command_mends "a script of the system" "$script"
done
command_mends "a helper of git's" "$(git --exec-path)/git"
command_mends "a script of an interpreter that runs" /opt/script
command_mends "a script of one that does not" /opt/shell-script
command_mends "a name with a blank" "/opt/my tool"
command_mends "a name with a quote" "/opt/it's"
command_mends "a name that looks like a flag" "/opt/x --network host"
json_is "$T/result.json" '.degraded | index("network") // "none"' none
command_mends "what the run made" copy:/work/x
"$M9M" --explain true | grep -q '^landlock  *version' &&
	libc=$(ldconfig -p | sed -n 's/.*libc\.so\.6 .*x86-64.* => //p' |
		head -n 1) && [ -n "$libc" ] &&
	command_stays "a library that is a program" "$libc" "$listing"
for place in /tmp /dev/shm /home/agent; do
	command_stays "what the run made in $place" "copy:$place/x" "$listing"
done
command_stays "a name of the run's that looks like flags" \
	"copy:/tmp/x --network host" "$listing"
command_stays "a file that the run can write" "/mine/my tool" "$listing" \
	--bind "$T/shown" /mine
command_stays "no program" /etc/hostname "not marked as executable"

echo "# what --why answers"
mkdir -p "$T/project/sub dir"
echo word >"$T/project/file"
echo TOKEN=x >"$T/project/sub dir/.env"
chmod -R a+rwX "$T/project" "$T/shown"
chmod 755 "$T"
# why WHAT QUESTION FILTER OPTION...: does not hold, and does by the remedy.
why() {
	local what=$1 question=$2 filter=$3 remedy words
	shift 3
	run "$M9M" --json --why "$question" "$@" python3
	remedy=$(jq -r '.remedy // empty' "$T/out")
	if [ "$(jq "$filter" "$T/out")" != false ] || [ -z "$remedy" ]; then
		not_ok "$what: $(cat "$T/out" "$T/err")"
		return
	fi
	eval "words=($remedy)"
	run "$M9M" --json --why "$question" "$@" "${words[@]}" python3
	is "$what: $remedy" "$(jq "$filter" "$T/out" 2>&1)" true
	expect_exit 0 "$M9M" -q --no-artifact "$@" "${words[@]}" python3 -c ""
}
allowed='.verdict == "allowed"' writable='.is | startswith("writable")'
# Not below /tmp, which is another one inside.
for file in /etc/issue /var/lib/dpkg/status /usr/lib/os-release; do
	[ -e "$file" ] && ! "$M9M" --why "$file" true >"$T/any" &&
		why "a path" "$file" "$allowed" && break
done
why "a tree that is shown" /opt "$writable" --ro-bind "$T/shown" /opt
why "a secret of the project" "/work/sub dir/.env" "$allowed" \
	--project "$T/project"
why "a file of the project" /work/file "$writable" \
	--project "$T/project" --project-mode ro
why "a command" rg "$allowed" --allow-no-commands
why "a shell" sh "$allowed" --allow-no-commands
why "where a shell would be" /usr/bin/dash "$allowed" --allow-no-commands
why "where a script would be" /usr/bin/ldd "$allowed" --allow-no-commands
why "a connection" a.test:443 "$allowed"
why "a connection, deny said" a.test:443 "$allowed" --network deny
why "one of the agent" a.test:443 "$allowed" --network restricted --agent claude
why "a port of this host" host.m9m.internal:22 "$allowed" --network deny
is "no flag for a port that is ours" "$("$M9M" --json --why 8.8.8.8:53 true |
	jq .remedy)" null

echo "# caps: by the name of the flag"
# caps LIMIT SMALL LARGE SCRIPT
caps() {
	local limit=$1 small=$2 large=$3
	capped() {
		run "$M9M" --artifact "$T/a.tar" --summary always \
			--result "$T/result.json" "--$limit" "$1" -- \
			python3 -Bc "$2"
	}
	capped "$small" "$4"
	json_is "$T/result.json" '.limits | join(" ")' "$limit"
	contains "$T/err" "(--$limit"
	capped "$large" "$4"
	json_is "$T/result.json" '.status + (.limits | join(" "))' ok
}
caps disk 1Mi 8Mi 'open("x", "wb").write(bytes(4 << 20))'
caps output 1Ki 1Mi 'print("x" * 5000)'
# Who holds these without a cgroup does not say so.
run "$M9M" --no-artifact --result "$T/result.json" --memory 1Gi true
if [ "$rc" = 0 ]; then
	caps memory 64Mi 1Gi 'bytearray(200 << 20)'
	caps pids 4 40 'import os
held = os.pipe()
for i in range(10):
    if os.fork() == 0:
        os.close(held[1])
        os.read(held[0], 1)
        os._exit(0)'
fi

echo "# the network"
long=$(printf 'a%.0s' {1..60})
long=$long.$long.$long.$long.test
mkdir "$T/world"
cat >"$T/world/zone" <<ZONE
good.test $OWN
$long $OWN
v6.test $V6
own.test $OTHER
loopback.test 127.0.0.1
zero.test 0.0.0.0
private.test $PRIVATE
metadata.test $METADATA
mapped.test ::ffff:$PRIVATE
ZONE
if ! make_world; then
	echo "# no mount namespace can be made here"
	exit
fi
probe=(--ro-bind "$TOP/tests/standin/net-probe.py" /probe.py)
through='-> (heard|HTTP/1.1 200 OK .*served|rcode 0 198.*)$'
net_mends() { # WHAT ATTEMPT OPTION...
	act=(python3 -B /probe.py "$2")
	mends "$1" "$through" "${probe[@]}" "${@:3}"
}
net_stays() { # WHAT ATTEMPT REASON OPTION...
	act=(python3 -B /probe.py "$2")
	no_flag "$1" "$through" "$3" "${probe[@]}" "${@:4}"
}
H='\r\n\r\n' G='GET / HTTP/1.1\r\nHost:'
good=(--allow good.test:443)
# An address of this host's is nowhere that a name may lead by itself.
at=(--resolve "good.test=$OWN")
agent=(--network restricted --agent claude)
echo '{"network": "deny"}' >"$T/deny.json"
net_mends "a question" dns:good.test:1
net_mends "a question, to a run that denies" dns:good.test:1 --network deny
net_mends "the same of a spec" dns:good.test:1 --spec "$T/deny.json"
net_mends "a question for a name as long as they get" "dns:$long:1"
net_mends "a name" say:good.test:443:x "${at[@]}"
net_mends "a name, to one for its agent" say:good.test:443:x "${agent[@]}" \
	"${at[@]}"
net_mends "a name, where others are allowed" say:good.test:443:x \
	--allow other.test "${at[@]}"
net_mends "a port of a name" say:good.test:5432:x "${good[@]}" "${at[@]}"
net_mends "an address" "say:$OWN:5432:x"
net_mends "an address, to a run that denies" "say:$OWN:443:x" --network deny
net_mends "an address, to one for its agent" "say:$OWN:443:x" "${agent[@]}"
net_mends "an address, where others are allowed" "say:$OWN:443:x" "${good[@]}"
[ -z "$v6" ] || net_mends "an IPv6 address" "say:[$V6]:443:x"
net_mends "a private address" "say:$PRIVATE:80:$G x$H"
net_mends "metadata" "say:$METADATA:80:$G x$H"
for name in private metadata loopback own; do
	net_mends "a name that leads to a special address: $name" \
		"say:$name.test:80:$G $name.test$H" --allow "$name.test:80"
done
net_mends "another port of this host" say:host.m9m.internal:5432:x \
	--host-port 80
net_mends "the same, for an agent" say:host.m9m.internal:5432:x \
	"${agent[@]}" --host-port 80

# Which port it would be is not known when the name is asked for.
act=(python3 -B /probe.py say:host.m9m.internal:5432:x)
run_with "${probe[@]}" --network deny
is "this host, of which no port is allowed" "$(remedies)" \
	"--network allow --host-port PORT"
eval "words=($(remedies))"
run_with "${probe[@]}" --network deny "${words[@]/PORT/5432}"
check "the flag, with the port" grep -qE -e "$through" "$T/out"

net_stays "UDP" "udp:$OWN:443" "UDP is not relayed"
net_stays "TLS for another host" tls:good.test:443:evil.test \
	"for another host (SNI): evil.test" "${good[@]}"
net_stays "the same, though that is allowed too" tls:good.test:443:evil.test \
	"for another host (SNI): evil.test" "${good[@]}" --allow evil.test:443
net_mends "TLS that hides its name" ech:good.test:443:good.test "${good[@]}" \
	"${at[@]}"
net_stays "the same, behind the name of another host" \
	ech:good.test:443:evil.test "for another host (SNI): evil.test" \
	"${good[@]}" --allow-ech
net_stays "TLS for nobody" tls:good.test:443:- "without a server name" \
	"${good[@]}"
net_stays "HTTP for another host" "say:good.test:443:$G evil.test$H" \
	"HTTP request refused" "${good[@]}"
net_stays "something else than TLS" say:good.test:443:SSH-2.0-x \
	"requires TLS" "${good[@]}" --require-tls 443
net_stays "a question for a text" dns:good.test:16 "not allowed"
net_stays "a question for an address's name" \
	dns:5.113.0.203.in-addr.arpa:12 "not allowed"
net_stays "a text of an allowed name" dns:good.test:16 \
	"type of question" "${good[@]}"
net_stays "an address that means all" "say:zero.test:80:$G zero.test$H" \
	"the name leads to 0.0.0.0" --allow zero.test:80
net_stays "IPv4 in IPv6 form" "say:mapped.test:80:$G mapped.test$H" \
	"IPv4 in IPv6 form" --allow mapped.test:80
net_stays "an address that stands for nothing" say:198.18.77.77:443:x \
	"stands for no name" "${good[@]}"
net_stays "a port that is published" "say:$OWN:8443:x" "not allowed" \
	"${good[@]}" --publish 8444:8443
