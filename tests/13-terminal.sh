#!/bin/bash
# At a terminal the payload has one of its own, never the caller's.
. "$(dirname "$0")/lib.sh"
need python3

tty_run() { python3 "$(dirname "$SELF")/13-terminal.py" "$@"; }

expect_exit 5 tty_run "$M9M" -q --no-artifact sh -c \
	'tty; stty size; echo ready; read x; echo got=$x; exit 5' -- ready 'line\r'
contains "$T/out" /dev/pts/0
contains "$T/out" "33 99"
contains "$T/out" "got=line"

# Ctrl-C goes to the payload, not to us.  (It waits for a blocked signal: a
# handler, bash's trap too, may run just before the call that then waits on.)
cat >"$T/caught.py" <<'P'
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print('ready', flush=True)
signal.sigwait({signal.SIGINT})
print('caught')
sys.exit(7)
P
expect_exit 7 tty_run "$M9M" -q --no-artifact \
	--ro-bind "$T/caught.py" /caught.py python3 /caught.py -- ready '\x03'
contains "$T/out" caught

# A job in the background goes on, with an input that is at its end.
cat >"$T/background" <<'END'
set -m
"$@" </dev/tty & job=$!
wait "$job"
echo "ended with $?"
END
expect_exit 0 tty_run timeout 30 bash "$T/background" "$M9M" -q --no-artifact \
	sh -c 'tty; cat; echo through; exit 5' --
contains "$T/out" "not a tty"
contains "$T/out" through
contains "$T/out" "ended with 5"

# The window's size follows.
expect_exit 0 tty_run "$M9M" -q --no-artifact bash -c \
	'trap "stty size; exit 0" WINCH; echo ready; while :; do read -t 1 x; done' \
	-- ready '<resize>'
contains "$T/out" "44 111"

# While it runs nothing is added; the summary comes then, in colour if wanted.
told() { sed 's/\r$//' "$T/out" | grep -n "$1" | cut -d: -f1 | head -n 1; }
for wanted in yes no; do
	colour=()
	[ "$wanted" = yes ] || colour=(NO_COLOR=1)
	expect_exit 0 tty_run env TERM=xterm ${colour[@]+"${colour[@]}"} "$M9M" \
		--no-artifact sh -c 'echo one; echo ready; read x; echo end' \
		-- ready 'go\r'
	is "the first line is the payload's" "$(told one)" 1
	is "ours follow its last" "$(told finished)" "$(($(told '^end$') + 1))"
	is "escapes, colour wanted: $wanted" \
		"$(grep -q "$(printf '\033')\[" "$T/out" && echo yes || echo no)" \
		"$wanted"
done

# Input cannot be pushed into the caller's terminal.
cat >"$T/push.py" <<'P'
import fcntl, sys, termios
for request in (termios.TIOCSTI, termios.TIOCSTI | 1 << 32):
    try:
        fcntl.ioctl(0, request & 0xffffffff, b'x')
        print('pushed')
    except OSError as e:
        print('refused', e.errno)
P
expect_exit 0 tty_run "$M9M" -q --no-artifact --ro-bind "$T/push.py" /push.py \
	python3 /push.py -- refused ''
lacks "$T/out" pushed

# The caller's terminal is as before, whatever the payload did.
expect_exit 0 tty_run bash -c "stty -a >'$T/before'; '$M9M' -q --no-artifact true;
	stty -a >'$T/after'"  -- '' ''
check "the terminal is restored" cmp "$T/before" "$T/after"
expect_exit 0 tty_run bash -c "'$M9M' -q --no-artifact --timeout 300ms sleep 60;
	stty -a >'$T/after'"  -- '' ''
check "after a timeout too" cmp "$T/before" "$T/after"

# Without a terminal there is none inside.
expect_exit 1 "$M9M" -q --no-artifact tty
