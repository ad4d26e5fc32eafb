"""The supervisors that are compared. Each keeps the same N stamp workers running, by its own usual means."""

import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time

import measure
from minibus import ADDRESS, Bus, BusError, Follower

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Failed(Exception):
    pass


class Place:
    """Where the benchmark works: the programs, and a folder for each supervisor started."""

    def __init__(self, folder, reeved):
        self.folder = folder
        self.reeved = reeved  # folder of reeved and reevectl, or None
        self.count = 0
        self.limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.limits[1], self.limits[1]))

    def program(self, name):
        return os.path.join(self.folder, name)

    def new(self):
        self.count += 1
        path = os.path.join(self.folder, "p%d" % self.count)
        os.mkdir(path)
        os.chmod(path, 0o755)
        return path


class Peer:
    """One supervisor with N workers, from start() to end()."""

    name = None

    def __init__(self, place, count):
        self.place, self.count = place, count
        self.folder = place.new()
        self.stamps = measure.Stamps(os.path.join(self.folder, "stamps"))
        self.indexes = range(1, count + 1)
        self.process = None
        self.log = open(os.path.join(self.folder, "log"), "wb")

    @classmethod
    def missing(cls, place):
        """Why it cannot run here, or None."""
        return None

    def prepare(self):
        """Writes its configuration; not part of any figure."""

    def command(self):
        raise NotImplementedError

    def launch(self):
        limits = self.place.limits
        self.process = subprocess.Popen(
            self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env=self.environment(), start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits))

    def environment(self):
        return {"PATH": PATH, "LANG": "C"}

    def start(self, timeout=300):
        """ms from the first step until the last worker was in main()."""
        self.prepare()
        at = time.monotonic_ns()
        self.launch()
        try:
            return (self.stamps.wait(self.indexes, at, timeout) - at) / 1e6
        except measure.TimedOut as error:
            raise Failed("start: %s%s" % (error, self.last_words())) from error

    def last_words(self):
        self.log.flush()
        with open(os.path.join(self.folder, "log"), errors="replace") as file:
            lines = file.read().strip().splitlines()[-3:]
        return "".join("; " + line for line in lines)

    def roots(self):
        return [self.process.pid]

    def family(self):
        return measure.family(self.roots(), self.stamps.pids())

    def stop_all(self):
        """Tells it to stop its workers."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self, timeout=120):
        """ms until the last worker has ended."""
        ends = measure.Ends(self.stamps.pids())
        at = time.monotonic_ns()
        self.stop_all()
        try:
            return (ends.wait(timeout) - at) / 1e6
        except measure.TimedOut as error:
            raise Failed("stop: %s%s" % (error, self.last_words())) from error

    def end(self):
        """Nothing of it is left, however it went."""
        if self.process:
            members = self.family() | self.stamps.pids()
            if self.process.poll() is None:
                self.process.terminate()
                try:
                    self.process.wait(10)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
            for pid in members:
                self.kill_if_ours(pid)
        self.log.close()
        self.stamps.close()
        # Its files stay until the whole run is over: ext4 looks long for an inode where many were freed just before,
        # and the next one would pay for it.

    def kill_if_ours(self, pid):
        """By command line: the number may be somebody else's by now."""
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as file:
                if self.folder.encode() in file.read():
                    os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass

    def worker(self, index):
        return [self.place.program("stamp"), self.stamps.path, str(index)]


class Floor(Peer):
    name = "floor"

    def command(self):
        return [self.place.program("floor"), str(self.count), self.place.program("stamp"), self.stamps.path]


class FloorCgroup(Peer):
    name = "floor-cgroup"

    @classmethod
    def missing(cls, place):
        try:
            home = cgroup_home()
            os.mkdir(home)
            os.rmdir(home)
            return None
        except (OSError, LookupError) as error:
            return "no cgroup v2 that may be written to: %s" % error

    def prepare(self):
        self.cgroup = cgroup_home()
        os.makedirs(self.cgroup, exist_ok=True)

    def command(self):
        return [self.place.program("floor"), "-c", self.cgroup, str(self.count), self.place.program("stamp"),
                self.stamps.path]

    def end(self):
        super().end()
        for _ in range(50):
            try:
                for entry in os.scandir(self.cgroup):
                    if entry.is_dir():
                        os.rmdir(entry.path)
                os.rmdir(self.cgroup)
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.1)  # a cgroup is busy until its last process is reaped


def cgroup_home():
    """A cgroup below our own in the version 2 tree; on hybrid hosts that is /sys/fs/cgroup/unified."""
    mount = None
    with open("/proc/self/mountinfo") as file:
        for line in file:
            left, right = line.split(" - ")
            if right.split()[0] == "cgroup2":
                mount = left.split()[4]
    if not mount:
        raise LookupError("not mounted")
    with open("/proc/self/cgroup") as file:
        own = next(line[3:].strip() for line in file if line.startswith("0::"))
    return os.path.join(mount, own.lstrip("/"), "reeve-bench-%d" % os.getpid())


class Runit(Peer):
    name = "runit"

    @classmethod
    def missing(cls, place):
        return absent("runsvdir", "runit")

    def prepare(self):
        scripts(self, os.path.join(self.folder, "service"))

    def command(self):
        return [shutil.which("runsvdir", path=PATH), "-P", os.path.join(self.folder, "service")]

    def stop_all(self):
        self.process.send_signal(signal.SIGHUP)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGHUP)  # SIGTERM would leave every runsv and its worker behind
            time.sleep(0.2)
        super().end()


class S6(Peer):
    name = "s6"

    @classmethod
    def missing(cls, place):
        return absent("s6-svscan", "s6")

    def prepare(self):
        scripts(self, os.path.join(self.folder, "service"))

    def command(self):
        most = str(max(100, self.count + 10))
        return [shutil.which("s6-svscan", path=PATH), "-c", most, os.path.join(self.folder, "service")]


def scripts(peer, folder):
    """One folder a service with a run script: the usual way for runit and s6."""
    for index in peer.indexes:
        path = os.path.join(folder, "w%d" % index)
        os.makedirs(path)
        run = os.path.join(path, "run")
        with open(run, "w") as file:
            file.write("#!/bin/sh\nexec %s\n" % " ".join(peer.worker(index)))
        os.chmod(run, 0o755)


class Supervisord(Peer):
    name = "supervisord"

    @classmethod
    def missing(cls, place):
        return absent("supervisord", "supervisor")

    def prepare(self):
        words = " ".join(self.worker("%(process_num)d"))
        with open(os.path.join(self.folder, "conf"), "w") as file:
            file.write("""[supervisord]
nodaemon=true
user=%s
logfile=/dev/null
logfile_maxbytes=0
pidfile=%s/pid
minfds=%d
[program:w]
command=%s
numprocs=%d
numprocs_start=1
process_name=%%(program_name)s%%(process_num)d
autorestart=true
startretries=1000
stdout_logfile=NONE
stderr_logfile=NONE
""" % (os.getuid(), self.folder, self.count * 8 + 100, words, self.count))

    def command(self):
        return [shutil.which("supervisord", path=PATH), "-c", os.path.join(self.folder, "conf")]


class SystemdTransient(Peer):
    """What plain systemd does when it is asked to restart at once: the bar for the systemd launcher."""

    name = "systemd-transient"
    slice = "reeve_bench.slice"
    sandbox = []

    @classmethod
    def missing(cls, place):
        return no_systemd()

    def unit(self, index):
        return "bench-%d-%s.service" % (index, os.path.basename(self.folder))

    def launch(self):
        self.bus = Bus()
        calls = {}
        for index in self.indexes:
            words = self.worker(index)
            properties = [
                ("Description", ("s", "benchmark worker")), ("Type", ("s", "exec")), ("Restart", ("s", "always")),
                ("RestartUSec", ("t", 0)), ("StartLimitIntervalUSec", ("t", 0)), ("Slice", ("s", self.slice)),
                ("ExecStart", ("a(sasb)", [(words[0], words, False)])),
            ] + self.sandbox
            calls[index] = "StartTransientUnit", "ssa(sv)a(sa(sv))", (self.unit(index), "replace", properties, [])
        for some in in_batches(self.indexes):
            at = time.monotonic_ns()
            errors = self.bus.systemd([calls[index] for index in some])
            if errors:
                raise Failed("start: %d refused, first: %s" % (len(errors), errors[0]))
            self.stamps.wait(some, at, 300)

    def roots(self):
        return [1]

    def family(self):
        """What serves all units: PID 1, its journal and its bus, which the host has anyway."""
        return {1} | named("systemd-journal") | named("dbus-daemon") | named("dbus-broker")

    def stop_all(self):
        for some in in_batches(self.indexes):
            ends = measure.Ends({self.stamps.latest[index][0] for index in some if index in self.stamps.latest})
            self.bus.systemd([("StopUnit", "ss", (self.unit(index), "replace")) for index in some])
            ends.wait(120)

    def end(self):
        try:
            if hasattr(self, "bus"):
                self.stop_all()
                self.bus.systemd([("ResetFailedUnit", "s", (self.unit(index),)) for index in self.indexes])
                self.bus.close()
        except (OSError, BusError):
            pass
        super().end()


def in_batches(indexes):
    """PID 1 follows the client of each job by a match rule of its own, and gives up its connection to the bus at the
    513th. More jobs under way than this cannot be measured."""
    indexes = list(indexes)
    return [indexes[at:at + JOBS_AT_ONCE] for at in range(0, len(indexes), JOBS_AT_ONCE)]


JOBS_AT_ONCE = 256

CONFINED = [
    "LockPersonality", "NoNewPrivileges", "PrivateDevices", "PrivateMounts", "PrivateTmp", "ProtectClock",
    "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables",
    "RemoveIPC", "RestrictRealtime", "RestrictSUIDSGID"]


class SystemdTransientHardened(SystemdTransient):
    """With the sandbox that Reeve gives a worker by default: what reeved-systemd-hardened is to be compared with."""

    name = "systemd-transient-hardened"
    sandbox = [(key, ("b", True)) for key in CONFINED] + [
        ("CapabilityBoundingSet", ("t", 0)), ("KeyringMode", ("s", "private")), ("ProtectHome", ("s", "read-only")),
        ("ProtectProc", ("s", "invisible")), ("ProtectSystem", ("s", "strict")),
        ("RestrictAddressFamilies", ("(bas)", (True, ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"]))),
        ("RestrictNamespaces", ("t", 0x02000000)), ("SystemCallArchitectures", ("as", ["native"])),
        ("SystemCallErrorNumber", ("i", 1)), ("SystemCallFilter", ("(bas)", (True, ["@system-service"]))),
        ("UMask", ("u", 0o027))]


class SystemdFollowed(SystemdTransient):
    """Plain units with what it takes to look after them: fields for the journal, an environment; and a client that hears
    every signal about them and does nothing. What any supervisor over the bus with a slice per team costs before it has
    decided anything, and restarted nothing: PID 1 does that here."""

    name = "systemd-followed"
    slice = "reeve_bench-default.slice"
    follower = None
    sandbox = [
        ("User", ("s", "root")), ("RestartPreventExitStatus", ("(aiai)", ([77, 78], []))),
        ("KillMode", ("s", "mixed")), ("TimeoutStopUSec", ("t", 90000000)),
        ("OOMPolicy", ("s", "kill")), ("IgnoreSIGPIPE", ("b", False)), ("SyslogIdentifier", ("s", "bench")),
        ("StandardOutput", ("s", "journal")), ("StandardError", ("s", "journal")),
        ("LogExtraFields", ("aay", [b"REEVE_WORKER=bench", b"REEVE_REPLICA=1", b"REEVE_TEAM=default"])),
        ("Environment", ("as", ["REEVE_WORKER=bench", "NOTIFY_SOCKET=/run/reeve/notify/bench-1"]))]

    def launch(self):
        self.follower = Follower()
        super().launch()

    def end(self):
        super().end()
        if self.follower:
            self.follower.close()


class Reeved(Peer):
    """The launcher is all that differs; the policy is set to what the others do: start again at once, always."""

    launcher = None
    run_folder = None

    @classmethod
    def missing(cls, place):
        if not place.reeved:
            return "not built (cargo build --release)"
        return None

    def prepare(self):
        # As on any host: /run in memory, /var/lib on a disk.
        memory = in_memory()
        if memory:
            self.run_folder = tempfile.mkdtemp(prefix="rb.", dir=memory)
            os.chmod(self.run_folder, 0o755)
            os.symlink(self.run_folder, os.path.join(self.folder, "run"))
        words = ", ".join('"%s"' % word for word in self.worker("{replica}"))
        write(self.folder, "etc/reeve/reeve.toml", """[node]
name = "bench"
[supervision]
damping = "off"
restart_rate = "off"
[metrics]
listen = "off"
""")
        write(self.folder, "etc/reeve/workers.d/bench.toml", """[worker]
exec = [%s]
replicas = %d
restart = { policy = "always", backoff = { first = "0s", base = "0s", cap = "0s" }, breaker = "off" }
%s""" % (words, self.count, self.more()))

    def more(self):
        return ""

    def command(self):
        return [os.path.join(self.place.reeved, "reeved"), "--root", self.folder, "--launcher", self.launcher,
                "--log", "warn"]

    def environment(self):
        return {"PATH": PATH, "LANG": "C", "RUST_BACKTRACE": "0"}

    def end(self):
        super().end()
        if self.run_folder:
            shutil.rmtree(self.run_folder, ignore_errors=True)

    def stop_all(self):
        subprocess.run([os.path.join(self.place.reeved, "reevectl"), "--root", self.folder, "stop", "--all", "--yes"],
                       stdout=self.log, stderr=self.log, timeout=120, check=False)


class ReevedDirect(Reeved):
    name = "reeved-direct"
    launcher = "direct"


class ReevedSystemd(Reeved):
    """Without Reeve's usual sandbox, as the units of the systemd-transient row: the launchers are compared, not what
    namespaces and filters cost."""

    name = "reeved-systemd"
    launcher = "systemd"

    @classmethod
    def missing(cls, place):
        return super().missing(place) or no_systemd()

    def more(self):
        return 'user = "root"\n[worker.sandbox]\n' + "".join("%s = []\n" % key for key in OPEN)

    def end(self):
        if self.process and self.process.poll() is None:
            self.stop_all()  # workers outlive this daemon
        super().end()


# Said as empty, a key is not said to PID 1 at all: the very unit that the systemd-transient row makes.
OPEN = CONFINED + [
    "CapabilityBoundingSet", "KeyringMode", "ProtectHome", "ProtectProc", "ProtectSystem", "RestrictAddressFamilies",
    "RestrictNamespaces", "SystemCallArchitectures", "SystemCallErrorNumber", "SystemCallFilter", "UMask"]


class ReevedHardened(ReevedSystemd):
    """With the sandbox a worker gets when its definition says nothing."""

    name = "reeved-systemd-hardened"

    def more(self):
        return 'user = "root"\n'


def write(folder, path, text):
    path = os.path.join(folder, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def in_memory():
    """A folder of a tmpfs, if there is one to write to."""
    with open("/proc/mounts") as mounts:
        kinds = {line.split()[1]: line.split()[2] for line in mounts}
    places = (place for place in ("/run", "/dev/shm") if kinds.get(place) == "tmpfs" and os.access(place, os.W_OK))
    return next(places, None)


def absent(program, package):
    return None if shutil.which(program, path=PATH) else "not installed (apt-get install %s)" % package


def no_systemd():
    with open("/proc/1/comm") as file:
        first = file.read().strip()
    if first != "systemd":
        return "PID 1 is %s, not systemd" % first
    if os.getuid() != 0:
        return "needs root"
    return None if os.path.exists(ADDRESS) else "no system bus"


def named(comm):
    found = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(entry.path + "/comm") as file:
                    if file.read().strip() == comm[:15]:
                        found.add(int(entry.name))
            except OSError:
                pass
    return found


ALL = [Floor, FloorCgroup, ReevedDirect, Runit, Supervisord, S6, SystemdTransient, SystemdFollowed, SystemdTransientHardened,
       ReevedSystemd, ReevedHardened]
USUAL = [peer.name for peer in ALL if peer not in (S6, SystemdTransientHardened, ReevedHardened)]
