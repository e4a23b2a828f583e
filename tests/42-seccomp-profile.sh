#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A system call profile of the user's: Docker's and Podman's as they publish
# them, lists of what to take away, and profiles that try to open everything.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq python3
# Their allocator makes calls that the profile compiler's cell forbids.
! sanitized || skip "the sanitizers cannot compile a profile"

# under PROFILE COMMAND...
under() {
	local profile=$1
	shift
	rm -f "$T/events.jsonl" "$T/result.json"
	run "$M9M" --no-artifact --seccomp "$profile" \
		--events "$T/events.jsonl" --result "$T/result.json" \
		--ro-bind "$T/calls.py" /calls.py -- "$@"
}

cat >"$T/calls.py" <<'PY'
import ctypes, errno, fcntl, os, sys
libc = ctypes.CDLL(None, use_errno=True)
arm = os.uname().machine == "aarch64"
def call(number, *args):
    rc = libc.syscall(ctypes.c_long(number), *map(ctypes.c_ulong, args))
    return errno.errorcode[ctypes.get_errno()] if rc < 0 else "ok"
A = {
    "mount": (40 if arm else 165, 1, 1, 1, 0, 0),
    "keyctl": (219 if arm else 250, 0, 2**32 - 3, 0),
    "tiocsti": (29 if arm else 16, 2**32 + 0, 2**32 + 0x5412, 1),
    "unshare": (97 if arm else 272, 0x10000000),
    "clone": (220 if arm else 56, 0x10000000 | 0x10000),
    "bpf": (280 if arm else 321, 0, 1, 8),
    "io_uring_setup": (425, 0, 0),
    "vsock": (198 if arm else 41, 2**32 + 40, 1, 0),
    "ptrace": (117 if arm else 101, 4095, 2**32 - 1, 0, 0),
    "mkdirat": (34 if arm else 258, 2**64 - 100, 1, 0),
}
for name in sys.argv[1:]:
    print(name, call(*A[name]))
PY
calls() { python3 "$T/calls.py" "$@" | tr '\n' ' '; }

# --- as published ----------------------------------------------------------

published=$("$TOP/scripts/seccomp-profiles.sh" --present 2>&1) ||
	echo "# not tried: $published"
work='echo a | tr a b; cd /tmp; mkdir d; ls -d d; (sleep 0; echo sub) & wait
	python3 -c "import threading as t; x = t.Thread(target=print, args=(1,)); x.start(); x.join()"'
for profile in "$published"/*.json; do
	[ -e "$profile" ] || continue
	name=$(basename "$profile")
	under "$profile" sh -c "$work"
	is "$name: ordinary work" "$rc $(tr '\n' ' ' <"$T/out")" "0 b d sub 1 "
	under "$profile" python3 /calls.py mount unshare tiocsti keyctl bpf
	is "$name: what it refuses, or we do" \
		"$(sed 's/.* //' "$T/out" | sort -u | tr '\n' ' ')" "EPERM "
	under "$profile" python3 /calls.py ptrace
	lacks "$T/out" "EPERM"
	run "$M9M" --no-artifact --seccomp "$profile" --explain -- true
	matches "$T/out" "^system calls .*$name .[0-9]+ rules.* floor"
done

# --- one that allows everything --------------------------------------------

# The attacks work, or are no worse than wrong arguments, outside.
outside=$(calls mount keyctl tiocsti unshare clone bpf io_uring_setup vsock)
echo "# outside: $outside"
case $outside in *ENOSYS*) echo "# this kernel lacks some" ;; esac
open_profile >"$T/open.json"
echo '{"defaultAction":"SCMP_ACT_ALLOW"}' >"$T/all.json"
for profile in open all; do
	under "$T/$profile.json" python3 /calls.py mount keyctl tiocsti \
		unshare clone bpf io_uring_setup vsock
	is "$profile.json opens nothing" "$(tr '\n' ' ' <"$T/out")" \
		"mount EPERM keyctl EPERM tiocsti EPERM unshare EPERM clone EPERM bpf EPERM io_uring_setup ENOSYS vsock EPERM "
	is "$profile.json: and it is on record" \
		"$(events denied | jq -r .call | tr '\n' ' ')" \
		"mount keyctl ioctl unshare clone bpf io_uring_setup socket "
done
under "$T/open.json" python3 /calls.py ptrace
lacks "$T/out" EPERM
under "$T/all.json" python3 /calls.py ptrace
contains "$T/out" "ptrace EPERM"

# All that tests/attack tries, but for what the table calls soft: it stays
# among the payload's own processes.
cp "$TOP/$B/intruder" "$TOP/$B/breakout" "$T/"
mkdir "$T/shown"
soft='call-(handle|vmsplice|secret-memory|ptrace|read-process|take-descriptor|compare)'
# What Landlock alone stops (tests/attack/*.table).
"$M9M" --explain true | grep -q '^landlock  *version' ||
	soft="$soft|init-signal|memory-own-code"
library=$(ldconfig -p 2>/dev/null | sed -n 's/.*libz\.so\.1 .*64.* => //p' | head -n 1)
for profile in open all; do
	run "$M9M" -q --no-artifact --seccomp "$T/$profile.json" \
		--ro-bind "$T/shown" /shown -- "$T/intruder"
	check "$profile.json: the intruder tried" test "$(wc -l <"$T/out")" -gt 40
	is "$profile.json: he gets nowhere" "$(sed -n 's/ ran$//p' "$T/out" |
		grep -vE "^($soft)\$")" ""
	run "$M9M" -q --no-artifact --seccomp "$T/$profile.json" \
		--allow-command cat --input "${library:-/usr/bin/uname}:lib.so" \
		--input /usr/bin/uname:uname -- "$T/breakout"
	check "$profile.json: the list was tried" test "$(wc -l <"$T/out")" -gt 30
	is "$profile.json: it opens no list of commands" \
		"$(sed -n 's/ ran$//p' "$T/out" | grep -vE "^($soft)\$")" ""
done

# --- lists of what to take away --------------------------------------------

cat >"$T/block.json" <<'JSON'
{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_AARCH64"],
 "syscalls":[{"names":["mkdirat","mount"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}
JSON
under "$T/block.json" python3 /calls.py mkdirat
contains "$T/out" "mkdirat EACCES"
is "told by the library's name" "$(events denied | jq -c '[.call, .error]')" \
	'["mkdirat","EACCES"]'
sed 's/"errnoRet":13/"errnoRet":250/' "$T/block.json" >"$T/nameless.json"
under "$T/nameless.json" python3 -c 'import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.mkdirat(-100, b"x", 0); print(ctypes.get_errno())'
is "an error that has no name" "$rc $(cat "$T/out") $(events denied | jq -r .error)" \
	"0 250 Unknown error 250"
schemas_hold
sed 's/ERRNO","errnoRet":13/KILL_PROCESS"/' "$T/block.json" >"$T/kill.json"
under "$T/kill.json" python3 /calls.py mkdirat
is "a profile may kill" "$rc" 159
sed 's/mkdirat/socket/' "$T/kill.json" >"$T/socket.json"
under "$T/socket.json" python3 -c 'import socket; socket.socket()'
is "also for a socket, about which we would ask" "$rc" 159
# Only for one of a kind; the others are recorded as they are without a profile.
echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["socket"],
	"action":"SCMP_ACT_KILL_PROCESS","args":[{"index":1,"op":"SCMP_CMP_EQ",
	"value":524290}]}]}' >"$T/kind.json"
under "$T/kind.json" python3 -c 'import socket
socket.socket().connect_ex(("192.0.2.1", 443))
socket.socket(type=socket.SOCK_DGRAM)'
is "or for one kind of it" "$rc" 159
json_is "$T/result.json" .network.connect_denied 1
echo '{"defaultAction":"SCMP_ACT_LOG"}' >"$T/log.json"
under "$T/log.json" python3 /calls.py unshare
is "a profile that logs" "$rc $(cat "$T/out")" "0 unshare EPERM"

# It refuses the one call that hands the listener over: nobody waits for ever.
sed 's/"mkdirat","mount"/"mkdirat","sendmsg"/' "$T/block.json" >"$T/mute.json"
under "$T/mute.json" python3 /calls.py mkdirat
is "without a record it runs all the same" "$rc $(cat "$T/out")" \
	"0 mkdirat EACCES"
contains "$T/result.json" "not recorded: the profile of --seccomp refuses sendmsg"

# By key, and against the spec's folder.
echo '{"command":["true"],"seccomp":"block.json","artifact":false}' >"$T/spec.json"
expect_exit 0 "$M9M" --spec "$T/spec.json"

# --- mistakes --------------------------------------------------------------

refuses() { # WHAT JSON MESSAGE
	printf '%s' "$2" >"$T/bad.json"
	expect_exit 125 "$M9M" --no-artifact --seccomp "$T/bad.json" -- \
		touch "$T/ran"
	contains "$T/err" "$T/bad.json: $3"
}
refuses "a typo" \
	'{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_DENY"}]}' \
	'$.syscalls[0].action: "SCMP_ACT_DENY" is unknown'
refuses "notify" \
	'{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_NOTIFY"}]}' \
	'$.syscalls[0].action: SCMP_ACT_NOTIFY cannot be had'
refuses "two mistakes at once" \
	'{"defaultAction":1,"syscall":[]}' '$.syscall: unknown key'
contains "$T/err" 'bad.json: $.defaultAction: must be a string'
refuses "nothing can start" '{"defaultAction":"SCMP_ACT_ERRNO"}' \
	'refuses execve: nothing could run'
expect_exit 125 "$M9M" --no-artifact --seccomp "$T/none.json" -- true
contains "$T/err" "cannot read $T/none.json: No such file"
head -c 1100000 /dev/zero | tr '\0' ' ' >"$T/big.json"
expect_exit 125 "$M9M" --no-artifact --seccomp "$T/big.json" -- true
contains "$T/err" "over 1 MiB"

# A run may not write the profile of the next.
mkdir "$T/shared"
cp "$T/block.json" "$T/shared/"
expect_exit 125 "$M9M" --no-artifact --seccomp "$T/shared/block.json" \
	--bind "$T/shared" /shared -- true
contains "$T/err" "which the sandbox may write"
