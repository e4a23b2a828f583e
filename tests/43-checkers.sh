#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What Debian has to look at a machine's hardening, run inside: captest and pscap
# (libcap-ng-utils), checksec.  And what checkers of containers look at that are
# in no package (amicontained, deepce, linpeas, cdk).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need captest pscap checksec

inside() { run "$M9M" -q --no-artifact "$@"; }

# --- captest: rights, and a look at /etc/shadow by itself and by a child -----
inside -- captest
matches "$T/out" '^Current capabilities: none'
is "nothing can be read of /etc/shadow" \
	"$(grep -c '^Attempting.*FAILED' "$T/out")" 2
lacks "$T/out" SUCCESS
captest --text >"$T/outside" 2>&1
! is_root || matches "$T/outside" 'SUCCESS'

# --- pscap: whoever has a capability -----------------------------------------
unshare -Ur sh -c 'echo ready; exec sleep 300' >"$T/ready" &
on_exit "kill $! 2>/dev/null"
await_line "$T/ready" ready
pscap -a >"$T/outside"
check "outside somebody has one" test -s "$T/outside"
inside -- pscap -a
is "inside nobody" "$(cat "$T/out")" ""

# --- checksec: what protects each process ------------------------------------
checks() { sed 's/\x1b\[[0-9;]*m//g' "$1" |
	awk '$1 == "COMMAND" { on = 1; next } NF == 0 { on = 0 } on'; }
inside -- sh -c 'sleep 300 & checksec --proc-all'
checks "$T/out" >"$T/inside"
check "processes are seen" test -s "$T/inside"
is "each under a filter of system calls" \
	"$(grep -vc 'Seccomp-bpf' "$T/inside")" 0
check "the one that sleeps among them" grep -q ' sleep ' "$T/inside"
is "and no PID 1 of the host's" "$(grep -cE '(systemd|init) ' "$T/inside")" 0

# --- ways out that are looked for in containers -------------------------------
cat >"$T/look.py" <<'P'
import glob, os, stat, sys

def opens(path, flags):
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY))
        return True
    except OSError:
        return False

def finding(*words):
    print(*words, flush=True)

def status(key):
    for line in open("/proc/self/status"):
        if line.startswith(key + ":"):
            return line.split()[1]

for key, good in (("CapEff", "0" * 16), ("CapBnd", "0" * 16),
                  ("NoNewPrivs", "1"), ("Seccomp", "2")):
    if status(key) != good:
        finding(key, status(key))
if os.getuid() == 0 or 0 in os.getgroups():
    finding("root")
# Files of the kernel's, not of a process, that could be written: core_pattern,
# modprobe, sysrq-trigger, binfmt_misc, release_agent, uevent_helper, firmware.
for top in "/proc", "/sys":
    for folder, names, files in os.walk(top):
        if folder == "/proc":
            names[:] = [n for n in names if not n.isdigit() and
                        n not in ("self", "thread-self", "net")]
        for name in files:
            path = os.path.join(folder, name)
            if not stat.S_ISLNK(os.lstat(path).st_mode) and opens(path, os.O_WRONLY):
                finding("written", path)
for path in ("/proc/kcore", "/proc/kmsg", "/proc/kallsyms", "/proc/keys",
             "/proc/timer_list", "/proc/sched_debug", "/dev/mem", "/dev/kmsg",
             "/dev/fuse", "/dev/kvm", "/etc/shadow", "/proc/1/environ"):
    try:
        if os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 1):
            finding("read", path)
    except OSError:
        pass
# Sockets and devices that lead to somebody.
for folder, names, files in os.walk(sys.argv[2]):
    if folder == "/":
        names[:] = [n for n in names if n not in ("proc", "usr")]
    for name in files:
        path = os.path.join(folder, name)
        mode = os.lstat(path).st_mode
        if stat.S_ISSOCK(mode) or stat.S_ISBLK(mode) or stat.S_ISFIFO(mode):
            finding("node", path)
for path in glob.glob("/sys/*") + glob.glob("/run/*"):
    finding("there", path)
for line in open("/proc/1/cgroup"):
    if line.strip().split(":", 2)[2] != "/":
        finding("cgroup", line.strip())
for line in open("/proc/self/mountinfo"):
    words = line.split()
    kind = words[words.index("-") + 1]
    if kind in ("cgroup", "cgroup2", "sysfs", "securityfs", "debugfs", "tracefs"):
        finding("mounted", kind)
if os.uname().nodename == sys.argv[1]:
    finding("host name")
print("looked")
P
host=$(uname -n)
python3 "$T/look.py" "$host" /dev >"$T/outside" 2>/dev/null
matches "$T/outside" '^(written|read) /proc/'
contains "$T/outside" "host name"
for network in deny host; do
	run "$M9M" -q --no-artifact --network $network --hostname box \
		--ro-bind "$T/look.py" /look.py -- python3 /look.py "$host" /
	is "network $network: nothing is found" "$(cat "$T/out")" looked
done
