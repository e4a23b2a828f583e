# SPDX-License-Identifier: MIT
#
# listener.py COMMAND...: a process may have one seccomp listener, and this takes
# it for what it runs.  77 where none can be had.
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
