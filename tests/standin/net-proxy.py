#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An HTTP proxy: net-proxy.py PORT USER:PASSWORD LOG [NAME=ADDRESS:PORT]...

Wants the credentials (407), takes a CONNECT to one of the names (502) and
writes what it was asked for to LOG.  Says "ready".
"""

import base64
import socketserver
import sys
import threading
import socket

port, credentials, log = int(sys.argv[1]), sys.argv[2], sys.argv[3]
ways = dict(way.split("=") for way in sys.argv[4:])
wanted = "Basic " + base64.b64encode(credentials.encode()).decode()


def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Proxy(socketserver.StreamRequestHandler):
    def refuse(self, status):
        self.wfile.write(b"HTTP/1.1 %d No\r\n\r\n" % status)

    def handle(self):
        request = self.rfile.readline().decode().split()
        headers = {}
        while line := self.rfile.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        with open(log, "a", encoding="utf-8") as out:
            out.write(" ".join(request) + "\n")
        if headers.get("proxy-authorization") != wanted:
            self.refuse(407)
            return
        if request[0] != "CONNECT" or request[1] not in ways:
            self.refuse(502)
            return
        host, _, to = ways[request[1]].rpartition(":")
        with socket.create_connection((host, int(to))) as server:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            threading.Thread(
                target=pump, args=(server, self.connection), daemon=True
            ).start()
            pump(self.connection, server)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server(("127.0.0.1", port), Proxy) as server:
    print("ready", flush=True)
    server.serve_forever()
