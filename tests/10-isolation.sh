#!/bin/bash
# What a payload is and sees: namespaces, ids, rights, environment, descriptors.
. "$(dirname "$0")/lib.sh"
need python3 jq taskset

m9m() { "$M9M" -q --no-artifact "$@"; }

# --- namespaces: each one is another than ours ---
for kind in user pid mnt net uts ipc cgroup; do
	inside=$(m9m readlink /proc/self/ns/$kind)
	check "$kind namespace is its own" \
		test -n "$inside" -a "$inside" != "$(readlink /proc/self/ns/$kind)"
done

# --- ids and rights ---
run m9m cat /proc/self/status
matches "$T/out" '^CapEff:.0000000000000000$'
matches "$T/out" '^CapPrm:.0000000000000000$'
matches "$T/out" '^CapBnd:.0000000000000000$'
matches "$T/out" '^CapInh:.0000000000000000$'
matches "$T/out" '^CapAmb:.0000000000000000$'
matches "$T/out" '^NoNewPrivs:.1$'
matches "$T/out" '^Seccomp:.2$'
uid=$(m9m id -u)
check "uid inside is not 0" test "$uid" != 0
read -r _ outside count < <(m9m cat /proc/self/uid_map)
is "one id is mapped" "$count" 1
check "the host's uid 0 is not mapped" test "$outside" != 0
is "--uid and --gid" "$(m9m --uid 4321 --gid 1234 sh -c 'id -u; id -g' | xargs)" \
	"4321 1234"
if is_root; then
	is "no supplementary group" "$(m9m id -G)" "$(m9m id -g)"
fi

# --- nothing can be nested ---
for kind in user mount pid net uts ipc cgroup; do
	run m9m unshare --$kind true
	check "unshare --$kind fails inside" test "$rc" != 0
done
is "namespace limits are 0" \
	"$(m9m sh -c 'cat /proc/sys/user/max_*_namespaces' | sort -u)" 0
# Watches on files are counted for the uid, of which others have processes, too.
cat >"$T/watch.py" <<'P'
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
n = 0
while n < int(sys.argv[1]) and libc.inotify_init1(0) >= 0:
    n += 1
print(n)
P
half=$(($(cat /proc/sys/fs/inotify/max_user_instances) / 2))
if [ $half -gt 500 ]; then
	echo "# more than a process may have open"
else
	is "half of the watchers can be had inside" \
		"$(m9m --ro-bind "$T/watch.py" /w.py python3 /w.py 1000)" $half
	check "and more outside" \
		test "$(python3 "$T/watch.py" $((half + 1)))" -gt $half
fi
is "half of the watches" "$(m9m cat /proc/sys/user/max_inotify_watches)" \
	$(($(cat /proc/sys/fs/inotify/max_user_watches) / 2))
# (A leak checker, where the build has one, cannot trace its process inside.)
run m9m --ro-bind "$M9M" /m9m --setenv ASAN_OPTIONS detect_leaks=0 \
	/m9m -q --no-artifact true
is "nor a sandbox in a sandbox" "$rc" 125
contains "$T/err" "inside a sandbox of m9m-sandbox already"

# --- PID 1 is ours and closed ---
is "the payload's parent is PID 1" "$(m9m sh -c 'echo $PPID')" 1
run m9m sh -c 'cat /proc/1/environ /proc/1/mem; ls /proc/1/fd; readlink /proc/1/exe'
is "nothing of PID 1 can be read" "$(cat "$T/out")" ""
run m9m --setenv PLANTED s3cret-value sh -c 'tr "\0" " " </proc/1/cmdline'
lacks "$T/out" s3cret
is "its own processes only" "$(m9m sh -c 'set -- /proc/[0-9]*; echo $#')" 2

# --- environment ---
unset TZ
PLANTED_SECRET=42 LD_PRELOAD='' SSH_AUTH_SOCK=/x run m9m env
lacks "$T/out" PLANTED_SECRET
lacks "$T/out" SSH_AUTH_SOCK
matches "$T/out" '^HOME=/home/agent$'
matches "$T/out" '^TMPDIR=/tmp$'
is "only these variables" "$(sed 's/=.*//' "$T/out" | grep -v '^_$' | sort | xargs)" \
	"HOME LANG LOGNAME PATH SHELL TERM TMPDIR USER"
PASSED=here run m9m --pass-env PASSED --setenv SET 'a b' --unsetenv LANG env
matches "$T/out" '^PASSED=here$'
matches "$T/out" '^SET=a b$'
lacks "$T/out" LANG=
is "--clearenv" "$(m9m --clearenv --setenv A b /usr/bin/env)" A=b

# --- descriptors ---
exec 77</ 78<"$SELF"
is "no inherited descriptor" \
	"$(m9m python3 -c 'import os; print(*sorted(int(f) for f in os.listdir("/proc/self/fd")[:-1]))')" \
	"0 1 2"
exec 77<&- 78<&-
echo original >"$T/input"
m9m sh -c 'echo changed >/proc/self/fd/0' <"$T/input" 2>"$T/err"
is "the caller's stdin cannot be reopened for writing" "$(cat "$T/input")" original
echo kept >"$T/log"
m9m sh -c 'echo more; : >/proc/self/fd/1' >>"$T/log" 2>"$T/err"
is "the caller's stdout cannot be truncated" "$(xargs <"$T/log")" "kept more"

# --- limits ---
is "--files" "$(m9m --files 77 sh -c 'ulimit -n')" 77
raise=(prlimit --core=99 --rtprio=50 --nice=40 --memlock=99999999
	--sigpending=99999 --msgqueue=999999)
# It takes CAP_SYS_RESOURCE.
"${raise[@]}" true 2>/dev/null || raise=()
is "real time, niceness, core dumps, queues, signals, what is locked" \
	"$("${raise[@]}" "$M9M" -q --no-artifact cat /proc/self/limits | sed -nE \
		's/^Max (core|realtime priority|nice|locked|msgq|pending)[^0-9]* ([0-9]+) .*/\2/p' |
		sort -n | xargs)" "0 0 1 8192 409600 8388608"
is "lower hard limits stay" "$(bash -c 'ulimit -c 0; ulimit -n 500; "$@"' - \
	"$M9M" -q --no-artifact sh -c 'ulimit -Hc; ulimit -Hn' | xargs)" "0 500"
run m9m --pids 20 python3 -c '
import os, sys
n = 0
try:
    while True:
        if os.fork() == 0:
            os.read(os.pipe()[0], 1)
        n += 1
except BlockingIOError:
    print(n)
'
is "--pids 20 stops the 20th process" "$(cat "$T/out")" 19

# --- session keyring: a key in the caller's is found outside, not inside ---
cat >"$T/keys.py" <<'P'
import ctypes, platform, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
add_key, keyctl = (248, 250) if platform.machine() == 'x86_64' else (217, 219)
SESSION, JOIN, SEARCH = -3, 1, 10
if sys.argv[1:]:
    libc.syscall(keyctl, JOIN, None)
    libc.syscall(add_key, b'user', b'm9m:planted', b'x', 1, SESSION)
found = libc.syscall(keyctl, SEARCH, SESSION, b'user', b'm9m:planted', 0)
print('found' if found > 0 else 'not found', flush=True)
if sys.argv[1:]:
    subprocess.run(sys.argv[1:], check=True)
P
is "the caller's session key stays outside" \
	"$(python3 "$T/keys.py" "$M9M" -q --no-artifact --ro-bind "$T/keys.py" /keys.py \
		python3 /keys.py | xargs)" "found not found"
is "no session of the caller's" "$(m9m sh -c 'echo $$ $(ps -o sid= -p $$)' | xargs -n1 | sort -u | wc -l)" 1
is "--hostname" "$(m9m --hostname box hostname)" box

# --- processors: the payload has those of the caller, and PID 1 has them soon ---
processors='import os; print(sorted(os.sched_getaffinity(0)))'
inside=(--timeout 20s python3 -c 'import os
ours = os.sched_getaffinity(0)
while os.sched_getaffinity(1) != ours: pass
print(sorted(ours))')
is "all of the caller's processors" "$(m9m "${inside[@]}")" \
	"$(python3 -c "$processors")"
one=$(python3 -c 'import os; print(max(os.sched_getaffinity(0)))')
is "and no more" "$(taskset -c "$one" "$M9M" -q --no-artifact "${inside[@]}")" "[$one]"

# --- the caller's cgroup ---
is "the cgroup shows no way from above" \
	"$(m9m --memory 64M --allow-degraded cgroup cut -d : -f 3 /proc/self/cgroup | sort -u)" /
