"""MQTT 3.1.1 at QoS 0, as much of it as the benchmarks need: a client that waits, and many nodes on one epoll.

`python3 -m doctest tests/bench/mqtt.py` tries the framing.
"""

import json
import select
import socket
import struct
import time

CONNECT, CONNACK, PUBLISH, SUBSCRIBE, SUBACK, PINGREQ = 0x10, 0x20, 0x30, 0x82, 0x90, 0xC0
RETAIN = 1


class Lost(Exception):
    pass


def string(text):
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def packet(kind, body=b""):
    """
    >>> packet(PINGREQ).hex(), packet(PUBLISH, bytes(321))[:3].hex()
    ('c000', '30c102')
    """
    head, left = bytearray([kind]), len(body)
    while True:
        left, low = left >> 7, left & 127
        head.append(low | (128 if left else 0))
        if not left:
            return bytes(head) + body


def connect(client, alive):
    """
    >>> connect("a", 20).hex()
    '100d00044d51545404020014000161'
    """
    return packet(CONNECT, string("MQTT") + struct.pack(">BBH", 4, 2, alive) + string(client))


def subscribe(filters):
    return packet(SUBSCRIBE, struct.pack(">H", 1) + b"".join(string(one) + b"\0" for one in filters))


def publish(topic, payload, retain=False):
    return packet(PUBLISH | RETAIN if retain else PUBLISH, string(topic) + payload)


class Frames:
    """Cuts what has come into packets.

    >>> frames, data = Frames(), publish("a/b", b"x" * 200, True) + packet(PINGREQ)
    >>> [kind for part in (data[:1], data[1:90], data[90:]) for kind, body in frames.feed(part)]
    [49, 192]
    """

    def __init__(self):
        self.data = bytearray()

    def feed(self, data):
        self.data += data
        while True:
            size = shift = 0
            for at in range(1, min(len(self.data), 5)):
                size |= (self.data[at] & 127) << shift
                shift += 7
                if not self.data[at] & 128:
                    break
            else:
                return
            if len(self.data) < at + 1 + size:
                return
            whole = self.data[0], bytes(self.data[at + 1:at + 1 + size])
            del self.data[:at + 1 + size]
            yield whole


def message(kind, body):
    """(topic, payload, kept by the broker)

    >>> message(*next(Frames().feed(publish("a/b", b"{}", True))))
    ('a/b', b'{}', True)
    """
    size, = struct.unpack_from(">H", body)
    return body[2:2 + size].decode(), body[2 + size:], bool(kind & RETAIN)


def dial(port, client, alive):
    """A connected socket."""
    sock = socket.create_connection(("127.0.0.1", port), 20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(connect(client, alive))
    if sock.recv(4)[:2] != bytes([CONNACK, 2]):
        raise Lost("the broker does not let %s in" % client)
    return sock


class Client:
    """Waits for what comes. `next` gives (ns when it was read, topic, payload, kept by the broker)."""

    def __init__(self, port, name, filters):
        self.sock = dial(port, name, 0)
        self.sock.sendall(subscribe(filters))
        self.frames, self.waiting = Frames(), []

    def publish(self, topic, payload, retain=False):
        self.sock.sendall(publish(topic, payload, retain))

    def next(self, timeout):
        """None when nothing comes in time."""
        end = time.monotonic() + timeout
        while not self.waiting:
            left = end - time.monotonic()
            if not select.select([self.sock], [], [], max(left, 0))[0]:
                return None
            data = self.sock.recv(1 << 16)
            at = time.monotonic_ns()
            if not data:
                raise Lost("the broker has closed the connection")
            self.waiting += [(at, *message(kind, body)) for kind, body in self.frames.feed(data) if kind & 0xF0 == PUBLISH]
        return self.waiting.pop(0)

    def close(self):
        self.sock.close()


class Turns:
    """Each of `count` once in a period, evenly."""

    def __init__(self, count, period):
        self.count, self.period = count, period
        self.index, self.next = 0, time.monotonic()

    def due(self, now):
        while self.next <= now:
            yield self.index
            self.index = (self.index + 1) % self.count
            self.next += self.period / self.count


class Node:
    """What a node says, in the envelope of daemon/mqtt/wire.rs."""

    def __init__(self, fleet, name, seat):
        self.name, self.seq = name, 0
        self.prefix = "reeve/%s/" % fleet
        self.head = '{"v":1,"fleet":"%s","node":"%s","seat":%d,"boot":1,"seq":' % (fleet, name, seat)

    def topic(self, what):
        return "%sn/%s/%s" % (self.prefix, self.name, what)

    def envelope(self, say):
        """`say` is JSON already."""
        self.seq += 1
        return ('%s%d,"say":%s}' % (self.head, self.seq, say)).encode()


class Swarm:
    """Nodes that do what those of a fleet do at rest: report at the interval that the leader's beacon tells, evenly spread;
    speak to themselves each 15 s; ping each 20 s (daemon/core/src/fleet/machine/mod.rs, daemon/app/fleet.rs)."""

    ECHO, ALIVE = 15.0, 20
    COUNTERS = ["$SYS/broker/messages/" + way for way in ("received", "sent")]

    def __init__(self, port, fleet, count, connections, report):
        self.nodes = [Node(fleet, "sim-%05d" % index, index + 1) for index in range(count)]
        self.report, self.poll = report, select.epoll()
        self.socks, self.by_fd, self.frames = [], {}, Frames()
        self.interval, self.known, self.counters = 2.0, 0, {}
        self.reports, self.echoes = Turns(count, self.interval), Turns(count, self.ECHO)
        self.pings, self.sent = Turns(connections, self.ALIVE), {"report": 0, "echo": 0}
        for index in range(connections):
            own = self.nodes[index::connections]
            sock = dial(port, "swarm-%d" % index, self.ALIVE)
            # What a real one reads; in parts, as a node that shares its connection has many to read.
            topics = [own[0].prefix + "lead/+"] + [node.topic("rx/+") for node in own] + ([] if index else self.COUNTERS)
            for at in range(0, len(topics), 200):
                sock.sendall(subscribe(topics[at:at + 200]))
            self.socks.append(sock)
            self.by_fd[sock.fileno()] = sock
            self.poll.register(sock.fileno(), select.EPOLLIN)
            for node in own:
                sock.sendall(publish(node.topic("up"), node.envelope('{"kind":"here"}'), True))
            if index % 50 == 0:
                self.read(0)
        # The clock begins when all are there.
        for turns in (self.reports, self.echoes, self.pings):
            turns.next = time.monotonic()

    def sock_of(self, index):
        return self.socks[index % len(self.socks)]

    def run(self, seconds, done=lambda: False):
        """Lives for so long, or until it is done."""
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            if now >= end or done():
                return
            for index in self.reports.due(now):
                node = self.nodes[index]
                # The queue of one worker moves.
                payload = node.envelope('{"kind":"report","report":%s}' % self.report.replace("QUEUE", str(node.seq % 50)))
                self.sock_of(index).sendall(publish(node.topic("rep"), payload, True))
                self.sent["report"] += 1
            for index in self.echoes.due(now):
                node = self.nodes[index]
                payload = node.envelope('{"kind":"echo","nonce":%d}' % node.seq)
                self.sock_of(index).sendall(publish(node.topic("rx/" + node.name), payload))
                self.sent["echo"] += 1
            for index in self.pings.due(now):
                self.socks[index].sendall(packet(PINGREQ))
            self.read(min(self.reports.next, self.echoes.next, self.pings.next, end) - time.monotonic())

    def read(self, timeout):
        for fd, _ in self.poll.poll(max(timeout, 0), 512):
            sock = self.by_fd[fd]
            data = sock.recv(1 << 16)
            if not data:
                raise Lost("the broker has closed a connection of the swarm")
            if sock is self.socks[0]:
                self.hear(data)

    def hear(self, data):
        """All are told; the first one listens for them: to the beacon, and to what the broker counts."""
        for kind, body in self.frames.feed(data):
            if kind & 0xF0 == PUBLISH:
                topic, payload, kept = message(kind, body)
                if topic in self.COUNTERS:
                    self.counters[topic.rsplit("/", 1)[1]] = time.monotonic(), int(payload)
                elif "/lead/" in topic and not kept:
                    beacon = json.loads(payload)["say"]
                    self.known, self.interval = beacon["nodes"], beacon["interval_ms"] / 1000
                    self.reports.period = self.interval

    def close(self):
        self.poll.close()
        for sock in self.socks:
            sock.close()
