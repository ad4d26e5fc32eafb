"""What the fleet benchmark runs: mosquitto, three reeved, three etcd, each on free ports of the loopback."""

import base64
import ctypes
import http.client
import json
import os
import pwd
import random
import resource
import shutil
import signal
import subprocess
import time

import mqtt

FLEET = "bench"
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
PR_SET_PDEATHSIG = 1
PATIENCE = 60


class Failed(Exception):
    pass


class Child:
    """A process that ends with this one, however that ends."""

    def __init__(self, place, name, command):
        self.name, self.log = name, os.path.join(place.folder, name + ".log")
        libc, limit = ctypes.CDLL(None), place.limit

        def before():
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, cwd=place.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={"PATH": PATH, "LANG": "C"}, start_new_session=True, preexec_fn=before)
        self.pid = self.process.pid
        place.stack.callback(self.end)

    def kill(self):
        """ns at which SIGKILL was sent."""
        at = time.monotonic_ns()
        self.process.kill()
        self.process.wait()
        return at

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()

    def last_words(self):
        with open(self.log, errors="replace") as file:
            return "".join("; " + line.strip() for line in file.readlines()[-3:])


class Broker(Child):
    """mosquitto as it comes, but for what a fleet asks of it and counters each second."""

    def __init__(self, place):
        self.port = place.free_port()
        name = "mosquitto-%d" % self.port
        path = os.path.join(place.folder, name + ".conf")
        with open(path, "w") as file:
            # One that takes another user loses the signal that ends it with its parent.
            file.write("user %s\nlistener %d 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nsys_interval 1\n" % (
                pwd.getpwuid(os.getuid()).pw_name, self.port))
        super().__init__(place, name, [shutil.which("mosquitto", path=PATH), "-c", path])
        end = time.monotonic() + 10
        while True:
            try:
                mqtt.Client(self.port, "knock", ["knock"]).close()
                return
            except OSError:
                if time.monotonic() > end:
                    raise Failed("mosquitto does not start%s" % self.last_words()) from None
                time.sleep(0.02)


class Voters:
    """Three reeved, and one who listens to what their broker is told."""

    NAMES = ["n1", "n2", "n3"]

    def __init__(self, place, preset):
        self.place, self.preset, self.broker = place, preset, Broker(place)
        topics = ["lead/+"] + ["n/%s/up" % name for name in self.NAMES]
        self.listener = mqtt.Client(self.broker.port, "listener", ["reeve/%s/%s" % (FLEET, topic) for topic in topics])
        place.stack.callback(self.listener.close)
        self.folder = os.path.join(place.folder, "voters-%d" % self.broker.port)
        self.children, self.term, self.leader, self.here = {}, 0, None, set()
        for name in self.NAMES:
            self.configure(name)
            self.start(name)
        self.lead()
        self.settle()

    def root(self, name):
        return os.path.join(self.folder, name)

    def configure(self, name):
        etc = os.path.join(self.root(name), "etc/reeve")
        os.makedirs(etc)
        with open(os.path.join(etc, "reeve.toml"), "w") as file:
            file.write("""[node]
name = "%s"
[metrics]
listen = "127.0.0.1:%d"
[fleet]
name = "%s"
voters = %s
brokers = ["mqtt://127.0.0.1:%d"]
preset = "%s"
""" % (name, self.place.free_port(), FLEET, json.dumps(self.NAMES), self.broker.port, self.preset))

    def start(self, name):
        command = [os.path.join(self.place.reeved, "reeved"), "--root", self.root(name), "--launcher", "direct",
                   "--log", "warn"]
        self.here.discard(name)
        self.children[name] = Child(self.place, "%s-%d" % (name, self.broker.port), command)

    def hear(self, timeout):
        """The next beacon of a higher term as ns, or None. A kept one is of nobody knows when."""
        end = time.monotonic() + timeout
        while True:
            heard = self.listener.next(max(end - time.monotonic(), 0))
            if not heard:
                return None
            at, topic, payload, kept = heard
            say = json.loads(payload)["say"]
            if kept:
                continue
            if say["kind"] == "here":
                self.here.add(topic.split("/")[-2])
            elif say["kind"] == "beacon" and say["term"] > self.term:
                self.term, self.leader = say["term"], topic.split("/")[-1]
                return at

    def lead(self):
        """ns at which a new leader was heard."""
        at = self.hear(PATIENCE)
        if at is None:
            words = ["%s%s" % (child.name, child.last_words()) for child in self.children.values()]
            raise Failed("no leader within %d s: %s" % (PATIENCE, ", ".join(words)))
        return at

    def settle(self):
        """Until all are there, and have heard the leader for a while."""
        end = time.monotonic() + PATIENCE
        while not self.here.issuperset(self.NAMES):
            self.hear(0.1)
            if time.monotonic() > end:
                raise Failed("%s do not come back" % ", ".join(set(self.NAMES) - self.here))
        # A second of beats, and then any moment between two of them.
        quiet = time.monotonic() + 1.5 + random.random()
        while time.monotonic() < quiet:
            self.hear(quiet - time.monotonic())

    def kill(self):
        """ms from SIGKILL of the leader until another says that it leads: it does so once it holds its lease and a majority
        has its document on their disks."""
        self.settle()
        victim = self.leader
        at = self.children[victim].kill()
        ms = (self.lead() - at) / 1e6
        if self.leader == victim:
            raise Failed("%s leads after it was killed" % victim)
        self.start(victim)
        return ms

    def hand_over(self):
        """ms from the command to the beacon of another, and whether the command was told that it is done."""
        self.settle()
        command = [os.path.join(self.place.reeved, "reevectl"), "--root", self.root(self.leader), "fleet", "handover",
                   "--reason", "benchmark"]
        at = time.monotonic_ns()
        child = Child(self.place, "handover-%d" % self.broker.port, command)
        ms = (self.lead() - at) / 1e6
        return ms, child.process.wait(20) == 0

    def pids(self):
        return {name: child.pid for name, child in self.children.items()}


class Etcd:
    """Three etcd with nothing set but where they listen."""

    NAMES = ["m1", "m2", "m3"]

    def __init__(self, place):
        self.place = place
        self.folder = os.path.join(place.folder, "etcd")
        self.clients = {name: place.free_port() for name in self.NAMES}
        self.peers = {name: "http://127.0.0.1:%d" % place.free_port() for name in self.NAMES}
        self.children, self.links, self.leader, self.term = {}, {}, None, 0
        os.mkdir(self.folder)
        for name in self.NAMES:
            self.start(name)
        self.lead(self.NAMES)

    @staticmethod
    def missing():
        return None if shutil.which("etcd", path=PATH) else "not installed (apt-get install etcd-server)"

    @staticmethod
    def version():
        said = subprocess.run(["etcd", "--version"], stdout=subprocess.PIPE, check=True, env={"PATH": PATH}).stdout
        return "etcd " + said.decode().split("\n")[0].split()[-1]

    def start(self, name):
        client = "http://127.0.0.1:%d" % self.clients[name]
        options = {
            "name": name, "data-dir": os.path.join(self.folder, name), "listen-client-urls": client,
            "advertise-client-urls": client, "listen-peer-urls": self.peers[name],
            "initial-advertise-peer-urls": self.peers[name],
            "initial-cluster": ",".join("%s=%s" % one for one in self.peers.items()),
        }
        words = ["--%s=%s" % one for one in options.items()]
        self.children[name] = Child(self.place, "etcd-" + name, [shutil.which("etcd", path=PATH)] + words)

    def ask(self, name, path, question):
        """None when it does not answer."""
        try:
            link = self.links.get(name) or http.client.HTTPConnection("127.0.0.1", self.clients[name], timeout=2)
            self.links[name] = link
            link.request("POST", path, json.dumps(question))
            reply = link.getresponse()
            said = json.loads(reply.read())
            return said if reply.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            dead = self.links.pop(name, None)
            if dead:
                dead.close()
            return None

    def lead(self, among):
        """(ns at which one said that it leads, ns at which a majority had written for it)"""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for name in among:
                said = self.ask(name, "/v3/maintenance/status", {}) or {}
                head = said.get("header", {})
                term = int(said.get("raftTerm", 0))
                if term > self.term and said.get("leader", "0") == head.get("member_id"):
                    at = time.monotonic_ns()
                    text = base64.b64encode(b"bench").decode()
                    if self.ask(name, "/v3/kv/put", {"key": text, "value": text}):
                        self.leader, self.term = name, term
                        return at, time.monotonic_ns()
            time.sleep(0.005)
        raise Failed("etcd has no leader within %d s%s" % (PATIENCE, self.children[among[0]].last_words()))

    def settle(self):
        """Until all have the newest entry, and any moment after that."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            said = [self.ask(name, "/v3/maintenance/status", {}) or {} for name in self.NAMES]
            if len({(one.get("leader"), one.get("raftIndex")) for one in said}) == 1 and said[0].get("leader"):
                return time.sleep(1 + random.random())
            time.sleep(0.1)
        raise Failed("etcd does not come back whole")

    def kill(self):
        """ms from SIGKILL of the leader until another has written: (by its word, done)"""
        self.settle()
        victim = self.leader
        at = self.children[victim].kill()
        said, written = self.lead([name for name in self.NAMES if name != victim])
        self.start(victim)
        return (said - at) / 1e6, (written - at) / 1e6
