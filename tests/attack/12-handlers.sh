#!/bin/bash
# SPDX-License-Identifier: MIT
# run-as: user
#
# The kernel gives a file of a registered format to its handler (binfmt_misc).
# With flag F the handler is an open file of the host's, which no mount and no
# Landlock stands before: with a list it is executed for no file, be the file on
# the list or written and executed in the workdir.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
need unshare tac

# --- a host of its own, with a handler; FLAG COMMAND... ---
cat >"$T/on-host" <<'END2'
#!/bin/bash
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || exit 99
printf ':m9m-test:M::HX9M!::/usr/bin/tac:%s' "$1" \
	>/proc/sys/fs/binfmt_misc/register || exit 99
shift
exec unshare -U --map-user=1000 --map-group=1000 "$@"
END2
printf 'HX9M!\nthe handler ran\n' >"$T/data"
chmod 755 "$T" "$T/on-host" "$T/data"
handled() { unshare -U -r -m "$T/on-host" "$@"; }
handled "" true || skip "no handlers of a user namespace's own (Linux 6.7)"

# NAME COMMAND FLAGS...
attacks() {
	cat <<-ROWS
		listed /b/data --allow-command /b/data
		unlisted /b/data --allow-command cp
		copied cp /b/data x; ./x --allow-command cp
		in-workdir cp /b/data x; ./x --allow-command cp --workdir-exec
		from-temporary cp /b/data /tmp/x; /tmp/x --allow-command cp
	ROWS
}

for flag in "" F; do
	run handled "$flag" "$T/data"
	contains "$T/out" "the handler ran"
	run handled "$flag" "$M9M" -q --no-artifact --ro-bind "$T" /b -- \
		sh -c 'cp /b/data x; ./x' </dev/null
	contains "$T/out" "the handler ran"
	while read -r name rest; do
		read -ra flags <<<"--allow-command ${rest#* --allow-command }"
		run handled "$flag" "$M9M" -q --no-artifact --ro-bind "$T" /b \
			"${flags[@]}" -- sh -c "${rest%% --*}" </dev/null
		is "$name, flag '$flag': the handler does not run" \
			"$(grep -c 'the handler ran' "$T/out")" 0
		check "$name, flag '$flag': it was tried" test "$rc" -ge 126
	done < <(attacks)
done
