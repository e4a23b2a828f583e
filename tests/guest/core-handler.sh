#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Runs as root of a guest (tests/68-core-handler.sh), whose core handler is a
# pipe to a program: the kernel starts that one as root, outside of everything.
. "$(dirname "$0")/../lib.sh"

cp "$M9M" "$TOP/$B/m9m-sandbox-test" /tmp/
M9M=/tmp/m9m-sandbox
open_profile >/tmp/open.json
mkdir -m 777 /tmp/home
export HOME=/tmp/home XDG_STATE_HOME=/tmp/home/state
cat >/tmp/handler <<-'END'
	#!/bin/sh
	/usr/bin/cat >/dev/null
	echo "uid $(/usr/bin/id -u)" >/tmp/handled
END
cat >/tmp/lower.py <<-'END'
	import ctypes, mmap, os, resource, struct
	libc = ctypes.CDLL(None, use_errno=True)
	long = ctypes.c_long
	libc.mmap.restype = ctypes.c_void_p
	page = libc.mmap(ctypes.c_void_p(1 << 32), long(4096), 3, 0x32, -1, long(0))
	ctypes.memmove(page, struct.pack("QQ", 0, 1), 16)
	# A pointer whose low half is that of NULL.
	libc.syscall(long(302), long(0), long(4), long(1 << 32), long(0))
	libc.syscall(long(302), long(0), long(4 | 1 << 32), long(1 << 32), long(0))
	libc.syscall(long(160), long(4), long(1 << 32))
	try:
	    resource.prlimit(0, resource.RLIMIT_CORE, (0, 1))
	except OSError:
	    pass
	os.abort()
END
chmod 755 /tmp/handler /tmp/lower.py
echo '|/tmp/handler' >/proc/sys/kernel/core_pattern
# With a limit to their number the kernel waits for the end of one: then a crash
# is over when all that it started is.
echo 8 >/proc/sys/kernel/core_pipe_limit

as_user() {
	setpriv --reuid 1000 --regid 1000 --clear-groups "$@"
}

handled() {
	rm -f /tmp/handled
	"$@" >"$T/out" 2>"$T/err"
	cat /tmp/handled 2>/dev/null
}

crashes=('kill -SEGV $$' 'ulimit -S -c 0; kill -SEGV $$' 'ulimit -c 0; kill -SEGV $$'
	'exec python3 /lower.py')
inside=(-q --no-artifact --cgroup none --ro-bind /tmp/lower.py /lower.py)

is "outside, a crash starts the handler" \
	"$(handled as_user sh -c 'ulimit -c 0; kill -SEGV $$')" "uid 0"
is "without the filter, a lower limit does" "$(handled as_user \
	env M9M_TEST_OFF=seccomp /tmp/m9m-sandbox-test "${inside[@]}" sh -c 'ulimit -c 0; kill -SEGV $$')" "uid 0"
for who in env as_user; do
	for crash in "${crashes[@]}"; do
		is "$who: $crash" "$(handled "$who" "$M9M" "${inside[@]}" \
			sh -c "$crash")" ""
	done
	is "$who: with a profile that allows all" "$(handled "$who" "$M9M" \
		"${inside[@]}" --seccomp /tmp/open.json \
		sh -c 'ulimit -c 0; kill -SEGV $$')" ""
done

ulimit -c 0
is "root's runs have a limit of their own" \
	"$(handled "$M9M" "${inside[@]}" sh -c 'kill -SEGV $$')" ""
as_user "$M9M" --explain true >"$T/out" 2>&1
contains "$T/out" "handed to the host's core handler"
