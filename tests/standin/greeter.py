# SPDX-License-Identifier: MIT
"""greeter.py PORT...: says "hi" to each who connects, and hangs up."""
import selectors
import socket
import sys

ready = selectors.DefaultSelector()
for port in sys.argv[1:]:
    listener = socket.create_server(("0.0.0.0", int(port)), backlog=64)
    ready.register(listener, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in ready.select():
        client, _ = key.fileobj.accept()
        client.sendall(b"hi")
        client.close()
