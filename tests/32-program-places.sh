#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Programs that installers put below a home run in the sandbox, and nothing else
# of that home is there.
. "$(dirname "$0")/lib.sh"
need python3

export HOME=$T/home
unset NVM_DIR NPM_CONFIG_PREFIX npm_config_prefix
mkdir -p "$HOME/.ssh" "$HOME/.local/bin"
echo planted-secret >"$HOME/.ssh/id_ed25519"
echo planted-secret >"$HOME/.netrc"

# file PATH MODE, with the text on stdin
file() {
	mkdir -p "$(dirname "$1")"
	cat >"$1"
	chmod "$2" "$1"
}

# What is visible of the home, from inside.
look="find '$HOME' -type f | sort | sed 's#^$HOME/##'"
hidden() {
	lacks "$T/out" id_ed25519
	lacks "$T/out" .netrc
	lacks "$T/out" planted-secret
}

echo "# pipx: a script in a virtual environment, with its prompt on stdin"
venv=$HOME/.local/share/pipx/venvs/aider-chat
/usr/bin/python3 -m venv --without-pip "$venv" ||
	skip "python3 cannot make a virtual environment"
site=$("$venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')
file "$site/aider_stand_in.py" 644 <<'END'
import subprocess, sys
def main():
    path = sys.argv[sys.argv.index("--message-file") + 1]
    print("prompt:", open(path).read().strip())
    print("prefix:", sys.prefix)
    print(subprocess.run(["find", sys.argv[0].split("/.local/")[0], "-name",
        "*.p*"], capture_output=True, text=True).stdout)
END
file "$venv/bin/aider" 755 <<END
#!$venv/bin/python
import sys
from aider_stand_in import main
sys.exit(main())
END
ln -s ../share/pipx/venvs/aider-chat/bin/aider "$HOME/.local/bin/aider"
expect_exit 0 "$M9M" --no-artifact --agent aider --prompt "Tidy up."
contains "$T/out" "prompt: Tidy up."
contains "$T/out" "prefix: $venv"
hidden
expect_exit 0 "$M9M" --no-artifact -- "$venv/bin/python" -c \
	'import sys, aider_stand_in; print(sys.prefix)'
contains "$T/out" "$venv"

echo "# nvm: an interpreter beside its script, neither on PATH"
node=$HOME/.nvm/versions/node/v20.10.1
mkdir -p "$node/bin" "$HOME/.nvm/versions/node/v20.9.0/bin"
cp /bin/sh "$node/bin/m9m-node"
file "$node/lib/node_modules/tool/cli.js" 755 <<END
#!/usr/bin/env m9m-node
echo "tool \$*"
cat "\${0%/bin/*}/lib/node_modules/tool/data"
m9m-node -c 'echo found again'
$look
END
echo tool-data | file "$node/lib/node_modules/tool/data" 644
echo planted-secret | file "$node/lib/node_modules/other/data" 644
ln -s ../lib/node_modules/tool/cli.js "$node/bin/tool"
expect_exit 0 "$M9M" --no-artifact tool one "two three"
contains "$T/out" "tool one two three"
contains "$T/out" tool-data
contains "$T/out" "found again"
lacks "$T/out" node_modules/other
hidden

echo "# npm's prefix: a package that uses another one"
# shellcheck disable=SC2016  # for npm to fill in
echo 'prefix=${HOME}/npm' | file "$HOME/.npmrc" 644
modules=$HOME/npm/lib/node_modules
file "$modules/@me/review/cli.sh" 755 <<END
#!/bin/sh
. "\$(dirname "\$(readlink -f "\$0")")/../../dep/dep.sh"
$look
END
echo '{"dependencies":{"dep":"1"}}' |
	file "$modules/@me/review/package.json" 644
echo 'echo dep-data' | file "$modules/dep/dep.sh" 644
mkdir -p "$HOME/npm/bin"
ln -s ../lib/node_modules/@me/review/cli.sh "$HOME/npm/bin/review"
expect_exit 0 "$M9M" --no-artifact review
contains "$T/out" dep-data
hidden

# What is no name of a package's: a list's entry, the folder of all of them.
echo planted-secret | file "$modules/other/data" 644
for odd in '["dep"]' '{"": "1"}' '{".": "1"}'; do
	echo "{\"dependencies\": $odd}" |
		file "$modules/@me/review/package.json" 644
	expect_exit 0 "$M9M" --explain review
	lacks "$T/out" "/npm/lib/node_modules ro"
done

echo "# a script of the user's own: that file only"
file "$HOME/bin/mine" 755 <<END
#!/bin/sh
$look
END
echo planted-secret | file "$HOME/bin/other" 755
expect_exit 0 "$M9M" --no-artifact "$HOME/bin/mine"
is "nothing else is visible" "$(cat "$T/out")" bin/mine

echo "# what cannot be run"
expect_exit 127 "$M9M" --no-artifact no-such-program
contains "$T/err" "cannot find no-such-program"
file "$HOME/bin/broken" 755 <<'END'
#!/nowhere/perl
END
expect_exit 127 "$M9M" --no-artifact "$HOME/bin/broken"
contains "$T/err" "/nowhere/perl"
expect_exit 126 "$M9M" --no-artifact "$HOME/.netrc"
contains "$T/err" "Permission denied"
expect_exit 126 "$M9M" --no-artifact "$HOME"
contains "$T/err" "Is a directory"
file "$HOME/homely" 755 <<'END'
#!/bin/sh
END
echo '{"bin":"homely"}' | file "$HOME/package.json" 644
expect_exit 126 "$M9M" --no-artifact "$HOME/homely"
contains "$T/err" "it holds your home directory"
is "no workdir was made" \
	"$(find "$XDG_STATE_HOME" -path '*/runs/*' | head -n 3)" ""

echo "# below /var/tmp, which is a link to /tmp inside"
long=$(mktemp -d /var/tmp/m9m-test.XXXXXX)
on_exit "rm -rf $long"
# shellcheck disable=SC2016
printf '#!/bin/sh\necho "this is $0"\n' >"$long/tool"
chmod 755 "$long" "$long/tool"
expect_exit 0 "$M9M" --no-artifact "$long/tool"
contains "$T/out" "this is $long/tool"
expect_exit 0 "$M9M" --no-artifact --ro-bind "$long/tool" /var/tmp/other \
	-- cat /tmp/other
contains "$T/out" "this is"
