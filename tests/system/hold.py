"""Takes a hold as any client may, says so, and keeps it until it is killed or the hold is over.

Just enough D-Bus to call one method that answers with a descriptor: the machine has no library for it."""

import array
import os
import socket
import struct
import sys


def text(data, value):
    data += b"\0" * (-len(data) % 4)
    data += struct.pack("<I", len(value)) + value.encode() + b"\0"


def call(bus, serial, destination, path, interface, member, signature, body):
    head = bytearray(b"l\1\0\1" + struct.pack("<II", len(body), serial) + b"\0\0\0\0")
    for code, kind, value in ((1, "o", path), (2, "s", interface), (3, "s", member), (6, "s", destination), (8, "g", signature)):
        if not value:
            continue
        head += b"\0" * (-len(head) % 8) + bytes([code, 1]) + kind.encode() + b"\0"
        if kind == "g":
            head += bytes([len(value)]) + value.encode() + b"\0"
        else:
            text(head, value)
    struct.pack_into("<I", head, 12, len(head) - 16)
    bus.sendall(bytes(head) + b"\0" * (-len(head) % 8) + bytes(body))


bus = socket.socket(socket.AF_UNIX)
bus.connect("/run/dbus/system_bus_socket")
bus.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
assert bus.recv(512).startswith(b"OK")
bus.sendall(b"NEGOTIATE_UNIX_FD\r\n")
assert bus.recv(512).startswith(b"AGREE_UNIX_FD")
bus.sendall(b"BEGIN\r\n")
call(bus, 1, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", "", b"")
body = bytearray()
text(body, sys.argv[1])
text(body, sys.argv[2])
body += b"\0" * (-len(body) % 4) + struct.pack("<I", 0)  # no options
body += b"\0" * (-len(body) % 8)
call(bus, 2, "org.reeve.Node1", "/org/reeve/Node1", "org.reeve.Node1.Manager", "Hold", "ssa{sv}", body)
held = array.array("i")
while not held:
    data, ancillary, _, _ = bus.recvmsg(65536, socket.CMSG_SPACE(4))
    if not data:
        sys.exit("the bus closed the connection")
    if b"org.reeve.Error" in data or b"org.freedesktop.DBus.Error" in data:
        sys.exit("refused: %r" % data)
    for _, _, fds in ancillary:
        held.frombytes(fds[:4])
print("held", flush=True)
# Ends when reeved has closed its end, and so has whoever kept it.
os.read(held[0], 1)
print("over", flush=True)
