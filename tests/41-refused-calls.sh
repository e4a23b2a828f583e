#!/bin/bash
# SPDX-License-Identifier: MIT
#
# System calls that the filter refuses are on record, by name; the record is not
# what refuses them.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq python3

# calls: name, number, arguments; prints what each came to.
cat >"$T/calls.py" <<'PY'
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
arm = os.uname().machine == "aarch64"
NUMBERS = {"unshare": 97 if arm else 272, "ptrace": 117 if arm else 101,
           "io_uring_setup": 425, "get_mempolicy": 236 if arm else 239,
           "clone3": 435, "memfd_create": 279 if arm else 319,
           "execveat": 281 if arm else 322, "shmat": 196 if arm else 30}
for word in sys.argv[1:]:
    name, *args = word.split(":")
    args = [ctypes.c_ulong(int(a, 0)) for a in args]
    rc = libc.syscall(ctypes.c_long(NUMBERS[name]), *args)
    print(name, errno.errorcode[ctypes.get_errno()] if rc < 0 else "ok")
PY
python=$(readlink -f "$(command -v python3)")
CALLS=(unshare:0x10000000 io_uring_setup:0:0)

recorded() {
	rm -f "$T/events.jsonl" "$T/result.json"
	run "$@" --no-artifact --events "$T/events.jsonl" \
		--result "$T/result.json" --ro-bind "$T/calls.py" /calls.py -- \
		python3 /calls.py "${words[@]}"
	schemas_hold
}

# Without the filter the kernel would do it (or find the arguments wrong).
run python3 "$T/calls.py" "${CALLS[@]}"
lacks "$T/out" "io_uring_setup ENOSYS"
open=$(grep -c '^unshare ok' "$T/out")
[ "$open" = 1 ] || echo "# no user namespace for anybody here"

words=("${CALLS[@]}" ptrace:16:0x100000001 clone3:0:0 get_mempolicy:0:0:0:0:0)
recorded "$M9M"
is "all are refused" "$(tr '\n' ' ' <"$T/out")" \
	"unshare EPERM io_uring_setup ENOSYS ptrace EPERM clone3 ENOSYS get_mempolicy EPERM "
is "what is worth it is told, by name, with the error" \
	"$(events denied | jq -r '.layer + " " + .call + " " + .error' | tr '\n' ,)" \
	"seccomp unshare EPERM,seccomp io_uring_setup ENOSYS,seccomp ptrace EPERM,"
is "with arguments, pid and program" \
	"$(events denied '.call == "ptrace"' | jq -c '[.args[0:2], .pid, .command]')" \
	"[[16,4294967297],2,\"$python\"]"
is "and what would allow it, if anything" \
	"$(events denied | jq -r '.call + " " + (.remedy // "never")' | tr '\n' ,)" \
	"unshare never,io_uring_setup never,ptrace --seccomp FILE with a profile that allows it,"
is "the account has them" \
	"$(jq -c '[.denials[] | select(.kind == "seccomp") | .what, .count]' "$T/result.json")" \
	'["unshare",1,"io_uring_setup",1,"ptrace",1]'

# What a list of allowed commands refuses is told like the rest, and that it is
# the list: no profile would allow it.
words=(memfd_create:0:0 execveat:3:0:0:0:0x1000 shmat:99999999:0:0x8000)
recorded "$M9M"
is "without a list they go to the kernel" "$(tr '\n' ' ' <"$T/out")" \
	"memfd_create EFAULT execveat EFAULT shmat EINVAL "
recorded "$M9M" --allow-no-commands
is "with one they are refused" "$(tr '\n' ' ' <"$T/out")" \
	"memfd_create ENOSYS execveat ENOSYS shmat EPERM "
is "and told" \
	"$(events denied | jq -r '.call + " " + .error + " " + .remedy' | tr '\n' ,)" \
	"$(printf '%s no list of allowed commands,' "memfd_create ENOSYS" \
		"execveat ENOSYS" "shmat EPERM")"
is "the account says why" "$(jq -r '[.denials[] | select(.kind == "seccomp") |
	.what + ": " + .reason] | unique | first' "$T/result.json")" \
	"execveat: code in memory would be on no list of allowed commands"

# A loop of them fills no log.
words=()
for _ in {1..300}; do words+=(ptrace:16:1); done
recorded "$M9M"
is "each gets its answer" "$(sort "$T/out" | uniq -c | tr -s ' ')" " 300 ptrace EPERM"
is "sixteen are told" "$(events denied | wc -l)" 16
is "then one line that more follow" \
	"$(events limit | jq -r '.what + " " + .name')" "seccomp ptrace"
is "and all are counted" "$(jq -c '.denials[0].count' "$T/result.json")" 300

# Where nobody can listen, the filter answers by itself.
words=("${CALLS[@]}")
recorded without_listener "$M9M"
if [ "$rc" = 77 ]; then
	echo "# no listener can be made here"
else
	words=(memfd_create:0:0 shmat:99999999:0:0x8000)
	recorded without_listener "$M9M" --allow-no-commands
	is "by the list, too" "$(tr '\n' ' ' <"$T/out")" \
		"memfd_create ENOSYS shmat EPERM "
	words=("${CALLS[@]}")
	recorded without_listener "$M9M"
	is "refused without a listener, too" "$(tr '\n' ' ' <"$T/out")" \
		"unshare EPERM io_uring_setup ENOSYS "
	is "though not told" "$(events denied | wc -l)" 0
	contains "$T/result.json" "refused system calls are not recorded"
fi
