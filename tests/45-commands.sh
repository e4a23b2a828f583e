#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --allow-command: what is listed runs, with all that it takes; nothing else
# does; and names that would bring in more than they say are refused.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
need python3 git rg node perl

m9m() { "$M9M" -q --no-artifact "$@"; }
listed() {
	local name options=()
	while [ "$1" != -- ]; do
		name=$1
		options+=(--allow-command "$name")
		shift
	done
	run m9m "${options[@]}" "$@"
}

# --- first that it runs without a list ---
listed -- sh -c 'id -u && ls / >/dev/null && cp /bin/true t && ./t'
is "without a list everything runs" "$rc" 0

# --- the list, for a shell and its children ---
listed cat rg -- sh -c 'echo word >f; cat f; rg -c word f'
is "what is listed runs" "$(xargs <"$T/out")" "word 1"
listed cat -- sh -c 'id; echo $?; ls; echo $?; /usr/bin/id; echo $?
	/usr/lib/git-core/git; echo $?; sh -c id; echo $?'
is "nothing else does" "$(xargs <"$T/out")" "127 127 127 126 127"
contains "$T/err" "not found"
run m9m --allow-no-commands -- sh -c 'cat /etc/hostname; echo $?; sh -c "echo self"'
is "an empty list is the command itself" "$(xargs <"$T/out")" "127 self"
echo '{"command":["sh","-c","id"],"allowed_commands":[]}' >"$T/spec.json"
expect_exit 127 m9m --spec "$T/spec.json"
listed cat -- sh -c 'echo /usr/bin/* /usr/sbin/*'
is "the others are not there" "$(cat "$T/out")" \
	"/usr/bin/cat /usr/bin/dash /usr/bin/sh /usr/sbin/*"
listed cp -- sh -c 'cp /usr/bin/cp c && ./c c d'
is "a copy of an allowed program is another file" "$rc" 126
run m9m --allow-command cp --workdir-exec -- sh -c 'cp /usr/bin/cp c && ./c /etc/hostname /dev/stdout; id'
is "--workdir-exec" "$(cat "$T/out")" sandbox
is "and no more" "$rc" 127
m9m --allow-command cat cat /proc/self/mountinfo >"$T/mounts"
is "no mount is writable and executable" \
	"$(awk '$6 ~ /^rw/ && $6 !~ /noexec/ { print $5 }' "$T/mounts" | xargs)" ""

# --- what is listed works, with its libraries and modules ---
run m9m --allow-no-commands -- /usr/bin/python3 -c '
import ctypes, json, lzma, multiprocessing, sqlite3, ssl, subprocess
ctypes.CDLL(None)
with multiprocessing.Pool(2) as pool:
    print(sum(pool.map(abs, [-1, -2])), ssl.OPENSSL_VERSION[:7])
try:
    subprocess.run(["id"])
except FileNotFoundError:
    print("no id")'
is "python3" "$(xargs <"$T/out")" "3 OpenSSL no id"
if /usr/bin/python3 -c 'import _cffi_backend' 2>/dev/null; then
	run m9m --allow-no-commands -- /usr/bin/python3 -c \
		'import _cffi_backend; print(_cffi_backend.__file__)'
	matches "$T/out" '^/usr/(local/)?lib/python.*-packages/_cffi_backend'
else
	echo "# no compiled module of a package here"
fi
run m9m --allow-no-commands -- node -e '
const { Worker } = require("worker_threads");
console.log(require("crypto").createHash("sha1").update("x").digest("hex").length,
	require("child_process").spawnSync("id").error.code);
new Worker("1", { eval: true }).on("exit", (c) => console.log(c));'
is "node" "$(xargs <"$T/out")" "40 ENOENT 0"
run m9m --allow-no-commands -- /usr/bin/perl -MPOSIX -MSocket -MData::Dumper -e \
	'print floor(2.5), " ", inet_ntoa(inet_aton("127.0.0.1"))'
is "perl" "$(cat "$T/out")" "2 127.0.0.1"
if command -v npm >/dev/null; then
	echo '{"name":"p","version":"1.2.3","scripts":{"say":"node -p 40+2; id"}}' \
		>"$T/package.json"
	expect_exit 127 m9m --allow-dangerous-commands --allow-command npm \
		--input "$T/package.json" -- sh -c 'npm ls && npm run -s say'
	contains "$T/out" "p@1.2.3 /work"
	contains "$T/out" 42
	lacks "$T/out" uid=
else
	echo "# no npm here"
fi
# Its helper lies in a folder of modules, where other programs are closed.
if java=$(command -v java) && command -v javac >/dev/null; then
	cat >"$T/Start.java" <<'J'
public class Start {
	public static void main(String[] words) throws Exception {
		System.exit(new ProcessBuilder(words).inheritIO().start().waitFor());
	}
}
J
	javac -J-XX:-UsePerfData -d "$T" "$T/Start.java"
	run m9m --allow-command cat --input "$T/Start.class" -- \
		"$java" -Xshare:off -XX:-UsePerfData -cp /work Start cat /etc/hostname
	is "java, with its helper" "$(cat "$T/out")" sandbox
else
	echo "# no java here"
fi
listed git -- sh -c 'git init -q . && git config user.email a@b &&
	git config user.name n && echo x >f && git add f &&
	git commit -qm one && git gc -q && git log --format=%s &&
	git init -q --bare /tmp/b && git push -q /tmp/b HEAD:master &&
	git clone -q /tmp/b /tmp/c && git -C /tmp/c log --format=%s'
is "git, with its helpers" "$(xargs <"$T/out")" "one one"
listed git -- sh -c "git -c alias.x=!id x; echo \$?
	git init -q . && mkdir -p .git/hooks && echo 'id' >.git/hooks/pre-commit &&
	chmod +x .git/hooks/pre-commit; git -c user.name=n -c user.email=e commit \
	--allow-empty -qm x; git -c core.sshCommand=/usr/bin/id ls-remote ssh://h/x"
lacks "$T/out" uid=
check "and nothing by git" test "$rc" != 0

# --- refused, with the reason ---
refused() {
	local text=$1
	shift
	run m9m "$@"
	is "refused: $*" "$rc" 125
	contains "$T/err" "$text"
}
mkdir "$T/bin"
export PATH=$T/bin:$PATH
cp /bin/sh "$T/bin/harmless"
ln -s /bin/bash "$T/bin/linked"
printf '#!/usr/bin/python3\nprint(1)\n' >"$T/bin/script"
printf '#!/usr/bin/env python3\nprint(1)\n' >"$T/bin/by-env"
chmod 755 "$T/bin/script" "$T/bin/by-env"
cp /bin/sh "$T/bin/bash-static"
echo >>"$T/bin/bash-static"
cp /bin/true "$T/bin/pip3"
echo >>"$T/bin/pip3"
refused "a shell does" --allow-command bash-static true
refused "did you mean git?" --allow-command gti true
refused "cannot find the allowed command /no/such" --allow-command /no/such true
refused "a shell does" --allow-command bash true
refused "a shell does" --allow-command /bin/sh true
refused "it is /usr/bin/bash" --allow-command linked true
refused "its file is also " --allow-command harmless true
# With the first loader on the list, and by what a file says of itself.
cp "$TOP/$B/breakout" "$T/bin/static"
refused "it is /usr/bin/bash" --allow-command linked static
refused "its file is also " --allow-command harmless static
mkdir "$T/bin/false"
ln -s /bin/bash "$T/bin/false/env"
printf '#!%s cat\n' "$T/bin/false/env" >"$T/bin/enveloped"
chmod 755 "$T/bin/enveloped"
refused "a script of $T/bin/false/env" --allow-command cat \
	--allow-command enveloped static
if command -v gcc >/dev/null; then
	echo 'int main(void) { return 0; }' >"$T/main.c"
	gcc -o "$T/bin/loaded" "$T/main.c" -Wl,--dynamic-linker=/usr/bin/bash
	gcc -shared -fPIC -Wl,-soname,/usr/bin/bash -o "$T/bash.so" -x c /dev/null
	gcc -o "$T/bin/linking" "$T/main.c" -Wl,--no-as-needed "$T/bash.so"
	expect_exit 0 "$M9M" -q --no-artifact --allow-command linking \
		--allow-command loaded --allow-command ls -- ls /usr/bin
	is "no program is anybody's library or loader" "$(xargs <"$T/out")" ls
fi
refused "fetches" --allow-command pip3 --allow-command curl true
refused "a script of /usr/bin/python3" --allow-command script true
refused "a script of" --allow-command by-env true
refused "in the workdir" --allow-command /work/x true
refused "--workdir-exec" --allow-command cat /work/x
run m9m --allow-dangerous-commands --allow-command harmless cat /etc/hostname
is "--allow-dangerous-commands" "$rc" 0
listed script /usr/bin/python3 -- sh -c 'script'
is "a script with its interpreter" "$(cat "$T/out")" 1
if ! is_root; then
	refused "which the sandbox may change" --bind "$T/bin" /b \
		--allow-command /b/script --allow-dangerous-commands true
fi

# Who writes into an allowed file executes what he likes: by a hard link, or by
# another path to its folder.
mkdir "$T/share" "$T/share/deep" "$T/own"
cp /usr/bin/echo "$T/own/tool"
ln "$T/own/tool" "$T/share/deep/other"
own=(--bind "$T/share" /s)
run m9m "${own[@]}" --allow-command cp -- sh -c 'cp /usr/bin/cp /s/deep/other'
if cmp -s /usr/bin/cp "$T/own/tool"; then
	refused "it is $T/share/deep/other as well" "${own[@]}" \
		--allow-command "$T/own/tool" true
	refused "it is $T/share/deep/other as well" --bind \
		"$T/share/deep/other" /s --allow-command "$T/own/tool" true
	run m9m --ro-bind "$T/share" /s --allow-command "$T/own/tool" true
	is "as long as it is only shown" "$rc" 0
else
	echo "# another user's file: the payload cannot write it"
fi
if is_root && mkdir "$T/alias" && mount --bind "$T/own" "$T/alias"; then
	on_exit "umount -l '$T/alias'"
	refused "which the sandbox may change" --bind "$T/alias" /s \
		--allow-command "$T/own/tool" true
fi

# --- recorded, with the flag that would allow it, whoever refused it ---
cat >"$T/try.py" <<'P'
import os, sys
for path in sys.argv[1:]:
    if os.fork() == 0:
        try:
            os.execv(path, [path])
        except OSError as e:
            print(path, e.strerror, flush=True)
            os._exit(1)
    os.wait()
P
# Without Landlock libc says its version when it is executed: no harm done.
libc=
"$M9M" --explain true | grep -q '^landlock  *version' && libc=$(ldconfig -p | sed -n 's/.*libc\.so\.6 .*x86-64.* => //p' | head -n 1)
rm -f "$T/events.jsonl"
run "$M9M" -q --no-artifact --events "$T/events.jsonl" --result "$T/result.json" \
	--allow-no-commands --input "$T/try.py" -- /usr/bin/python3 /work/try.py \
	/usr/bin/rg /bin/sh /usr/bin/no-such /usr/lib/git-core/git "${libc:-/usr/bin/cat}"
is "none of them ran" "$(grep -cE 'Permission denied|No such file' "$T/out")" 5
denied() { events exec '.verdict == "denied"' | jq -r --arg p "$1" \
	'select(.path == $p) | .reason + ": " + .remedy'; }
why="it is not on the list of allowed commands: --allow-command"
is "hidden" "$(denied /usr/bin/rg)" "$why rg"
is "hidden and dangerous" "$(denied /bin/sh)" "$why sh --allow-dangerous-commands"
is "never there" "$(denied /usr/bin/no-such)" ""
is "visible on a noexec mount" "$(denied /usr/lib/git-core/git)" \
	"$why /usr/lib/git-core/git"
[ -z "$libc" ] || is "refused by Landlock: what is loaded is not executed" \
	"$(denied "$libc")" "${why%--*}"
json_is "$T/result.json" '[.denials[] | select(.what == "/usr/bin/rg").remedy] | first' \
	"--allow-command rg"

# --- told ---
m9m --explain --allow-command git cat >"$T/plan"
matches "$T/plan" '^  command +cat = '
matches "$T/plan" '^  listed +git = /usr/bin/git$'
matches "$T/plan" '^  helper +git-remote-http = .* for git$'
contains "$T/plan" "git-submodule of git needs /bin/sh, which is not on the list"
m9m --explain --agent claude --allow-no-commands cat >"$T/plan"
matches "$T/plan" '^  plumbing +bash = .* for claude$'
"$M9M" --no-artifact --allow-command cat --result "$T/result.json" true
check "the result has the layer" jq -e '.layers | index("commands")' "$T/result.json"
