#!/bin/bash
# Payloads that make the one who watches the clock wait for them.
. "$(dirname "$0")/../lib.sh"
need python3

# Through /proc a payload can read its own output pipe.
cp "$TOP/$B/thief" "$T/thief"
chmod 755 "$T/thief"
for _ in 1 2; do
	run timeout -s KILL 60 "$M9M" -q --no-artifact --timeout 1s \
		--grace 500ms --input "$T/thief" -- /work/thief steal
	is "the timeout comes though output is stolen" "$rc" 124
done

# A terminal answers queries, and who asked need not read the answers.
cat >"$T/dodge.py" <<'P'
import os, pty, select, signal, sys, time
ask = r"""stty raw -echo; trap '' TERM HUP INT; i=0
while [ $i -lt 4000 ]; do
printf '\033[6n\033[6n\033[6n\033[6n\033[6n\033[6n\033[6n\033[6n'; i=$((i+1))
done; sleep 100"""
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "-q", "--no-artifact", "--timeout",
                           "3s", "--grace", "500ms", "--", "sh", "-c", ask])
os.set_blocking(fd, False)
typed, until, status = b"", time.monotonic() + 60, None
while status is None and time.monotonic() < until:
    ready = select.select([fd], [fd] if typed else [], [], 0.2)
    try:
        if ready[0]:
            typed += b"\033[24;80R" * os.read(fd, 65536).count(b"\033[6n")
        if ready[1]:
            typed = typed[os.write(fd, typed[:4096]):]
    except BlockingIOError:
        pass
    except OSError:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        break
    done, code = os.waitpid(pid, os.WNOHANG)
    if done:
        status = os.waitstatus_to_exitcode(code)
if status is None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
print(status)
P
is "the timeout comes though nobody reads the terminal" \
	"$(python3 "$T/dodge.py" "$M9M")" 124
