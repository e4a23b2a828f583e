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
           "clone3": 435}
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
	check "the event schema holds" python3 "$TOP/tests/schema.py" \
		"$TOP/schema/event.schema.json" "$T/events.jsonl"
	check "the result schema holds" python3 "$TOP/tests/schema.py" \
		"$TOP/schema/result.schema.json" "$T/result.json"
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
cat >"$T/outer.py" <<'PY'
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7fff0000))
prog = struct.pack("HxxxxxxQ", 1, ctypes.addressof(code))
libc.prctl(38, 1, 0, 0, 0)
number = 277 if os.uname().machine == "aarch64" else 317
fd = libc.syscall(number, 1, 8, prog)
if fd < 0:
    sys.exit(77)
os.set_inheritable(fd, True)
os.execv(sys.argv[1], sys.argv[1:])
PY
recorded python3 "$T/outer.py" "$M9M"
if [ "$rc" = 77 ]; then
	echo "# no listener can be made here"
else
	is "refused without a listener, too" "$(tr '\n' ' ' <"$T/out")" \
		"unshare EPERM io_uring_setup ENOSYS "
	is "though not told" "$(events denied | wc -l)" 0
	contains "$T/result.json" "refused system calls are not recorded"
fi
