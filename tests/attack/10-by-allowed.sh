#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Allowed programs that run others for whoever asks: git, find, xargs, awk, tar,
# rg, sed, python, the shell, the loader.  With all of them on the list, id is
# not, and does not run by any of these ways.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
need git rg python3 gcc

loader=/lib64/ld-linux-x86-64.so.2
[ -e "$loader" ] || loader=/lib/ld-linux-aarch64.so.1
[ -e "$loader" ] || skip "no loader of glibc's"

# NAME COMMAND, each in a repository of its own with the changed file f.
cat >"$T/attacks" <<'ATTACKS'
alias git -c alias.x='!id' x
pager python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' git -c core.pager='id >&2;' -p log
pager-by-env GIT_PAGER='id >&2;' python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' git -p log
textconv echo 'f diff=z' >.gitattributes; git -c diff.z.textconv='id >&2;cat' diff
external-diff git -c diff.external=id diff
external-diff-by-env GIT_EXTERNAL_DIFF=id git diff
ssh git -c core.sshCommand='id >&2;' ls-remote ssh://h/x
ssh-by-env GIT_SSH_COMMAND='id >&2;' git ls-remote ssh://h/x
remote-helper git -c protocol.ext.allow=always ls-remote "ext::$PWD/say"
upload-pack git ls-remote --upload-pack='id >&2;' .
fsmonitor git -c core.fsmonitor='id >&2;' status
editor GIT_EDITOR='id;:' git commit -q --amend
filter echo 'f filter=z' >.gitattributes; git -c filter.z.clean='id >&2;cat' add f
credential echo url=http://x | git -c credential.helper='!id >&2;' credential fill
gpg git -c gpg.program="$PWD/say" commit -q -S --allow-empty -m y
hook echo '/usr/bin/id' >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; git commit -q --allow-empty -m x
hook-by-path cp say pre-commit; git -c core.hooksPath="$PWD" commit -q --allow-empty -m x
helper-folder cp say git-zz; git --exec-path="$PWD" zz
helper-on-path cp say git-zz; PATH=$PWD:$PATH git zz
bisect-run for i in 1 2 3; do git commit -q --allow-empty -m $i; done; git bisect start HEAD HEAD~3; git bisect run id
rebase-exec git stash -q; git rebase -q --exec id --root
submodule git submodule foreach id; git -c alias.s='!id' s
find find . -maxdepth 0 -exec id {} \; 2>/dev/null; find . -maxdepth 0 -execdir /usr/bin/id \;
xargs echo | xargs id
env env /usr/bin/id
awk-system awk 'BEGIN { system("/usr/bin/id") }'
awk-pipe awk 'BEGIN { "/usr/bin/id" | getline x; print x }'
tar-checkpoint tar cf a.tar f --checkpoint=1 --checkpoint-action=exec=/usr/bin/id
tar-compress tar cf a.tar -I "sh -c id>&2" f
tar-to-command tar cf a.tar f; tar xf a.tar --to-command=id
rg-preprocessor rg --pre "$PWD/say" . f
sed-command sed '1e /usr/bin/id' f
python python3 -c 'import os; os.execv("/usr/bin/id", ["id"])'
python-spawn python3 -c 'import os; os.posix_spawn("/usr/bin/id", ["id"], {})'
python-memory python3 -c 'import os; m = os.memfd_create("x"); os.write(m, open("/usr/bin/id", "rb").read()); os.execve(m, ["id"], {})'
python-loads python3 -c 'import ctypes; ctypes.CDLL("./say.so")'
python-imports cp say.so say_module.so; PYTHONPATH=. python3 -c 'import say_module'
python-writes python3 -c 'open("x", "wb").write(open("/usr/bin/id", "rb").read())'; chmod 755 x; ./x
preload LD_PRELOAD=$PWD/say.so python3 -c 0
audit LD_AUDIT=$PWD/say.so python3 -c 0
loader $LOADER /usr/bin/id
loader-proc exec 5</usr/bin/id; $LOADER /proc/self/fd/5
loader-audit $LOADER --audit "$PWD/say.so" "$(command -v python3)" -c 0
iconv-module echo 'module X// INTERNAL ./say 1' >gconv-modules; GCONV_PATH=$PWD python3 -c 0; python3 -c 'import ctypes; ctypes.CDLL("./say.so")'
proc-descriptor exec 5</usr/bin/id; /proc/self/fd/5
proc-root /proc/self/root/usr/bin/id
dots /usr/bin/../lib/../bin/id
copy cp /usr/bin/id x; ./x
hard-link ln /usr/bin/id x || ln say x; ./x
over-allowed cp say rg; PATH=$PWD:$PATH; rg
over-by-rename cp say y; mv y python3; PATH=$PWD:$PATH python3
script printf '#!/bin/sh\nid\n' >x; chmod 755 x; ./x
script-of-copy cp say i; printf '#!%s/i\n' "$PWD" >x; chmod 755 x; ./x
shell-hash hash -p /usr/bin/id rg 2>/dev/null; bash -c 'hash -p /usr/bin/id rg; rg'
ATTACKS

cat >"$T/all.sh" <<'SH'
top=$PWD
while read -r name command; do
	mkdir "$top/r-$name" && cd "$top/r-$name" || exit 99
	git init -q . && git config user.name n && git config user.email e
	echo one >f && git add f && git commit -q -m one && echo two >f
	cp "$top/say" "$top/say.so" .
	chmod 755 say
	said=$(timeout 20 sh -c "$command" 2>&1 </dev/null; cat said 2>/dev/null)
	case $said in
	*uid=[0-9]*) echo "ran $name" ;;
	*) echo "held $name" ;;
	esac
done <"$top/attacks"
SH

# A program that is not on the list, and a library, that leave word.
cat >"$T/say.c" <<'C'
#include <fcntl.h>
#include <unistd.h>
unsigned la_version(unsigned v) { return v; }
__attribute__((constructor)) static void say(void)
{
	int fd = open("said", O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (write(fd, "uid=0 said\n", 11) < 0) _exit(1);
	close(fd);
}
int main(void) { return 0; }
C
gcc -o "$T/say" "$T/say.c" || skip "no C compiler that works"
gcc -shared -fPIC -o "$T/say.so" "$T/say.c" || skip "no C compiler that works"

export LOADER=$loader GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
tried=$(wc -l <"$T/attacks")
mkdir "$T/outside"
cp "$T/say" "$T/say.so" "$T/attacks" "$T/outside/"
(cd "$T/outside" && sh "$T/all.sh") >"$T/before" 2>"$T/err"
is "outside each was tried" "$(wc -l <"$T/before")" "$tried"
echo "# not to be shown here: $(sed -n 's/^held //p' "$T/before" | xargs)"
is "and works" "$(grep -c '^ran' "$T/before")" "$tried"

list=()
for name in git find xargs env awk tar rg sed python3 cat cp mv ln chmod \
	mkdir timeout; do
	list+=(--allow-command "$name")
done
run "$M9M" -q --no-artifact "${list[@]}" --setenv LOADER "$loader" \
	--setenv GIT_CONFIG_GLOBAL /dev/null --setenv GIT_CONFIG_SYSTEM /dev/null \
	--input "$T/all.sh" --input "$T/attacks" --input "$T/say" \
	--input "$T/say.so" -- sh all.sh
show_output
is "inside each was tried" "$(wc -l <"$T/out")" "$tried"
is "and none works" "$(sed -n 's/^ran //p' "$T/out" | xargs)" ""
