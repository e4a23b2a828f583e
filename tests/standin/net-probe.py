#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What somebody tries who wants out.  Each argument is an attempt, and each
prints one line: the attempt and what came of it.

say:HOST:PORT:TEXT      connects, says it (\\r\\n, \\xNN escapes), prints the answer
tls:HOST:PORT:SNI       the same with a ClientHello; SNI "-": without a name
ech:HOST:PORT:SNI       the same, with another name hidden in it
dns:NAME:TYPE           a question in wire form; NAME may hold escapes
udp:HOST:PORT           a datagram
sock:FAMILY:TYPE:PROTO  makes a socket
mptcp:HOST:PORT         connects by MPTCP
devices                 the network interfaces
ping:TYPE:HOST          an ICMP echo, by a socket of that type (2, 3: raw)
sctp:HOST:PORT          connects by SCTP
vsock:PORT              connects to the host by vsock
packet                  listens to a device's packets
addresses:ADDRESS       is it one of the machine's, by netlink
unix:TYPE:PATH          a word to a unix socket ("@NAME": abstract), its answer
"""

import errno
import os
import socket
import ssl
import struct
import sys


def unescape(text):
    return text.encode().decode("unicode_escape").encode("latin-1")


def split(rest, count):
    """HOST:PORT:..., where an IPv6 HOST is in brackets."""
    if rest.startswith("["):
        host, rest = rest[1:].split("]:", 1)
        return [host] + rest.split(":", count - 2)
    return rest.split(":", count - 1)


def talk(host, port, words):
    with socket.create_connection((host, int(port)), 30) as s:
        answer = b""
        for word in words:
            s.sendall(word)
            got = s.recv(65536)
            answer += got
            if not got:
                break
        return answer.decode("latin-1").replace("\r\n", " ").strip() or "closed"


def say(rest):
    host, port, text = split(rest, 3)
    return talk(host, port, [unescape(t) for t in text.split("|")])


def client_hello(name):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = context.wrap_bio(
        incoming, outgoing, server_hostname=None if name == "-" else name
    )
    try:
        hello.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def tls(rest):
    host, port, name = split(rest, 3)
    return talk(host, port, [client_hello(name)])


def with_extension(record, kind, data):
    """Of a hello in one record: its three lengths around it grow."""
    hello = bytearray(record[9:])
    at = 34
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at]
    hello += struct.pack("!HH", kind, len(data)) + data
    struct.pack_into("!H", hello, at, len(hello) - at - 2)
    message = b"\1" + len(hello).to_bytes(3, "big") + hello
    return record[:3] + struct.pack("!H", len(message)) + message


def ech(rest):
    host, port, name = split(rest, 3)
    # Outer; HKDF-SHA256 and AES-128-GCM; a key and a hello, sealed.
    data = b"\0" + struct.pack("!HHBH", 1, 1, 7, 32) + b"k" * 32
    data += struct.pack("!H", 128) + b"s" * 128
    return talk(host, port, [with_extension(client_hello(name), 0xFE0D, data)])


def dns(rest):
    name, kind = split(rest, 2)
    packet = b"\x12\x34\1\0\0\1\0\0\0\0\0\0"
    for label in unescape(name).split(b"."):
        packet += bytes([len(label)]) + label
    packet += b"\0" + struct.pack("!HH", int(kind), 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.connect(("198.18.0.1", 53))
        s.send(packet)
        answer = s.recv(4096)
    count = struct.unpack_from("!H", answer, 6)[0]
    address = socket.inet_ntoa(answer[-4:]) if count else "none"
    return f"rcode {answer[3] & 15} {address}"


def udp(rest):
    host, port = split(rest, 2)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.connect((host, int(port)))
        s.send(b"x")
        return s.recv(100).decode()


def sock(rest):
    family, kind, proto = map(int, split(rest, 3))
    with socket.socket(family, kind, proto):
        return "made"


def mptcp(rest):
    host, port = split(rest, 2)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) as s:
        s.settimeout(30)
        s.connect((host, int(port)))
        s.sendall(b"\x01x")
        return s.recv(100).decode() or "closed"


def devices(_):
    return " ".join(name for _, name in socket.if_nameindex())


def ping(rest):
    kind, host = split(rest, 2)
    with socket.socket(socket.AF_INET, int(kind), socket.IPPROTO_ICMP) as s:
        s.settimeout(20)
        s.connect((host, 0))
        s.send(b"\x08\0\xf7\xff\0\0\0\0")
        s.recv(100)
        return "answered"


def sctp(rest):
    host, port = split(rest, 2)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132) as s:
        s.settimeout(30)
        s.connect((host, int(port)))
        return "connected"


def vsock(rest):
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
        s.settimeout(20)
        s.connect((socket.VMADDR_CID_HOST, int(rest)))
        return "connected"


def packet(_):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as s:
        s.bind(("lo", 0))
        return "listening"


def addresses(rest):
    request = struct.pack("=LHHLL", 24, 22, 0x301, 1, 0) + bytes([2]) + bytes(7)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
        s.send(request)
        return "seen" if socket.inet_aton(rest) in s.recv(65536) else "unseen"


def unix(rest):
    kind, path = split(rest, 2)
    with socket.socket(socket.AF_UNIX, int(kind)) as s:
        s.settimeout(20)
        s.bind("")  # a name of our own, to be answered at
        s.connect(path.replace("@", "\0"))
        s.send(b"x")
        return s.recv(100).decode()


def name_of(error):
    if isinstance(error, socket.gaierror):
        return {socket.EAI_AGAIN: "EAI_AGAIN"}.get(error.errno, str(error))
    if isinstance(error, TimeoutError):
        return "ETIMEDOUT"
    return errno.errorcode.get(error.errno, str(error))


for attempt in sys.argv[1:]:
    kind, _, rest = attempt.partition(":")
    try:
        result = globals()[kind](rest)
    except OSError as error:
        result = name_of(error)
    print(f"{attempt.splitlines()[0]} -> {result}", flush=True)
os._exit(0)
