"""What every agent of this example leans on, in the standard library alone.

    Notifier    tells the supervisor how we are (sd_notify on $NOTIFY_SOCKET)
    Statsd      sends numbers (DogStatsD on $STATSD_SOCKET)
    Signals     turns signals into flags, and wakes the loop
    Server      a small HTTP server on TCP and unix sockets, one turn at a time
    call()      one HTTP request to a unix socket
    save_file() whole or not at all, also across a power cut

An agent is one thread and one loop: its health is answered by the loop that does the work, so a stuck agent cannot
look healthy. Imports are kept few because a restart is only as quick as the interpreter's start.
"""

import json
import os
import selectors
import signal
import socket
import time

HEAD_LIMIT = 16 * 1024
BODY_LIMIT = 16 * 1024 * 1024
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 409: "Conflict", 413: "Payload Too Large",
           500: "Internal Server Error", 503: "Service Unavailable"}


def options(argv, known):
    """`--name value` pairs for the names in `known` (name → default); anything else is a usage error (exit 64)."""
    values = dict(known)
    words = iter(argv[1:])
    for word in words:
        name = word[2:]
        if not word.startswith("--") or name not in known:
            usage(argv[0], known, "unknown option %r" % word)
        value = next(words, None)
        if value is None:
            usage(argv[0], known, "%s needs a value" % word)
        values[name] = value
    missing = [name for name, value in values.items() if value is None]
    if missing:
        usage(argv[0], known, "--%s is needed" % missing[0])
    return values


def usage(program, known, mistake):
    shown = " ".join("--%s VALUE" % n if d is None else "[--%s %s]" % (n, d or "VALUE") for n, d in known.items())
    raise SystemExit(complain(64, "%s\nusage: %s %s" % (mistake, os.path.basename(program), shown)))


def complain(status, message):
    """Says why on stderr, which is what ends up in the exit record, and returns the status to exit with."""
    os.write(2, (message + "\n").encode())
    return status


class Notifier:
    """sd_notify. Silent when nobody listens; never blocks and never fails the agent."""

    def __init__(self, environ=os.environ):
        self.address = environ.get("NOTIFY_SOCKET", "")
        self.socket = None
        usec = environ.get("WATCHDOG_USEC", "")
        self.interval = int(usec) / 3e6 if usec.isdigit() and int(usec) else 5.0
        self.told_status = None
        self.told_progress = None
        self.next_beat = 0.0
        self.next_progress = 0.0

    def send(self, **fields):
        if not self.address:
            return
        text = "\n".join("%s=%s" % pair for pair in fields.items())
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            if self.socket is None:
                self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self.socket.setblocking(False)
            self.socket.sendto(text.encode(), address)
        except OSError:
            pass  # the supervisor is restarting; what matters is said again with the next beat

    def close(self):
        if self.socket is not None:
            self.socket.close()

    def beat(self, status, progress, now):
        """Called once a turn: says what changed, and that we are alive, no more often than is useful."""
        fields = {}
        if now >= self.next_beat:
            fields["WATCHDOG"] = "1"
        if progress != self.told_progress and now >= self.next_progress:
            fields["X_REEVE_PROGRESS"] = progress
            fields["WATCHDOG"] = "1"
        if status != self.told_status and (fields or now >= self.next_progress):
            fields["STATUS"] = status
        if not fields:
            return
        if "WATCHDOG" in fields:
            self.next_beat = now + self.interval
        self.next_progress = now + 0.2
        self.told_progress = fields.get("X_REEVE_PROGRESS", self.told_progress)
        self.told_status = fields.get("STATUS", self.told_status)
        self.send(**fields)


class Statsd:
    """DogStatsD datagrams, `name:value|type|#tag:value`. Silent when nobody listens; never blocks and never fails."""

    def __init__(self, environ=os.environ):
        self.address = environ.get("STATSD_SOCKET", "")
        self.socket = None

    def send(self, *lines):
        if not self.address:
            return
        try:
            if self.socket is None:
                self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self.socket.setblocking(False)
            self.socket.sendto("\n".join(lines).encode(), self.address)
        except OSError:
            pass  # numbers are worth less than the work

    def close(self):
        if self.socket is not None:
            self.socket.close()


class Signals:
    """SIGTERM and SIGINT set `stop`, SIGUSR1 sets `drain`; `wake` becomes readable so that a sleeping loop notices."""

    def __init__(self):
        self.stop = False
        self.drain = False
        self.wake, self.bell = socket.socketpair()
        self.wake.setblocking(False)
        self.bell.setblocking(False)
        signal.set_wakeup_fd(self.bell.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self.arrived)

    def arrived(self, number, _frame):
        if number == signal.SIGUSR1:
            self.drain = True
        else:
            self.stop = True


class Connection:
    def __init__(self, sock, handler, now):
        self.sock = sock
        self.handler = handler
        self.received = bytearray()
        self.answer = b""
        self.until = now + 5.0


class Server:
    """HTTP/1.1, one request a connection. `turn(timeout)` does what is ready and returns."""

    def __init__(self, signals):
        self.selector = selectors.DefaultSelector()
        self.selector.register(signals.wake, selectors.EVENT_READ, None)
        self.wake = signals.wake
        self.open = set()

    def listen_tcp(self, port, handler):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        self.listen(sock, handler)
        return sock.getsockname()[1]

    def listen_unix(self, path, handler):
        """The caller holds the lock that says no other process serves here, so a socket left behind is stale."""
        if os.path.lexists(path):
            os.unlink(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(path)
        os.chmod(path, 0o600)
        self.listen(sock, handler)

    def listen(self, sock, handler):
        sock.setblocking(False)
        sock.listen(64)
        self.selector.register(sock, selectors.EVENT_READ, handler)

    def turn(self, timeout):
        for key, _mask in self.selector.select(timeout):
            if key.fileobj is self.wake:
                self.drain_bell()
            elif isinstance(key.data, Connection):
                self.advance(key.data)
            else:
                self.accept(key.fileobj, key.data)
        if self.open:
            now = time.monotonic()
            for connection in [c for c in self.open if c.until < now]:
                self.close(connection)

    def drain_bell(self):
        try:
            while self.wake.recv(64):
                pass
        except BlockingIOError:
            pass

    def accept(self, listener, handler):
        try:
            sock, _peer = listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        connection = Connection(sock, handler, time.monotonic())
        self.open.add(connection)
        self.selector.register(sock, selectors.EVENT_READ, connection)

    def advance(self, connection):
        try:
            if not connection.answer:
                part = connection.sock.recv(65536)
                if not part:
                    return self.close(connection)
                connection.received += part
                connection.answer = self.answer(connection)
                if not connection.answer:
                    return None
            sent = connection.sock.send(connection.answer)
            connection.answer = connection.answer[sent:]
            if not connection.answer:
                return self.close(connection)
            self.selector.modify(connection.sock, selectors.EVENT_WRITE, connection)
        except BlockingIOError:
            self.selector.modify(connection.sock, selectors.EVENT_WRITE, connection)
        except OSError:
            self.close(connection)
        return None

    def answer(self, connection):
        """Bytes to send, or nothing while the request is not complete."""
        head, end, body = bytes(connection.received).partition(b"\r\n\r\n")
        if not end:
            return response(413, "request head too long\n") if len(head) > HEAD_LIMIT else b""
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3:
            return response(400, "not HTTP\n")
        length = 0
        for line in lines[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                if not value.strip().isdigit():
                    return response(400, "bad length\n")
                length = int(value)
        if length > BODY_LIMIT:
            return response(413, "body too long\n")
        if len(body) < length:
            return b""
        return response(*connection.handler(words[0], words[1], body[:length]))

    def close(self, connection):
        if connection in self.open:
            self.open.discard(connection)
            self.selector.unregister(connection.sock)
            connection.sock.close()


def response(status, body):
    """`body` is text, or anything else to be sent as JSON."""
    kind = "text/plain; charset=utf-8"
    if not isinstance(body, str):
        kind, body = "application/json", json.dumps(body)
    data = body.encode()
    head = "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return (head % (status, REASONS[status], kind, len(data))).encode() + data


def call(path, method, target, message=None, timeout=2.0):
    """(status, parsed JSON) from the server on the unix socket `path`. Raises OSError when it cannot be had."""
    body = b"" if message is None else json.dumps(message).encode()
    head = "%s %s HTTP/1.1\r\nHost: local\r\nContent-Length: %d\r\n\r\n" % (method, target, len(body))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect(path)
        sock.sendall(head.encode() + body)
        return read_response(sock)


def read_response(sock):
    received = bytearray()
    while True:
        part = sock.recv(65536)
        if not part:
            break
        received += part
    head, end, body = bytes(received).partition(b"\r\n\r\n")
    length = -1
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length" and value.strip().isdigit():
            length = int(value)
    if not end or len(body) != length:
        raise ConnectionResetError("the answer was cut short")
    text = body.decode()
    is_json = b"application/json" in head
    return int(head.split(b" ", 2)[1]), json.loads(text) if is_json else text


def metrics(lines):
    """Prometheus text from (name, kind, help, value)."""
    form = "# HELP {0} {2}\n# TYPE {0} {1}\n{0} {3}\n"
    return "".join(form.format(*line) for line in lines)


def save_file(path, data, scratch=None):
    """Replaces `path` with `data` (bytes) so that a reader, or a power cut, sees the old or the new file, whole.
    `scratch` names the temporary file: it must lie on the same filesystem."""
    folder = os.path.dirname(path) or "."
    scratch = scratch or os.path.join(folder, ".%s.new" % os.path.basename(path))
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(scratch, path)
    sync_folder(folder)


def write_all(descriptor, data):
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view):]


def sync_folder(folder):
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
