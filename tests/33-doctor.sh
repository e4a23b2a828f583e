#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --doctor: what works is said to work, and what does not has its cause and its
# remedy; it leaves nothing.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq unshare setpriv

REFUSE=$(dirname "$M9M")/refuse
RUNS=$XDG_STATE_HOME/m9m-sandbox/runs
[ -x "$REFUSE" ] || skip "$REFUSE is not built"
unshare -U -m true 2>/dev/null || skip "no namespace can be made here"


doctor() {
	took=$(date +%s%N)
	run "$@" timeout 60 "$M9M" --doctor --json
	took=$((($(date +%s%N) - took) / 1000000))
	cp "$T/out" "$T/doctor.json"
	is "one object of JSON" "$(jq -s length "$T/doctor.json")" 1
	json_is "$T/doctor.json" \
		'[.layers[] | select(.counts)] | all(.works) | tostring' \
		"$(json "$T/doctor.json" .ok)"
	is "its exit status agrees" "$rc" \
		"$(json "$T/doctor.json" 'if .ok then 0 else 1 end')"
	is "nothing is left in the runs" \
		"$(find "$RUNS" -mindepth 1 2>/dev/null)" ""
}

# layer NAME FILTER
layer() {
	jq -r --arg name "$1" ".layers[] | select(.layer == \$name) | $2" \
		"$T/doctor.json"
}

# fails LAYER WHY REMEDY: the two are regular expressions.
fails() {
	is "$1 does not work" "$(layer "$1" .works)" false
	layer "$1" .why >"$T/why"
	layer "$1" .remedy >"$T/remedy"
	matches "$T/why" "$2"
	matches "$T/remedy" "$3"
	is "so not all is well" "$rc" 1
}

echo "# as it is here"
doctor env
alone=$took
# On a machine that is busy with other things: the best of five.
for _ in 1 2 3 4; do
	[ "$took" -ge 1000 ] || break
	doctor env
done
check "it took less than a second: $took ms" test "$took" -lt 1000
is "all but the cgroup works" "$(json "$T/doctor.json" '[.layers[] |
	select(.counts and (.works | not) and .layer != "cgroup") | .layer] |
	join(",")')" ""
# The run's own cgroup says what is to be had.
run "$M9M" -q --no-artifact --memory 1G --cpu 1 --pids 64 true
is "the cgroup is as for a run" "$(layer cgroup .works)" \
	"$([ "$rc" = 0 ] && echo true || echo false)"
[ "$rc" = 0 ] || matches <(layer cgroup .remedy) 'Delegate|delegat|systemd|root'
is "the layers that do not count" "$(json "$T/doctor.json" \
	'[.layers[] | select(.counts | not) | .layer] | join(",")')" \
	"overlay,raw sockets,seccomp listener,claude,codex"
run "$M9M" --doctor
matches "$T/out" '^user namespace +works'
matches "$T/out" '^The default policy can(not)? be had in full\.$'

echo "# namespaces switched off"
doctor in_namespace 'echo 0 >/proc/sys/user/max_user_namespaces'
fails "user namespace" '^cannot clone.*No space' \
	'sysctl user.max_user_namespaces'
fails "set-up of a run" '^cannot clone' 'sysctl user.max_user_namespaces'
for kind in net uts ipc cgroup; do
	doctor in_namespace "echo 0 >/proc/sys/user/max_${kind}_namespaces"
	fails "${kind/net/network} namespace" 'No space' 'user.max_\*_namespaces'
	is "and the user's is well" "$(layer "user namespace" .works)" true
done

echo "# a container's filter"
doctor "$REFUSE" clone3 EPERM
fails "user namespace" '^cannot clone.*not permitted' \
	'seccomp=unconfined|AppArmor|switched off'
doctor "$REFUSE" unshare EPERM
is "the user's was cloned" "$(layer "user namespace" .works)" true
fails "mount namespace" 'not permitted' 'seccomp=unconfined|AppArmor'
doctor "$REFUSE" seccomp ENOSYS
fails seccomp 'Function not implemented' CONFIG_SECCOMP
doctor "$REFUSE" open_tree_attr ENOSYS "$REFUSE" open_tree ENOSYS
fails "bind mounts" 'Function not implemented' 'Linux 5.14'

echo "# Docker's and Podman's filters, as they publish them"
masks='mount --bind /dev/null /proc/keys && mount --bind /proc/bus /proc/bus &&
	mount -o remount,bind,ro /proc/bus'
if published=$("$TOP/scripts/seccomp-profiles.sh" --present 2>&1); then
	docker=(python3 "$TOP/tests/standin/profile.py" "$published/docker.json")
	podman=("${docker[@]/docker.json/podman.json}")
	doctor "${docker[@]}" env
	fails "user namespace" '^cannot clone.*not implemented' \
		"Docker's default seccomp profile.*seccomp=unconfined"
	fails "set-up of a run" '^cannot clone.*not implemented' \
		'seccomp=unconfined'
	run "${docker[@]}" "$M9M" -q --no-artifact true
	is "a run says it, too" "$rc" 125
	contains "$T/err" "--security-opt seccomp=unconfined"
	# That allows every namespace, but not to name its host.
	doctor "${podman[@]}" env
	is "in Podman nothing fails by itself" "$(json "$T/doctor.json" \
		'[.layers[] | select(.counts and (.works | not) and
		.layer != "cgroup" and .layer != "set-up of a run") | .layer] |
		join(",")')" ""
	fails "set-up of a run" '^cannot set the host name' \
		"Podman's default seccomp profile.*seccomp=unconfined"
	run "${podman[@]}" "$M9M" -q --no-artifact true
	is "a run says it, too" "$rc" 125
	contains "$T/err" "--security-opt seccomp=unconfined"
	doctor in_namespace "$masks" "${podman[@]}" env
	fails proc 'Operation not permitted' 'unmask=ALL \(Podman\)'
else
	echo "# not tried: $published"
fi

echo "# a masked /proc"
doctor in_namespace "mount -t tmpfs none /proc/sys"
fails proc '^cannot .* new proc: Operation not permitted' \
	'systempaths=unconfined.*unmask=ALL'
is "a tmpfs is well" "$(layer tmpfs .works)" true
doctor in_namespace "$masks"
fails proc 'Operation not permitted' 'systempaths=unconfined.*unmask=ALL'
# As permitted as before, but for a filter: then it is not the masks.
doctor "$REFUSE" fsopen EPERM
fails proc 'Operation not permitted' 'seccomp=unconfined'
lacks "$T/remedy" systempaths

echo "# an old kernel, by its own word"
if setarch --uname-2.6 true 2>/dev/null; then
	doctor setarch --uname-2.6
	is "it is $(layer kernel .why)" "$(layer kernel .works)" false
	fails kernel '^Linux 2\.6\.' 'Linux 5.14 or later is needed'
	doctor "$REFUSE" clone3 ENOSYS setarch --uname-2.6
	fails "user namespace" 'not implemented' 'clone3 is missing: Linux 5.14'
fi

echo "# other hosts, by what they have in /proc"
echo "Linux version 5.15.1-microsoft-standard-WSL2" >"$T/version"
doctor in_namespace "mount --bind '$T/version' /proc/version"
matches <(layer kernel .how) WSL2
is "whose cgroups systemd makes" "$(layer cgroup .remedy)" \
	"$(layer cgroup 'if .works then null else "in WSL2 systemd makes cgroups: systemd=true below [boot] in /etc/wsl.conf, then wsl --shutdown" end')"
if ! is_root; then
	setting="mount -t tmpfs none /proc/sys/kernel &&
		echo 1 >/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
	doctor in_namespace "$setting" "$REFUSE" unshare EPERM
	fails "mount namespace" 'not permitted' \
		'/apparmor/m9m-sandbox /etc/apparmor.d/'
	doctor in_namespace "${setting/1 >*/0 >/proc/sys/kernel/unprivileged_userns_clone}" \
		"$REFUSE" clone3 EPERM
	fails "user namespace" 'not permitted' 'unprivileged_userns_clone=1'
fi

echo "# a systemd whose bus hangs"
cat >"$T/bus.py" <<'P'
import os, signal, socket, sys
how, path = sys.argv[1:]
s = socket.socket(socket.AF_UNIX)
s.bind(path)
os.chmod(path, 0o777)
s.listen(8)
print("ready", flush=True)
held = []
while how != "deaf":
    c, _ = s.accept()
    # Its greeting is over, and the first call is never answered.
    if how == "mute":
        c.sendall(b"DATA\r\nOK " + b"0" * 31 + b"1\r\nAGREE_UNIX_FD\r\n")
    held.append(c)
signal.pause()
P
for how in deaf silent mute; do
	rm -f "$T/bus"
	serve python3 "$T/bus.py" $how "$T/bus"
	export DBUS_SESSION_BUS_ADDRESS=unix:path=$T/bus
	export DBUS_SYSTEM_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS
	# It is not asked where v1 has the controllers.
	here="mount -t tmpfs none /run && mkdir -p /run/systemd/system &&
		mount -t tmpfs none /sys/fs/cgroup"
	# What waits for the bus as a run does takes five seconds more.  The best
	# of five, as above.
	for _ in 1 2 3 4 5; do
		doctor in_namespace "$here"
		[ "$took" -ge $((3000 + 2 * alone)) ] || break
	done
	check "$how: it took $took ms, $alone without" \
		test "$took" -lt $((3000 + 2 * alone))
	[ "$(layer cgroup .works)" = true ] ||
		fails cgroup 'systemd: cannot start .*no answer within 350 ms' \
			'systemd or its bus hangs'
	is "$how: the rest is well" "$(json "$T/doctor.json" '[.layers[] |
		select(.counts and (.works | not) and .layer != "cgroup") |
		.layer] | join(",")')" ""
	run in_namespace "$here" "$M9M" -q --no-artifact --cgroup systemd true
	is "$how: a run refuses" "$rc" 125
	contains "$T/err" "no answer within 5000 ms"
done
unset DBUS_SESSION_BUS_ADDRESS DBUS_SYSTEM_BUS_ADDRESS

echo "# no place for records"
doctor env XDG_STATE_HOME=/dev/null/x
fails "audit log" 'Not a directory' XDG_STATE_HOME
fails "state folder" 'Not a directory' .

echo "# what it does not go with"
expect_exit 125 "$M9M" --doctor --memory 1G
contains "$T/err" "does not go with --doctor"
expect_exit 125 "$M9M" --doctor true
expect_exit 125 "$M9M" --json true
contains "$T/err" "goes with --doctor, --why and --suggest only"

is "nothing of ours is left to collect" "$(own_cgroups)" ""
