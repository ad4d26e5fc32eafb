"""A fleet on one machine: brokers, nodes, an election, a dead leader, a slot that moves through a rolling task.

Called by scripts/quickstart --fleet N. Everything lives below --root; what runs is named in its *.pid files.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

COLOR = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb"


def bold(text):
    return f"\033[1m{text}\033[0m" if COLOR else text


def dim(text):
    return f"\033[2m{text}\033[0m" if COLOR else text


def say(text):
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)


class Failed(Exception):
    """What an operator has to know."""


class Fleet:
    """Processes and their folders."""

    def __init__(self, root, binaries, count):
        self.root, self.binaries = root, binaries
        self.names = [f"n{n}" for n in range(1, count + 1)]
        self.voters = self.names[: 3 if count >= 3 else 1]
        self.port = free_port()

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def start_broker(self):
        conf = self.path("mosquitto.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
        mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.spawn("broker", [mosquitto, "-c", conf])
        wait(10, lambda: reachable(self.port), "mosquitto does not listen; see broker.log")

    def make_node(self, name):
        etc = self.path(name, "etc", "reeve")
        os.makedirs(os.path.join(etc, "workers.d"), exist_ok=True)
        voters = ", ".join(f'"{voter}"' for voter in self.voters)
        with open(os.path.join(etc, "reeve.toml"), "w", encoding="utf-8") as file:
            file.write(f'[node]\nname = "{name}"\nlabels = {{ rack = "r{1 + self.names.index(name) % 2}" }}\n')
            file.write(f'[fleet]\nname = "quickstart"\nvoters = [{voters}]\n')
            file.write(f'brokers = ["mqtt://127.0.0.1:{self.port}"]\n')
            file.write('[fleet.slots.upgrade]\nmax_unavailable = 1\nttl = "10min"\n')
        with open(os.path.join(etc, "workers.d", "agent.toml"), "w", encoding="utf-8") as file:
            file.write('[worker]\nteam = "agents"\nexec = ["/bin/sleep", "infinity"]\n')

    def start_node(self, name):
        root = self.path(name)
        self.spawn(name, [os.path.join(self.binaries, "reeved"), "--root", root, "--launcher", "direct"])

    def spawn(self, name, command):
        with open(self.path(f"{name}.log"), "ab") as log:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.root
            )
        with open(self.path(f"{name}.pid"), "w", encoding="utf-8") as file:
            file.write(f"{child.pid}\n")
        CHILDREN[name] = child

    def ctl(self, name, *words, check=True, seconds=20):
        command = [os.path.join(self.binaries, "reevectl"), "--root", self.path(name), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        if check and done.returncode != 0:
            raise Failed(f"reevectl on {name}, {' '.join(words)}: {done.stdout}{done.stderr}".strip())
        return done.stdout

    def status(self, name):
        try:
            return json.loads(self.ctl(name, "--json", "fleet", "status", check=False) or "{}")
        except (json.JSONDecodeError, subprocess.TimeoutExpired):
            return {}

    def leader(self, among, above=-1):
        """Who leads with a lease, in a term above this one: (name, term)."""
        for name in among:
            status = self.status(name)
            if status.get("role") == "leader" and status.get("quorum") and status.get("term", -1) > above:
                return name, status["term"]
        return None

    def agent(self, name):
        """The pid of the node's worker."""
        status = json.loads(self.ctl(name, "--json", "status", "agent", check=False) or "{}")
        replicas = status.get("replicas") or [{}]
        return replicas[0].get("pid")


CHILDREN = {}
BEGAN = time.monotonic()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def reachable(port):
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait(seconds, what, why):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise Failed(why)


def show(text):
    for line in text.rstrip().splitlines():
        print(f"          {dim(line)}")


def elect(fleet):
    print(bold("An election"))
    leader, term = wait(30, lambda: fleet.leader(fleet.names), "nobody leads after 30 s; see n1.log")
    say(f"{leader} leads in term {term}, elected by {', '.join(fleet.voters)}")
    wait(30, lambda: all(fleet.agent(name) for name in fleet.names), "not all workers are up; see the logs")
    others = len(fleet.names)
    wait(20, lambda: fleet.ctl(leader, "fleet", "nodes").count(" alive ") >= others, "not all nodes are heard")
    show(fleet.ctl(leader, "fleet", "nodes"))
    return leader, term


def kill(fleet, leader, term):
    print(bold(f"The leader dies: kill -9 of reeved on {leader}"))
    others = [name for name in fleet.names if name != leader]
    before = {name: fleet.agent(name) for name in others}
    CHILDREN[leader].kill()
    CHILDREN[leader].wait()
    killed = time.monotonic()
    heir, new = wait(30, lambda: fleet.leader(others, term), "nobody leads 30 s after the leader died")
    say(f"{heir} leads in term {new}, {time.monotonic() - killed:.1f} s later")
    after = {name: fleet.agent(name) for name in others}
    if before != after:
        raise Failed(f"workers were touched: {before} before, {after} after")
    say(f"no worker on {', '.join(others)} was touched")
    show(fleet.ctl(heir, "fleet", "why", "leader"))
    fleet.start_node(leader)
    wait(20, lambda: fleet.status(leader).get("leader") == heir, f"{leader} does not follow {heir}")
    say(f"{leader} is started again and follows {heir}")
    return heir


def roll(fleet, leader):
    print(bold("A rolling task: each node asks for a slot, one may be out of service at a time"))
    waiting = {}
    for name in fleet.names:
        command = [os.path.join(fleet.binaries, "reevectl"), "--root", fleet.path(name)]
        command += ["--json", "fleet", "ask", "upgrade", "--reason", "new kernel"]
        waiting[name] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    first = True
    while waiting:
        name, slot = wait(60, lambda: held(fleet, leader, waiting), "no slot was granted within 60 s")
        if first and len(waiting) > 1:
            wait(10, lambda: asked(fleet, leader) == len(waiting), "not all that ask are in the queue")
            show(fleet.ctl(leader, "fleet", "slots"))
            first = False
        waiting.pop(name).wait(timeout=20)
        fleet.ctl(name, "node", "drain", "--reason", "upgrade", seconds=60)
        say(f"{name} holds {slot}: drained, upgraded, checked")
        fleet.ctl(name, "node", "undrain", "--reason", "upgraded", seconds=60)
        fleet.ctl(name, "fleet", "release", slot, "--reason", "done")
    say("all nodes are through, never two at once")


def asked(fleet, leader):
    return len(json.loads(fleet.ctl(leader, "--json", "fleet", "slots", check=False) or "[]"))


def held(fleet, leader, waiting):
    slots = json.loads(fleet.ctl(leader, "--json", "fleet", "slots", check=False) or "[]")
    granted = [slot for slot in slots if slot["state"] == "granted"]
    if len(granted) > 1:
        raise Failed(f"two hold a slot at once: {granted}")
    for slot in granted:
        if slot["holder"] in waiting:
            return slot["holder"], slot["id"]
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--binaries", required=True)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--for", dest="span", type=int, default=0)
    asked = parser.parse_args()
    if asked.span:
        signal.signal(signal.SIGALRM, alarm)
        signal.alarm(asked.span)
    fleet = Fleet(asked.root, asked.binaries, asked.nodes)
    try:
        fleet.start_broker()
        for name in fleet.names:
            fleet.make_node(name)
            fleet.start_node(name)
        leader, term = elect(fleet)
        leader = kill(fleet, leader, term) if len(fleet.voters) > 1 else leader
        roll(fleet, leader)
    except (Failed, subprocess.TimeoutExpired) as why:
        print(f"quickstart: {why}", file=sys.stderr)
        return 1
    return 0


def alarm(_signal, _frame):
    raise Failed("it was not done within the time of --for")


if __name__ == "__main__":
    sys.exit(main())
