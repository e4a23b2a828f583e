#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Runs as root of a guest whose cgroups are all v2 (tests/60-cgroup-v2.sh).
# Each way in which a caller can stand in the tree: what is made, by whom, and
# what is told where nothing can be.
. "$(dirname "$0")/../lib.sh"

CG=/sys/fs/cgroup
# Where a user can reach them: the checkout may lie below /root.
chmod 755 "$T"
cp "$M9M" "$TOP/$B/unit-cgroup" "$T/"
export M9M=$T/m9m-sandbox
UNIT=$T/unit-cgroup
SOMEBODY=1234

as_user() {
	setpriv --reuid "$SOMEBODY" --regid "$SOMEBODY" --clear-groups "$@"
}

# In the cgroup $1, alone: the shell that goes there becomes the command.
within() {
	local group=$1
	shift
	sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' - "$CG/$group" "$@"
}

# delegate GROUP "+a +b": a subtree that SOMEBODY owns, with these controllers.
delegate() {
	mkdir "$CG/$1"
	echo "$2" >"$CG/cgroup.subtree_control"
	chown "$SOMEBODY" "$CG/$1" "$CG/$1/cgroup.procs" \
		"$CG/$1/cgroup.subtree_control"
}

remove() {
	local group
	find "$CG/$1" -depth -type d | while read -r group; do
		rmdir "$group"
	done
	! [ -e "$CG/$1" ]
}

# refused WHAT MESSAGE REMEDY COMMAND...
refused() {
	local what=$1 message=$2 remedy=$3
	shift 3
	run "$@"
	sed -n "s/^# /# $what: /p" "$T/out"
	check "$what: the unit test takes the refusal" test "$rc" = 0
	matches "$T/out" "^# cannot make a cgroup .*$message"
	matches "$T/out" "^# .*$remedy"
	lacks "$T/out" "ok 40"
}

# works WHAT COMMAND...: all of the unit test's checks, on v2.
works() {
	local what=$1
	shift
	run "$@"
	grep -v '^ok' "$T/out" | sed "s/^/# $what: /"
	sed "s/^/# $what: /" "$T/err"
	check "$what: every check of the unit test" test "$rc" = 0
	matches "$T/out" "^ok .*memory: by v2"
	is "$what: nothing is left" "$(find $CG -name 'm9m*')" ""
}

all='+memory +pids +cpu +io'

# --- root ---
works "root of all" "$UNIT" v2
mkdir $CG/deep
works "root, deeper: beside itself" within deep "$UNIT"
echo 300M >$CG/deep/memory.max
works "root, in a limited cgroup: below it" within deep "$UNIT"
is "its controllers are as before" "$(cat $CG/deep/cgroup.subtree_control)" ""
sleep 1000 &
sleeper=$!
echo $sleeper >$CG/deep/cgroup.procs
refused "root, limited, with others" "other processes" "into a leaf" \
	within deep "$UNIT"
kill $sleeper
wait $sleeper 2>/dev/null
check "the cgroup can be removed" remove deep

# --- an ordinary user ---
delegate mine "$all"
mkdir $CG/mine/leaf
chown $SOMEBODY $CG/mine/leaf $CG/mine/leaf/cgroup.*
works "user in a leaf" within mine/leaf setpriv --reuid $SOMEBODY \
	--regid $SOMEBODY --clear-groups "$UNIT"
remove mine
delegate mine "$all"
works "user alone in it" within mine setpriv --reuid $SOMEBODY \
	--regid $SOMEBODY --clear-groups "$UNIT"
is "its controllers are as before" "$(cat $CG/mine/cgroup.subtree_control)" ""
sleep 1000 &
sleeper=$!
echo $sleeper >$CG/mine/cgroup.procs
refused "user among others" "mine holds other processes" "into a leaf" \
	within mine setpriv --reuid $SOMEBODY --regid $SOMEBODY \
	--clear-groups "$UNIT"
kill $sleeper
wait $sleeper 2>/dev/null
remove mine
refused "user without a cgroup" "cannot write $CG: Permission denied" \
	"let root give this user a cgroup" as_user "$UNIT"

# --- too few controllers ---
echo "-memory -cpu -io" >$CG/cgroup.subtree_control
delegate few "+pids"
refused "user with pids only" "few does not have memory and cpu" \
	"let root give this user a cgroup" within few setpriv \
	--reuid $SOMEBODY --regid $SOMEBODY --clear-groups "$UNIT"
remove few

# --- as in a container ---
delegate box "$all"
cat >"$T/container" <<'C'
umount /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -o remount,ro,bind /sys/fs/cgroup
exec "$@"
C
refused "read-only" "Read-only file system" "writable-cgroups=true" \
	within box unshare -C -m sh "$T/container" "$UNIT"
sed -i '/remount/d' "$T/container"
works "writable, alone in the container" \
	within box unshare -C -m sh "$T/container" "$UNIT"
remove box

# --- where folders of v1 are expected, and v2 has the controllers ---
cat >"$T/hybrid" <<'C'
umount /sys/fs/cgroup
mount -t tmpfs none /sys/fs/cgroup
mkdir /sys/fs/cgroup/unified
mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
exec "$@"
C
delegate mine "$all"
for who in "" "setpriv --reuid $SOMEBODY --regid $SOMEBODY --clear-groups"; do
	rm -rf "$T/user"
	mkdir -m 777 "$T/user"
	# shellcheck disable=SC2086  # words
	expect_exit 137 within mine unshare -m sh "$T/hybrid" $who \
		env XDG_STATE_HOME="$T/user" "$M9M" -q --no-artifact \
		--memory 100M --result "$T/user/r.json" \
		sh -c 'cat /proc/self/cgroup; exec tail /dev/zero'
	is "its namespace begins at it" "$(cat "$T/out")" 0::/
	is "told" "$(json "$T/user/r.json" \
		'.layers[] | select(startswith("cgroup:"))')" cgroup:v2
	is "nothing is left" "$(find $CG -name 'm9m*')" ""
done
remove mine

# --- the program itself ---
# passes WHAT TEST COMMAND...: the test, by a command that it is appended to.
passes() {
	local what=$1 test=$2
	shift 2
	run "$@" bash "tests/$test.sh"
	grep -A 3 '^not ok' "$T/out" | sed "s/^/# $what: $test: /"
	sed "s/^/# $what: $test: /" "$T/err"
	check "$what: $test" test "$rc" = 0
	is "$what: nothing is left" "$(find $CG -name 'm9m*')" ""
}

mkdir $CG/deep
passes "root, deeper" 19-caps within deep
check "the cgroup can be removed" remove deep
delegate mine "$all"
mkdir $CG/mine/leaf
chown $SOMEBODY $CG/mine/leaf $CG/mine/leaf/cgroup.*
user=(setpriv --reuid "$SOMEBODY" --regid "$SOMEBODY" --clear-groups)
passes "user in a leaf" 19-caps within mine/leaf "${user[@]}"
m9m() {
	within mine/leaf "${user[@]}" env XDG_STATE_HOME="$T/user" "$M9M" -q \
		--no-artifact --result "$T/user/r.json" "$@"
}
mkdir -m 777 "$T/user"
expect_exit 124 m9m --timeout 3s --grace 0 sh -c \
	'trap "" TERM; setsid sleep 1000 & kill -STOP $!; sleep 1000'
json_is "$T/user/r.json" .status timeout
run m9m --pids 20 sh -c 'while :; do sleep 1000 & done'
json_is "$T/user/r.json" '.limits | join(" ")' pids
# What a run is in while it is there.
mkfifo -m 666 "$T/user/stay"
m9m --memory 200Mi --cpu 0.5 --pids 30 sh -c 'echo ready; read -r _' \
	<>"$T/user/stay" >"$T/out" 2>"$T/err" &
pid=$!
await_line "$T/out" ready
run=$(find $CG/mine -type d -name 'm9m-2*')
for row in "memory.max 209715200" "memory.swap.max 0" "memory.oom.group 1" \
	"cpu.max 50000 100000" "pids.max 31" "io.weight default 50"; do
	if [ -e "$run/${row%% *}" ]; then
		is "$row" "$(cat "$run/${row%% *}")" "${row#* }"
	else
		echo "# this kernel has no ${row%% *}"
	fi
done
check "the payload is in it" test "$(wc -l <"$run/cgroup.procs")" -ge 2
# All in it at once: whoever is killed there first takes the others along.
echo 1 >"$run/cgroup.kill"
rc=0
wait $pid || rc=$?
check "killed as a whole, the run ends: $rc" test "$rc" != 0
check "and its cgroup is gone" test ! -e "$run"
is "nobody is alive" "$(pgrep -c -f "sleep 1000")" 0
is "nor is a cgroup left" "$(find $CG -name 'm9m*')" ""
remove mine

# --- a cap of the caller's ---
inherit() {
	local group=$1
	shift
	within "$group" "$@" env XDG_STATE_HOME="$T/user" "$M9M" -q \
		--no-artifact --cgroup inherit --result "$T/user/r.json" \
		tail /dev/zero
}
rm -rf "$T/user"
mkdir -m 777 "$T/user"
mkdir -p $CG/capped/deeper
expect_exit 125 inherit capped/deeper
contains "$T/err" "nothing limits memory in $CG/capped/deeper"
contains "$T/err" "MemoryMax"
echo +memory >$CG/cgroup.subtree_control
echo 100M >$CG/capped/memory.max
echo 0 >$CG/capped/memory.swap.max 2>/dev/null || :
for who in "" "${user[*]}"; do
	rm -rf "$T/user"
	mkdir -m 777 "$T/user"
	# shellcheck disable=SC2086  # words
	expect_exit 137 inherit capped/deeper $who
	is "inherit: told" "$(json "$T/user/r.json" \
		'.layers[] | select(startswith("cgroup:"))')" cgroup:inherit
	json_is "$T/user/r.json" '.degraded | length' 0
	is "no cgroup was made" "$(find $CG -name 'm9m*')" ""
done
echo max >$CG/capped/memory.max
expect_exit 125 inherit capped/deeper
remove capped
