#!/usr/bin/env python3
"""What metrics cost: reeved beside node_exporter and a bare reader of the same files, in one run on one machine.

Every exporter is asked over one kept connection. CPU is the schedstat of all its threads, less what it spends when nobody
asks; background is what it spends then, over whole periods of its sampling. Compare ratios, not figures: the machine is
shared with whatever else it does. RSS is of the whole run, PSS without what is shared.
"""

import argparse
import contextlib
import glob
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import measure

HERE = os.path.dirname(os.path.abspath(__file__))
EXPORTERS = ["prometheus-node-exporter", "node_exporter"]
# The notes' footnote 1: what the bare reader reads.
READERS_SET = ["cpu", "stat", "meminfo", "diskstats", "netdev", "loadavg", "pressure"]
# What reeved reads.
REEVES_SET = READERS_SET + ["vmstat", "filesystem", "netclass", "filefd", "conntrack", "timex", "time", "uname", "os",
                            "mdadm", "bonding", "edac"]
CONTROLLERS = ["cpu", "memory", "io", "pids"]
GAP = 0.02
# A real driver's wait for events sleeps in the kernel; the fake one reads a file a hundred times a second.
FAKES_OWN = "gpu-xid"


class Exporter:
    """A process that answers /metrics on a port."""

    def __init__(self, name, command, port, **options):
        self.name, self.port = name, port
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} if "stderr" not in options else {}
        self.process = subprocess.Popen(command, **quiet, **options)
        self.pid = self.process.pid
        self.connection = None

    def connect(self):
        end = time.monotonic() + 20
        while True:
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                self.connection.connect()
                self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self.scrape()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    sys.exit("bench: %s does not answer" % self.name)
                time.sleep(0.05)

    def scrape(self):
        self.connection.request("GET", "/metrics")
        return self.connection.getresponse().read()

    def threads(self):
        """ms on a CPU by name of thread."""
        spent = {}
        for task in glob.glob("/proc/%d/task/*" % self.pid):
            with contextlib.suppress(OSError):
                with open(task + "/comm") as comm, open(task + "/schedstat") as schedstat:
                    name = comm.read().strip()
                    spent[name] = spent.get(name, 0) + int(schedstat.read().split()[0]) / 1e6
        return spent

    def cpu(self):
        """ms on a CPU, without what the fake library spends on looking for events in its state file."""
        return sum(ms for name, ms in self.threads().items() if name != FAKES_OWN)

    def memory(self):
        pss, rss = measure.pss({self.pid})
        return rss, pss

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def stop(self):
        if self.connection:
            self.connection.close()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def idle(exporters, seconds):
    """ms of CPU a second for each, all at once: nobody asks."""
    before = {e.name: e.cpu() for e in exporters}
    begun = time.monotonic()
    time.sleep(seconds)
    span = time.monotonic() - begun
    return {e.name: (e.cpu() - before[e.name]) / span for e in exporters}


def scrapes(exporter, count, idle_rate):
    """(ms of CPU per scrape, p50 ms, p99 ms, bytes, series)"""
    for _ in range(20):
        exporter.scrape()
    walls, body = [], b""
    before, begun = exporter.cpu(), time.monotonic()
    for _ in range(count):
        at = time.monotonic()
        body = exporter.scrape()
        walls.append((time.monotonic() - at) * 1000)
        time.sleep(GAP)
    span = time.monotonic() - begun
    cpu = (exporter.cpu() - before - idle_rate * span) / count
    series = sum(1 for line in body.splitlines() if line and not line.startswith(b"#"))
    return cpu, measure.percentile(walls, 0.5), measure.percentile(walls, 0.99), len(body), series


def configure(root, port, workers):
    """A node with so many workers that do nothing."""
    etc = os.path.join(root, "etc/reeve")
    os.makedirs(os.path.join(etc, "workers.d"))
    with open(os.path.join(etc, "reeve.toml"), "w") as file:
        file.write('[metrics]\nlisten = "127.0.0.1:%d"\n' % port)
    if workers:
        with open(os.path.join(etc, "workers.d/idle.toml"), "w") as file:
            file.write('[worker]\nteam = "bench"\nrole = "executor"\nexec = ["/bin/sleep", "1000000"]\nreplicas = %d\n'
                       % workers)


def settle(reeved, workers):
    """Waits until all workers run and are measured."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        text = reeved.scrape().decode()
        running = sum(1 for line in text.splitlines() if line.startswith("reeve_worker_cpu_usage_seconds_total{"))
        if running >= workers and "node_load1 " in text:
            return
        time.sleep(0.2)
    sys.exit("bench: only %d of %d workers are measured" % (running, workers))


def cgroups_of(pid):
    """Folders of the cgroups of the daemon's children."""
    found = set()
    for path in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            with open(path) as file:
                text = file.read()
            if int(text[text.rindex(")") + 2:].split()[1]) != pid:
                continue
            with open(os.path.dirname(path) + "/cgroup") as file:
                below = next(line.split(":", 2)[2] for line in file.read().splitlines() if line.startswith("0::"))
            for mount in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
                if os.path.exists(mount + below + "/cgroup.procs"):
                    found.add(mount + below)
                    break
    return sorted(found)


def fake_cards(folder, library):
    """Where the loader finds the fake library under the name of the real one; eight cards."""
    place = os.path.join(folder, "nvml")
    os.mkdir(place)
    shutil.copy(library, os.path.join(place, "libnvidia-ml.so.1"))
    state = os.path.join(place, "state")
    with open(state, "w") as file:
        file.write("profile = h200\n")
    return {"LD_LIBRARY_PATH": place, "FAKE_NVML_STATE": state, "FAKE_NVML_FIXED": "1"}


def node_exporters():
    program = next((p for p in map(shutil.which, EXPORTERS) if p), None)
    if not program:
        print("node_exporter is not installed (apt-get install prometheus-node-exporter): not measured")
        return []
    only = lambda names: ["--collector.disable-defaults", "--web.disable-exporter-metrics"] + [
        "--collector." + name for name in names]
    return [(name, [program, "--log.level=error"] + flags) for name, flags in [
        ("node_exporter, all by default", []),
        ("node_exporter, reeved's set", only(REEVES_SET)),
        ("node_exporter, reader's set", only(READERS_SET)),
    ]]


def sleepers(count):
    """Processes that only sleep, and what ends them."""
    shell = "i=0; while [ $i -lt %d ]; do sleep 1000000 & i=$((i+1)); done; echo made; wait" % count
    group = subprocess.Popen(["sh", "-c", shell], stdout=subprocess.PIPE, start_new_session=True)
    group.stdout.readline()
    return group


def table(rows):
    print("\n%-32s %9s %17s %8s %8s %13s %8s %7s" % (
        "", "processes", "CPU ms per scrape", "p50 ms", "p99 ms", "RSS / PSS MiB", "KB", "series"))
    for (name, extra), row in rows.items():
        print("%-32s %9s %17.2f %8.2f %8.1f %6.1f /%5.1f %8.1f %7d" % (
            name, "+%d" % extra, row["cpu"], row["p50"], row["p99"], row["rss"], row["pss"], row["bytes"] / 1000,
            row["series"]))


def bars(rows, rates, per15):
    """The bars of issue 3, as ratios."""
    get = lambda name, key, extra=0: rows.get((name, extra), {}).get(key)
    ours = get("reeved", "cpu")
    done = []

    def bar(what, value, limit, unit="×"):
        if value is not None:
            done.append(value <= limit)
            print("%-78s %7.2f %-8s bar %5.2f  %s" % (what, value, unit, limit, "met" if value <= limit else "NOT MET"))

    ratio = lambda a, b: a / b if a is not None and b else None
    print()
    for peer in ("reader's set", "reeved's set"):
        name = "node_exporter, " + peer
        bar("CPU per scrape against " + name, ratio(ours, get(name, "cpu")), 0.5)
        bar("p50 against " + name, ratio(get("reeved", "p50"), get(name, "p50")), 0.8)
    default = "node_exporter, all by default"
    bar("CPU per scrape against " + default, ratio(ours, get(default, "cpu")), 0.1)
    # The machine is slower or faster by then; the reader, which never looks at a process, tells by how much.
    drift = ratio(get("bare reader", "cpu", 500), get("bare reader", "cpu"))
    more = ratio(ratio(get("reeved", "cpu", 500), ours), drift)
    bar("CPU per scrape, difference with 500 more processes, less the bare reader's", more and abs(more - 1) * 100, 10, "%")
    bar("background sampling", rates["reeved"], 0.5, "ms/s")
    if default in per15:
        bar("sampling and a scrape every 15 s against " + default, ratio(per15["reeved"], per15[default]), 1.0)
    bar("RSS", get("reeved", "rss"), 16, "MiB")
    bar("RSS against " + default, ratio(get("reeved", "rss"), get(default, "rss")), 0.75)
    return all(done)


def long_run(reeved, count):
    """Memory and descriptors before, in between and after."""
    print("\n%d scrapes of reeved, one after the other:" % count)
    for _ in range(200):
        reeved.scrape()
    seen = []
    for part in range(5):
        for _ in range(count // 4 if part else 0):
            reeved.scrape()
        rss, pss = reeved.memory()
        seen.append((rss, reeved.fds()))
        print("  after %6d: RSS %.2f MiB, PSS %.2f MiB, %d descriptors" % (part * (count // 4), rss, pss, seen[-1][1]))
    flat = seen[-1][0] - seen[0][0] < 0.5 and seen[-1][1] <= seen[0][1]
    print("  %s: RSS %+.2f MiB, descriptors %+d" % (
        "flat" if flat else "NOT FLAT", seen[-1][0] - seen[0][0], seen[-1][1] - seen[0][1]))
    return flat


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench metrics", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reeved", default=os.path.join(
        os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "../../target")), "release/reeved"), metavar="FILE")
    parser.add_argument("--workers", type=int, default=16, metavar="N")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="rounds; the median counts")
    parser.add_argument("--scrapes", type=int, default=250, metavar="N", help="timed ones in a round")
    parser.add_argument("--idle", type=int, default=60, metavar="SECONDS", help="how long background is measured")
    parser.add_argument("--quick", action="store_true", help="one round, 20 s of background, no extra processes")
    parser.add_argument("--long", action="store_true", help="10 000 scrapes more: are memory and descriptors flat?")
    parser.add_argument("--cards", metavar="FILE", help="libfake_nvml.so (cargo build -p fake-nvml): with its 8 cards")
    parser.add_argument("--json", metavar="FILE", help="the figures, for programs")
    options = parser.parse_args()
    if options.quick:
        options.repeats, options.idle = 1, 20

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="reeve-bench-"))
        reader = os.path.join(folder, "reader")
        subprocess.run(["cc", "-O2", "-o", reader, os.path.join(HERE, "reader.c")], check=True)
        root, port = os.path.join(folder, "root"), measure.free_port()
        configure(root, port, options.workers)
        environment = dict(os.environ)
        if options.cards:
            environment.update(fake_cards(folder, options.cards))
        log = stack.enter_context(open(os.path.join(folder, "log"), "w"))
        command = [options.reeved, "--root", root, "--launcher", "direct", "--log", "warn"]

        def start(name, command, port, **more):
            exporter = Exporter(name, command, port, **more)
            stack.callback(exporter.stop)
            exporter.connect()
            return exporter

        reeved = start("reeved", command, port, env=environment, stderr=log)
        settle(reeved, options.workers)
        exporters = [reeved]
        port = measure.free_port()
        exporters.append(start("bare reader", [reader, str(port)], port))
        port = measure.free_port()
        exporters.append(start("bare reader, workers' cgroups", [reader, str(port)] + cgroups_of(reeved.pid), port))
        for name, flags in node_exporters():
            port = measure.free_port()
            exporters.append(start(name, flags + ["--web.listen-address=127.0.0.1:%d" % port], port))

        text = reeved.scrape().decode()
        cards = sum(1 for line in text.splitlines() if line.startswith("reeve_gpu_info{"))
        files = sum(1 for p in cgroups_of(reeved.pid)[:1] for f in os.listdir(p) if f.split(".")[0] in CONTROLLERS)
        print("%d cards; %d files of controllers and pressure in the cgroup of a worker" % (cards, files))
        print("%d workers, %d rounds of %d scrapes, %d s of background; load %.1f" % (
            options.workers, options.repeats, options.scrapes, options.idle, os.getloadavg()[0]), flush=True)
        before, begun = reeved.threads(), time.monotonic()
        rates = idle(exporters, options.idle)
        spent, span = reeved.threads(), time.monotonic() - begun
        parts = {name: (spent[name] - before.get(name, 0)) / span for name in spent}
        rows = {}
        for extra in [0] if options.quick else [0, 500]:
            group = sleepers(extra) if extra else None
            rounds = {e.name: [] for e in exporters}
            for _ in range(options.repeats):
                for exporter in exporters:
                    rounds[exporter.name].append(scrapes(exporter, options.scrapes, rates[exporter.name]))
            for exporter in exporters:
                cpu, p50, p99, size, series = (measure.median(list(v)) for v in zip(*rounds[exporter.name]))
                rss, pss = exporter.memory()
                rows[exporter.name, extra] = {"cpu": cpu, "p50": p50, "p99": p99, "bytes": size, "series": series,
                                              "rss": rss, "pss": pss}
            if group:
                os.killpg(group.pid, 15)
                group.wait()
        table(rows)
        per15 = {name: rates[name] + rows[name, 0]["cpu"] / 15 for name in rates}
        print("\n%-32s %16s %32s" % ("", "background ms/s", "with a scrape every 15 s, ms/s"))
        for name in rates:
            print("%-32s %16.3f %32.3f" % (name, rates[name], per15[name]))
        print("reeved's by thread, ms/s: " + ", ".join(
            "%s %.3f%s" % (name, rate, " (the fake library's, left out)" if name == FAKES_OWN else "")
            for name, rate in sorted(parts.items(), key=lambda part: -part[1])))
        good = bars(rows, rates, per15)
        if options.long:
            good = long_run(reeved, 10_000) and good
        if options.json:
            with open(options.json, "w") as file:
                json.dump({"scrapes": [dict(row, name=name, processes=extra) for (name, extra), row in rows.items()],
                           "background": rates, "per15": per15, "all_met": good}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
