#!/usr/bin/env python3
"""Runs argv on a terminal of its own; what follows `--` are lines "EXPECT" and
"SEND" pairs: waits for the text, then types.  Prints all that was shown."""
import os, pty, select, signal, sys, termios, struct, fcntl

cut = sys.argv.index('--')
command, script = sys.argv[1:cut], sys.argv[cut + 1:]
pid, master = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 99, 0, 0))
    os.execvp(command[0], command)
seen, pos = b'', 0
signal.alarm(60)


def more():
    global seen
    try:
        data = os.read(master, 4096)
    except OSError:
        data = b''
    seen += data
    return bool(data)


for expect, send in zip(script[::2], script[1::2]):
    while expect.encode() not in seen[pos:]:
        if not more():
            print(seen.decode(errors='replace'))
            sys.exit('never saw %r' % expect)
    pos = seen.index(expect.encode(), pos) + len(expect)
    if send == '<resize>':
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', 44, 111, 0, 0))
        os.kill(pid, signal.SIGWINCH)
    else:
        os.write(master, send.encode().decode('unicode_escape').encode())
while more():
    pass
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.write(seen.decode(errors='replace'))
sys.exit(status)
