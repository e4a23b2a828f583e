#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Out by the user's own HTTP proxy: ordinary clients need not know, the rules
# stay ours, its failures are told apart, its password is nowhere.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need curl jq openssl python3
host_netns

"$TOP/tests/standin/make-ca.sh" "$T/ca" good.test
mkdir "$T/www"
echo "hello" >"$T/www/hello"
cat >"$T/web.py" <<'END'
import functools, http.server, ssl, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler,
                            directory=sys.argv[2])
web = http.server.ThreadingHTTPServer(("127.0.0.1", 4430), handler)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(sys.argv[1] + "/leaf.pem", sys.argv[1] + "/leaf.key")
web.socket = tls.wrap_socket(web.socket, server_side=True)
print("ready", flush=True)
web.serve_forever()
END
serve python3 "$T/web.py" "$T/ca" "$T/www"
: >"$T/proxied"
serve python3 "$TOP/tests/standin/net-proxy.py" 3128 "user:hunter2" \
	"$T/proxied" good.test:443=127.0.0.1:4430

m9m() {
	rm -f "$T/events.jsonl" "$T/result.json"
	: >"$T/proxied"
	run "$M9M" --summary always --no-artifact --verbose \
		--events "$T/events.jsonl" --result "$T/result.json" \
		--allow good.test --allow lost.test \
		--ro-bind "$T/ca/ca.pem" /ca.pem "$@"
	cat "$T/out" "$T/err" "$T/events.jsonl" "$T/result.json" >>"$T/all"
}
fetch=(curl -sS -m 20 --cacert /ca.pem)
URL="http://user:hunter2@127.0.0.1:3128"

echo "# through it"
m9m --proxy "$URL" -- "${fetch[@]}" https://good.test/hello
is "the answer" "$(cat "$T/out")" hello
is "the proxy was asked by name" "$(cat "$T/proxied")" \
	"CONNECT good.test:443 HTTP/1.1"
is "the event says by whom" "$(events connect |
	jq -r '"\(.name) \(.via) \(.addr)"')" "good.test proxy null"
m9m --proxy "$URL" -- "${fetch[@]}" https://evil.test/hello
is "the rules are ours: the name does not resolve" "$rc" 6
is "and the proxy is not asked" "$(cat "$T/proxied")" ""
m9m --proxy "$URL" -- sh -c 'env; cat /proc/*/cmdline /proc/*/environ' 2>&1
lacks "$T/out" hunter2
lacks "$T/out" 3128

echo "# by the caller's variables"
export https_proxy=$URL
m9m --proxy env -- "${fetch[@]}" https://good.test/hello
is "the answer" "$(cat "$T/out")" hello
m9m -- "${fetch[@]}" https://good.test/hello
is "which count when they are asked for only" "$(cat "$T/proxied")" ""
no_proxy=.test m9m --proxy env -- "${fetch[@]}" https://good.test/hello
is "no_proxy is heeded" "$(cat "$T/proxied")" ""
https_proxy=socks5://h:1 run "$M9M" --allow good.test --proxy env true
is "one that cannot be used: exit 125" "$rc" 125
contains "$T/err" "cannot use the proxy"
unset https_proxy

echo "# when it fails"
# fails WORDS OPTION...: what the event of the connection says.
fails() {
	local words=$1
	shift
	m9m "$@" -- "${fetch[@]}" https://lost.test/
	check "curl fails" test "$rc" != 0
	check "told as: $words" grep -qF -- "$words" <<<"$(events connect \
		'.name == "lost.test" and .error' | jq -r .reason)"
}
fails "(502)" --proxy "$URL"
fails "(407)" --proxy http://127.0.0.1:3128
fails "(407)" --proxy http://user:hunter3@127.0.0.1:3128
fails "no connection to the proxy" --proxy http://127.0.0.1:3129
# It speaks TLS: an alert, or it hangs up at once.
fails "the proxy" --proxy http://127.0.0.1:4430
m9m --proxy http://127.0.0.1:3129 --resolve good.test=127.0.0.1 \
	--allow good.test:4430 -- "${fetch[@]}" https://good.test:4430/hello
is "a name with --resolve does not need it" "$(cat "$T/out")" hello

echo "# the password"
{
	"$M9M" --allow good.test --proxy "$URL" --print-spec true
	"$M9M" --allow good.test --proxy "$URL" --explain true
	cat "$AUDIT"
} >>"$T/all"
contains "$T/all" "connect through the proxy 127.0.0.1:3128 (with credentials)"
contains "$T/all" "http://***@127.0.0.1:3128"
lacks "$T/all" hunter2
lacks "$T/all" hunter3
lacks "$T/all" "$(printf 'user:hunter2' | base64)"
