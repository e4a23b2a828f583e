#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Protocols that are neither TLS nor HTTP, by real clients to real servers; and
# programs that bring a resolver and a TLS of their own: a static Go program, a
# Java one; a static Rust one; a browser.  What is not installed is left out, and said.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need jq openssl python3
host_netns
OK=good.test OTHER=other.test

m9m() {
	rm -f "$T/events.jsonl"
	run "$M9M" -q --no-artifact --events "$T/events.jsonl" \
		--resolve $OK=127.0.0.1 --resolve $OTHER=127.0.0.1 "$@"
}

# left_out WHAT COMMAND...: true when one of them is missing.
left_out() {
	local what=$1 command
	shift
	for command; do
		command -v "$command" >/dev/null && continue
		echo "# left out: $what ($command is not installed)"
		return 0
	done
	return 1
}

# refused NAME: the last run asked for it, was denied, and connected nowhere.
refused() {
	check "$1 fails" test "$rc" != 0
	is "its question was denied" "$(events dns ".name == \"$OTHER\"" |
		jq -r .verdict | sort -u)" denied
	is "it connected nowhere" "$(events connect | wc -l)" 0
}

if ! left_out redis redis-server redis-cli; then
	echo "# redis"
	mkdir "$T/redis"
	serve redis-server --port 6379 --bind 127.0.0.1 --save '' \
		--dir "$T/redis" --daemonize no
	await_line "$served_log" "eady to accept connections"
	m9m --allow $OK:6379 -- sh -c "redis-cli -h $OK set key inside &&
		redis-cli -h $OK get key"
	is "redis-cli" "$(paste -sd ' ' "$T/out")" "OK inside"
	is "by its name" "$(events connect | jq -r '"\(.name):\(.port)"' |
		sort -u)" "$OK:6379"
	m9m --allow $OK:6379 -- redis-cli -h $OTHER get key
	refused redis-cli
fi

bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
if ! left_out postgres psql "$bin/initdb" "$bin/postgres"; then
	echo "# postgres"
	as=()
	if is_root; then
		# It will not run as root.
		mkdir "$T/pg"
		chmod 711 "$T"
		chown nobody "$T/pg"
		as=(setpriv --reuid nobody --regid nogroup --clear-groups)
	else
		mkdir "$T/pg"
	fi
	if "${as[@]}" "$bin/initdb" -D "$T/pg/data" -U postgres -A trust \
		--no-sync >"$T/initdb" 2>&1; then
		serve "${as[@]}" "$bin/postgres" -D "$T/pg/data" -F \
			-c listen_addresses=127.0.0.1 -c port=5432 \
			-c unix_socket_directories=
		await_line "$served_log" "ready to accept connections"
		m9m --allow $OK:5432 -- psql -h $OK -U postgres -Atc \
			"select 6 * 7"
		is "psql" "$(cat "$T/out")" 42
		[ "$rc" = 0 ] || show_output
		m9m --allow $OK:5432 -- psql -h $OTHER -U postgres -Atc \
			"select 1"
		refused psql
	else
		echo "# left out: postgres (initdb does not run here)"
	fi
fi

echo "# requests that do not begin as any, to a server that answers them"
cat >"$T/hosts.py" <<'END'
import wsgiref.simple_server
def answer(environ, start):
    start("200 OK", [])
    return [b"you asked " + environ["HTTP_HOST"].encode()]
web = wsgiref.simple_server.make_server("127.0.0.1", 3000, answer)
print("ready", flush=True)
web.serve_forever()
END
cat >"$T/say.py" <<'END'
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as s:
    s.sendall(sys.argv[3].encode().decode("unicode_escape").encode("latin-1"))
    while answer := s.recv(4096):
        print(answer)
END
serve python3 "$T/hosts.py"
for line in '0GET / HTTP/1.1' 'G@T / HTTP/1.1' 'GET x' '\x01 / HTTP/1.1' \
	'\xef\xbb\xbfGET / HTTP/1.1'; do
	words="$line\r\nHost: $OTHER\r\n\r\n"
	python3 "$T/say.py" 127.0.0.1 3000 "$words" >"$T/out"
	contains "$T/out" "you asked $OTHER"
	m9m --input "$T/say.py" --allow $OK:3000 -- \
		python3 say.py $OK 3000 "$words"
	check "refused: $line" test "$rc" != 0
	lacks "$T/out" "you asked"
	is "it is told of" "$(events denied | jq -r .reason)" \
		"HTTP request refused: it does not begin as one"
done

echo "# a websocket, and a server that answers as if it were one"
cat >"$T/stays.py" <<'END'
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"you asked " + self.headers["host"].encode()
        self.send_response(int(self.path[1:]))
        if self.path != "/101":
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.path != "/101":
            self.wfile.write(body)
web = http.server.HTTPServer(("127.0.0.1", 3001), Answer)
print("ready", flush=True)
web.serve_forever()
END
serve python3 "$T/stays.py"
words="GET /101 HTTP/1.1\r\nHost: $OK\r\nUpgrade: websocket\r\n"
words="${words}Connection: upgrade\r\nSec-WebSocket-Key: YQ==\r\n\r\n"
words="${words}GET /200 HTTP/1.1\r\nHost: $OTHER\r\nConnection: close\r\n\r\n"
python3 "$T/say.py" 127.0.0.1 3001 "$words" >"$T/out"
contains "$T/out" "you asked $OTHER"
m9m --input "$T/say.py" --allow $OK:3001 -- python3 say.py $OK 3001 "$words"
lacks "$T/out" "you asked"
is "it is told of" "$(events denied | jq -r .reason)" \
	"HTTP upgrade to something that cannot be checked"

cat >"$T/echo.py" <<'END'
import asyncio, websockets
async def echo(socket, path=None):
    async for words in socket:
        await socket.send("again: " + words)
async def main():
    async with websockets.serve(echo, "127.0.0.1", 3002):
        print("ready", flush=True)
        await asyncio.Future()
asyncio.run(main())
END
cat >"$T/speak.py" <<'END'
import asyncio, sys, websockets
async def main():
    async with websockets.connect("ws://" + sys.argv[1] + ":3002/") as socket:
        await socket.send("hello")
        print(await socket.recv())
asyncio.run(main())
END
if python3 -c 'import websockets' 2>/dev/null; then
	serve python3 "$T/echo.py"
	m9m --input "$T/speak.py" --allow $OK:3002 -- python3 speak.py $OK
	is "a real one speaks" "$(cat "$T/out")" "again: hello"
	[ "$rc" = 0 ] || show_output
else
	echo "# left out: websockets (python3-websockets is not installed)"
fi

"$TOP/tests/standin/make-ca.sh" "$T/ca" $OK
mkdir "$T/www"
echo "hello over tls" >"$T/www/hello"
cat >"$T/web.py" <<'END'
import functools, http.server, ssl, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler,
                            directory=sys.argv[2])
web = http.server.ThreadingHTTPServer(("127.0.0.1", 443), handler)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(sys.argv[1] + "/leaf.pem", sys.argv[1] + "/leaf.key")
web.socket = tls.wrap_socket(web.socket, server_side=True)
print("ready", flush=True)
web.serve_forever()
END
serve python3 "$T/web.py" "$T/ca" "$T/www"

if ! left_out "a static Go program" go; then
	echo "# a static Go program"
	cat >"$T/fetch.go" <<'END'
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	answer, err := http.Get(os.Args[1])
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(9)
	}
	io.Copy(os.Stdout, answer.Body)
}
END
	if CGO_ENABLED=0 GOFLAGS=-mod=mod GOCACHE=$T/gocache GO111MODULE=off \
		HOME=$T go build -o "$T/fetch-go" "$T/fetch.go" 2>"$T/go.err"; then
		go=(--input "$T/fetch-go" --ro-bind "$T/ca/ca.pem" /ca.pem
			--setenv SSL_CERT_FILE /ca.pem --allow "$OK")
		m9m "${go[@]}" -- /work/fetch-go https://$OK/hello
		is "its answer" "$(cat "$T/out")" "hello over tls"
		[ "$rc" = 0 ] || show_output
		m9m "${go[@]}" -- /work/fetch-go https://$OTHER/hello
		refused "a static Go program"
	else
		sed 's/^/# left out: /' "$T/go.err"
	fi
fi

if ! left_out Java java javac keytool; then
	echo "# Java"
	cat >"$T/Fetch.java" <<'END'
import java.net.URL;
public class Fetch {
	public static void main(String[] a) throws Exception {
		System.out.print(new String(
		    new URL(a[0]).openStream().readAllBytes()));
	}
}
END
	mkdir "$T/classes"
	javac -J-XX:-UsePerfData -d "$T/classes" "$T/Fetch.java" 2>"$T/javac.err" &&
		keytool -J-XX:-UsePerfData -importcert -noprompt \
			-alias ca -file "$T/ca/ca.pem" \
			-keystore "$T/trust" -storepass changeit >/dev/null 2>&1
	java=(--input "$T/classes" --ro-bind "$T/trust" /trust --allow "$OK" --
		java -Djavax.net.ssl.trustStore=/trust \
		-Djavax.net.ssl.trustStorePassword=changeit -cp /work/classes Fetch)
	m9m "${java[@]}" https://$OK/hello
	is "its answer" "$(cat "$T/out")" "hello over tls"
	[ "$rc" = 0 ] || show_output
	m9m "${java[@]}" https://$OTHER/hello
	refused Java
fi

# What a package has on PATH may be a script that wants its own /etc.
chromium=/usr/lib/chromium/chromium
[ -x $chromium ] || chromium=chromium
if ! left_out Chromium $chromium; then
	echo "# Chromium"
	cp "$T/www/hello" "$T/www/hello.html"
	browse=(--timeout 60s -- "$chromium" --headless --no-sandbox --disable-gpu
		--ignore-certificate-errors --user-data-dir=/tmp/profile --dump-dom)
	m9m --verbose --allow $OK "${browse[@]}" https://$OK/hello.html
	contains "$T/out" "hello over tls"
	is "it is not cut" "$(events denied ".name == \"$OK\"")" ""
	m9m --verbose --allow $OK --tmpfs /etc/chromium/policies/managed \
		"${browse[@]}" https://$OK/hello.html
	lacks "$T/out" "hello over tls"
	is "without its policy it is, for what it pretends to hide" \
		"$(events denied ".name == \"$OK\"" | jq -r .reason | sort -u |
			grep -o ECH)" ECH
	m9m --verbose --allow $OK --allow-ech \
		--tmpfs /etc/chromium/policies/managed \
		"${browse[@]}" https://$OK/hello.html
	contains "$T/out" "hello over tls"
	is "with --allow-ech it is not" "$(events denied ".name == \"$OK\"")" ""
fi

if ! left_out "a static Rust program" rustc; then
	echo "# a static Rust program"
	serve python3 -u -m http.server --bind 127.0.0.1 -d "$T/www" 80
	cat >"$T/fetch.rs" <<'END'
use std::io::{Read, Write};
fn main() -> std::io::Result<()> {
    let host = std::env::args().nth(1).unwrap();
    let mut s = std::net::TcpStream::connect((host.as_str(), 80))?;
    write!(s, "GET /hello HTTP/1.0\r\nHost: {}\r\n\r\n", host)?;
    let mut answer = String::new();
    s.read_to_string(&mut answer)?;
    print!("{}", answer.split("\r\n\r\n").nth(1).unwrap_or(""));
    Ok(())
}
END
	if rustc -C target-feature=+crt-static -o "$T/fetch-rust" \
		"$T/fetch.rs" 2>"$T/rust.err"; then
		m9m --input "$T/fetch-rust" --allow $OK:80 -- \
			/work/fetch-rust $OK
		is "its answer" "$(cat "$T/out")" "hello over tls"
		[ "$rc" = 0 ] || show_output
		m9m --input "$T/fetch-rust" --allow $OK:80 -- \
			/work/fetch-rust $OTHER
		refused "a static Rust program"
	else
		sed 's/^/# left out: /' "$T/rust.err" | head -n 5
	fi
fi
# Where none of them is there is nothing to show.
[ "$checks" != 0 ] || skip "nothing of all this is here"
