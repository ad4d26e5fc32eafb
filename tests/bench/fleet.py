#!/usr/bin/env python3
"""What a fleet costs and how soon it has a leader again: three reeved and a mosquitto, beside three etcd.

    scripts/bench fleet [--quick] [--kills 20] [--only failover,handover,grants,load] [--sizes 3,100,1000,10000]

  failover   The leader is killed with SIGKILL; until another says that it leads, which it does once it holds its lease
             and a majority has its document on their disks. Of etcd: until a new leader has taken a write. Presets and
             etcd in turns.
  handover   `reevectl fleet handover`, from the command to the beacon of the other.
  grants     A node asks for a slot that is free, from its question to the answer, beside the way through the broker and
             an fsync.
  load       So many nodes more that report, speak to themselves and ping as reeved does, from one process: each with a
             connection of its own unless --connections says fewer.

All on the loopback and one disk, in one run; other programs on the machine are in the figures. It needs mosquitto;
etcd (etcd-server) is left out by name where it is not installed. Percentiles are of the nearest rank: with fewer than a
hundred values p99 is the worst.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time

import clusters
import measure
import mqtt
from supervision import figure, machine, reeved_folder, say, table

PARTS = ["failover", "handover", "grants", "load"]
# As a node with eight cards reports: see NodeReport in daemon/core/src/fleet/node.rs.
REPORT = json.dumps({
    "version": "0.1.0", "state": "ready", "problems": [], "labels": {"rack": "r17", "role": "worker"}, "cpus": 96,
    "memory": 1 << 40,
    "gpus": [{"uuid": "GPU-6c1f4d0e-0000-4000-8000-00000000000%d" % card, "name": "NVIDIA H100 80GB HBM3", "health": "healthy"}
             for card in range(8)],
    "workers": [{"name": name, "role": name.split("-")[1], "state": "running", "ready": 4, "wanted": 4,
                 "ports": [8000 + n for n in range(4)], "queue_depth": depth}
                for name, depth in (("llm-executor", "QUEUE"), ("llm-coordinator", 0), ("llm-monitor", None))],
    "metrics": "10.0.0.1:9723", "slots": [],
}, separators=(",", ":")).replace('"QUEUE"', "QUEUE")


class Place:
    """Where it works, and what is to be ended."""

    def __init__(self, stack, reeved):
        self.stack, self.reeved = stack, reeved
        self.folder = tempfile.mkdtemp(prefix="reeve-bench-")
        stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.limit, self.limit))
        self.ports = set()

    def free_port(self):
        """Not one that was given out before: it may not be listened on yet."""
        while True:
            port = measure.free_port()
            if port not in self.ports:
                self.ports.add(port)
                return port

    def disk(self):
        """The kind of file system below the folder."""
        with open("/proc/mounts") as mounts:
            kinds = {line.split()[1]: line.split()[2] for line in mounts}
        return kinds[max((mount for mount in kinds if (self.folder + "/").startswith(mount.rstrip("/") + "/")), key=len)]


@contextlib.contextmanager
def place_of(chosen):
    with contextlib.ExitStack() as stack:
        yield Place(stack, chosen.reeved)


class Bars:
    def __init__(self):
        self.all = []

    def add(self, what, value, limit, unit):
        self.all.append({"what": what, "value": value, "limit": limit, "unit": unit,
                         "met": None if value is None else value <= limit})

    def show(self):
        words = {True: "met", False: "NOT MET", None: "not measured"}
        table("Bars", ["measure", "figure", "bar", ""], [
            [bar["what"], "%s %s" % (figure(bar["value"]), bar["unit"]), "≤ %s" % bar["limit"], words[bar["met"]]]
            for bar in self.all])


def spread(values):
    """p50, p99 and the ends."""
    return {"p50": measure.median(values), "p99": measure.percentile(values, 0.99), "least": min(values, default=None),
            "most": max(values, default=None), "count": len(values)}


def ratio(value, base):
    return value / base if value is not None and base else None


def load():
    return "load %.2f" % os.getloadavg()[0]


# -- failover ------------------------------------------------------------------------------------------------------------


def failover(chosen, bars):
    with place_of(chosen) as place:
        say("failover: %d kills of each leader, in turns; %s" % (chosen.kills, load()))
        std, fast = clusters.Voters(place, "std"), clusters.Voters(place, "fast")
        missing = clusters.Etcd.missing()
        etcd = None if missing else clusters.Etcd(place)
        ms = {"reeved, std": [], "reeved, fast": [], "etcd, a write taken": [], "etcd, leads by its word": []}
        for _ in range(chosen.kills):
            ms["reeved, std"].append(std.kill())
            ms["reeved, fast"].append(fast.kill())
            if etcd:
                word, written = etcd.kill()
                ms["etcd, leads by its word"].append(word)
                ms["etcd, a write taken"].append(written)
        rows = {name: spread(values) for name, values in ms.items() if values}
        peer = rows.get("etcd, a write taken", {})
        table("Leader killed → another leads, s  (%s; beat and election of etcd: 100 ms, 1000 ms)" % (
            "etcd: " + missing if missing else etcd.version()),
              ["", "kills", "p50", "", "p99", "", "least", "most"], [
                  [name, str(row["count"]), sec(row["p50"]), times(row["p50"], peer.get("p50")), sec(row["p99"]),
                   times(row["p99"], peer.get("p99")), sec(row["least"]), sec(row["most"])] for name, row in rows.items()])
        print("  ratios to etcd, a write taken; %s" % load())
        bars.add("failover, std, p50", rows["reeved, std"]["p50"] / 1000, 2.7, "s")
        bars.add("failover, std, p99", rows["reeved, std"]["p99"] / 1000, 6, "s")
        bars.add("failover, fast, p50", rows["reeved, fast"]["p50"] / 1000, 1.5, "s")
        bars.add("failover, fast, p50 against etcd", ratio(rows["reeved, fast"]["p50"], peer.get("p50")), 1.3, "×")
        return {"ms": ms, "rows": rows, "etcd_missing": missing}


def sec(ms):
    return "–" if ms is None else "%.2f" % (ms / 1000)


def times(value, base):
    return "–" if value is None or not base else "%.2f×" % (value / base)


# -- hand-over -----------------------------------------------------------------------------------------------------------


def handover(chosen, bars):
    with place_of(chosen) as place:
        say("\nhandover: %d times; %s" % (chosen.handovers, load()))
        voters = clusters.Voters(place, "std")
        ms, told, disk = [], 0, []
        for _ in range(chosen.handovers):
            took, done = voters.hand_over()
            ms.append(took)
            told += done
            disk.append(fsync(os.path.join(place.folder, "fsync")))
        row, disk = spread(ms), spread(disk)
        table("reevectl fleet handover → the other's beacon, ms", ["", "times", "p50", "p99", "least", "most"], [
            ["reeved, std", str(row["count"])] + [figure(row[key], 1) for key in ("p50", "p99", "least", "most")]])
        print("  the start of reevectl is in it, and several writes, one after the other, of two fsync each; one fsync on this %s,\n"
              "  meanwhile: p50 %s ms, p99 %s ms. %d of %d commands ended with 0; %s" % (
                  place.disk(), figure(disk["p50"]), figure(disk["p99"]), told, len(ms), load()))
        bars.add("hand-over, p50", row["p50"], 200, "ms")
        bars.add("hand-over, p99", row["p99"], 200, "ms")
        return {"ms": ms, "row": row, "fsync": disk, "told": told}


# -- grants --------------------------------------------------------------------------------------------------------------


class Asker(mqtt.Node):
    """A node that asks for slots."""

    def __init__(self, port):
        super().__init__(clusters.FLEET, "asker", 4711)
        self.client = mqtt.Client(port, "asker", [self.topic("rx/+")])
        self.nonce = 0
        self.client.publish(self.topic("up"), self.envelope('{"kind":"here"}'), True)

    def report(self):
        report = REPORT.replace("QUEUE", str(self.seq % 50))
        self.client.publish(self.topic("rep"), self.envelope('{"kind":"report","report":%s}' % report), True)

    def exchange(self, what, topic, say):
        """ms until what was said last is answered."""
        payload = self.envelope(json.dumps(say))
        at = time.monotonic_ns()
        self.client.publish(topic, payload)
        while True:
            heard = self.client.next(10)
            if not heard:
                raise clusters.Failed("%s: no answer" % what)
            then, _, payload, _ = heard
            answer = json.loads(payload)["say"]
            if answer.get("nonce") != self.nonce:
                continue
            if answer.get("said") not in (None, {"said": "done"}) and answer["said"]["said"] != what:
                raise clusters.Failed("%s: the answer is %s" % (what, answer["said"]))
            return (then - at) / 1e6

    def ask(self, what, want):
        self.nonce += 1
        say = {"kind": "ask", "nonce": self.nonce, "waited_ms": 0, "want": want, "reason": "benchmark"}
        return self.exchange(what, self.topic("ask"), say)

    def round_trip(self):
        self.nonce += 1
        return self.exchange("echo", self.topic("rx/asker"), {"kind": "echo", "nonce": self.nonce})


def grants(chosen, bars):
    with place_of(chosen) as place:
        say("\ngrants: %d questions; %s" % (chosen.asks, load()))
        voters = clusters.Voters(place, "std")
        asker = Asker(voters.broker.port)
        place.stack.callback(asker.client.close)
        parts = {"granted": [], "given back": [], "through the broker and back": [], "fsync": []}
        reported = 0
        for number in range(1, chosen.asks + 1):
            if time.monotonic() - reported > 1.5:
                asker.report()
                reported = time.monotonic()
            time.sleep(0.02)
            slot = "asker/1.%d" % number
            parts["granted"].append(asker.ask("granted", {"want": "slot", "id": slot, "slot": "bench", "labels": {}}))
            time.sleep(0.02)
            parts["given back"].append(asker.ask("done", {"want": "release", "id": slot, "failed": False}))
            parts["through the broker and back"].append(asker.round_trip())
            parts["fsync"].append(fsync(os.path.join(place.folder, "fsync")))
        rows = {name: spread(values) for name, values in parts.items()}
        least = {key: 2 * rows["through the broker and back"][key] + rows["fsync"][key] for key in ("p50", "p99")}
        table("A slot, ms  (%s)" % place.disk(), ["", "times", "p50", "", "p99", "", "most"], [
            [name, str(row["count"]), figure(row["p50"]), times(row["p50"], least["p50"]), figure(row["p99"]),
             times(row["p99"], least["p99"]), figure(row["most"])] for name, row in rows.items()])
        print("  ratios to twice through the broker and one fsync: p50 %s, p99 %s. A grant is on two disks, one after the\n"
              "  other, and each write is two fsync: of the file and of its folder; %s" % (
                  figure(least["p50"]), figure(least["p99"]), load()))
        bars.add("grant, p99", rows["granted"]["p99"], 50, "ms")
        return {"rows": rows, "least": least, "ratio_p50": rows["granted"]["p50"] / least["p50"]}


def fsync(path):
    """ms that a file of the size of a document takes to the disk."""
    with open(path, "wb") as file:
        file.write(b"x" * 1024)
        at = time.monotonic_ns()
        file.flush()
        os.fsync(file.fileno())
        return (time.monotonic_ns() - at) / 1e6


# -- load ----------------------------------------------------------------------------------------------------------------


def loaded(chosen, bars):
    rows = []
    for count in chosen.sizes:
        with place_of(chosen) as place:
            rows.append(one_load(chosen, place, count))
    table("Nodes at rest, beside three voters  (CPU in %% of a core, of utime + stime; a report has %d bytes)" % len(REPORT), [
        "nodes", "connections", "interval", "reports/s", "of a node/s", "packets in/s", "out/s", "leader CPU", "MiB", "followers CPU",
        "MiB", "broker CPU", "MiB", "leader : broker", "over"], [
            ["%d" % row["nodes"], "%d" % row["connections"], "%.0f s" % row["interval"], figure(row["reports"]),
             "%.2f" % row["per_node"], figure(row["broker_in"], 0), figure(row["broker_out"], 0), figure(row["leader_cpu"]),
             figure(row["leader_rss"], 1), figure(row["follower_cpu"]), figure(row["follower_rss"], 1), figure(row["broker_cpu"]),
             figure(row["broker_rss"], 1), figure(row["cpu_ratio"]), "%.0f s" % row["seconds"]] for row in rows])
    print("  A node says its report, and something to itself each 15 s. Reports: those of the voters, too; packets: all of the\n"
          "  broker's, with pings and votes. Followers: the busier one. The nodes are one process, which no figure has in it;\n"
          "  %s" % load())
    most = next((row for row in rows if row["nodes"] == 10_000), {})
    bars.add("leader at 10,000 nodes, CPU", most.get("leader_cpu"), 5, "%")
    bars.add("leader at 10,000 nodes, RSS", most.get("leader_rss"), 64, "MiB")
    bars.add("leader at 10,000 nodes, CPU against the broker", most.get("cpu_ratio"), 0.25, "×")
    return rows


def one_load(chosen, place, count):
    seconds = chosen.window if count < 10_000 else chosen.long
    connections = min(count, chosen.connections or count, place.limit - 200)
    voters = clusters.Voters(place, "std")
    say("%sload: %d nodes on %d connections; %s" % ("\n" if count == chosen.sizes[0] else "", count, connections, load()))
    swarm = mqtt.Swarm(voters.broker.port, clusters.FLEET, count, connections, REPORT)
    place.stack.callback(swarm.close)
    # All are known, the beacon tells the interval, and all have reported at it.
    swarm.run(clusters.PATIENCE, lambda: swarm.known >= count)
    if swarm.known < count:
        raise clusters.Failed("only %d of %d nodes are known after %d s" % (swarm.known, count, clusters.PATIENCE))
    swarm.run(max(7, swarm.interval + 2))
    voters.hear(0)
    pids = dict(voters.pids(), broker=voters.broker.pid)
    term, sent, told = voters.term, dict(swarm.sent), dict(swarm.counters)
    before, at = measure.cpu(pids.values()), time.monotonic()
    swarm.run(seconds)
    after, span = measure.cpu(pids.values()), time.monotonic() - at
    if voters.hear(0) or voters.term != term:
        raise clusters.Failed("the leader has changed under load")
    cpu = {name: (after[pid][1] - before[pid][1]) / 1e7 / span for name, pid in pids.items()}
    rss = {name: measure.pss({pid})[1] for name, pid in pids.items()}
    others = [name for name in voters.NAMES if name != voters.leader]

    def counted(which):
        (then, few), (now, many) = told[which], swarm.counters[which]
        return (many - few) / (now - then)

    return {
        "nodes": count, "connections": connections, "interval": swarm.interval, "seconds": span,
        "reports": (swarm.sent["report"] - sent["report"]) / span + len(voters.NAMES) / swarm.interval,
        "per_node": (sum(swarm.sent.values()) - sum(sent.values())) / span / count,
        "broker_in": counted("received"), "broker_out": counted("sent"),
        "leader_cpu": cpu[voters.leader], "leader_rss": rss[voters.leader],
        "follower_cpu": max(cpu[name] for name in others), "follower_rss": max(rss[name] for name in others),
        "broker_cpu": cpu["broker"], "broker_rss": rss["broker"], "cpu_ratio": ratio(cpu[voters.leader], cpu["broker"]),
    }


# -- the whole ---------------------------------------------------------------------------------------------------------------


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench fleet", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 kills, 5 hand-overs, 50 questions, windows of 10 s")
    parser.add_argument("--kills", type=int, help="of the leader of each preset and of etcd (20)")
    parser.add_argument("--handovers", type=int, help="(20)")
    parser.add_argument("--asks", type=int, help="questions for a slot (200)")
    parser.add_argument("--sizes", help="nodes of the load part (3,100,1000,10000)")
    parser.add_argument("--connections", type=int, metavar="N", help="nodes share so many; else each has its own")
    parser.add_argument("--window", type=float, metavar="SECONDS", help="of CPU below 10,000 nodes (20)")
    parser.add_argument("--long", type=float, metavar="SECONDS", help="of CPU at 10,000 nodes (60)")
    parser.add_argument("--only", metavar="PARTS", help="of " + ",".join(PARTS))
    parser.add_argument("--reeved", metavar="FOLDER", help="of reeved and reevectl (target/release)")
    parser.add_argument("--json", metavar="FILE", help="the figures, for programs")
    chosen = parser.parse_args()
    usual = (5, 5, 50, 10, 10) if chosen.quick else (20, 20, 200, 20, 60)
    for name, value in zip(("kills", "handovers", "asks", "window", "long"), usual):
        if getattr(chosen, name) is None:
            setattr(chosen, name, value)
    chosen.sizes = [int(size) for size in (chosen.sizes or "3,100,1000,10000").split(",")]
    chosen.only = chosen.only.split(",") if chosen.only else PARTS
    if not set(chosen.only) <= set(PARTS):
        parser.error("the parts are " + ", ".join(PARTS))
    chosen.reeved = reeved_folder(chosen.reeved)
    if not chosen.reeved:
        parser.error("reeved is not built (cargo build --release)")
    if not shutil.which("mosquitto", path=clusters.PATH):
        parser.error("mosquitto is not installed (apt-get install mosquitto)")
    return chosen


def main():
    chosen = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    facts = machine()
    say("machine: %(cores)d cores, %(cpu)s, Linux %(kernel)s, load %(load)s" % facts)
    bars, report = Bars(), {"machine": facts}
    parts = {"failover": failover, "handover": handover, "grants": grants, "load": loaded}
    failed = False
    try:
        for name in chosen.only:
            try:
                report[name] = parts[name](chosen, bars)
            except (clusters.Failed, mqtt.Lost) as error:
                failed = True
                say("  failed: %s" % error)
    except KeyboardInterrupt:
        return 130
    bars.show()
    report["bars"] = bars.all
    if chosen.json:
        with open(chosen.json, "w") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
