#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the program cannot do here, and what it then says: the stage, the cause
# and the remedy, with the payload not started and nothing left.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq unshare setpriv strace

REFUSE=$(dirname "$M9M")/refuse
RUNS=$XDG_STATE_HOME/m9m-sandbox/runs
[ -x "$REFUSE" ] || skip "$REFUSE is not built"

left() { find "$RUNS" -mindepth 1 2>/dev/null | head -n 3; }

# refused WHAT EXIT STAGE MESSAGE REMEDY COMMAND...: the two are regular
# expressions; the command ends with the program's own arguments.
refused() {
	local what=$1 code=$2 stage=$3 message=$4 remedy=$5
	shift 5
	echo "# $what"
	rm -f "$T/r.json"
	expect_exit "$code" "$@"
	[ -s "$T/r.json" ] || {
		not_ok "$what: there is a result"
		return
	}
	json_is "$T/r.json" '.status + " " + (.started | tostring)' \
		"error false"
	json_is "$T/r.json" .exit_code "$code"
	json_is "$T/r.json" .stage "$stage"
	json "$T/r.json" .message >"$T/message"
	matches "$T/message" "$message"
	json "$T/r.json" '.remedy // "none"' >"$T/remedy"
	matches "$T/remedy" "$remedy"
	contains "$T/err" "m9m-sandbox: $stage: $(cat "$T/message")"
	contains "$T/err" "$(cat "$T/remedy")"
	lacks "$T/out" STARTED
	is "$what: nothing is left" "$(left)" ""
}

ARGS=(-q --no-artifact --result "$T/r.json")
RUN=("$M9M" "${ARGS[@]}" sh -c 'echo STARTED')
NET=("$M9M" "${ARGS[@]}" --allow a.test --resolve a.test=127.0.0.1
	sh -c 'echo STARTED')

unshare -U -m true 2>/dev/null || skip "no namespace can be made here"
expect_exit 0 in_namespace true "$M9M" "${ARGS[@]}" true

# --- namespaces that are not to be had -------------------------------------

limit() { echo "echo 0 >/proc/sys/user/max_$1_namespaces"; }

refused "user namespaces are switched off" 125 namespaces \
	'^cannot clone into new namespaces: No space' \
	'sysctl user.max_user_namespaces' in_namespace "$(limit user)" "${RUN[@]}"
for kind in net pid uts ipc cgroup; do
	refused "no more $kind namespaces" 125 namespaces \
		'^cannot (clone into new|make the) namespaces: No space' \
		'user.max_\*_namespaces' in_namespace "$(limit $kind)" "${RUN[@]}"
done
refused "a policy forbids namespaces" 125 namespaces \
	'^cannot clone into new namespaces: Operation not permitted' \
	'seccomp=unconfined|AppArmor|switched off' \
	"$REFUSE" clone3 EPERM "${NET[@]}"

refused "a policy forbids some namespaces" 125 namespaces \
	'^cannot make the namespaces: Operation not permitted' \
	'seccomp=unconfined|AppArmor|switched off' \
	"$REFUSE" unshare EPERM "${NET[@]}"

# The host's tree once more, below a folder: the kernel sees the difference.
chroot_here() {
	cat <<-EOF
		for entry in /*; do
			if [ -L "\$entry" ] || [ ! -d "\$entry" ]; then
				cp -dp "\$entry" "$T/chroot/" 2>/dev/null || :
				continue
			fi
			mkdir -p "$T/chroot\$entry"
			mount --rbind "\$entry" "$T/chroot\$entry" || exit 99
		done
		exec chroot "$T/chroot" "\$@"
	EOF
}
mkdir "$T/chroot"
refused "a chroot" 125 namespaces \
	'^cannot clone into new namespaces: Operation not permitted' \
	'^this is a chroot' in_namespace "$(chroot_here)" "${RUN[@]}"

# --- an old kernel, or a filter that plays one -----------------------------

refused "no clone3" 125 namespaces \
	'^cannot clone into new namespaces: Function not implemented' \
	'profile that allows clone3' "$REFUSE" clone3 ENOSYS "${NET[@]}"
# What is older than Linux 6.15 has two calls in place of one.
TWO=("$REFUSE" open_tree_attr ENOSYS)
flags=("$M9M" "${ARGS[@]}" cut -d " " -f 5-6 /proc/self/mountinfo)
is "mounts are as restricted by two calls as by one" \
	"$("${TWO[@]}" "${flags[@]}")" "$("${flags[@]}")"
# A container's filter that lists calls by name: what it does not know is EPERM.
is "a filter that knows the two only is no hindrance" \
	"$("$REFUSE" open_tree_attr EPERM "${flags[@]}")" "$("${flags[@]}")"
for call in openat2 open_tree mount_setattr pivot_root mount; do
	refused "no $call" 125 mounts 'cannot .*: Function not implemented$' \
		'Linux 5.14' "${TWO[@]}" "$REFUSE" $call ENOSYS "${RUN[@]}"
done
refused "no pidfd_open" 125 relay \
	'cannot watch the network relay: Function not implemented' \
	'Linux 5.14' "$REFUSE" pidfd_open ENOSYS "${NET[@]}"
# More than once: the relay's reason may not lose against its death.
for _ in 1 2 3 4 5; do
	refused "no seccomp, in the relay" 125 "network relay" \
		"cannot filter the relay's system calls: Function not" \
		'Linux 5.14' "$REFUSE" seccomp ENOSYS "${NET[@]}"
done
refused "no close_range, in the relay" 125 "network relay" \
	"cannot close the relay's descriptors: Function not" \
	'Linux 5.14' "$REFUSE" close_range ENOSYS "${NET[@]}"
refused "no seccomp, in the payload" 125 seccomp \
	'cannot .*: Function not implemented$' \
	'CONFIG_SECCOMP' "$REFUSE" seccomp ENOSYS "${RUN[@]}"

# --- an archive that was asked for tells of it -----------------------------

told() {
	rm -f "$T/told.tar.zst"
	expect_exit 125 "$@"
	tar -xO -f "$T/told.tar.zst" events.jsonl >"$T/told" 2>&1
	matches "$T/told" '"event":"start"'
	is "the archive is of that run" \
		"$(tar -xO -f "$T/told.tar.zst" run.json | jq -r '.status')" error
	is "nothing else is left" "$(left)" ""
}
TELL=("$M9M" -q --artifact "$T/told.tar.zst")
told "$REFUSE" clone3 EPERM "${TELL[@]}" true
told "$REFUSE" clone3 EPERM "${TELL[@]}" --name it --disk 10M true
told "$REFUSE" pidfd_open ENOSYS "${TELL[@]}" --allow a.test true
told "$REFUSE" fsopen EPERM "${TELL[@]}" --disk 10M true
told "$REFUSE" unshare EPERM "${TELL[@]}" true
told "${TELL[@]}" --input "$T/not-there" true
if is_root && unshare -U -r true 2>/dev/null; then
	rm -f "$T/told.tar.zst"
	expect_exit 125 unshare -U -r "${TELL[@]}" true
	lacks "$T/err" "is kept"
	is "without a workdir there is none" "$(ls "$T"/told.tar.zst 2>/dev/null)" ""
	is "nothing else is left" "$(left)" ""
fi

# --- a /proc with masks over it --------------------------------------------

MASK=$(find /proc/sys /proc/tty /proc/fs -maxdepth 0 2>/dev/null | head -n 1)
refused "masked /proc" 125 mounts \
	'^cannot mount a new proc: Operation not permitted' \
	'systempaths=unconfined' \
	in_namespace "mount -t tmpfs none $MASK" "${RUN[@]}"

# --- programs --------------------------------------------------------------

printf '#!/bin/sh\necho STARTED\n' >"$T/plain"
# A library that is not there is missed by the runs that need it, before they
# start; an event that is too long for its line is told without it.
mkdir "$T/libraries"
: >"$T/libraries/libcjson.so.1"
expect_exit 125 env LD_LIBRARY_PATH="$T/libraries" \
	"$M9M" -q --artifact "$T/none.tar" true
matches "$T/err" '^m9m-sandbox: result: cannot load libcjson'
long=$(printf %0100000d 0)
expect_exit 0 env LD_LIBRARY_PATH="$T/libraries" "$M9M" -q --no-artifact true "$long"
is "nothing of that run stays" "$(ls -A "$XDG_STATE_HOME/m9m-sandbox/runs")" ""

printf '#!/no/such/interpreter\n' >"$T/orphan"
chmod 755 "$T/orphan"
refused "not found" 127 plan '^cannot find no-such-command' \
	'install it' "$M9M" "${ARGS[@]}" no-such-command
refused "the name of an option" 127 plan '^cannot find doctor' \
	'the option --doctor' "$M9M" "${ARGS[@]}" doctor
if ! is_root; then
	mkdir -m 0 "$T/closed"
	refused "not found, with a closed folder on PATH" 127 plan \
		'^cannot find no-such-command' 'install it' \
		env "PATH=$T/closed:$PATH" "$M9M" "${ARGS[@]}" no-such-command
	rmdir "$T/closed"
fi
refused "no such file" 127 plan "^cannot find $T/none: no such file" \
	"the host's" \
	"$M9M" "${ARGS[@]}" "$T/none"
refused "not executable" 126 plan "$T/plain: Permission denied" . \
	"$M9M" "${ARGS[@]}" "$T/plain"
refused "a folder" 126 plan "$T: Is a directory" 'program in it' \
	"$M9M" "${ARGS[@]}" "$T"
refused "an interpreter that is not there" 127 plan /no/such/interpreter . \
	"$M9M" "${ARGS[@]}" "$T/orphan"
refused "found only inside, and not there" 127 exec \
	'cannot execute /work/none: No such file' 'ro-bind' \
	"$M9M" "${ARGS[@]}" /work/none

# --- rights that its file lends ---------------------------------------------

# The sanitizers may not read what has such rights, and end it otherwise.
if is_root && ! sanitized; then
	lent=$(mktemp -d /tmp/m9m-test.XXXXXX)
	on_exit "rm -rf '$lent'"
	chmod 755 "$lent"
	cp "$M9M" "$lent/m9m-sandbox"
	echo secret-of-root >"$lent/spec"
	chmod 600 "$lent/spec"
	mkdir -m 777 "$lent/state"
	own=()
	as_other() {
		XDG_STATE_HOME=$lent/state run setpriv --reuid 12345 \
			--regid 12345 --clear-groups "${own[@]}" \
			"$lent/m9m-sandbox" "$@"
	}
	as_other "${ARGS[@]::2}" true
	is "with none of them it runs" "$rc" 0
	# What the starter has is no loan, and is not handed on.
	rights=+net_bind_service,+checkpoint_restore
	own=(--inh-caps "$rights" --ambient-caps "$rights")
	as_other "${ARGS[@]::2}" grep -E 'Cap(Prm|Inh|Amb)' /proc/self/status
	is "with its starter's it runs" "$rc" 0
	is "without any inside" "$(awk '{ print $2 }' "$T/out" | sort -u)" \
		0000000000000000
	own=()
	rm -rf "$lent/state/m9m-sandbox"
	for how in "chmod 4755" "chmod 2755" "setcap cap_dac_read_search+ep"; do
		chmod 755 "$lent/m9m-sandbox"
		# shellcheck disable=SC2086  # words
		$how "$lent/m9m-sandbox" || continue
		as_other "${ARGS[@]::2}" --spec "$lent/spec"
		is "$how: refused" "$rc" 125
		contains "$T/err" "cannot run with rights that its file lends"
		lacks "$T/err" secret
		is "$how: nothing is made" "$(ls "$lent/state")" ""
	done
fi

# --- places that cannot be written -----------------------------------------

# The folder of the runs and of the audit log, each by itself.
closed() {
	mkdir -p "$T/closed/m9m-sandbox"
	touch "$T/closed/m9m-sandbox/audit.jsonl"{,.head}
	if is_root; then
		# Root is kept out by the file system only.
		in_namespace "mount -t tmpfs -o size=1m none '$T/closed' &&
			mkdir '$T/closed/m9m-sandbox' &&
			for f in '$T/closed/m9m-sandbox/audit.jsonl'{,.head}; do
				touch \"\$f\" && mount --bind \"\$f\" \"\$f\" || exit 99
			done &&
			mount -o remount,bind,ro '$T/closed' 2>/dev/null ||
			mount -o remount,ro,bind none '$T/closed'" \
			env XDG_STATE_HOME="$T/closed" "$@"
	else
		chmod 555 "$T/closed/m9m-sandbox"
		XDG_STATE_HOME=$T/closed "$@"
	fi
}
refused "the workdir's parent" 125 workdir \
	"^cannot make folder $T/closed/m9m-sandbox/runs .*(Permission|Read-only)" \
	'XDG_STATE_HOME' closed "${RUN[@]}"
refused "no place for the audit log" 125 events \
	'cannot open the audit log /dev/null/x/.*: Not a directory' \
	'XDG_STATE_HOME' env XDG_STATE_HOME=/dev/null/x "${RUN[@]}"
mkdir -p "$T/foreign/m9m-sandbox/runs"
chmod 777 "$T/foreign/m9m-sandbox/runs"
refused "runs where others can write" 125 workdir 'others can write to it' \
	'XDG_STATE_HOME' env XDG_STATE_HOME="$T/foreign" "${RUN[@]}"
check "and nothing is made there" rmdir "$T/foreign/m9m-sandbox/runs"
# sudo -E: what the user's link leads to is root's to write, not the user's.
if is_root; then
	mkdir "$T/theirs" "$T/ours"
	ln -s "$T/ours" "$T/theirs/m9m-sandbox"
	chown -h 65534 "$T/theirs" "$T/theirs/m9m-sandbox"
	refused "a folder by another user's link" 125 events \
		"cannot keep the audit log in $T/theirs/m9m-sandbox: it belongs" \
		'XDG_STATE_HOME' env XDG_STATE_HOME="$T/theirs" "${RUN[@]}"
	check "and nothing is made there, either" rmdir "$T/ours"
	# In another user's file the record would be that one's to change.
	mkdir -p "$T/mixed/m9m-sandbox"
	touch "$T/mixed/m9m-sandbox/audit.jsonl"
	chown 65534 "$T/mixed/m9m-sandbox/audit.jsonl"
	refused "another user's file as the log" 125 events \
		"audit.jsonl is not a regular file of this user" \
		'move it away' env XDG_STATE_HOME="$T/mixed" "${RUN[@]}"
	is "and nothing is written to it" \
		"$(stat -c %s "$T/mixed/m9m-sandbox/audit.jsonl")" 0
fi

# --- a /proc that is not ours ----------------------------------------------

other_pids=(unshare -p -f)
is_root || other_pids=(unshare -U --map-current-user -p -f)
# By the number of a process of ours it would be another that is written to.
refused "another PID namespace's /proc" 125 plan \
	'/proc is that of another PID namespace' '--mount-proc' \
	"${other_pids[@]}" "${RUN[@]}"

# --- a full disk -----------------------------------------------------------

# The file system is gone with its namespace: what is said of it is kept.
# shellcheck disable=SC2016  # the payload's
in_full_disk() {
	in_namespace "mount -t tmpfs -o size=256k none '$T/disk'" \
		sh -c '"$@"; status=$?; find "$0" >"$0.list"; exit $status' \
		"$T/disk" "$@"
}
mkdir "$T/disk"
rm -f "$T/r.json"
expect_exit 125 in_full_disk "$M9M" -q --result "$T/r.json" \
	--artifact "$T/disk/sub/a.tar" sh -c \
	'echo precious >kept; head -c 1000000 /dev/urandom >big'
json_is "$T/r.json" '[.status, .stage, .started, .payload_exit_code] | @csv' \
	'"error","artifact",true,0'
matches "$T/err" '^m9m-sandbox: artifact: cannot write the archive .*No space'
kept=$(json "$T/r.json" .kept_workdir)
contains "$T/err" "m9m-sandbox: the workdir is kept: $kept"
is "it is kept, whole" "$(cat "$kept/kept"; wc -c <"$kept/big")" \
	"precious
1000000"
is "no half of an archive is there" "$(grep -c 'a\.tar' "$T/disk.list")" 0
rm -rf "$RUNS"

# What cannot be copied in for want of room: nothing of it stays.
head -c 1000000 /dev/urandom >"$T/large"
rm -f "$T/r.json"
expect_exit 125 in_full_disk env XDG_STATE_HOME="$T/disk" "$M9M" "${ARGS[@]}" \
	--input "$T/large" sh -c 'echo STARTED'
json_is "$T/r.json" '[.status, .stage, .started] | @csv' '"error","inputs",false'
matches "$T/err" 'cannot .*large.*: No space left on device'
is "nothing of it is left" "$(grep -c 'runs/' "$T/disk.list")" 0

# Records that have no place: said before the work, not after it.
mkdir "$T/record.d"
for option in "--result $T/record.d" "--result $T/none/r.json" \
	"--result $T/large/r.json" "--events $T/record.d" \
	"--events $T/none/e.jsonl" "--metrics-dir $T/none"; do
	# shellcheck disable=SC2086  # words
	expect_exit 125 "$M9M" -q --no-artifact $option sh -c 'echo STARTED'
	lacks "$T/out" STARTED
	matches "$T/err" "^m9m-sandbox: [a-z]*: cannot .* ${option#* }: "
	contains "$T/err" "m9m-sandbox: ${option% *} names a "
done
# A result that has none any more: the run was, and its end is said.
mkdir "$T/gone" && mkfifo "$T/go"
exec 8<>"$T/go"
: >"$T/out"
"$M9M" -q --no-artifact --result "$T/gone/r.json" sh -c 'echo ready; read -r _' \
	<&8 >"$T/out" 2>"$T/err" &
job=$!
await_line "$T/out" ready
rmdir "$T/gone"
echo >&8
rc=0
wait "$job" || rc=$?
exec 8>&-
is "exit 125" "$rc" 125
matches "$T/err" '^m9m-sandbox: result: cannot .*gone/r.json'

# --- root of a namespace that an ordinary user made ------------------------

if is_root; then
	expect_exit 125 unshare -U -r -m "${RUN[@]}"
	matches "$T/err" "cannot give .* to uid 65534"
	contains "$T/err" "start it outside, or map uid and gid 65534 there too"
	lacks "$T/out" STARTED
else
	expect_exit 0 unshare -U -r -m "$M9M" -q --result "$T/r.json" \
		--artifact "$T/own.tar" --allow a.test \
		--resolve a.test=127.0.0.1 \
		sh -c 'id -u; getent hosts a.test; echo x >file'
	is "unshare -r: it works" "$(head -n 1 "$T/out")" 1000
	is "with its archive" "$(tar -xOf "$T/own.tar" work/file)" x
fi
is "nothing is left at the end" "$(left)" ""
