# SPDX-License-Identifier: MIT
#
# profile.py PROFILE.json COMMAND...: runs it under a system call profile as
# Docker and Podman give it to a container with their default capabilities.
import ctypes, json, os, sys

CAPS = {"CAP_" + name for name in """AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID
    KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID
    SYS_CHROOT""".split()}
ARCH = "arm64" if os.uname().machine == "aarch64" else "amd64"
OPS = ["", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ",
       "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"]

class Arg(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int),
                ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]

def action(name, errno):
    return {"SCMP_ACT_ALLOW": 0x7fff0000,
            "SCMP_ACT_ERRNO": 0x50000 | (1 if errno is None else errno)}[name]

def applies(rule):
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    return (CAPS.issuperset(includes.get("caps") or [])
            and ARCH in (includes.get("arches") or [ARCH])
            and CAPS.isdisjoint(excludes.get("caps") or [])
            and ARCH not in (excludes.get("arches") or []))

lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_init.restype = ctypes.c_void_p
profile = json.load(open(sys.argv[1]))
default = action(profile["defaultAction"], profile.get("defaultErrnoRet"))
context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(default)))
for rule in filter(applies, profile["syscalls"]):
    what = action(rule["action"], rule.get("errnoRet"))
    args = [Arg(a["index"], OPS.index(a["op"]), a["value"],
                a.get("valueTwo") or 0) for a in rule.get("args") or []]
    for name in rule["names"]:
        number = lib.seccomp_syscall_resolve_name(name.encode())
        # A rule that is the default is none, and the first one counts.
        if number >= 0 and what != default:
            lib.seccomp_rule_add_array(context, ctypes.c_uint32(what), number,
                                       len(args), (Arg * len(args))(*args))
rc = lib.seccomp_load(context)
if rc < 0:
    sys.exit("cannot load the profile: " + os.strerror(-rc))
os.execvp(sys.argv[2], sys.argv[2:])
