"""As much D-Bus as it takes to start and stop many units, 64 calls in flight, and to be handed a descriptor."""

import array
import os
import socket
import struct
import threading

ADDRESS = "/run/dbus/system_bus_socket"
IN_FLIGHT = 64
SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")


class BusError(Exception):
    pass


class Follower:
    """Hears all that PID 1 says of units and of the ends of jobs, and does nothing with it."""

    def __init__(self):
        self.bus = Bus()
        self.bus.socket.settimeout(None)
        unit = "path_namespace='/org/freedesktop/systemd1/unit',interface='org.freedesktop.DBus.Properties'"
        manager = "interface='org.freedesktop.systemd1.Manager'"
        bus = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s")
        errors = self.bus.call_all([bus + (("type='signal',sender='%s',%s" % (SYSTEMD[0], rule),),) for rule in (
            unit, manager + ",member='JobRemoved'", manager + ",member='UnitRemoved'")])
        errors += self.bus.systemd([("Subscribe", "", ())])
        if errors:
            raise BusError("cannot follow: %s" % errors[0])
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        try:
            while True:
                self.bus.receive()
        except (OSError, BusError):
            pass

    def close(self):
        self.bus.socket.shutdown(socket.SHUT_RDWR)
        self.bus.close()


class Writer:
    def __init__(self):
        self.data = bytearray()

    def align(self, size):
        self.data += b"\0" * (-len(self.data) % size)

    def put(self, signature, value):
        """One value of a single complete type."""
        kind = signature[0]
        if kind == "y":
            self.data.append(value)
        elif kind in "ubi":
            self.align(4)
            self.data += struct.pack("<i" if kind == "i" else "<I", value)
        elif kind == "t":
            self.align(8)
            self.data += struct.pack("<Q", value)
        elif kind in "so":
            text = value.encode()
            self.align(4)
            self.data += struct.pack("<I", len(text)) + text + b"\0"
        elif kind == "g":
            self.data += bytes([len(value)]) + value.encode() + b"\0"
        elif kind == "v":
            self.put("g", value[0])
            self.put(value[0], value[1])
        elif kind == "a":
            self.align(4)
            at = len(self.data)
            self.data += b"\0\0\0\0"
            self.align(8 if signature[1] in "(t{" else 4 if signature[1] in "ubisoa" else 1)
            begin = len(self.data)
            for item in value:
                self.put(signature[1:], item)
            struct.pack_into("<I", self.data, at, len(self.data) - begin)
        elif kind == "(":
            self.align(8)
            inner, at = signature[1:-1], 0
            for item in value:
                end = complete(inner, at)
                self.put(inner[at:end], item)
                at = end
        else:
            raise ValueError(signature)


def complete(signature, at):
    """Where the complete type that begins at `at` ends."""
    while signature[at] == "a":
        at += 1
    depth = 0
    while True:
        depth += (signature[at] in "({") - (signature[at] in ")}")
        at += 1
        if depth == 0:
            return at


class Bus:
    def __init__(self, address=ADDRESS):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(address)
        self.buffer = b""
        self.serial = 0
        self.descriptors = array.array("i")  # that came with replies
        uid = str(os.getuid()).encode().hex()
        self.ask(b"\0AUTH EXTERNAL " + uid.encode(), b"OK")
        self.ask(b"NEGOTIATE_UNIX_FD", b"AGREE_UNIX_FD")
        self.socket.sendall(b"BEGIN\r\n")
        self.call_all([("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", "", ())])

    def ask(self, line, wanted):
        self.socket.sendall(line + b"\r\n")
        answer = b""
        while b"\r\n" not in answer:
            answer += self.socket.recv(4096)
        if not answer.startswith(wanted):
            raise BusError("not let in: %r" % answer)

    def close(self):
        self.socket.close()

    def systemd(self, calls):
        """[(method, signature, arguments)] → the errors."""
        return self.call_all([SYSTEMD + call for call in calls])

    def call_all(self, calls):
        waiting, errors, calls = set(), [], list(calls)[::-1]
        while calls or waiting:
            while calls and len(waiting) < IN_FLIGHT:
                waiting.add(self.send(*calls.pop()))
            kind, reply_to, error = self.receive()
            if kind in (2, 3) and reply_to in waiting:
                waiting.discard(reply_to)
                if kind == 3:
                    errors.append(error)
        return errors

    def send(self, destination, path, interface, member, signature, arguments):
        self.serial += 1
        body = Writer()
        at = 0
        for argument in arguments:
            end = complete(signature, at)
            body.put(signature[at:end], argument)
            at = end
        head = Writer()
        head.data += b"l\1\0\1" + struct.pack("<II", len(body.data), self.serial)
        fields = [(1, ("o", path)), (2, ("s", interface)), (3, ("s", member)), (6, ("s", destination))]
        if signature:
            fields.append((8, ("g", signature)))
        head.put("a(yv)", fields)
        head.align(8)
        self.socket.sendall(bytes(head.data + body.data))
        return self.serial

    def take(self, size):
        while len(self.buffer) < size:
            part, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(4))
            if not part:
                raise BusError("the bus closed the connection")
            self.buffer += part
            for _, _, data in ancillary:
                self.descriptors.frombytes(data[:len(data) - len(data) % 4])
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def receive(self):
        """(kind, serial replied to, error name)"""
        start = self.take(16)
        body, _serial, fields = struct.unpack_from("<III", start, 4)
        data = self.take(fields + (-fields % 8) + body)[:fields]
        reply_to, error, at = None, None, 0
        while at < fields:
            at += -at % 8
            code, length = data[at], data[at + 1]
            kind = data[at + 2:at + 2 + length]
            at += 3 + length
            if kind == b"u":
                at += -at % 4
                value = struct.unpack_from("<I", data, at)[0]
                at += 4
            elif kind == b"g":
                value = data[at + 1:at + 1 + data[at]]
                at += 2 + data[at]
            else:
                at += -at % 4
                size = struct.unpack_from("<I", data, at)[0]
                value = data[at + 4:at + 4 + size]
                at += 5 + size
            if code == 5:
                reply_to = value
            elif code == 4:
                error = value.decode()
        return start[1], reply_to, error
