#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A small world: a resolver that records each question, and servers that
record each byte they are sent.

net-world.py DIR ADDRESS...: writes DIR/asked (one name a line) and DIR/hits
("address port bytes"), serves every ADDRESS on the ports below, and says
"ready".  DIR/zone has "name address address...": the answers; "name flip a b"
answers a to the first question and b to the later ones.  An answer that is too
long for a datagram is had by TCP only.
"""

import asyncio
import socket
import struct
import sys

PORTS = (80, 443, 5432, 8443)
where, addresses = sys.argv[1], sys.argv[2:]
seen = set()


def note(name, line):
    with open(f"{where}/{name}", "a", encoding="utf-8") as out:
        out.write(line + "\n")


def zone():
    with open(f"{where}/zone", encoding="utf-8") as lines:
        return {w[0]: w[1:] for w in map(str.split, lines) if w}


def read_name(packet):
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("latin-1"))
        at += 1 + packet[at]
    return ".".join(labels).lower(), at + 1


def answers(name, kind):
    found = zone().get(name)
    if found and found[0] == "flip":
        found = found[2:] if (name, kind) in seen else found[1:2]
    seen.add((name, kind))
    family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
    return found is not None, [
        socket.inet_pton(family, a)
        for a in found or []
        if family and (":" in a) == (kind == 28)
    ]


def reply(packet, most):
    name, end = read_name(packet)
    kind = struct.unpack_from("!H", packet, end)[0]
    note("asked", name)
    known, found = answers(name, kind)
    cut = end + 4 + len(found) * (28 if kind == 28 else 16) > most
    if cut:
        found = []
    flags = (0x8180 if known else 0x8183) | (0x200 if cut else 0)
    text = packet[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
    text += packet[12 : end + 4]
    for data in found:
        text += struct.pack("!HHHIH", 0xC00C, kind, 1, 1, len(data)) + data
    return text


class Resolver(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, packet, peer):
        self.transport.sendto(reply(packet, 512), peer)


async def resolve(reader, writer):
    while size := await reader.read(2):
        packet = await reader.readexactly(int.from_bytes(size, "big"))
        text = reply(packet, 65535)
        writer.write(len(text).to_bytes(2, "big") + text)
    writer.close()


async def serve(reader, writer):
    addr, port = writer.get_extra_info("sockname")[:2]
    note("hits", f"{addr} {port} accepted")
    while data := await reader.read(65536):
        note("hits", f"{addr} {port} {data!r}")
        if data.startswith((b"GET ", b"POST ")):
            body = b"served"
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body)
            )
        else:
            writer.write(b"heard")
        await writer.drain()
    writer.close()


async def main():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(
        Resolver, local_addr=("127.0.0.1", 53)
    )
    await asyncio.start_server(resolve, "127.0.0.1", 53)
    for addr in addresses:
        for port in PORTS:
            await asyncio.start_server(serve, addr, port)
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
