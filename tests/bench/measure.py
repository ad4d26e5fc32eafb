"""What is measured, and from where: stamps of the workers, /proc of the supervisor."""

import glob
import math
import os
import select
import signal
import socket
import struct
import threading
import time

STAMP = struct.Struct("=IIQ")
LIVED = 1.2  # seconds a victim must have lived: several supervisors slow down for one that dies at once


class TimedOut(Exception):
    pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Stamps:
    """Receives the datagrams of one supervisor's workers. `latest` maps the index to (pid, ns at main())."""

    def __init__(self, path):
        self.path = path
        self.latest = {}
        self.fresh = threading.Condition()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()

    def receive(self):
        while True:
            try:
                data = self.socket.recv(64)
            except OSError:
                return
            if len(data) != STAMP.size:
                return
            index, pid, ns = STAMP.unpack(data)
            with self.fresh:
                known = self.latest.get(index)
                if known is None or known[1] < ns:
                    self.latest[index] = (pid, ns)
                self.fresh.notify_all()

    def close(self):
        waker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        waker.sendto(b"end", self.path)
        waker.close()
        self.thread.join(5)
        self.socket.close()
        os.unlink(self.path)

    def wait(self, indexes, after, timeout):
        """ns of the newest stamp once every index has one later than `after`."""
        end = time.monotonic() + timeout
        missing = set(indexes)
        with self.fresh:
            while True:
                missing = {i for i in missing if self.latest.get(i, (0, 0))[1] <= after}
                if not missing:
                    return max(self.latest[i][1] for i in indexes)
                left = end - time.monotonic()
                if left <= 0:
                    raise TimedOut("%d of %d workers did not come within %.0f s" % (len(missing), len(indexes), timeout))
                self.fresh.wait(left)

    def pids(self):
        with self.fresh:
            return {pid for pid, _ in self.latest.values()}

    def victim(self, wanted):
        """(index, pid) of a worker that lived long enough, the one after `wanted` first."""
        now = time.monotonic_ns()
        with self.fresh:
            size = len(self.latest)
            for step in range(size):
                index = (wanted + step) % size + 1
                pid, ns = self.latest.get(index, (0, now))
                if now - ns >= LIVED * 1e9:
                    return index, pid
        return None


def kill(pid):
    """ns at which SIGKILL was sent."""
    at = time.monotonic_ns()
    os.kill(pid, signal.SIGKILL)
    return at


def kill_all(stamps):
    """ns before the first, once every worker was sent SIGKILL."""
    pids = sorted(stamps.pids())
    at = time.monotonic_ns()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return at


class Ends:
    """Tells when processes that are not our children have all ended."""

    def __init__(self, pids):
        self.poll = select.epoll()
        self.open = set()
        for pid in pids:
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            self.poll.register(fd, select.EPOLLIN)
            self.open.add(fd)

    def wait(self, timeout):
        """ns at which the last one was seen to have ended."""
        end = time.monotonic() + timeout
        try:
            while self.open:
                left = end - time.monotonic()
                if left <= 0:
                    raise TimedOut("%d workers still run after %.0f s" % (len(self.open), timeout))
                for fd, _ in self.poll.poll(left, 256):
                    self.poll.unregister(fd)
                    os.close(fd)
                    self.open.discard(fd)
            return time.monotonic_ns()
        finally:
            for fd in self.open:
                os.close(fd)
            self.open.clear()
            self.poll.close()


# -- the supervisor's own cost -----------------------------------------------------------------------------------------

def family(roots, workers):
    """The roots and everything below them that is neither a worker nor below one."""
    children = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                text = file.read()
        except OSError:
            continue
        pid = int(text.split(" ", 1)[0])
        parent = int(text[text.rindex(")") + 2:].split()[1])
        children.setdefault(parent, []).append(pid)
    found, todo = set(), [pid for pid in roots if os.path.exists("/proc/%d" % pid)]
    while todo:
        pid = todo.pop()
        if pid not in workers and pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def pss(pids):
    """(PSS, RSS) in MiB."""
    total = {"Pss:": 0, "Rss:": 0}
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid) as file:
                for line in file:
                    key, *rest = line.split()
                    if key in total:
                        total[key] += int(rest[0])
        except OSError:
            continue
    return total["Pss:"] / 1024, total["Rss:"] / 1024


def cpu(pids):
    """{pid: (ns on a CPU by schedstat over all threads, ns by utime + stime)}"""
    tick = 1e9 / os.sysconf("SC_CLK_TCK")
    used = {}
    for pid in pids:
        try:
            exact = 0
            for path in glob.glob("/proc/%d/task/*/schedstat" % pid):
                with open(path) as file:
                    exact += int(file.read().split()[0])
            with open("/proc/%d/stat" % pid) as file:
                text = file.read()
            fields = text[text.rindex(")") + 2:].split()
            used[pid] = (exact, (int(fields[11]) + int(fields[12])) * tick)
        except (OSError, ValueError, IndexError):
            continue
    return used


def cpu_per_minute(before, after, seconds):
    """ms of CPU in a minute: (schedstat, utime + stime). The second is coarse: a tick is 10 ms."""
    scale = 60 / seconds / 1e6
    spent = [0, 0]
    for pid, now in after.items():
        then = before.get(pid, (0, 0))
        for i in (0, 1):
            spent[i] += (now[i] - then[i]) * scale
    return spent


def percentile(values, share):
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def median(values):
    return percentile(values, 0.5)
