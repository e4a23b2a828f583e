#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Ordinary clients, told nothing of proxies, reach an allowed host by its name,
# and learn of another one that its name cannot be resolved (EAI_AGAIN).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need curl git jq nginx node openssl python3 ssh ssh-keygen
SSHD=$(command -v sshd || command -v /usr/sbin/sshd) || skip "no sshd"
host_netns

export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
OK=good.test OTHER=other.test

# --- the servers: all on the loopback of a network that is only ours --------

"$TOP/tests/standin/make-ca.sh" "$T/ca" $OK $OTHER
mkdir -p "$T/www" "$T/repos" "$T/nginx"
echo "hello over http" >"$T/www/hello"

git init -q -b main "$T/source"
seq 20000 >"$T/source/numbers"
git -C "$T/source" add numbers
git -C "$T/source" -c user.name=T -c user.email=t@example.org \
	commit -q -m "numbers: begin"
git clone -q --bare "$T/source" "$T/repos/numbers.git"
git -C "$T/repos/numbers.git" config http.receivepack true

serve python3 "$TOP/tests/standin/git-cgi.py" "$T/repos"
git_port=$(sed -n 's/^ready //p' "$served_log")

cat >"$T/nginx.conf" <<END
daemon off;
master_process off;
pid $T/nginx/pid;
error_log stderr notice;
events {}
http {
	log_format said '\$host \$server_port \$server_protocol \$ssl_server_name \$uri';
	access_log $T/access.log said;
	client_body_temp_path $T/nginx/body;
	proxy_temp_path $T/nginx/proxy;
	fastcgi_temp_path $T/nginx/fastcgi;
	uwsgi_temp_path $T/nginx/uwsgi;
	scgi_temp_path $T/nginx/scgi;
	server {
		listen 127.0.0.1:80;
		listen 127.0.0.1:443 ssl http2;
		listen 127.0.0.1:8443 ssl;
		ssl_certificate $T/ca/leaf.pem;
		ssl_certificate_key $T/ca/leaf.key;
		root $T/www;
		location /numbers.git {
			proxy_pass http://127.0.0.1:$git_port;
		}
	}
}
END
# Its first words come when the sockets are open.
serve nginx -c "$T/nginx.conf"

ssh-keygen -q -t ed25519 -N '' -f "$T/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$T/id"
cp "$T/id.pub" "$T/authorized"
echo "$OK $(cut -d ' ' -f 1,2 "$T/host_key.pub")" >"$T/known_hosts"
cat >"$T/sshd.conf" <<END
ListenAddress 127.0.0.1:22
HostKey $T/host_key
AuthorizedKeysFile $T/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
END
if is_root; then
	# It wants a folder of its own in /run, which is not ours to make.
	serve unshare -m sh -c "mount -t tmpfs none /run && mkdir /run/sshd &&
		exec $SSHD -D -e -f '$T/sshd.conf'"
else
	serve "$SSHD" -D -e -f "$T/sshd.conf"
fi

# --- the sandbox ------------------------------------------------------------

# The other name has a server too: only the rules keep them apart.
m9m() {
	rm -f "$T/events.jsonl"
	run "$M9M" -q --no-artifact --events "$T/events.jsonl" --verbose \
		--allow $OK --allow $OK:22 --allow $OK:80 \
		--resolve $OK=127.0.0.1 --resolve $OTHER=127.0.0.1 \
		--ro-bind "$T/ca/ca.pem" /ca.pem \
		--setenv NODE_EXTRA_CA_CERTS /ca.pem \
		--setenv SSL_CERT_FILE /ca.pem --setenv GIT_SSL_CAINFO /ca.pem \
		--input "$T/id" --input "$T/known_hosts" "$@"
}

# reached PORT: the last run connected there, by its name, and nowhere else.
reached() {
	is "exit 0" "$rc" 0
	[ "$rc" = 0 ] || show_output
	is "it connected to $OK:$1 only" \
		"$(events connect | jq -r '"\(.name):\(.port) \(.addr) \(.verdict)"' |
			sort -u)" "$OK:$1 127.0.0.1 allowed"
}

# denied WHAT: the other name was asked for, and that was all.
denied() {
	check "$1 fails" test "$rc" != 0
	is "it asked for the name" \
		"$(events dns ".name == \"$OTHER\"" | jq -r .verdict | sort -u)" \
		denied
	is "and it is told how to allow it" \
		"$(jq -r "select(.name == \"$OTHER\").remedy // empty" \
			"$T/events.jsonl" | sort -u | head -n 1 |
			grep -o -- "--allow $OTHER")" "--allow $OTHER"
	is "it connected nowhere" "$(events connect | wc -l)" 0
}

is "nothing speaks of a proxy" "$(m9m env; grep -ic proxy "$T/out")" 0

echo "# curl"
m9m curl -sS --cacert /ca.pem https://$OK/hello
reached 443
is "the answer" "$(cat "$T/out")" "hello over http"
# It is written down when all of it has been sent.
check "the server was greeted by that name, in HTTP/2" \
	await_line "$T/access.log" "^$OK 443 HTTP/2.0 $OK /hello\$"
m9m curl -sS --http1.1 --cacert /ca.pem https://$OK/hello
reached 443
m9m curl -sS http://$OK/hello
reached 80
is "the answer" "$(cat "$T/out")" "hello over http"
m9m curl -sS --cacert /ca.pem https://$OTHER/hello
denied curl
is "curl: could not resolve" "$rc" 6
m9m curl -sS --cacert /ca.pem https://$OK:8443/hello
is "a port that is not allowed: could not connect" "$rc" 7

echo "# node's fetch"
cat >"$T/fetch.mjs" <<'END'
try {
	const answer = await fetch(process.argv[2]);
	process.stdout.write(await answer.text());
} catch (e) {
	console.log(e.cause.code);
	process.exit(9);
}
END
m9m --input "$T/fetch.mjs" node fetch.mjs https://$OK/hello
reached 443
is "the answer" "$(cat "$T/out")" "hello over http"
m9m --input "$T/fetch.mjs" node fetch.mjs https://$OTHER/hello
denied fetch
is "node: EAI_AGAIN" "$(cat "$T/out")" EAI_AGAIN

echo "# python's urllib"
cat >"$T/fetch.py" <<'END'
import socket, sys, urllib.error, urllib.request

try:
    print(urllib.request.urlopen(sys.argv[1]).read().decode(), end="")
except urllib.error.URLError as e:
    print(e.reason.errno == socket.EAI_AGAIN, e.reason.strerror)
    sys.exit(9)
END
m9m --input "$T/fetch.py" python3 fetch.py https://$OK/hello
reached 443
is "the answer" "$(cat "$T/out")" "hello over http"
m9m --input "$T/fetch.py" python3 fetch.py https://$OTHER/hello
denied urllib
is "python: EAI_AGAIN" "$(cat "$T/out")" \
	"True Temporary failure in name resolution"

echo "# git over https"
head=$(git -C "$T/source" rev-parse HEAD)
# shellcheck disable=SC2016  # the payload's
m9m sh -c 'git clone -q https://good.test/numbers.git && cd numbers &&
	git rev-parse HEAD && tail -n 1 numbers && echo more >>numbers &&
	git -c user.name=A -c user.email=a@b commit -q -a -m more &&
	git push -q origin HEAD:refs/heads/from-inside'
reached 443
is "a whole clone" "$(paste -sd ' ' "$T/out")" "$head 20000"
is "and what was pushed arrived" \
	"$(git -C "$T/repos/numbers.git" log -1 --format=%s from-inside)" more
m9m git clone https://$OTHER/numbers.git
denied "git clone"
contains "$T/err" "Could not resolve host: $OTHER"

echo "# ssh"
me=$(id -un)
ssh_options="-F none -i /work/id -o UserKnownHostsFile=/work/known_hosts
	-o StrictHostKeyChecking=yes -o BatchMode=yes"
# shellcheck disable=SC2086  # options
m9m ssh $ssh_options "$me@$OK" 'echo hello over ssh; id -u'
reached 22
is "a command over there" "$(paste -sd ' ' "$T/out")" "hello over ssh $(id -u)"
# shellcheck disable=SC2086  # options
m9m ssh $ssh_options "$me@$OTHER" true
denied ssh
is "ssh: its own status" "$rc" 255
contains "$T/err" "Temporary failure in name resolution"
m9m --setenv GIT_SSH_COMMAND "ssh $(echo "$ssh_options" | paste -sd ' ')" \
	git clone -q "ssh://$me@$OK$T/repos/numbers.git"
reached 22

echo "# a bare address, which no rule names"
lines=$(wc -l <"$T/access.log")
m9m curl -sS -m 5 http://127.0.0.1/hello
check "the loopback inside is not the host's" test "$rc" != 0
is "the host's server has seen nothing" "$(wc -l <"$T/access.log")" "$lines"
m9m curl -sS -m 5 http://192.0.2.1/hello
check "another address: the connection fails" test "$rc" != 0
is "and is told of" "$(events denied '.addr == "192.0.2.1"' | wc -l)" 1
