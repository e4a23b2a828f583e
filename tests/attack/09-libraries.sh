#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A payload that may write where LD_LIBRARY_PATH leads puts a library there, for
# the one that wraps the run up outside.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"

mkdir "$T/p"
chmod 777 "$T/p"
# Nothing inside may be root.
[ "$(id -u)" -ne 0 ] || chown 12345:12345 "$T/p"
cat >"$T/evil.c" <<END
#include <fcntl.h>
__attribute__((constructor)) static void run(void)
{
	open("$T/p/ran", O_CREAT | O_WRONLY, 0666);
}
END
cc -shared -fPIC -o "$T/p/evil" "$T/evil.c"
cd "$T/p" || exit 1

check "it runs in who loads it" env LD_PRELOAD="$T/p/evil" true
check "it did" rm "$T/p/ran"

# shellcheck disable=SC2016
run env LD_LIBRARY_PATH=:/nowhere "$M9M" --project "$T/p" --project-mode bind \
	sh -c 'for l in zstd.so.1 z.so.1 nl-3.so.200; do cp evil lib$l; done'
is "the run goes well" "$rc" 0
check "the library is there" test -e "$T/p/libzstd.so.1"
check "it did not run outside" test ! -e "$T/p/ran"

finish
