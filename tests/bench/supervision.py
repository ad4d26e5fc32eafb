#!/usr/bin/env python3
"""Compares supervisors by what their workers see: how soon one is back after it was killed, how long a thousand take to
start, and what the supervisor itself costs.

    scripts/bench supervision [--quick] [--n 100,500,1000] [--peers floor,runit,...] [--kills 100] [--json FILE]

Everything runs on this machine, in one run, in turns, because the figures of two runs cannot be compared: read the
ratios. `floor` is the least a supervisor can do (tests/bench/floor.c). With --check the exit code is 1 if a bar of
reeved is not met.
"""

import argparse
import datetime
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import measure  # noqa: E402
import peers  # noqa: E402

SMALL = 20


def main():
    chosen = arguments()
    folder = work_folder()
    try:
        build(folder, chosen.programs)
        place = peers.Place(folder, reeved_folder(chosen.reeved))
        report = Run(place, chosen).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.dirname(os.path.abspath(chosen.json)), exist_ok=True)
    with open(chosen.json, "w") as file:
        json.dump(report, file, indent=1)
        file.write("\n")
    print("\nwritten: %s" % os.path.relpath(chosen.json))
    return 1 if chosen.check and any(bar["met"] is not True for bar in report["bars"]) else 0


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench supervision", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer kills, one small size, short windows")
    parser.add_argument("--n", help="sizes of the start, stop and mass-crash part (100,500,1000)")
    parser.add_argument("--peers", help="only these: " + ", ".join(peer.name for peer in peers.ALL))
    parser.add_argument("--kills", type=int, help="single kills for each supervisor (100)")
    parser.add_argument("--budget", type=float, help="seconds at most for the single kills (240)")
    parser.add_argument("--window", type=float, help="seconds over which idle CPU is counted (20)")
    parser.add_argument("--rounds", type=int, help="how often each size is started, stopped and crashed (3)")
    parser.add_argument("--reeved", help="folder of reeved and reevectl (target/release)")
    parser.add_argument("--programs", help="folder with stamp and floor, already built: for a machine without a compiler")
    parser.add_argument("--json", default=os.path.join(REPO, "out", "bench-supervision.json"))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--check", action="store_true", help="exit 1 unless reeved meets its bars")
    chosen = parser.parse_args()
    usual = ((100,), 20, 30.0, 3.0, 1) if chosen.quick else ((100, 500, 1000), 100, 240.0, 20.0, 3)
    chosen.n = [int(n) for n in chosen.n.split(",")] if chosen.n else list(usual[0])
    for name, value in zip(("kills", "budget", "window", "rounds"), usual[1:]):
        if getattr(chosen, name) is None:
            setattr(chosen, name, value)
    wanted = chosen.peers.split(",") if chosen.peers else peers.USUAL
    known = {peer.name: peer for peer in peers.ALL}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        parser.error("no supervisor named %s; there are %s" % (", ".join(unknown), ", ".join(known)))
    if {"reeved-systemd", "reeved-systemd-hardened"} <= set(wanted):
        parser.error("two reeved cannot own the units of one machine: take one of the reeved-systemd rows")
    chosen.peers = [known[name] for name in wanted]
    return chosen


def work_folder():
    """As root not below /tmp: a sandboxed unit would see another one."""
    base = "/srv" if os.getuid() == 0 and os.access("/srv", os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="rb.", dir=base)
    os.chmod(folder, 0o755)
    return folder


def build(folder, ready):
    for name in ("stamp", "floor"):
        if ready:
            shutil.copy(os.path.join(ready, name), folder)
            continue
        words = ["cc", "-O2", "-Wall", "-o", os.path.join(folder, name), os.path.join(HERE, name + ".c")]
        if subprocess.run(words + ["-static"], stderr=subprocess.DEVNULL, check=False).returncode:
            subprocess.run(words, check=True)  # no static libc here: a few hundred µs more for all


def reeved_folder(chosen):
    folder = os.path.abspath(chosen or os.path.join(os.environ.get("CARGO_TARGET_DIR", REPO + "/target"), "release"))
    if all(os.access(os.path.join(folder, name), os.X_OK) for name in ("reeved", "reevectl")):
        return folder
    for installed in ("/usr/bin", "/usr/sbin"):
        if not chosen and os.access(installed + "/reeved", os.X_OK):
            return installed
    return None


def machine():
    facts = {"cores": os.cpu_count(), "cpu": platform.machine(), "kernel": platform.release(), "systemd": None,
             "init": open("/proc/1/comm").read().strip(), "load": round(os.getloadavg()[0], 2)}
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                facts["cpu"] = line.split(":", 1)[1].strip()
                break
    try:
        said = subprocess.run(["systemctl", "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
        facts["systemd"] = said.split()[1]
    except (OSError, subprocess.CalledProcessError, IndexError):
        pass
    return facts


class Run:
    def __init__(self, place, chosen):
        self.place, self.chosen = place, chosen
        self.draw = random.Random(chosen.seed)
        self.missing = {peer.name: peer.missing(place) for peer in chosen.peers}
        self.peers = [peer for peer in chosen.peers if not self.missing[peer.name]]
        self.missing = {name: why for name, why in self.missing.items() if why}
        self.failed = {}
        self.small = {}
        self.scale = {}

    def run(self):
        facts = machine()
        say("machine: %(cores)d cores, %(cpu)s, Linux %(kernel)s, PID 1 %(init)s, systemd %(systemd)s, load %(load)s" % facts)
        for name, why in self.missing.items():
            say("missing: %s: %s" % (name, why))
        if not self.peers:
            say("nothing to measure")
        self.crash_part()
        for count in self.chosen.n:
            self.scale_part(count)
        report = {
            "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "machine": facts,
            "seed": self.chosen.seed, "kills": self.chosen.kills, "missing": self.missing, "failed": self.failed,
            "crash": {name: row for name, row in self.small.items()}, "scale": self.scale,
        }
        report["bars"] = bars(report)
        show(report)
        return report

    def fail(self, name, part, error):
        self.failed.setdefault(name, {})[part] = str(error)
        say("  %s, %s: %s" % (name, part, error))

    # -- one at a time, all side by side -----------------------------------------------------------------------------

    def crash_part(self):
        say("N = %d: %d kills each, in turns" % (SMALL, self.chosen.kills))
        running = []
        for peer in self.peers:
            one = peer(self.place, SMALL)
            running.append(one)
            try:
                one.start(60)
            except peers.Failed as error:
                self.fail(one.name, "crash", error)
                one.end()
                running.remove(one)
        try:
            time.sleep(measure.LIVED)
            self.small = {one.name: {} for one in running}
            for one, (mib, rss, ms, coarse) in zip(running, self.costs(running)):
                self.small[one.name] = {"pss_mib": mib, "rss_mib": rss, "cpu_ms_per_min": ms, "cpu_stat_ms_per_min": coarse}
            latencies = self.single_kills(running, self.chosen.kills, again=False)
            at_once = self.single_kills(running, max(5, self.chosen.kills // 5), again=True)
            for one in running:
                row, values = self.small[one.name], latencies[one.name]
                row.update(kills=len(values), p50_ms=measure.median(values), p99_ms=measure.percentile(values, 0.99),
                           worst_ms=max(values, default=None), again_p50_ms=measure.median(at_once[one.name]),
                           again=len(at_once[one.name]), all_ms=[], values_ms=values)
            for _ in range(self.chosen.rounds):
                for one in self.shuffled(running):
                    time.sleep(measure.LIVED + 0.3)
                    try:
                        self.small[one.name]["all_ms"].append(mass_crash(one))
                    except measure.TimedOut as error:
                        self.fail(one.name, "all killed", error)
        finally:
            for one in running:
                one.end()

    def shuffled(self, items):
        return self.draw.sample(items, len(items))

    def costs(self, running):
        """PSS, RSS and idle CPU of each, over one window for all."""
        families = [one.family() for one in running]
        memory = [measure.pss(family) for family in families]
        at = time.monotonic()
        before = [measure.cpu(family) for family in families]
        time.sleep(self.chosen.window)
        span = time.monotonic() - at
        after = [measure.cpu(one.family()) for one in running]
        return [m + tuple(measure.cpu_per_minute(b, a, span)) for m, b, a in zip(memory, before, after)]

    def single_kills(self, running, wanted, again):
        """One kill at a time. A slow supervisor is left to itself meanwhile, with one victim at most; a quick one gets
        more kills while the slow ones catch up, so that all have seen the same minutes."""
        values = {one.name: [] for one in running}
        pending, turn = {}, 0
        end = time.monotonic() + self.chosen.budget
        while time.monotonic() < end and any(len(v) < wanted for v in values.values()):
            turn += 1
            for one in self.shuffled(running):
                if len(values[one.name]) < 3 * wanted or one.name in pending:
                    self.one_kill(one, turn, values[one.name], pending, again)
            time.sleep(0.02)
        for one in running:
            if len(values[one.name]) < wanted:
                say("  %s: %d of %d kills within the time" % (one.name, len(values[one.name]), wanted))
        self.settle(running, pending)
        return values

    @staticmethod
    def one_kill(one, turn, values, pending, again):
        if one.name not in pending:
            victim = one.stamps.victim(turn)
            if victim is None:
                return
            index, pid = victim
            at = measure.kill(pid)
            if again:  # the first death does not count: the second comes as soon as the new one is there
                try:
                    one.stamps.wait([index], at, 10)
                except measure.TimedOut:
                    return
                at = measure.kill(one.stamps.latest[index][0])
            pending[one.name] = index, at
        index, at = pending[one.name]
        try:
            back = one.stamps.wait([index], at, 0.06)
        except measure.TimedOut:
            return
        values.append((back - at) / 1e6)
        del pending[one.name]

    @staticmethod
    def settle(running, pending):
        for one in running:
            if one.name in pending:
                index, at = pending[one.name]
                try:
                    one.stamps.wait([index], at, 20)
                except measure.TimedOut:
                    pass
        time.sleep(measure.LIVED)

    # -- many, one supervisor after the other --------------------------------------------------------------------------

    def scale_part(self, count):
        say("N = %d: start, idle, all killed, stop; %d rounds" % (count, self.chosen.rounds))
        rows = self.scale[str(count)] = {}
        for number in range(self.chosen.rounds):
            for peer in self.shuffled(self.peers):
                if "N = %d" % count not in self.failed.get(peer.name, {}):
                    self.one_size(peer, count, rows.setdefault(peer.name, {}), number)
        for row in rows.values():
            for key in ("start_ms", "mass_ms", "stop_ms"):
                row[key + "_all"] = row.get(key, [])
                row[key] = measure.median(row[key + "_all"])

    def one_size(self, peer, count, row, number):
        one = peer(self.place, count)
        try:
            row.setdefault("start_ms", []).append(one.start())
            time.sleep(measure.LIVED + 0.3)
            if number == 0:
                (row["pss_mib"], row["rss_mib"], row["cpu_ms_per_min"], row["cpu_stat_ms_per_min"]), = self.costs([one])
            row.setdefault("mass_ms", []).append(mass_crash(one))
            time.sleep(measure.LIVED + 0.3)
            row.setdefault("stop_ms", []).append(one.stop())
        except (peers.Failed, measure.TimedOut, OSError, subprocess.TimeoutExpired) as error:
            self.fail(peer.name, "N = %d" % count, error)
        finally:
            one.end()
        time.sleep(0.5)


def mass_crash(one):
    """ms from the first of N kills until all N are back."""
    at = measure.kill_all(one.stamps)
    return (one.stamps.wait(one.indexes, at, 300) - at) / 1e6


# -- reading ---------------------------------------------------------------------------------------------------------------

BARS = [  # who, what, the figure, the reference's name, factor or fixed bar
    ("reeved-direct", "crash p50", ("crash", "p50_ms"), "floor", 2.0),
    ("reeved-direct", "crash p99", ("crash", "p99_ms"), "floor", 3.0),
    ("reeved-direct", "start 1000", ("1000", "start_ms"), "floor-cgroup", 1.5),
    ("reeved-direct", "mass crash 1000", ("1000", "mass_ms"), "floor-cgroup", 1.5),
    ("reeved-direct", "stop 1000, ms", ("1000", "stop_ms"), None, 250),
    ("reeved-direct", "PSS at 20, MiB", ("crash", "pss_mib"), None, 10),
    ("reeved-direct", "PSS at 1000, MiB", ("1000", "pss_mib"), None, 14),
    ("reeved-direct", "idle CPU at 1000, ms/min", ("1000", "cpu_ms_per_min"), None, 20),
    ("reeved-systemd", "crash p50", ("crash", "p50_ms"), "systemd-transient", 1.25),
    ("reeved-systemd", "crash p99", ("crash", "p99_ms"), "systemd-transient", 1.25),
    ("reeved-systemd", "start 1000", ("1000", "start_ms"), "systemd-transient", 1.2),
    ("reeved-systemd", "mass crash 1000", ("1000", "mass_ms"), "systemd-transient", 1.2),
    ("reeved-systemd", "stop 1000", ("1000", "stop_ms"), "systemd-transient", 1.2),
    ("reeved-systemd", "PSS at 20, MiB", ("crash", "pss_mib"), None, 10),
    ("reeved-systemd", "PSS at 1000, MiB", ("1000", "pss_mib"), None, 14),
    ("reeved-systemd", "idle CPU at 1000, ms/min", ("1000", "cpu_ms_per_min"), None, 20),
]


def bars(report):
    """`met` is None where a figure is not there: a bar that was not measured is not a bar that was met."""
    told = []
    for who, what, (part, key), reference, limit in BARS:
        rows = report["crash"] if part == "crash" else report["scale"].get(part, {})
        value = rows.get(who, {}).get(key)
        if reference and value is not None:
            base = rows.get(reference, {}).get(key)
            value = value / base if base else None
        told.append({"who": who, "what": what, "reference": reference, "limit": limit, "value": value,
                     "met": None if value is None else value <= limit})
    return told


def figure(value, digits=None):
    if value is None:
        return "–"
    if digits is None:
        digits = 2 if value < 10 else 1 if value < 100 else 0
    return "%.*f" % (digits, value)


def ratio(value, base):
    return "–" if value is None or not base else "%.1f×" % (value / base)


def table(title, head, rows):
    print("\n" + title)
    rows = [head] + rows
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for number, row in enumerate(rows):
        print("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip())
        if number == 0:
            print("  ".join("─" * w for w in widths))


def show(report):
    def reference(rows, name, usual):
        """systemd's own rows are measured against systemd, the others against the floor."""
        if "systemd" not in name:
            return rows.get(usual, {})
        # Sandboxed ones against one with the same sandbox.
        bare = rows.get("systemd-transient", {})
        return rows.get("systemd-transient-hardened", bare) if "hardened" in name else bare

    rows = []
    for name, row in report["crash"].items():
        base = reference(report["crash"], name, "floor")
        rows.append([name, str(row.get("kills", 0)), figure(row.get("p50_ms")), ratio(row.get("p50_ms"), base.get("p50_ms")),
                     figure(row.get("p99_ms")), ratio(row.get("p99_ms"), base.get("p99_ms")),
                     figure(row.get("again_p50_ms")), figure(measure.median(row.get("all_ms", []))),
                     figure(row.get("pss_mib"), 1), figure(row.get("cpu_ms_per_min"), 1)])
    if rows:
        table("Killed → the next one in main(), ms, N = %d  (ratios to floor; systemd to plain units as confined)" % SMALL,
              ["supervisor", "kills", "p50", "", "p99", "", "at once", "all %d" % SMALL, "PSS MiB", "CPU ms/min"], rows)
    for count, sizes in report["scale"].items():
        rows = []
        for name in [peer.name for peer in peers.ALL if peer.name in sizes]:
            row = sizes[name]
            base = reference(sizes, name, "floor-cgroup") or sizes.get("floor", {})
            cells = [name]
            for key in ("start_ms", "stop_ms", "mass_ms"):
                cells += [figure(row.get(key), 0), ratio(row.get(key), base.get(key))]
            rows.append(cells + [figure(row.get("pss_mib"), 1), figure(row.get("cpu_ms_per_min"), 1)])
        table("N = %s, ms  (ratios to floor-cgroup; systemd to plain units as confined)" % count,
              ["supervisor", "start", "", "stop all", "", "all killed", "", "PSS MiB", "CPU ms/min"], rows)
    measured = [bar for bar in report["bars"] if bar["who"] in report["crash"] or bar["value"] is not None]
    if measured:
        table("Bars", ["", "measure", "figure", "bar", ""], [
            [bar["who"], bar["what"], figure(bar["value"]), "≤ %s%s" % (
                bar["limit"], "× " + bar["reference"] if bar["reference"] else ""),
             {True: "met", False: "NOT MET", None: "not measured"}[bar["met"]]] for bar in measured])
    for name, why in report["missing"].items():
        print("\nmissing: %s: %s" % (name, why), end="")
    for name, parts in report["failed"].items():
        for part, why in parts.items():
            print("\nfailed: %s, %s: %s" % (name, part, why), end="")
    print()


def say(text):
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
