#!/bin/bash
# SPDX-License-Identifier: MIT
# Real programs do their work under the filter, and what it is there to stop
# stops.
. "$(dirname "$0")/lib.sh"

filtered=$TOP/$B/filtered
cd "$T" || exit 1

# works NAME COMMAND...: first without the filter, then with it.
works() {
	local name=$1
	shift
	if ! command -v "$1" >/dev/null; then
		echo "# $1 is not installed: $name not tried"
		return
	fi
	run timeout 60 "$@"
	if [ "$rc" != 0 ]; then
		echo "# $name does not work here without the filter either"
		return
	fi
	mv "$T/out" "$T/plain"
	run timeout 60 "$filtered" "$@"
	is "$name: exit status under the filter" "$rc" 0
	[ "$rc" = 0 ] || show_output
	is "$name: same output" "$(cat "$T/out")" "$(cat "$T/plain")"
}

cat >"$T/node.js" <<'JS'
const { execFileSync, spawnSync } = require('child_process');
const { Worker, isMainThread, parentPort } = require('worker_threads');
const fs = require('fs'), os = require('os'), net = require('net');
if (!isMainThread) {
	parentPort.postMessage('worker');
} else {
	console.log(execFileSync('echo', ['child']).toString().trim());
	console.log(spawnSync('sh', ['-c', 'exit 3']).status);
	console.log(os.cpus().length > 0, Object.keys(os.networkInterfaces()).length >= 0);
	const hot = n => { let s = 0; for (let i = 0; i < n; i++) s += i; return s; };
	console.log(hot(1e7));
	const wasm = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
	console.log(wasm instanceof WebAssembly.Module);
	new Worker(__filename).on('message', m => {
		console.log(m);
		const server = net.createServer(c => c.end('bye')).listen(0, '127.0.0.1', () =>
			net.connect(server.address().port, '127.0.0.1')
				.on('data', d => console.log(d.toString()))
				.on('end', () => server.close()));
	});
	fs.watch('.').close();
}
JS
works "node" node "$T/node.js"

cat >"$T/python.py" <<'PY'
import ctypes, multiprocessing, os, socket, sqlite3, ssl, subprocess, tempfile, threading
def square(x): return x * x
if __name__ == "__main__":
    print(subprocess.run(["echo", "child"], capture_output=True, text=True).stdout)
    with multiprocessing.Pool(2) as pool: print(pool.map(square, range(5)))
    t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
    ssl.create_default_context()
    print(sqlite3.connect(":memory:").execute("select 1").fetchone())
    print(ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(square)(7))
    os.mkfifo("fifo"); os.unlink("fifo")
    with tempfile.TemporaryFile() as f: f.write(b"x")
    a, b = socket.socketpair(); a.send(b"hi"); print(b.recv(2))
    print(socket.getaddrinfo("127.0.0.1", 80)[0][4])
PY
works "python" /usr/bin/python3 "$T/python.py"

cat >"$T/git.sh" <<'SH'
set -e
rm -rf r c && git init -q r && cd r
git config user.email a@b && git config user.name n
echo 1 >f && git add f && git commit -qm one && echo 2 >>f
git diff --stat | cat; git stash -q; git stash pop -q; git commit -qam two
git gc -q; cd .. && git clone -q r c && git -C c log --format=%s
SH
works "git" sh "$T/git.sh"

printf '#include <stdio.h>\nint main(void) { return puts("built") < 0; }\n' >"$T/a.c"
works "gcc" sh -c "gcc -O2 -o a '$T/a.c' && ./a"
printf 'all: x y\nx y:\n\t@sleep 0.0; echo made\n' >"$T/Makefile"
works "make -j" make -j2 -C "$T"
works "bash" bash -c 'set -m; (echo job) & wait; cat <(echo sub); echo a | sort | uniq; trap "echo t" EXIT'
works "rg" rg --sort path -n puts "$T/a.c"
works "tar and zstd" sh -c 'tar --zstd -cf t.tar.zst a.c && tar -tf t.tar.zst'
works "curl" curl -s "file://$T/a.c"
works "npm" sh -c 'npm --offline --version'
works "perl" perl -e 'print "x\n"; if (!fork) { exit 0 } wait; print "y\n"'
cat >"$T/J.java" <<'JAVA'
public class J { public static void main(String[] a) throws Exception {
	Thread t = new Thread(() -> System.out.println("thread")); t.start(); t.join();
	System.out.println(new ProcessBuilder("true").start().waitFor()); } }
JAVA
printf 'use std::thread; fn main() { let t = thread::spawn(|| println!("thread"));\n\tt.join().unwrap();\n\tprintln!("{:?}", std::process::Command::new("true").status().unwrap().code()); }\n' >"$T/r.rs"
if command -v rustc >/dev/null; then
	works "rustc" sh -c 'rustc -o rust r.rs && ./rust'
else
	echo "# rustc is not installed"
fi
cat >"$T/g.go" <<'GO'
package main

import ("fmt"; "os/exec"; "sync")

func main() {
	var w sync.WaitGroup
	for i := 0; i < 4; i++ { w.Add(1); go func() { defer w.Done() }() }
	w.Wait()
	fmt.Println("routines", exec.Command("true").Run())
}
GO
export GOCACHE="$T/cache"
works "go" go run g.go
printf 'console.log("bun", await new Response("x").text(), Bun.spawnSync(["true"]).exitCode)\n' >"$T/b.ts"
works "bun" bun run "$T/b.ts"
works "java" java -XX:-UsePerfData "$T/J.java"

# And what it is for, with ordinary programs.
stops() {
	local name=$1
	shift
	command -v "$1" >/dev/null || { echo "# no $1"; return; }
	run timeout 60 "$filtered" "$@"
	if [ "$rc" != 0 ]; then ok "stopped: $name"; else not_ok "went through: $name"; fi
}
if unshare -U true 2>/dev/null; then
	stops "a user namespace" unshare -U true
fi
run strace -o /dev/null true
[ "$rc" != 0 ] || stops "strace" strace -o /dev/null true
stops "no address randomisation" setarch -R true
stops "a namespace of another process" nsenter -t 1 -u true
