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
	run "$@" timeout 5 "$M9M" --doctor --json
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
doctor "$REFUSE" open_tree ENOSYS
fails "bind mounts" 'Function not implemented' 'Linux 5.12'

echo "# a masked /proc"
doctor in_namespace "mount -t tmpfs none /proc/sys"
fails proc '^cannot .* new proc: Operation not permitted' \
	'systempaths=unconfined.*unmask=ALL'
is "a tmpfs is well" "$(layer tmpfs .works)" true

echo "# other hosts, by what they have in /proc"
echo "Linux version 5.15.1-microsoft-standard-WSL2" >"$T/version"
doctor in_namespace "mount --bind '$T/version' /proc/version"
matches <(layer kernel .how) WSL2
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

echo "# no place for records"
doctor env XDG_STATE_HOME=/dev/null/x
fails "audit log" 'Not a directory' XDG_STATE_HOME
fails "state folder" 'Not a directory' .

echo "# what it does not go with"
expect_exit 125 "$M9M" --doctor --memory 1G
contains "$T/err" "does not go with --doctor"
expect_exit 125 "$M9M" --doctor true
expect_exit 125 "$M9M" --json true
contains "$T/err" "goes with --doctor only"

is "nothing of ours is left to collect" "$(own_cgroups)" ""
