#!/bin/bash
# SPDX-License-Identifier: MIT
#
# --report: a page of what a run was, from its archive, its result or its
# events; a browser shows it, and nothing in it is more than text.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

need python3 jq git
host_netns

# A run with something of everything, none of it well-meant.
mkdir "$T/project"
git -C "$T/project" init -q
echo old >"$T/project/old.txt"
cat >"$T/payload.py" <<'END'
import os, socket, subprocess, sys
for name in ("evil.example", "</script><script>alert.example"):
    try:
        socket.getaddrinfo(name, 443)
    except OSError:
        pass
subprocess.run(["echo", "</code><script>alert(1)</script>"])
subprocess.run(["echo", b"\x1b]0;title\x07\xe2\x80\xaereversed\xff\" onload='x"])
open("old.txt", "a").write("new\n")
open(".envrc", "w").write("export A=1\n")
open(b"</td><img src=x onerror=alert(1)>\x1b\xff".replace(b"/", b"_"), "w").close()
print("ready", flush=True)
sys.stdin.read()
END
mkfifo "$T/stdin"
"$M9M" -q --id '<b>a & "b"</b>' --project "$T/project" --network allow \
	--ro-bind "$T/payload.py" /payload.py --artifact "$T/run.tar.zst" \
	--events "$T/events.jsonl" --result "$T/result.json" \
	-- python3 /payload.py <"$T/stdin" >"$T/out" 2>"$T/err" &
pid=$!
exec 5>"$T/stdin"
await_line "$T/out" ready 60 || show_output
await_line "$T/events.jsonl" '"sample"' 60
exec 5>&-
wait "$pid"
is "the run" "$?" 0

# sound FILE: well-formed to a strict reader, no element that does or fetches
# anything, no attribute that does, no byte that hides.
cat >"$T/sound.py" <<'END'
import html.parser, re, sys
FINE = set("""html meta title style h1 h2 p span div dl dt dd table tr th td code
pre details summary svg path text rect""".split())
ATTRIBUTES = set("""lang charset http-equiv content name class viewbox role
aria-label d x y width height rx text-anchor""".split())
class Reader(html.parser.HTMLParser):
    text = ""
    def handle_starttag(self, tag, attributes):
        assert tag in FINE, tag
        for name, value in attributes:
            assert name in ATTRIBUTES, (tag, name)
            assert "script" not in value and "onerror" not in value, value
    def handle_data(self, data):
        self.text += data
page = open(sys.argv[1], "rb").read().decode("utf-8", "strict")
assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
assert "Content-Security-Policy" in page and "default-src 'none'" in page
assert not re.search(r"https?:|url\(|@import", page)
reader = Reader()
reader.feed(page)
reader.close()
print(reader.text)
END
page() {
	expect_exit 0 "$M9M" --report "$T/$1.html" "$2"
	run python3 "$T/sound.py" "$T/$1.html"
	is "$1: nothing in it is more than text" "$rc" 0
	[ "$rc" = 0 ] || show_output
}

echo "# from the archive"
page archive "$T/run.tar.zst"
for text in '<b>a & "b"</b>' evil.example '--allow evil.example' \
	'</code><script>alert(1)</script>' '\u{202e}reversed' 'is run by direnv' \
	old.txt 'Over time' Memory 'at most' 'img src=x onerror' 'landlock\|In force'; do
	check "it shows: $text" grep -q -- "${text//\\u/\\\\u}" "$T/out"
done
check "the run's own id" grep -q "$(json "$T/result.json" .run)" "$T/out"

echo "# from the result, and from the events"
page result "$T/result.json"
contains "$T/out" "--allow evil.example"
lacks "$T/out" "Over time"
matches <(tr '\n' ' ' <"$T/out") 'Files added[^A-Z]*2[^A-Z]*Files modified[^A-Z]*1'
matches <(tr '\n' ' ' <"$T/out") 'Changed files.*\.envrc[^A-Za-z]*is run by direnv'
contains "$T/out" "And 2 more changes."
page events "$T/events.jsonl"
contains "$T/out" "--allow evil.example"
contains "$T/out" "Over time"
page audit "$AUDIT"
contains "$T/out" "--allow evil.example"
head -n 5 "$T/events.jsonl" >"$T/half.jsonl"
page half "$T/half.jsonl"
contains "$T/out" "its events end before it does"
run "$M9M" --report - "$T/result.json"
check "on stdout too" cmp -s "$T/out" "$T/result.html"

echo "# files that nobody of ours wrote"
cat >"$T/odd.jsonl" <<'END'
{"ts":"2026-11-26T01:00:00Z","seq":1,"run":"<script>","event":"start","argv":["</style><script>alert(1)</script>"]}
{"ts":"9999-99-99T01:00:00Z","event":"exec","run":"<script>","path":"\"'><img src=x>","argv":[1,null,{}],"verdict":"denied","remedy":"</code>"}
{"ts":"2026-11-26T01:00:10Z","run":"<script>","event":"connect","port":1e99,"name":"\u202e\u001b]0;x","connection":1}
{"ts":"2026-11-26T01:00:20Z","run":"<script>","event":"close","port":-5,"connection":1,"bytes_out":1e300,"bytes_in":"x"}
{"ts":[],"run":"<script>","event":"sample","cpu_ms":-4,"memory":1e17,"pids":"<b>"}
END
page odd "$T/odd.jsonl"
echo '{"status":"<img>","layers":[{}],"denials":[1,{"count":-1}],"network":7}' \
	>"$T/odd.json"
page odd-result "$T/odd.json"
for file in /dev/null "$T/payload.py" "$T" "$T/missing"; do
	expect_exit 125 "$M9M" --report "$T/no.html" "$file"
	check "$file: no page" test ! -e "$T/no.html"
	contains "$T/err" "report: cannot"
done
head -c $(($(stat -c %s "$T/run.tar.zst") / 2)) "$T/run.tar.zst" >"$T/torn.tar.zst"
expect_exit 125 "$M9M" --report "$T/no.html" "$T/torn.tar.zst"
contains "$T/err" "cannot read the archive"
echo '{"event":' >"$T/torn.jsonl"
expect_exit 125 "$M9M" --report "$T/no.html" "$T/torn.jsonl"
contains "$T/err" "line 1 is no event"

echo "# more events than a run writes, in a small archive"
mkdir "$T/bomb"
yes '{"event":"x","text":"'"$(printf '%01000d' 0)"'"}' | head -c 70M \
	>"$T/bomb/events.jsonl"
tar -C "$T/bomb" -cf "$T/bomb.tar" --use-compress-program="zstd -q" events.jsonl
expect_exit 125 "$M9M" --report "$T/no.html" "$T/bomb.tar"
contains "$T/err" "over 64 MiB of events"
check "no page" test ! -e "$T/no.html"

echo "# an audit log of any length: a run's 64 MiB with what chains them, and others"
awk -v other="$T/bomb/events.jsonl" -v zeros="$(printf '%064d' 0)" 'BEGIN {
	row = "{\"prev\":\"" zeros "\",\"ts\":\"2026-11-26T01:00:0%dZ\",\"run\":\"r\"," \
		"\"event\":\"exec\",\"path\":\"/bin/%s\",\"verdict\":\"allowed\"}\n"
	printf row, 0, "first"
	while ((getline line <other) > 0)
		if (line ~ /}$/)
			print line
	printf row, 9, "last"
}' >"$T/long.jsonl"
check "it is longer than a run" test "$(wc -c <"$T/long.jsonl")" -gt $((66 << 20))
expect_exit 0 "$M9M" --report "$T/long.html" "$T/long.jsonl"
contains "$T/long.html" /bin/last
expect_exit 0 "$M9M" --suggest "$T/long.jsonl" true
rm "$T/long.jsonl"

echo "# a few bytes of text that are as many values, each far larger in memory"
# packed FILE: an archive of it.
packed() {
	rm -f "$T/bomb.tar"
	tar -C "$T/bomb" -cf "$T/bomb.tar" --use-compress-program="zstd -q" "$1"
}
{
	printf '{"changes":['
	yes 0, | tr -d '\n' | head -c 12M
	printf '0]}'
} >"$T/bomb/changes.json"
packed changes.json
expect_exit 125 "$M9M" --report "$T/no.html" "$T/bomb.tar"
contains "$T/err" "more than 4194304 values"
yes '{"event":"exec","run":"r","argv":['"$(printf '0,%.0s' {1..30000})"'0]}' |
	head -n 20 >"$T/bomb/events.jsonl"
packed events.jsonl
expect_exit 0 "$M9M" --report "$T/large.html" "$T/bomb.tar"
contains "$T/large.html" "And 12 more events."
rm -r "$T/bomb"

echo "# each connection ends where its own end is"
for row in 00:connect:a:1 00:connect:b:2 00:connect:c:3 05:close:b:2 \
	10:close:a:1 10:close:x:20003; do
	IFS=: read -r second event name number <<<"$row"
	echo '{"ts":"2026-11-26T01:00:'"$second"'Z","run":"r","event":"'"$event"'",
		"name":"'"$name"'","port":443,"connection":'"$number"'}' | tr -d '\n'
	echo
done >"$T/ends.jsonl"
page ends "$T/ends.jsonl"
is "one to the end, one to the middle, one open" \
	"$(grep -o "<rect class='m'[^>]*" "$T/ends.html" |
		sed "s/.* width='//; s/'.*//" |
		awk 'NR == 1 { all = $1 } { printf "%.1f ", $1 / all }')" \
	"1.0 0.5 0.0 "

echo "# a program is shown by its path, whatever it calls itself"
cat >"$T/called.jsonl" <<'END'
{"ts":"2026-11-26T01:00:00Z","run":"r","event":"start","program":"/usr/bin/sh","argv":["sh","-c","a b"]}
{"ts":"2026-11-26T01:00:01Z","run":"r","event":"exec","path":"/work/evil","argv":["git","status"],"verdict":"allowed"}
{"ts":"2026-11-26T01:00:01Z","run":"r","event":"exec","path":"/work/x y","argv":["p q","z"],"verdict":"allowed"}
{"ts":"2026-11-26T01:00:02Z","run":"r","event":"exec","path":"/usr/bin/rm","argv":["rm","-r","a b","","c"],"argv_cut":true,"verdict":"allowed"}
END
page called "$T/called.jsonl"
contains "$T/out" "/work/evil status called git"
contains "$T/out" "/usr/bin/sh -c 'a b'"
contains "$T/out" "'/work/x y' z called 'p q'"
contains "$T/out" "/usr/bin/rm -r 'a b' '' c ..."

echo "# what is left out is told, and nothing is hidden by number or by order"
{
	echo '{"ts":"2026-11-26T01:00:00Z","run":"r","event":"start","program":"/bin/a","argv":["a"]}'
	for i in {1..30}; do
		echo '{"ts":"2026-11-26T01:00:01Z","run":"r","event":"exec","path":"/bin/p'"$i"'","argv":["p"],"verdict":"allowed"}'
	done
	for verdict in denied allowed; do
		echo '{"ts":"2026-11-26T01:00:05Z","run":"r","event":"exec","path":"/bin/p1","argv":["p"],"verdict":"'$verdict'"}'
		echo '{"ts":"2026-11-26T01:00:05Z","run":"r","event":"connect","name":"a.example","port":443,"verdict":"'$verdict'"}'
	done
	echo '{"ts":"2026-11-26T01:00:09Z","run":"r","event":"limit","what":"events","reason":"too many events","limit":67108864,"dropped":1234}'
	echo '{"ts":"2026-11-26T01:00:09Z","run":"r","event":"limit","what":"events","reason":"the reader of --events was too slow","dropped":77}'
	echo '{"ts":"2026-11-26T01:00:10Z","run":"r","event":"limit","what":"disk","limit":4096}'
	echo '{"ts":"2026-11-26T01:00:10Z","run":"r","event":"limit","what":"artifact","left_out":3}'
	echo '{"ts":"2026-11-26T01:00:10Z","run":"other","event":"start","program":"/bin/b","argv":["b"]}'
} >"$T/left.jsonl"
page left "$T/left.jsonl"
contains "$T/out" "events: too many events"
contains "$T/out" "And 1234 more that were not recorded."
contains "$T/out" "And 1 more of other runs."
contains "$T/out" "A cap was reached: --disk"
contains "$T/out" "not in the archive: 3 files"
lacks "$T/out" "A cap was reached: --artifact"
is "connections are not among the programs" \
	"$(grep -o '>\(all others\|Network\)<' "$T/left.html" | tr -d '<>' |
		tr '\n' ,)" "all others,Network,all others,"
is "what was denied is drawn over what was allowed" \
	"$(grep -o "<rect class='m[^']*'" "$T/left.html" | tail -n 1)" \
	"<rect class='m denied'"
mkdir "$T/flagged"
python3 - "$T/flagged/changes.json" <<'END'
import json, sys
rows = [{"change": "added", "path": "f%d" % i} for i in range(3000)]
rows.append({"change": "added", "path": "z/.envrc", "control": "is run by direnv"})
json.dump({"changes": rows}, open(sys.argv[1], "w"))
END
cat >"$T/flagged/run.json" <<'END'
{"status":"ok","answer":{"text":"half an answer","truncated":true,"failed":true},
"commands":{"executed":[{"path":"/bin/a","count":2}],"more_executed":7}}
END
tar -C "$T/flagged" -cf "$T/flagged.tar" run.json changes.json
page flagged "$T/flagged.tar"
contains "$T/out" z/.envrc
contains "$T/out" "And 1001 more changes."
contains "$T/out" "And 7 more executions."
contains "$T/out" "It was longer"
contains "$T/out" "It says that it did not succeed"

python3 - "$T/uncounted.json" <<'END'
import json, sys
rows = [{"path": "f%d" % i, "what": "x"} for i in range(3000)]
json.dump({"status": "ok", "changes": {"added": 1, "control": rows}},
          open(sys.argv[1], "w"))
END
page uncounted "$T/uncounted.json"
contains "$T/out" "And 1000 more changes."
if ! sanitized && strace -o /dev/null -f true 2>/dev/null; then
	expect_exit 125 strace -o /dev/null -e inject=clone:error=EAGAIN \
		"$M9M" --report "$T/none.html" "$T/uncounted.json"
	contains "$T/err" "cannot fork the writer of the page"
	lacks "$T/err" "should be the archive, the result or the events"
fi

echo "# what is not in the archive, which no record in it knew"
expect_exit 0 "$M9M" -q --artifact "$T/beyond.tar.zst" python3 -c '
import os
os.mkfifo("pipe")
for i in range(300):
    os.mkdir("d")
    os.chdir("d")
open("file", "w").close()'
page beyond "$T/beyond.tar.zst"
contains "$T/out" "not in the archive: 1 file or folder"
contains "$T/out" "Not in the archive"
matches <(tr '\n' ' ' <"$T/out") 'deep *work/d/d/.*too deep in folders'
matches <(tr '\n' ' ' <"$T/out") 'fifo *work/pipe'
mkdir "$T/skipped"
# A list of anybody's, in which losses come last.
python3 - >"$T/skipped/skipped.txt" <<'END'
for i in range(3000):
    print("socket work/s%d" % i)
print("long work/<script>alert(1)</script>\x1b]0;x\u202e")
print("</td><img src=x onerror=alert(1)> work/x")
print("and 5 more")
END
echo '{"status":"ok","warnings":[]}' >"$T/skipped/run.json"
echo '{"changes":[{"change":"added","path":"a"}],"left_out":3}' \
	>"$T/skipped/changes.json"
tar -C "$T/skipped" -cf "$T/skipped.tar" run.json changes.json skipped.txt
page skipped "$T/skipped.tar"
contains "$T/out" "not in the archive: 7 files or folders"
contains "$T/out" "work/<script>alert(1)</script>"
contains "$T/out" "And 1007 more that are not in it."
contains "$T/out" "And 3 more changes."
head -c 3M /dev/zero | tr '\0' x >"$T/skipped/skipped.txt"
tar -C "$T/skipped" -cf "$T/skipped.tar" run.json skipped.txt
expect_exit 125 "$M9M" --report "$T/no.html" "$T/skipped.tar"
contains "$T/err" "skipped.txt is too long"

echo "# a hundred thousand events make a page that can be read"
python3 - >"$T/many.jsonl" <<'END'
for i in range(100000):
    print('{"ts":"2026-11-26T01:%02d:%02d.%03dZ","run":"r","event":"exec",'
          '"path":"/bin/p%d","argv":["p%d","%s"],"verdict":"allowed"}'
          % (i // 6000, i // 100 % 60, i % 100, i % 97, i % 97, "x" * 200))
END
page many "$T/many.jsonl"
check "below 1.5 MB" test "$(stat -c %s "$T/many.html")" -lt 1500000
contains "$T/out" "And 98000 more"

echo "# in a browser"
if ! command -v chromium >/dev/null; then
	echo "# left out: chromium is not installed (scripts/deps.sh check)"
	exit 0
fi
# What a strict policy refuses, and what a page fetches, it says on stderr.
browse() {
	HOME=$T timeout -s KILL 120 chromium --headless --no-sandbox \
		--disable-gpu --disable-background-networking \
		--disable-dev-shm-usage --user-data-dir="$T/browser" \
		--window-size=1180,2400 --enable-logging=stderr "$@" \
		2>"$T/browser.log"
}
if ! browse --dump-dom "data:text/html,<p>here" | grep -q '<p>here'; then
	echo "# left out: chromium does not start here"
	exit 0
fi
browse --dump-dom "file://$T/archive.html" >"$T/dom"
contains "$T/dom" "&lt;script&gt;alert(1)&lt;/script&gt;"
lacks "$T/dom" "<script"
lacks "$T/browser.log" "Content Security Policy"
browse --screenshot="$T/page.png" "file://$T/archive.html" >/dev/null
check "it is drawn: $(stat -c %s "$T/page.png") bytes" \
	test "$(stat -c %s "$T/page.png")" -gt 60000
sed 's/sha256-[^'"'"']*/sha256-AAAA/' "$T/archive.html" >"$T/barred.html"
browse --dump-dom "file://$T/barred.html" >"$T/dom"
contains "$T/browser.log" "Content Security Policy"
